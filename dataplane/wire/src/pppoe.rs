//! PPP over Ethernet, session stage (RFC 2516).

use crate::headers::Malformed;
use crate::order::u16_at;

/// PPP protocol number of IPv4 (RFC 1332).
pub const PPP_IPV4: u16 = 0x0021;
/// PPP protocol number of IPv6 (RFC 5072).
pub const PPP_IPV6: u16 = 0x0057;

/// PPPoE header (6 bytes) and PPP protocol (2).
pub const HEADER_LEN: usize = 8;

/// A session packet: what follows EtherType 0x8864.
#[derive(Clone, Copy, Debug)]
pub struct Packet<T>(T);

impl<T: AsRef<[u8]>> Packet<T> {
    /// The view, if the header is whole and that of a session.
    pub fn new_checked(bytes: T) -> Result<Packet<T>, Malformed> {
        let header = bytes.as_ref().get(..HEADER_LEN).ok_or(Malformed::PppoeTruncated)?;
        if header[..2] == [0x11, 0] { Ok(Packet(bytes)) } else { Err(Malformed::PppoeBadHeader) }
    }

    /// Session identifier.
    pub fn session(&self) -> u16 {
        u16_at(self.0.as_ref(), 2)
    }

    /// Length field: bytes of the PPP protocol and its payload.
    pub fn length(&self) -> u16 {
        u16_at(self.0.as_ref(), 4)
    }

    /// PPP protocol.
    pub fn protocol(&self) -> u16 {
        u16_at(self.0.as_ref(), 6)
    }

    /// What PPP carries; padding excluded.
    pub fn payload(&self) -> &[u8] {
        let bytes = self.0.as_ref();
        let end = (6 + usize::from(self.length())).clamp(HEADER_LEN, bytes.len());
        &bytes[HEADER_LEN..end]
    }
}

#[cfg(test)]
mod tests;
