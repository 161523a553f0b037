//! Ethernet frames from packets of other link types.

use crate::link::LinkType;

/// The source address of frames whose capture has none. Locally administered.
pub const SYNTHETIC_SOURCE: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];
/// The destination address of frames whose capture has none.
pub const SYNTHETIC_DESTINATION: [u8; 6] = [0x02, 0, 0, 0, 0, 0x02];
/// The destination address of cooked packets that were multicast.
pub const SYNTHETIC_GROUP: [u8; 6] = [0x03, 0, 0, 0, 0, 0x02];
const BROADCAST: [u8; 6] = [0xff; 6];

const ETHERNET_HEADER: u32 = 14;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const MPLS: u16 = 0x8847;
const MPLS_UPSTREAM: u16 = 0x8848;
const PPPOE_SESSION: u16 = 0x8864;
/// Above this, the field after the addresses is a type; up to it, a length (IEEE 802.3, 3.2.6).
const LONGEST_LENGTH_FIELD: u32 = 1500;

/// Packets that no Ethernet frame could be made of, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Captured so short that the link header is incomplete.
    pub short_link_header: u64,
    /// Loopback packets of an address family that is not IP.
    pub not_ip: u64,
    /// Cooked packets of a device whose protocol field is not an ethertype (netlink, radio headers, CAN, …).
    pub not_ethertype: u64,
}

impl Skipped {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.short_link_header + self.not_ip + self.not_ethertype
    }
}

/// Why there is no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Skip {
    ShortLinkHeader,
    NotIp,
    NotEthertype,
}

impl Skipped {
    pub(crate) fn count(&mut self, skip: Skip) {
        match skip {
            Skip::ShortLinkHeader => self.short_link_header += 1,
            Skip::NotIp => self.not_ip += 1,
            Skip::NotEthertype => self.not_ethertype += 1,
        }
    }
}

/// What a link header becomes.
struct Header {
    destination: [u8; 6],
    source: [u8; 6],
    kind: Kind,
    /// Bytes of the link header that the Ethernet header replaces.
    replaced: usize,
}

enum Kind {
    Ethertype(u16),
    /// A frame with a length field: an 802.2 header, or Novell's raw 802.3, follows.
    Length,
    /// A PPP protocol that has no ethertype.
    Pppoe(u16),
}

/// Writes the Ethernet frame of a packet into `frame` and gives its length on the wire.
pub(crate) fn frame(
    link: LinkType,
    packet: &[u8],
    original_len: u32,
    frame: &mut Vec<u8>,
) -> Result<u32, Skip> {
    let header = match link {
        LinkType::Ethernet => {
            frame.clear();
            frame.extend_from_slice(packet);
            return Ok(original_len);
        }
        LinkType::LinuxSll => sll(packet)?,
        LinkType::LinuxSll2 => sll2(packet)?,
        LinkType::Ppp | LinkType::PppHdlc => ppp(packet)?,
        LinkType::Raw => untagged(packet.first().map_or(IPV4, |b| if b >> 4 == 6 { IPV6 } else { IPV4 }), 0),
        LinkType::RawIpv4 => untagged(IPV4, 0),
        LinkType::RawIpv6 => untagged(IPV6, 0),
        LinkType::Null | LinkType::Loop => loopback(packet)?,
    };
    let payload = &packet[header.replaced..];
    let wire_payload = original_len.saturating_sub(header.replaced as u32);
    frame.clear();
    frame.extend_from_slice(&header.destination);
    frame.extend_from_slice(&header.source);
    match header.kind {
        Kind::Ethertype(ethertype) => frame.extend_from_slice(&ethertype.to_be_bytes()),
        Kind::Length => {
            frame.extend_from_slice(&(wire_payload.min(LONGEST_LENGTH_FIELD) as u16).to_be_bytes());
        }
        Kind::Pppoe(protocol) => {
            // RFC 2516, section 4: version 1, type 1, code 0, session 0, length with the PPP protocol field.
            let length = wire_payload.saturating_add(2).min(u32::from(u16::MAX)) as u16;
            frame.extend_from_slice(&PPPOE_SESSION.to_be_bytes());
            frame.extend_from_slice(&[0x11, 0, 0, 0]);
            frame.extend_from_slice(&length.to_be_bytes());
            frame.extend_from_slice(&protocol.to_be_bytes());
        }
    }
    let added = frame.len() as u32;
    frame.extend_from_slice(payload);
    Ok(wire_payload.saturating_add(added).max(ETHERNET_HEADER))
}

/// A header for packets that have no addresses.
fn untagged(ethertype: u16, replaced: usize) -> Header {
    Header {
        destination: SYNTHETIC_DESTINATION,
        source: SYNTHETIC_SOURCE,
        kind: Kind::Ethertype(ethertype),
        replaced,
    }
}

fn be16(bytes: &[u8], at: usize) -> Result<u16, Skip> {
    match bytes.get(at..at + 2) {
        Some(&[a, b]) => Ok(u16::from_be_bytes([a, b])),
        _ => Err(Skip::ShortLinkHeader),
    }
}

/// Packet type, ARPHRD, address length, address, protocol: 16 bytes.
fn sll(packet: &[u8]) -> Result<Header, Skip> {
    let header = packet.first_chunk::<16>().ok_or(Skip::ShortLinkHeader)?;
    let (packet_type, device) = (be16(header, 0)?, be16(header, 2)?);
    cooked(packet_type, device, be16(header, 4)?, &header[6..14], be16(header, 14)?, header.len())
}

/// Protocol, reserved, interface, ARPHRD, packet type, address length, address: 20 bytes.
fn sll2(packet: &[u8]) -> Result<Header, Skip> {
    let header = packet.first_chunk::<20>().ok_or(Skip::ShortLinkHeader)?;
    let (packet_type, device) = (u16::from(header[10]), be16(header, 8)?);
    cooked(packet_type, device, u16::from(header[11]), &header[12..20], be16(header, 0)?, header.len())
}

fn cooked(
    packet_type: u16,
    device: u16,
    address_len: u16,
    address: &[u8],
    protocol: u16,
    replaced: usize,
) -> Result<Header, Skip> {
    /// 802.11 in its forms (801 to 803) and netlink (824): their protocol field is no ethertype.
    const NOT_ETHERTYPE: [u16; 4] = [801, 802, 803, 824];
    if NOT_ETHERTYPE.contains(&device) {
        return Err(Skip::NotEthertype);
    }
    let kind = match protocol {
        0x0001 | 0x0004 => Kind::Length,
        0x0600.. => Kind::Ethertype(protocol),
        _ => return Err(Skip::NotEthertype),
    };
    let source = match address.first_chunk::<6>() {
        Some(address) if address_len == 6 => *address,
        _ => SYNTHETIC_SOURCE,
    };
    let destination = match packet_type {
        1 => BROADCAST,
        2 => SYNTHETIC_GROUP,
        _ => SYNTHETIC_DESTINATION,
    };
    Ok(Header { destination, source, kind, replaced })
}

/// PPP (RFC 1661), address and control field present or compressed away (RFC 1662, sections 3.1 and 3.2); or
/// Cisco HDLC, told by its address byte (RFC 1547, section 4.3.1), which no PPP packet starts with.
fn ppp(packet: &[u8]) -> Result<Header, Skip> {
    if let Some(0x0f | 0x8f) = packet.first() {
        return match be16(packet, 2)? {
            ethertype @ 0x0600.. => Ok(untagged(ethertype, 4)),
            _ => Err(Skip::NotEthertype),
        };
    }
    let start = if packet.starts_with(&[0xff, 0x03]) { 2 } else { 0 };
    let first = *packet.get(start).ok_or(Skip::ShortLinkHeader)?;
    // An odd first byte is the whole of a compressed protocol field (RFC 1661, section 6.5).
    let (protocol, length) = if first & 1 == 1 { (u16::from(first), 1) } else { (be16(packet, start)?, 2) };
    let kind = match protocol {
        0x0021 => Kind::Ethertype(IPV4),
        0x0057 => Kind::Ethertype(IPV6),
        0x0281 => Kind::Ethertype(MPLS),
        0x0283 => Kind::Ethertype(MPLS_UPSTREAM),
        other => Kind::Pppoe(other),
    };
    Ok(Header { kind, ..untagged(IPV4, start + length) })
}

/// Four bytes of address family. Nothing tells the byte order of the machine that captured, but families are
/// small numbers, so that only one order makes sense.
fn loopback(packet: &[u8]) -> Result<Header, Skip> {
    let family = u32::from_be_bytes(*packet.first_chunk::<4>().ok_or(Skip::ShortLinkHeader)?);
    let family = if family > 0xffff { family.swap_bytes() } else { family };
    match family {
        2 => Ok(untagged(IPV4, 4)),
        // AF_INET6: Linux, Windows, NetBSD and OpenBSD, FreeBSD, macOS.
        10 | 23 | 24 | 28 | 30 => Ok(untagged(IPV6, 4)),
        _ => Err(Skip::NotIp),
    }
}

#[cfg(test)]
mod tests;
