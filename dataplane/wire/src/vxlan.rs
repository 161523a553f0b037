//! VXLAN (RFC 7348): an Ethernet frame in UDP.

use crate::headers::Malformed;
use crate::order::view;

/// Bytes of the header.
pub const HEADER_LEN: usize = 8;

/// The flag that says that the network identifier is valid.
const VALID: u8 = 0x08;

view! {
    /// What UDP port 4789 carries.
    Packet {
        /// The I flag (8) and reserved bits.
        flags, set_flags: u8 = 0;
    }
}

impl<T: AsRef<[u8]>> Packet<T> {
    /// The view, if the header is whole and has the I flag.
    pub fn new_checked(bytes: T) -> Result<Packet<T>, Malformed> {
        let header = bytes.as_ref().get(..HEADER_LEN).ok_or(Malformed::VxlanTruncated)?;
        if header[0] & VALID != 0 { Ok(Packet(bytes)) } else { Err(Malformed::VxlanBadFlags) }
    }

    /// VXLAN network identifier, 24 bits.
    pub fn vni(&self) -> u32 {
        let bytes = self.0.as_ref();
        u32::from_be_bytes([0, bytes[4], bytes[5], bytes[6]])
    }

    /// The inner Ethernet frame.
    pub fn payload(&self) -> &[u8] {
        &self.0.as_ref()[HEADER_LEN..]
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Packet<T> {
    /// Sets the network identifier (its low 24 bits).
    pub fn set_vni(&mut self, vni: u32) {
        self.0.as_mut()[4..7].copy_from_slice(&vni.to_be_bytes()[1..]);
    }

    /// The inner Ethernet frame.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        &mut self.0.as_mut()[HEADER_LEN..]
    }
}

/// The header for this network identifier (its low 24 bits).
pub const fn header(vni: u32) -> [u8; HEADER_LEN] {
    let vni = vni.to_be_bytes();
    [VALID, 0, 0, 0, vni[1], vni[2], vni[3], 0]
}

#[cfg(test)]
mod tests;
