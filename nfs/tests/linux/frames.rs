//! Frames that are given to Linux: real ones, and such as nobody would send.

use std::path::PathBuf;
use wire::builder::{Builder, fragments, icmp_error};
use wire::tcp::flags;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/general/dev");

/// The first 1500 frames of each of the captures; `None` where there are none.
pub(crate) fn of_captures() -> Option<Vec<(String, Vec<Vec<u8>>)>> {
    if !PathBuf::from(DATA).is_dir() {
        println!("skipped: no captures at {DATA}");
        return None;
    }
    let mut names: Vec<String> = std::fs::read_dir(DATA)
        .expect("a folder")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| [".pcap", ".pcapng", ".gz"].iter().any(|end| name.ends_with(end)))
        .collect();
    names.sort();
    let of = |name: String| {
        let mut frames = frames_of(&name);
        frames.truncate(1500);
        (name, frames)
    };
    Some(names.into_iter().map(of).collect())
}

/// Frames with an IP packet right behind an Ethernet header, from a capture.
fn frames_of(name: &str) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let Ok(mut reader) = capture::Reader::open(PathBuf::from(DATA).join(name)) else { return frames };
    while let Ok(Some(frame)) = reader.next() {
        let headers = wire::parse(frame.bytes);
        if headers.is_ip() && headers.l3_offset() == 14 && frame.bytes.len() < 60_000 {
            frames.push(frame.bytes.to_vec());
        }
    }
    frames
}

/// Why Linux may never have come to judge a frame.
pub(crate) fn absence(frame: &[u8]) -> Option<&'static str> {
    let headers = wire::parse(frame);
    if headers.malformed().is_some() {
        return Some("malformed");
    }
    if headers.is_fragment() {
        return Some("put together with other fragments");
    }
    let ip = frame.get(14..14 + headers.ip_header_len())?;
    if headers.is_ipv4() && wire::checksum::of(ip) != 0 {
        return Some("bad IP checksum");
    }
    let (source, _) = headers.addresses(frame)?;
    (headers.is_ipv6() && (source.is_loopback() || source.is_multicast())).then_some("address of no sender")
}

/// A frame in words.
pub(crate) fn show(frame: &[u8]) -> String {
    let headers = wire::parse(frame);
    let key = wire::FlowKey::from_packet(&headers, frame).map(|key| key.to_string());
    let tcp = headers.is_tcp().then(|| {
        let at = headers.l4_offset().unwrap_or_default();
        let segment = wire::tcp::Packet::new_checked(&frame[at..]).ok()?;
        Some(format!(
            "flags {:#04x} seq {} ack {} win {} len {:?}",
            segment.flags(),
            segment.seq(),
            segment.ack(),
            segment.window(),
            headers.payload_len()
        ))
    });
    format!("{key:?} {tcp:?} icmp {:?} {:?}", headers.icmp_type_code(frame), headers.malformed())
}

/// Numbers that look random, the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % u64::from(n)) as u32
    }

    fn of<T: Copy>(&mut self, choice: &[T]) -> T {
        choice[self.below(choice.len() as u32) as usize]
    }
}

/// Segments between two hosts that mostly, but not always, fit to those before: flags in any order, numbers in, at the
/// edge of and outside of the window, options that come and go.
pub(crate) fn segments(seed: u8, connections: u16) -> Vec<Vec<u8>> {
    let mut dice = Dice(seed.into());
    let mut frames = Vec::new();
    for connection in 0..connections {
        let port = 1024 + connection;
        let mut next = [dice.below(u32::MAX), dice.below(u32::MAX)];
        let scaled = dice.below(2) == 1;
        for step in 0..6 + dice.below(24) {
            let side = match step {
                0 => 0,
                1 => 1,
                _ => dice.below(2) as usize,
            };
            let kind = match (step, dice.below(10)) {
                (0, 1..) => flags::SYN,
                (1, 1..) => flags::SYN | flags::ACK,
                (_, 0..6) => flags::ACK,
                (_, 6) => flags::ACK | flags::FIN,
                _ => dice.of(&[
                    flags::SYN,
                    flags::SYN | flags::ACK,
                    flags::RST,
                    flags::RST | flags::ACK,
                    flags::ACK | flags::URG | flags::PSH,
                    flags::FIN,
                    0,
                    flags::SYN | flags::FIN,
                    flags::ACK | flags::FIN,
                ]),
            };
            let odd = [0, 1, 1, 100, 65_000, 66_001, 200_000, 1 << 30, 1 << 31];
            let stray = |dice: &mut Dice, number: u32| match dice.below(8) {
                0 => number.wrapping_add(dice.of(&odd)),
                1 => number.wrapping_sub(dice.of(&odd)),
                2 if dice.below(4) == 0 => 0,
                _ => number,
            };
            let (seq, ack) = (stray(&mut dice, next[side]), stray(&mut dice, next[1 - side]));
            let len = if kind & flags::SYN == 0 && kind & flags::ACK != 0 {
                dice.of(&[0, 0, 1, 100, 1400])
            } else {
                0
            };
            let hosts = [[10, 0, seed, 1], [10, 0, seed, 2]];
            let ports = [port, 80];
            let mut packet = Builder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
                .ipv4(hosts[side], hosts[1 - side])
                .tcp(ports[side], ports[1 - side])
                .seq(seq)
                .ack(if kind & flags::ACK != 0 { ack } else { 0 })
                .flags(kind)
                .window(dice.of(&[0, 1, 512, 8192, 65_535]));
            if kind & flags::SYN != 0 && (scaled || dice.below(4) == 0) {
                packet = packet.tcp_options(&[2, 4, 5, 180, 4, 2, 3, 3, dice.of(&[0, 7, 14]), 0, 0, 0]);
            } else if kind == flags::ACK && dice.below(6) == 0 {
                let block =
                    [next[1 - side].wrapping_add(10), next[1 - side].wrapping_add(20)].map(u32::to_be_bytes);
                packet = packet.tcp_options(&[&[1, 1, 5, 10], block.as_flattened()].concat());
            }
            frames.push(packet.payload_len(len).build());
            let taken = len as u32 + u32::from(kind & (flags::SYN | flags::FIN) != 0);
            if kind & (flags::SYN | flags::ACK) != 0 && seq == next[side] && dice.below(10) > 0 {
                next[side] = next[side].wrapping_add(taken);
            }
        }
    }
    frames
}

/// Queries, answers nobody asked for, errors about what was and what was not, fragments.
pub(crate) fn errors_queries_and_fragments() -> Vec<Vec<u8>> {
    let link = || Builder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let (a, b, c) = ([10, 1, 0, 1], [10, 1, 0, 2], [10, 1, 0, 3]);
    let v6 = |host: u128| 0x2001_0db8 << 96 | host;
    let asked = link().ipv4(a, b).udp(1000, 53).payload(b"question").build();
    let asked6 = link().ipv6(v6(1), v6(2)).udp(1000, 53).payload(b"question").build();
    let never = link().ipv4(a, b).udp(1001, 53).payload(b"question").build();
    let pinged = link().ipv4(a, b).echo_request(7, 1).payload_len(16).build();
    let opened = link().ipv4(a, b).tcp(1002, 80).flags(flags::SYN).seq(1).build();
    let error = |frame: &[u8], from: &str, kind, code| {
        icmp_error(frame, from.parse().expect("an address"), kind, code, 0).expect("an error")
    };
    let mut misdirected = error(&asked, "10.1.0.9", 11, 0);
    // To another host than the one that had asked.
    misdirected.splice(30..34, c);
    let sum = wire::checksum::of(&[&misdirected[14..24], &[0, 0], &misdirected[26..34]].concat());
    misdirected.splice(24..26, sum.to_be_bytes());
    let mut frames = vec![
        asked.clone(),
        error(&asked, "10.1.0.9", 11, 0),
        error(&asked, "10.1.0.2", 3, 3),
        misdirected,
        error(&never, "10.1.0.9", 11, 0),
        link().ipv4(b, a).udp(53, 1000).payload(b"answer").build(),
        asked.clone(),
        asked6.clone(),
        error(&asked6, "2001:db8::9", 3, 0),
        error(&asked6, "2001:db8::9", 2, 0),
        link().ipv6(v6(2), v6(1)).udp(53, 1000).build(),
        opened.clone(),
        error(&opened, "10.1.0.9", 3, 1),
        pinged.clone(),
        error(&pinged, "10.1.0.9", 11, 0),
        link().ipv4(b, a).echo_reply(7, 1).payload_len(16).build(),
        link().ipv4(b, a).echo_reply(8, 1).build(),
        // The other side asks with the same identifier.
        link().ipv4(b, a).echo_request(7, 1).build(),
        link().ipv4(a, b).echo_reply(7, 1).build(),
        link().ipv4(a, b).icmp(13, 0, 9 << 16).payload_len(12).build(),
        link().ipv4(b, a).icmp(14, 0, 9 << 16).payload_len(12).build(),
        link().ipv4(a, b).icmp(9, 0, 0).payload_len(8).build(),
        link().ipv6(v6(1), v6(2)).echo_request(7, 1).build(),
        link().ipv6(v6(2), v6(1)).echo_reply(7, 1).build(),
        link().ipv6(v6(2), v6(1)).echo_reply(9, 1).build(),
        link().ipv6(v6(1), v6(2)).icmp(135, 0, 0).payload_len(16).build(),
        link().ipv4(a, b).protocol(50).payload_len(40).build(),
        link().ipv4(b, a).protocol(50).payload_len(40).build(),
    ];
    let long = link().ipv4(a, c).id(77).udp(2000, 53).payload_len(4000).build();
    frames.extend(fragments(&long, 1500, 77));
    frames.push(link().ipv4(c, a).udp(53, 2000).build());
    frames.extend(fragments(&link().ipv4(a, c).id(78).udp(2000, 53).payload_len(3000).build(), 1500, 78));
    frames.extend(fragments(&link().ipv6(v6(1), v6(3)).udp(2000, 53).payload_len(3000).build(), 1500, 79));
    // A segment in fragments: what acknowledges all of it is in the window.
    let tcp = |from, to, sport, dport, kind, seq: u32, ack: u32| {
        link().ipv4(from, to).tcp(sport, dport).seq(seq).ack(ack).flags(kind).window(8000)
    };
    frames.push(tcp(a, c, 2001, 80, flags::SYN, 100, 0).build());
    frames.push(tcp(c, a, 80, 2001, flags::SYN | flags::ACK, 500, 101).build());
    frames.extend(fragments(&tcp(a, c, 2001, 80, flags::ACK, 101, 501).payload_len(4000).build(), 1500, 80));
    frames.push(tcp(c, a, 80, 2001, flags::ACK, 501, 4101).build());
    frames.push(tcp(c, a, 80, 2001, flags::ACK, 501, 4102).build());
    frames
}
