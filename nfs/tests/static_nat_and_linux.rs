//! The static translator and Linux make the same of the same packets: nftables where it rewrites addresses without any
//! state (`ip saddr set`), and iptables' NETMAP, which knows connections, of packets that ICMP errors quote.

mod referee;

use referee::{Bench, Probe, Space};
use std::net::Ipv4Addr;
use wire::builder::{Builder, fragments, icmp_error};

/// What arrives at the interface of that name in the namespace.
const INNER: [u8; 6] = [2, 0, 0, 0, 0, 1];
const OUTER: [u8; 6] = [2, 0, 0, 0, 0, 2];
/// How long a packet may take.
const PATIENCE: f64 = 10.0;
const REMOTE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 9);
const MAPS: &str = "source = { \"10.0.0.0/24\" = \"203.0.113.0/24\" }\n\
                    destination = { \"203.0.113.0/24\" = \"10.0.0.0/24\" }\n";

/// A router between `in` and `out`, whose far ends are `in-far` and `out-far`.
fn router(test: &str, tools: &[&str]) -> Option<Space> {
    let space = Space::new(test, tools)?;
    space.run(
        "sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0",
    );
    for (name, mac) in [("in", "02:00:00:00:00:01"), ("out", "02:00:00:00:00:02")] {
        space.run(&format!("ip link add {name} address {mac} type veth peer name {name}-far"));
        space.run(&format!("ip link set {name} up"));
        space.run(&format!("ip link set {name}-far up"));
        space.run(&format!("sysctl -qw net.ipv4.conf.{name}.rp_filter=0"));
        space.run(&format!("ip neigh add 192.168.7.9 lladdr 02:00:00:00:00:09 dev {name}"));
    }
    space.run("ip route add 10.0.0.0/24 via 192.168.7.9 dev in onlink");
    space.run("ip route add default via 192.168.7.9 dev out onlink");
    Some(space)
}

/// Without MAC addresses, hop limit and the checksum over that, which are the router's.
fn plain(frame: &[u8]) -> Vec<u8> {
    let mut packet = frame[14..].to_vec();
    packet[8] = 0;
    packet[10..12].fill(0);
    packet
}

fn outside_of(inside: Ipv4Addr) -> Ipv4Addr {
    Ipv4Addr::new(203, 0, 113, inside.octets()[3])
}

/// One packet of every kind from one address to another.
fn kinds(mac: [u8; 6], from: Ipv4Addr, to: Ipv4Addr) -> Vec<Vec<u8>> {
    let ip = || Builder::ethernet([2; 6], mac).ipv4(from, to);
    let mut all = vec![
        ip().tcp(4000, 80).flags(0x18).payload(b"odd").build(),
        ip().tcp(4000, 80).payload(b"even").bad_checksum().build(),
        ip().udp(4000, 53).payload(b"question").build(),
        ip().udp(4000, 53).payload(b"x").no_udp_checksum().build(),
        ip().ip_options(&[1, 1, 1, 0]).udp(4000, 53).payload(b"options").build(),
        ip().echo_request(7, 1).payload(b"ping").build(),
        ip().sctp(4000, 80, 5).payload(b"sctp").build(),
        ip().protocol(47).payload(&[0, 0, 8, 0, 1, 2, 3, 4]).build(),
    ];
    for length in [1001, 1002] {
        let whole = ip().id(length).udp(4000, 53).payload_len(usize::from(length)).build();
        all.extend(fragments(&whole, 576, length.into()));
    }
    all
}

#[test]
fn nftables_rewrites_addresses_without_state_alike() {
    let Some(space) = router("statnat", &["ip", "nft", "python3"]) else { return };
    let hosts = [0, 1, 7, 100, 128, 255];
    let maps = |from: &str, to: &str| {
        let pairs: Vec<String> = hosts.iter().map(|host| format!("{from}.{host}:{to}.{host}")).collect();
        pairs.join(",")
    };
    let (out, back) = (maps("10.0.0", "203.0.113"), maps("203.0.113", "10.0.0"));
    space.run("nft add table ip t");
    space.run("nft add chain ip t c { type filter hook prerouting priority -300 ; }");
    for (interface, side, map, from) in
        [("in", "saddr", &out, "10.0.0.0/24"), ("out", "daddr", &back, "203.0.113.0/24")]
    {
        let rule = format!(
            "nft add rule ip t c iif {interface} ip {side} {from} ip {side} set ip {side} map {{ {map} }}"
        );
        if let Err(error) = space.try_run(&rule) {
            println!("skipped: this kernel cannot rewrite addresses: {error}");
            return;
        }
    }
    let mut outward = Probe::new(&space, "in-far", "out-far", "ethernet");
    let mut inward = Probe::new(&space, "out-far", "in-far", "ethernet");
    let mut compared = 0;
    for icmp_errors in ["translate", "pass"] {
        let mut ours = Bench::new("static_nat", &format!("{MAPS}icmp_errors = \"{icmp_errors}\""));
        for host in hosts {
            let inside = Ipv4Addr::new(10, 0, 0, host);
            let there = kinds(INNER, inside, REMOTE).into_iter().map(|frame| (true, frame));
            let back = kinds(OUTER, REMOTE, outside_of(inside)).into_iter().map(|frame| (false, frame));
            for (is_outward, frame) in there.chain(back) {
                let sent = ours.send(&frame).expect("it drops nothing");
                let probe = if is_outward { &mut outward } else { &mut inward };
                let theirs = probe.ask(&frame, PATIENCE).unwrap_or_else(|| panic!("{frame:x?} is lost"));
                assert_eq!(plain(&sent), plain(&theirs), "{frame:x?}");
                assert!(
                    wire::checksum::Sum::new()
                        .bytes(&sent[14..14 + usize::from(sent[14] & 15) * 4])
                        .is_valid()
                );
                assert_ne!(sent, frame);
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 2 * 6 * 2 * kinds(INNER, REMOTE, REMOTE).len());
}

/// Linux finds what an error is about among its connections, we by the maps turned round.
#[test]
fn errors_reach_their_senders_with_the_packet_that_they_sent() {
    let Some(space) = router("netmap", &["ip", "iptables", "python3"]) else { return };
    let out = "iptables -t nat -A POSTROUTING -o out -s 10.0.0.0/24 -j NETMAP --to 203.0.113.0/24";
    let back = "iptables -t nat -A PREROUTING -i out -d 203.0.113.0/24 -j NETMAP --to 10.0.0.0/24";
    if let Err(error) = space.try_run(out).and(space.try_run(back)) {
        println!("skipped: no NETMAP in this kernel: {error}");
        return;
    }
    let mut outward = Probe::new(&space, "in-far", "out-far", "ethernet");
    let mut inward = Probe::new(&space, "out-far", "in-far", "ethernet");
    let mut ours = Bench::new("static_nat", MAPS);
    let router = Ipv4Addr::new(192, 0, 2, 1);
    for host in [1, 7, 200] {
        let inside = Ipv4Addr::new(10, 0, 0, host);
        let ip = || Builder::ethernet([2; 6], INNER).ipv4(inside, REMOTE);
        for asked in [
            ip().tcp(4000, 80).flags(2).build(),
            ip().udp(4000, 53).payload(b"question").build(),
            ip().udp(4001, 53).payload(b"x").no_udp_checksum().build(),
            ip().echo_request(7, 1).payload(b"ping").build(),
        ] {
            let sent = ours.send(&asked).expect("it drops nothing");
            let theirs = outward.ask(&asked, PATIENCE).expect("Linux lets it out");
            assert_eq!(plain(&sent), plain(&theirs));
            let mut error =
                icmp_error(&sent, router.into(), wire::icmp::TIME_EXCEEDED, 0, 0).expect("an error");
            error[..6].copy_from_slice(&OUTER);
            let arrived = ours.send(&error).expect("it drops nothing");
            let theirs = inward.ask(&error, PATIENCE).expect("Linux lets it in");
            assert_eq!(plain(&arrived), plain(&theirs), "{asked:x?}");
            // As if it had been sent about the packet as it was.
            let about = icmp_error(&asked, router.into(), wire::icmp::TIME_EXCEEDED, 0, 0).expect("an error");
            assert_eq!(arrived[14..], about[14..]);
        }
    }
}
