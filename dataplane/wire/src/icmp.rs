//! ICMP for IPv4 (RFC 792).

use crate::checksum::Sum;
use crate::headers::Malformed;
use crate::order::view;

/// Echo reply.
pub const ECHO_REPLY: u8 = 0;
/// Destination unreachable.
pub const UNREACHABLE: u8 = 3;
/// Source quench (deprecated by RFC 6633).
pub const SOURCE_QUENCH: u8 = 4;
/// Redirect.
pub const REDIRECT: u8 = 5;
/// Echo request.
pub const ECHO_REQUEST: u8 = 8;
/// Time exceeded.
pub const TIME_EXCEEDED: u8 = 11;
/// Parameter problem.
pub const PARAMETER_PROBLEM: u8 = 12;

/// Code of [`UNREACHABLE`]: fragmentation needed and DF set (RFC 1191).
pub const FRAGMENTATION_NEEDED: u8 = 4;

/// Messages that embed the start of the packet that they are about.
pub const fn is_error(kind: u8) -> bool {
    matches!(kind, UNREACHABLE | SOURCE_QUENCH | REDIRECT | TIME_EXCEEDED | PARAMETER_PROBLEM)
}

/// Requests and replies with an identifier: echo, timestamp, information, address mask (RFC 950).
pub const fn has_identifier(kind: u8) -> bool {
    matches!(kind, ECHO_REPLY | ECHO_REQUEST | 13..=18)
}

/// Bytes of the header that every message here has.
pub const HEADER_LEN: usize = 8;

view! {
    /// An ICMP message, all that IP carries.
    Packet {
        /// Type.
        kind, set_kind: u8 = 0;
        /// Code, whose meaning depends on the type.
        code, set_code: u8 = 1;
        /// Checksum.
        checksum, set_checksum: u16 = 2;
        /// Second word of the header, whose meaning depends on the type.
        rest, set_rest: u32 = 4;
        /// Identifier of an echo.
        identifier, set_identifier: u16 = 4;
        /// Sequence number of an echo; MTU of the next hop in [`FRAGMENTATION_NEEDED`] (RFC 1191).
        sequence, set_sequence: u16 = 6;
    }
}

impl<T: AsRef<[u8]>> Packet<T> {
    /// The view, if 8 bytes are there.
    pub fn new_checked(bytes: T) -> Result<Packet<T>, Malformed> {
        if bytes.as_ref().len() < HEADER_LEN { Err(Malformed::IcmpTruncated) } else { Ok(Packet(bytes)) }
    }

    /// What follows the header: an echo's data, the start of the packet that an error is about.
    pub fn payload(&self) -> &[u8] {
        &self.0.as_ref()[HEADER_LEN..]
    }

    /// Whether the checksum is right.
    pub fn checksum_is_valid(&self) -> bool {
        Sum::new().bytes(self.0.as_ref()).is_valid()
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Packet<T> {
    /// Computes the checksum anew.
    pub fn fill_checksum(&mut self) {
        self.set_checksum(0);
        let checksum = Sum::new().bytes(self.0.as_ref()).checksum();
        self.set_checksum(checksum);
    }

    /// What follows the header.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        &mut self.0.as_mut()[HEADER_LEN..]
    }
}

#[cfg(test)]
mod tests;
