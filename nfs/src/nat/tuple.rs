//! What a packet is known by, and what is made of it.

use std::num::NonZeroU32;
use wire::checksum::Delta;
use wire::protocol::ip;
use wire::{FlowKey4, Words4};

/// Source, destination, ports and protocol of an IPv4 packet, in words of four bytes. The identifier of an ICMP query
/// stands in for both ports.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Tuple {
    pub src: u32,
    pub dst: u32,
    pub sport: u16,
    pub dport: u16,
    pub protocol: u32,
}

impl Tuple {
    pub(super) fn reversed(self) -> Tuple {
        Tuple { src: self.dst, dst: self.src, sport: self.dport, dport: self.sport, ..self }
    }

    pub(super) fn protocol(&self) -> u8 {
        self.protocol as u8
    }

    pub(super) fn source(&self) -> Endpoint {
        Endpoint { address: self.src, port: self.sport, protocol: self.protocol() }
    }

    pub(super) fn destination(&self) -> Endpoint {
        Endpoint { address: self.dst, port: self.dport, protocol: self.protocol() }
    }

    /// With another source.
    pub(super) fn with_source(self, source: Endpoint) -> Tuple {
        let mut tuple = Tuple { src: source.address, sport: source.port, ..self };
        if tuple.protocol() == ip::ICMP {
            tuple.dport = source.port;
        }
        tuple
    }

    /// With another destination.
    pub(super) fn with_destination(self, destination: Endpoint) -> Tuple {
        let mut tuple = Tuple { dst: destination.address, dport: destination.port, ..self };
        if tuple.protocol() == ip::ICMP {
            tuple.sport = destination.port;
        }
        tuple
    }
}

impl From<FlowKey4> for Tuple {
    fn from(key: FlowKey4) -> Tuple {
        let FlowKey4 { src, dst, sport, dport, proto } = key;
        Tuple { src, dst, sport, dport, protocol: proto.into() }
    }
}

impl From<Tuple> for FlowKey4 {
    fn from(tuple: Tuple) -> FlowKey4 {
        let Tuple { src, dst, sport, dport, .. } = tuple;
        FlowKey4 { src, dst, sport, dport, proto: tuple.protocol() }
    }
}

/// For the table.
impl From<Tuple> for Words4 {
    #[inline]
    fn from(tuple: Tuple) -> Words4 {
        FlowKey4::from(tuple).into()
    }
}

impl From<Words4> for Tuple {
    #[inline]
    fn from(words: Words4) -> Tuple {
        FlowKey4::from(words).into()
    }
}

/// An address and a port of a protocol; of an ICMP query, an address and an identifier.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Endpoint {
    pub address: u32,
    pub port: u16,
    pub protocol: u8,
}

impl Endpoint {
    pub(crate) fn hash_with(&self, seed: u64) -> u32 {
        let rest = u64::from(self.port) << 8 | u64::from(self.protocol);
        narrow(wire::flow::mix(self.address.into(), rest, seed))
    }
}

/// Both halves of a hash in one.
pub(crate) fn narrow(hash: u64) -> u32 {
    (hash >> 32) as u32 ^ hash as u32
}

/// What becomes of the packets of one direction of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rewrite {
    /// Source, destination and ports as they go into the packet, in network order.
    ends: [u8; 12],
    ip: Delta,
    /// For checksums over addresses and ports.
    transport: Delta,
}

impl Rewrite {
    pub(super) fn new(from: Tuple, to: Tuple) -> Rewrite {
        let mut ends = [0; 12];
        ends[..4].copy_from_slice(&to.src.to_be_bytes());
        ends[4..8].copy_from_slice(&to.dst.to_be_bytes());
        ends[8..10].copy_from_slice(&to.sport.to_be_bytes());
        ends[10..].copy_from_slice(&to.dport.to_be_bytes());
        let ip = Delta::NONE.u32(from.src, to.src).u32(from.dst, to.dst);
        let transport = match from.protocol() {
            // ICMP has no pseudo-header, and its identifier once.
            ip::ICMP => Delta::NONE.u16(from.sport, to.sport),
            _ => ip.u16(from.sport, to.sport).u16(from.dport, to.dport),
        };
        Rewrite { ends, ip, transport }
    }

    /// The packet's tuple afterwards.
    pub(super) fn result(&self, protocol: u32) -> Tuple {
        let e = &self.ends;
        Tuple {
            src: u32::from_be_bytes([e[0], e[1], e[2], e[3]]),
            dst: u32::from_be_bytes([e[4], e[5], e[6], e[7]]),
            sport: u16::from_be_bytes([e[8], e[9]]),
            dport: u16::from_be_bytes([e[10], e[11]]),
            protocol,
        }
    }

    /// Rewrites a packet that [`wire::Headers::usual_ipv4`] knows.
    #[inline(always)]
    pub(super) fn apply_usual(&self, packet: &mut [u8]) {
        let Some((head, rest)) = packet.split_first_chunk_mut::<42>() else { return };
        [head[24], head[25]] = self.ip.update([head[24], head[25]]);
        head[26..38].copy_from_slice(&self.ends);
        if head[23] == ip::UDP {
            [head[40], head[41]] = self.transport.update_udp([head[40], head[41]]);
        } else if let Some(field) = rest.get_mut(8..10) {
            field.copy_from_slice(&self.transport.update([field[0], field[1]]));
        }
    }

    /// Rewrites addresses and their checksum in the IPv4 header at `l3`: all that there is to do in a later fragment.
    pub(super) fn apply_addresses(&self, packet: &mut [u8], l3: usize) {
        update(packet, l3 + 10, |checksum| self.ip.update(checksum));
        put(packet, l3 + 12, &self.ends[..8]);
    }

    /// Rewrites a packet with its IPv4 header at `l3`, and its transport header, as far as it is there, at `l4`.
    pub(super) fn apply(&self, packet: &mut [u8], l3: usize, l4: usize, protocol: u8) {
        self.apply_addresses(packet, l3);
        match protocol {
            ip::TCP => {
                put(packet, l4, &self.ends[8..]);
                update(packet, l4 + 16, |checksum| self.transport.update(checksum));
            }
            ip::UDP => {
                put(packet, l4, &self.ends[8..]);
                update(packet, l4 + 6, |checksum| self.transport.update_udp(checksum));
            }
            ip::ICMP => {
                put(packet, l4 + 4, &self.ends[8..10]);
                update(packet, l4 + 2, |checksum| self.transport.update(checksum));
            }
            _ => {}
        }
    }
}

/// Writes bytes, as far as all of them are within the packet.
fn put(packet: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = packet.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// Changes a checksum, if it is within the packet.
fn update(packet: &mut [u8], at: usize, change: impl FnOnce([u8; 2]) -> [u8; 2]) {
    if let Some(field) = packet.get_mut(at..at + 2) {
        field.copy_from_slice(&change([field[0], field[1]]));
    }
}

/// The session that an entry is of, and whether its packets may go the short way: nothing but the rewriting is left
/// to do for them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Link(NonZeroU32);

const SETTLED: u32 = 1 << 31;

impl Link {
    pub(super) fn new(session: u32, settled: bool) -> Link {
        let bits = (session + 1) & !SETTLED | if settled { SETTLED } else { 0 };
        Link(NonZeroU32::new(bits).unwrap_or(NonZeroU32::MAX))
    }

    pub(super) fn session(self) -> u32 {
        (self.0.get() & !SETTLED).wrapping_sub(1)
    }

    #[inline(always)]
    pub(super) fn is_settled(self) -> bool {
        self.0.get() & SETTLED != 0
    }
}
