//! All captures, one after the other, as one.

use crate::rig::Folder;
use capture::{Format, Reader, Writer};
use engine::{Buffers, ChainPlan, Device, Engine, Idle, Plan, PortPlan};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tables::expression::Expression;

/// Between the last packet of one capture and the first of the next, in nanoseconds.
const GAP: u64 = 1_000_000_000;
/// Between two packets of a capture at most.
const LONGEST: u64 = 600_000_000_000;

/// Those of the examples, and those that lie beside the project where they do.
fn files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("examples/captures")];
    match std::fs::read_dir(root.join("../shared/data")) {
        Ok(kinds) => folders.extend(kinds.flatten().map(|kind| kind.path().join("dev"))),
        Err(_) => println!("skipped: captures beside the project, which are not there"),
    }
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|e| ["pcap", "pcapng", "cap"].iter().any(|known| e == *known))
            {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// Writes all of them into one file, each with its own times after those of the one before.
pub fn all_in_one(eal: &dpdk::Eal, folder: &Folder) -> PathBuf {
    let all = folder.path("all.pcap");
    let each = folder.path("one.pcap");
    let mut writer = Writer::create(&all, Format::PcapNano).expect("a capture");
    let mut now = 1_600_000_000_000_000_000;
    let (mut read, mut refused) = (0, 0);
    for file in files() {
        // Through an engine, which makes Ethernet frames of all that it reads.
        if !played(eal, &file, &each) {
            refused += 1;
            continue;
        }
        read += 1;
        let mut reader = Reader::open(&each).expect("what was written");
        let mut before = None;
        while let Ok(Some(frame)) = reader.next() {
            // A few captures go back in time, or begin decades before the next packet; the engine's clock does not.
            let since = frame.timestamp_ns.saturating_sub(before.unwrap_or(frame.timestamp_ns));
            before = Some(frame.timestamp_ns);
            now += since.min(LONGEST);
            writer.write(now, frame.bytes.len() as u32, [frame.bytes]).expect("written");
        }
        now += GAP;
    }
    for frame in long_headers() {
        now += GAP;
        writer.write(now, frame.len() as u32, [frame.as_slice()]).expect("written");
    }
    writer.finish().expect("finished");
    println!("{read} captures, {refused} of other links");
    assert!(read > 0);
    all
}

/// UDP over IPv6 behind options of all lengths, which end before, at and behind what branches have as a copy.
fn long_headers() -> Vec<Vec<u8>> {
    let frame = |blocks: u8| {
        let options = 8 * (usize::from(blocks) + 1);
        let payload = 300;
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd, 0x60, 0, 0, 0];
        frame.extend_from_slice(&((options + 8 + payload) as u16).to_be_bytes());
        frame.extend_from_slice(&[60, 64]);
        for end in [1, 2] {
            frame.extend_from_slice(&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, end]);
        }
        // Destination options: one that pads, of up to 255 bytes, and more of them behind it.
        let mut padding = options - 2;
        frame.extend_from_slice(&[17, blocks]);
        while padding > 0 {
            let one = padding.min(255);
            frame.extend_from_slice(if one == 1 { &[0][..] } else { &[1][..] });
            if one > 1 {
                frame.push(one as u8 - 2);
                frame.resize(frame.len() + one - 2, 0);
            }
            padding -= one;
        }
        let ports = 4000 + u16::from(blocks);
        frame.extend_from_slice(&ports.to_be_bytes());
        frame.extend_from_slice(&[0, 53]);
        frame.extend_from_slice(&((8 + payload) as u16).to_be_bytes());
        frame.extend_from_slice(&[0, 0]);
        frame.resize(frame.len() + payload, 0x61);
        frame
    };
    (0..40).chain([100, 200, 255]).map(frame).collect()
}

fn played(eal: &dpdk::Eal, input: &Path, output: &Path) -> bool {
    let plan = Plan {
        cores: vec![0],
        helpers: Vec::new(),
        idle: Idle::Adaptive,
        buffers: Buffers::default(),
        ports: vec![
            PortPlan::new("in", Device::CaptureSource(input.to_owned())),
            PortPlan::new("out", Device::CaptureSink(output.to_owned())),
        ],
        nfs: Vec::new(),
        chains: vec![ChainPlan {
            name: "chain".to_owned(),
            from: 0,
            matcher: Expression::all(),
            path: Vec::new(),
            to: vec![1],
            parallel: None,
        }],
        seed: 1,
    };
    let Ok(engine) = Engine::start(eal, plan) else { return false };
    while !engine.exhausted() {
        std::thread::sleep(Duration::from_millis(1));
    }
    engine.stop().is_ok()
}
