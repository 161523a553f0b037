//! TCP (RFC 9293).

mod options;
#[cfg(test)]
mod tests;

pub use options::{Options, SackBlocks, TcpOption, kind};

use crate::checksum::Sum;
use crate::headers::Malformed;
use crate::order::view;

/// Bytes of a header without options.
pub const HEADER_LEN: usize = 20;

/// Flags, as in byte 13.
pub mod flags {
    /// No more data from the sender.
    pub const FIN: u8 = 1;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 2;
    /// Reset.
    pub const RST: u8 = 4;
    /// Push.
    pub const PSH: u8 = 8;
    /// The acknowledgement number counts.
    pub const ACK: u8 = 16;
    /// The urgent pointer counts.
    pub const URG: u8 = 32;
    /// ECN echo (RFC 3168).
    pub const ECE: u8 = 64;
    /// Congestion window reduced (RFC 3168).
    pub const CWR: u8 = 128;
}

view! {
    /// A TCP segment.
    Packet {
        /// Source port.
        src_port, set_src_port: u16 = 0;
        /// Destination port.
        dst_port, set_dst_port: u16 = 2;
        /// Sequence number.
        seq, set_seq: u32 = 4;
        /// Acknowledgement number.
        ack, set_ack: u32 = 8;
        /// The flags of [`flags`].
        flags, set_flags: u8 = 13;
        /// Window, before scaling.
        window, set_window: u16 = 14;
        /// Checksum.
        checksum, set_checksum: u16 = 16;
        /// Urgent pointer.
        urgent, set_urgent: u16 = 18;
    }
}

impl<T: AsRef<[u8]>> Packet<T> {
    /// The view of a segment (all that IP carries), if the header and its options are whole.
    pub fn new_checked(bytes: T) -> Result<Packet<T>, Malformed> {
        if bytes.as_ref().len() < HEADER_LEN {
            return Err(Malformed::TcpTruncated);
        }
        let packet = Packet(bytes);
        let header_len = packet.header_len();
        if header_len < HEADER_LEN || header_len > packet.0.as_ref().len() {
            return Err(Malformed::TcpBadDataOffset);
        }
        Ok(packet)
    }

    /// Bytes of the header, options included.
    #[inline]
    pub fn header_len(&self) -> usize {
        usize::from(self.0.as_ref()[12] >> 4) * 4
    }

    fn option_bytes(&self) -> &[u8] {
        self.0.as_ref().get(HEADER_LEN..self.header_len()).unwrap_or_default()
    }

    /// The options.
    pub fn options(&self) -> Options<'_> {
        Options::new(self.option_bytes())
    }

    /// Where in the segment the first option of this kind starts, if those before it are well formed.
    pub fn option_offset(&self, kind: u8) -> Option<usize> {
        options::offset_of(self.option_bytes(), kind).map(|at| HEADER_LEN + at)
    }

    /// What follows the header.
    pub fn payload(&self) -> &[u8] {
        self.0.as_ref().get(self.header_len()..).unwrap_or_default()
    }

    /// Sequence numbers that the segment takes: its payload, SYN and FIN.
    pub fn sequence_len(&self) -> usize {
        let flags = self.flags();
        self.payload().len() + usize::from(flags & flags::SYN != 0) + usize::from(flags & flags::FIN != 0)
    }

    /// Whether the checksum is right, given the pseudo-header.
    pub fn checksum_is_valid(&self, pseudo_header: Sum) -> bool {
        pseudo_header.bytes(self.0.as_ref()).is_valid()
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Packet<T> {
    /// Computes the checksum anew, given the pseudo-header.
    pub fn fill_checksum(&mut self, pseudo_header: Sum) {
        self.set_checksum(0);
        let checksum = pseudo_header.bytes(self.0.as_ref()).checksum();
        self.set_checksum(checksum);
    }

    /// What follows the header.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        let header_len = self.header_len();
        self.0.as_mut().get_mut(header_len..).unwrap_or_default()
    }
}
