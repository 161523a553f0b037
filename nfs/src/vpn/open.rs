//! Packets out of a tunnel (RFC 4303 section 3.4).

use super::association::{Association, Associations};
use super::cipher::{ICV_LEN, IV_LEN};
use super::config::{Plan, Route};
use super::seal::{ALIGNMENT, TRAILER_LEN};
use super::window::Arrival;
use super::{
    BAD_CHECKSUM, BAD_ICV, BAD_PADDING, CONGESTED, DUMMIES, ESP_LEN, FRAGMENT, KEEPALIVES, NO_POLICY,
    NOT_TUNNEL_MODE, OPENED, REPLAYED, Scratch, TOO_OLD, UNKNOWN_SPI, WRONG_ADDRESS, WRONG_SELECTOR, key_of,
};
use crate::tunnel::{
    MALFORMED, Marks, NO_ROOM, Refused, after_tags, fits, mark_inner, remove, set_ether_type, set_macs,
};
use engine::{Burst, Cx};
use tables::classifier::Key;
use wire::protocol::{ether_type, ip};
use wire::{FlowKey, Headers, ipv4, udp};

/// What messages of the key exchange begin with, in place of an SPI (RFC 3948 section 2.2).
const MARKER: [u8; 4] = [0; 4];
/// The least that stands behind an ESP header: the trailer, aligned, and the integrity check value.
const LEAST: usize = ESP_LEN + IV_LEN + ALIGNMENT + ICV_LEN;

/// Where the parts of an ESP packet are.
#[derive(Clone, Copy)]
struct Parcel {
    /// Where the outer IP header begins.
    start: usize,
    esp_at: usize,
    /// Where the outer IP packet ends.
    end: usize,
    in_udp: bool,
    /// DSCP and ECN outside.
    class: u8,
}

/// What was found inside.
enum Inside {
    /// A packet, from here to there, with this class and EtherType.
    Packet { at: usize, end: usize, class: u8, ether_type: u16 },
    /// Nothing: it hides when there is traffic (section 2.6).
    Dummy,
}

impl Plan {
    /// Whether a packet is ESP for this end, or may be.
    #[inline]
    pub(super) fn is_esp(&self, headers: &Headers, frame: &[u8]) -> bool {
        let looks = match headers.protocol() {
            Some(ip::ESP) => true,
            Some(ip::UDP) if !self.udp_ports.is_empty() => {
                headers.is_later_fragment()
                    || headers.ports(frame).is_some_and(|(_, port)| self.udp_ports.contains(&port))
            }
            _ => false,
        };
        looks && headers.addresses(frame).is_some_and(|(_, to)| self.locals.contains(&to))
    }

    /// Opens an ESP packet for this end.
    pub(super) fn open(
        &self,
        burst: &mut Burst,
        i: usize,
        associations: &mut Associations,
        scratch: &mut Scratch,
        cx: &mut Cx<'_>,
    ) -> Result<(), Refused> {
        let headers = burst.headers(i);
        if headers.is_fragment() {
            let marker = headers.payload_offset().and_then(|at| burst.bytes(i).get(at..at + MARKER.len()));
            let is_ike = headers.is_later_fragment() || marker == Some(&MARKER);
            let may_pass = headers.protocol() == Some(ip::UDP) && is_ike;
            return Err(if may_pass { Refused::Other(NO_POLICY) } else { Refused::Drop(FRAGMENT) });
        }
        let packet_len = burst.packet_len(i);
        let is_whole = burst.bytes(i).len() == packet_len;
        if !is_whole {
            scratch.gather(burst, i, 0, packet_len);
        }
        let frame = if is_whole { burst.bytes(i) } else { &scratch.0 };
        let parcel = Parcel::find(&headers, frame)?;
        if parcel.in_udp {
            match frame.get(parcel.esp_at..parcel.end) {
                // RFC 3948 section 2.3.
                Some([0xff]) => {
                    cx.count(KEEPALIVES, 1);
                    burst.absorb(i);
                    return Ok(());
                }
                Some(message) if message.starts_with(&MARKER) => return Err(Refused::Other(NO_POLICY)),
                _ => {}
            }
        }
        let Some(&[a, b, c, d]) = frame.get(parcel.esp_at..).and_then(|esp| esp.first_chunk()) else {
            return Err(Refused::Drop(MALFORMED));
        };
        let association = associations.inbound(u32::from_be_bytes([a, b, c, d]));
        let association = association.ok_or(Refused::Drop(UNKNOWN_SPI))?;
        let route = self.tunnels.get(association.tunnel).ok_or(Refused::Drop(UNKNOWN_SPI))?;
        if !route.is_meant(&headers, frame) {
            return Err(Refused::Drop(WRONG_ADDRESS));
        }
        // The bytes to write to may be those of a copy.
        let frame = if is_whole { burst.bytes_mut(i).ok_or(Refused::Judged)? } else { &mut scratch.0[..] };
        let opened = parcel.open(frame, association, route, cx);
        let (at, end) = match opened.map_err(Refused::Drop)? {
            Inside::Dummy => {
                cx.count(DUMMIES, 1);
                burst.absorb(i);
                return Ok(());
            }
            Inside::Packet { at, end, class, ether_type } => {
                mark_inner(frame, at, class);
                set_ether_type(frame, parcel.start, ether_type);
                set_macs(frame, route.inner_macs.as_ref());
                (at, end)
            }
        };
        cx.count(OPENED, 1);
        if is_whole {
            return if burst.truncate(i, end) {
                remove(burst, i, parcel.start, at - parcel.start)
            } else {
                Err(Refused::Drop(NO_ROOM))
            };
        }
        let gap = at - parcel.start;
        scratch.0.copy_within(..parcel.start, gap);
        let is_filled = scratch.0.get(gap..end).is_some_and(|frame| burst.fill(i, frame));
        if is_filled { Ok(()) } else { Err(Refused::Drop(NO_ROOM)) }
    }
}

impl Route {
    /// Whether an ESP packet came from where this tunnel's come from, to where they go: the worker whose window knows
    /// them. ESP in UDP may come from anywhere, as behind NAT.
    fn is_meant(&self, headers: &Headers, frame: &[u8]) -> bool {
        match self.udp {
            Some(udp) => {
                headers.protocol() == Some(ip::UDP)
                    && headers.ports(frame).is_some_and(|(_, to)| to == udp.local)
                    && self.ends.is_ours(headers, frame)
            }
            None => headers.protocol() == Some(ip::ESP) && self.ends.sent(headers, frame),
        }
    }
}

impl Parcel {
    /// Where the parts are, if the headers outside are right.
    fn find(headers: &Headers, frame: &[u8]) -> Result<Parcel, Refused> {
        let malformed = || Refused::Drop(MALFORMED);
        let (Some(start), Some(l4), None) = (after_tags(headers), headers.l4_offset(), headers.malformed())
        else {
            return Err(malformed());
        };
        let outer = frame.get(start..).unwrap_or_default();
        if ipv4::Packet::new_checked(outer).is_ok_and(|outer| !outer.checksum_is_valid()) {
            return Err(Refused::Drop(BAD_CHECKSUM));
        }
        let mut end = start + fits(headers, frame.len()).ok_or_else(malformed)?;
        let in_udp = headers.protocol() == Some(ip::UDP);
        let mut esp_at = l4;
        if in_udp {
            let datagram = frame.get(l4..end).unwrap_or_default();
            let length = udp::Packet::new_checked(datagram).map_err(|_| malformed())?.length();
            let length = usize::from(length);
            if length <= udp::HEADER_LEN || l4 + length > end {
                return Err(malformed());
            }
            (esp_at, end) = (l4 + udp::HEADER_LEN, l4 + length);
        }
        let class = headers.traffic_class(frame).unwrap_or(0);
        Ok(Parcel { start, esp_at, end, in_udp, class })
    }

    /// Checks, decrypts and looks inside. Nothing is noted of a packet that is not authentic.
    fn open(
        &self,
        frame: &mut [u8],
        association: &mut Association,
        route: &Route,
        cx: &mut Cx<'_>,
    ) -> Result<Inside, engine::Reason> {
        let Some(esp) = frame.get_mut(self.esp_at..self.end) else { return Err(MALFORMED) };
        if esp.len() < LEAST || !(esp.len() - ESP_LEN - IV_LEN - ICV_LEN).is_multiple_of(ALIGNMENT) {
            return Err(MALFORMED);
        }
        let (header, sealed) = esp.split_at_mut(ESP_LEN + IV_LEN);
        let (Some(&low), Some(&iv)) = (header[4..].first_chunk(), header.last_chunk()) else {
            return Err(MALFORMED);
        };
        let sequence = match association.look(u32::from_be_bytes(low)) {
            Arrival::New(sequence) => sequence,
            Arrival::Again => return Err(REPLAYED),
            Arrival::TooOld => return Err(TOO_OLD),
        };
        if !association.cipher.open(iv, association.authenticated(sequence), sealed) {
            return Err(BAD_ICV);
        }
        let text_len = sealed.len() - ICV_LEN;
        association.note(sequence, text_len, cx.now());
        let text = &sealed[..text_len];
        let Some((carried, &[padding, next])) = text.split_last_chunk::<TRAILER_LEN>() else {
            return Err(MALFORMED);
        };
        let inner_len = carried.len().checked_sub(padding.into()).ok_or(BAD_PADDING)?;
        if carried[inner_len..].iter().enumerate().any(|(n, &byte)| usize::from(byte) != n + 1) {
            return Err(BAD_PADDING);
        }
        let ether_type = match next {
            ip::IPV4 => ether_type::IPV4,
            ip::IPV6 => ether_type::IPV6,
            ip::NO_NEXT_HEADER => return Ok(Inside::Dummy),
            _ => return Err(NOT_TUNNEL_MODE),
        };
        let at = self.esp_at + ESP_LEN + IV_LEN;
        self.look_inside(frame, (at, at + inner_len, ether_type), route)
    }

    /// Whether what was sealed is a packet that may come this way.
    fn look_inside(
        &self,
        frame: &[u8],
        (at, most, ether_type): (usize, usize, u16),
        route: &Route,
    ) -> Result<Inside, engine::Reason> {
        let inner = wire::parse_ip(frame, at, most);
        let whole = fits(&inner, most).filter(|_| inner.is_ip() && inner.ether_type() == ether_type);
        // What is behind the packet pads it (section 2.7).
        let len = whole.ok_or(MALFORMED)?;
        let key = FlowKey::of_flow(&inner, frame).ok_or(MALFORMED)?;
        let back: Key = key_of(&key.reversed());
        // An error of whatever router goes to who sent the packet that it is about, and to nobody else (RFC 4301
        // section 6.2).
        let is_addressed = inner.addresses(frame).is_some_and(|(_, to)| to == key.destination());
        if !is_addressed || !route.selectors.iter().any(|selector| selector.matches(&back)) {
            return Err(WRONG_SELECTOR);
        }
        let marks = Marks { inner: inner.traffic_class(frame).unwrap_or(0), outer: self.class };
        let class = marks.leaving(route.kept).ok_or(CONGESTED)?;
        Ok(Inside::Packet { at, end: at + len, class, ether_type })
    }
}
