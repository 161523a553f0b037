use super::*;
use engine::{Cursor, Selector, Time};
use std::path::Path;
use wire::builder::Builder;
use wire::tcp::flags::{ACK, SYN};

fn tracker(capacity: usize) -> Tracker {
    let tracking = Tracking { capacity, ..Tracking::default() };
    Tracker::new(Settings::new(&tracking).expect("good settings"), 1)
}

fn judge(tracker: &mut Tracker, frame: &[u8], now: u64) -> Verdict {
    tracker.stage(&wire::parse(frame), frame);
    tracker.settle(Time::from_nanos(now), |_| true)[0]
}

fn tcp(from: u32, to: u32, ports: (u16, u16), flags: u8, seq: u32, ack: u32) -> Vec<u8> {
    Builder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4(from, to)
        .tcp(ports.0, ports.1)
        .seq(seq)
        .ack(ack)
        .flags(flags)
        .window(8000)
        .build()
}

fn shake_hands(tracker: &mut Tracker, port: u16) {
    judge(tracker, &tcp(1, 2, (port, 80), SYN, 1, 0), 0);
    judge(tracker, &tcp(2, 1, (80, port), SYN | ACK, 7, 2), 0);
    assert_eq!(judge(tracker, &tcp(1, 2, (port, 80), ACK, 2, 8), 0), Verdict::Established);
}

#[test]
fn a_flood_pushes_out_half_open_connections_and_no_established_one() {
    let mut tracker = tracker(64);
    for port in 1..=32 {
        shake_hands(&mut tracker, port);
    }
    for source in 0..10_000 {
        let verdict = judge(&mut tracker, &tcp(0x0a00_0000 + source, 2, (9, 80), SYN, 1, 0), 0);
        assert_eq!(verdict, Verdict::New);
    }
    assert_eq!(tracker.len(), [64, 0]);
    assert_eq!(tracker.turnover().evicted, 10_000 - 32);
    for port in 1..=32 {
        let data = tcp(1, 2, (port, 80), ACK, 2, 8);
        assert_eq!(judge(&mut tracker, &data, 0), Verdict::Established, "{port}");
    }
}

#[test]
fn a_table_of_established_connections_takes_no_other() {
    let mut tracker = tracker(8);
    for port in 1..=8 {
        shake_hands(&mut tracker, port);
    }
    let one_more = tcp(1, 2, (9, 80), SYN, 1, 0);
    assert_eq!(judge(&mut tracker, &one_more, 0), Verdict::Invalid(Cause::TableFull));
    // One that is over gives way.
    judge(&mut tracker, &tcp(2, 1, (80, 3), wire::tcp::flags::RST, 8, 0), 0);
    assert_eq!(judge(&mut tracker, &one_more, 0), Verdict::New);
}

#[test]
fn what_is_not_admitted_leaves_no_trace() {
    let mut tracker = tracker(8);
    let (asked, answer) = (tcp(1, 2, (1, 80), SYN, 1, 0), tcp(2, 1, (80, 1), SYN | ACK, 7, 2));
    for frame in [&asked, &answer] {
        tracker.stage(&wire::parse(frame), frame);
    }
    let verdicts = tracker.settle(Time::ZERO, |place| place != 0).to_vec();
    assert_eq!(verdicts, [Verdict::New, Verdict::Invalid(Cause::TcpUnopened)]);
    assert!(tracker.is_empty());
}

#[test]
fn time_ends_connections_even_before_a_timer_does() {
    let mut tracker = tracker(8);
    judge(&mut tracker, &tcp(1, 2, (1, 80), SYN, 1, 0), 0);
    let late = 121_000_000_000;
    let answer = tcp(2, 1, (80, 1), SYN | ACK, 7, 2);
    assert_eq!(judge(&mut tracker, &answer, late), Verdict::Invalid(Cause::TcpUnopened));
    shake_hands(&mut tracker, 2);
    tracker.expire(Time::from_nanos(late));
    assert_eq!(tracker.len(), [1, 0], "an open connection stays");
    tracker.expire(Time::from_nanos(7_441_000_000_000));
    assert_eq!(tracker.len(), [0, 0]);
}

#[test]
fn a_syn_that_is_repeated_keeps_nothing_half_open() {
    let mut tracker = tracker(8);
    let (asked, answer) = (tcp(1, 2, (1, 80), SYN, 1, 0), tcp(2, 1, (80, 1), SYN | ACK, 7, 2));
    for seconds in [0, 60, 119] {
        assert_eq!(judge(&mut tracker, &asked, seconds * 1_000_000_000), Verdict::New);
    }
    let late = judge(&mut tracker, &answer, 121_000_000_000);
    assert_eq!(late, Verdict::Invalid(Cause::TcpUnopened));
}

#[test]
fn later_fragments_say_what_their_datagram_does() {
    let segment = Builder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2])
        .tcp(1000, 80)
        .flags(SYN)
        .payload_len(3000)
        .build();
    let frames = wire::builder::fragments(&segment, 1500, 9);
    let whole = Transport { ports: Some((1000, 80)), tcp_flags: Some(SYN), icmp: None };
    let mut first = tracker(8);
    assert_eq!(judge(&mut first, &frames[0], 0), Verdict::New);
    assert_eq!(first.transport(0), None, "it says so itself");
    // Records of version 1 do not know the flags.
    let mut old = records(&first);
    for record in old.iter_mut().filter(|record| record.kind == "datagram") {
        record.version = 1;
        record.value.as_object_mut().expect("an object").remove("kind");
    }
    for (records, tcp_flags) in [(records(&first), Some(SYN)), (old, None)] {
        let mut second = tracker(8);
        second.import(&records).expect("its records");
        judge(&mut second, &frames[1], 0);
        assert_eq!(second.transport(0), Some(Transport { tcp_flags, ..whole }));
    }
}

fn records(tracker: &Tracker) -> Vec<engine::Record> {
    let (mut records, mut cursor) = (Vec::new(), Some(Cursor::default()));
    while let Some(at) = cursor {
        cursor = tracker.export(at, &Selector::default(), &mut records);
    }
    records.sort_by_key(|record| (record.kind.clone(), record.key.to_string()));
    records
}

#[test]
fn half_way_through_a_capture_another_tracker_goes_on_as_if_nothing_had_happened() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/general/dev");
    if !Path::new(folder).is_dir() {
        return println!("skipped: no captures at {folder}");
    }
    for name in
        ["ndpi_netflix.pcap", "ndpi_instagram.pcap", "ndpi_dns_fragmented.pcap", "ndpi_http_ipv6.pcap"]
    {
        let mut reader = capture::Reader::open(Path::new(folder).join(name)).expect(name);
        let mut frames = Vec::new();
        while let Ok(Some(frame)) = reader.next() {
            frames.push((frame.timestamp_ns, frame.bytes.to_vec()));
        }
        let (mut whole, mut first, mut second) = (tracker(4096), tracker(4096), tracker(4096));
        let half = frames.len() / 2;
        for (i, (at, frame)) in frames.iter().enumerate() {
            let expected = judge(&mut whole, frame, *at);
            if i == half {
                second.import(&records(&first)).expect("its records");
            }
            let other = if i < half { &mut first } else { &mut second };
            assert_eq!(judge(other, frame, *at), expected, "{name} {i}");
        }
        assert_eq!(records(&whole), records(&second), "{name}");
        assert!(!records(&whole).is_empty(), "{name}");
    }
}
