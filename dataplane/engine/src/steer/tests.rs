use super::*;
use crate::layout::{BUCKETS, Hashing};
use std::time::Duration;
use wire::builder::{Builder, fragments, icmp_error};

const A: [u8; 4] = [10, 0, 0, 1];
const B: [u8; 4] = [192, 0, 2, 7];

/// A layout of many workers, so that two different hashes seldom meet.
fn layout(hashing: Hashing) -> Layout {
    seeded(hashing, 7)
}

fn seeded(hashing: Hashing, seed: u64) -> Layout {
    let mut buckets = Box::new([0u16; BUCKETS]);
    buckets.iter_mut().enumerate().for_each(|(i, bucket)| *bucket = i as u16);
    Layout {
        generation: 1,
        workers: BUCKETS,
        chains: Vec::new(),
        next_id: 0,
        by_port: Vec::new(),
        looks: Vec::new(),
        nfs: Vec::new(),
        ports: Vec::new(),
        buckets,
        hashing,
        seed,
        replay: false,
    }
}

fn ethernet() -> Builder {
    Builder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
}

fn go(layout: &Layout, affinity: Affinity, frame: &[u8], fragments: &mut Fragments, now: Time) -> Route {
    route(layout, &affinity.into(), 3, &wire::parse(frame), frame, fragments, now)
}

fn at(layout: &Layout, affinity: Affinity, frame: &[u8]) -> Route {
    go(layout, affinity, frame, &mut Fragments::new(), Time::ZERO)
}

#[test]
fn both_directions_fragments_and_icmp_errors_of_a_flow_go_one_way() {
    for hashing in [Hashing::Mixed, Hashing::Toeplitz] {
        let layout = layout(hashing);
        let mut known = Fragments::new();
        let there = ethernet().ipv4(A, B).udp(1000, 53).payload_len(3000).build();
        let back = ethernet().ipv4(B, A).udp(53, 1000).payload(b"answer").build();
        let error = icmp_error(&there, [198, 51, 100, 1].into(), 3, 4, 1400).expect("an error about it");
        let way = at(&layout, Affinity::Flow, &there);
        assert_eq!(at(&layout, Affinity::Flow, &back), way, "{hashing:?}: the other direction");
        assert_eq!(at(&layout, Affinity::Flow, &error), way, "{hashing:?}: an error about it");
        for fragment in fragments(&there, 1500, 77) {
            assert_eq!(go(&layout, Affinity::Flow, &fragment, &mut known, Time::ZERO), way, "{hashing:?}");
        }
    }
}

#[test]
fn a_later_fragment_waits_for_its_first_and_then_follows_it() {
    let layout = layout(Hashing::Mixed);
    let mut known = Fragments::new();
    let whole = ethernet().ipv6(0x20u128 << 120 | 1, 0x20u128 << 120 | 2).udp(9, 9).payload_len(3000).build();
    let pieces = fragments(&whole, 1500, 5);
    let early = go(&layout, Affinity::Flow, &pieces[1], &mut known, Time::ZERO);
    assert!(matches!(early, Route::Wait(_)), "{early:?}");
    let way = go(&layout, Affinity::Flow, &pieces[0], &mut known, Time::ZERO);
    assert_eq!(go(&layout, Affinity::Flow, &pieces[1], &mut known, Time::ZERO), way);
    let later = Time::ZERO + Duration::from_secs(60);
    let stale = go(&layout, Affinity::Flow, &pieces[1], &mut known, later);
    assert!(matches!(stale, Route::Wait(_)), "an identification that is used again much later: {stale:?}");
}

#[test]
fn each_affinity_looks_at_what_it_names() {
    let layout = layout(Hashing::Mixed);
    let one = ethernet().ipv4(A, B).tcp(1000, 80).build();
    let other_port = ethernet().ipv4(A, B).tcp(1001, 80).build();
    let other_peer = ethernet().ipv4(A, [192, 0, 2, 9]).tcp(1000, 80).build();
    let same = |affinity, a: &[u8], b: &[u8]| at(&layout, affinity, a) == at(&layout, affinity, b);
    assert!(!same(Affinity::Flow, &one, &other_port));
    assert!(same(Affinity::Host, &one, &other_port));
    assert!(!same(Affinity::Host, &one, &other_peer));
    assert!(same(Affinity::Endpoint, &one, &other_peer));
    assert!(!same(Affinity::Endpoint, &one, &other_port));
    assert_eq!(at(&layout, Affinity::One, &one), Route::Worker(0));
    assert_eq!(at(&layout, Affinity::Any, &one), Route::Worker(3), "stays where it is");
}

#[test]
fn a_security_association_is_told_by_its_spi() {
    let layout = layout(Hashing::Mixed);
    let esp = |spi: u32, src: [u8; 4]| {
        ethernet().ipv4(src, B).protocol(50).payload(&[&spi.to_be_bytes()[..], &[0; 20]].concat()).build()
    };
    let way = |frame: &[u8]| at(&layout, Affinity::SecurityAssociation, frame);
    assert_eq!(way(&esp(7, A)), way(&esp(7, [10, 0, 0, 99])));
    assert_ne!(way(&esp(7, A)), way(&esp(8, A)));
}

#[test]
fn what_has_no_flow_stays_in_order_on_one_worker() {
    let layout = layout(Hashing::Mixed);
    let mac = wire::Mac::from([2, 0, 0, 0, 0, 1]);
    let arp = ethernet().arp(1, (mac, A.into()), (mac, B.into())).build();
    assert_eq!(at(&layout, Affinity::Flow, &arp), at(&layout, Affinity::Flow, &[0; 14]));
}

#[test]
fn state_is_owned_by_the_worker_that_the_packets_go_to() {
    let layout = layout(Hashing::Mixed);
    let frame = ethernet().ipv4(A, B).tcp(1000, 80).build();
    let key = FlowKey::from_packet(&wire::parse(&frame), &frame).expect("a flow");
    for affinity in [Affinity::Flow, Affinity::Host, Affinity::Endpoint, Affinity::One] {
        assert_eq!(
            Route::Worker(owner(&layout, &affinity.into(), &key)),
            at(&layout, affinity, &frame),
            "{affinity:?}"
        );
    }
}

#[test]
fn who_chooses_addresses_does_not_choose_the_worker() {
    let (layout, other) = (seeded(Hashing::Mixed, 7), seeded(Hashing::Mixed, 8));
    // Halves that cancel out, and a half that is a constant of the hash.
    let addresses: [fn(u64) -> u128; 2] = [
        |i| u128::from(0x2001_0db8_0000_0000 | i) << 64 | u128::from(i.rotate_right(17)),
        |i| u128::from(0x2001_0db8_0000_0000 | i) << 64 | 0xe703_7ed1_a0b4_28db,
    ];
    // Miri takes a second for a few.
    let packets = if cfg!(miri) { 20 } else { 1000 };
    for address in addresses {
        let frame = |i| ethernet().ipv6(address(i), 1).udp(1000, 53).build();
        for affinity in [Affinity::Flow, Affinity::Endpoint, Affinity::Host] {
            let ways = |layout| (0..packets).map(|i| at(layout, affinity, &frame(i))).collect::<Vec<_>>();
            let (these, those) = (ways(&layout), ways(&other));
            let used = (0..BUCKETS).filter(|&worker| these.contains(&Route::Worker(worker))).count();
            assert!(used > BUCKETS.min(packets as usize) / 2, "{affinity:?}: {used} of {BUCKETS} workers");
            let same = these.iter().zip(&those).filter(|(a, b)| a == b).count();
            assert!(
                same * 50 < packets.max(100) as usize,
                "{affinity:?}: {same} go the same way with another seed"
            );
        }
    }
}

/// Whoever has port 1000, wherever it stands.
struct Port1000;

impl Ownership for Port1000 {
    fn says(&self) -> String {
        "Port1000".to_owned()
    }

    fn owner(&self, flow: &FlowKey) -> u32 {
        u32::from([flow.source_port(), flow.destination_port()].contains(&1000))
    }
}

#[test]
fn an_nfs_own_rule_goes_before_any_hash() {
    let layout = layout(Hashing::Toeplitz);
    let rule = Rule { affinity: Affinity::Owned, ownership: Some(Arc::new(Port1000)) };
    let mut known = Fragments::new();
    let there = ethernet().ipv4(A, B).udp(1000, 53).payload_len(3000).build();
    let error = icmp_error(&there, [198, 51, 100, 1].into(), 3, 4, 1400).expect("an error about it");
    let mut go = |frame: &[u8]| route(&layout, &rule, 3, &wire::parse(frame), frame, &mut known, Time::ZERO);
    for frame in [&there, &error, &ethernet().ipv4(B, A).udp(53, 1000).build()] {
        assert_eq!(go(frame), Route::Worker(1));
    }
    for fragment in fragments(&there, 1500, 77) {
        assert_eq!(go(&fragment), Route::Worker(1));
    }
    assert_eq!(go(&ethernet().ipv4(A, B).udp(1001, 53).build()), Route::Worker(0));
    let key = FlowKey::from_packet(&wire::parse(&there), &there).expect("a flow");
    assert_eq!(owner(&layout, &rule, &key), 1);
}
