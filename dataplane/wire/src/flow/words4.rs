//! An IPv4 five-tuple as it is in a packet.

use super::FlowKey4;
use super::hash::{mix, narrow};
use crate::headers::UsualIpv4;

/// The five-tuple of an IPv4 packet in network order: the same as its [`FlowKey4`], but read, compared and hashed as two
/// words. For tables that tell the two directions of a flow apart; [`Ends4`](super::Ends4) is for those that do not.
/// In memory it is words of four bytes, so that an entry of a table need not be aligned to eight.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Words4 {
    /// Source and destination address.
    addresses: [u32; 2],
    /// Source and destination port in one, and the protocol.
    rest: [u32; 2],
}

impl Words4 {
    #[inline(always)]
    fn new(addresses: [u8; 8], ports: [u8; 4], protocol: u8) -> Words4 {
        let [a, b, c, d, e, f, g, h] = addresses;
        let addresses = [u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h])];
        Words4 { addresses, rest: [u32::from_ne_bytes(ports), protocol.into()] }
    }

    /// Those of a packet.
    #[inline(always)]
    pub fn of_usual(packet: UsualIpv4<'_>) -> Words4 {
        Words4::new(packet.raw_addresses(), packet.raw_ports(), packet.protocol())
    }

    /// A hash, by a seed. Machines of another byte order have other hashes.
    #[inline(always)]
    pub fn hash_with(&self, seed: u64) -> u32 {
        let word = |[low, high]: [u32; 2]| u64::from(high) << 32 | u64::from(low);
        narrow(mix(word(self.addresses), word(self.rest), seed))
    }
}

impl From<FlowKey4> for Words4 {
    fn from(key: FlowKey4) -> Words4 {
        let ([a, b, c, d], [e, f, g, h]) = (key.src.to_be_bytes(), key.dst.to_be_bytes());
        let ([i, j], [k, l]) = (key.sport.to_be_bytes(), key.dport.to_be_bytes());
        Words4::new([a, b, c, d, e, f, g, h], [i, j, k, l], key.proto)
    }
}

impl From<Words4> for FlowKey4 {
    fn from(words: Words4) -> FlowKey4 {
        let [src, dst] = words.addresses.map(u32::from_be);
        let [[i, j, k, l], [proto, ..]] = [words.rest[0].to_ne_bytes(), words.rest[1].to_le_bytes()];
        FlowKey4 { src, dst, sport: u16::from_be_bytes([i, j]), dport: u16::from_be_bytes([k, l]), proto }
    }
}
