//! A quick look that tells most packets apart from those that may have a literal in them.
//!
//! Hyperscan reads every byte, which takes longer than a packet has at 40 Gb/s. The sieve reads every `stride`-th
//! four-byte word only: a literal of `stride + 3` bytes or more has one of those words in it wherever it stands, so the
//! words at its first `stride` offsets are all there is to know. They are in a filter of 16 KiB that stays in the first
//! cache (three bits of one 32-bit word each: a blocked Bloom filter, F. Putze, P. Sanders, J. Singler, *Cache-, hash-
//! and space-efficient Bloom filters*, 2007). What passes is looked up exactly; only then is the packet searched.
//!
//! The words are compared without case: a word that differs by bit 5 of some bytes passes too, and is found out later.

/// Strides that there is a loop for: below the least, a search is no slower.
const LEAST: usize = 4;
const MOST: usize = 8;
/// Bytes of a word.
const WORD: usize = 4;
/// Words looked at between two branches.
const GROUP: usize = 16;
/// Words of the filter; an index takes the upper bits of a hash.
const FILTER: usize = 1 << 12;
const INDEX_SHIFT: u32 = 20;

/// The words of a set of literals.
pub(in crate::ids) struct Sieve {
    stride: usize,
    filter: Box<[u32; FILTER]>,
    /// Every word, by open addressing; 0 is an empty place, as no folded word is 0.
    words: Box<[u32]>,
}

/// Without case: the bit that small letters have and capital ones lack is set.
#[inline(always)]
fn fold(word: u32) -> u32 {
    word | 0x2020_2020
}

#[inline(always)]
fn hash(folded: u32) -> u32 {
    folded.wrapping_mul(0x9e37_79b1)
}

/// Three bits of a word of the filter; bit 0 of the result is whether all are set.
#[inline(always)]
fn bits(of: u32, hash: u32) -> u32 {
    of.wrapping_shr(hash >> 15) & of.wrapping_shr(hash >> 10) & of.wrapping_shr(hash >> 5)
}

#[inline(always)]
fn word(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |word| u32::from_le_bytes(*word))
}

impl Sieve {
    /// For these literals. `None` where one of them is too short for it, or where there are so many that nearly every
    /// packet would pass.
    pub(in crate::ids) fn new(literals: &[&[u8]]) -> Option<Sieve> {
        let shortest = literals.iter().map(|literal| literal.len()).min()?;
        let stride = (shortest + 1).checked_sub(WORD)?.min(MOST);
        if stride < LEAST || literals.len() * stride > FILTER * 4 {
            return None;
        }
        let places = (literals.len() * stride * 4).next_power_of_two();
        let mut sieve =
            Sieve { stride, filter: Box::new([0; FILTER]), words: vec![0; places].into_boxed_slice() };
        for literal in literals {
            let from = most_telling(literal, stride + WORD - 1);
            for offset in from..from + stride {
                sieve.add(fold(word(&literal[offset..])));
            }
        }
        Some(sieve)
    }

    fn add(&mut self, folded: u32) {
        let hash = hash(folded);
        let bits = 1 << (hash >> 15 & 31) | 1 << (hash >> 10 & 31) | 1 << (hash >> 5 & 31);
        self.filter[(hash >> INDEX_SHIFT) as usize] |= bits;
        let mask = self.words.len() - 1;
        let mut at = hash as usize & mask;
        while self.words[at] != 0 && self.words[at] != folded {
            at = (at + 1) & mask;
        }
        self.words[at] = folded;
    }

    /// Whether one of the words is exactly this one, but for case.
    fn has(&self, folded: u32) -> bool {
        let mask = self.words.len() - 1;
        let mut at = hash(folded) as usize & mask;
        loop {
            match self.words.get(at) {
                Some(&found) if found == folded => return true,
                None | Some(0) => return false,
                Some(_) => at = (at + 1) & mask,
            }
        }
    }

    /// Whether a literal may be in the bytes. If not, none is.
    #[inline]
    pub(in crate::ids) fn passes(&self, bytes: &[u8]) -> bool {
        match self.stride {
            4 => self.look::<4>(bytes),
            5 => self.look::<5>(bytes),
            6 => self.look::<6>(bytes),
            7 => self.look::<7>(bytes),
            _ => self.look::<8>(bytes),
        }
    }

    fn look<const STRIDE: usize>(&self, bytes: &[u8]) -> bool {
        let mut from = 0;
        while let Some(group) = bytes.get(from..from + (GROUP - 1) * STRIDE + WORD) {
            if self.any::<GROUP, STRIDE>(group) && self.exactly::<STRIDE>(group) {
                return true;
            }
            from += GROUP * STRIDE;
        }
        while let Some(group) = bytes.get(from..from + WORD) {
            if self.any::<1, STRIDE>(group) && self.exactly::<STRIDE>(group) {
                return true;
            }
            from += STRIDE;
        }
        false
    }

    /// Whether one of so many words passes the filter. Without a branch, in steps over arrays, so that they become
    /// vector instructions.
    #[inline(always)]
    fn any<const COUNT: usize, const STRIDE: usize>(&self, group: &[u8]) -> bool {
        let hashes: [u32; COUNT] = std::array::from_fn(|i| hash(fold(word(&group[i * STRIDE..]))));
        let found: [u32; COUNT] = std::array::from_fn(|i| self.filter[(hashes[i] >> INDEX_SHIFT) as usize]);
        (0..COUNT).fold(0, |any, i| any | bits(found[i], hashes[i])) & 1 != 0
    }

    #[cold]
    fn exactly<const STRIDE: usize>(&self, group: &[u8]) -> bool {
        (0..group.len())
            .step_by(STRIDE)
            .any(|at| group.len() - at >= WORD && self.has(fold(word(&group[at..]))))
    }
}

/// Where in a literal the `length` bytes are that tell most: those with the most different values, the first of them.
fn most_telling(literal: &[u8], length: usize) -> usize {
    let different = |window: &[u8]| {
        let mut seen = [false; 256];
        window.iter().for_each(|byte| seen[usize::from(byte | 0x20)] = true);
        seen.iter().filter(|seen| **seen).count()
    };
    let (mut best, mut most) = (0, 0);
    for (at, window) in literal.windows(length).enumerate() {
        let count = different(window);
        if count > most {
            (best, most) = (at, count);
        }
    }
    best
}

#[cfg(test)]
mod tests;
