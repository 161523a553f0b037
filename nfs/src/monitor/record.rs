//! An ended flow in a fixed number of bytes, for the file where it waits.

use super::flow::{Flow, Sample};
use super::ipfix::EndReason;
use crate::flow_key::Key;
use crate::outlet::Outlet;
use engine::Time;
use wire::{Direction, FlowKey, FlowKey4, FlowKey6};

/// A flow that ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ended {
    /// The canonical key.
    pub key: FlowKey,
    pub flow: Flow,
}

/// Takes flows that ended, and watches the others.
pub(super) trait Endings {
    /// Whether packets are looked at one by one: the other functions are asked only then.
    const WATCHES: bool = false;

    /// The key is canonical.
    fn ended(&mut self, key: FlowKey, flow: &Flow, why: EndReason);

    /// Whether a flow has lasted so long that it is to be reported and begun anew.
    #[inline(always)]
    fn is_due(&self, _flow: &Flow) -> bool {
        false
    }

    /// A packet was counted for a flow.
    #[inline(always)]
    fn counted<K: Key>(&mut self, _key: &K, _sample: &Sample, _flow: &mut Flow) {}
}

impl Endings for Outlet<Ended> {
    fn ended(&mut self, key: FlowKey, flow: &Flow, _why: EndReason) {
        self.send(Ended { key, flow: *flow });
    }
}

/// Collects ended flows in memory.
impl Endings for Vec<Ended> {
    fn ended(&mut self, key: FlowKey, flow: &Flow, _why: EndReason) {
        self.push(Ended { key, flow: *flow });
    }
}

/// Bytes of a record.
pub(super) const BYTES: usize = 96;

/// Addresses (16 bytes each), ports (2 each), protocol, version of IP, originator, both directions' TCP flags
/// (1 each), then packets and bytes of both directions, first and last (8 each), all big-endian.
pub(super) fn encode(ended: &Ended) -> [u8; BYTES] {
    let (source, destination, version) = match ended.key {
        FlowKey::V4(key) => (u128::from(key.src), u128::from(key.dst), 4),
        FlowKey::V6(key) => (key.src, key.dst, 6),
    };
    let flow = &ended.flow;
    let mut out = [0; BYTES];
    out[..16].copy_from_slice(&source.to_be_bytes());
    out[16..32].copy_from_slice(&destination.to_be_bytes());
    out[32..34].copy_from_slice(&ended.key.source_port().to_be_bytes());
    out[34..36].copy_from_slice(&ended.key.destination_port().to_be_bytes());
    out[36] = ended.key.protocol();
    out[37] = version;
    out[38] = u8::from(flow.originator == Direction::Reverse);
    out[40..42].copy_from_slice(&flow.tcp_flags);
    let numbers = [
        flow.packets[0],
        flow.packets[1],
        flow.bytes[0],
        flow.bytes[1],
        flow.first.as_nanos(),
        flow.last.as_nanos(),
    ];
    for (place, number) in out[48..].chunks_exact_mut(8).zip(numbers) {
        place.copy_from_slice(&number.to_be_bytes());
    }
    out
}

pub(super) fn decode(bytes: &[u8; BYTES]) -> Ended {
    let address = |at: usize| bytes[at..at + 16].iter().fold(0u128, |sum, byte| sum << 8 | u128::from(*byte));
    let number = |at: usize| bytes[at..at + 8].iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    let port = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let (sport, dport, proto) = (port(32), port(34), bytes[36]);
    let key = if bytes[37] == 4 {
        FlowKey::V4(FlowKey4 { src: address(0) as u32, dst: address(16) as u32, sport, dport, proto })
    } else {
        FlowKey::V6(FlowKey6 { src: address(0), dst: address(16), sport, dport, proto })
    };
    let flow = Flow {
        packets: [number(48), number(56)],
        bytes: [number(64), number(72)],
        first: Time::from_nanos(number(80)),
        last: Time::from_nanos(number(88)),
        // An ended flow takes no more packets, so nobody asks for sequence numbers.
        base: [0; 2],
        tcp_flags: [bytes[40], bytes[41]],
        known: 0,
        untold: 0,
        originator: if bytes[38] == 0 { Direction::Forward } else { Direction::Reverse },
    };
    Ended { key, flow }
}
