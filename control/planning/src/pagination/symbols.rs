//! A small set of numbers: the symbols of a tile, the NFs of a chain.

use std::ops::{BitAnd, BitOr, BitOrAssign, Sub};

const WORDS: usize = 4;

/// A set of numbers below [`Symbols::LIMIT`], of fixed size: unions and sizes are a few instructions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Symbols([u64; WORDS]);

impl Symbols {
    /// No number in a set reaches this.
    pub const LIMIT: usize = WORDS * 64;
    /// The empty set.
    pub const EMPTY: Symbols = Symbols([0; WORDS]);

    /// Adds `symbol`; one beyond [`Symbols::LIMIT`] is left out.
    pub fn insert(&mut self, symbol: usize) {
        if let Some(word) = self.0.get_mut(symbol / 64) {
            *word |= 1 << (symbol % 64);
        }
    }

    /// Whether `symbol` is in it.
    pub fn contains(&self, symbol: usize) -> bool {
        self.0.get(symbol / 64).is_some_and(|word| word >> (symbol % 64) & 1 == 1)
    }

    /// How many there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0 == [0; WORDS]
    }

    /// Whether all of them are in `other`.
    #[inline]
    pub fn is_subset(&self, other: &Symbols) -> bool {
        (*self - *other).is_empty()
    }

    /// The numbers, from small to large.
    pub fn iter(&self) -> impl Iterator<Item = usize> + use<> {
        let words = self.0;
        (0..WORDS).flat_map(move |at| {
            let mut word = words[at];
            std::iter::from_fn(move || {
                let bit = word.trailing_zeros() as usize;
                word &= word.checked_sub(1)?;
                Some(at * 64 + bit)
            })
        })
    }
}

impl FromIterator<usize> for Symbols {
    fn from_iter<I: IntoIterator<Item = usize>>(symbols: I) -> Self {
        let mut set = Symbols::EMPTY;
        symbols.into_iter().for_each(|symbol| set.insert(symbol));
        set
    }
}

impl BitOr for Symbols {
    type Output = Symbols;
    #[inline]
    fn bitor(self, other: Symbols) -> Symbols {
        Symbols(std::array::from_fn(|i| self.0[i] | other.0[i]))
    }
}

impl BitOrAssign for Symbols {
    #[inline]
    fn bitor_assign(&mut self, other: Symbols) {
        *self = *self | other;
    }
}

impl BitAnd for Symbols {
    type Output = Symbols;
    #[inline]
    fn bitand(self, other: Symbols) -> Symbols {
        Symbols(std::array::from_fn(|i| self.0[i] & other.0[i]))
    }
}

/// Those of one that are not in the other.
impl Sub for Symbols {
    type Output = Symbols;
    #[inline]
    fn sub(self, other: Symbols) -> Symbols {
        Symbols(std::array::from_fn(|i| self.0[i] & !other.0[i]))
    }
}
