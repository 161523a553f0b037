//! Priority flows through one process: tagged, cloned onto two paths of which one is bad, and merged.

mod rig;

use capture::{Format, Reader, Writer};
use rig::{Folder, Run, assert_balanced, stats};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use wire::FlowKey;
use wire::builder::Builder;
use wire::tcp::flags;

/// Flows of each protocol, and packets of each.
const FLOWS: u16 = 6;
const PACKETS: u32 = 60;
/// Bytes of data in each.
const DATA: usize = 200;
/// How long the merge may take for what goes through in a few milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// The SYN of each TCP flow first, then all flows in turn.
fn input(path: &Path) -> u64 {
    let mut writer = Writer::create(path, Format::Pcap).expect("a capture");
    let ip = |id: u32| {
        Builder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
            .ipv4([10, 0, 0, 1], [10, 0, 0, 2])
            .id(id as u16)
    };
    let mut frames = Vec::new();
    for flow in 0..FLOWS {
        let isn = u32::MAX - 3000 + u32::from(flow);
        frames.push(ip(1).tcp(1000 + flow, 443).seq(isn).flags(flags::SYN).build());
    }
    for n in 0..PACKETS {
        for flow in 0..FLOWS {
            let sequence = (u32::MAX - 2999 + u32::from(flow)).wrapping_add(n * DATA as u32);
            let tcp = ip(2 + n).tcp(1000 + flow, 443).seq(sequence).ack(1);
            frames.push(tcp.payload(&[n as u8; DATA]).build());
            frames.push(ip(1 + n).udp(1000 + flow, 443).payload(&[n as u8; DATA]).build());
        }
    }
    for (frame, time) in frames.iter().zip(0u64..) {
        writer.write(time * 1000, frame.len() as u32, [&frame[..]]).expect("a frame");
    }
    writer.finish().expect("a whole capture");
    frames.len() as u64
}

/// The frames of each flow, in order.
fn flows(path: &Path) -> BTreeMap<FlowKey, Vec<Vec<u8>>> {
    let mut reader = Reader::open(path).expect("a capture");
    let mut flows: BTreeMap<FlowKey, Vec<Vec<u8>>> = BTreeMap::new();
    while let Some(frame) = reader.next().expect("a frame") {
        let headers = wire::parse(frame.bytes);
        let key = FlowKey::from_packet(&headers, frame.bytes).expect("a flow");
        flows.entry(key).or_default().push(frame.bytes.to_vec());
    }
    flows
}

#[test]
fn flows_that_are_cloned_onto_a_bad_path_and_a_slow_one_come_out_as_they_went_in() {
    let folder = Folder::new("smart");
    let packets = input(&folder.path("in.pcap"));
    let config = format!(
        r#"[engine]
socket = "braid.sock"
seed = 11
[ports.hosts]
device = "net_pcap0,rx_pcap={}"
[ports.bad]
device = "net_ring0"
[ports.slow]
device = "net_ring1"
[ports.out]
device = "pcap:out.pcap"
[nf.tag]
kind = "smart_tagger"
rule = [{{ name = "all", match = "dport == 443", mark = "ef" }}]
[nf.node]
kind = "smart_breakpoint"
class = [{{ mark = "ef" }}]
replicate = "all"
[nf.lossy]
kind = "netem"
delay = "2ms"
gilbert_elliott = {{ to_bad = 2, to_good = 20 }}
[nf.late]
kind = "netem"
delay = "10ms"
[nf.join]
kind = "smart_merge"
marks = ["ef"]
hold = "2s"
skew = "5s"
clear = true
[[chain]]
name = "there"
from = "hosts"
path = ["tag", "node"]
to = ["bad", "slow"]
[[chain]]
name = "bad"
from = "bad"
path = ["lossy", "join"]
to = "out"
[[chain]]
name = "slow"
from = "slow"
path = ["late", "join"]
to = "out"
"#,
        folder.path("in.pcap").display()
    );
    let run = Run::start(&folder, &config);
    let mut client = run.client();
    let begun = Instant::now();
    loop {
        let account = stats(&mut client);
        // All copies that were not lost have met the merge.
        let met: u64 = account.chains["bad"].nfs["join"].packets + account.chains["slow"].nfs["join"].packets;
        let lost = account.chains["bad"].nfs["lossy"].dropped.values().sum::<u64>();
        if met + lost == 2 * packets {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{met} have come, {lost} were lost, of two times {packets}");
        std::thread::sleep(Duration::from_millis(10));
    }
    let ended = run.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let account = ended.account();
    assert_balanced(&account);
    let lost = account.chains["bad"].nfs["lossy"].dropped.values().sum::<u64>();
    assert!(lost > 0, "the bad path loses nothing");
    let duplicates: u64 = ["bad", "slow"]
        .iter()
        .filter_map(|chain| account.chains[*chain].nfs["join"].dropped.get("duplicate"))
        .sum();
    assert_eq!(duplicates, packets - lost, "of each packet with two copies one");
    let (before, after) = (flows(&folder.path("in.pcap")), flows(&folder.path("out.pcap")));
    assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    for (key, frames) in &before {
        assert_eq!(after[key].len(), frames.len(), "{key:?}");
        assert!(after[key] == *frames, "{key:?}: other packets, or in another order");
    }
}
