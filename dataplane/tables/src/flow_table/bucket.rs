//! A bucket: one cache line of eight ways, each a tag of the hash and the index of an entry.

/// Ways per bucket.
const WAYS: usize = 8;
/// Buckets are made so many that a full table fills this many ways of each: few then overflow.
const FILL: usize = 6;
/// One in each of the four 16-bit lanes of a word, and the top bit of each.
const ONES: u64 = 0x0001_0001_0001_0001;
const TOPS: u64 = 0x8000_8000_8000_8000;

#[derive(Clone, Copy, Default)]
#[repr(C, align(64))]
pub(super) struct Bucket {
    /// Eight 16-bit tags, four per word, the first in the lowest bits; 0 is a free way.
    tags: [u64; 2],
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
    /// The bucket is taken from the upper and the tag from the lower bits of a mix of all 32 bits of the hash, so
    /// neither follows from the bits that steering used.
    #[inline]
    pub(super) fn of(hash: u32, seed: u32, buckets: usize) -> Self {
        let mixed = u64::from(hash ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = mixed ^ mixed >> 32;
        let spread = mixed.wrapping_mul(0xd6e8_feb8_6659_fd93);
        let home = ((spread >> 32) * buckets as u64) >> 32;
        // Never 0, which is a free way.
        Self { home: home as usize, tag: (spread as u16).max(1) }
    }
}

impl Bucket {
    /// The ways whose tag is `tag`, in order; now and then one that differs, so the key has to be compared.
    #[inline]
    pub(super) fn matching(&self, tag: u16) -> Ways {
        let wanted = u64::from(tag) * ONES;
        Ways(self.tags.map(|word| {
            let differs = word ^ wanted;
            // Top bit of each lane that is zero; a borrow may add the lane above one.
            differs.wrapping_sub(ONES) & !differs & TOPS
        }))
    }

    /// Puts an entry into a free way; false when there is none.
    pub(super) fn place(&mut self, tag: u16, index: u32) -> bool {
        match (0..WAYS).find(|&way| self.tag(way) == 0) {
            Some(way) => {
                self.set_tag(way, tag);
                self.indices[way] = index;
                true
            }
            None => false,
        }
    }

    /// Takes the entry `index` out; false when it is not here.
    pub(super) fn take(&mut self, tag: u16, index: u32) -> bool {
        match (0..WAYS).find(|&way| self.indices[way] == index && self.tag(way) == tag) {
            Some(way) => {
                self.set_tag(way, 0);
                true
            }
            None => false,
        }
    }

    fn tag(&self, way: usize) -> u16 {
        (self.tags[way / 4] >> (way % 4 * 16)) as u16
    }

    fn set_tag(&mut self, way: usize, tag: u16) {
        let shift = way % 4 * 16;
        let word = &mut self.tags[way / 4];
        *word = *word & !(0xffff << shift) | u64::from(tag) << shift;
    }
}

/// Ways of a bucket: the top bit of each lane of two words.
pub(super) struct Ways([u64; 2]);

impl Iterator for Ways {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let half = usize::from(self.0[0] == 0);
        let word = &mut self.0[half];
        if *word == 0 {
            return None;
        }
        let lane = word.trailing_zeros() as usize / 16;
        *word &= *word - 1;
        Some((half * 4 + lane) % WAYS)
    }
}
