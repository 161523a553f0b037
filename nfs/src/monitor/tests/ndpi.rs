//! Packets and bytes of each flow as nDPI counts them, on the same captures.

use super::super::Config;
use super::{data, frames, monitor, show};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;
use wire::protocol::ip;

/// Both ends, the smaller first, and the protocol.
type Key = ((IpAddr, u16), (IpAddr, u16), u8);
/// Packets and bytes of frames, by who sent them: the smaller end first.
type Counts = [u64; 4];

/// Sums under the key that does not depend on the direction.
fn add(
    sums: &mut BTreeMap<Key, Counts>,
    from: (IpAddr, u16),
    to: (IpAddr, u16),
    protocol: u8,
    counts: Counts,
) {
    let [packets, bytes, packets_back, bytes_back] = counts;
    let (key, counts) = if from <= to {
        ((from, to, protocol), counts)
    } else {
        ((to, from, protocol), [packets_back, bytes_back, packets, bytes])
    };
    let sum = sums.entry(key).or_default();
    sum.iter_mut().zip(counts).for_each(|(sum, more)| *sum += more);
}

fn protocol(name: &str) -> Option<u8> {
    Some(match name {
        "TCP" => ip::TCP,
        "UDP" => ip::UDP,
        "ICMP" => ip::ICMP,
        "ICMPV6" => ip::ICMPV6,
        "IGMP" => 2,
        "SCTP" => ip::SCTP,
        "VRRP" => 112,
        "GRE" => 47,
        other => other.parse().ok()?,
    })
}

fn end(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.rsplit_once(':')?;
    Some((address.trim_matches(['[', ']']).parse().ok()?, port.parse().ok()?))
}

/// `[3 pkts/180 bytes <-> 2 pkts/120 bytes]`, or an arrow for one direction.
fn counts(line: &str) -> Option<Counts> {
    let inside = line.split('[').find(|part| part.contains(" pkts/"))?.split(']').next()?;
    let numbers: Vec<u64> = inside
        .split(|c: char| !c.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .flat_map(str::parse)
        .collect();
    numbers.try_into().ok()
}

/// The flows of a result.
fn theirs(text: &str) -> BTreeMap<Key, Counts> {
    let mut sums = BTreeMap::new();
    // Lines of flows begin with their number.
    let is_flow =
        |line: &&str| line.contains(" pkts/") && line.trim_start().starts_with(|c: char| c.is_ascii_digit());
    for line in text.lines().filter(is_flow) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, name, from, _, to, ..] = words[..] else { continue };
        let flow = protocol(name).zip(end(from)).zip(end(to)).zip(counts(line));
        let Some((((protocol, from), to), counts)) = flow else {
            println!("not understood: {line:.120}");
            continue;
        };
        add(&mut sums, from, to, protocol, counts);
    }
    sums
}

/// The monitor's flows. nDPI counts frames where the monitor counts IP packets: what the link has put around them is added
/// here, from the frames.
fn ours(frames: &[(u64, Vec<u8>, usize)]) -> BTreeMap<Key, Counts> {
    let mut sums = BTreeMap::new();
    for frame in frames {
        // One frame at a time tells whose it is.
        let mut lone = monitor(&Config { capacity: 16, ..Config::default() });
        show(&mut lone, [frame]);
        let around = wire::parse_with_len(&frame.1, frame.2)
            .l3_len()
            .map_or(0, |ip| (frame.2 - ip.min(frame.2)) as u64);
        for (key, flow) in lone.accounts.all() {
            let sent = |direction: usize| if flow.packets[direction] > 0 { around } else { 0 };
            let portless = matches!(key.protocol(), ip::ICMP | ip::ICMPV6);
            let ports = if portless { (0, 0) } else { (key.source_port(), key.destination_port()) };
            add(
                &mut sums,
                (key.source(), ports.0),
                (key.destination(), ports.1),
                key.protocol(),
                [0, sent(0), 0, sent(1)],
            );
        }
    }
    let mut whole = monitor(&Config::default());
    show(&mut whole, frames);
    for (key, flow) in whole.accounts.all() {
        let portless = matches!(key.protocol(), ip::ICMP | ip::ICMPV6);
        let ports = if portless { (0, 0) } else { (key.source_port(), key.destination_port()) };
        let counts = [flow.packets[0], flow.bytes[0], flow.packets[1], flow.bytes[1]];
        add(&mut sums, (key.source(), ports.0), (key.destination(), ports.1), key.protocol(), counts);
    }
    sums
}

/// Captures in which nDPI counts otherwise, and why.
const OTHERWISE: [(&str, &str); 9] = [
    ("4in4tunnel.pcap", "nDPI looks inside IPv4 in IPv4; the monitor at the outermost header"),
    ("4in6tunnel.pcap", "nDPI looks inside IPv4 in IPv6"),
    ("badpackets.pcap", "nDPI finds no flow in these first fragments of datagrams"),
    ("capwap.pcap", "nDPI looks inside CAPWAP"),
    ("dns_fragmented.pcap", "nDPI passes over later fragments"),
    ("ip_fragmented_garbage.pcap", "nDPI counts fragments without ports as a flow from port 0 to port 0"),
    (
        "rtsp.pcap",
        "nDPI counts the 16 bytes of Linux's cooked header, which is read as an Ethernet header of 14",
    ),
    ("syslog.pcap", "nDPI looks inside IPv6 in IPv4"),
    (
        "telnet.pcap",
        "nDPI counts 87 of the 92 packets of the one connection; Wireshark has 92, as the monitor",
    ),
];

#[test]
fn packets_and_bytes_of_flows_are_as_ndpi_counts_them_but_for_what_is_explained() {
    let folder = data().join("general/dev/ndpi_reference");
    let Ok(results) = std::fs::read_dir(&folder) else {
        println!("skipped: {} is not here", folder.display());
        return;
    };
    let otherwise: BTreeMap<&str, &str> = OTHERWISE.into_iter().collect();
    let (mut equal, mut flows, mut unexplained) = (0, 0, BTreeSet::new());
    for result in results.flatten().map(|entry| entry.path()) {
        let name = result.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let name = name.trim_end_matches(".out");
        let Some(frames) = frames(&data().join(Path::new("general/dev")).join(format!("ndpi_{name}"))) else {
            continue;
        };
        let theirs = theirs(&std::fs::read_to_string(&result).expect("a result"));
        let ours = ours(&frames);
        let same = theirs.iter().filter(|(key, counts)| ours.get(key) == Some(counts)).count();
        flows += theirs.len();
        equal += same;
        if same == theirs.len() && same == ours.len() {
            assert!(!otherwise.contains_key(name), "{name} is the same now");
            continue;
        }
        println!("{name}: {same} of nDPI's {} flows equal, {} ours", theirs.len(), ours.len());
        for (key, counts) in theirs.iter().filter(|(key, counts)| ours.get(key) != Some(counts)).take(6) {
            println!("  {key:?}: nDPI {counts:?}, we {:?}", ours.get(key));
        }
        for (key, counts) in ours.iter().filter(|(key, _)| !theirs.contains_key(key)).take(6) {
            println!("  {key:?}: only we {counts:?}");
        }
        match otherwise.get(name) {
            Some(why) => println!("  {why}"),
            None => _ = unexplained.insert(name.to_owned()),
        }
    }
    println!("{equal} of {flows} flows are equal");
    assert_eq!(unexplained, BTreeSet::new(), "differ without an explanation");
}
