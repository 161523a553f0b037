//! IPv6 fragment headers (RFC 8200 section 4.5).

use crate::headers::Malformed;
use crate::order::view;

/// Bytes of the header.
pub const HEADER_LEN: usize = 8;

view! {
    /// A fragment header and what follows it.
    Packet {
        /// Number of the first header of the original packet's fragmentable part.
        next_header, set_next_header: u8 = 0;
        /// Offset in units of 8 bytes (13 bits), two reserved bits, more-fragments flag.
        offset_and_flags, set_offset_and_flags: u16 = 2;
        /// Identification of the original packet.
        id, set_id: u32 = 4;
    }
}

impl<T: AsRef<[u8]>> Packet<T> {
    /// The view, if the header is whole.
    pub fn new_checked(bytes: T) -> Result<Packet<T>, Malformed> {
        if bytes.as_ref().len() < HEADER_LEN {
            return Err(Malformed::Ipv6ExtensionTruncated);
        }
        Ok(Packet(bytes))
    }

    /// Where this fragment's payload belongs, in bytes.
    pub fn offset(&self) -> usize {
        usize::from(self.offset_and_flags() & 0xfff8)
    }

    /// More fragments follow.
    pub fn more_fragments(&self) -> bool {
        self.offset_and_flags() & 1 != 0
    }

    /// Not a fragment: offset 0 and none to follow (RFC 6946).
    pub fn is_atomic(&self) -> bool {
        self.offset_and_flags() & 0xfff9 == 0
    }

    /// What follows the header.
    pub fn payload(&self) -> &[u8] {
        &self.0.as_ref()[HEADER_LEN..]
    }
}

#[cfg(test)]
mod tests;
