//! The packet that most packets are.

use crate::order::{u16_at, u32_at};
use crate::protocol::ip;

/// Ethernet, IPv4 without options, TCP or UDP: every field at a fixed place. Made by
/// [`Headers::usual_ipv4`](super::Headers::usual_ipv4).
#[derive(Clone, Copy, Debug)]
pub struct UsualIpv4<'a> {
    pub(super) head: &'a [u8; HEAD],
    pub(super) protocol: u8,
}

/// Bytes that are there in any case: up to TCP's flags, as Ethernet's shortest frame has them.
pub(super) const HEAD: usize = 48;

impl<'a> UsualIpv4<'a> {
    /// Looks whether a packet of `packet_len` bytes, of which the first 256 or all are in `frame`, is what
    /// [`Headers::usual_ipv4`](super::Headers::usual_ipv4) finds: without parsing it, and without a branch on what
    /// differs between usual packets.
    #[inline(always)]
    pub fn is(frame: &[u8], packet_len: usize) -> bool {
        let Some(head) = frame.first_chunk::<HEAD>() else { return false };
        let total = usize::from(u16_at(head, 16));
        let (is_tcp, is_udp) = (head[23] == ip::TCP, head[23] == ip::UDP);
        // Of TCP the header, of UDP all of it.
        let (least, length) =
            if is_tcp { (20, usize::from(head[46] >> 4) * 4) } else { (8, usize::from(u16_at(head, 38))) };
        // The reserved bit and DF do not matter here; MF and the offset do.
        (u32_at(head, 12) & 0xffff_ff00 == 0x0800_4500)
            & (u16_at(head, 20) & 0x3fff == 0)
            & (is_tcp | is_udp)
            & (length >= least)
            & (20 + length <= total)
            & (14 + total <= packet_len)
    }

    /// A frame of which [`UsualIpv4::is`] was true; of any other one the fields mean nothing.
    #[inline(always)]
    pub fn trust(frame: &'a [u8]) -> UsualIpv4<'a> {
        let head = frame.first_chunk().unwrap_or(&[0; HEAD]);
        UsualIpv4 { head, protocol: head[23] }
    }

    /// Source and destination address.
    #[inline(always)]
    pub fn addresses(&self) -> (u32, u32) {
        (u32_at(self.head, 26), u32_at(self.head, 30))
    }

    /// Source and destination port.
    #[inline(always)]
    pub fn ports(&self) -> (u16, u16) {
        (u16_at(self.head, 34), u16_at(self.head, 36))
    }

    /// Source and destination address as they are in the packet, for comparison and hashing only.
    #[inline(always)]
    pub fn raw_addresses(&self) -> [u8; 8] {
        let h = self.head;
        [h[26], h[27], h[28], h[29], h[30], h[31], h[32], h[33]]
    }

    /// Both ports as they are in the packet.
    #[inline(always)]
    pub fn raw_ports(&self) -> [u8; 4] {
        [self.head[34], self.head[35], self.head[36], self.head[37]]
    }

    /// TCP or UDP.
    #[inline(always)]
    pub fn protocol(&self) -> u8 {
        self.protocol
    }

    /// Traffic class: DSCP and ECN.
    #[inline(always)]
    pub fn traffic_class(&self) -> u8 {
        self.head[15]
    }

    /// Total length.
    #[inline(always)]
    pub fn ip_length(&self) -> u16 {
        u16_at(self.head, 16)
    }

    /// The packet is TCP.
    #[inline(always)]
    pub fn is_tcp(&self) -> bool {
        self.protocol == ip::TCP
    }

    /// TCP's sequence and acknowledgement number. Of another protocol they mean nothing.
    #[inline(always)]
    pub fn tcp_numbers(&self) -> (u32, u32) {
        (u32_at(self.head, 38), u32_at(self.head, 42))
    }

    /// TCP's flags as in [`Headers::tcp_flags`](super::Headers::tcp_flags); 0 for UDP.
    #[inline(always)]
    pub fn tcp_flags(&self) -> u8 {
        if self.is_tcp() { self.head[47] } else { 0 }
    }
}
