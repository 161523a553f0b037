//! Where a packet's headers are: one pass over its first bytes.

mod malformed;
#[cfg(test)]
mod tests;
mod usual;
mod walk;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use malformed::Malformed;
pub use usual::UsualIpv4;

use crate::order::{get_u16, get_u32, get_u128, u16_at};
use crate::protocol::ip;

/// VLAN tags that [`parse`] walks over before it calls the frame malformed.
pub const MAX_VLANS: u8 = 8;
/// IPv6 extension headers that [`parse`] walks over before it calls the packet malformed.
pub const MAX_EXTENSIONS: usize = 8;

/// Version of an IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IpVersion {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// Offsets and properties of a packet's headers: 16 bytes, so that a burst of them stays in the L1 cache.
///
/// Offsets count from the first byte of the frame. Values (addresses, ports) are not kept here but read
/// from the bytes by the functions that take `frame`; these check every access, so that a frame that
/// changed since gives `None` or other values, never a panic.
///
/// Two words, made and returned in registers: as separate fields they went through memory, which took
/// half of the time of parsing.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Headers {
    low: u64,
    high: u64,
}

/// [`Headers`], one field each.
#[derive(Clone, Copy, Debug, Default)]
struct Parts {
    ether_type: u16,
    vlan_tci: u16,
    l4_offset: u16,
    payload_offset: u16,
    /// IPv4: total length; IPv6: payload length.
    ip_length: u16,
    l3_offset: u8,
    ip_header_len: u8,
    protocol: u8,
    vlan_count: u8,
    flags: u8,
    /// The number of a [`Malformed`]; 0 if nothing is wrong.
    malformed: u8,
}

impl Parts {
    #[inline(always)]
    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    #[inline(always)]
    fn pack(self) -> Headers {
        Headers {
            low: u64::from(self.ether_type)
                | u64::from(self.vlan_tci) << 16
                | u64::from(self.l4_offset) << 32
                | u64::from(self.payload_offset) << 48,
            high: u64::from(self.ip_length)
                | u64::from(self.l3_offset) << 16
                | u64::from(self.ip_header_len) << 24
                | u64::from(self.protocol) << 32
                | u64::from(self.vlan_count) << 40
                | u64::from(self.flags) << 48
                | u64::from(self.malformed) << 56,
        }
    }
}

impl std::fmt::Debug for Headers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.parts().fmt(f)
    }
}

const IPV4: u8 = 1 << 0;
const IPV6: u8 = 1 << 1;
const FIRST_FRAGMENT: u8 = 1 << 2;
const LATER_FRAGMENT: u8 = 1 << 3;
/// The fixed transport header is complete.
const L4: u8 = 1 << 4;
/// The first four bytes of a transport that has ports are there.
const PORTS: u8 = 1 << 5;
const PAYLOAD: u8 = 1 << 6;
/// The IP packet is longer than the frame.
const CUT: u8 = 1 << 7;

/// Parses a frame that is whole in `frame`; [`parse_with_len`] where it is not.
#[inline]
pub fn parse(frame: &[u8]) -> Headers {
    parse_with_len(frame, frame.len())
}

/// Parses the first contiguous bytes (`frame`: at least 256, or all) of a packet of `packet_len` bytes.
///
/// Never fails: [`Headers::malformed`] says what was wrong, and everything before that is filled in.
#[inline]
pub fn parse_with_len(frame: &[u8], packet_len: usize) -> Headers {
    match plain_ipv4(frame, packet_len) {
        Some(headers) => headers,
        None => walk::ethernet(frame, packet_len),
    }
}

/// Parses an IP packet without a link header, at `offset` (under 256) of `frame`: inside a tunnel, or in
/// an ICMP error. The version comes from the first four bits.
pub fn parse_ip(frame: &[u8], offset: usize, packet_len: usize) -> Headers {
    walk::bare_ip(frame, offset, packet_len)
}

/// The packet that most packets are: untagged IPv4 without options, whole, with good TCP or UDP.
#[inline(always)]
fn plain_ipv4(frame: &[u8], packet_len: usize) -> Option<Headers> {
    let head: &[u8; 42] = frame.first_chunk()?;
    // The reserved bit and DF do not matter here; MF and the offset do.
    if head[12] != 0x08 || head[13] != 0x00 || head[14] != 0x45 || u16_at(head, 20) & 0x3fff != 0 {
        return None;
    }
    let total = usize::from(u16_at(head, 16));
    let protocol = head[23];
    let l4_len = match protocol {
        ip::UDP => {
            let length = usize::from(u16_at(head, 38));
            if length < 8 || 20 + length > total {
                return None;
            }
            8
        }
        ip::TCP => {
            let length = usize::from(*frame.get(46)? >> 4) * 4;
            if length < 20 || 20 + length > total || 34 + length > frame.len() {
                return None;
            }
            length
        }
        _ => return None,
    };
    if 14 + total > packet_len {
        return None;
    }
    let parts = Parts {
        ether_type: 0x0800,
        vlan_tci: 0,
        l4_offset: 34,
        payload_offset: 34 + l4_len as u16,
        ip_length: total as u16,
        l3_offset: 14,
        ip_header_len: 20,
        protocol,
        vlan_count: 0,
        flags: IPV4 | L4 | PORTS | PAYLOAD,
        malformed: 0,
    };
    Some(parts.pack())
}

impl Headers {
    #[inline(always)]
    fn parts(&self) -> Parts {
        let (low, high) = (self.low, self.high);
        Parts {
            ether_type: low as u16,
            vlan_tci: (low >> 16) as u16,
            l4_offset: (low >> 32) as u16,
            payload_offset: (low >> 48) as u16,
            ip_length: high as u16,
            l3_offset: (high >> 16) as u8,
            ip_header_len: (high >> 24) as u8,
            protocol: (high >> 32) as u8,
            vlan_count: (high >> 40) as u8,
            flags: (high >> 48) as u8,
            malformed: (high >> 56) as u8,
        }
    }

    #[inline(always)]
    fn has(&self, flag: u8) -> bool {
        self.parts().has(flag)
    }

    /// EtherType after the VLAN tags (under 0x600: the length of an 802.3 frame). 0 if that is cut off.
    #[inline]
    pub fn ether_type(&self) -> u16 {
        self.parts().ether_type
    }

    /// VLAN tags walked over.
    #[inline]
    pub fn vlan_count(&self) -> u8 {
        self.parts().vlan_count
    }

    /// VLAN identifier of the outermost tag.
    #[inline]
    pub fn vlan(&self) -> Option<u16> {
        (self.parts().vlan_count > 0).then_some(self.parts().vlan_tci & 0x0fff)
    }

    /// Priority (PCP) of the outermost tag.
    #[inline]
    pub fn vlan_priority(&self) -> Option<u8> {
        (self.parts().vlan_count > 0).then_some((self.parts().vlan_tci >> 13) as u8)
    }

    /// Where the network header starts, or what else follows EtherType (and a PPPoE session header).
    #[inline]
    pub fn l3_offset(&self) -> usize {
        usize::from(self.parts().l3_offset)
    }

    /// IP version, if the fixed IP header (20 or 40 bytes) is in the frame.
    #[inline]
    pub fn ip_version(&self) -> Option<IpVersion> {
        match self.parts().flags & (IPV4 | IPV6) {
            IPV4 => Some(IpVersion::V4),
            IPV6 => Some(IpVersion::V6),
            _ => None,
        }
    }

    /// A fixed IPv4 header is at [`l3_offset`](Self::l3_offset).
    #[inline]
    pub fn is_ipv4(&self) -> bool {
        self.has(IPV4)
    }

    /// A fixed IPv6 header is at [`l3_offset`](Self::l3_offset).
    #[inline]
    pub fn is_ipv6(&self) -> bool {
        self.has(IPV6)
    }

    /// Either of them.
    #[inline]
    pub fn is_ip(&self) -> bool {
        self.has(IPV4 | IPV6)
    }

    /// Bytes of the fixed IP header and IPv4's options (IPv6: 40, without extensions); 0 if not IP.
    #[inline]
    pub fn ip_header_len(&self) -> usize {
        usize::from(self.parts().ip_header_len)
    }

    /// Bytes of the IP packet, header included, as its header says: more than the frame holds if
    /// [`is_cut`](Self::is_cut), less if the frame is padded.
    #[inline]
    pub fn l3_len(&self) -> Option<usize> {
        match self.parts().flags & (IPV4 | IPV6) {
            IPV4 => Some(usize::from(self.parts().ip_length)),
            IPV6 => Some(usize::from(self.parts().ip_length) + 40),
            _ => None,
        }
    }

    /// Final next header: past IPv6's extension headers. In a non-first IPv6 fragment it is that of the
    /// fragment header. `None` if not IP, or if the chain is broken.
    #[inline]
    pub fn protocol(&self) -> Option<u8> {
        (self.parts().ip_header_len > 0).then_some(self.parts().protocol)
    }

    /// Where the transport header starts, if its fixed part (TCP 20 bytes, UDP and ICMP 8, SCTP 12) is
    /// whole. `None` in non-first fragments.
    #[inline]
    pub fn l4_offset(&self) -> Option<usize> {
        self.has(L4).then_some(usize::from(self.parts().l4_offset))
    }

    /// Where the transport's payload starts (after TCP's options, UDP's 8 bytes, ICMP's 8, SCTP's 12; for
    /// another protocol right after IP), or in a non-first fragment its data.
    #[inline]
    pub fn payload_offset(&self) -> Option<usize> {
        self.has(PAYLOAD).then_some(usize::from(self.parts().payload_offset))
    }

    /// Bytes from [`payload_offset`](Self::payload_offset) to the end of the IP packet, padding excluded.
    #[inline]
    pub fn payload_len(&self) -> Option<usize> {
        let end = self.l3_offset() + self.l3_len()?;
        Some(end.saturating_sub(self.payload_offset()?))
    }

    /// One of several fragments. An IPv6 "atomic" fragment (RFC 6946) is not one.
    #[inline]
    pub fn is_fragment(&self) -> bool {
        self.has(FIRST_FRAGMENT | LATER_FRAGMENT)
    }

    /// The fragment with the transport header.
    #[inline]
    pub fn is_first_fragment(&self) -> bool {
        self.has(FIRST_FRAGMENT)
    }

    /// A fragment with offset above 0: no transport header.
    #[inline]
    pub fn is_later_fragment(&self) -> bool {
        self.has(LATER_FRAGMENT)
    }

    /// Where a fragment's data belongs in its datagram, in bytes; `None` for everything else.
    pub fn fragment_offset(&self, frame: &[u8]) -> Option<usize> {
        if !self.is_fragment() {
            return None;
        }
        if self.is_ipv4() {
            return Some(usize::from(get_u16(frame, self.l3_offset() + 6)? & 0x1fff) * 8);
        }
        let at = crate::ipv6::fragment_header_offset(frame, self.l3_offset())?;
        Some(usize::from(get_u16(frame, at + 2)? & 0xfff8))
    }

    /// The IP packet is longer than the frame (lost end, short capture).
    #[inline]
    pub fn is_cut(&self) -> bool {
        self.has(CUT)
    }

    /// [`ports`](Self::ports) will find them.
    #[inline]
    pub fn has_ports(&self) -> bool {
        self.has(PORTS)
    }

    /// What is wrong, if anything.
    #[inline]
    pub fn malformed(&self) -> Option<Malformed> {
        Malformed::from_number(self.parts().malformed)
    }

    /// Protocol is TCP and its fixed header is whole.
    #[inline]
    pub fn is_tcp(&self) -> bool {
        self.has(L4) && self.parts().protocol == ip::TCP
    }

    /// Protocol is UDP and its header is whole.
    #[inline]
    pub fn is_udp(&self) -> bool {
        self.has(L4) && self.parts().protocol == ip::UDP
    }

    /// ICMP in IPv4, whole header.
    #[inline]
    pub fn is_icmp(&self) -> bool {
        self.has(L4) && self.has(IPV4) && self.parts().protocol == ip::ICMP
    }

    /// ICMPv6 in IPv6, whole header.
    #[inline]
    pub fn is_icmpv6(&self) -> bool {
        self.has(L4) && self.has(IPV6) && self.parts().protocol == ip::ICMPV6
    }

    /// Where the ports are that [`Headers::ports`] finds, even where the transport header is cut off after them.
    #[inline]
    pub fn ports_offset(&self) -> Option<usize> {
        self.has(PORTS).then_some(usize::from(self.parts().l4_offset))
    }

    /// Source and destination port of TCP, UDP, UDP-Lite, DCCP or SCTP. Also of a packet whose transport
    /// header is cut off after them.
    #[inline]
    pub fn ports(&self, frame: &[u8]) -> Option<(u16, u16)> {
        if !self.has(PORTS) {
            return None;
        }
        let both = get_u32(frame, usize::from(self.parts().l4_offset))?;
        Some(((both >> 16) as u16, both as u16))
    }

    /// The packet as most packets are: untagged IPv4 in Ethernet, whole, without options and not fragmented, with good
    /// TCP or UDP. Its fields are at the places that [`UsualIpv4`] knows. `None` does not say that it is otherwise.
    #[inline(always)]
    pub fn usual_ipv4<'a>(&self, frame: &'a [u8]) -> Option<UsualIpv4<'a>> {
        // All but the length and the protocol.
        const WANTED: u64 = 14 << 16 | 20 << 24 | ((IPV4 | L4 | PORTS | PAYLOAD) as u64) << 48;
        const MASK: u64 = !(0xffff | 0xff << 32);
        (self.high & MASK == WANTED).then_some(())?;
        // Long enough for TCP's flags in any case, as Ethernet's shortest frame is.
        let protocol = self.parts().protocol;
        matches!(protocol, ip::TCP | ip::UDP)
            .then(|| frame.first_chunk())
            .flatten()
            .map(|head| UsualIpv4 { head, protocol })
    }

    /// Source and destination of an IPv4 packet.
    #[inline]
    pub fn ipv4_addresses(&self, frame: &[u8]) -> Option<(u32, u32)> {
        if !self.has(IPV4) {
            return None;
        }
        let at = self.l3_offset() + 12;
        Some((get_u32(frame, at)?, get_u32(frame, at + 4)?))
    }

    /// Source and destination of an IPv6 packet.
    #[inline]
    pub fn ipv6_addresses(&self, frame: &[u8]) -> Option<(u128, u128)> {
        if !self.has(IPV6) {
            return None;
        }
        let at = self.l3_offset() + 8;
        Some((get_u128(frame, at)?, get_u128(frame, at + 16)?))
    }

    /// Source and destination of either version.
    pub fn addresses(&self, frame: &[u8]) -> Option<(IpAddr, IpAddr)> {
        if let Some((source, destination)) = self.ipv4_addresses(frame) {
            return Some((Ipv4Addr::from(source).into(), Ipv4Addr::from(destination).into()));
        }
        let (source, destination) = self.ipv6_addresses(frame)?;
        Some((Ipv6Addr::from(source).into(), Ipv6Addr::from(destination).into()))
    }

    /// TTL or hop limit.
    #[inline]
    pub fn ttl(&self, frame: &[u8]) -> Option<u8> {
        match self.ip_version()? {
            IpVersion::V4 => frame.get(self.l3_offset() + 8).copied(),
            IpVersion::V6 => frame.get(self.l3_offset() + 7).copied(),
        }
    }

    /// DSCP (6 bits) and ECN (2 bits), as one byte.
    #[inline]
    pub fn traffic_class(&self, frame: &[u8]) -> Option<u8> {
        match self.ip_version()? {
            IpVersion::V4 => frame.get(self.l3_offset() + 1).copied(),
            IpVersion::V6 => Some((get_u16(frame, self.l3_offset())? >> 4) as u8),
        }
    }

    /// TCP flags: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128.
    #[inline]
    pub fn tcp_flags(&self, frame: &[u8]) -> Option<u8> {
        if !self.is_tcp() {
            return None;
        }
        frame.get(usize::from(self.parts().l4_offset) + 13).copied()
    }

    /// Type and code of ICMP or ICMPv6.
    #[inline]
    pub fn icmp_type_code(&self, frame: &[u8]) -> Option<(u8, u8)> {
        if !(self.is_icmp() || self.is_icmpv6()) {
            return None;
        }
        let both = get_u16(frame, usize::from(self.parts().l4_offset))?;
        Some(((both >> 8) as u8, both as u8))
    }

    /// An ICMP or ICMPv6 error, that is a message with a packet embedded (RFC 792, RFC 4443 section 2.1).
    #[inline]
    pub fn is_icmp_error(&self, frame: &[u8]) -> bool {
        match self.icmp_type_code(frame) {
            Some((kind, _)) if self.is_icmp() => crate::icmp::is_error(kind),
            Some((kind, _)) => crate::icmpv6::is_error(kind),
            None => false,
        }
    }

    /// Headers of the packet embedded in an ICMP error, with offsets in the same frame. That packet is
    /// nearly always cut, and so [`malformed`](Self::malformed); its addresses and ports are there.
    pub fn embedded(&self, frame: &[u8]) -> Option<Headers> {
        if !self.is_icmp_error(frame) {
            return None;
        }
        let at = usize::from(self.parts().l4_offset) + 8;
        let end = (self.l3_offset() + self.l3_len()?).min(frame.len());
        let inner = parse_ip(frame.get(..end)?, at, end);
        (inner.ip_version() == self.ip_version()).then_some(inner)
    }
}
