//! Flow keys: the five-tuple of a packet, in both directions, and its hash.

mod ends4;
mod fragment_key;
mod hash;
mod key4;
mod key6;
#[cfg(test)]
mod tests;
mod words4;

use std::fmt;
use std::net::IpAddr;

pub use ends4::Ends4;
pub use fragment_key::FragmentKey;
pub use hash::{DEFAULT_SEED, mix};
pub use key4::FlowKey4;
pub use key6::FlowKey6;
pub use words4::Words4;

use crate::headers::Headers;
use crate::order::get_u16;
use crate::{icmp, icmpv6};

/// Which of a flow's two directions a packet travels in, relative to the canonical key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The packet's key is the canonical one.
    Forward,
    /// The packet's key is the canonical one reversed.
    Reverse,
}

/// The five-tuple of an IPv4 or IPv6 packet, host order.
///
/// What stands in for ports: for ICMP and ICMPv6 echo the identifier, in both places, so that request
/// and reply are one flow; for everything else without ports (other ICMP, ESP, non-first fragments) 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FlowKey {
    /// IPv4.
    V4(FlowKey4),
    /// IPv6.
    V6(FlowKey6),
}

impl FlowKey {
    /// The key of an IP packet; `None` if it is not IP or its header chain is broken.
    #[inline]
    pub fn from_packet(headers: &Headers, frame: &[u8]) -> Option<FlowKey> {
        if headers.is_ipv4() {
            FlowKey4::from_packet(headers, frame).map(FlowKey::V4)
        } else {
            FlowKey6::from_packet(headers, frame).map(FlowKey::V6)
        }
    }

    /// The key that the flow's packets in the direction of this ICMP or ICMPv6 error have: that of the
    /// embedded packet, reversed (the error travels back to the sender). `None` if it is not an error, or
    /// too little is embedded (RFC 792 promises 8 bytes of the transport header; ports need 4).
    pub fn of_icmp_error(headers: &Headers, frame: &[u8]) -> Option<FlowKey> {
        let embedded = headers.embedded(frame)?;
        FlowKey::from_packet(&embedded, frame).map(|key| key.reversed())
    }

    /// The key of a packet, or for an ICMP error that of the flow that it is about: what steering and
    /// connection tracking want, so that errors meet the flow's state.
    pub fn of_flow(headers: &Headers, frame: &[u8]) -> Option<FlowKey> {
        FlowKey::of_icmp_error(headers, frame).or_else(|| FlowKey::from_packet(headers, frame))
    }

    /// Source and destination swapped.
    #[inline]
    pub fn reversed(&self) -> FlowKey {
        match self {
            FlowKey::V4(key) => FlowKey::V4(key.reversed()),
            FlowKey::V6(key) => FlowKey::V6(key.reversed()),
        }
    }

    /// The key that both directions share (the smaller endpoint as source), and which direction this is.
    #[inline]
    pub fn canonical(&self) -> (FlowKey, Direction) {
        match self {
            FlowKey::V4(key) => {
                let (key, direction) = key.canonical();
                (FlowKey::V4(key), direction)
            }
            FlowKey::V6(key) => {
                let (key, direction) = key.canonical();
                (FlowKey::V6(key), direction)
            }
        }
    }

    /// A hash of the key; differs between directions. For tables.
    #[inline]
    pub fn hash(&self) -> u32 {
        self.hash_with(DEFAULT_SEED)
    }

    /// [`hash`](Self::hash) with a seed, so that who sends the packets cannot choose colliding keys.
    #[inline]
    pub fn hash_with(&self, seed: u64) -> u32 {
        match self {
            FlowKey::V4(key) => key.hash_with(seed),
            FlowKey::V6(key) => key.hash_with(seed),
        }
    }

    /// A hash that both directions share.
    #[inline]
    pub fn symmetric_hash(&self) -> u32 {
        self.symmetric_hash_with(DEFAULT_SEED)
    }

    /// [`symmetric_hash`](Self::symmetric_hash) with a seed, so that who sends the packets cannot choose flows that
    /// meet in one place. For steering.
    #[inline]
    pub fn symmetric_hash_with(&self, seed: u64) -> u32 {
        match self {
            FlowKey::V4(key) => key.symmetric_hash_with(seed),
            FlowKey::V6(key) => key.symmetric_hash_with(seed),
        }
    }

    /// Source address.
    pub fn source(&self) -> IpAddr {
        match self {
            FlowKey::V4(key) => std::net::Ipv4Addr::from(key.src).into(),
            FlowKey::V6(key) => std::net::Ipv6Addr::from(key.src).into(),
        }
    }

    /// Destination address.
    pub fn destination(&self) -> IpAddr {
        match self {
            FlowKey::V4(key) => std::net::Ipv4Addr::from(key.dst).into(),
            FlowKey::V6(key) => std::net::Ipv6Addr::from(key.dst).into(),
        }
    }

    /// Source port, or what stands in for it.
    pub fn source_port(&self) -> u16 {
        match self {
            FlowKey::V4(key) => key.sport,
            FlowKey::V6(key) => key.sport,
        }
    }

    /// Destination port, or what stands in for it.
    pub fn destination_port(&self) -> u16 {
        match self {
            FlowKey::V4(key) => key.dport,
            FlowKey::V6(key) => key.dport,
        }
    }

    /// IP protocol: the final next header.
    pub fn protocol(&self) -> u8 {
        match self {
            FlowKey::V4(key) => key.proto,
            FlowKey::V6(key) => key.proto,
        }
    }
}

impl From<FlowKey4> for FlowKey {
    fn from(key: FlowKey4) -> FlowKey {
        FlowKey::V4(key)
    }
}

impl From<FlowKey6> for FlowKey {
    fn from(key: FlowKey6) -> FlowKey {
        FlowKey::V6(key)
    }
}

/// `10.0.0.1:1000 > 10.0.0.2:53 17`, brackets around IPv6 addresses.
impl fmt::Display for FlowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = std::net::SocketAddr::new(self.source(), self.source_port());
        let to = std::net::SocketAddr::new(self.destination(), self.destination_port());
        write!(f, "{from} > {to} {}", self.protocol())
    }
}

/// Ports, or what stands in for them.
#[inline]
fn ports_or_identifier(headers: &Headers, frame: &[u8]) -> (u16, u16) {
    match headers.ports(frame) {
        Some(ports) => ports,
        None => echo_identifier(headers, frame).map_or((0, 0), |identifier| (identifier, identifier)),
    }
}

/// The identifier of an ICMP query or ICMPv6 echo.
fn echo_identifier(headers: &Headers, frame: &[u8]) -> Option<u16> {
    let (kind, _) = headers.icmp_type_code(frame)?;
    let is_query = if headers.is_icmp() { icmp::has_identifier(kind) } else { icmpv6::is_echo(kind) };
    if is_query { get_u16(frame, headers.l4_offset()? + 4) } else { None }
}
