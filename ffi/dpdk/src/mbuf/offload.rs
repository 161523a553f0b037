//! What the device found out about a packet, and what it is to do.

use dpdk_sys::{
    BRAID_F_RX_IP_BAD, BRAID_F_RX_IP_GOOD, BRAID_F_RX_IP_MASK, BRAID_F_RX_L4_BAD, BRAID_F_RX_L4_GOOD,
    BRAID_F_RX_L4_MASK, BRAID_F_RX_RSS_HASH, BRAID_F_TX_IP_CKSUM, BRAID_F_TX_IPV4, BRAID_F_TX_IPV6,
    BRAID_F_TX_L4_MASK, BRAID_F_TX_TCP_CKSUM, BRAID_F_TX_UDP_CKSUM, BRAID_TX_L2_LEN_BITS,
    BRAID_TX_L2_LEN_SHIFT, BRAID_TX_L3_LEN_BITS, BRAID_TX_L3_LEN_SHIFT,
};

use super::Mbuf;

#[cfg(test)]
mod tests;

/// What the device says about a checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChecksumStatus {
    /// It has checked it, and it is right.
    Good,
    /// It has checked it, and it is wrong.
    Bad,
    /// It has not checked it.
    Unknown,
}

/// The checksums of a received packet, as the device found them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RxChecksum {
    /// Of the IPv4 header.
    pub ip: ChecksumStatus,
    /// Of TCP, UDP or SCTP.
    pub l4: ChecksumStatus,
}

/// Checksums that the device is to fill in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TxChecksum {
    /// The packet is IPv4, and its header checksum is wanted. `false`: IPv6.
    pub ipv4: bool,
    /// The checksum of the layer above.
    pub l4: L4Checksum,
}

/// A transport checksum that the device is to fill in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum L4Checksum {
    /// None.
    None,
    /// TCP's.
    Tcp,
    /// UDP's.
    Udp,
}

impl Mbuf {
    /// The device's hash of the packet, where it made one.
    #[inline]
    #[must_use]
    pub fn rss_hash(&self) -> Option<u32> {
        let head = self.head();
        (head.flags() & BRAID_F_RX_RSS_HASH != 0).then(|| head.rss())
    }

    /// What the device says about the packet's checksums.
    #[inline]
    #[must_use]
    pub fn rx_checksum(&self) -> RxChecksum {
        let flags = self.head().flags();
        RxChecksum {
            ip: status(flags & BRAID_F_RX_IP_MASK, BRAID_F_RX_IP_GOOD, BRAID_F_RX_IP_BAD),
            l4: status(flags & BRAID_F_RX_L4_MASK, BRAID_F_RX_L4_GOOD, BRAID_F_RX_L4_BAD),
        }
    }

    /// Has the device fill in checksums on transmission. `l2_len`, `l3_len`: lengths of the Ethernet header
    /// with its tags (at most 127) and of the IP header (at most 511). Only for ports started with
    /// `tx_checksum`. `false`: a length that cannot be said, or no mbuf to copy a shared packet.
    #[inline]
    pub fn request_tx_checksum(&mut self, l2_len: usize, l3_len: usize, checksum: TxChecksum) -> bool {
        let Some(lengths) = tx_lengths(l2_len, l3_len) else { return false };
        let Some(mut head) = self.exclusive() else { return false };
        let others = !(BRAID_F_TX_IP_CKSUM | BRAID_F_TX_L4_MASK | BRAID_F_TX_IPV4 | BRAID_F_TX_IPV6);
        let flags = head.flags() & others | tx_flags(checksum);
        head.set_flags(flags);
        head.set_tx_offload(lengths);
        true
    }
}

fn status(bits: u64, good: u64, bad: u64) -> ChecksumStatus {
    // Both bits set says something else ("wrong in the packet, but the data are intact").
    match bits {
        bits if bits == good => ChecksumStatus::Good,
        bits if bits == bad => ChecksumStatus::Bad,
        _ => ChecksumStatus::Unknown,
    }
}

fn tx_flags(checksum: TxChecksum) -> u64 {
    let ip = if checksum.ipv4 { BRAID_F_TX_IPV4 | BRAID_F_TX_IP_CKSUM } else { BRAID_F_TX_IPV6 };
    ip | match checksum.l4 {
        L4Checksum::None => 0,
        L4Checksum::Tcp => BRAID_F_TX_TCP_CKSUM,
        L4Checksum::Udp => BRAID_F_TX_UDP_CKSUM,
    }
}

/// The header lengths as the mbuf's bit field has them; `None` when one is too long for it.
fn tx_lengths(l2: usize, l3: usize) -> Option<u64> {
    let field = |value: usize, bits: u32, shift: u32| (value < 1 << bits).then_some((value as u64) << shift);
    Some(
        field(l2, BRAID_TX_L2_LEN_BITS, BRAID_TX_L2_LEN_SHIFT)?
            | field(l3, BRAID_TX_L3_LEN_BITS, BRAID_TX_L3_LEN_SHIFT)?,
    )
}
