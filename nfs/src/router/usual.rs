//! A first look at a burst: which packets are what most are.

use engine::BURST;
use wire::Mac;

/// Bytes of an Ethernet and an IPv4 header without options.
pub(super) const HEAD: usize = 34;
/// Bytes of an Ethernet header.
const LINK: usize = 14;

/// What a first look at a burst shows; of packets that are not usual it means nothing.
pub(super) struct Glance {
    pub destinations: [u32; BURST],
    /// Of the IP packets, in bytes.
    pub lengths: [u16; BURST],
    /// Bit i: packet i is usual.
    pub quick: u32,
}

impl Glance {
    pub const NOTHING: Glance = Glance { destinations: [0; BURST], lengths: [0; BURST], quick: 0 };

    /// Looks at a packet: its first segment, and the length of all.
    #[inline(always)]
    pub fn at(&mut self, i: usize, bytes: &[u8], length: usize, usual: &Usual) {
        let Some(head) = bytes.first_chunk::<HEAD>() else { return };
        let i = i % BURST;
        let packet = u16::from_be_bytes([head[16], head[17]]);
        self.destinations[i] = u32::from_be_bytes([head[30], head[31], head[32], head[33]]);
        self.lengths[i] = packet;
        // Without branches of their own: all of them hold for nearly every packet.
        let is_usual = usual.admits(head)
            & has_checksum(head)
            & (head[26] != 127)
            & (packet >= 20)
            & (LINK + usize::from(packet) <= length);
        self.quick |= u32::from(is_usual) << i;
    }
}

/// Between what bounds each byte of a header is in frames that are what most are: for the router, untagged, with an
/// IPv4 header without options, a TTL that can be lowered, and a source that may send (RFC 1812 section 5.3.7; 127 is
/// left out apart from these).
pub(super) struct Usual {
    least: [u8; 32],
    most: [u8; 32],
}

impl Usual {
    /// Of frames to this MAC address.
    #[inline(always)]
    pub fn at(mac: Mac) -> Usual {
        let mut usual = Usual { least: [0; 32], most: [0xff; 32] };
        let mut bound = |at: usize, least: u8, most: u8| {
            usual.least[at] = least;
            usual.most[at] = most;
        };
        for (i, byte) in mac.0.into_iter().enumerate() {
            bound(i, byte, byte);
        }
        for (at, byte) in [(12, 0x08), (13, 0x00), (14, 0x45)] {
            bound(at, byte, byte);
        }
        bound(22, 2, 0xff);
        bound(26, 1, 223);
        usual
    }

    /// Whether all bytes are within their bounds. Written so that the compiler makes a few vector instructions of it.
    #[inline(always)]
    fn admits(&self, head: &[u8; HEAD]) -> bool {
        let mut outside = 0;
        for ((&byte, &least), &most) in head[..32].iter().zip(&self.least).zip(&self.most) {
            outside |= byte ^ byte.max(least).min(most);
        }
        outside == 0
    }
}

/// Whether the IPv4 header's checksum is right, as a router has to see to (RFC 1812 section 5.2.2).
#[inline(always)]
fn has_checksum(head: &[u8; HEAD]) -> bool {
    // The sum in ones' complement of words that are not all zero is -0 just when 0xffff divides it.
    let word =
        |at: usize| u64::from(u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]));
    (word(14) + word(18) + word(22) + word(26) + word(30)) % 0xffff == 0
}
