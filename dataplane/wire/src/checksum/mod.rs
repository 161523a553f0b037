//! The internet checksum (RFC 1071) and its incremental update (RFC 1624).
//!
//! One's complement has two zeros. A sum over bytes that are not all zero is never +0, so a full
//! computation never gives 0xffff; neither do the updates here, whatever form they start from, but for a
//! [`Delta`] of no change, or of changes that cancel out, which leaves a 0xffff as it is. UDP alone
//! sends 0xffff for 0, since 0 means that there is no checksum (RFC 768): its functions are [`for_udp`]
//! and the `update_udp` ones.

#[cfg(test)]
mod tests;

/// A one's-complement sum in progress, over pieces of any length.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum {
    total: u64,
    /// An odd number of bytes so far: the next byte is the low half of a word.
    odd: bool,
}

impl Sum {
    /// A sum of nothing.
    pub const fn new() -> Sum {
        Sum { total: 0, odd: false }
    }

    /// The pseudo-header of an IPv4 transport (RFC 9293 section 3.1): `len` is that of the transport
    /// header and its payload.
    pub fn pseudo_v4(src: u32, dst: u32, protocol: u8, len: u32) -> Sum {
        Sum::new().u32(src).u32(dst).u16(protocol.into()).u32(len)
    }

    /// The pseudo-header of an IPv6 upper layer (RFC 8200 section 8.1).
    pub fn pseudo_v6(src: u128, dst: u128, next_header: u8, len: u32) -> Sum {
        Sum::new().u128(src).u128(dst).u32(len).u16(next_header.into())
    }

    /// Adds bytes that follow those added so far, which may be odd in number.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Sum {
        let sum = raw(bytes);
        self.total += u64::from(if self.odd { sum.swap_bytes() } else { sum });
        self.odd ^= bytes.len() % 2 == 1;
        self
    }

    /// Adds a word; the bytes so far must be even in number.
    #[must_use]
    #[inline]
    pub fn u16(mut self, word: u16) -> Sum {
        self.total += u64::from(word);
        self
    }

    /// Adds two words; the bytes so far must be even in number.
    #[must_use]
    #[inline]
    pub fn u32(mut self, words: u32) -> Sum {
        self.total += u64::from(words >> 16) + u64::from(words & 0xffff);
        self
    }

    /// Adds eight words; the bytes so far must be even in number.
    #[must_use]
    #[inline]
    pub fn u128(self, words: u128) -> Sum {
        self.u32((words >> 96) as u32).u32((words >> 64) as u32).u32((words >> 32) as u32).u32(words as u32)
    }

    /// The checksum: the complement of the sum.
    #[inline]
    pub fn checksum(self) -> u16 {
        !fold(self.total)
    }

    /// Whether the sum over data and its checksum is right: -0.
    pub fn is_valid(self) -> bool {
        fold(self.total) == 0xffff
    }
}

#[inline(always)]
fn fold(mut sum: u64) -> u16 {
    sum = (sum & 0xffff_ffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum as u16
}

/// The folded sum of big-endian words, a last odd byte as a high half. Added in native order and swapped
/// at the end (RFC 1071 section 2(B)), four bytes at a time.
fn raw(bytes: &[u8]) -> u16 {
    let mut words = bytes.chunks_exact(4);
    let mut total: u64 = 0;
    for word in &mut words {
        total += u64::from(u32::from_ne_bytes([word[0], word[1], word[2], word[3]]));
    }
    let mut last = [0; 4];
    let rest = words.remainder();
    last[..rest.len()].copy_from_slice(rest);
    total += u64::from(u32::from_ne_bytes(last));
    u16::from_be_bytes(fold(total).to_ne_bytes())
}

/// The checksum of one slice.
pub fn of(bytes: &[u8]) -> u16 {
    Sum::new().bytes(bytes).checksum()
}

/// The checksum of a packet in segments, each of any length.
pub fn of_segments<'a>(segments: impl IntoIterator<Item = &'a [u8]>) -> u16 {
    segments.into_iter().fold(Sum::new(), Sum::bytes).checksum()
}

/// UDP's rule for a checksum just computed: 0 is sent as 0xffff.
#[inline]
pub const fn for_udp(checksum: u16) -> u16 {
    if checksum == 0 { 0xffff } else { checksum }
}

/// RFC 1624 equation 3, `HC' = ~(~HC + ~m + m')`, with the sum over all changed words.
#[inline(always)]
fn updated(checksum: u16, removed_and_added: u64) -> u16 {
    let updated = !fold(u64::from(!checksum) + removed_and_added);
    if updated == 0xffff { 0 } else { updated }
}

/// A change of words that is made again and again, as address translation does: its effect on any checksum over
/// them, computed once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delta {
    /// What is to be added to a checksum, in ones' complement, as bytes of a packet: sums are the same in either order
    /// of bytes (RFC 1071 section 2(B)).
    addend: [u8; 2],
}

impl Default for Delta {
    fn default() -> Delta {
        Delta::NONE
    }
}

impl Delta {
    /// No change.
    pub const NONE: Delta = Delta { addend: [0xff; 2] };

    /// This change, and that of a word from `old` to `new`.
    #[must_use]
    pub fn u16(self, old: u16, new: u16) -> Delta {
        if old == new {
            return self;
        }
        let so_far = u16::from_be_bytes(self.addend);
        Delta { addend: fold(u64::from(so_far) + u64::from(old) + u64::from(!new)).to_be_bytes() }
    }

    /// This change, and that of an aligned pair of words.
    #[must_use]
    pub fn u32(self, old: u32, new: u32) -> Delta {
        self.u16((old >> 16) as u16, (new >> 16) as u16).u16(old as u16, new as u16)
    }

    /// The checksum, and the change, not yet folded: of two words one carry comes, and none after it.
    #[inline(always)]
    fn added(self, checksum: [u8; 2]) -> u32 {
        u32::from(u16::from_ne_bytes(checksum)) + u32::from(u16::from_ne_bytes(self.addend))
    }

    /// The bytes of a checksum after the change.
    #[inline(always)]
    pub fn update(self, checksum: [u8; 2]) -> [u8; 2] {
        let sum = self.added(checksum);
        // 0xffff is written 0.
        ((sum + u32::from(sum >= 0xffff)) as u16).to_ne_bytes()
    }

    /// [`update`](Self::update) for UDP: no checksum (0) stays none.
    #[inline(always)]
    pub fn update_udp(self, checksum: [u8; 2]) -> [u8; 2] {
        let sum = self.added(checksum);
        // 0 is written 0xffff, and comes only from 0.
        if checksum == [0; 2] { checksum } else { ((sum + (sum >> 16)) as u16).to_ne_bytes() }
    }
}

#[inline(always)]
fn words_of_u32(value: u32) -> u64 {
    u64::from(value >> 16) + u64::from(value & 0xffff)
}

/// The checksum after a word changed from `old` to `new`.
#[inline]
pub fn update_u16(checksum: u16, old: u16, new: u16) -> u16 {
    updated(checksum, u64::from(!old) + u64::from(new))
}

/// The checksum of an IPv4 header after its TTL became one less: what [`update_u16`] says, in two steps (RFC 1141).
#[inline(always)]
pub const fn update_ttl(checksum: u16) -> u16 {
    let sum = checksum as u32 + 0x0100;
    // An end-around carry; and 0xffff is written 0.
    (sum + (sum >= 0xffff) as u32) as u16
}

/// The checksum after an aligned pair of words (an IPv4 address, both ports) changed.
#[inline]
pub fn update_u32(checksum: u16, old: u32, new: u32) -> u16 {
    updated(checksum, words_of_u32(!old) + words_of_u32(new))
}

/// The checksum after eight aligned words (an IPv6 address) changed.
#[inline]
pub fn update_u128(checksum: u16, old: u128, new: u128) -> u16 {
    updated(checksum, Sum::new().u128(!old).u128(new).total)
}

/// [`update_u16`] for UDP: no checksum (0) stays none.
#[inline]
pub fn update_udp_u16(checksum: u16, old: u16, new: u16) -> u16 {
    if checksum == 0 { 0 } else { for_udp(update_u16(checksum, old, new)) }
}

/// [`update_u32`] for UDP: no checksum (0) stays none.
#[inline]
pub fn update_udp_u32(checksum: u16, old: u32, new: u32) -> u16 {
    if checksum == 0 { 0 } else { for_udp(update_u32(checksum, old, new)) }
}

/// [`update_u128`] for UDP: no checksum (0) stays none.
#[inline]
pub fn update_udp_u128(checksum: u16, old: u128, new: u128) -> u16 {
    if checksum == 0 { 0 } else { for_udp(update_u128(checksum, old, new)) }
}
