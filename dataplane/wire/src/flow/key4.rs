//! The IPv4 five-tuple.

use super::hash::{DEFAULT_SEED, mix, narrow};
use super::{Direction, ports_or_identifier};
use crate::headers::Headers;

/// The five-tuple of an IPv4 packet, host order, 16 bytes.
#[derive(Clone, Copy, Debug, Default, PartialOrd, Ord)]
#[repr(C, align(8))]
pub struct FlowKey4 {
    /// Source address.
    pub src: u32,
    /// Destination address.
    pub dst: u32,
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
    /// IP protocol.
    pub proto: u8,
}

impl FlowKey4 {
    /// The key of an IPv4 packet.
    #[inline]
    pub fn from_packet(headers: &Headers, frame: &[u8]) -> Option<FlowKey4> {
        let (src, dst) = headers.ipv4_addresses(frame)?;
        let proto = headers.protocol()?;
        let (sport, dport) = ports_or_identifier(headers, frame);
        Some(FlowKey4 { src, dst, sport, dport, proto })
    }

    /// The key as two words; equal exactly if the keys are.
    #[inline(always)]
    pub fn words(&self) -> (u64, u64) {
        let addresses = u64::from(self.src) << 32 | u64::from(self.dst);
        let ports = u64::from(self.sport) << 16 | u64::from(self.dport);
        (addresses, ports << 8 | u64::from(self.proto))
    }

    /// Source and destination swapped.
    #[inline]
    pub fn reversed(&self) -> FlowKey4 {
        FlowKey4 { src: self.dst, dst: self.src, sport: self.dport, dport: self.sport, proto: self.proto }
    }

    /// Address and port of each end, in one word.
    #[inline(always)]
    pub(super) fn ends(&self) -> (u64, u64) {
        let source = u64::from(self.src) << 16 | u64::from(self.sport);
        let destination = u64::from(self.dst) << 16 | u64::from(self.dport);
        (source, destination)
    }

    /// The key that both directions share (the smaller endpoint as source), and which direction this is.
    #[inline]
    pub fn canonical(&self) -> (FlowKey4, Direction) {
        let (source, destination) = self.ends();
        if source <= destination {
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
        let (addresses, rest) = self.words();
        narrow(mix(addresses, rest, seed))
    }

    /// A hash that both directions share.
    #[inline]
    pub fn symmetric_hash(&self) -> u32 {
        self.symmetric_hash_with(DEFAULT_SEED)
    }

    /// [`symmetric_hash`](Self::symmetric_hash) with a seed. For steering.
    #[inline]
    pub fn symmetric_hash_with(&self, seed: u64) -> u32 {
        let (source, destination) = self.ends();
        let low = source.min(destination);
        let high = source.max(destination);
        // Endpoints are 48 bits: the protocol goes above one of them.
        narrow(mix(low | u64::from(self.proto) << 48, high, seed))
    }
}

impl PartialEq for FlowKey4 {
    #[inline(always)]
    fn eq(&self, other: &FlowKey4) -> bool {
        self.words() == other.words()
    }
}

impl Eq for FlowKey4 {}

impl std::hash::Hash for FlowKey4 {
    #[inline]
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        let (addresses, rest) = self.words();
        state.write_u64(addresses);
        state.write_u64(rest);
    }
}
