//! VLAN tags (IEEE 802.1Q), stacked or not.

use crate::headers::Malformed;
use crate::order::view;
use crate::protocol::ether_type;

/// Bytes of one tag.
pub const TAG_LEN: usize = 4;

/// EtherTypes after which a tag follows: 802.1Q, 802.1ad, and the old 0x9100.
#[inline]
pub const fn is_tag(kind: u16) -> bool {
    matches!(kind, ether_type::VLAN | ether_type::QINQ | ether_type::QINQ_OLD)
}

view! {
    /// A tag and what it wraps: what follows EtherType 0x8100 (0x88a8, 0x9100).
    Packet {
        /// Tag control information: priority, drop-eligible bit, identifier.
        tci, set_tci: u16 = 0;
        /// EtherType of what follows.
        ether_type, set_ether_type: u16 = 2;
    }
}

impl<T: AsRef<[u8]>> Packet<T> {
    /// The view, if the tag is whole.
    pub fn new_checked(bytes: T) -> Result<Packet<T>, Malformed> {
        if bytes.as_ref().len() < TAG_LEN { Err(Malformed::VlanTruncated) } else { Ok(Packet(bytes)) }
    }

    /// VLAN identifier, 12 bits.
    pub fn id(&self) -> u16 {
        self.tci() & 0x0fff
    }

    /// Priority code point, 3 bits.
    pub fn priority(&self) -> u8 {
        (self.tci() >> 13) as u8
    }

    /// Drop-eligible indicator.
    pub fn drop_eligible(&self) -> bool {
        self.tci() & 0x1000 != 0
    }

    /// What follows the tag.
    pub fn payload(&self) -> &[u8] {
        &self.0.as_ref()[TAG_LEN..]
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Packet<T> {
    /// Sets the identifier (its low 12 bits).
    pub fn set_id(&mut self, id: u16) {
        self.set_tci(self.tci() & 0xf000 | id & 0x0fff);
    }

    /// Sets the priority (its low 3 bits).
    pub fn set_priority(&mut self, priority: u8) {
        self.set_tci(self.tci() & 0x1fff | u16::from(priority) << 13);
    }
}

#[cfg(test)]
mod tests;
