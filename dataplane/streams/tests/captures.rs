//! Streams of real captures, compared with what tshark makes of them. Not under Miri, which starts no programs.
#![cfg(not(miri))]

use capture::Reader;
use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::Command;
use streams::{Config, Flow, Mode, Policy, Pool, Segment, Sink, Toward, Urgent};
use wire::flow::FlowKey;
use wire::{headers, tcp};

/// Captures of one connection each, in which no two segments contradict each other.
const CAPTURES: [&str; 10] = [
    "ws_http-ooo.pcap",
    "ws_tcp-badsegments.pcap",
    "ws_gitOverTCP.pcap",
    "zeek_tcp_ssh-dups.pcap",
    "zeek_tcp_missing-syn.pcap",
    "zeek_http_pipelined-requests.pcap",
    "zeek_http_100-continue.pcap",
    "zeek_http_get.pcap",
    "zeek_ssh_single-conn.pcap",
    "zeek_mysql_many-query-attrs.pcap",
];

#[derive(Default)]
struct Streams {
    /// To the server, to the client; in the end from the first packet's sender, from the other.
    bytes: [Vec<u8>; 2],
}

impl Sink for Streams {
    fn data(&mut self, toward: Toward, _: u64, bytes: &[u8]) {
        self.bytes[usize::from(toward == Toward::Client)].extend_from_slice(bytes);
    }

    fn gap(&mut self, toward: Toward, _: u64, len: u64) {
        self.bytes[usize::from(toward == Toward::Client)].extend_from_slice(missing(len).as_bytes());
    }

    fn end(&mut self, _: Toward) {}
}

/// What tshark writes in the place of bytes that never came.
fn missing(len: u64) -> String {
    format!("[{len} bytes missing in capture file]\0")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/general/dev")
}

/// The streams of each connection: its first packet's key, what that packet's sender sent, what the other one did.
fn reassembled(path: &Path, mode: Mode) -> Vec<(FlowKey, Streams)> {
    let config = Config {
        mode,
        policy: Policy::First,
        urgent: Urgent::Inline,
        midstream: true,
        depth: 0,
        gap_segments: u32::MAX,
        gap_bytes: u32::MAX,
        ..Config::default()
    };
    let mut pool = Pool::new(16 << 20);
    let mut order = Vec::new();
    let mut flows: HashMap<FlowKey, (Flow, Streams)> = HashMap::new();
    let mut reader = Reader::new(BufReader::new(File::open(path).unwrap()), "capture").unwrap();
    while let Some(frame) = reader.next().unwrap() {
        let headers = headers::parse(frame.bytes);
        let (Some(key), Some(l4), true) =
            (FlowKey::from_packet(&headers, frame.bytes), headers.l4_offset(), headers.is_tcp())
        else {
            continue;
        };
        let Some(len) = headers.payload_offset().zip(headers.payload_len()).map(|(at, len)| at + len) else {
            continue;
        };
        let len = len.min(frame.bytes.len());
        let Ok(packet) = tcp::Packet::new_checked(&frame.bytes[l4..len]) else { continue };
        let (canonical, direction) = key.canonical();
        let (flow, streams) = flows.entry(canonical).or_insert_with(|| {
            order.push(key);
            Default::default()
        });
        let ttl = headers.ttl(frame.bytes).unwrap_or(0);
        flow.segment(&config, &mut pool, &Segment::of(&packet, direction, ttl), streams);
    }
    let finished = order.into_iter().map(|key| {
        let (mut flow, mut streams) = flows.remove(&key.canonical().0).unwrap_or_default();
        flow.finish(&config, &mut pool, &mut streams);
        if flow.toward(key.canonical().1) == Toward::Client {
            streams.bytes.swap(0, 1);
        }
        (key, streams)
    });
    let finished = finished.collect();
    assert_eq!(pool.used(), 0);
    finished
}

/// What tshark says the ends of the first connection sent, with their addresses and ports.
fn followed(path: &Path) -> Option<[(String, Vec<u8>); 2]> {
    let output =
        Command::new("tshark").args(["-q", "-z", "follow,tcp,raw,0", "-r"]).arg(path).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let node = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
    let mut nodes = [(node("Node 0: ")?, Vec::new()), (node("Node 1: ")?, Vec::new())];
    for line in text.lines().skip_while(|line| !line.starts_with("Node 1")).skip(1) {
        let (from, digits) = line.strip_prefix('\t').map_or((0, line), |digits| (1, digits));
        let bytes = digits
            .as_bytes()
            .chunks(2)
            .map_while(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        nodes[from].1.extend(bytes);
    }
    Some(nodes)
}

#[test]
fn streams_are_what_tshark_follows() {
    let mut compared = (0, 0);
    for name in CAPTURES {
        let path = folder().join(name);
        if !path.exists() {
            println!("skipped: no capture {name}");
            continue;
        }
        let Some(expected) = followed(&path) else {
            println!("skipped: no tshark for {name}");
            continue;
        };
        for mode in [Mode::Arrival, Mode::Acknowledged] {
            let found = reassembled(&path, mode);
            assert_eq!(found.len(), 1, "{name}: connections");
            for (key, streams) in found {
                let ends = [(key.source(), key.source_port()), (key.destination(), key.destination_port())];
                for (node, bytes) in &expected {
                    let at = ends.iter().position(|(address, port)| *node == format!("{address}:{port}"));
                    let at = at
                        .unwrap_or_else(|| panic!("{name}: tshark knows {node}, which is none of {ends:?}"));
                    let same = streams.bytes[at] == *bytes;
                    assert!(
                        same,
                        "{name}, {mode:?}, from {node}: {} bytes, not {}",
                        streams.bytes[at].len(),
                        bytes.len()
                    );
                    compared = (compared.0 + 1, compared.1 + bytes.len());
                }
            }
        }
    }
    println!("compared: {} streams, {} bytes", compared.0, compared.1);
}
