//! ICMPv6 (RFC 4443).

use crate::checksum::Sum;
use crate::headers::Malformed;
use crate::order::view;

/// Destination unreachable.
pub const UNREACHABLE: u8 = 1;
/// Packet too big: the second word is the MTU.
pub const PACKET_TOO_BIG: u8 = 2;
/// Time exceeded.
pub const TIME_EXCEEDED: u8 = 3;
/// Parameter problem.
pub const PARAMETER_PROBLEM: u8 = 4;
/// Echo request.
pub const ECHO_REQUEST: u8 = 128;
/// Echo reply.
pub const ECHO_REPLY: u8 = 129;
/// Neighbour solicitation (RFC 4861).
pub const NEIGHBOUR_SOLICITATION: u8 = 135;
/// Neighbour advertisement (RFC 4861).
pub const NEIGHBOUR_ADVERTISEMENT: u8 = 136;

/// Messages that embed the start of the packet that they are about: types 1 to 4. (Types up to 127 are
/// errors by their number; of those not yet assigned the format is not known.)
pub const fn is_error(kind: u8) -> bool {
    matches!(kind, UNREACHABLE..=PARAMETER_PROBLEM)
}

/// Echo request and reply.
pub const fn is_echo(kind: u8) -> bool {
    matches!(kind, ECHO_REQUEST | ECHO_REPLY)
}

/// Bytes of the header that every message here has.
pub const HEADER_LEN: usize = 8;

view! {
    /// An ICMPv6 message, all that IP carries.
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
        /// Sequence number of an echo.
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
        &mut self.0.as_mut()[HEADER_LEN..]
    }
}

#[cfg(test)]
mod tests;
