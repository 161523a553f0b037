//! A bucket: one cache line of eight ways, each a tag of the hash and the index of an entry.

use wide::u16x8;

/// Ways per bucket.
const WAYS: usize = 8;
/// Buckets are made so many that a full table fills this many ways of each: few then overflow.
const FILL: usize = 6;
#[derive(Clone, Copy, Default)]
#[repr(C, align(64))]
pub(super) struct Bucket {
    /// Tags of the hash; 0 is a free way.
    tags: [u16; WAYS],
    pub(super) indices: [u32; WAYS],
    /// How many entries passed this bucket by because it was full.
    pub(super) overflowed: u32,
}

/// The buckets for `capacity` entries.
pub(super) fn array(capacity: usize) -> Box<[Bucket]> {
    vec![Bucket::default(); capacity.div_ceil(FILL)].into_boxed_slice()
}

/// Where a hash belongs.
pub(super) struct Position {
    pub(super) home: usize,
    pub(super) tag: u16,
}

impl Position {
    /// Of a hash that is good in all its 32 bits. Bucket and tag come from different bits of a product with all of them,
    /// so that neither follows from the few bits of a hash that steering used.
    #[inline(always)]
    pub(super) fn of(hash: u32, seed: u32, buckets: usize) -> Self {
        let spread = u64::from(hash ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let home = ((spread >> 32) * buckets as u64) >> 32;
        // Never 0, which is a free way.
        Self { home: home as usize, tag: ((spread >> 16) as u16).max(1) }
    }
}

impl Bucket {
    /// The ways whose tag is `tag`, in order. Different hashes may share a tag, so the key has to be compared.
    #[inline(always)]
    pub(super) fn matching(&self, tag: u16) -> Ways {
        Ways(u16x8::new(self.tags).simd_eq(u16x8::splat(tag)).to_bitmask())
    }

    /// Puts an entry into a free way; false when there is none.
    pub(super) fn place(&mut self, tag: u16, index: u32) -> bool {
        match (0..WAYS).find(|&way| self.tags[way] == 0) {
            Some(way) => {
                self.tags[way] = tag;
                self.indices[way] = index;
                true
            }
            None => false,
        }
    }

    /// Takes the entry `index` out; false when it is not here.
    pub(super) fn take(&mut self, tag: u16, index: u32) -> bool {
        match (0..WAYS).find(|&way| self.indices[way] == index && self.tags[way] == tag) {
            Some(way) => {
                self.tags[way] = 0;
                true
            }
            None => false,
        }
    }
}

/// Ways of a bucket, one bit each.
pub(super) struct Ways(u32);

impl Iterator for Ways {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        let way = self.0.trailing_zeros() as usize;
        self.0 &= self.0.wrapping_sub(1);
        (way < WAYS).then_some(way)
    }
}
