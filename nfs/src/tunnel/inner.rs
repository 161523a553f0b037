//! The packet inside a tunnel: whether it is whole, and the marks with which it comes out.

use super::{Kept, ecn};
use wire::checksum::update_u16;
use wire::{Headers, ipv4, ipv6};

/// The IP packet's length, if its header is right about it: it ends within the `packet_len` bytes of the frame.
#[inline]
pub(crate) fn fits(headers: &Headers, packet_len: usize) -> Option<usize> {
    let len = headers.l3_len()?;
    let least = headers.ip_header_len().max(ipv4::HEADER_LEN);
    (len >= least && headers.l3_offset() + len <= packet_len).then_some(len)
}

/// Traffic classes (DSCP and ECN) inside and outside.
#[derive(Clone, Copy)]
pub(crate) struct Marks {
    pub inner: u8,
    pub outer: u8,
}

impl Marks {
    /// The class with which the packet comes out (RFC 2983 for the DSCP, RFC 6040 for ECN); `None`: it is dropped.
    #[inline]
    pub(crate) fn leaving(self, dscp: Kept) -> Option<u8> {
        let from = if dscp == Kept::Outer { self.outer } else { self.inner };
        ecn::leaving(self.inner, self.outer).map(|ecn| from & 0xfc | ecn)
    }
}

/// Gives the IP packet at `at` another traffic class.
#[inline]
pub(crate) fn mark_inner(bytes: &mut [u8], at: usize, class: u8) {
    let Some(packet) = bytes.get_mut(at..) else { return };
    if let Ok(mut packet) = ipv4::Packet::new_checked(&mut *packet) {
        let old = packet.traffic_class();
        if old != class {
            packet.set_checksum(update_u16(packet.checksum(), old.into(), class.into()));
            packet.set_traffic_class(class);
        }
    } else if let Ok(mut packet) = ipv6::Packet::new_checked(packet) {
        packet.set_traffic_class(class);
    }
}

/// Gives the IP packet at `at` another TTL, if that is lower than its own.
#[inline]
pub(crate) fn set_inner_ttl(bytes: &mut [u8], at: usize, ttl: u8) {
    let Some(packet) = bytes.get_mut(at..) else { return };
    if let Ok(mut packet) = ipv4::Packet::new_checked(&mut *packet) {
        let old = packet.ttl();
        if ttl < old {
            packet.set_checksum(update_u16(packet.checksum(), u16::from(old) << 8, u16::from(ttl) << 8));
            packet.set_ttl(ttl);
        }
    } else if let Ok(mut packet) = ipv6::Packet::new_checked(packet) {
        packet.set_hop_limit(packet.hop_limit().min(ttl));
    }
}
