//! Traffic to check NFs with: conversations between a few dozen hosts, every protocol that the parser
//! knows, and packets that are broken in every way that it can name.

#[cfg(test)]
mod tests;

use crate::frame::Frame;
use crate::language::packet;
use crate::random::Random;
use std::net::{Ipv4Addr, Ipv6Addr};
use wire::builder::{Builder, fragments, icmp_error};
use wire::tcp::flags;

/// Hosts on each side.
const HOSTS: u8 = 24;
/// TCP and UDP conversations: more than fit on one page of an export.
const CONVERSATIONS: usize = 360;

/// A mixture of good and bad traffic, about 2 000 frames of 0 to 9 000 bytes; the same for the same seed.
///
/// Hosts 02:00:00:00:00:01 to :18 with 10.0.0.x and 2001:db8::x come in by port 0, hosts 02:00:00:00:01:01
/// to :18 with 192.0.2.x and 2001:db8:1::x by port 1; they talk with each other.
pub fn corpus(seed: u64) -> Vec<Frame> {
    let mut random = Random::new(seed);
    let mut frames = Vec::new();
    for i in 0..CONVERSATIONS {
        conversation(&mut random, i, &mut frames);
    }
    for _ in 0..4 {
        special(&mut random, &mut frames);
    }
    described(&mut frames);
    let good = frames.clone();
    broken(&mut random, &good, &mut frames);
    noise(&mut random, &mut frames);
    shuffle(&mut random, &mut frames);
    frames
}

/// Two ends of a conversation.
#[derive(Clone, Copy)]
struct Ends {
    here: u8,
    there: u8,
    v6: bool,
    vlan: Option<u16>,
}

impl Ends {
    fn random(random: &mut Random) -> Self {
        Ends {
            here: 1 + random.byte() % HOSTS,
            there: 1 + random.byte() % HOSTS,
            v6: random.below(3) == 0,
            vlan: (random.below(6) == 0).then(|| 1 + random.below(5) as u16),
        }
    }

    /// Ethernet and IP of a packet from here to there, or back.
    fn ip(self, back: bool) -> Builder {
        let (inside, outside) = ([2, 0, 0, 0, 0, self.here], [2, 0, 0, 0, 1, self.there]);
        let link = if back { Builder::ethernet(outside, inside) } else { Builder::ethernet(inside, outside) };
        let link = match self.vlan {
            Some(id) => link.vlan(id),
            None => link,
        };
        let (a4, b4) = (Ipv4Addr::new(10, 0, 0, self.here), Ipv4Addr::new(192, 0, 2, self.there));
        let a6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(self.here));
        let b6 = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, u16::from(self.there));
        match (self.v6, back) {
            (false, false) => link.ipv4(a4, b4),
            (false, true) => link.ipv4(b4, a4),
            (true, false) => link.ipv6(a6, b6),
            (true, true) => link.ipv6(b6, a6),
        }
    }
}

fn add(frames: &mut Vec<Frame>, what: &str, back: bool, bytes: Vec<u8>) {
    frames.push(Frame { what: what.to_owned(), bytes, ingress: u16::from(back) });
}

/// A few packets of one TCP or UDP conversation, in order.
fn conversation(random: &mut Random, i: usize, frames: &mut Vec<Frame>) {
    let ends = Ends::random(random);
    let client = 1024 + (random.below(60000) as u16);
    let server = *random.pick(&[22, 53, 80, 123, 443, 4500, 5060, 8080]);
    let ip = |back, random: &mut Random| {
        ends.ip(back)
            .ttl(*random.pick(&[1, 2, 63, 64, 128, 255]))
            .dscp(random.byte() & 0x3f)
            .id(random.next() as u16)
    };
    let size = *random.pick(&[0, 1, 6, 18, 100, 300, 536, 1200]);
    if i.is_multiple_of(3) {
        let question = ip(false, random).udp(client, server).payload_len(size);
        add(frames, "udp", false, question.pad_to(60).build());
        let answer = ip(true, random).udp(server, client).payload_len(size * 2 % 1400);
        add(frames, "udp, answer", true, answer.build());
        return;
    }
    let sequence = random.next() as u32;
    let syn = ip(false, random).dont_fragment().tcp(client, server).seq(sequence).flags(flags::SYN);
    let options = [2, 4, 0x05, 0xb4, 1, 3, 3, 7, 4, 2];
    add(frames, "tcp syn", false, syn.tcp_options(&options).build());
    let syn_ack = ip(true, random).tcp(server, client).seq(7).flags(flags::SYN).ack(sequence.wrapping_add(1));
    add(frames, "tcp syn-ack", true, syn_ack.tcp_options(&options[..4]).build());
    let data = ip(false, random).tcp(client, server).seq(sequence.wrapping_add(1)).ack(8);
    add(frames, "tcp data", false, data.payload_len(size).pad_to(60).build());
    let last = if random.below(2) == 0 { flags::FIN } else { flags::RST };
    let end = ip(true, random).tcp(server, client).seq(8).flags(last).ack(sequence.wrapping_add(2));
    add(frames, "tcp end", true, end.pad_to(60).build());
}

/// One of each of the rarer kinds.
fn special(random: &mut Random, frames: &mut Vec<Frame>) {
    let v4 = Ends { v6: false, vlan: None, ..Ends::random(random) };
    let v6 = Ends { v6: true, ..v4 };
    let number = random.next() as u16;
    for ends in [v4, v6] {
        add(frames, "echo request", false, ends.ip(false).echo_request(number, 1).payload_len(56).build());
        add(frames, "echo reply", true, ends.ip(true).echo_reply(number, 1).payload_len(56).build());
        add(frames, "sctp", false, ends.ip(false).sctp(number, 36412, 77).payload_len(24).build());
        add(
            frames,
            "bad tcp checksum",
            false,
            ends.ip(false).tcp(number, 80).bad_checksum().payload_len(9).build(),
        );
        add(frames, "jumbo", false, ends.ip(false).udp(number, 2049).payload_len(8900).build());
        add(frames, "ah", false, ends.ip(false).authentication(9, 1).udp(number, 53).payload_len(9).build());
        let vxlan = ends.ip(false).vxlan(number, 4711).inner_ethernet([2, 1, 1, 1, 1, 1], [2, 1, 1, 1, 1, 2]);
        let inner = vxlan.ipv4([172, 16, 0, 1], [172, 16, 0, 2]).tcp(number, 443).payload_len(40);
        add(frames, "vxlan", false, inner.build());
        let large = ends.ip(false).udp(number, 5004).payload_len(3500).build();
        for fragment in fragments(&large, 1400, u32::from(number)) {
            add(frames, "fragment", false, fragment);
        }
        let lost = ends.ip(false).ttl(1).udp(number, 33434).payload_len(40).build();
        let router = if ends.v6 { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::new(10, 9, 9, 9).into() };
        let kind = if ends.v6 { wire::icmpv6::TIME_EXCEEDED } else { wire::icmp::TIME_EXCEEDED };
        if let Some(error) = icmp_error(&lost, router, kind, 0, 0) {
            add(frames, "icmp error", true, error);
        }
    }
    let options = v4.ip(false).ip_options(&[7, 7, 4, 0, 0, 0, 0]).udp(number, 53).payload_len(9);
    add(frames, "ipv4 options", false, options.build());
    add(frames, "tcp all flags", false, v4.ip(false).tcp(number, 80).flags(0xff).build());
    add(frames, "land", false, Builder::ethernet([2; 6], [2; 6]).ipv4([9; 4], [9; 4]).tcp(7, 7).build());
    add(
        frames,
        "multicast",
        false,
        Builder::ethernet([2; 6], [1, 0, 0x5e, 0, 0, 1])
            .ipv4([10, 0, 0, 1], [224, 0, 0, 1])
            .udp(1, 1)
            .build(),
    );
}

/// Those that are said best in words.
fn described(frames: &mut Vec<Frame>) {
    const HEAD: &str = "eth 02:00:00:00:00:01 > 02:00:00:00:01:01";
    let rows = [
        ("arp request", "arp request 02:00:00:00:00:01 10.0.0.1 > 10.0.0.2"),
        ("arp reply", "arp reply 02:00:00:00:00:01 10.0.0.1 > 02:00:00:00:01:01 10.0.0.2"),
        ("vlan with priority", "vlan 7 prio 5 / ipv4 10.0.0.1 > 192.0.2.1 / udp 1 > 2"),
        ("qinq", "qinq 100 / vlan 200 / ipv6 2001:db8::1 > 2001:db8:1::1 / tcp 1 > 2 syn"),
        ("three tags", "qinq 1 / vlan 2 / vlan 3 / ipv4 10.0.0.1 > 192.0.2.1 / udp 1 > 2"),
        (
            "nine tags",
            "vlan 1 / vlan 2 / vlan 3 / vlan 4 / vlan 5 / vlan 6 / vlan 7 / vlan 8 / vlan 9 / count 40",
        ),
        ("mpls", "mpls 16 / mpls 17 ttl 3 / ipv4 10.0.0.1 > 192.0.2.1 / udp 1 > 2"),
        ("pppoe", "pppoe 9 / ipv4 10.0.0.1 > 192.0.2.1 / udp 1 > 2 / count 20"),
        ("hop-by-hop", "ipv6 2001:db8::1 > 2001:db8:1::1 / hop-by-hop / destination / udp 1 > 2 / count 9"),
        ("atomic fragment", "ipv6 2001:db8::1 > 2001:db8:1::1 / fragment 5 / udp 1 > 2 / count 9"),
        (
            "later v6 fragment",
            "ipv6 2001:db8::1 > 2001:db8:1::1 proto 44 / fragment 5 offset 1232 / count 50",
        ),
        ("tiny first fragment", "ipv4 10.0.0.1 > 192.0.2.1 proto 6 mf / hex 0001 0050"),
        ("overlapping fragment", "ipv4 10.0.0.1 > 192.0.2.1 proto 6 offset 8 / count 30"),
        ("fragment past 65535", "ipv4 10.0.0.1 > 192.0.2.1 proto 17 offset 65528 / count 30"),
        ("neighbour solicitation", "ipv6 fe80::1 > ff02::1 hop 255 / icmp 135 0 / count 24"),
        ("unknown protocol", "ipv4 10.0.0.1 > 192.0.2.1 proto 99 / count 30"),
        ("gre", "ipv4 10.0.0.1 > 192.0.2.1 proto 47 / hex 00000800 / count 30"),
        ("esp", "ipv4 10.0.0.1 > 192.0.2.1 proto 50 / count 60"),
        ("dccp", "ipv4 10.0.0.1 > 192.0.2.1 proto 33 / count 30"),
        ("ip in ip", "ipv4 10.0.0.1 > 192.0.2.1 / ipv4 172.16.0.1 > 172.16.0.2 / udp 1 > 2"),
        ("no next header", "ipv6 2001:db8::1 > 2001:db8:1::1 proto 59"),
        ("ipv4 in an ipv6 frame", "ipv6 2001:db8::1 > 2001:db8:1::1 first 0x45 / count 30"),
        ("version 5", "ipv4 10.0.0.1 > 192.0.2.1 first 0x55 / udp 1 > 2"),
        ("header of 16 bytes", "ipv4 10.0.0.1 > 192.0.2.1 first 0x44 / udp 1 > 2"),
        ("header past the end", "ipv4 10.0.0.1 > 192.0.2.1 first 0x4f / udp 1 > 2"),
        ("total length 0", "ipv4 10.0.0.1 > 192.0.2.1 length 0 / tcp 1 > 2"),
        ("total length 19", "ipv4 10.0.0.1 > 192.0.2.1 length 19 / tcp 1 > 2"),
        ("total length 65535", "ipv4 10.0.0.1 > 192.0.2.1 length 65535 / udp 1 > 2 / count 20"),
        ("payload length 65535", "ipv6 2001:db8::1 > 2001:db8:1::1 length 65535 / udp 1 > 2 / count 20"),
        ("payload length 0", "ipv6 2001:db8::1 > 2001:db8:1::1 length 0 / udp 1 > 2 / count 20"),
        ("data offset 0", "ipv4 10.0.0.1 > 192.0.2.1 / tcp 1 > 2 words 0"),
        ("data offset 15", "ipv4 10.0.0.1 > 192.0.2.1 / tcp 1 > 2 words 15"),
        ("udp length 0", "ipv4 10.0.0.1 > 192.0.2.1 / udp 1 > 2 length 0 / count 20"),
        ("udp length 65535", "ipv4 10.0.0.1 > 192.0.2.1 / udp 1 > 2 length 65535 / count 20"),
        ("udp without checksum", "ipv4 10.0.0.1 > 192.0.2.1 / udp 1 > 2 nochecksum / count 20"),
        ("bad ipv4 checksum", "ipv4 10.0.0.1 > 192.0.2.1 bad / udp 1 > 2 / count 20"),
        ("ttl 0", "ipv4 10.0.0.1 > 192.0.2.1 ttl 0 / udp 1 > 2 / count 20"),
        ("vxlan without a frame", "ipv4 10.0.0.1 > 192.0.2.1 / vxlan 5"),
        ("icmp of 4 bytes", "ipv4 10.0.0.1 > 192.0.2.1 proto 1 / hex 08000000"),
        ("sctp of 8 bytes", "ipv4 10.0.0.1 > 192.0.2.1 proto 132 / hex 00010002 00000000"),
        ("pppoe of 4 bytes", "eth 02:00:00:00:00:01 > 02:00:00:00:01:01 type 0x8864 / hex 11000001"),
        (
            "arp of another kind",
            "eth 02:00:00:00:00:01 > 02:00:00:00:01:01 type 0x0806 / hex 0006 0800 06 04 0001 / count 28",
        ),
        ("bad ipv4 option", "ipv4 10.0.0.1 > 192.0.2.1 options 07ff0000 / udp 1 > 2"),
        ("bad tcp option", "ipv4 10.0.0.1 > 192.0.2.1 / tcp 1 > 2 options 02ff0000"),
        (
            "ten extensions",
            "ipv6 2001:db8::1 > 2001:db8:1::1 / hop-by-hop / destination / destination / destination / destination / destination / destination / destination / destination / destination / udp 1 > 2",
        ),
        ("802.3 length", "hex 424203"),
    ];
    for (what, rest) in rows {
        // Some name an EtherType of their own.
        let text = if rest.starts_with("eth ") { rest.to_owned() } else { format!("{HEAD} / {rest}") };
        if let Ok(bytes) = packet(&text) {
            add(frames, what, false, bytes);
        }
    }
}

/// Good packets, cut off and with bytes changed.
fn broken(random: &mut Random, good: &[Frame], frames: &mut Vec<Frame>) {
    for frame in good.iter().filter(|frame| frame.bytes.len() < 400).step_by(5) {
        let mut cut = frame.clone();
        cut.bytes.truncate(random.below(frame.bytes.len().min(80)));
        cut.what = format!("{}, cut", frame.what);
        let mut changed = frame.clone();
        for _ in 0..1 + random.below(4) {
            let at = random.below(changed.bytes.len().min(64));
            if let Some(byte) = changed.bytes.get_mut(at) {
                *byte = random.byte();
            }
        }
        changed.what = format!("{}, bytes changed", frame.what);
        frames.extend([cut, changed]);
    }
    // Every length of one packet that has everything.
    let text = "eth 02:00:00:00:00:01 > 02:00:00:00:01:01 / qinq 1 / vlan 2 / \
                ipv6 2001:db8::1 > 2001:db8:1::1 / hop-by-hop / tcp 1 > 2 syn options 020405b4";
    let whole = packet(text).unwrap_or_default();
    for len in 0..whole.len() {
        add(frames, "every length", false, whole[..len].to_vec());
    }
}

/// Random bytes, behind each EtherType that means something.
fn noise(random: &mut Random, frames: &mut Vec<Frame>) {
    for kind in [0x0800u16, 0x0806, 0x86dd, 0x8100, 0x88a8, 0x8847, 0x8864, 0x0000, 0xffff] {
        for _ in 0..12 {
            let len = 14 + random.below(120);
            let mut bytes = random.bytes(len);
            bytes[12..14].copy_from_slice(&kind.to_be_bytes());
            // Half of them with a plausible IP version, so that the parser goes on.
            if let (Some(first), true) = (bytes.get_mut(14), random.below(2) == 0) {
                *first = if kind == 0x86dd { 0x60 } else { 0x45 };
            }
            add(frames, "random bytes", false, bytes);
        }
    }
    for len in 0..14 {
        let bytes = random.bytes(len);
        add(frames, "runt", false, bytes);
    }
}

/// Moves frames over short distances only: conversations stay mostly in order.
fn shuffle(random: &mut Random, frames: &mut [Frame]) {
    // The rare and the broken come last so far: spread them evenly.
    let stride = 97;
    let len = frames.len();
    let mut order: Vec<usize> = (0..len).collect();
    order.sort_by_key(|i| (i % stride, *i));
    let mut spread: Vec<Frame> = order.into_iter().map(|i| frames[i].clone()).collect();
    for i in 1..len {
        let j = i.saturating_sub(random.below(4));
        spread.swap(i, j);
    }
    frames.clone_from_slice(&spread);
}
