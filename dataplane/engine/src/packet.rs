//! One packet that an NF owns: taken out of a burst to be held, or created.

use dpdk::Mbuf;

/// A packet outside a burst.
///
/// It goes back by [`crate::Cx::emit`] or ends by [`crate::Cx::discard`]. Letting it fall frees its memory,
/// but then it stays in the account as held, which the harness reports.
pub struct Packet {
    pub(crate) mbuf: Mbuf,
    pub(crate) origin: Origin,
    /// The identifier of the chain in which it goes on.
    pub(crate) chain: u32,
}

/// Where a packet outside a burst came from; it decides how it is accounted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    /// Taken from a burst.
    Held,
    /// Made by an NF.
    Created,
}

impl Packet {
    /// The first segment: the whole packet, or at least its first 256 bytes.
    pub fn bytes(&self) -> &[u8] {
        self.mbuf.data()
    }

    /// The first segment to write to; `None` when a copy was needed and the pool is empty.
    pub fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        self.mbuf.data_mut()
    }

    /// Length of the whole packet in bytes.
    pub fn packet_len(&self) -> usize {
        self.mbuf.len()
    }

    /// All segments, in order.
    pub fn segments(&self) -> impl Iterator<Item = &[u8]> {
        self.mbuf.segments()
    }

    /// Replaces the contents; `false` when the pool could not give the segments.
    #[must_use]
    pub fn fill(&mut self, bytes: &[u8]) -> bool {
        self.mbuf.fill(bytes)
    }
}
