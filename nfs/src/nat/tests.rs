mod captures;
mod config;
mod pressure;
mod rfc4787;
mod rfc5382;
mod rfc5508;
mod words;
mod workers;

use super::reasons::REASONS;
use super::translator::Fate;
use super::*;
use std::net::Ipv4Addr;
use wire::builder::Builder;
use wire::{FlowKey4, Headers, Mac};

/// An inside host and two outside.
const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 7);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 8);
const WEB: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const DNS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 53);

fn ipv4(source: Ipv4Addr, destination: Ipv4Addr) -> Builder {
    Builder::ethernet(Mac::ZERO, Mac::ZERO).ipv4(source, destination)
}

/// A plan by its TOML, with 10/8 inside.
fn plan(more: &str) -> Result<Plan, ConfigError> {
    let config = toml::from_str(&format!("inside = [\"10.0.0.0/8\"]\n{more}")).expect("a configuration");
    Plan::new(&config, &Site::default())
}

/// A translator with a clock: frames in, frames or the reason out.
struct Bench {
    nat: Nat,
    now: Time,
}

impl Bench {
    fn new(more: &str) -> Bench {
        let plan = Arc::new(plan(more).expect("a good configuration"));
        let nat = Nat::instance(&plan, &WorkerSite { index: 0, count: 1, seed: 7 });
        Bench { nat, now: Time::from_nanos(1_700_000_000_000_000_000) }
    }

    /// With one address in its pool.
    fn one() -> Bench {
        Bench::new("pool = [\"203.0.113.1\"]")
    }

    fn send(&mut self, frame: &Builder) -> Result<Vec<u8>, &'static str> {
        self.send_bytes(&frame.clone().build())
    }

    /// All checksums have to be right afterwards.
    fn send_bytes(&mut self, frame: &[u8]) -> Result<Vec<u8>, &'static str> {
        let out = self.send_unchecked(frame)?;
        assert_sums(&out);
        Ok(out)
    }

    fn send_unchecked(&mut self, frame: &[u8]) -> Result<Vec<u8>, &'static str> {
        let mut out = frame.to_vec();
        let headers = wire::parse(&out);
        loop {
            let fate = self.nat.translator.judge(&headers, &out, self.now);
            match fate {
                Fate::Drop(reason) => return Err(name(reason)),
                Fate::Error { .. } if !errors::is_sound(&headers, [&out[..]].into_iter(), &out) => {
                    return Err("icmp_bad_checksum");
                }
                _ => fate.apply(&headers, &mut out),
            }
            if !self.nat.translator.is_half(&fate) {
                return Ok(out);
            }
        }
    }

    /// Sends, and shows what comes out as `source > destination`.
    fn sends(&mut self, frame: &Builder) -> Result<String, &'static str> {
        self.send(frame).map(|out| show(&out))
    }

    fn udp(&mut self, from: (Ipv4Addr, u16), to: (Ipv4Addr, u16)) -> Result<FlowKey4, &'static str> {
        self.send(&ipv4(from.0, to.0).udp(from.1, to.1).payload(b"x")).map(|out| key(&out))
    }

    fn tcp(
        &mut self,
        from: (Ipv4Addr, u16),
        to: (Ipv4Addr, u16),
        flags: u8,
    ) -> Result<FlowKey4, &'static str> {
        self.send(&ipv4(from.0, to.0).tcp(from.1, to.1).flags(flags)).map(|out| key(&out))
    }

    fn ping(&mut self, from: Ipv4Addr, to: Ipv4Addr, identifier: u16) -> Result<FlowKey4, &'static str> {
        self.send(&ipv4(from, to).echo_request(identifier, 1).payload(b"x")).map(|out| key(&out))
    }

    /// Time passes, and timers run.
    fn wait(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
        for _ in 0..1000 {
            self.nat.translator.expire(self.now, 1_000_000);
        }
    }

    fn sessions(&self) -> usize {
        self.nat.translator.sessions.len()
    }
}

fn name(reason: engine::Reason) -> &'static str {
    let place = (0u8..).zip(REASONS).find(|(number, _)| engine::Reason::new(*number) == reason);
    place.expect("a declared reason").1
}

/// Everything that a translator knows, by key.
fn records(nat: &Nat) -> Vec<engine::Record> {
    let (mut records, mut cursor) = (Vec::new(), Some(engine::Cursor::default()));
    while let Some(at) = cursor {
        let before = records.len();
        cursor = nat.export(at, &engine::Selector::default(), &mut records);
        assert!(records.len() - before <= engine::PAGE);
    }
    records.sort_by_key(|record| (record.kind.clone(), record.key.to_string()));
    records
}

/// Source endpoint of a key.
fn source(key: FlowKey4) -> (Ipv4Addr, u16) {
    (key.src.into(), key.sport)
}

fn destination(key: FlowKey4) -> (Ipv4Addr, u16) {
    (key.dst.into(), key.dport)
}

fn key(frame: &[u8]) -> FlowKey4 {
    FlowKey4::from_packet(&wire::parse(frame), frame).expect("IPv4")
}

fn show(frame: &[u8]) -> String {
    FlowKey::V4(key(frame)).to_string()
}

/// All checksums of a packet are right.
fn assert_sums(frame: &[u8]) {
    let headers = wire::parse(frame);
    if !headers.is_ipv4() {
        return;
    }
    let (l3, l4) = (headers.l3_offset(), headers.l3_offset() + headers.ip_header_len());
    assert_eq!(wire::checksum::of(&frame[l3..l4]), 0, "IPv4: {}", show(frame));
    let end = l3 + headers.l3_len().expect("IPv4");
    if headers.is_fragment() || end > frame.len() {
        return;
    }
    let (source, destination) = headers.ipv4_addresses(frame).expect("IPv4");
    let protocol = headers.protocol().expect("IPv4");
    let sum = match protocol {
        6 | 17 => wire::checksum::Sum::pseudo_v4(source, destination, protocol, (end - l4) as u32),
        1 => wire::checksum::Sum::new(),
        _ => return,
    };
    if protocol == 17 && frame[l4 + 6..l4 + 8] == [0, 0] {
        return;
    }
    assert!(sum.bytes(&frame[l4..end]).is_valid(), "transport: {}", show(frame));
}

/// The packet inside an ICMP error.
fn embedded(frame: &[u8]) -> (Headers, FlowKey4) {
    let inner = wire::parse(frame).embedded(frame).expect("an ICMP error");
    (inner, FlowKey4::from_packet(&inner, frame).expect("IPv4"))
}
