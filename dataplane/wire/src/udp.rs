//! UDP (RFC 768).

use crate::checksum::{self, Sum};
use crate::headers::Malformed;
use crate::order::view;

/// Bytes of the header.
pub const HEADER_LEN: usize = 8;

view! {
    /// A UDP datagram.
    Packet {
        /// Source port.
        src_port, set_src_port: u16 = 0;
        /// Destination port.
        dst_port, set_dst_port: u16 = 2;
        /// Bytes of header and payload.
        length, set_length: u16 = 4;
        /// Checksum; 0 if there is none.
        checksum, set_checksum: u16 = 6;
    }
}

impl<T: AsRef<[u8]>> Packet<T> {
    /// The view, if the header is whole and its length not less. The payload may be cut.
    pub fn new_checked(bytes: T) -> Result<Packet<T>, Malformed> {
        if bytes.as_ref().len() < HEADER_LEN {
            return Err(Malformed::UdpTruncated);
        }
        let packet = Packet(bytes);
        if usize::from(packet.length()) < HEADER_LEN { Err(Malformed::UdpBadLength) } else { Ok(packet) }
    }

    fn end(&self) -> usize {
        usize::from(self.length()).clamp(HEADER_LEN, self.0.as_ref().len())
    }

    /// The payload, as long as the header says and the bytes go.
    pub fn payload(&self) -> &[u8] {
        &self.0.as_ref()[HEADER_LEN..self.end()]
    }

    /// Whether the checksum is right, given the pseudo-header, or absent.
    pub fn checksum_is_valid(&self, pseudo_header: Sum) -> bool {
        self.checksum() == 0 || pseudo_header.bytes(&self.0.as_ref()[..self.end()]).is_valid()
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Packet<T> {
    /// Computes the checksum anew, given the pseudo-header.
    pub fn fill_checksum(&mut self, pseudo_header: Sum) {
        self.set_checksum(0);
        let checksum = pseudo_header.bytes(&self.0.as_ref()[..self.end()]).checksum();
        self.set_checksum(checksum::for_udp(checksum));
    }

    /// The payload, as long as the header says and the bytes go.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        let end = self.end();
        &mut self.0.as_mut()[HEADER_LEN..end]
    }
}

#[cfg(test)]
mod tests;
