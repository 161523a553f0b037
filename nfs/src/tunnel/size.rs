//! Packets that are too large for what lies behind a tunnel: they are dropped, and the sender can be told.

use super::{ICMP_ERRORS, Refused, TOO_LARGE};
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
/// And so many of them at once.
const AT_ONCE: u64 = 32;

/// What lies behind the tunnel: how large packets may be, and who tells senders of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Way {
    /// The largest IP packet, the tunnel's headers included.
    pub mtu: usize,
    from_v4: Option<u32>,
    from_v6: Option<u128>,
}

impl Way {
    /// `icmp_from`: an address of each IP version whose senders are told, or none.
    ///
    /// # Errors
    /// An MTU that nobody can use; two addresses of one version.
    pub(crate) fn new(mtu: u16, icmp_from: &[IpAddr]) -> Result<Way, ConfigError> {
        if usize::from(mtu) < MOST_V4 {
            let message = format!("an MTU of {mtu} is less than every host must take");
            return Err(ConfigError::at("mtu", message).help(format!("write {MOST_V4} or more")));
        }
        let mut way = Way { mtu: mtu.into(), from_v4: None, from_v6: None };
        for address in icmp_from {
            let twice = match *address {
                IpAddr::V4(address) => way.from_v4.replace(address.into()).is_some(),
                IpAddr::V6(address) => way.from_v6.replace(address.into()).is_some(),
            };
            if twice || address.is_multicast() || address.is_unspecified() {
                let message = format!("'icmp_from' cannot have {address}");
                return Err(ConfigError::at("icmp_from", message)
                    .help("write at most one address of a host for each IP version"));
            }
        }
        Ok(way)
    }

    /// Whether senders are told.
    pub(crate) fn tells(&self) -> bool {
        self.from_v4.is_some() || self.from_v6.is_some()
    }
}

/// [`Way`] of one instance, with its limit to the rate of errors.
pub(crate) struct Size {
    way: Way,
    /// When the next error would be due if they came evenly, in nanoseconds.
    due: u64,
}

impl Size {
    pub(crate) fn new(way: Way) -> Size {
        Size { way, due: 0 }
    }

    /// Whether an IP packet of `len` bytes goes on with `overhead` bytes of the tunnel.
    ///
    /// # Errors
    /// It is too large. Its sender has been told, if that is wanted and right.
    #[inline]
    pub(crate) fn admit(
        &mut self,
        burst: &mut Burst,
        i: usize,
        cx: &mut Cx<'_>,
        (len, overhead): (usize, usize),
    ) -> Result<(), Refused> {
        if len + overhead <= self.way.mtu {
            return Ok(());
        }
        self.tell(burst, i, cx, self.way.mtu.saturating_sub(overhead));
        Err(Refused::Drop(TOO_LARGE))
    }

    #[cold]
    fn tell(&mut self, burst: &mut Burst, i: usize, cx: &mut Cx<'_>, mtu: usize) {
        let headers = burst.headers(i);
        let mut buffer = [0; BUFFER];
        let Some(error) = self.way.error(&headers, burst, i, mtu, &mut buffer) else { return };
        let now = cx.now().as_nanos();
        if self.due > now + AT_ONCE * INTERVAL {
            return;
        }
        if let Some(mut packet) = cx.new_packet()
            && packet.fill(error)
        {
            self.due = self.due.max(now) + INTERVAL;
            cx.emit(0, packet);
            cx.count(ICMP_ERRORS, 1);
        }
    }
}

impl Way {
    /// The error about a packet: "fragmentation needed" (RFC 1191) or "packet too big" (RFC 4443 section 3.2).
    /// `None` where none may be sent (RFC 1122 section 3.2.2, RFC 4443 section 2.4), or none is wanted.
    fn error<'a>(
        &self,
        headers: &Headers,
        burst: &Burst,
        i: usize,
        mtu: usize,
        out: &'a mut [u8; BUFFER],
    ) -> Option<&'a [u8]> {
        let frame = burst.bytes(i);
        let link = super::after_tags(headers)?;
        if headers.is_icmp_error(frame) || headers.is_later_fragment() || frame.first()? & 1 != 0 {
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
                if may_be_cut || !is_host_v4(source) || destination >> 28 >= 0xe {
                    return None;
                }
                let len = MOST_V4.min(28 + whole);
                quote(burst, i, link, &mut packet[28..len]);
                write_v4(&mut packet[..len], self.from_v4?, source, mtu);
                len
            }
            (_, Some((source, _))) => {
                if source == 0 || source >> 120 == 0xff {
                    return None;
                }
                let len = MOST_V6.min(48 + whole);
                quote(burst, i, link, &mut packet[48..len]);
                write_v6(&mut packet[..len], self.from_v6?, source, mtu);
                len
            }
            _ => return None,
        };
        Some(&out[..link + len])
    }
}

/// The packet's bytes from `from` on, as far as there is room.
fn quote(burst: &Burst, i: usize, from: usize, room: &mut [u8]) {
    let (mut skip, mut filled) = (from, 0);
    for segment in burst.segments(i) {
        let rest = segment.get(skip..).unwrap_or_default();
        skip = skip.saturating_sub(segment.len());
        let n = rest.len().min(room.len() - filled);
        room[filled..filled + n].copy_from_slice(&rest[..n]);
        filled += n;
    }
}

/// Not of a group, this network, the host itself or the broadcast.
fn is_host_v4(address: u32) -> bool {
    !matches!(address >> 24, 0 | 127 | 0xe0..)
}

/// The headers around the quotation in `packet`.
pub(super) fn write_v4(packet: &mut [u8], from: u32, to: u32, mtu: usize) {
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
    message[..2].copy_from_slice(&[icmp::UNREACHABLE, icmp::FRAGMENTATION_NEEDED]);
    message[6..8].copy_from_slice(&(mtu as u16).to_be_bytes());
    let checksum = Sum::new().bytes(message).checksum();
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
}

/// The headers around the quotation in `packet`.
pub(super) fn write_v6(packet: &mut [u8], from: u128, to: u128, mtu: usize) {
    let len = packet.len() - ipv6::HEADER_LEN;
    let (header, message) = packet.split_at_mut(ipv6::HEADER_LEN);
    header[0] = 0x60;
    header[4..6].copy_from_slice(&(len as u16).to_be_bytes());
    header[6..8].copy_from_slice(&[ip::ICMPV6, 64]);
    header[8..24].copy_from_slice(&from.to_be_bytes());
    header[24..].copy_from_slice(&to.to_be_bytes());
    message[0] = icmpv6::PACKET_TOO_BIG;
    message[4..8].copy_from_slice(&(mtu as u32).to_be_bytes());
    let checksum = Sum::pseudo_v6(from, to, ip::ICMPV6, len as u32).bytes(message).checksum();
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
}
