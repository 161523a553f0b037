//! The general parser: any frame, header by header. Each step checks that its bytes are there.

use super::*;
use crate::protocol::ether_type;

/// How far the bytes of one packet go: `frame` is what is contiguous, `packet_len` what there is.
#[derive(Clone, Copy)]
struct Bytes<'a> {
    frame: &'a [u8],
    packet_len: usize,
}

#[inline(never)]
pub(super) fn ethernet(frame: &[u8], packet_len: usize) -> Headers {
    let mut headers = Parts::default();
    let bytes = Bytes { frame, packet_len: packet_len.max(frame.len()) };
    if let Err(malformed) = headers.ethernet(bytes) {
        headers.malformed = malformed as u8;
    }
    headers.pack()
}

pub(super) fn bare_ip(frame: &[u8], offset: usize, packet_len: usize) -> Headers {
    let mut headers = Parts::default();
    let bytes = Bytes { frame, packet_len: packet_len.max(frame.len()) };
    let (Ok(at), Some(first)) = (u8::try_from(offset), frame.get(offset)) else {
        headers.malformed = Malformed::Ipv4Truncated as u8;
        return headers.pack();
    };
    headers.l3_offset = at;
    let result = if first >> 4 == 6 {
        headers.ether_type = ether_type::IPV6;
        headers.ipv6(bytes, offset)
    } else {
        headers.ether_type = ether_type::IPV4;
        headers.ipv4(bytes, offset)
    };
    if let Err(malformed) = result {
        headers.malformed = malformed as u8;
    }
    headers.pack()
}

impl Parts {
    fn ethernet(&mut self, bytes: Bytes) -> Result<(), Malformed> {
        let frame = bytes.frame;
        let mut kind = get_u16(frame, 12).ok_or(Malformed::EthernetTruncated)?;
        let mut at = 14;
        while crate::vlan::is_tag(kind) {
            self.l3_offset = at as u8;
            if self.vlan_count == MAX_VLANS {
                return Err(Malformed::TooManyVlans);
            }
            let tag = get_u32(frame, at).ok_or(Malformed::VlanTruncated)?;
            if self.vlan_count == 0 {
                self.vlan_tci = (tag >> 16) as u16;
            }
            self.vlan_count += 1;
            kind = tag as u16;
            at += 4;
        }
        self.ether_type = kind;
        self.l3_offset = at as u8;
        match kind {
            ether_type::IPV4 => self.ipv4(bytes, at),
            ether_type::IPV6 => self.ipv6(bytes, at),
            ether_type::ARP if frame.len() < at + 28 => Err(Malformed::ArpTruncated),
            ether_type::PPPOE_SESSION => self.pppoe(bytes, at),
            _ => Ok(()),
        }
    }

    /// RFC 2516 section 4: version and type 1, code 0 in a session; then the PPP protocol.
    fn pppoe(&mut self, bytes: Bytes, at: usize) -> Result<(), Malformed> {
        let start = get_u16(bytes.frame, at).ok_or(Malformed::PppoeTruncated)?;
        let protocol = get_u16(bytes.frame, at + 6).ok_or(Malformed::PppoeTruncated)?;
        if start != 0x1100 {
            return Err(Malformed::PppoeBadHeader);
        }
        match protocol {
            crate::pppoe::PPP_IPV4 | crate::pppoe::PPP_IPV6 => {
                self.l3_offset = (at + 8) as u8;
                if protocol == crate::pppoe::PPP_IPV4 {
                    self.ipv4(bytes, at + 8)
                } else {
                    self.ipv6(bytes, at + 8)
                }
            }
            _ => Ok(()),
        }
    }

    fn ipv4(&mut self, bytes: Bytes, at: usize) -> Result<(), Malformed> {
        let header = bytes.frame.get(at..at + 20).ok_or(Malformed::Ipv4Truncated)?;
        if header[0] >> 4 != 4 {
            return Err(Malformed::Ipv4BadVersion);
        }
        let header_len = (header[0] & 0x0f) * 4;
        if header_len < 20 {
            return Err(Malformed::Ipv4BadHeaderLength);
        }
        self.flags |= IPV4;
        self.ip_header_len = header_len;
        self.protocol = header[9];
        self.ip_length = u16_at(header, 2);

        let l4 = at + usize::from(header_len);
        let end = at + usize::from(self.ip_length);
        self.flags |= if end > bytes.packet_len { CUT } else { 0 };
        let fragment = u16_at(header, 6);
        if fragment & 0x1fff != 0 {
            self.flags |= LATER_FRAGMENT;
        } else if fragment & 0x2000 != 0 {
            self.flags |= FIRST_FRAGMENT;
        }
        if end < l4 {
            return Err(Malformed::Ipv4BadTotalLength);
        }
        if l4 > bytes.frame.len() {
            return Err(Malformed::Ipv4Truncated);
        }
        self.transport(bytes.frame, l4, end)?;
        if self.has(CUT) { Err(Malformed::Ipv4PayloadTruncated) } else { Ok(()) }
    }

    fn ipv6(&mut self, bytes: Bytes, at: usize) -> Result<(), Malformed> {
        let header = bytes.frame.get(at..at + 40).ok_or(Malformed::Ipv6Truncated)?;
        if header[0] >> 4 != 6 {
            return Err(Malformed::Ipv6BadVersion);
        }
        self.flags |= IPV6;
        self.ip_length = u16_at(header, 4);
        let end = at + 40 + usize::from(self.ip_length);
        self.flags |= if end > bytes.packet_len { CUT } else { 0 };
        let l4 = self.extensions(bytes.frame, header[6], at + 40, end)?;
        self.ip_header_len = 40;
        self.transport(bytes.frame, l4, end)?;
        if self.has(CUT) { Err(Malformed::Ipv6PayloadTruncated) } else { Ok(()) }
    }

    /// Walks IPv6's extension headers; returns where the last next header starts.
    fn extensions(&mut self, frame: &[u8], first: u8, mut at: usize, end: usize) -> Result<usize, Malformed> {
        let mut next = first;
        let end = end.min(frame.len());
        for _ in 0..=MAX_EXTENSIONS {
            self.protocol = next;
            if !crate::ipv6::is_extension(next) {
                return Ok(at);
            }
            let fixed = frame.get(at..at + 8).filter(|_| at + 8 <= end);
            let fixed = fixed.ok_or(Malformed::Ipv6ExtensionTruncated)?;
            let len = crate::ipv6::extension_len(next, fixed[1]);
            if at + len > end {
                return Err(Malformed::Ipv6ExtensionTruncated);
            }
            if next == ip::FRAGMENT {
                let offset = u16_at(fixed, 2);
                if offset & 0xfff8 != 0 {
                    // What follows is the middle of something: not a header, whatever its number says. That
                    // holds too where a first fragment holds a fragment of another datagram.
                    self.flags = self.flags & !FIRST_FRAGMENT | LATER_FRAGMENT;
                    self.protocol = fixed[0];
                    return Ok(at + len);
                }
                self.flags |= if offset & 1 != 0 { FIRST_FRAGMENT } else { 0 };
            }
            next = fixed[0];
            at += len;
        }
        Err(Malformed::TooManyExtensions)
    }

    /// The transport header at `at`, in an IP packet that says it ends at `end`.
    fn transport(&mut self, frame: &[u8], at: usize, end: usize) -> Result<(), Malformed> {
        self.l4_offset = at as u16;
        self.payload_offset = at as u16;
        if self.has(LATER_FRAGMENT) {
            self.flags |= PAYLOAD;
            return Ok(());
        }
        // What IP says is there, and what of that really is.
        let claimed = end.saturating_sub(at);
        let present = claimed.min(frame.len().saturating_sub(at));
        if crate::ipv4::has_ports(self.protocol) && present >= 4 {
            self.flags |= PORTS;
        }
        let fixed = |len: usize, error: Malformed| if present < len { Err(error) } else { Ok(len) };
        let mut result = Ok(());
        let header_len = match self.protocol {
            ip::TCP => {
                fixed(20, Malformed::TcpTruncated)?;
                let len = usize::from(frame[at + 12] >> 4) * 4;
                if len < 20 || len > claimed {
                    self.flags |= L4;
                    return Err(Malformed::TcpBadDataOffset);
                }
                if len > present {
                    self.flags |= L4;
                    return Err(Malformed::TcpTruncated);
                }
                len
            }
            ip::UDP => {
                fixed(8, Malformed::UdpTruncated)?;
                let length = usize::from(u16_at(frame, at + 4));
                // The first fragment carries the length of the whole datagram.
                if length < 8 || (length > claimed && !self.has(FIRST_FRAGMENT)) {
                    result = Err(Malformed::UdpBadLength);
                }
                8
            }
            ip::ICMP if self.has(IPV4) => fixed(8, Malformed::IcmpTruncated)?,
            ip::ICMPV6 if self.has(IPV6) => fixed(8, Malformed::IcmpTruncated)?,
            ip::SCTP => fixed(12, Malformed::SctpTruncated)?,
            ip::NO_NEXT_HEADER if self.has(IPV6) => return Ok(()),
            _ => 0,
        };
        self.flags |= L4 | PAYLOAD;
        self.payload_offset = (at + header_len) as u16;
        result
    }
}
