//! IP headers of one version for those of the other (RFC 7915 sections 4.1 and 5.1), and what belongs to them further
//! inside.

use super::sessions::Protocol;
use wire::checksum::{Delta, Sum, for_udp};
use wire::protocol::ip;
use wire::{FlowKey, Headers, icmp, icmpv6, ipv4, ipv6};

/// IPv4 packets up to this may be fragmented: what is told of smaller MTUs would not reach an IPv6 sender, which
/// never goes below 1280 (RFC 7915 section 5.1).
const MAY_BE_CUT: usize = 1260;
const DONT_FRAGMENT: u16 = 1 << 14;
const MORE: u16 = 1 << 13;
/// Bytes of the fragment header.
pub(super) const FRAGMENT_HEADER: usize = 8;

/// Which part of a datagram a packet is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Part {
    /// In units of eight bytes.
    pub offset: u16,
    pub more: bool,
    pub id: u32,
}

/// What an IP header says that its counterpart of the other version says too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ip {
    /// DSCP and ECN.
    pub class: u8,
    /// TTL or hop limit.
    pub hops: u8,
    pub protocol: Protocol,
    pub part: Option<Part>,
    /// Of IPv4.
    pub dont_fragment: bool,
    /// Where that begins which follows all IP headers, in the frame.
    pub data: usize,
    /// How many bytes of it there are, by the header.
    pub len: usize,
}

impl Ip {
    /// Of an IPv4 or IPv6 packet of this protocol; `None` if its headers are broken.
    #[inline]
    pub(super) fn read(headers: &Headers, frame: &[u8], protocol: Protocol) -> Option<Ip> {
        let l3 = headers.l3_offset();
        let end = l3 + headers.l3_len()?;
        let word = |at: usize| Some(u16::from_be_bytes(*frame.get(at..)?.first_chunk()?));
        let (part, dont_fragment, data);
        if headers.is_ipv4() {
            let fragment = word(l3 + 6)?;
            data = l3 + headers.ip_header_len();
            dont_fragment = fragment & DONT_FRAGMENT != 0;
            part = (fragment & 0x3fff != 0).then_some(Part {
                offset: fragment & 0x1fff,
                more: fragment & MORE != 0,
                id: word(l3 + 4)?.into(),
            });
        } else {
            dont_fragment = false;
            if frame.get(l3 + 6).copied() == Some(protocol.v6()) {
                (data, part) = (l3 + ipv6::HEADER_LEN, None);
            } else {
                let mut after = (l3 + ipv6::HEADER_LEN, None);
                for extension in ipv6::extensions(frame, l3) {
                    after.0 = extension.offset + extension.len;
                    if extension.kind == ip::FRAGMENT {
                        let offset = word(extension.offset + 2)?;
                        let id = u32::from_be_bytes(*frame.get(extension.offset + 4..)?.first_chunk()?);
                        after.1 = Some(Part { offset: offset >> 3, more: offset & 1 != 0, id });
                    }
                }
                (data, part) = after;
            }
        }
        let len = end.checked_sub(data)?;
        // A part beyond the end of the longest packet belongs to none.
        let beyond = |part: Part| usize::from(part.offset) * 8 + len > usize::from(u16::MAX);
        if part.is_some_and(beyond) {
            return None;
        }
        Some(Ip {
            class: headers.traffic_class(frame)?,
            hops: headers.ttl(frame)?,
            protocol,
            part,
            dont_fragment,
            data,
            len,
        })
    }

    /// Whether there is no transport header in it, but the middle of a datagram.
    pub(super) fn is_later(&self) -> bool {
        self.part.is_some_and(|part| part.offset > 0)
    }

    /// Length as an IPv4 packet.
    pub(super) fn v4_len(&self) -> usize {
        ipv4::HEADER_LEN + self.len
    }

    /// Bytes of the headers of an IPv6 packet.
    pub(super) fn v6_header_len(&self) -> usize {
        ipv6::HEADER_LEN + if self.part.is_some() { FRAGMENT_HEADER } else { 0 }
    }

    /// Writes an IPv4 header. `id`: for a packet that is no fragment.
    pub(super) fn write_v4(&self, out: &mut [u8], (src, dst): (u32, u32), id: u16) {
        let Some(out) = out.first_chunk_mut::<{ ipv4::HEADER_LEN }>() else { return };
        let len = self.v4_len();
        let (id, fragment) = match self.part {
            Some(Part { offset, more, id }) => (id as u16, offset | if more { MORE } else { 0 }),
            None => (id, if len > MAY_BE_CUT { DONT_FRAGMENT } else { 0 }),
        };
        out[..2].copy_from_slice(&[0x45, self.class]);
        out[2..4].copy_from_slice(&(len as u16).to_be_bytes());
        out[4..6].copy_from_slice(&id.to_be_bytes());
        out[6..8].copy_from_slice(&fragment.to_be_bytes());
        out[8..12].copy_from_slice(&[self.hops, self.protocol.v4(), 0, 0]);
        out[12..16].copy_from_slice(&src.to_be_bytes());
        out[16..].copy_from_slice(&dst.to_be_bytes());
        let checksum = Sum::new().bytes(out).checksum();
        out[10..12].copy_from_slice(&checksum.to_be_bytes());
    }

    /// Writes an IPv6 header, and a fragment header if this is a part.
    pub(super) fn write_v6(&self, out: &mut [u8], (src, dst): (u128, u128)) {
        let header_len = self.v6_header_len();
        let Some(out) = out.get_mut(..header_len) else { return };
        let len = self.len + header_len - ipv6::HEADER_LEN;
        out[..4].copy_from_slice(&(6 << 28 | u32::from(self.class) << 20).to_be_bytes());
        out[4..6].copy_from_slice(&(len as u16).to_be_bytes());
        let next = if self.part.is_some() { ip::FRAGMENT } else { self.protocol.v6() };
        out[6..8].copy_from_slice(&[next, self.hops]);
        out[8..24].copy_from_slice(&src.to_be_bytes());
        out[24..40].copy_from_slice(&dst.to_be_bytes());
        if let Some(Part { offset, more, id }) = self.part {
            out[40..42].copy_from_slice(&[self.protocol.v6(), 0]);
            out[42..44].copy_from_slice(&(offset << 3 | u16::from(more)).to_be_bytes());
            out[44..48].copy_from_slice(&id.to_be_bytes());
        }
    }
}

/// What a change of addresses and ports does to a checksum over them. ICMP has no pseudo-header, and its identifier
/// once; ICMPv6 has both, but the pseudo-header's length is not counted here.
pub(super) fn change(from: &FlowKey, to: &FlowKey) -> Delta {
    let is_icmp = matches!(from.protocol(), ip::ICMP | ip::ICMPV6);
    let mut delta = Delta::NONE;
    for (key, added) in [(from, false), (to, true)] {
        let mut count = |word: u16| {
            delta = if added { delta.u16(0, word) } else { delta.u16(word, 0) };
        };
        match key {
            FlowKey::V4(key) if !is_icmp => {
                [key.src, key.dst]
                    .into_iter()
                    .flat_map(|a| [(a >> 16) as u16, a as u16])
                    .for_each(&mut count);
            }
            FlowKey::V4(_) => {}
            FlowKey::V6(key) => {
                let words = |address: u128| (0..8).map(move |n| (address >> (16 * n)) as u16);
                [key.src, key.dst].into_iter().flat_map(words).for_each(&mut count);
            }
        }
        count(key.source_port());
        if !is_icmp {
            count(key.destination_port());
        }
    }
    delta
}

/// Which header follows which.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    To4,
    To6,
    /// From IPv6 to IPv6, by an IPv4 address of the translator.
    Hairpin,
}

/// Rewrites a transport header: ports or identifier, the type of an ICMP query, the checksum. What is not there
/// (in the packet inside an ICMP error) is left out. `len`: all that IP carries, by its header.
pub(super) fn rewrite_transport(
    l4: &mut [u8],
    protocol: Protocol,
    to: &FlowKey,
    delta: Delta,
    way: Way,
    len: usize,
) {
    let ports = u32::from(to.source_port()) << 16 | u32::from(to.destination_port());
    match protocol {
        Protocol::Tcp => {
            put(l4, 0, &ports.to_be_bytes());
            update(l4, 16, |checksum| delta.update(checksum));
        }
        Protocol::Udp => {
            put(l4, 0, &ports.to_be_bytes());
            update(l4, 6, |checksum| delta.update_udp(checksum));
        }
        Protocol::Icmp => {
            let Some(&[kind, code]) = l4.first_chunk() else { return };
            let new = match (way, kind) {
                (Way::To4, icmpv6::ECHO_REQUEST) => icmp::ECHO_REQUEST,
                (Way::To4, icmpv6::ECHO_REPLY) => icmp::ECHO_REPLY,
                (Way::To6, icmp::ECHO_REQUEST) => icmpv6::ECHO_REQUEST,
                (Way::To6, icmp::ECHO_REPLY) => icmpv6::ECHO_REPLY,
                _ => kind,
            };
            let words = |kind: u8| u16::from_be_bytes([kind, code]);
            let delta = delta.u16(words(kind), words(new));
            let delta = match way {
                Way::To4 => delta.u32(len as u32, 0).u16(ip::ICMPV6.into(), 0),
                Way::To6 => delta.u32(0, len as u32).u16(0, ip::ICMPV6.into()),
                Way::Hairpin => delta,
            };
            put(l4, 0, &[new]);
            put(l4, 4, &to.source_port().to_be_bytes());
            update(l4, 2, |checksum| delta.update(checksum));
        }
    }
}

/// The checksum that a UDP datagram of `len` bytes would have between these addresses, which has none so far.
pub(super) fn udp_checksum<'a>(
    (src, dst): (u128, u128),
    segments: impl Iterator<Item = &'a [u8]>,
    from: usize,
    len: usize,
) -> u16 {
    let sum = Sum::pseudo_v6(src, dst, ip::UDP, len as u32);
    for_udp(pieces(segments, from, len).fold(sum, Sum::bytes).checksum())
}

/// The pieces of `len` bytes of a packet from `from` on.
pub(super) fn pieces<'a>(
    segments: impl Iterator<Item = &'a [u8]>,
    from: usize,
    len: usize,
) -> impl Iterator<Item = &'a [u8]> {
    let (mut skip, mut left) = (from, len);
    segments.map(move |segment| {
        let rest = segment.get(skip..).unwrap_or_default();
        skip = skip.saturating_sub(segment.len());
        let piece = &rest[..rest.len().min(left)];
        left -= piece.len();
        piece
    })
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
