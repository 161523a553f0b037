//! NAT64 beside tayga, a stateless translator in user space: what both define, both make alike of the same packets.

mod referee;

use referee::{Bench, Probe, Space};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use wire::builder::{Builder, fragments};
use wire::tcp::flags::{ACK, PSH, SYN};

const HOST: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 7);
const POOL: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
const WEB: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const WEB6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x64, 0, 0, 0, 0xc000, 0x201);
/// A router on the way.
const ROUTER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 9);
/// The only port of the pool, and the host's: so that a stateful translator and a stateless one do the same.
const PORT: u16 = 4000;
const CONFIG: &str = "prefix = \"2001:db8:64::/96\"\npool = [\"203.0.113.7\"]\nports = \"4000-4000\"";

/// Tayga with the same addresses.
const TAYGA: &str = "tun-device nat64
ipv4-addr 203.0.113.254
ipv6-addr 2001:db8:1::fe
prefix 2001:db8:64::/96
map 203.0.113.7 2001:db8:1::7
";

struct Tayga {
    child: Child,
    folder: std::path::PathBuf,
}

impl Tayga {
    fn start(space: &Space) -> Tayga {
        let folder = std::env::temp_dir().join(&space.name);
        std::fs::create_dir_all(&folder).expect("a folder");
        let file = folder.join("tayga.conf");
        std::fs::write(&file, TAYGA).expect("a file");
        let mut command = space.inside(&format!("tayga --nodetach -c {}", file.display()));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("tayga");
        let tayga = Tayga { child, folder };
        let begun = Instant::now();
        while space.try_run("ip link set nat64 up").is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "tayga does not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
        tayga
    }
}

impl Drop for Tayga {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn v6() -> Builder {
    Builder::ethernet([2; 6], [4; 6]).ipv6(HOST, WEB6)
}

fn v4() -> Builder {
    Builder::ethernet([4; 6], [2; 6]).ipv4(WEB, POOL)
}

/// An ICMP error about a packet of the host, from a router: of the packet so many bytes.
fn error_v4(kind: u8, code: u8, rest: u32, about: &[u8], len: usize) -> Vec<u8> {
    let about = &about[14..];
    let about = &about[..about.len().min(len)];
    Builder::ethernet([4; 6], [2; 6]).ipv4(ROUTER, POOL).icmp(kind, code, rest).payload(about).build()
}

/// From the host, about a packet that it was sent.
fn error_v6(kind: u8, code: u8, rest: u32, about: &[u8]) -> Vec<u8> {
    v6().icmp(kind, code, rest).payload(&about[14..]).build()
}

/// All that is compared. The first ones make the sessions that the others need. Not among them are parameter problems with
/// pointers and "address unreachable", which tayga drops.
fn packets() -> Vec<(String, Vec<u8>)> {
    let mut rows: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |what: &str, bytes: Vec<u8>| rows.push((what.to_owned(), bytes));
    add("UDP", v6().udp(PORT, 53).payload(b"question").build());
    add("UDP back", v4().udp(53, PORT).payload(b"an answer").build());
    add("TCP SYN", v6().tcp(PORT, 80).seq(9).flags(SYN).tcp_options(&[2, 4, 5, 0xb4]).build());
    add("TCP SYN back", v4().tcp(80, PORT).flags(SYN).ack(10).build());
    add("TCP data", v6().tcp(PORT, 80).flags(PSH | ACK).payload_len(1000).build());
    add("TCP data back", v4().dont_fragment().tcp(80, PORT).flags(ACK).payload_len(1001).build());
    add("echo request", v6().echo_request(PORT, 1).payload_len(56).build());
    add("echo reply", v4().echo_reply(PORT, 1).payload_len(57).build());
    add("traffic class and hops", v6().dscp(46).ecn(1).ttl(9).flow_label(0x12345).udp(PORT, 53).build());
    add("type of service and TTL", v4().dscp(8).ecn(2).ttl(200).udp(53, PORT).build());
    for len in [1212, 1213, 1232, 1233, 1400] {
        add(&format!("UDP with {len} bytes"), v6().udp(PORT, 53).payload_len(len).build());
        add(
            &format!("UDP with {len} bytes back"),
            v4().dont_fragment().udp(53, PORT).payload_len(len).build(),
        );
    }
    add("extension headers", v6().hop_by_hop().destination_options().udp(PORT, 53).payload_len(5).build());
    add("IPv4 options", v4().ip_options(&[148, 4, 0, 0]).udp(53, PORT).payload_len(5).build());
    add("an atomic fragment", v6().ipv6_fragment(0, false, 0x1_2345).udp(PORT, 53).payload_len(5).build());
    for (i, fragment) in
        fragments(&v6().udp(PORT, 53).payload_len(3000).build(), 1280, 77).into_iter().enumerate()
    {
        add(&format!("fragment {i}"), fragment);
    }
    for (i, fragment) in
        fragments(&v4().udp(53, PORT).payload_len(3000).build(), 1200, 78).into_iter().enumerate()
    {
        add(&format!("fragment {i} back"), fragment);
    }
    let sent = |len: usize| {
        Builder::ethernet([2; 6], [4; 6]).ipv4(POOL, WEB).id(7).ttl(3).udp(PORT, 53).payload_len(len).build()
    };
    let came = |len: usize| {
        Builder::ethernet([4; 6], [2; 6]).ipv6(WEB6, HOST).ttl(60).udp(53, PORT).payload_len(len).build()
    };
    for (kind, code) in [(11, 0), (11, 1)].into_iter().chain((0..16).filter(|c| *c != 4).map(|c| (3, c))) {
        add(&format!("ICMP {kind} {code}"), error_v4(kind, code, 0, &sent(64), 28));
    }
    add("ICMP 3 3 with more", error_v4(3, 3, 0, &sent(64), 92));
    for mtu in [1500, 1400, 1280] {
        add(&format!("fragmentation needed, {mtu}"), error_v4(3, 4, mtu, &sent(1400), 28));
    }
    for (kind, code) in
        [(3, 0), (3, 1), (4, 1), (4, 2)].into_iter().chain([0, 1, 2, 4, 5].map(|code| (1, code)))
    {
        add(&format!("ICMPv6 {kind} {code}"), error_v6(kind, code, 6, &came(64)));
    }
    for mtu in [1280, 1400, 1500] {
        add(&format!("packet too big, {mtu}"), error_v6(2, 0, mtu, &came(1200)));
    }
    rows
}

/// What is up to each translator: the identification of packets that are no fragments, and so the checksum over it. Tayga
/// is older than RFC 7915 and forbids the fragmentation of all packets, of those of up to 1 260 bytes too, also inside
/// ICMP errors.
fn comparable(packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    if packet[0] >> 4 == 6 {
        return packet;
    }
    let is_error = packet[9] == 1 && wire::icmp::is_error(packet[20]);
    for at in if is_error { &[0, 28][..] } else { &[0] } {
        let mut header = wire::ipv4::Packet::new_checked(&mut packet[*at..]).expect("IPv4");
        assert!(header.checksum_is_valid());
        let is_fragment = header.more_fragments() || header.fragment_offset() > 0;
        let len = header.total_len();
        if !is_fragment {
            header.set_id(0);
            if len <= 1260 {
                packet[at + 6] &= !0x40;
            }
            wire::ipv4::Packet::new_checked(&mut packet[*at..]).expect("IPv4").fill_checksum();
        }
    }
    if is_error {
        // The packet inside is not as it was summed.
        packet[22..24].fill(0);
    }
    packet
}

#[test]
fn tayga_translates_the_same_packets_alike() {
    let Some(space) = Space::new("tayga", &["ip", "tayga", "python3"]) else { return };
    space.run("sysctl -qw net.ipv6.conf.default.disable_ipv6=1");
    let _tayga = Tayga::start(&space);
    let mut theirs = Probe::new(&space, "nat64", "nat64", "ip");
    let mut ours = Bench::new("nat64", CONFIG);
    let (mut alike, mut differing) = (0, Vec::new());
    for (what, frame) in packets() {
        let mine = ours.send(&frame);
        let other = theirs.ask(&frame[14..], if mine.is_ok() { 10.0 } else { 0.5 });
        let shown = |packet: &[u8]| packet.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        match (&mine, &other) {
            (Ok(mine), Some(other)) if comparable(&mine[14..]) == comparable(other) => alike += 1,
            (Err(_), None) => alike += 1,
            _ => differing.push(format!(
                "{what}:\n  ours  {}\n  tayga {}",
                mine.map_or_else(str::to_owned, |mine| shown(&mine[14..])),
                other.map_or("-".to_owned(), |other| shown(&other)),
            )),
        }
    }
    assert!(differing.is_empty(), "{alike} alike\n{}", differing.join("\n"));
}
