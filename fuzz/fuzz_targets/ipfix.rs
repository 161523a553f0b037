//! IPFIX: what is written is read again by one who knows the format only, in messages that are no longer than allowed and
//! numbered without a gap.
#![no_main]

use std::collections::HashMap;
use std::net::IpAddr;

use engine::Time;
use libfuzzer_sys::fuzz_target;
use nfs::monitor::ipfix::{Encoder, EndReason, FlowReport};

/// Addresses (as IPv4 if the first number is even), ports, protocol, flags, counts, times; and whether templates are told
/// again before it.
type Flow = (u8, [u8; 16], [u8; 16], u16, u16, u8, [u8; 2], [u64; 4], u64, u64);

fn report(flow: &Flow) -> FlowReport {
    let (kind, source, destination, sport, dport, protocol, tcp_flags, counts, first, last) = *flow;
    let address = |bytes: [u8; 16]| {
        if kind & 1 == 0 { IpAddr::from([bytes[0], bytes[1], bytes[2], bytes[3]]) } else { IpAddr::from(bytes) }
    };
    let reasons =
        [EndReason::Idle, EndReason::Active, EndReason::Ended, EndReason::Forced, EndReason::Resources];
    FlowReport {
        source: address(source),
        destination: address(destination),
        source_port: sport,
        destination_port: dport,
        protocol,
        reason: reasons[usize::from(kind >> 2) % reasons.len()],
        tcp_flags,
        packets: [counts[0], counts[1]],
        bytes: [counts[2], counts[3]],
        first: Time::from_nanos(first),
        last: Time::from_nanos(last),
    }
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(count);
    *bytes = rest;
    taken
}

fn number(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |sum, byte| sum << 8 | u128::from(*byte))
}

/// An element: its number, its length, its enterprise.
type Element = (u16, usize, u32);

/// Reads messages by RFC 7011 alone.
#[derive(Default)]
struct Collector {
    templates: HashMap<u16, Vec<Element>>,
    records: Vec<HashMap<(u16, u32), u128>>,
}

impl Collector {
    fn read(&mut self, mut message: &[u8], limit: usize, count: u32) {
        assert!(message.len() <= limit);
        let len = message.len();
        let before = self.records.len();
        let header = take(&mut message, 16);
        assert_eq!((number(&header[..2]), number(&header[2..4])), (10, len as u128));
        assert_eq!((number(&header[4..8]), number(&header[12..])), (77, 5));
        assert_eq!(number(&header[8..12]), before as u128, "a gap");
        while !message.is_empty() {
            let kind = number(take(&mut message, 2)) as u16;
            let len = number(take(&mut message, 2)) as usize;
            let mut set = take(&mut message, len - 4);
            if kind == 2 {
                while !set.is_empty() {
                    self.template(&mut set);
                }
                continue;
            }
            let template = &self.templates[&kind];
            assert!(!set.is_empty());
            while !set.is_empty() {
                let values = template.iter().map(|&(id, len, enterprise)| ((id, enterprise), number(take(&mut set, len))));
                self.records.push(values.collect());
            }
        }
        assert_eq!(self.records.len() - before, count as usize);
    }

    fn template(&mut self, set: &mut &[u8]) {
        let kind = number(take(set, 2)) as u16;
        let count = number(take(set, 2));
        let elements = (0..count).map(|_| {
            let id = number(take(set, 2)) as u16;
            let len = number(take(set, 2)) as usize;
            let enterprise = if id & 0x8000 == 0 { 0 } else { number(take(set, 4)) as u32 };
            (id & 0x7fff, len, enterprise)
        });
        self.templates.insert(kind, elements.collect());
    }
}

const REVERSE: u32 = 29305;

fn check(read: &HashMap<(u16, u32), u128>, written: &FlowReport) {
    let of = |id: u16, enterprise: u32| read.get(&(id, enterprise)).copied().unwrap_or(u128::MAX);
    let (source, destination) = match (written.source, written.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            assert_eq!((of(8, 0), of(12, 0)), (u32::from(source).into(), u32::from(destination).into()));
            (None, None)
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => (Some(source), Some(destination)),
        mixed => panic!("{mixed:?}"),
    };
    if let (Some(source), Some(destination)) = (source, destination) {
        assert_eq!((of(27, 0), of(28, 0)), (source.into(), destination.into()));
    }
    assert_eq!((of(7, 0), of(11, 0)), (written.source_port.into(), written.destination_port.into()));
    assert_eq!((of(4, 0), of(136, 0)), (written.protocol.into(), written.reason as u128));
    for (direction, enterprise) in [0, REVERSE].into_iter().enumerate() {
        assert_eq!(of(6, enterprise), written.tcp_flags[direction].into());
        assert_eq!(of(1, enterprise), written.bytes[direction].into());
        assert_eq!(of(2, enterprise), written.packets[direction].into());
    }
    let millis = |time: Time| u128::from(time.as_nanos() / 1_000_000);
    assert_eq!((of(152, 0), of(153, 0)), (millis(written.first), millis(written.last)));
}

fuzz_target!(|input: (u16, Vec<(bool, Flow)>)| {
    let limit = usize::from(input.0).clamp(512, 65_535);
    let mut encoder = Encoder::new(5, usize::from(input.0));
    let mut collector = Collector::default();
    let reports: Vec<FlowReport> = input.1.iter().map(|(_, flow)| report(flow)).collect();
    for ((refresh, _), report) in input.1.iter().zip(&reports) {
        if *refresh {
            encoder.refresh_templates();
        }
        encoder.add(report, 77, |message, count| collector.read(message, limit, count));
    }
    encoder.flush(77, |message, count| collector.read(message, limit, count));
    assert_eq!(collector.records.len(), reports.len());
    collector.records.iter().zip(&reports).for_each(|(read, written)| check(read, written));
});
