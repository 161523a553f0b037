//! One packet that an NF owns: taken out of a burst to be held, or created.

use crate::source::PLAN_PORT;
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

/// A chain, for a packet to go on in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChainId(pub(crate) u32);

/// Where a packet outside a burst came from; it decides how it is accounted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    /// Taken from a burst.
    Held,
    /// Made by an NF.
    Created,
}

impl Packet {
    /// The chain in which it goes on.
    pub fn chain(&self) -> ChainId {
        ChainId(self.chain)
    }

    /// Lets it go on in another chain in which the NF stands: where a packet that it answers came from. `None`, or a chain
    /// that is no more: the first one that has the NF in its path.
    pub fn set_chain(&mut self, chain: Option<ChainId>) {
        self.chain = chain.map_or(u32::MAX, |ChainId(id)| id);
    }

    /// Makes it a packet that came in by the port of that number, as what it answers did.
    pub fn set_ingress(&mut self, port: u16) {
        self.mbuf.set_port(port | PLAN_PORT);
    }

    /// A full copy as a new packet; `None` when the pool is empty.
    #[must_use]
    pub fn copy(&self) -> Option<Packet> {
        Some(Packet { mbuf: self.mbuf.copy()?, origin: Origin::Created, chain: self.chain })
    }

    /// Grows the packet by `n` bytes at its front, and returns the whole first segment. `None` when there is no room or
    /// no copy to be had; the packet is then as it was.
    pub fn prepend(&mut self, n: usize) -> Option<&mut [u8]> {
        self.mbuf.prepend(n)?;
        self.mbuf.data_mut()
    }

    /// Removes `n` bytes from the packet's front; `false` when it has not that many in its first segment.
    #[must_use]
    pub fn trim_front(&mut self, n: usize) -> bool {
        self.mbuf.trim_front(n)
    }

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
