//! Which sequence numbers have come (RFC 4303 section 3.4.3), as a ring of blocks of bits (RFC 6479).

/// What becomes of a sequence number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Arrival {
    /// It has not come before.
    New(u64),
    /// It has come before.
    Again,
    /// It is so old that nobody knows.
    TooOld,
}

/// The sequence numbers that have come: the highest, and which of the last so many.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Window {
    /// The highest that has come; 0: none.
    highest: u64,
    /// How many are known, the highest included: whole blocks.
    size: u64,
    /// A block more than there are numbers, so that one can be cleared before it is needed.
    blocks: Box<[u64]>,
}

const BLOCK: u64 = u64::BITS as u64;

impl Window {
    /// The least and the most numbers that a window knows.
    pub(super) const SIZES: std::ops::RangeInclusive<u32> = 64..=4096;

    pub(super) fn new(size: u32) -> Window {
        let count = size.div_ceil(u64::BITS);
        let blocks = vec![0; count as usize + 1].into_boxed_slice();
        Window { highest: 0, size: u64::from(count) * BLOCK, blocks }
    }

    pub(super) fn highest(&self) -> u64 {
        self.highest
    }

    #[inline]
    fn place(&self, sequence: u64) -> (usize, u64) {
        let block = (sequence / BLOCK) % self.blocks.len() as u64;
        (block as usize, 1 << (sequence % BLOCK))
    }

    /// What becomes of the number of a packet; with 32 bits of an extended one, of the number that it must be.
    #[inline]
    pub(super) fn look(&self, low: u32, extended: bool) -> Arrival {
        let sequence = if extended {
            match self.whole(low) {
                Some(sequence) => sequence,
                None => return Arrival::TooOld,
            }
        } else {
            low.into()
        };
        if sequence > self.highest {
            return Arrival::New(sequence);
        }
        // No sender gives 0 (section 2.2).
        if sequence == 0 || self.highest - sequence >= self.size {
            return Arrival::TooOld;
        }
        let (block, bit) = self.place(sequence);
        if self.blocks[block] & bit == 0 { Arrival::New(sequence) } else { Arrival::Again }
    }

    /// The 64 bits of an extended sequence number (appendix A2.2).
    fn whole(&self, low: u32) -> Option<u64> {
        let (high, top) = (self.highest >> 32, self.highest as u32);
        let bottom = top.wrapping_sub(self.size as u32 - 1);
        let high = if top >= self.size as u32 - 1 {
            if low >= bottom { high } else { high + 1 }
        } else if low >= bottom {
            high.checked_sub(1)?
        } else {
            high
        };
        (high <= u64::from(u32::MAX)).then_some(high << 32 | u64::from(low))
    }

    /// Notes that a number has come, whose packet was authentic.
    #[inline]
    pub(super) fn note(&mut self, sequence: u64) {
        if sequence > self.highest {
            let (from, to) = (self.highest / BLOCK, sequence / BLOCK);
            let count = self.blocks.len() as u64;
            for block in (from + 1..=to).rev().take(self.blocks.len()) {
                self.blocks[(block % count) as usize] = 0;
            }
            self.highest = sequence;
        } else if self.highest - sequence >= self.size {
            return;
        }
        let (block, bit) = self.place(sequence);
        self.blocks[block] |= bit;
    }

    /// Which of the last numbers have come: bit n of word w says so of the highest less 64 w + n.
    pub(super) fn seen(&self) -> Vec<u64> {
        let has = |back: u64| match self.highest.checked_sub(back) {
            Some(sequence) if sequence > 0 => {
                let (block, bit) = self.place(sequence);
                self.blocks[block] & bit != 0
            }
            _ => false,
        };
        let word = |start: u64| (0..BLOCK).fold(0, |word, n| word | u64::from(has(start + n)) << n);
        let mut words: Vec<u64> = (0..self.size).step_by(BLOCK as usize).map(word).collect();
        while words.last() == Some(&0) {
            words.pop();
        }
        words
    }

    /// Takes over what another window has seen.
    pub(super) fn unite(&mut self, highest: u64, seen: &[u64]) {
        // The oldest first, so that none falls out of the window before its time.
        for (w, word) in seen.iter().enumerate().rev() {
            for n in (0..BLOCK).rev().filter(|n| word >> n & 1 == 1) {
                let back = (w as u64).saturating_mul(BLOCK).saturating_add(n);
                if let Some(sequence) = highest.checked_sub(back).filter(|sequence| *sequence > 0) {
                    self.note(sequence);
                }
            }
        }
        // The highest of all has come, whatever its bit says.
        if highest > self.highest {
            self.note(highest);
        }
    }
}
