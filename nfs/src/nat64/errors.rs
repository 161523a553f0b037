//! ICMP errors, with the packet inside them (RFC 7915 sections 4.2, 4.3, 5.2 and 5.3).

use super::icmp::{Message, quotation_unit, quoted, to_v4, to_v6};
use super::packet::{Ip, Way, change, rewrite_transport};
use super::reasons::*;
use super::sessions::Protocol;
use super::translator::Translator;
use crate::tunnel::{after_tags, set_ether_type};
use engine::Reason;
use wire::checksum::Sum;
use wire::protocol::{ether_type, ip};
use wire::{FlowKey, Headers, icmpv6, ipv4, ipv6};

/// Bytes of an error that are looked at, and that it becomes at the most.
pub(super) const LONGEST: usize = 2048;
/// An ICMP error has at most so many bytes (RFC 1812 section 4.3.2.3, RFC 4443 section 2.4).
const LONGEST_V4: usize = 576;
const LONGEST_V6: usize = 1280;
/// Bytes of the ICMP header.
const ICMP_HEADER: usize = 8;
/// The least that is quoted of a packet before extensions (RFC 4884 section 5.3).
const LEAST_QUOTED: usize = 128;

/// An error, and to whom it goes.
struct Errand {
    /// Source and destination outside.
    outer: FlowKey,
    /// The packet inside as it comes, and as it is shown.
    from: FlowKey,
    to: FlowKey,
}

impl Translator {
    /// Translates an ICMP error in `frame` (of which there are at least the bytes that `out` has room for, or all);
    /// `headers` are its. Returns the length of the frame in `out`.
    ///
    /// # Errors
    /// Why it is dropped.
    pub(super) fn error(&mut self, headers: &Headers, frame: &[u8], out: &mut [u8]) -> Result<usize, Reason> {
        let errand = self.errand(headers, frame).ok_or(ICMP_UNRELATED)?;
        let id = match errand.outer {
            FlowKey::V4(_) => self.identification(),
            FlowKey::V6(_) => 0,
        };
        self.write(headers, frame, &errand, id, out)
    }

    /// Whom an error is for: the sender of the packet inside it, as that is known on the other side.
    fn errand(&self, headers: &Headers, frame: &[u8]) -> Option<Errand> {
        let inner = headers.embedded(frame)?;
        let from = FlowKey::from_packet(&inner, frame)?;
        let protocol = Protocol::of(&inner)?;
        match from {
            FlowKey::V6(inner) => {
                let (_, dst) = headers.ipv6_addresses(frame)?;
                let key = self.key_of(&inner.reversed(), protocol)?;
                let (key, session) = self.sessions.get(self.sessions.of_v6(&key)?)?;
                let to = key.v4(session.outside).reversed();
                // RFC 6146 section 3.6.1: whatever router it comes from, the host's address stands for it.
                let outer = FlowKey::V4(to.reversed());
                (dst == inner.src).then_some(Errand { outer, from, to: to.into() })
            }
            FlowKey::V4(inner) => {
                let (src, dst) = headers.ipv4_addresses(frame)?;
                let (key, _) = self.sessions.get(self.sessions.of_v4(&inner.reversed())?)?;
                let to = key.v6(&self.plan);
                let mut outer = to.reversed();
                outer.src = self.plan.prefix.embed(src);
                (dst == inner.src).then_some(Errand { outer: outer.into(), from, to: to.into() })
            }
        }
    }

    fn write(
        &self,
        headers: &Headers,
        frame: &[u8],
        errand: &Errand,
        id: u16,
        out: &mut [u8],
    ) -> Result<usize, Reason> {
        let is_v6 = matches!(errand.outer, FlowKey::V6(_));
        let link = after_tags(headers).ok_or(UNTRANSLATED)?;
        let at = headers.l4_offset().ok_or(ICMP_OTHER)?;
        let inner = headers.embedded(frame).ok_or(ICMP_UNRELATED)?;
        let inner_ip = Protocol::of(&inner).and_then(|protocol| Ip::read(&inner, frame, protocol));
        let inner_ip = inner_ip.ok_or(ICMP_UNRELATED)?;
        let Some(&[kind, code, _, _, a, b, c, d]) = frame.get(at..).and_then(<[u8]>::first_chunk) else {
            return Err(ICMP_OTHER);
        };
        let message = Message { kind, code, rest: u32::from_be_bytes([a, b, c, d]) };
        let mtu = &self.plan.config.mtu;
        let translated = match is_v6 {
            true => to_v6(message, inner_ip.data - inner.l3_offset() + inner_ip.len, mtu),
            false => to_v4(message, mtu),
        };
        let mut translated = translated.ok_or(ICMP_OTHER)?;
        // The packet inside, and what follows it.
        let end = (headers.l3_offset() + headers.l3_len().unwrap_or(0)).min(frame.len());
        let quotation = frame.get(at + ICMP_HEADER..end).unwrap_or_default();
        let (quotation_end, extensions) = match quoted(message, !is_v6) {
            Some(len) if len < quotation.len() => (at + ICMP_HEADER + len, &quotation[len..]),
            _ => (end, &[][..]),
        };
        let outer_header = if is_v6 { ipv6::HEADER_LEN } else { ipv4::HEADER_LEN };
        let inner_header = if is_v6 { inner_ip.v6_header_len() } else { ipv4::HEADER_LEN };
        let icmp_at = link + outer_header;
        let inner_at = icmp_at + ICMP_HEADER;
        let most = link + if is_v6 { LONGEST_V6 } else { LONGEST_V4 };
        let out = out.get_mut(..most).ok_or(NO_ROOM)?;
        out.fill(0);
        let carried = frame.get(inner_ip.data..quotation_end).unwrap_or_default();
        let carried = &carried[..carried.len().min(most - inner_at - inner_header)];
        let transport_at = inner_at + inner_header;
        let mut len = transport_at + carried.len();
        out[transport_at..len].copy_from_slice(carried);
        match errand.to {
            FlowKey::V4(key) => inner_ip.write_v4(&mut out[inner_at..], (key.src, key.dst), 0),
            FlowKey::V6(key) => inner_ip.write_v6(&mut out[inner_at..], (key.src, key.dst)),
        }
        if !inner_ip.is_later() {
            let delta = change(&errand.from, &errand.to);
            let way = if is_v6 { Way::To6 } else { Way::To4 };
            let transport = &mut out[transport_at..len];
            rewrite_transport(transport, inner_ip.protocol, &errand.to, delta, way, inner_ip.len);
        }
        if let (false, Some((unit, shift))) = (extensions.is_empty(), quotation_unit(translated, is_v6)) {
            let padded = (len - inner_at).max(LEAST_QUOTED).next_multiple_of(unit);
            let from = inner_at + padded;
            if from < most && padded / unit <= 0xff {
                let fitting = extensions.len().min(most - from);
                out[from..from + fitting].copy_from_slice(&extensions[..fitting]);
                len = from + fitting;
                translated.rest |= ((padded / unit) as u32) << shift;
            }
        }
        let Some(message) = out.get_mut(icmp_at..len) else { return Err(NO_ROOM) };
        message[..2].copy_from_slice(&[translated.kind, translated.code]);
        message[4..8].copy_from_slice(&translated.rest.to_be_bytes());
        let outer = Ip {
            class: headers.traffic_class(frame).unwrap_or(0),
            hops: headers.ttl(frame).unwrap_or(0).saturating_sub(1),
            protocol: Protocol::Icmp,
            part: None,
            dont_fragment: false,
            data: icmp_at,
            len: len - icmp_at,
        };
        let sum = match errand.outer {
            FlowKey::V4(_) => Sum::new(),
            FlowKey::V6(key) => Sum::pseudo_v6(key.src, key.dst, ip::ICMPV6, outer.len as u32),
        };
        let checksum = sum.bytes(message).checksum();
        message[2..4].copy_from_slice(&checksum.to_be_bytes());
        out[..link].copy_from_slice(frame.get(..link).ok_or(NO_ROOM)?);
        match errand.outer {
            FlowKey::V4(key) => {
                set_ether_type(out, link, ether_type::IPV4);
                outer.write_v4(&mut out[link..], (key.src, key.dst), id);
            }
            FlowKey::V6(key) => {
                set_ether_type(out, link, ether_type::IPV6);
                outer.write_v6(&mut out[link..], (key.src, key.dst));
            }
        }
        Ok(len)
    }
}

const _: () = assert!(icmpv6::HEADER_LEN == ICMP_HEADER && wire::icmp::HEADER_LEN == ICMP_HEADER);
