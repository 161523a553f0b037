//! What NAT64 makes of packets that are too much for a line of a packet case: errors, fragments, segments.

mod referee;

use engine::Fate;
use referee::Bench;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use wire::builder::{Builder, icmp_error};
use wire::{icmp, icmpv6};

const HOST: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7);
const OTHER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 8);
const POOL: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
const WEB: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const ROUTER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 9);
const ROUTER6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0xfe);
const CONFIG: &str = "prefix = \"2001:db8:64::/96\"\npool = [\"203.0.113.1\"]\nports = \"5000-5000\"\n\
                      icmp_from = [\"203.0.113.254\", \"2001:db8::fe\"]\n";

fn embedded(address: Ipv4Addr) -> Ipv6Addr {
    let [a, b, c, d] = address.octets();
    Ipv6Addr::new(0x2001, 0xdb8, 0x64, 0, 0, 0, u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
}

fn v6(from: Ipv6Addr, to: Ipv6Addr) -> Builder {
    Builder::ethernet([2; 6], [4; 6]).ipv6(from, to)
}

fn v4(from: Ipv4Addr, to: Ipv4Addr) -> Builder {
    Builder::ethernet([2; 6], [4; 6]).ipv4(from, to)
}

/// An ICMP message: all of it is compared but the identification.
fn assert_same(out: Result<Vec<u8>, &str>, expected: Vec<u8>, what: &str) {
    let mut out = out.unwrap_or_else(|reason| panic!("{what}: {reason}"));
    if out.get(12) == Some(&8) {
        let id = u16::from_be_bytes([expected[18], expected[19]]);
        let mut header = wire::ipv4::Packet::new_checked(&mut out[14..]).expect("IPv4");
        assert!(header.checksum_is_valid());
        header.set_id(id);
        header.fill_checksum();
    }
    assert_eq!(out, expected, "{what}");
}

#[test]
fn an_error_from_ipv4_shows_the_host_its_own_packet() {
    let mut nat = Bench::new("nat64", CONFIG);
    for (what, sent) in [
        ("udp", v6(HOST, embedded(WEB)).udp(4000, 53).payload_len(64)),
        ("tcp", v6(HOST, embedded(WEB)).tcp(4000, 80).flags(2)),
        ("echo", v6(HOST, embedded(WEB)).echo_request(4000, 1).payload_len(9)),
    ] {
        let sent = sent.build();
        let out = nat.send(&sent).expect("translated");
        // Eight bytes of the transport are quoted; then all of it.
        for quoted in [28, out.len() - 14] {
            let packet = &out[14..14 + quoted];
            let error = v4(ROUTER, POOL).icmp(icmp::TIME_EXCEEDED, 0, 0).payload(packet).build();
            let mut inner = sent[14..14 + quoted + 20].to_vec();
            // As it was when it met the router.
            inner[7] = 63;
            let expected =
                v6(embedded(ROUTER), HOST).ttl(63).icmp(icmpv6::TIME_EXCEEDED, 0, 0).payload(&inner).build();
            assert_same(nat.send(&error), expected, what);
        }
    }
}

#[test]
fn an_error_from_ipv6_comes_from_the_hosts_ipv4_address() {
    let mut nat = Bench::new("nat64", CONFIG);
    nat.send(&v6(HOST, embedded(WEB)).udp(4000, 53).payload(b"x").build()).expect("translated");
    let came = v4(WEB, POOL).udp(53, 5000).payload_len(64).build();
    let seen = nat.send(&came).expect("translated");
    for from in [HOST, ROUTER6] {
        let error = icmp_error(&seen, from.into(), icmpv6::UNREACHABLE, 4, 0).expect("an error");
        let mut inner = came[14..].to_vec();
        let mut header = wire::ipv4::Packet::new_checked(&mut inner[..]).expect("IPv4");
        header.set_ttl(63);
        header.set_id(0);
        header.fill_checksum();
        let expected =
            Builder::ethernet([4; 6], [2; 6]).ipv4(POOL, WEB).ttl(63).icmp(icmp::UNREACHABLE, 3, 0);
        assert_same(nat.send(&error), expected.payload(&inner).build(), "port unreachable");
    }
}

#[test]
fn an_error_between_hosts_of_the_translator_goes_back_as_it_came() {
    let mut nat =
        Bench::new("nat64", &format!("{CONFIG}[forward]\n\"udp 203.0.113.1:8080\" = \"[2001:db8::8]:80\""));
    let sent = v6(HOST, embedded(POOL)).udp(4000, 8080).payload(b"x").build();
    let seen = nat.send(&sent).expect("hairpinned");
    let error = icmp_error(&seen, OTHER.into(), icmpv6::UNREACHABLE, 4, 0).expect("an error");
    let mut inner = sent[14..].to_vec();
    inner[7] = 63;
    let expected =
        Builder::ethernet([4; 6], [2; 6]).ipv6(embedded(POOL), HOST).ttl(62).icmp(icmpv6::UNREACHABLE, 4, 0);
    assert_same(nat.send(&error), expected.payload(&inner).build(), "hairpinned");
}

#[test]
fn errors_that_are_broken_or_about_nothing_end() {
    let mut nat = Bench::new("nat64", CONFIG);
    let sent = v6(HOST, embedded(WEB)).udp(4000, 53).payload_len(64).build();
    let out = nat.send(&sent).expect("translated");
    let error = |kind, code| v4(ROUTER, POOL).icmp(kind, code, 0).payload(&out[14..42]);
    assert_eq!(nat.send(&error(11, 0).bad_checksum().build()), Err("icmp_bad_checksum"));
    assert_eq!(nat.send(&error(3, 14).build()), Err("icmp_other"));
    assert_eq!(nat.send(&error(5, 0).build()), Err("icmp_other"));
    let stranger = v4(POOL, WEB).udp(5001, 53).payload(b"x").build();
    let error = v4(ROUTER, POOL).icmp(11, 0, 0).payload(&stranger[14..42]).build();
    assert_eq!(nat.send(&error), Err("icmp_unrelated"));
    let mut bad = out[14..42].to_vec();
    bad[10] ^= 1;
    let error = v4(ROUTER, POOL).icmp(11, 0, 0).payload(&bad).build();
    assert_eq!(nat.send(&error), Err("icmp_bad_checksum"), "of the header inside");
}

#[test]
fn extensions_of_errors_go_along() {
    let mut nat = Bench::new("nat64", CONFIG);
    let sent = v6(HOST, embedded(WEB)).udp(4000, 53).payload_len(200).build();
    let out = nat.send(&sent).expect("translated");
    // RFC 4884: 128 bytes of the packet, then an extension of 12.
    let extension = [0x20, 0, 0, 0, 0, 8, 1, 1, 0, 0x12, 0x34, 0x56];
    let mut quoted = out[14..14 + 128].to_vec();
    quoted.extend(extension);
    let error = v4(ROUTER, POOL).icmp(icmp::TIME_EXCEEDED, 0, 32 << 16).payload(&quoted).build();
    let mut inner = sent[14..14 + 148].to_vec();
    inner[7] = 63;
    inner.resize(152, 0);
    inner.extend(extension);
    let rest = (152 / 8) << 24;
    let expected =
        v6(embedded(ROUTER), HOST).ttl(63).icmp(icmpv6::TIME_EXCEEDED, 0, rest).payload(&inner).build();
    assert_same(nat.send(&error), expected, "with an extension");
}

#[test]
fn senders_are_told_of_packets_that_are_too_large_or_have_no_hop_left() {
    let mut nat = Bench::new("nat64", CONFIG);
    nat.send(&v6(HOST, embedded(WEB)).udp(4000, 53).payload(b"x").build()).expect("translated");
    let told = |about: &[u8], from: IpAddr, kind, code, rest, most: usize| {
        let mut error = icmp_error(about, from, kind, code, rest).expect("an error");
        // The builder quotes as little as it may of IPv4; the NF as much.
        if let IpAddr::V4(from) = from {
            let packet = &about[14..about.len().min(14 + most - 28)];
            let to = wire::parse(about).ipv4_addresses(about).expect("IPv4").0;
            error = Builder::ethernet([4; 6], [2; 6])
                .ipv4(from, to)
                .dscp(48)
                .icmp(kind, code, rest)
                .payload(packet)
                .build();
        }
        error
    };
    let (v4_from, v6_from) = (IpAddr::V4(Ipv4Addr::new(203, 0, 113, 254)), IpAddr::V6(ROUTER6));
    let large6 = v6(HOST, embedded(WEB)).udp(4000, 53).payload_len(1480).build();
    let large4 = v4(WEB, POOL).dont_fragment().udp(53, 5000).payload_len(1453).build();
    let last6 = v6(HOST, embedded(WEB)).ttl(1).udp(4000, 53).payload(b"x").build();
    let last4 = v4(WEB, POOL).ttl(1).udp(53, 5000).payload(b"x").build();
    for (frame, reason, error) in [
        (&large6, "too_large", told(&large6, v6_from, 2, 0, 1520, 1280)),
        (&large4, "too_large", told(&large4, v4_from, 3, 4, 1480, 576)),
        (&last6, "ttl_expired", told(&last6, v6_from, 3, 0, 0, 1280)),
        (&last4, "ttl_expired", told(&last4, v4_from, 11, 0, 0, 576)),
    ] {
        let (fate, emitted) = nat.round(frame);
        assert_eq!(fate, Fate::Drop(reason));
        assert_eq!(emitted.len(), 1, "{reason}");
        assert_eq!(emitted[0].bytes, error, "{reason}");
    }
}

#[test]
fn what_may_be_fragmented_is_and_comes_together_again() {
    let mut nat = Bench::new("nat64", CONFIG);
    nat.send(&v6(HOST, embedded(WEB)).udp(4000, 53).payload(b"x").build()).expect("translated");
    for (len, fragments) in [(1233, 2), (1400, 2), (4000, 4), (1232, 1)] {
        let came = v4(WEB, POOL).id(0x1234).udp(53, 5000).no_udp_checksum().payload_len(len).build();
        let (fate, emitted) = nat.round(&came);
        let Fate::Forward(first) = fate else { panic!("{fate:?}") };
        let pieces: Vec<Vec<u8>> = [first].into_iter().chain(emitted.into_iter().map(|e| e.bytes)).collect();
        assert_eq!(pieces.len(), fragments, "{len}");
        let mut whole: Vec<u8> = Vec::new();
        for (i, piece) in pieces.iter().enumerate() {
            let headers = wire::parse(piece);
            assert!(piece.len() <= 14 + 1280 && headers.malformed().is_none());
            assert_eq!(headers.is_fragment(), fragments > 1);
            if fragments > 1 {
                assert_eq!(headers.fragment_offset(piece), Some(whole.len()));
                assert_eq!(piece[57] & 1 == 1, i + 1 < fragments, "more");
                assert_eq!(piece[58..62], [0, 0, 0x12, 0x34]);
            }
            whole.extend(&piece[if fragments > 1 { 62 } else { 54 }..]);
        }
        // As if it had never been cut, with the checksum that it lacked.
        let expected = v6(embedded(WEB), HOST).udp(53, 4000).payload_len(len).build();
        assert_eq!(whole, expected[54..], "{len}");
    }
    // A fragment that is cut further.
    let came = v4(WEB, POOL).id(9).fragment(0, true).udp(53, 5000).payload_len(1400).build();
    let (fate, emitted) = nat.round(&came);
    let Fate::Forward(first) = fate else { panic!("{fate:?}") };
    assert!(first[57] & 1 == 1 && emitted.len() == 1 && emitted[0].bytes[57] & 1 == 1, "more of both");
}
