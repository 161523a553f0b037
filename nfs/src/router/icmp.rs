//! ICMP and ICMPv6: errors about packets that cannot go on, and echoes.

use super::interface::Hop;
use super::{ECHOES, ERRORS_LIMITED, ERRORS_SENT, Router, TO_ROUTER, UNRESOLVED};
use engine::{Burst, Cx, Reason};
use std::net::IpAddr;
use wire::builder::Builder;
use wire::checksum::Sum;
use wire::protocol::ip;
use wire::{Headers, Mac, icmp, icmpv6};

/// Longest error: IPv4's (RFC 1812 section 4.3.2.3), IPv6's (RFC 4443 section 2.4(c)).
const LONGEST_V4: usize = 576;
const LONGEST_V6: usize = 1280;
/// DSCP of errors: class selector 6, internetwork control (RFC 1812 section 4.3.2.5).
const CONTROL: u8 = 48;
const LINK: usize = 14;

/// What is told to the sender of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Error {
    NoRoute,
    /// The last neighbour does not answer.
    NoNeighbour,
    /// Nobody listens at the port.
    NoPort,
    TimeExceeded,
    /// Longer than this MTU, and not to be fragmented.
    TooLong(u16),
}

impl Error {
    /// Type, code and second word.
    fn v4(self) -> (u8, u8, u32) {
        match self {
            Error::NoRoute => (icmp::UNREACHABLE, 0, 0),
            Error::NoNeighbour => (icmp::UNREACHABLE, 1, 0),
            Error::NoPort => (icmp::UNREACHABLE, 3, 0),
            Error::TimeExceeded => (icmp::TIME_EXCEEDED, 0, 0),
            Error::TooLong(mtu) => (icmp::UNREACHABLE, icmp::FRAGMENTATION_NEEDED, mtu.into()),
        }
    }

    fn v6(self) -> (u8, u8, u32) {
        match self {
            Error::NoRoute => (icmpv6::UNREACHABLE, 0, 0),
            Error::NoNeighbour => (icmpv6::UNREACHABLE, 3, 0),
            Error::NoPort => (icmpv6::UNREACHABLE, 4, 0),
            Error::TimeExceeded => (icmpv6::TIME_EXCEEDED, 0, 0),
            Error::TooLong(mtu) => (icmpv6::PACKET_TOO_BIG, 0, mtu.into()),
        }
    }
}

impl Router {
    /// Tells the sender of a packet of the burst why it ends; gives the reason back.
    pub(super) fn tell(
        &mut self,
        burst: &mut Burst,
        i: usize,
        error: Error,
        reason: Reason,
        cx: &mut Cx<'_>,
    ) -> Reason {
        let headers = burst.headers(i);
        let mut whole = std::mem::take(&mut self.whole);
        gather(&mut whole, burst.segments(i), LINK + LONGEST_V6);
        self.send_error(&headers, &whole, error, cx);
        self.whole = whole;
        reason
    }

    /// Nobody answers at a hop: the packets that wait for it end, and their senders are told.
    pub(super) fn fail(&mut self, hop: &Hop, cx: &mut Cx<'_>) {
        while let Some(packet) = self.neighbours.next_waiting(hop) {
            let mut whole = std::mem::take(&mut self.whole);
            gather(&mut whole, packet.segments(), LINK + LONGEST_V6);
            let headers = wire::parse_with_len(&whole, packet.packet_len());
            self.send_error(&headers, &whole, Error::NoNeighbour, cx);
            self.whole = whole;
            cx.discard(packet, UNRESOLVED);
        }
    }

    fn send_error(&mut self, headers: &Headers, frame: &[u8], error: Error, cx: &mut Cx<'_>) {
        let Some((source, _)) = headers.addresses(frame) else { return };
        if !may_be_told(headers, frame, error) || self.is_own(source) {
            return;
        }
        if !self.errors.take(cx.now()) {
            cx.count(ERRORS_LIMITED, 1);
            return;
        }
        let Some(hop) = self.hop_to(source) else { return };
        let Some(own) = self.plan.interface(hop.interface).and_then(|out| out.source_for(source)) else {
            return;
        };
        let packet = frame.get(LINK..).unwrap_or_default();
        let packet = &packet[..packet.len().min(headers.l3_len().unwrap_or(0))];
        let (builder, (kind, code, rest), quoted) = match (own, source) {
            (IpAddr::V4(own), IpAddr::V4(to)) => {
                (Builder::default().ipv4(own, to).dont_fragment(), error.v4(), LONGEST_V4 - 20 - 8)
            }
            (IpAddr::V6(own), IpAddr::V6(to)) => {
                (Builder::default().ipv6(own, to), error.v6(), LONGEST_V6 - 40 - 8)
            }
            _ => return,
        };
        let quoted = &packet[..packet.len().min(quoted)];
        let message = builder.dscp(CONTROL).icmp(kind, code, rest).payload(quoted).build();
        cx.count(ERRORS_SENT, 1);
        self.send(hop, &message, cx);
    }

    /// A packet for the router itself. `back`: the way to answer by, when it is not that of the routes.
    pub(super) fn receive(
        &mut self,
        burst: &mut Burst,
        i: usize,
        back: Option<Hop>,
        cx: &mut Cx<'_>,
    ) -> Result<(), Reason> {
        let headers = burst.headers(i);
        if headers.is_fragment() {
            return Err(TO_ROUTER);
        }
        let request = match headers.icmp_type_code(burst.bytes(i)) {
            Some((icmp::ECHO_REQUEST, 0)) => headers.is_icmp(),
            Some((icmpv6::ECHO_REQUEST, 0)) => headers.is_icmpv6(),
            _ => false,
        };
        if !request {
            let udp = headers.is_udp() && back.is_none();
            return Err(if udp { self.tell(burst, i, Error::NoPort, TO_ROUTER, cx) } else { TO_ROUTER });
        }
        let mut whole = std::mem::take(&mut self.whole);
        gather(&mut whole, burst.segments(i), usize::MAX);
        let answered = self.echo(&headers, &whole, back, cx);
        self.whole = whole;
        if answered {
            burst.absorb(i);
            Ok(())
        } else {
            Err(TO_ROUTER)
        }
    }

    fn echo(&mut self, headers: &Headers, frame: &[u8], back: Option<Hop>, cx: &mut Cx<'_>) -> bool {
        let Some((source, own)) = headers.addresses(frame) else { return false };
        let end = headers.l3_offset() + headers.l3_len().unwrap_or(0);
        let Some(message) = headers.l4_offset().and_then(|at| frame.get(at..end)) else { return false };
        let sum = match (source, own) {
            (IpAddr::V6(source), IpAddr::V6(own)) => {
                Sum::pseudo_v6(source.into(), own.into(), ip::ICMPV6, message.len() as u32)
            }
            _ => Sum::new(),
        };
        let (Some(rest), Some(data)) = (message.get(4..8), message.get(8..)) else { return false };
        let Ok(rest) = <[u8; 4]>::try_from(rest) else { return false };
        let hop = back.or_else(|| self.hop_to(source));
        let (true, Some(hop)) = (sum.bytes(message).is_valid(), hop) else { return false };
        let builder = match (own, source) {
            (IpAddr::V4(own), IpAddr::V4(to)) => {
                let id = frame.get(LINK + 4..LINK + 6).map_or(0, |id| u16::from_be_bytes([id[0], id[1]]));
                Builder::default().ipv4(own, to).id(id).icmp(icmp::ECHO_REPLY, 0, u32::from_be_bytes(rest))
            }
            (IpAddr::V6(own), IpAddr::V6(to)) => {
                Builder::default().ipv6(own, to).icmp(icmpv6::ECHO_REPLY, 0, u32::from_be_bytes(rest))
            }
            _ => return false,
        };
        let reply = builder.payload(data).build();
        cx.count(ECHOES, 1);
        self.send(hop, &reply, cx);
        true
    }
}

/// At most `most` bytes of a packet in one piece.
pub(super) fn gather<'a>(whole: &mut Vec<u8>, segments: impl Iterator<Item = &'a [u8]>, most: usize) {
    whole.clear();
    for segment in segments {
        let room = most - whole.len();
        whole.extend_from_slice(&segment[..segment.len().min(room)]);
    }
}

/// Whether there may be an error about a packet (RFC 1812 section 4.3.2.7, RFC 4443 section 2.4(e)).
fn may_be_told(headers: &Headers, frame: &[u8], error: Error) -> bool {
    let Some((source, destination)) = headers.addresses(frame) else { return false };
    let to = frame.first_chunk().map_or(Mac::BROADCAST, |mac| Mac(*mac));
    let about_error = match headers.protocol() {
        // An ICMP message that is cut may be an error.
        Some(ip::ICMP | ip::ICMPV6) if headers.icmp_type_code(frame).is_none() => true,
        Some(ip::ICMPV6) => headers.icmp_type_code(frame).is_some_and(|(kind, _)| kind < 128 || kind == 137),
        _ => headers.is_icmp_error(frame),
    };
    let nobody = match source {
        IpAddr::V4(source) => source.is_broadcast() || source.is_unspecified() || source.is_loopback(),
        IpAddr::V6(source) => source.is_unspecified() || source.is_loopback(),
    };
    let later = headers.is_ipv4() && headers.is_later_fragment();
    let to_group = destination.is_multicast() || to.is_multicast();
    let too_long = matches!(error, Error::TooLong(_)) && headers.is_ipv6();
    !(about_error || nobody || source.is_multicast() || later || (to_group && !too_long))
}
