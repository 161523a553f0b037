//! IPv6 (RFC 8200).

mod extension;
#[cfg(test)]
mod tests;

pub use extension::{Extension, Extensions, extension_len, extensions, fragment_header_offset, is_extension};

use crate::checksum::Sum;
use crate::headers::Malformed;
use crate::order::view;

/// Bytes of the header without extensions.
pub const HEADER_LEN: usize = 40;

view! {
    /// An IPv6 packet.
    Packet {
        /// Bytes after the header, extensions included.
        payload_len, set_payload_len: u16 = 4;
        /// Number of the header that follows.
        next_header, set_next_header: u8 = 6;
        /// Hop limit.
        hop_limit, set_hop_limit: u8 = 7;
        /// Source address.
        src, set_src: u128 = 8;
        /// Destination address.
        dst, set_dst: u128 = 24;
        /// Version, traffic class and flow label.
        first_word, set_first_word: u32 = 0;
    }
}

impl<T: AsRef<[u8]>> Packet<T> {
    /// The view, if the header is whole. The payload may be cut.
    pub fn new_checked(bytes: T) -> Result<Packet<T>, Malformed> {
        let header = bytes.as_ref().get(..HEADER_LEN).ok_or(Malformed::Ipv6Truncated)?;
        if header[0] >> 4 == 6 { Ok(Packet(bytes)) } else { Err(Malformed::Ipv6BadVersion) }
    }

    /// DSCP and ECN.
    pub fn traffic_class(&self) -> u8 {
        (self.first_word() >> 20) as u8
    }

    /// Differentiated services code point, 6 bits.
    pub fn dscp(&self) -> u8 {
        self.traffic_class() >> 2
    }

    /// Explicit congestion notification, 2 bits.
    pub fn ecn(&self) -> u8 {
        self.traffic_class() & 3
    }

    /// Flow label, 20 bits (RFC 6437).
    pub fn flow_label(&self) -> u32 {
        self.first_word() & 0xf_ffff
    }

    /// The extension headers.
    pub fn extensions(&self) -> Extensions<'_> {
        extensions(self.0.as_ref(), 0)
    }

    /// Number and offset (in these bytes) of what follows the last whole extension header.
    pub fn upper_layer(&self) -> (u8, usize) {
        let last = self.extensions().last();
        last.map_or((self.next_header(), HEADER_LEN), |last| (last.next, last.offset + last.len))
    }

    /// What follows the header, extensions included and padding excluded.
    pub fn payload(&self) -> &[u8] {
        let bytes = self.0.as_ref();
        let end = (HEADER_LEN + usize::from(self.payload_len())).min(bytes.len());
        &bytes[HEADER_LEN..end]
    }

    /// The pseudo-header for an upper layer of `len` bytes. With a routing header that has segments left
    /// the destination to sum is the last segment (RFC 8200 section 8.1), not the one here.
    pub fn pseudo_header(&self, next_header: u8, len: u32) -> Sum {
        Sum::pseudo_v6(self.src(), self.dst(), next_header, len)
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Packet<T> {
    /// Sets DSCP and ECN.
    pub fn set_traffic_class(&mut self, class: u8) {
        self.set_first_word(self.first_word() & !(0xff << 20) | u32::from(class) << 20);
    }

    /// Sets the DSCP (its low 6 bits).
    pub fn set_dscp(&mut self, dscp: u8) {
        self.set_traffic_class(dscp << 2 | self.ecn());
    }

    /// Sets the flow label (its low 20 bits).
    pub fn set_flow_label(&mut self, label: u32) {
        self.set_first_word(self.first_word() & !0xf_ffff | label & 0xf_ffff);
    }

    /// Lowers the hop limit by one; `false`, and no change, if it would reach 0.
    #[inline]
    pub fn decrement_hop_limit(&mut self) -> bool {
        let limit = self.hop_limit();
        if limit > 1 {
            self.set_hop_limit(limit - 1);
        }
        limit > 1
    }

    /// What follows the header, extensions included and padding excluded.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        let end = (HEADER_LEN + usize::from(self.payload_len())).min(self.0.as_ref().len());
        &mut self.0.as_mut()[HEADER_LEN..end]
    }
}
