//! The IPv6 five-tuple.

use super::hash::{DEFAULT_SEED, fold_protected, mix, narrow};
use super::{Direction, ports_or_identifier};
use crate::headers::Headers;

/// The five-tuple of an IPv6 packet, host order, 48 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowKey6 {
    /// Source address.
    pub src: u128,
    /// Destination address.
    pub dst: u128,
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
    /// Final next header.
    pub proto: u8,
}

impl FlowKey6 {
    /// The key of an IPv6 packet.
    #[inline]
    pub fn from_packet(headers: &Headers, frame: &[u8]) -> Option<FlowKey6> {
        let (src, dst) = headers.ipv6_addresses(frame)?;
        let proto = headers.protocol()?;
        let (sport, dport) = ports_or_identifier(headers, frame);
        Some(FlowKey6 { src, dst, sport, dport, proto })
    }

    /// Source and destination swapped.
    #[inline]
    pub fn reversed(&self) -> FlowKey6 {
        FlowKey6 { src: self.dst, dst: self.src, sport: self.dport, dport: self.sport, proto: self.proto }
    }

    /// The key that both directions share (the smaller endpoint as source), and which direction this is.
    #[inline]
    pub fn canonical(&self) -> (FlowKey6, Direction) {
        if (self.src, self.sport) <= (self.dst, self.dport) {
            (*self, Direction::Forward)
        } else {
            (self.reversed(), Direction::Reverse)
        }
    }

    /// A hash of the key; differs between directions. For tables.
    #[inline]
    pub fn hash(&self) -> u32 {
        self.hash_with(DEFAULT_SEED)
    }

    /// [`hash`](Self::hash) with a seed.
    #[inline]
    pub fn hash_with(&self, seed: u64) -> u32 {
        let source = end(self.src, self.sport, seed);
        let destination = end(self.dst, self.dport, seed);
        // Rotated, so that the two ends do not commute.
        narrow(mix(source.rotate_left(23), destination, seed ^ u64::from(self.proto)))
    }

    /// A hash that both directions share.
    #[inline]
    pub fn symmetric_hash(&self) -> u32 {
        self.symmetric_hash_with(DEFAULT_SEED)
    }

    /// [`symmetric_hash`](Self::symmetric_hash) with a seed. For steering.
    #[inline]
    pub fn symmetric_hash_with(&self, seed: u64) -> u32 {
        let source = end(self.src, self.sport, seed);
        let destination = end(self.dst, self.dport, seed);
        let (low, high) = (source.min(destination), source.max(destination));
        narrow(mix(low, high, seed ^ u64::from(self.proto)))
    }
}

/// One endpoint in one word.
#[inline(always)]
pub(super) fn end(address: u128, port: u16, seed: u64) -> u64 {
    let network = (address >> 64) as u64;
    let interface = address as u64;
    // Interface identifiers are often small numbers, and so are ports: the port goes to the other end.
    fold_protected(
        network ^ seed ^ u64::from(port) << 48,
        interface ^ 0xe703_7ed1_a0b4_28db ^ seed.rotate_left(32),
    )
}
