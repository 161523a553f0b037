//! A quick look that tells most packets apart from those that may have a literal in them.
//!
//! Hyperscan reads every byte, which takes longer than a packet has at 40 Gb/s. The sieve reads every `stride`-th
//! four-byte word only: a literal of `stride + 3` bytes or more has one of those words in it wherever it stands, so the
//! words at its first `stride` offsets are all there is to know. They are in a filter of 16 KiB that stays in the first
//! cache (four bits of one 32-bit word each: a blocked Bloom filter, F. Putze, P. Sanders, J. Singler, *Cache-, hash-
//! and space-efficient Bloom filters*, 2007). What passes is compared with the literals that have the word; only where
//! one is there is the packet searched.
//!
//! Where the case of some literal does not matter, all are compared without: others pass too, and are found out later.

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

/// Literals that a word is compared with: one that is in more of them counts as good for one.
const USES: usize = 8;

/// The words of a set of literals.
pub(in crate::ids) struct Sieve {
    stride: usize,
    /// Bits that are set in every word before it is compared: that which small letters have and capital ones lack, where
    /// case does not matter.
    fold: u32,
    filter: Box<[u32; FILTER]>,
    /// By open addressing, for each word its place in `words` and 1; 0 is an empty place.
    places: Box<[u32]>,
    words: Vec<Word>,
    literals: Vec<Box<[u8]>>,
}

/// A word, and which literals have it where.
struct Word {
    word: u32,
    uses: Vec<(u32, usize)>,
}

#[inline(always)]
fn hash(word: u32) -> u32 {
    word.wrapping_mul(0x9e37_79b1)
}

/// Four bits of a word of the filter; bit 0 of the result is whether all are set.
#[inline(always)]
fn bits(of: u32, hash: u32) -> u32 {
    of.wrapping_shr(hash >> 15)
        & of.wrapping_shr(hash >> 10)
        & of.wrapping_shr(hash >> 5)
        & of.wrapping_shr(hash)
}

/// The word at a place of the bytes, which has to be in them. As one load: byte by byte the compiler makes vectors of the
/// bytes, which takes twice the time.
#[inline(always)]
fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + WORD].first_chunk().map_or(0, |word| u32::from_le_bytes(*word))
}

impl Sieve {
    /// For these literals; `nocase`: the case of some of them does not matter. `None` where one of them is too short for
    /// it, or where there are so many that nearly every packet would pass.
    pub(in crate::ids) fn new(literals: &[&[u8]], nocase: bool) -> Option<Sieve> {
        let shortest = literals.iter().map(|literal| literal.len()).min()?;
        let stride = (shortest + 1).checked_sub(WORD)?.min(MOST);
        if stride < LEAST || literals.len() * stride > FILTER * 4 {
            return None;
        }
        let places = (literals.len() * stride * 4).next_power_of_two();
        let mut sieve = Sieve {
            stride,
            fold: if nocase { 0x2020_2020 } else { 0 },
            filter: Box::new([0; FILTER]),
            places: vec![0; places].into_boxed_slice(),
            words: Vec::new(),
            literals: literals.iter().map(|literal| Box::from(*literal)).collect(),
        };
        for (literal, number) in literals.iter().zip(0..) {
            let from = most_telling(literal, stride + WORD - 1);
            for offset in from..from + stride {
                sieve.add(word(literal, offset) | sieve.fold, number, offset);
            }
        }
        Some(sieve)
    }

    fn add(&mut self, word: u32, literal: u32, offset: usize) {
        let hash = hash(word);
        let bits = [15, 10, 5, 0].into_iter().fold(0, |bits, shift| bits | 1 << (hash >> shift & 31));
        self.filter[(hash >> INDEX_SHIFT) as usize] |= bits;
        let place = self.place(word);
        if self.places[place] == 0 {
            self.words.push(Word { word, uses: Vec::new() });
            self.places[place] = self.words.len() as u32;
        }
        if let Some(known) = self.words.get_mut(self.places[place] as usize - 1) {
            known.uses.push((literal, offset));
        }
    }

    /// Where a word is, or would be. There are more places than words.
    fn place(&self, word: u32) -> usize {
        let mask = self.places.len() - 1;
        let mut at = hash(word) as usize & mask;
        while self.known(at).is_some_and(|known| known.word != word) {
            at = (at + 1) & mask;
        }
        at
    }

    fn known(&self, place: usize) -> Option<&Word> {
        self.words.get((*self.places.get(place)? as usize).checked_sub(1)?)
    }

    /// Whether a literal is there that has a word at this place of the bytes.
    fn has_literal(&self, bytes: &[u8], at: usize) -> bool {
        let Some(known) = self.known(self.place(word(bytes, at) | self.fold)) else { return false };
        known.uses.len() > USES
            || known.uses.iter().any(|&(literal, offset)| {
                let literal = &self.literals[literal as usize];
                let from = at.checked_sub(offset);
                let there = from.and_then(|from| bytes.get(from..from + literal.len()));
                there.is_some_and(|there| {
                    if self.fold == 0 { there == &**literal } else { there.eq_ignore_ascii_case(literal) }
                })
            })
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

    /// Not inlined, so that it is compiled the same everywhere.
    #[inline(never)]
    fn look<const STRIDE: usize>(&self, bytes: &[u8]) -> bool {
        let mut from = 0;
        while let Some(group) = bytes.get(from..from + (GROUP - 1) * STRIDE + WORD) {
            if self.any::<GROUP, STRIDE>(group) && self.exactly::<STRIDE>(bytes, from, GROUP) {
                return true;
            }
            from += GROUP * STRIDE;
        }
        while let Some(group) = bytes.get(from..from + WORD) {
            if self.any::<1, STRIDE>(group) && self.exactly::<STRIDE>(bytes, from, 1) {
                return true;
            }
            from += STRIDE;
        }
        false
    }

    /// Whether one of so many words passes the filter. Without a branch, in steps over arrays, so that they become
    /// vector instructions.
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "plain loops are what becomes vectors")]
    fn any<const COUNT: usize, const STRIDE: usize>(&self, group: &[u8]) -> bool {
        let (fold, filter) = (self.fold, &*self.filter);
        let (mut hashes, mut found) = ([0; COUNT], [0; COUNT]);
        for i in 0..COUNT {
            hashes[i] = hash(word(group, i * STRIDE) | fold);
        }
        for i in 0..COUNT {
            found[i] = filter[(hashes[i] >> INDEX_SHIFT) as usize];
        }
        let mut any = 0;
        for i in 0..COUNT {
            any |= bits(found[i], hashes[i]);
        }
        any & 1 != 0
    }

    #[cold]
    fn exactly<const STRIDE: usize>(&self, bytes: &[u8], from: usize, count: usize) -> bool {
        (0..count).any(|i| {
            let at = from + i * STRIDE;
            let hash = hash(word(bytes, at) | self.fold);
            bits(self.filter[(hash >> INDEX_SHIFT) as usize], hash) & 1 != 0 && self.has_literal(bytes, at)
        })
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
