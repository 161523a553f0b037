//! A packet, as rules see it.

use std::net::IpAddr;
use wire::protocol::ip;
use wire::{FlowKey, Headers};

/// An IP packet, whole in one piece.
#[derive(Clone, Copy)]
pub(super) struct Packet<'a> {
    /// All of it from the link header on, or from the IP header on where there is no other.
    pub frame: &'a [u8],
    pub headers: Headers,
    /// From source to destination.
    pub key: FlowKey,
    /// Of a packet without ports, none: an echo's identifier is no port.
    pub ports: Option<(u16, u16)>,
    /// What follows the transport header, or IP where there is none that is known. Nothing of a fragment.
    pub payload: &'a [u8],
    /// Put together from fragments.
    pub reassembled: bool,
}

impl<'a> Packet<'a> {
    /// What a frame has; `None` if that is no good IP packet.
    pub(super) fn of(frame: &'a [u8], headers: Headers, reassembled: bool) -> Option<Packet<'a>> {
        if headers.malformed().is_some() {
            return None;
        }
        let key = FlowKey::from_packet(&headers, frame)?;
        let mut payload: &[u8] = &[];
        if !headers.is_fragment()
            && let (Some(at), Some(len)) = (headers.payload_offset(), headers.payload_len())
        {
            let len = if headers.is_udp() { len.min(udp_payload_len(&headers, frame)) } else { len };
            payload = frame.get(at..(at + len).min(frame.len())).unwrap_or_default();
        }
        let ports = if headers.is_fragment() { None } else { headers.ports(frame) };
        Some(Packet { frame, headers, key, ports, payload, reassembled })
    }

    /// Protocol after IP and its extension headers.
    pub(super) fn protocol(&self) -> u8 {
        self.headers.protocol().unwrap_or(0)
    }

    /// Whether there is a whole TCP header.
    pub(super) fn is_tcp(&self) -> bool {
        self.headers.is_tcp() && !self.headers.is_fragment()
    }

    /// The IP header, with options or extension headers.
    pub(super) fn ip_header(&self) -> &'a [u8] {
        let from = self.headers.l3_offset();
        let to = self.headers.l4_offset().or(self.headers.payload_offset());
        let to = to.unwrap_or(from + self.headers.ip_header_len());
        self.frame.get(from..to).unwrap_or_default()
    }

    /// The transport header, with options.
    pub(super) fn transport_header(&self) -> &'a [u8] {
        match (self.headers.l4_offset(), self.headers.payload_offset()) {
            (Some(from), Some(to)) if !self.headers.is_fragment() => {
                self.frame.get(from..to).unwrap_or_default()
            }
            _ => &[],
        }
    }

    /// Transport header and payload.
    pub(super) fn segment(&self) -> &'a [u8] {
        let header = self.transport_header().len();
        let from = self.headers.l4_offset().unwrap_or(0);
        if header == 0 {
            return &[];
        }
        self.frame.get(from..from + header + self.payload.len()).unwrap_or_default()
    }

    /// Whether the checksums of IP and of its TCP segment are right.
    pub(super) fn checksums_are_right(&self) -> bool {
        (self.reassembled || ip_checksum_is_right(&self.headers, self.frame)) && self.tcp_checksum_is_right()
    }

    fn tcp_checksum_is_right(&self) -> bool {
        let segment = self.segment();
        let length = segment.len() as u32;
        let pseudo = match self.key {
            FlowKey::V4(key) => wire::checksum::Sum::pseudo_v4(key.src, key.dst, ip::TCP, length),
            FlowKey::V6(key) => wire::checksum::Sum::pseudo_v6(key.src, key.dst, ip::TCP, length),
        };
        pseudo.bytes(segment).is_valid()
    }

    /// Bytes of all of it.
    pub(super) fn length(&self) -> u64 {
        self.frame.len() as u64
    }

    pub(super) fn source(&self) -> IpAddr {
        self.key.source()
    }

    pub(super) fn destination(&self) -> IpAddr {
        self.key.destination()
    }
}

/// Bytes of data by UDP's own length: what IP has beyond it is not UDP's.
fn udp_payload_len(headers: &Headers, frame: &[u8]) -> usize {
    let length = headers.l4_offset().and_then(|at| frame.get(at + 4..)?.first_chunk());
    length.map_or(0, |length| usize::from(u16::from_be_bytes(*length)).saturating_sub(8))
}

/// Whether the checksum of IPv4 is right. IPv6 has none.
pub(super) fn ip_checksum_is_right(headers: &Headers, frame: &[u8]) -> bool {
    let from = headers.l3_offset();
    let header = frame.get(from..from + headers.ip_header_len()).unwrap_or_default();
    !headers.is_ipv4() || wire::checksum::Sum::default().bytes(header).is_valid()
}
