//! A tagger, a breakpoint and a merge one after the other, with two bad paths between the last two.

use dpdk::{Eal, EalOptions};
use engine::{Fate, Input, Packing, Round, Site, Stand, StandPools, Time, WorkerSite};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::OnceLock;
use std::time::Duration;

const START: Time = Time::from_nanos(1_700_000_000_000_000_000);
const HOLD: Duration = Duration::from_millis(20);

fn pools() -> &'static StandPools {
    static POOLS: OnceLock<StandPools> = OnceLock::new();
    POOLS.get_or_init(|| {
        let file_prefix = format!("smart-{}", std::process::id());
        let options =
            EalOptions { hugepages: false, pci: false, memory_mb: 128, file_prefix, extra: Vec::new() };
        StandPools::new(&Eal::init(&options).expect("EAL"), 4096).expect("packet memory")
    })
}

/// An NF, whose chain has two destinations.
fn stand(kind: &str, config: &str) -> Stand {
    let table = toml::de::DeTable::parse(config).expect("TOML");
    let span = table.span();
    let table = toml::Spanned::new(span, toml::de::DeValue::Table(table.into_inner()));
    let registry = nfs::registry();
    let entry = registry.get(kind).expect("registered");
    let configured = entry.configure(toml::de::ValueDeserializer::from(table)).expect("a configuration");
    let ports = ["lan", "wan", "dmz"].map(str::to_owned).to_vec();
    let site = Site { ports, gates: vec![1, 2], workers: 1, ..Site::default() };
    let prepared = configured.prepare(&site).expect("a good configuration");
    Stand::new(pools(), prepared.as_ref(), WorkerSite { index: 0, count: 1, seed: 7 })
}

fn run(stand: &mut Stand, frames: &[Vec<u8>], now: Time) -> Round {
    let inputs: Vec<_> = frames.iter().map(|bytes| Input { bytes, ingress: 0 }).collect();
    stand.run(&inputs, Packing::Contiguous, now).expect("packet memory")
}

/// What left by the first gate, in order.
fn left(round: Round) -> Vec<Vec<u8>> {
    let stayed = round.fates.into_iter().filter_map(|fate| match fate {
        Fate::Forward(bytes) => Some(bytes),
        _ => None,
    });
    stayed.chain(round.emitted.into_iter().filter(|sent| sent.gate == 0).map(|sent| sent.bytes)).collect()
}

/// A flow whose numbers wrap, TCP (with its SYN) or UDP.
fn flow(tcp: bool, lengths: &[u8]) -> Vec<Vec<u8>> {
    let mut sequence = u32::MAX - 300;
    let mut frames = Vec::new();
    for (i, length) in lengths.iter().enumerate() {
        let ip = format!(
            "eth 02:00:00:00:00:0a > 02:00:00:00:00:0b / ipv4 10.0.0.1 > 10.0.0.2 dscp {} id {}",
            if tcp { 0 } else { 1 },
            i + 1
        );
        let text = match (tcp, i) {
            (true, 0) => format!("{ip} / tcp 1000 > 443 syn seq {sequence}"),
            (true, _) => {
                format!("{ip} / tcp 1000 > 443 ack 1 seq {sequence} / count {}", 1 + u32::from(*length))
            }
            (false, _) => format!("{ip} / udp 1000 > 443 / hex {i:04x}{}", "55".repeat((*length).into())),
        };
        frames.push(harness::packet(&text).unwrap_or_else(|error| panic!("{text}: {error}")));
        sequence = sequence.wrapping_add(if i == 0 { 1 } else { 1 + u32::from(*length) });
    }
    frames
}

/// What becomes of the two copies of a packet: lost, or late by so much.
type Luck = (Option<u8>, Option<u8>);

/// The flow through all three; what goes in marked, without what was lost both ways, and what comes out. And the most
/// that was held.
fn journey(
    tcp: bool,
    lengths: &[u8],
    luck: &[Luck],
    burst: usize,
    merge: &str,
) -> (Vec<Vec<u8>>, Vec<Vec<u8>>, u64) {
    let mut tagger =
        stand("smart_tagger", "rule = [{ name = \"all\", match = \"dport == 443\", mark = \"ef\" }]");
    let mut breakpoint = stand("smart_breakpoint", "class = [{ mark = 46 }]\nreplicate = \"all\"");
    let mut merge = stand("smart_merge", merge);
    let tagged: Vec<Vec<u8>> =
        flow(tcp, lengths).chunks(16).flat_map(|frames| left(run(&mut tagger, frames, START))).collect();
    let (mut arriving, mut expected) = (Vec::new(), Vec::new());
    for (i, frame) in tagged.iter().enumerate() {
        let mut round = run(&mut breakpoint, std::slice::from_ref(frame), START);
        let clone = round.emitted.pop().expect("a clone");
        assert_eq!((clone.gate, clone.created), (1, true));
        let Some(Fate::Forward(original)) = round.fates.pop() else { panic!("the original does not go on") };
        assert_eq!(original, clone.bytes, "both are the same packet");
        let (a, b) = luck[i % luck.len()];
        // A connection begins before there are data.
        let (a, b) = if i == 0 && tcp { (Some(0), b) } else { (a, b) };
        if a.is_some() || b.is_some() {
            expected.push(frame.clone());
        }
        let first = usize::from(i > 0 || !tcp) * 300;
        arriving
            .extend(a.map(|late| (if i == 0 && tcp { 0 } else { first + i + usize::from(late) }, original)));
        arriving.extend(b.map(|late| (first + 1 + i + usize::from(late), clone.bytes)));
    }
    arriving.sort_by_key(|(at, _)| *at);
    let arriving: Vec<Vec<u8>> = arriving.into_iter().map(|(_, bytes)| bytes).collect();
    let (mut out, mut most) = (Vec::new(), 0);
    for frames in arriving.chunks(burst) {
        out.extend(left(run(&mut merge, frames, START)));
        most = most.max(merge.stats().held());
    }
    out.extend(left(merge.tick(START + HOLD)));
    assert_eq!(merge.stats().held(), 0, "something is held for ever");
    (expected, out, most)
}

fn luck() -> impl Strategy<Value = Vec<Luck>> {
    let copy = || prop_oneof![3 => (0u8..40).prop_map(Some), 1 => Just(None)];
    prop::collection::vec((copy(), copy()), 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_arrives_either_way_leaves_once_and_in_order(
        tcp in any::<bool>(),
        lengths in prop::collection::vec(any::<u8>(), 2..80),
        luck in luck(),
        burst in 1usize..32,
    ) {
        let (expected, out, _) = journey(tcp, &lengths, &luck, burst, "marks = [\"ef\"]");
        prop_assert_eq!(out, expected);
    }

    #[test]
    fn with_little_room_still_everything_leaves_once_and_no_more_is_held(
        tcp in any::<bool>(),
        lengths in prop::collection::vec(any::<u8>(), 2..80),
        luck in luck(),
        held in 1u64..6,
        per_flow in 1u64..6,
    ) {
        let config = format!("marks = [\"ef\"]\nheld = {held}\nheld_per_flow = {per_flow}");
        let (mut expected, mut out, most) = journey(tcp, &lengths, &luck, 8, &config);
        expected.sort();
        out.sort();
        prop_assert_eq!(out, expected);
        prop_assert!(most <= held.min(per_flow), "{} were held", most);
    }
}

fn tcp(sequence: u32, length: usize, id: u16) -> Vec<u8> {
    harness::packet(&format!(
        "eth 02:00:00:00:00:0a > 02:00:00:00:00:0b / ipv4 10.0.0.1 > 10.0.0.2 dscp 46 id {id} / tcp 1000 > 80 \
         ack 1 seq {sequence} / count {length}"
    ))
    .expect("a packet")
}

fn udp(number: u16) -> Vec<u8> {
    harness::packet(&format!(
        "eth 02:00:00:00:00:0a > 02:00:00:00:00:0b / ipv4 10.0.0.1 > 10.0.0.2 dscp 46 id {number} / udp 1000 > 53 \
         / hex {number:04x}"
    ))
    .expect("a packet")
}

fn five_tuple(dport: u16, proto: u8) -> Value {
    json!({ "src": "10.0.0.1", "dst": "10.0.0.2", "sport": 1000, "dport": dport, "proto": proto })
}

/// Gates by which a packet leaves, in order.
fn gates(breakpoint: &mut Stand, frame: Vec<u8>, now: Time) -> Vec<u8> {
    let round = run(breakpoint, &[frame], now);
    let stayed = round.fates.iter().map(|fate| match fate {
        Fate::Forward(_) => 0,
        Fate::Gate(gate, _) => *gate,
        other => panic!("{other:?}"),
    });
    stayed.chain(round.emitted.iter().map(|sent| sent.gate)).collect()
}

#[test]
fn the_rest_of_a_flow_is_diverted_from_a_sequence_number_on_that_wraps() {
    let mut breakpoint = stand("smart_breakpoint", "class = [{ mark = 46 }]");
    let near = u32::MAX - 150;
    assert_eq!(gates(&mut breakpoint, tcp(near, 100, 1), START), [0]);
    let order = json!({ "flow": five_tuple(80, 6), "sequence": near.wrapping_add(200) });
    let answer = breakpoint.command("divert", &order).expect("an order");
    assert_eq!(answer["known"], true);
    assert_eq!(gates(&mut breakpoint, tcp(near.wrapping_add(100), 100, 2), START), [0]);
    assert_eq!(gates(&mut breakpoint, tcp(near.wrapping_add(200), 100, 3), START), [1]);
    // Sent again from before the breakpoint.
    assert_eq!(gates(&mut breakpoint, tcp(near.wrapping_add(100), 100, 4), START), [0]);
    // Far on, where the number itself would lie ahead again.
    let mut sequence = near;
    for _ in 0..20 {
        sequence = sequence.wrapping_add(1 << 29);
        assert_eq!(gates(&mut breakpoint, tcp(sequence, 100, 5), START), [1], "{sequence}");
    }
    breakpoint.command("stop", &json!({ "flow": five_tuple(80, 6) })).expect("an order");
    assert_eq!(gates(&mut breakpoint, tcp(sequence, 100, 6), START), [0]);
}

#[test]
fn a_flow_is_cloned_from_a_packet_on_also_by_an_order_that_came_before_it() {
    let mut breakpoint = stand("smart_breakpoint", "class = [{ mark = 46 }]");
    let order = json!({ "flow": five_tuple(53, 17), "packets": 2 });
    assert_eq!(breakpoint.command("clone", &order).expect("an order")["known"], false);
    let ways: Vec<Vec<u8>> = (0..4).map(|number| gates(&mut breakpoint, udp(number), START)).collect();
    assert_eq!(ways, [vec![0], vec![0], vec![0, 1], vec![0, 1]]);
    // What has begun to carry numbers goes on to, on the usual way too.
    breakpoint.command("stop", &json!({ "flow": five_tuple(53, 17) })).expect("an order");
    let out = left(run(&mut breakpoint, &[udp(4)], START));
    assert_eq!(out[0].len(), udp(4).len() + 8);
    for (name, wrong) in [
        ("replicate", json!({ "flow": five_tuple(53, 17) })),
        ("clone", json!({ "flow": five_tuple(53, 17), "sequence": 5 })),
        ("clone", json!({ "flow": five_tuple(80, 6), "sequence": 5, "packets": 5 })),
        ("divert", json!({ "flow": five_tuple(80, 1) })),
        ("stop", json!({ "flow": five_tuple(80, 6), "packets": 5 })),
    ] {
        assert!(breakpoint.command(name, &wrong).is_err(), "{name} {wrong}");
    }
}

#[test]
fn limits_are_told_once_and_those_of_a_rate_again_after_it_has_recovered() {
    let mut breakpoint = stand(
        "smart_breakpoint",
        "class = [{ mark = 46, deadline = \"1s\", rate = \"80kbit\", bytes = 2000, soft = 0.5 }]",
    );
    let mut told = Vec::new();
    // In tenths of a second: 1 000 bytes are 80 kbit/s, the soft limit is 160 kbit/s.
    let sent = [100, 3000, 3000, 1500, 500, 0, 3000, 3000, 0].into_iter().zip(0u64..).chain([(0, 12)]);
    for (bytes, tenth) in sent {
        let now = START + Duration::from_millis(100 * tenth + 1);
        let mut events = breakpoint.tick(now).events;
        for part in 0..bytes / 500 {
            events.extend(run(&mut breakpoint, &[tcp(part as u32, 446, 1)], now).events);
        }
        if bytes == 100 {
            events.extend(run(&mut breakpoint, &[tcp(0, 46, 1)], now).events);
        }
        told.extend(events.iter().map(|event| (tenth, event.name)));
    }
    let expected = [
        (1, "volume"),
        (4, "soft_rate"),
        (5, "hard_rate"),
        (6, "soft_deadline"),
        (12, "hard_deadline"),
        (12, "soft_rate"),
        (12, "hard_rate"),
    ];
    assert_eq!(told, expected);
}

#[test]
fn packets_without_room_for_a_number_go_the_usual_way() {
    let mut breakpoint = stand("smart_breakpoint", "class = [{ mark = 46 }]\nreplicate = \"all\"\nmtu = 40");
    // 28 bytes of headers and two of data leave room for eight, no more.
    assert_eq!(gates(&mut breakpoint, udp(0), START), [0, 1]);
    let long = harness::packet(
        "eth 02:00:00:00:00:0a > 02:00:00:00:00:0b / ipv4 10.0.0.1 > 10.0.0.2 dscp 46 id 1 / udp 1000 > 53 / count 5",
    )
    .expect("a packet");
    let out = left(run(&mut breakpoint, std::slice::from_ref(&long), START));
    assert_eq!(out, [long]);
}

#[test]
fn a_merge_that_was_restarted_goes_on_from_its_state_or_in_the_middle() {
    let mut before = stand("smart_merge", "marks = [\"ef\"]");
    left(run(&mut before, &[tcp(1000, 100, 1), tcp(1100, 100, 2)], START));
    let records = before.export(&Default::default()).expect("records");
    let mut after = stand("smart_merge", "marks = [\"ef\"]");
    after.state().expect("state").import(&records).expect("taken in");
    let round = run(&mut after, &[tcp(1100, 100, 2), tcp(1200, 100, 3)], START);
    assert!(matches!(round.fates[..], [Fate::Drop("duplicate"), Fate::Forward(_)]), "{:?}", round.fates);
    // Without it: what comes first is the middle, and a copy of what left before passes once more.
    let mut anew = stand("smart_merge", "marks = [\"ef\"]");
    let round = run(&mut anew, &[tcp(1100, 100, 2), tcp(1100, 100, 2), tcp(1300, 1, 4)], START);
    assert!(
        matches!(round.fates[..], [Fate::Forward(_), Fate::Drop("duplicate"), Fate::Taken]),
        "{:?}",
        round.fates
    );
    anew.drain(START);
}
