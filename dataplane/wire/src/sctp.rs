//! SCTP's common header (RFC 9260 section 3.1). Chunks are left to who wants them.

use crate::headers::Malformed;
use crate::order::view;

/// Bytes of the common header.
pub const HEADER_LEN: usize = 12;

view! {
    /// An SCTP packet.
    Packet {
        /// Source port.
        src_port, set_src_port: u16 = 0;
        /// Destination port.
        dst_port, set_dst_port: u16 = 2;
        /// Verification tag: which association.
        verification_tag, set_verification_tag: u32 = 4;
    }
}

impl<T: AsRef<[u8]>> Packet<T> {
    /// The view, if the common header is whole.
    pub fn new_checked(bytes: T) -> Result<Packet<T>, Malformed> {
        if bytes.as_ref().len() < HEADER_LEN { Err(Malformed::SctpTruncated) } else { Ok(Packet(bytes)) }
    }

    /// CRC32c over the packet with this field as zero, least significant byte first (RFC 9260 appendix A).
    /// It covers no pseudo-header: address translation leaves it as it is.
    pub fn checksum(&self) -> u32 {
        let bytes = self.0.as_ref();
        u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]])
    }

    /// Whether the checksum is right.
    pub fn checksum_is_valid(&self) -> bool {
        crc32c(self.0.as_ref()) == self.checksum()
    }

    /// The chunks.
    pub fn payload(&self) -> &[u8] {
        &self.0.as_ref()[HEADER_LEN..]
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Packet<T> {
    /// Computes the checksum anew.
    pub fn fill_checksum(&mut self) {
        let checksum = crc32c(self.0.as_ref());
        self.0.as_mut()[8..12].copy_from_slice(&checksum.to_le_bytes());
    }
}

/// CRC32c (Castagnoli, reflected) of an SCTP packet, its checksum field taken as zero.
fn crc32c(packet: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for (i, &byte) in packet.iter().enumerate() {
        let byte = if (8..12).contains(&i) { 0 } else { byte };
        crc = crc >> 8 ^ CRC32C[usize::from(crc as u8 ^ byte)];
    }
    !crc
}

const CRC32C: [u32; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let mut crc = i as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
            bit += 1;
        }
        table[i] = crc;
        i += 1;
    }
    table
};

#[cfg(test)]
mod tests;
