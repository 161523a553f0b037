//! What a packet is to connections: one of its own, news of another, a part of a datagram, or nothing.

use super::connection::Content;
use super::tcp::Segment;
use super::verdict::{Cause, Verdict};
use crate::flow_key::Ports;
use wire::protocol::{ether_type, ip};
use wire::{Direction, FlowKey, FragmentKey, Headers, Malformed, icmp, icmpv6};

/// What is known of a datagram by its first fragment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct First {
    pub ports: Ports,
    /// Of TCP: the sequence number that the datagram's first byte would have.
    pub base: u32,
    /// Bytes of the transport header.
    pub header: u16,
    /// TCP flags, or ICMP type and code; no matter for tracking.
    pub kind: Option<u16>,
}

/// A later fragment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Later {
    pub datagram: FragmentKey,
    /// With the addresses of its flow; it has no ports.
    pub key: FlowKey,
    /// Where its data begins and ends in the datagram.
    pub range: (u32, u32),
}

impl Later {
    /// Its flow, and what it says there.
    pub(super) fn within(&self, first: First) -> Result<(FlowKey, Content), Cause> {
        if self.range.0 < u32::from(first.header) {
            return Err(Cause::FragmentOverlap);
        }
        let content = match first.ports.proto {
            ip::TCP => Content::TcpPart { end: first.base.wrapping_add(self.range.1) },
            _ => Content::Part,
        };
        Ok((first.ports.within(&self.key), content))
    }
}

/// What a packet is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Packet {
    /// One of this flow. With ICMP queries the ports are the identifier, on the side that asks, and the type of the
    /// query on the other: so that two hosts that ask each other with the same identifier have two connections.
    Of(FlowKey, Content),
    /// An ICMP error about a packet of this flow.
    About(FlowKey),
    /// A later fragment.
    Later(Later),
    /// Judged already.
    Judged(Verdict),
}

impl Packet {
    /// Looks at any packet.
    pub(super) fn new(headers: &Headers, frame: &[u8]) -> Packet {
        let claims_ip = matches!(headers.ether_type(), ether_type::IPV4 | ether_type::IPV6);
        if !headers.is_ip() && !claims_ip {
            return Packet::Judged(Verdict::Untracked);
        }
        match Packet::of_ip(headers, frame) {
            Ok(packet) => packet,
            Err(cause) => Packet::Judged(Verdict::Invalid(cause)),
        }
    }

    fn of_ip(headers: &Headers, frame: &[u8]) -> Result<Packet, Cause> {
        if let Some(malformed) = headers.malformed() {
            return Err(Cause::Malformed(malformed));
        }
        // Both are there in everything that is not malformed.
        let cut = Cause::Malformed(Malformed::Ipv4Truncated);
        let (key, protocol) = FlowKey::from_packet(headers, frame).zip(headers.protocol()).ok_or(cut)?;
        if headers.is_later_fragment() {
            let datagram = FragmentKey::from_packet(headers, frame).ok_or(cut)?;
            let from = headers.fragment_offset(frame).ok_or(cut)? as u32;
            let to = from + headers.payload_len().ok_or(cut)? as u32;
            return Ok(Packet::Later(Later { datagram, key, range: (from, to) }));
        }
        match protocol {
            ip::TCP => {
                let segment = Segment::of(headers, frame);
                let segment = segment.ok_or(Cause::Malformed(Malformed::TcpTruncated))?;
                Ok(Packet::Of(key, Content::Tcp(segment)))
            }
            ip::ICMP | ip::ICMPV6 => of_icmp(headers, frame, key),
            _ => Ok(Packet::Of(key, Content::Datagram)),
        }
    }
}

fn of_icmp(headers: &Headers, frame: &[u8], key: FlowKey) -> Result<Packet, Cause> {
    let (kind, _) = headers.icmp_type_code(frame).ok_or(Cause::IcmpUnsolicited)?;
    if headers.is_icmpv6() && is_neighbourhood(kind) {
        return Ok(Packet::Judged(Verdict::Untracked));
    }
    if headers.is_icmp_error(frame) {
        let inner = headers.embedded(frame).ok_or(Cause::IcmpUnrelated)?;
        let about = FlowKey::from_packet(&inner, frame).ok_or(Cause::IcmpUnrelated)?;
        // It goes to who sent the packet that it is about.
        if about.source() != key.destination() || inner.is_later_fragment() {
            return Err(Cause::IcmpUnrelated);
        }
        let about = match inner.icmp_type_code(frame) {
            Some((kind, _)) => of_query(&inner, kind, about).ok_or(Cause::IcmpUnrelated)?.0,
            None => about,
        };
        return Ok(Packet::About(about));
    }
    let (key, answer) = of_query(headers, kind, key).ok_or(Cause::IcmpUnsolicited)?;
    Ok(Packet::Of(key, if answer { Content::Answer } else { Content::Datagram }))
}

/// The key of an ICMP query or its answer, and whether it is an answer; the identifier stands in both ports of `key`.
fn of_query(headers: &Headers, kind: u8, key: FlowKey) -> Option<(FlowKey, bool)> {
    /// Types of queries, and of their answers: echo, timestamp, information, address mask.
    const V4: [(u8, u8); 4] = [(icmp::ECHO_REQUEST, icmp::ECHO_REPLY), (13, 14), (15, 16), (17, 18)];
    const V6: [(u8, u8); 1] = [(icmpv6::ECHO_REQUEST, icmpv6::ECHO_REPLY)];
    let known: &[(u8, u8)] = if headers.is_icmp() { &V4 } else { &V6 };
    let &(query, _) = known.iter().find(|(query, answer)| kind == *query || kind == *answer)?;
    let mut ports = Ports::of(&key);
    let answer = kind != query;
    *(if answer { &mut ports.sport } else { &mut ports.dport }) = query.into();
    Some((ports.within(&key), answer))
}

/// ICMPv6 between neighbours: neighbour and router discovery (RFC 4861), multicast listeners (RFC 2710, RFC 3810).
fn is_neighbourhood(kind: u8) -> bool {
    matches!(kind, 130..=136 | 143)
}

/// The key by which steering knows the flow of a connection's canonical key: with ICMP queries the identifier is in
/// both ports.
pub(super) fn steered(key: FlowKey, originator: Direction) -> FlowKey {
    let mut ports = Ports::of(&key);
    if matches!(ports.proto, ip::ICMP | ip::ICMPV6) {
        let identifier = if originator == Direction::Forward { ports.sport } else { ports.dport };
        (ports.sport, ports.dport) = (identifier, identifier);
    }
    ports.within(&key)
}

/// What a whole datagram would have said that a later fragment of it does not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transport {
    /// Source port and destination port.
    pub ports: Option<(u16, u16)>,
    /// TCP flags.
    pub tcp_flags: Option<u8>,
    /// ICMP type and code.
    pub icmp: Option<(u8, u8)>,
}

impl First {
    /// Of a first fragment in a flow: `header` bytes of transport header, and its segment if it is one.
    pub(super) fn new(
        key: &FlowKey,
        header: usize,
        headers: &Headers,
        frame: &[u8],
        content: &Content,
    ) -> First {
        let (base, flags) = match content {
            Content::Tcp(segment) => {
                (segment.seq.wrapping_sub(header as u32), Some(u16::from(segment.flags)))
            }
            _ => (0, None),
        };
        let icmp = headers.icmp_type_code(frame).map(|(kind, code)| u16::from_be_bytes([kind, code]));
        First { ports: Ports::of(key), base, header: header as u16, kind: flags.or(icmp) }
    }

    /// What its datagram says.
    pub(super) fn transport(&self) -> Transport {
        let Ports { sport, dport, proto } = self.ports;
        let icmp = matches!(proto, ip::ICMP | ip::ICMPV6);
        let [high, low] = self.kind.unwrap_or_default().to_be_bytes();
        Transport {
            ports: (!icmp).then_some((sport, dport)),
            tcp_flags: (proto == ip::TCP && self.kind.is_some()).then_some(low),
            icmp: (icmp && self.kind.is_some()).then_some((high, low)),
        }
    }

    /// The key of its packet.
    pub(super) fn flow(&self, datagram: &FragmentKey) -> FlowKey {
        let key = match *datagram {
            FragmentKey::V4 { src, dst, proto, .. } => {
                FlowKey::V4(wire::FlowKey4 { src, dst, sport: 0, dport: 0, proto })
            }
            FragmentKey::V6 { src, dst, .. } => {
                FlowKey::V6(wire::FlowKey6 { src, dst, ..wire::FlowKey6::default() })
            }
        };
        self.ports.within(&key)
    }

    /// The key by which steering knows the datagram's flow.
    pub(super) fn steered(&self, datagram: &FragmentKey) -> FlowKey {
        // A query has its type for a destination port, an answer for a source port: neither is a likely identifier.
        let asks = matches!(self.ports.dport, 8 | 13 | 15 | 17 | 128);
        let key = self.flow(datagram);
        steered(key, if asks { Direction::Forward } else { Direction::Reverse })
    }
}
