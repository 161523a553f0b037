//! ARP for IPv4 over Ethernet (RFC 826).

use crate::headers::Malformed;
use crate::mac::Mac;
use crate::order::view;

/// Bytes of a message.
pub const MESSAGE_LEN: usize = 28;
/// Hardware type Ethernet, protocol IPv4, and their address lengths: how every message starts.
pub const FORMAT: [u8; 6] = [0, 1, 8, 0, 6, 4];
/// Operation: who has the target address?
pub const REQUEST: u16 = 1;
/// Operation: the sender has it.
pub const REPLY: u16 = 2;

view! {
    /// An ARP message.
    Packet {
        /// [`REQUEST`] or [`REPLY`].
        operation, set_operation: u16 = 6;
        /// MAC address of the sender.
        sender_mac, set_sender_mac: Mac = 8;
        /// IPv4 address of the sender.
        sender_ip, set_sender_ip: u32 = 14;
        /// MAC address of the target; zero in requests.
        target_mac, set_target_mac: Mac = 18;
        /// IPv4 address of the target.
        target_ip, set_target_ip: u32 = 24;
    }
}

impl<T: AsRef<[u8]>> Packet<T> {
    /// The view, if the message is whole and for IPv4 over Ethernet.
    pub fn new_checked(bytes: T) -> Result<Packet<T>, Malformed> {
        let message = bytes.as_ref().get(..MESSAGE_LEN).ok_or(Malformed::ArpTruncated)?;
        if message[..6] == FORMAT { Ok(Packet(bytes)) } else { Err(Malformed::ArpBadFormat) }
    }
}

#[cfg(test)]
mod tests;
