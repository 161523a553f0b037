use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::builder::{Builder, fragments, icmp_error};
use crate::parse;

const A: [u8; 6] = [2, 0, 0, 0, 0, 1];
const B: [u8; 6] = [2, 0, 0, 0, 0, 2];

fn v4() -> Builder {
    Builder::ethernet(A, B).ipv4([10, 0, 0, 1], [10, 0, 0, 2])
}

fn v6() -> Builder {
    Builder::ethernet(A, B).ipv6(0x2001_0db8 << 96 | 1, 0x2001_0db8 << 96 | 2)
}

fn key(frame: &[u8]) -> Option<FlowKey> {
    FlowKey::from_packet(&parse(frame), frame)
}

#[test]
fn sizes_are_those_documented() {
    assert_eq!((size_of::<FlowKey4>(), size_of::<FlowKey6>()), (16, 48));
}

#[test]
fn keys_of_packets() {
    let rows = [
        ("udp", v4().udp(1000, 53), "10.0.0.1:1000 > 10.0.0.2:53 17"),
        ("tcp", v4().tcp(1000, 80), "10.0.0.1:1000 > 10.0.0.2:80 6"),
        ("sctp", v4().sctp(1, 2, 3), "10.0.0.1:1 > 10.0.0.2:2 132"),
        ("echo", v4().echo_request(77, 1), "10.0.0.1:77 > 10.0.0.2:77 1"),
        ("echo reply", v4().echo_reply(77, 1), "10.0.0.1:77 > 10.0.0.2:77 1"),
        ("other icmp", v4().icmp(9, 0, 0x4d_0000), "10.0.0.1:0 > 10.0.0.2:0 1"),
        ("esp", v4().protocol(50).payload_len(20), "10.0.0.1:0 > 10.0.0.2:0 50"),
        ("later fragment", v4().protocol(17).fragment(8, true).payload_len(8), "10.0.0.1:0 > 10.0.0.2:0 17"),
        ("ipv6", v6().udp(1000, 53), "[2001:db8::1]:1000 > [2001:db8::2]:53 17"),
        ("echo over ipv6", v6().echo_request(77, 1), "[2001:db8::1]:77 > [2001:db8::2]:77 58"),
        ("extensions", v6().hop_by_hop().tcp(1, 2), "[2001:db8::1]:1 > [2001:db8::2]:2 6"),
    ];
    for (what, builder, expected) in rows {
        assert_eq!(key(&builder.build()).unwrap().to_string(), expected, "{what}");
    }
    assert_eq!(key(&Builder::ethernet(A, B).payload_len(46).build()), None);
    assert_eq!(key(&v6().hop_by_hop().build()[..58]), None, "a broken chain has no protocol");
}

#[test]
fn an_icmp_error_belongs_to_the_flow_that_it_is_about() {
    for (packet, from, kind) in [
        (v4().udp(1000, 53).payload(b"hey").build(), "10.9.9.9", 11),
        (v4().tcp(1000, 80).build(), "10.0.0.2", 3),
        (v4().echo_request(5, 1).build(), "10.9.9.9", 11),
        (v6().udp(1000, 53).payload(b"hey").build(), "2001:db8::9", 3),
        (v6().hop_by_hop().tcp(1000, 80).build(), "2001:db8::2", 1),
    ] {
        let about = key(&packet).unwrap();
        let error = icmp_error(&packet, from.parse().unwrap(), kind, 0, 0).unwrap();
        let headers = parse(&error);
        assert_eq!(FlowKey::of_icmp_error(&headers, &error), Some(about.reversed()));
        assert_eq!(FlowKey::of_flow(&headers, &error), Some(about.reversed()));
        assert_ne!(key(&error), Some(about.reversed()), "its own addresses are others");
        assert_eq!(FlowKey::of_icmp_error(&parse(&packet), &packet), None);
        assert_eq!(FlowKey::of_flow(&parse(&packet), &packet), Some(about));
    }
}

#[test]
fn an_error_with_too_little_embedded_has_only_its_own_key() {
    let error = v4().icmp(3, 1, 0).payload(&[0x45, 0, 0, 99]).build();
    let headers = parse(&error);
    assert_eq!(FlowKey::of_icmp_error(&headers, &error), None);
    assert_eq!(FlowKey::of_flow(&headers, &error), key(&error));
}

#[test]
fn fragments_of_a_datagram_share_a_key_and_others_do_not() {
    for (packet, mtu) in [
        (v4().udp(1000, 53).payload_len(3000).build(), 1500),
        (v6().hop_by_hop().udp(1000, 53).payload_len(3000).build(), 1280),
    ] {
        let of = |id| -> HashSet<FragmentKey> {
            let frames = fragments(&packet, mtu, id);
            assert!(frames.len() > 2);
            frames.iter().map(|frame| FragmentKey::from_packet(&parse(frame), frame).unwrap()).collect()
        };
        let (one, two) = (of(1), of(2));
        assert_eq!((one.len(), two.len()), (1, 1));
        assert!(one.is_disjoint(&two));
        let hashes: HashSet<u32> = one.union(&two).map(FragmentKey::hash).collect();
        assert_eq!(hashes.len(), 2);
        assert_eq!(FragmentKey::from_packet(&parse(&packet), &packet), None);
    }
}

fn key4(src: u32, dst: u32, sport: u16, dport: u16) -> FlowKey {
    FlowKey4 { src, dst, sport, dport, proto: 17 }.into()
}

fn key6(src: u32, dst: u32, sport: u16, dport: u16) -> FlowKey {
    let net = 0x2001_0db8_u128 << 96;
    FlowKey6 { src: net | u128::from(src), dst: net | u128::from(dst), sport, dport, proto: 17 }.into()
}

/// Chi-square over 512 buckets: 511 expected, 32 its standard deviation; 6 of them are allowed.
#[test]
fn regular_flows_spread_over_the_buckets() {
    const FLOWS: u32 = if cfg!(miri) { 512 } else { 16384 };
    type Flows = fn(u32, fn(u32, u32, u16, u16) -> FlowKey) -> FlowKey;
    let families: [(&str, Flows); 6] = [
        ("addresses", |i, key| key(0x0a00_0000 + i, 0x0a01_0001, 1000, 80)),
        ("source ports", |i, key| key(0x0a00_0001, 0x0a00_0002, i as u16, 80)),
        ("both together", |i, key| key(0x0a00_0000 + i, 0x0a00_0002, 1000 + i as u16, 80)),
        ("opposed", |i, key| key(0x0a00_0000 + i, 0x0b00_0000 - i, 1000, 80)),
        ("both ends alike", |i, key| key(0x0a00_0000 + i, 0x0a00_0000 + i, i as u16, i as u16)),
        ("high bytes", |i, key| key(i << 16, 0x0a00_0001, 53, 53)),
    ];
    type Hash = fn(&FlowKey) -> u32;
    let hashes: [(&str, Hash); 2] = [("hash", FlowKey::hash), ("symmetric", FlowKey::symmetric_hash)];
    for (family, flow) in families {
        for (hash_name, hash) in hashes {
            for (version, key) in [(4, key4 as fn(u32, u32, u16, u16) -> FlowKey), (6, key6)] {
                for (bits, shift) in [("low", 0), ("high", 23)] {
                    let mut buckets = [0_u32; 512];
                    for i in 0..FLOWS {
                        buckets[(hash(&flow(i, key)) >> shift & 511) as usize] += 1;
                    }
                    let mean = f64::from(FLOWS) / 512.0;
                    let chi: f64 = buckets.iter().map(|&n| (f64::from(n) - mean).powi(2) / mean).sum();
                    assert!(
                        chi < 511.0 + 6.0 * 32.0,
                        "{family}, {hash_name}, IPv{version}, {bits} bits: {chi}"
                    );
                }
            }
        }
    }
}

#[test]
fn direction_protocol_and_seed_change_the_hash() {
    for key in [key4(1, 2, 3, 4), key6(1, 2, 3, 4)] {
        assert_ne!(key.hash(), key.reversed().hash());
        assert_ne!(key.hash(), key.hash_with(1));
        assert_ne!(key.symmetric_hash(), key.symmetric_hash_with(1));
    }
    let tcp = FlowKey4 { src: 1, dst: 2, sport: 3, dport: 4, proto: 6 };
    let udp = FlowKey4 { proto: 17, ..tcp };
    assert_ne!(tcp, udp);
    assert_ne!((tcp.hash(), tcp.symmetric_hash()), (udp.hash(), udp.symmetric_hash()));
}

fn config() -> ProptestConfig {
    let cases = if cfg!(miri) { 16 } else { 512 };
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn both_directions_are_one_flow(
        six in any::<bool>(), src in any::<u128>(), dst in any::<u128>(), sport in any::<u16>(),
        dport in any::<u16>(), proto in any::<u8>(), same in any::<bool>(), seed in any::<u64>()
    ) {
        let dst = if same { src } else { dst };
        let key = if six {
            FlowKey::V6(FlowKey6 { src, dst, sport, dport, proto })
        } else {
            FlowKey::V4(FlowKey4 { src: src as u32, dst: dst as u32, sport, dport, proto })
        };
        let back = key.reversed();
        prop_assert_eq!(back.reversed(), key);
        prop_assert_eq!(key.symmetric_hash_with(seed), back.symmetric_hash_with(seed));
        let ((one, forward), (other, reverse)) = (key.canonical(), back.canonical());
        prop_assert_eq!(one, other);
        prop_assert!(forward != reverse || key == back);
        prop_assert_eq!(if forward == Direction::Forward { key } else { back }, one);
        prop_assert_eq!((key.source(), key.source_port()), (back.destination(), back.destination_port()));
    }
}

#[test]
fn ends_are_the_canonical_key_in_two_words() {
    let forward = FlowKey4 { src: 0x0a00_0001, dst: 0x0a00_0002, sport: 1000, dport: 53, proto: 17 };
    for key in [forward, forward.reversed(), FlowKey4 { dst: forward.src, ..forward }] {
        let (canonical, direction) = key.canonical();
        let (ends, of_ends) = Ends4::of(&key);
        assert_eq!((FlowKey4::from(ends), of_ends), (canonical, direction));
        assert_eq!(ends.hash_with(DEFAULT_SEED), key.symmetric_hash());
        assert_ne!(ends, Ends4::of(&FlowKey4 { proto: 6, ..key }).0);
    }
}

#[test]
fn the_usual_packet_has_the_fields_of_any() {
    for frame in [v4().udp(1000, 53).payload_len(40).build(), v4().tcp(1000, 80).payload_len(6).build()] {
        let headers = parse(&frame);
        let usual = headers.usual_ipv4(&frame).expect("untagged IPv4");
        let FlowKey::V4(key) = key(&frame).unwrap() else { panic!("IPv4") };
        assert_eq!(usual.addresses(), (key.src, key.dst));
        assert_eq!((usual.ports(), usual.protocol()), ((key.sport, key.dport), key.proto));
        assert_eq!(Some(usize::from(usual.ip_length())), headers.l3_len());
        assert_eq!(usual.tcp_flags(), headers.tcp_flags(&frame).unwrap_or(0));
        assert_eq!(Ends4::of_usual(usual), Ends4::of(&key));
        assert_eq!(Words4::of_usual(usual), Words4::from(key));
        assert_eq!(FlowKey4::from(Words4::from(key)), key);
        assert_ne!(Words4::from(key), Words4::from(key.reversed()));
    }
    let others = [
        v4().udp(1, 2).fragment(0, true).payload_len(40).build(),
        v4().echo_request(1, 2).payload_len(40).build(),
        v6().udp(1, 2).payload_len(40).build(),
        Builder::ethernet(A, B).vlan(7).ipv4([10, 0, 0, 1], [10, 0, 0, 2]).udp(1, 2).payload_len(40).build(),
    ];
    for frame in others {
        assert!(parse(&frame).usual_ipv4(&frame).is_none(), "{frame:?}");
    }
}

#[test]
fn no_address_makes_the_rest_of_a_key_not_count() {
    // An interface identifier that is the constant of the hash, XORed with what the seed contributes.
    for seed in [DEFAULT_SEED, 1] {
        let interface = 0xe703_7ed1_a0b4_28db ^ seed.rotate_left(32);
        let keys = (0..1000u32).map(|i| FlowKey6 {
            src: u128::from(i / 10) << 64 | u128::from(interface),
            dst: u128::from(interface),
            sport: (i % 10) as u16,
            dport: 443,
            proto: 17,
        });
        let keys: Vec<FlowKey6> = keys.collect();
        let hashes: HashSet<u32> = keys.iter().map(|key| key.hash_with(seed)).collect();
        let symmetric: HashSet<u32> = keys.iter().map(|key| key.symmetric_hash_with(seed)).collect();
        let fragments =
            keys.iter().map(|key| FragmentKey::V6 { src: key.src, dst: key.dst, id: key.sport.into() });
        let fragments: HashSet<u32> = fragments.map(|key| key.hash_with(seed)).collect();
        let counts = [hashes.len(), symmetric.len(), fragments.len()];
        assert!(counts.iter().all(|&count| count > 990), "{counts:?}");
    }
}
