//! The prefix translator and Linux's own (the SNPT and DNPT targets of ip6tables) make the same of the same packets.

mod referee;

use referee::{Bench, Probe, Space};
use std::net::Ipv6Addr;
use wire::builder::{Builder, icmp_error};

/// What arrives at the interface of that name in the namespace.
const INNER: [u8; 6] = [2, 0, 0, 0, 0, 1];
const OUTER: [u8; 6] = [2, 0, 0, 0, 0, 2];
/// How long a packet may take.
const PATIENCE: f64 = 10.0;
const REMOTE: Ipv6Addr = Ipv6Addr::new(0x2a00, 0, 0, 0, 0, 0, 0, 1);

/// A router between `in` and `out`, whose far ends are `in-far` and `out-far`.
fn router() -> Option<Space> {
    let space = Space::new("npt", &["ip", "ip6tables", "python3"])?;
    space.run("sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv6.conf.default.accept_dad=0");
    for (name, mac) in [("in", "02:00:00:00:00:01"), ("out", "02:00:00:00:00:02")] {
        space.run(&format!("ip link add {name} address {mac} type veth peer name {name}-far"));
        space.run(&format!("sysctl -qw net.ipv6.conf.{name}-far.disable_ipv6=1"));
        space.run(&format!("ip link set {name} up"));
        space.run(&format!("ip link set {name}-far up"));
        space.run(&format!("ip -6 neigh add fe80::9 lladdr 02:00:00:00:00:09 dev {name}"));
    }
    space.run("ip -6 route add default via fe80::9 dev out");
    Some(space)
}

/// Without MAC addresses and hop limit, which are the router's.
fn plain(frame: &[u8]) -> Vec<u8> {
    let mut packet = frame[14..].to_vec();
    packet[7] = 0;
    packet
}

#[test]
fn linux_translates_the_same_packets_alike() {
    let Some(space) = router() else { return };
    let mut compared = 0;
    for (internal, external) in [
        ("fd01:203:405::/48", "2001:db8:1::/48"),
        ("fd01:203::/32", "2001:db8::/32"),
        ("fd01:203:400::/40", "2001:db8:100::/40"),
        ("fd01:203:405:8000::/49", "2001:db8:1::/49"),
        ("fd01:203:405:a0::/60", "2001:db8:1:b0::/60"),
        ("fd01:203:405:1::/64", "2001:db8:1:2::/64"),
        // Nothing to make up for.
        ("fd01:1:2::/48", "fd01:2:1::/48"),
    ] {
        space.run("ip6tables -t mangle -F");
        space.run(&format!("ip -6 route replace {internal} via fe80::9 dev in"));
        let out =
            format!("-A POSTROUTING -o out -s {internal} -j SNPT --src-pfx {internal} --dst-pfx {external}");
        let back =
            format!("-A PREROUTING -i out -d {external} -j DNPT --src-pfx {external} --dst-pfx {internal}");
        if let Err(error) = space
            .try_run(&format!("ip6tables -t mangle {out}"))
            .and(space.try_run(&format!("ip6tables -t mangle {back}")))
        {
            println!("skipped: no prefix translation in this kernel: {error}");
            return;
        }
        let mut ours = Bench::new("nptv6", &format!("prefixes = {{ \"{internal}\" = \"{external}\" }}"));
        let mut outward = Probe::new(&space, "in-far", "out-far", "ethernet");
        let mut inward = Probe::new(&space, "out-far", "in-far", "ethernet");
        let prefix: wire::Prefix6 = internal.parse().expect("a prefix");
        for host in [
            0x0001_0000_0000_0000_1234_u128,
            0x0000_ffff_0000_0000_0001,
            0x0abc_ffff_ffff_ffff_0001,
            0x7fff_0211_22ff_fe33_4455,
            0xfffe_8000_0000_0000_0000,
            0x2ab0_2ab0_0000_0000_0001,
        ] {
            let inside = Ipv6Addr::from(prefix.address() | host & !prefix.mask());
            let there = Builder::ethernet([2; 6], INNER)
                .ipv6(inside, REMOTE)
                .udp(4000, 53)
                .payload(b"question")
                .build();
            let sent = ours.send(&there).expect("translated");
            let theirs =
                outward.ask(&there, PATIENCE).unwrap_or_else(|| panic!("{internal}: {inside} is lost"));
            assert_eq!(plain(&sent), plain(&theirs), "{internal} > {external}: {inside}");
            let (outside, _) = wire::parse(&sent).ipv6_addresses(&sent).expect("IPv6");
            let back = Builder::ethernet([2; 6], OUTER)
                .ipv6(REMOTE, outside)
                .udp(53, 4000)
                .payload(b"answer")
                .build();
            let sent = ours.send(&back).expect("translated");
            let theirs = inward
                .ask(&back, PATIENCE)
                .unwrap_or_else(|| panic!("{internal}: the answer to {inside} is lost"));
            assert_eq!(plain(&sent), plain(&theirs), "{external} > {internal}: {inside}");
            assert_eq!(wire::parse(&sent).ipv6_addresses(&sent).map(|(_, dst)| dst), Some(inside.into()));
            compared += 2;
        }
    }
    assert_eq!(compared, 7 * 6 * 2);
}

/// What an error is about is shown to its receiver as that sent it, and all checksums are right.
#[test]
fn errors_find_back_with_the_packet_inside() {
    let mut nf = Bench::new("nptv6", "prefixes = { \"fd01:203:405::/48\" = \"2001:db8:1::/48\" }");
    let inside: Ipv6Addr = "fd01:203:405:1::1234".parse().expect("an address");
    let other: Ipv6Addr = "2001:db8:1:d551::5".parse().expect("an address");
    let router: Ipv6Addr = "2001:db8:ffff::fe".parse().expect("an address");
    let sent = Builder::ethernet([2; 6], [4; 6]).ipv6(inside, REMOTE).udp(4000, 9).payload(b"x").build();
    let outside = nf.send(&sent).expect("translated");
    let error = icmp_error(&outside, router.into(), wire::icmpv6::TIME_EXCEEDED, 0, 0).expect("an error");
    let expected = icmp_error(&sent, router.into(), wire::icmpv6::TIME_EXCEEDED, 0, 0).expect("an error");
    assert_eq!(nf.send(&error), Ok(expected));
    // From inside, about a packet that came in.
    let question =
        Builder::ethernet([4; 6], [2; 6]).ipv6(REMOTE, outside_of(&outside)).udp(53, 9).payload(b"x").build();
    let arrived = nf.send(&question).expect("translated");
    let error = icmp_error(&arrived, inside.into(), wire::icmpv6::UNREACHABLE, 4, 0).expect("an error");
    let expected = icmp_error(&question, outside_of(&outside).into(), wire::icmpv6::UNREACHABLE, 4, 0)
        .expect("an error");
    assert_eq!(nf.send(&error), Ok(expected));
    // Between two inside by an external address.
    let sent = Builder::ethernet([2; 6], [4; 6]).ipv6(inside, other).udp(1, 9).payload(b"x").build();
    let arrived = nf.send(&sent).expect("translated");
    let (_, receiver) = wire::parse(&arrived).addresses(&arrived).expect("IPv6");
    let error = icmp_error(&arrived, receiver, wire::icmpv6::UNREACHABLE, 4, 0).expect("an error");
    // It is for the external address of the sender, and comes from that of the receiver.
    let expected = icmp_error(&sent, other.into(), wire::icmpv6::UNREACHABLE, 4, 0).expect("an error");
    assert_eq!(nf.send(&error), Ok(expected));
}

fn outside_of(frame: &[u8]) -> Ipv6Addr {
    wire::parse(frame).ipv6_addresses(frame).expect("IPv6").0.into()
}
