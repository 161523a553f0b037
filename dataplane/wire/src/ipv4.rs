//! IPv4 (RFC 791).

mod options;
#[cfg(test)]
mod tests;

pub use options::{IpOption, Options};

use crate::checksum::{self, Sum};
use crate::headers::Malformed;
use crate::order::view;
use crate::protocol::ip;

/// Bytes of a header without options.
pub const HEADER_LEN: usize = 20;

/// Protocols whose header starts with source and destination port.
#[inline]
pub const fn has_ports(protocol: u8) -> bool {
    matches!(protocol, ip::TCP | ip::UDP | ip::DCCP | ip::SCTP | ip::UDP_LITE)
}

view! {
    /// An IPv4 packet.
    Packet {
        /// DSCP and ECN (RFC 2474, RFC 3168).
        traffic_class, set_traffic_class: u8 = 1;
        /// Bytes of the packet, header included.
        total_len, set_total_len: u16 = 2;
        /// Identification of the datagram that a fragment belongs to.
        id, set_id: u16 = 4;
        /// Flags (3 bits) and fragment offset (13 bits, in units of 8 bytes).
        fragment, set_fragment: u16 = 6;
        /// Time to live.
        ttl, set_ttl: u8 = 8;
        /// Protocol of the payload.
        protocol, set_protocol: u8 = 9;
        /// Header checksum.
        checksum, set_checksum: u16 = 10;
        /// Source address.
        src, set_src: u32 = 12;
        /// Destination address.
        dst, set_dst: u32 = 16;
    }
}

impl<T: AsRef<[u8]>> Packet<T> {
    /// The view, if the header and its options are whole and its lengths agree. The payload may be cut.
    pub fn new_checked(bytes: T) -> Result<Packet<T>, Malformed> {
        let available = bytes.as_ref().len();
        if available < HEADER_LEN {
            return Err(Malformed::Ipv4Truncated);
        }
        let packet = Packet(bytes);
        if packet.0.as_ref()[0] >> 4 != 4 {
            return Err(Malformed::Ipv4BadVersion);
        }
        let header_len = packet.header_len();
        if header_len < HEADER_LEN {
            return Err(Malformed::Ipv4BadHeaderLength);
        }
        if usize::from(packet.total_len()) < header_len {
            return Err(Malformed::Ipv4BadTotalLength);
        }
        if available < header_len { Err(Malformed::Ipv4Truncated) } else { Ok(packet) }
    }

    /// Bytes of the header, options included.
    #[inline]
    pub fn header_len(&self) -> usize {
        usize::from(self.0.as_ref()[0] & 0x0f) * 4
    }

    /// Differentiated services code point, 6 bits.
    pub fn dscp(&self) -> u8 {
        self.traffic_class() >> 2
    }

    /// Explicit congestion notification, 2 bits.
    pub fn ecn(&self) -> u8 {
        self.traffic_class() & 3
    }

    /// Must not be fragmented.
    pub fn dont_fragment(&self) -> bool {
        self.fragment() & 0x4000 != 0
    }

    /// More fragments follow.
    pub fn more_fragments(&self) -> bool {
        self.fragment() & 0x2000 != 0
    }

    /// Where this fragment's payload belongs in the datagram, in bytes.
    pub fn fragment_offset(&self) -> usize {
        usize::from(self.fragment() & 0x1fff) * 8
    }

    /// The options; none if the header length changed to what the bytes do not hold.
    pub fn options(&self) -> Options<'_> {
        Options::new(self.0.as_ref().get(HEADER_LEN..self.header_len()).unwrap_or_default())
    }

    /// What follows the header, padding excluded; shorter than the header says if it is cut.
    pub fn payload(&self) -> &[u8] {
        let bytes = self.0.as_ref();
        let end = usize::from(self.total_len()).min(bytes.len());
        bytes.get(self.header_len()..end).unwrap_or_default()
    }

    /// Whether the header checksum is right.
    pub fn checksum_is_valid(&self) -> bool {
        self.0.as_ref().get(..self.header_len()).is_some_and(|header| Sum::new().bytes(header).is_valid())
    }

    /// The pseudo-header for a transport of `len` bytes.
    pub fn pseudo_header(&self, len: u32) -> Sum {
        Sum::pseudo_v4(self.src(), self.dst(), self.protocol(), len)
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Packet<T> {
    /// Sets the DSCP (its low 6 bits).
    pub fn set_dscp(&mut self, dscp: u8) {
        self.set_traffic_class(dscp << 2 | self.ecn());
    }

    /// Sets ECN (its low 2 bits).
    pub fn set_ecn(&mut self, ecn: u8) {
        self.set_traffic_class(self.traffic_class() & 0xfc | ecn & 3);
    }

    /// Computes the header checksum anew.
    pub fn fill_checksum(&mut self) {
        self.set_checksum(0);
        let header_len = self.header_len().min(self.0.as_ref().len());
        let checksum = checksum::of(&self.0.as_ref()[..header_len]);
        self.set_checksum(checksum);
    }

    /// Lowers the TTL by one, with the checksum; `false`, and no change, if it would reach 0.
    #[inline]
    pub fn decrement_ttl(&mut self) -> bool {
        let ttl = self.ttl();
        if ttl <= 1 {
            return false;
        }
        let rest = u16::from(self.protocol());
        let old = u16::from(ttl) << 8 | rest;
        self.set_checksum(checksum::update_u16(self.checksum(), old, old - 0x0100));
        self.set_ttl(ttl - 1);
        true
    }

    /// What follows the header, padding excluded.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        let header_len = self.header_len();
        let end = usize::from(self.total_len()).min(self.0.as_ref().len());
        self.0.as_mut().get_mut(header_len..end).unwrap_or_default()
    }
}
