//! Flows as others read our IPFIX: nfdump, by its collector over UDP, and Wireshark.

use super::super::ipfix::{Ipfix, IpfixConfig};
use super::super::{Config, Monitor, state};
use super::{data, frames, monitor, show};
use crate::Span;
use engine::{Kind, Record};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const CAPTURES: [&str; 3] = ["ndpi_netflix.pcap", "ndpi_http_ipv6.pcap", "ndpi_teams.pcap"];

/// By protocol: packets and bytes.
type Sums = BTreeMap<u8, (u64, u64)>;

/// A folder that is gone with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let folder = std::env::temp_dir().join(format!("braid-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        Scratch(folder)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn is_installed(program: &str) -> bool {
    let flag = if program == "tshark" { "--version" } else { "-V" };
    let there = Command::new(program).arg(flag).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !there {
        println!("skipped: {program} is not installed");
    }
    there
}

/// Sends the flows of the captures, and says what they are; `None` where there are no captures.
fn export(to: &str) -> Option<Sums> {
    let config = Config {
        ipfix: Some(Ipfix::With(IpfixConfig {
            to: to.to_owned(),
            mtu: 1280,
            templates: Span::seconds(1),
            domain: 7,
        })),
        active_timeout: Some(Span::seconds(5)),
        ..Config::default()
    };
    let mut sums = Sums::new();
    let mut monitor: Monitor = monitor(&config);
    for capture in CAPTURES {
        let path = data().join("general/dev").join(capture);
        let Some(frames) = frames(&path) else {
            println!("skipped: {} is not here", path.display());
            return None;
        };
        show(&mut monitor, &frames);
        for (_, frame, len) in &frames {
            let headers = wire::parse_with_len(frame, *len);
            if let (Some(protocol), Some(bytes)) = (headers.protocol(), headers.l3_len()) {
                let sum = sums.entry(protocol).or_default();
                *sum = (sum.0 + 1, sum.1 + bytes as u64);
            }
        }
    }
    let records: Vec<Record> =
        monitor.accounts.all().iter().map(|(key, flow)| state::record(*key, flow)).collect();
    Monitor::finish(&monitor.plan, &records).expect("sent");
    assert_eq!((monitor.plan.unsent(), monitor.totals()[16]), (0, 0), "none is lost");
    Some(sums)
}

/// What nfdump says of a file: for each protocol, packets and bytes of both directions.
fn nfdump(file: &Path) -> BTreeMap<u8, (u64, u64)> {
    let format = "fmt:%pr|%ipkt|%ibyt|%opkt|%obyt";
    let mut command = Command::new("nfdump");
    command.arg("-r").arg(file).args(["-N", "-q", "-o", format]);
    let output = command.output().expect("nfdump runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut sums = BTreeMap::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split('|').map(str::trim).collect();
        let [protocol, packets, bytes, packets_back, bytes_back] = fields[..] else { continue };
        let protocol = match protocol {
            "TCP" => 6,
            "UDP" => 17,
            "ICMP" => 1,
            "ICMP6" => 58,
            "IGMP" => 2,
            other => other.parse().unwrap_or(255),
        };
        let number = |text: &str| text.parse::<u64>().unwrap_or_else(|_| panic!("{line}"));
        let sum: &mut (u64, u64) = sums.entry(protocol).or_default();
        sum.0 += number(packets) + number(packets_back);
        sum.1 += number(bytes) + number(bytes_back);
    }
    sums
}

#[test]
fn nfdumps_collector_reads_all_packets_and_bytes_over_udp() {
    if !is_installed("nfcapd") {
        return;
    }
    let scratch = Scratch::new("nfcapd");
    let free = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
    let port = free.port().to_string();
    let log = std::fs::File::create(scratch.0.join("log")).expect("a log");
    let mut command = Command::new("nfcapd");
    command.args(["-b", "127.0.0.1", "-p", &port, "-t", "3600", "-w"]).arg(&scratch.0);
    let errors = log.try_clone().expect("a log");
    let mut collector = Running(command.stdout(log).stderr(errors).spawn().expect("nfcapd runs"));
    // It is ready when nobody else can have its port.
    let begun = Instant::now();
    while UdpSocket::bind(("127.0.0.1", free.port())).is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(20), "nfcapd does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    let Some(sums) = export(&format!("udp://127.0.0.1:{port}")) else { return };
    std::thread::sleep(Duration::from_millis(500));
    // Told to end, it writes what it has.
    let pid = collector.0.id().to_string();
    Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
    collector.0.wait().expect("it ends");
    let files = std::fs::read_dir(&scratch.0).expect("a folder").flatten().map(|entry| entry.path());
    let files: Vec<PathBuf> = files.filter(|path| path.to_string_lossy().contains("nfcapd.")).collect();
    let mut read: BTreeMap<u8, (u64, u64)> = BTreeMap::new();
    for file in &files {
        for (protocol, (packets, bytes)) in nfdump(file) {
            let sum = read.entry(protocol).or_default();
            (sum.0, sum.1) = (sum.0 + packets, sum.1 + bytes);
        }
    }
    let log = std::fs::read_to_string(scratch.0.join("log")).unwrap_or_default();
    assert_eq!(read, sums, "{files:?}\n{log}");
    assert!(log.contains("Sequence Errors: 0, Bad Packets: 0"), "{log}");
}

/// A capture of UDP packets, so that Wireshark reads messages as from a network.
fn as_capture(messages: &[u8], to: &Path) {
    let mut out = std::fs::File::create(to).expect("a file");
    let mut header = Vec::new();
    for word in [0xa1b2_c3d4u32, 0x0002_0004, 0, 0, 65_535, 1] {
        header.extend(word.to_ne_bytes());
    }
    // The version is two numbers of 16 bits.
    header[4..8].copy_from_slice(&[2u16.to_ne_bytes(), 4u16.to_ne_bytes()].concat());
    out.write_all(&header).expect("written");
    let mut left = messages;
    while left.len() >= 4 {
        let length = usize::from(u16::from_be_bytes([left[2], left[3]]));
        let (message, rest) = left.split_at(length);
        let builder = wire::builder::Builder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        let frame = builder.ipv4([127, 0, 0, 1], [127, 0, 0, 1]).udp(50_000, 4739).payload(message).build();
        for word in [1, 0, frame.len() as u32, frame.len() as u32] {
            out.write_all(&word.to_ne_bytes()).expect("written");
        }
        out.write_all(&frame).expect("written");
        left = rest;
    }
    assert!(left.is_empty(), "messages follow each other without gaps");
}

#[test]
fn wireshark_finds_the_same_and_no_fault() {
    if !is_installed("tshark") {
        return;
    }
    let scratch = Scratch::new("cflow");
    let file = scratch.0.join("flows.ipfix");
    let Some(sums) = export(&file.to_string_lossy()) else { return };
    let capture = scratch.0.join("flows.pcap");
    as_capture(&std::fs::read(&file).expect("messages"), &capture);
    let mut command = Command::new("tshark");
    command.arg("-r").arg(&capture).args([
        "-d",
        "udp.port==4739,cflow",
        "-T",
        "fields",
        "-E",
        "occurrence=a",
    ]);
    for field in ["cflow.protocol", "cflow.packets", "cflow.octets", "_ws.expert.message", "_ws.malformed"] {
        command.args(["-e", field]);
    }
    let output = command.output().expect("tshark runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!text.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut read: BTreeMap<u8, (u64, u64)> = BTreeMap::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let list = |field: usize| -> Vec<u64> {
            let written = fields.get(field).copied().unwrap_or_default().split(',');
            written.filter_map(|number| number.parse().ok()).collect()
        };
        assert_eq!(fields.get(4).copied().unwrap_or_default(), "", "{line}");
        let (protocols, packets, bytes) = (list(0), list(1), list(2));
        // Both directions of each flow.
        assert_eq!((packets.len(), bytes.len()), (2 * protocols.len(), 2 * protocols.len()), "{line}");
        for (i, protocol) in protocols.iter().enumerate() {
            let sum = read.entry(*protocol as u8).or_default();
            sum.0 += packets[2 * i] + packets[2 * i + 1];
            sum.1 += bytes[2 * i] + bytes[2 * i + 1];
        }
    }
    assert_eq!(read, sums);
}
