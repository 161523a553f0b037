//! Packets in both directions, and the messages that the protocol itself sends.

use super::config::{Plan, can_reach};
use super::peers::{Peer, Sender};
use super::*;
use crate::tunnel::{Header, Kept, Marks, after_tags, fits, mark_inner, set_ether_type, set_macs};
use boringtun::noise::TunnResult;
use boringtun::noise::errors::WireGuardError;
use std::net::{IpAddr, SocketAddr};
use wire::checksum::for_udp;
use wire::ethernet::HEADER_LEN;
use wire::protocol::{ether_type, ip};
use wire::{Headers, ipv4, udp};

/// Bytes of a data message besides the packet: header and tag.
const DATA_LEN: usize = 32;
/// Class of handshakes: as WireGuard's own implementations have it (AF41, no ECN).
const HANDSHAKE_CLASS: u8 = 0x88;

/// Room for one packet in and one out; it never grows.
pub(super) struct Room {
    /// A frame in one piece.
    whole: Vec<u8>,
    /// What comes of it, behind the headers that it will have.
    out: Vec<u8>,
}

impl Room {
    pub(super) fn new() -> Room {
        Room { whole: Vec::with_capacity(1 << 17), out: vec![0; 1 << 17] }
    }
}

/// Where an IP packet's bytes are within a frame, and its class.
struct Inner {
    start: usize,
    len: usize,
    class: u8,
}

impl WireGuard {
    pub(super) fn one(&mut self, burst: &mut Burst, i: usize, cx: &mut Cx<'_>) -> Result<(), Refused> {
        let headers = burst.headers(i);
        let frame = burst.bytes(i);
        let (true, Some(start)) = (headers.is_ip(), after_tags(&headers)) else {
            return Err(Refused::Other(NO_PEER));
        };
        let Some((from, to)) = headers.addresses(frame) else { return Err(Refused::Drop(MALFORMED)) };
        if to == self.plan.local && headers.protocol() == Some(ip::UDP) {
            match headers.ports(frame) {
                Some((port, to)) if to == self.plan.port => {
                    return self.open(burst, i, (headers, start, SocketAddr::new(from, port)), cx);
                }
                None if headers.is_later_fragment() => return Err(Refused::Drop(FRAGMENT)),
                _ => {}
            }
        }
        let Some(peer) = self.plan.behind(to) else { return Err(Refused::Other(NO_PEER)) };
        let len = fits(&headers, burst.packet_len(i)).ok_or(Refused::Drop(MALFORMED))?;
        let overhead = self.plan.outer_len() + udp::HEADER_LEN + DATA_LEN;
        self.size.admit(burst, i, cx, (len, overhead))?;
        let class = headers.traffic_class(burst.bytes(i)).unwrap_or(0);
        self.seal(burst, i, peer, Inner { start, len, class }, cx)
    }

    fn seal(
        &mut self,
        burst: &mut Burst,
        i: usize,
        peer: usize,
        inner: Inner,
        cx: &mut Cx<'_>,
    ) -> Result<(), Refused> {
        let WireGuard { plan, peers, room, .. } = self;
        let peer = peers.all.get_mut(peer).ok_or(Refused::Drop(NO_PEER))?;
        let endpoint = peer.endpoint.ok_or(Refused::Drop(NO_ENDPOINT))?;
        let Inner { start, len, class } = inner;
        gather(burst, i, &mut room.whole);
        let packet = room.whole.get(start..start + len).ok_or(Refused::Drop(MALFORMED))?;
        let front = start + plan.outer_len() + udp::HEADER_LEN;
        let written = match peer.tunn.encapsulate(packet, &mut room.out[front..]) {
            TunnResult::WriteToNetwork(message) => message.len(),
            // There is no session yet: the packet waits for one, with the library.
            TunnResult::Done => 0,
            _ => return Err(Refused::Drop(NO_SESSION)),
        };
        let is_data = written > 0 && room.out[front] == DATA;
        if !is_data {
            cx.count(WAITING, 1);
            burst.absorb(i);
            if written > 0 {
                cx.count(HANDSHAKES, 1);
                plan.send(endpoint, &mut room.out[front - plan.front()..front + written], cx);
            }
            return Ok(());
        }
        peer.sealed += 1;
        cx.count(SEALED, 1);
        let frame = &mut room.out[..front + written];
        frame[..start].copy_from_slice(&room.whole[..start]);
        set_macs(frame, Some(&plan.macs));
        // Only the mark of congestion is seen outside.
        plan.write(frame, start, endpoint, class & 3);
        if burst.fill(i, frame) { Ok(()) } else { Err(Refused::Drop(NO_ROOM)) }
    }

    fn open(
        &mut self,
        burst: &mut Burst,
        i: usize,
        (headers, start, from): (Headers, usize, SocketAddr),
        cx: &mut Cx<'_>,
    ) -> Result<(), Refused> {
        if headers.is_fragment() {
            return Err(Refused::Drop(FRAGMENT));
        }
        // Whoever it is, no answer gets there.
        if !can_reach(self.plan.local, from) {
            return Err(Refused::Drop(MALFORMED));
        }
        gather(burst, i, &mut self.room.whole);
        let WireGuard { plan, peers, room, .. } = self;
        let frame = &room.whole[..];
        let outer = Outer::check(&headers, frame, plan)?;
        let message = frame.get(outer.at..outer.end).ok_or(Refused::Drop(MALFORMED))?;
        let front = plan.front();
        let number = match peers.sender(plan, message, from, &mut room.out[front..]) {
            Sender::Peer(number) => number,
            Sender::Cookie(len) => {
                cx.count(COOKIES, 1);
                plan.send(from, &mut room.out[..front + len], cx);
                return Err(Refused::Drop(UNDER_LOAD));
            }
            Sender::Refused(error) => return Err(Refused::Drop(reason(&error))),
        };
        let Some(peer) = peers.all.get_mut(number) else { return Err(Refused::Drop(UNKNOWN_PEER)) };
        // In front there is room for the headers of an answer, or for the link's of the packet.
        let at = front.max(start);
        let opened = match peer.tunn.decapsulate(Some(from.ip()), message, &mut room.out[at..]) {
            TunnResult::WriteToTunnelV4(packet, source) => {
                Some((packet.len(), IpAddr::V4(source), ether_type::IPV4))
            }
            TunnResult::WriteToTunnelV6(packet, source) => {
                Some((packet.len(), IpAddr::V6(source), ether_type::IPV6))
            }
            TunnResult::WriteToNetwork(answer) => {
                let end = at + answer.len();
                peer.is_at(from, cx.now());
                plan.send(from, &mut room.out[at - front..end], cx);
                // A keepalive begins the session. After the answer to a handshake the other end begins it: what waits,
                // waits on in its order.
                let begins = room.out[at] == DATA;
                cx.count(if begins { KEEPALIVES } else { HANDSHAKES }, 1);
                if begins {
                    peer.flush(plan, &mut room.out, cx);
                }
                None
            }
            // A cookie. Who knows the peer's public key and has seen our handshake can make one, and moves nobody by it.
            TunnResult::Done if message.first() == Some(&COOKIE) => None,
            // A keepalive.
            TunnResult::Done => {
                peer.is_at(from, cx.now());
                peer.flush(plan, &mut room.out, cx);
                None
            }
            TunnResult::Err(error) => return Err(Refused::Drop(reason(&error))),
        };
        let Some((len, source, ether_type)) = opened else {
            burst.absorb(i);
            return Ok(());
        };
        // What was sealed came from the peer, wherever that is now.
        peer.is_at(from, cx.now());
        if plan.behind(source) != Some(number) {
            return Err(Refused::Drop(WRONG_SOURCE));
        }
        let begin = at - start;
        let frame = &mut room.out[begin..at + len];
        let inner = wire::parse_ip(frame, start, start + len);
        if fits(&inner, start + len).is_none() || !inner.is_ip() {
            return Err(Refused::Drop(MALFORMED));
        }
        let marks = Marks { inner: inner.traffic_class(frame).unwrap_or(0), outer: outer.class };
        let class = marks.leaving(Kept::Inner).ok_or(Refused::Drop(CONGESTED))?;
        frame[..start].copy_from_slice(&room.whole[..start]);
        mark_inner(frame, start, class);
        set_ether_type(frame, start, ether_type);
        set_macs(frame, plan.inner_macs.as_ref());
        peer.opened += 1;
        cx.count(OPENED, 1);
        if burst.fill(i, frame) { Ok(()) } else { Err(Refused::Drop(NO_ROOM)) }
    }

    /// Handshakes that are due, keepalives; what waits for a session goes with it.
    pub(super) fn run_timers(&mut self, cx: &mut Cx<'_>) {
        let WireGuard { plan, peers, room, .. } = self;
        peers.rest();
        let front = plan.front();
        for peer in &mut peers.all {
            let written = match peer.tunn.update_timers(&mut room.out[front..]) {
                TunnResult::WriteToNetwork(message) => message.len(),
                // A session that has ended is made anew by the next packet.
                _ => continue,
            };
            if let Some(endpoint) = peer.endpoint {
                let kind = if room.out[front] == DATA { KEEPALIVES } else { HANDSHAKES };
                cx.count(kind, 1);
                plan.send(endpoint, &mut room.out[..front + written], cx);
            }
        }
    }
}

impl Peer {
    /// Where it sends from is where it is sent to.
    fn is_at(&mut self, from: SocketAddr, now: Time) {
        if self.endpoint != Some(from) {
            (self.endpoint, self.moved) = (Some(from), now);
        }
    }

    /// Sends what has waited for the session.
    fn flush(&mut self, plan: &Plan, out: &mut [u8], cx: &mut Cx<'_>) {
        let Some(endpoint) = self.endpoint else { return };
        let front = plan.front();
        while cx.emit_room() > 0 {
            match self.tunn.decapsulate(None, &[], &mut out[front..]) {
                TunnResult::WriteToNetwork(message) => {
                    let end = front + message.len();
                    self.sealed += 1;
                    cx.count(SEALED, 1);
                    plan.send(endpoint, &mut out[..end], cx);
                }
                _ => return,
            }
        }
    }
}

/// What is outside of a message.
struct Outer {
    /// Where the message begins and ends.
    at: usize,
    end: usize,
    class: u8,
}

impl Outer {
    fn check(headers: &Headers, frame: &[u8], plan: &Plan) -> Result<Outer, Refused> {
        let malformed = Refused::Drop(MALFORMED);
        let (Some(start), Some(udp_at), None) =
            (after_tags(headers), headers.l4_offset(), headers.malformed())
        else {
            return Err(malformed);
        };
        let end = start + fits(headers, frame.len()).ok_or(Refused::Drop(MALFORMED))?;
        let outer = frame.get(start..).unwrap_or_default();
        let is_sound = ipv4::Packet::new_checked(outer).is_ok_and(|outer| outer.checksum_is_valid());
        if headers.is_ipv4() && !is_sound {
            return Err(Refused::Drop(BAD_CHECKSUM));
        }
        let datagram = frame.get(udp_at..end).unwrap_or_default();
        let Ok(header) = udp::Packet::new_checked(datagram) else { return Err(malformed) };
        let (length, checksum) = (usize::from(header.length()), header.checksum());
        let Some(datagram) = datagram.get(..length) else { return Err(malformed) };
        let Some((from, _)) = headers.addresses(frame) else { return Err(malformed) };
        let sum = Ends::new(plan.local, from).map(|ends| ends.pseudo_header(ip::UDP, length).bytes(datagram));
        // None over IPv4 is allowed; over IPv6 the tag of the message does as well (RFC 6935).
        if checksum != 0 && !sum.is_ok_and(|sum| sum.is_valid()) {
            return Err(Refused::Drop(BAD_CHECKSUM));
        }
        let class = headers.traffic_class(frame).unwrap_or(0);
        Ok(Outer { at: udp_at + udp::HEADER_LEN, end: udp_at + length, class })
    }
}

impl Plan {
    fn outer_len(&self) -> usize {
        if self.local.is_ipv4() { ipv4::HEADER_LEN } else { wire::ipv6::HEADER_LEN }
    }

    /// Bytes in front of a message that the NF sends by itself.
    fn front(&self) -> usize {
        HEADER_LEN + self.outer_len() + udp::HEADER_LEN
    }

    /// Writes the headers around the message in a frame whose link header ends at `start`.
    fn write(&self, frame: &mut [u8], start: usize, to: SocketAddr, class: u8) {
        let Ok(ends) = Ends::new(self.local, to.ip()) else { return };
        set_ether_type(frame, start, ends.ether_type());
        let udp_at = start + ends.header_len();
        let Some(datagram) = frame.get_mut(udp_at..) else { return };
        let length = datagram.len();
        for (at, word) in [(0, self.port), (2, to.port()), (4, length as u16), (6, 0)] {
            datagram[at..at + 2].copy_from_slice(&word.to_be_bytes());
        }
        let checksum = for_udp(ends.pseudo_header(ip::UDP, length).bytes(datagram).checksum());
        datagram[6..8].copy_from_slice(&checksum.to_be_bytes());
        let header = Header { class, ttl: self.ttl, protocol: ip::UDP, flow_label: 0, payload: length };
        ends.write(&mut frame[start..], header);
    }

    /// Sends a message of the protocol's own; in front of it there is room for the headers.
    fn send(&self, to: SocketAddr, frame: &mut [u8], cx: &mut Cx<'_>) {
        set_macs(frame, Some(&self.macs));
        let class = if frame.get(self.front()) == Some(&DATA) { 0 } else { HANDSHAKE_CLASS };
        self.write(frame, HEADER_LEN, to, class);
        let Some(mut packet) = cx.new_packet() else { return };
        if packet.fill(frame) {
            cx.emit(0, packet);
        }
    }
}

/// A frame in one piece.
fn gather(burst: &Burst, i: usize, whole: &mut Vec<u8>) {
    whole.clear();
    burst.segments(i).for_each(|segment| whole.extend_from_slice(segment));
}

/// Why a message is refused.
fn reason(error: &WireGuardError) -> Reason {
    match error {
        WireGuardError::InvalidMac => BAD_MAC,
        WireGuardError::WrongKey => UNKNOWN_PEER,
        WireGuardError::WrongIndex | WireGuardError::NoCurrentSession | WireGuardError::ConnectionExpired => {
            NO_SESSION
        }
        WireGuardError::InvalidCounter | WireGuardError::DuplicateCounter => REPLAYED,
        WireGuardError::WrongTai64nTimestamp | WireGuardError::InvalidTai64nTimestamp => REPLAYED,
        WireGuardError::InvalidAeadTag => BAD_TAG,
        WireGuardError::UnderLoad => UNDER_LOAD,
        WireGuardError::UnexpectedPacket => UNEXPECTED,
        _ => BAD_MESSAGE,
    }
}
