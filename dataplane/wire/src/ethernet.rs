//! Ethernet II (IEEE 802.3 clause 3).

use crate::headers::Malformed;
use crate::mac::Mac;
use crate::order::view;

/// Bytes of the header, without tags.
pub const HEADER_LEN: usize = 14;

view! {
    /// An Ethernet frame, without its frame check sequence.
    Frame {
        /// Destination address.
        dst, set_dst: Mac = 0;
        /// Source address.
        src, set_src: Mac = 6;
        /// EtherType, or the type of the first VLAN tag.
        ether_type, set_ether_type: u16 = 12;
    }
}

impl<T: AsRef<[u8]>> Frame<T> {
    /// The view, if the header is whole.
    #[inline]
    pub fn new_checked(bytes: T) -> Result<Frame<T>, Malformed> {
        if bytes.as_ref().len() < HEADER_LEN { Err(Malformed::EthernetTruncated) } else { Ok(Frame(bytes)) }
    }

    /// What follows EtherType, padding too.
    pub fn payload(&self) -> &[u8] {
        &self.0.as_ref()[HEADER_LEN..]
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Frame<T> {
    /// Exchanges source and destination.
    #[inline]
    pub fn swap_addresses(&mut self) {
        let (dst, src) = (self.dst(), self.src());
        self.set_dst(src);
        self.set_src(dst);
    }

    /// What follows EtherType, padding too.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        &mut self.0.as_mut()[HEADER_LEN..]
    }
}

#[cfg(test)]
mod tests;
