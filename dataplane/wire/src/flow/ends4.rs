//! The two ends of an IPv4 flow.

use super::hash::{mix, narrow};
use super::{Direction, FlowKey, FlowKey4};
use crate::headers::UsualIpv4;

/// Bits of an end: address and port.
const END: u64 = (1 << 48) - 1;

/// The two ends of an IPv4 flow and its protocol: what both directions have in common, in two words. The same as the
/// canonical [`FlowKey4`], but faster to make, to hash and to compare: the key for tables of flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ends4 {
    /// The protocol above the smaller end, which is an address in the upper 32 bits of 48, then a port.
    low: u64,
    /// The larger end.
    high: u64,
}

impl Ends4 {
    /// Those of a packet with this key, and which direction it is.
    #[inline(always)]
    pub fn of(key: &FlowKey4) -> (Ends4, Direction) {
        let (source, destination) = key.ends();
        Ends4::between(source, destination, key.proto)
    }

    /// Those of a packet, and which direction it is.
    #[inline(always)]
    pub fn of_usual(packet: UsualIpv4<'_>) -> (Ends4, Direction) {
        let ((source, destination), (sport, dport)) = (packet.addresses(), packet.ports());
        let end = |address: u32, port: u16| u64::from(address) << 16 | u64::from(port);
        Ends4::between(end(source, sport), end(destination, dport), packet.protocol())
    }

    #[inline(always)]
    fn between(source: u64, destination: u64, protocol: u8) -> (Ends4, Direction) {
        let direction = if source <= destination { Direction::Forward } else { Direction::Reverse };
        let low = source.min(destination) | u64::from(protocol) << 48;
        (Ends4 { low, high: source.max(destination) }, direction)
    }

    /// A hash, by a seed: [`FlowKey4::symmetric_hash_with`].
    #[inline(always)]
    pub fn hash_with(&self, seed: u64) -> u32 {
        narrow(mix(self.low, self.high, seed))
    }
}

/// The canonical key.
impl From<Ends4> for FlowKey4 {
    fn from(Ends4 { low, high }: Ends4) -> FlowKey4 {
        let (source, destination) = (low & END, high & END);
        FlowKey4 {
            src: (source >> 16) as u32,
            dst: (destination >> 16) as u32,
            sport: source as u16,
            dport: destination as u16,
            proto: (low >> 48) as u8,
        }
    }
}

/// The canonical key.
impl From<Ends4> for FlowKey {
    fn from(ends: Ends4) -> FlowKey {
        FlowKey::V4(ends.into())
    }
}
