//! ICMP errors of NFs that are no routers: the sender of a packet that ends is told why.

#[cfg(test)]
mod tests;

use crate::tunnel::after_tags;
use engine::{Burst, ConfigError, Cx};
use std::net::IpAddr;
use wire::checksum::Sum;
use wire::ethernet::HEADER_LEN;
use wire::protocol::ip;
use wire::{Headers, icmp, icmpv6, ipv4, ipv6};

/// An IPv4 error has at most so many bytes (RFC 1812 section 4.3.2.3).
const MOST_V4: usize = 576;
/// An IPv6 error fits into the smallest MTU there may be (RFC 4443 section 2.4).
const MOST_V6: usize = 1280;
/// Ethernet with eight tags, and the longest error.
const BUFFER: usize = HEADER_LEN + 8 * 4 + MOST_V6;
/// One error in so many nanoseconds, on the average (RFC 1812 section 4.3.2.8, RFC 4443 section 2.4).
const INTERVAL: u64 = 1_000_000;
/// ICMPv6 Redirect (RFC 4861 section 4.5).
const REDIRECT: u8 = 137;
/// And so many of them at once.
const AT_ONCE: u64 = 32;

/// What a sender is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Complaint {
    /// The packet is longer than this MTU. Of IPv4 packets only those are told of that may not be fragmented.
    TooLarge(usize),
    /// It has no hop left.
    TimeExceeded,
    /// Its destination cannot be reached, in the sense of "address unreachable".
    Unreachable,
    /// A field of the packet's header has a value that nobody can use: the byte at this offset.
    BadField(u8),
    /// It asks for a route of its own choice (RFC 1122 section 3.2.2.1; in IPv6 the offset of "segments left").
    SourceRoute(u8),
}

impl Complaint {
    /// Type, code and second word.
    fn v4(self) -> (u8, u8, u32) {
        match self {
            Complaint::TooLarge(mtu) => (icmp::UNREACHABLE, icmp::FRAGMENTATION_NEEDED, mtu as u32 & 0xffff),
            Complaint::TimeExceeded => (icmp::TIME_EXCEEDED, 0, 0),
            Complaint::Unreachable => (icmp::UNREACHABLE, 1, 0),
            Complaint::BadField(at) => (icmp::PARAMETER_PROBLEM, 0, u32::from(at) << 24),
            Complaint::SourceRoute(_) => (icmp::UNREACHABLE, 5, 0),
        }
    }

    fn v6(self) -> (u8, u8, u32) {
        match self {
            Complaint::TooLarge(mtu) => (icmpv6::PACKET_TOO_BIG, 0, mtu as u32),
            Complaint::TimeExceeded => (icmpv6::TIME_EXCEEDED, 0, 0),
            Complaint::Unreachable => (icmpv6::UNREACHABLE, 3, 0),
            Complaint::BadField(at) | Complaint::SourceRoute(at) => (icmpv6::PARAMETER_PROBLEM, 0, at.into()),
        }
    }
}

/// The addresses that errors come from, one of each IP version at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Sources {
    v4: Option<u32>,
    v6: Option<u128>,
}

impl Sources {
    /// `icmp_from`: an address of each IP version whose senders are told, or none.
    ///
    /// # Errors
    /// Two addresses of one version; one that is not of a host.
    pub(crate) fn new(icmp_from: &[IpAddr]) -> Result<Sources, ConfigError> {
        let mut sources = Sources::default();
        for address in icmp_from {
            let twice = match *address {
                IpAddr::V4(address) => sources.v4.replace(address.into()).is_some(),
                IpAddr::V6(address) => sources.v6.replace(address.into()).is_some(),
            };
            if twice || address.is_multicast() || address.is_unspecified() {
                let message = format!("'icmp_from' cannot have {address}");
                return Err(ConfigError::at("icmp_from", message)
                    .help("write at most one address of a host for each IP version"));
            }
        }
        Ok(sources)
    }

    /// Whether anybody is told.
    pub(crate) fn any(&self) -> bool {
        self.v4.is_some() || self.v6.is_some()
    }

    /// The error about a packet. `None` where none may be sent (RFC 1122 section 3.2.2, RFC 4443 section 2.4), or
    /// none is wanted.
    fn error<'a>(
        &self,
        headers: &Headers,
        burst: &Burst,
        i: usize,
        complaint: Complaint,
        out: &'a mut [u8; BUFFER],
    ) -> Option<&'a [u8]> {
        let frame = burst.bytes(i);
        let link = after_tags(headers)?;
        if headers.is_icmp_error(frame) || headers.is_later_fragment() || frame.first()? & 1 != 0 {
            return None;
        }
        // Nor about errors of types that are not known, and redirects (RFC 4443 section 2.4 (e.1), (e.2)).
        let kind = headers.icmp_type_code(frame).map(|(kind, _)| kind);
        if headers.is_icmpv6() && kind.is_some_and(|kind| kind < icmpv6::ECHO_REQUEST || kind == REDIRECT) {
            return None;
        }
        out[..6].copy_from_slice(frame.get(6..12)?);
        out[6..12].copy_from_slice(frame.get(..6)?);
        out[12..link].copy_from_slice(frame.get(12..link)?);
        let packet = &mut out[link..];
        let whole = headers.l3_len()?.min(burst.packet_len(i).saturating_sub(link));
        let len = match (headers.ipv4_addresses(frame), headers.ipv6_addresses(frame)) {
            (Some((source, destination)), _) => {
                let may_be_cut = frame.get(link + 6)? & 0x40 == 0;
                let is_too_large = matches!(complaint, Complaint::TooLarge(_));
                if is_too_large && may_be_cut || !is_host_v4(source) || destination >> 28 >= 0xe {
                    return None;
                }
                let len = MOST_V4.min(28 + whole);
                quote(burst, i, link, &mut packet[28..len]);
                write_v4(&mut packet[..len], self.v4?, source, complaint);
                len
            }
            (_, Some((source, destination))) => {
                let is_too_large = matches!(complaint, Complaint::TooLarge(_));
                if source == 0 || source >> 120 == 0xff || destination >> 120 == 0xff && !is_too_large {
                    return None;
                }
                let len = MOST_V6.min(48 + whole);
                quote(burst, i, link, &mut packet[48..len]);
                write_v6(&mut packet[..len], self.v6?, source, complaint);
                len
            }
            _ => return None,
        };
        Some(&out[..link + len])
    }
}

/// Who tells senders, at a limited rate.
pub(crate) struct Teller {
    sources: Sources,
    /// When the next error would be due if they came evenly, in nanoseconds.
    due: u64,
}

impl Teller {
    pub(crate) fn new(sources: Sources) -> Teller {
        Teller { sources, due: 0 }
    }

    /// Tells the sender of a packet, if that is wanted, right and not too often; whether it was told. The error leaves
    /// by the default gate, with the frame's addresses exchanged.
    #[cold]
    pub(crate) fn tell(
        &mut self,
        burst: &mut Burst,
        i: usize,
        cx: &mut Cx<'_>,
        complaint: Complaint,
    ) -> bool {
        let headers = burst.headers(i);
        let mut buffer = [0; BUFFER];
        let Some(error) = self.sources.error(&headers, burst, i, complaint, &mut buffer) else {
            return false;
        };
        let now = cx.now().as_nanos();
        if self.due > now + AT_ONCE * INTERVAL {
            return false;
        }
        let Some(mut packet) = cx.new_packet() else { return false };
        let filled = packet.fill(error);
        if filled {
            self.due = self.due.max(now) + INTERVAL;
            cx.emit(0, packet);
        }
        filled
    }
}

/// The packet's bytes from `from` on, as far as there is room; how many there were.
pub(crate) fn quote(burst: &Burst, i: usize, from: usize, room: &mut [u8]) -> usize {
    let (mut skip, mut filled) = (from, 0);
    for segment in burst.segments(i) {
        let rest = segment.get(skip..).unwrap_or_default();
        skip = skip.saturating_sub(segment.len());
        let n = rest.len().min(room.len() - filled);
        room[filled..filled + n].copy_from_slice(&rest[..n]);
        filled += n;
    }
    filled
}

/// Not of a group, this network, the host itself or the broadcast.
fn is_host_v4(address: u32) -> bool {
    !matches!(address >> 24, 0 | 127 | 0xe0..)
}

/// The headers around the quotation in `packet`.
fn write_v4(packet: &mut [u8], from: u32, to: u32, complaint: Complaint) {
    let len = packet.len() as u16;
    let (header, message) = packet.split_at_mut(ipv4::HEADER_LEN);
    // RFC 1812 section 4.3.2.5: with the precedence of internetwork control.
    header[..2].copy_from_slice(&[0x45, 0xc0]);
    header[2..4].copy_from_slice(&len.to_be_bytes());
    header[8..10].copy_from_slice(&[64, ip::ICMP]);
    header[12..16].copy_from_slice(&from.to_be_bytes());
    header[16..].copy_from_slice(&to.to_be_bytes());
    let checksum = Sum::new().bytes(header).checksum();
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    let (kind, code, rest) = complaint.v4();
    message[..2].copy_from_slice(&[kind, code]);
    message[4..8].copy_from_slice(&rest.to_be_bytes());
    let checksum = Sum::new().bytes(message).checksum();
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
}

/// The headers around the quotation in `packet`.
fn write_v6(packet: &mut [u8], from: u128, to: u128, complaint: Complaint) {
    let len = packet.len() - ipv6::HEADER_LEN;
    let (header, message) = packet.split_at_mut(ipv6::HEADER_LEN);
    header[0] = 0x60;
    header[4..6].copy_from_slice(&(len as u16).to_be_bytes());
    header[6..8].copy_from_slice(&[ip::ICMPV6, 64]);
    header[8..24].copy_from_slice(&from.to_be_bytes());
    header[24..].copy_from_slice(&to.to_be_bytes());
    let (kind, code, rest) = complaint.v6();
    message[..2].copy_from_slice(&[kind, code]);
    message[4..8].copy_from_slice(&rest.to_be_bytes());
    let checksum = Sum::pseudo_v6(from, to, ip::ICMPV6, len as u32).bytes(message).checksum();
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
}
