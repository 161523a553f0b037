//! A mirror and a merge, the two ends of the way over another server.

use super::*;

/// However many workers there come to be, and whatever else changes, a number is given once.
#[test]
fn no_number_is_given_twice_by_more_workers() {
    let pools = pools();
    let mirror = |count| prepared(&format!("role = 'mirror'\nout = 'out_a'\nin_flight = {count}"));
    let worker = |prepared: &dyn Prepared, index, count| {
        Stand::new(&pools, prepared, WorkerSite { index, count, seed: 7 })
    };
    let mut given = std::collections::BTreeSet::new();
    let mut give = |stand: &mut Stand, packets: u32| {
        let frames: Vec<_> = (0..packets).map(|seq| packet(0, seq, 64, 0)).collect();
        let inputs: Vec<_> = frames.iter().map(|bytes| Input { bytes, ingress: 0 }).collect();
        let round = stand.run(&inputs, Packing::Contiguous, START).expect("packet memory");
        for Emitted { bytes, .. } in round.emitted {
            assert!(given.insert(bytes[12..20].to_vec()), "{:02x?} is given twice", &bytes[12..20]);
        }
        given.len()
    };
    let first = mirror(4096);
    let mut alone = worker(first.as_ref(), 0, 1);
    assert_eq!(give(&mut alone, 32), 32);
    let next = mirror(4096);
    let [mut old, mut new] = [0, 1].map(|index| worker(next.as_ref(), index, 2));
    old.adopt(alone, START);
    for _ in 0..3 {
        give(&mut old, 7);
        give(&mut new, 5);
    }
    // Another configuration, and one worker more.
    let last = mirror(2048);
    let [mut a, mut b, mut c] = [0, 1, 2].map(|index| worker(last.as_ref(), index, 3));
    a.adopt(old, START);
    b.adopt(new, START);
    give(&mut c, 3);
    give(&mut b, 3);
    assert_eq!(give(&mut a, 3), 32 + 36 + 9);
}

const MERGE: &str = "role = 'merge'\nin = 'in_a'\nwrites = ['ip.ttl']\ncreates = false";

/// A frame with the tags of a number.
fn numbered(frame: &[u8], number: u32) -> Vec<u8> {
    let mut bytes = [&[0; 8][..], frame].concat();
    joint::number_tags(&mut bytes, number);
    bytes
}

/// Both halves of a packet: of the chain, and of the branch elsewhere, which routes.
fn halves(flow: u32, seq: u32, number: u32) -> [Vec<u8>; 2] {
    let frame = packet(flow, seq, 64, 0);
    [numbered(&frame, number), numbered(&routed(frame), number)]
}

/// A branch that drops packets costs those alone.
#[test]
fn a_half_that_never_comes_is_in_nobodys_way() {
    let mut scene = Scene::new(MERGE);
    let [here, _] = halves(0, 0, 0);
    scene.give(0, &[here]);
    // Numbers that are alike in their low bits, of another flow.
    for number in [4096, 8192, 65_536] {
        let [here, far] = halves(1, number, number);
        scene.give(0, &[here]);
        scene.give(2, &[far]);
    }
    let all: Vec<_> = [4096, 8192, 65_536].map(|seq| packet(1, seq, 63, 0)).to_vec();
    assert_eq!((scene.drops("full"), scene.delivered.clone()), (0, all));
    scene.pass(Duration::from_millis(20));
    assert_eq!(scene.drops("lost"), 1);
    scene.assert_empty();
}

/// As many packets as one likes go by one that waits.
#[test]
fn one_half_that_waits_stops_no_other_flow() {
    let mut scene = Scene::new(&format!("{MERGE}\nin_flight = 8"));
    scene.give(0, &[halves(0, 0, 0)[0].clone()]);
    for number in 1..=500 {
        let [here, far] = halves(1, number, number);
        scene.give(2, &[far]);
        scene.give(0, &[here]);
    }
    assert_eq!((scene.delivered.len(), scene.drops("full")), (500, 0));
    scene.pass(Duration::from_millis(20));
    scene.assert_empty();
}

/// Where all seats are taken the oldest half goes, and the packets behind it in its flow go on.
#[test]
fn the_oldest_half_makes_room() {
    let mut scene = Scene::new(&format!("{MERGE}\nin_flight = 4"));
    scene.give(0, &[halves(0, 0, 0)[0].clone()]);
    for number in 1..4 {
        let [here, far] = halves(0, number, number);
        scene.give(0, &[here]);
        scene.give(2, &[far]);
    }
    assert_eq!(scene.delivered.len(), 0, "they wait for the first of their flow");
    let [here, far] = halves(1, 4, 4);
    scene.give(0, &[here]);
    assert_eq!(scene.delivered, [1, 2, 3].map(|seq| packet(0, seq, 63, 0)));
    assert_eq!(scene.drops("full"), 1);
    scene.give(2, &[far, halves(0, 0, 0)[1].clone()]);
    assert_eq!((scene.delivered.len(), scene.drops("late")), (4, 1));
    // Halves of the other branch alone.
    let alone: Vec<_> = (5..15).map(|number| halves(2, number, number)[1].clone()).collect();
    scene.give(2, &alone);
    assert_eq!(scene.drops("full"), 1 + 6);
    scene.pass(Duration::from_millis(20));
    assert_eq!((scene.drops("lost"), scene.counter("timed_out")), (4, 4));
    scene.assert_empty();
}

/// A cable pads frames that are short, a tunnel does not.
#[test]
fn a_half_that_was_padded_on_its_way_is_the_same() {
    let macs = "eth 02:00:00:00:00:0a > 02:00:00:00:00:0b";
    let before = |hops| format!("{macs} / ipv4 10.0.0.1 > 192.0.2.1 ttl {hops} / udp 1 > 53 / hex 01020304");
    let arp = || format!("{macs} / arp request 02:00:00:00:00:0a 10.0.0.1 > 10.0.0.2");
    let padded = |mut frame: Vec<u8>| {
        frame.resize(frame.len().max(60), 0);
        frame
    };
    let mut scene = Scene::new(MERGE);
    let rows = [(before(64), before(63)), (arp(), arp())];
    let mut number = 0;
    for (here, far) in rows {
        for pads_here in [false, true] {
            number += 1;
            let [mut here, mut far] = [&here, &far].map(|text| numbered(&bytes(text), number));
            let pad = if pads_here { &mut here } else { &mut far };
            *pad = padded(std::mem::take(pad));
            assert_ne!(here.len(), far.len());
            scene.give(0, &[here]);
            scene.give(2, &[far]);
        }
    }
    assert_eq!((scene.counter("merged"), scene.drops("garbage")), (4, 0));
    let unpadded = |frame: &[u8], text: String| frame.starts_with(&bytes(&text));
    assert!(scene.delivered[..2].iter().all(|frame| unpadded(frame, before(63))), "{:02x?}", scene.delivered);
    assert!(scene.delivered[2..].iter().all(|frame| unpadded(frame, arp())), "{:02x?}", scene.delivered);
    // What is no padding is no padding.
    let [here, mut far] = [arp(), arp()].map(|text| numbered(&bytes(&text), 9));
    far.push(1);
    scene.give(0, &[here]);
    scene.give(2, &[far]);
    assert_eq!(scene.drops("garbage"), 1);
    scene.pass(Duration::from_millis(20));
    scene.assert_empty();
}

fn bytes(text: &str) -> Vec<u8> {
    harness::packet(text).expect("a packet")
}
