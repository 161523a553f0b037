//! Who moves most bytes, in bounded memory: a count-min sketch (Cormode, Muthukrishnan 2005) and the largest of what
//! went through it.

use std::cmp::Reverse;

/// Rows: an estimate is too large by more than [`epsilon`] of all with probability e^-ROWS at the most.
pub(in crate::monitor) const ROWS: usize = 4;
/// Counters per row.
pub(in crate::monitor) const WIDTH: usize = 2048;
/// Candidates that are kept: those with the largest estimates when last counted.
pub(in crate::monitor) const CANDIDATES: usize = 32;
/// A counter may not say more, so that there is room to count on.
const MOST: u64 = 1 << 62;

/// An estimate is too large by so much of all that was counted, at the most: e/width.
pub(super) fn epsilon() -> f64 {
    std::f64::consts::E / WIDTH as f64
}

/// With this probability: e^-rows.
pub(super) fn delta() -> f64 {
    (-(ROWS as f64)).exp()
}

/// Counts bytes by key, and keeps the keys with most of them.
#[derive(Clone)]
pub(in crate::monitor) struct Heavy<K> {
    rows: Box<[[u64; WIDTH]; ROWS]>,
    total: u64,
    /// Hashes apart, so that they are compared several at a time.
    hashes: Vec<u64>,
    keys: Vec<K>,
    /// No more than the least estimate of a full list; 0 while there is room.
    threshold: u64,
}

impl<K: Copy + Ord> Heavy<K> {
    pub(super) fn new() -> Heavy<K> {
        let rows = vec![[0; WIDTH]; ROWS].into_boxed_slice().try_into();
        Heavy {
            rows: rows.unwrap_or_else(|_| Box::new([[0; WIDTH]; ROWS])),
            total: 0,
            hashes: Vec::with_capacity(CANDIDATES),
            keys: Vec::with_capacity(CANDIDATES),
            threshold: 0,
        }
    }

    /// Counts `bytes` for `key`, whose hash is 64 well-mixed bits.
    #[inline]
    pub(super) fn add(&mut self, key: K, hash: u64, bytes: u64) {
        self.total = self.total.saturating_add(bytes);
        let mut estimate = u64::MAX;
        for (row, place) in self.rows.iter_mut().zip(places(hash)) {
            let counter = &mut row[place];
            *counter = counter.saturating_add(bytes);
            estimate = estimate.min(*counter);
        }
        if exceeds(estimate, self.threshold) {
            self.nominate(key, hash, estimate);
        }
    }

    /// What the sketch says of a key: never less than was counted for it.
    fn estimate(&self, hash: u64) -> u64 {
        self.rows.iter().zip(places(hash)).map(|(row, place)| row[place]).min().unwrap_or(0)
    }

    /// A key whose estimate may be large enough. What comes of it follows from the counters and the candidates alone, so
    /// that a copy of them goes on in the same way.
    #[cold]
    fn nominate(&mut self, key: K, hash: u64, estimate: u64) {
        let is_new = !self.hashes.contains(&hash);
        if is_new && self.hashes.len() < CANDIDATES {
            self.hashes.push(hash);
            self.keys.push(key);
            return;
        }
        let estimates = self.hashes.iter().map(|hash| self.estimate(*hash));
        // Among several, that with the largest key.
        let least =
            estimates.zip(&self.keys).enumerate().min_by_key(|(_, (least, key))| (*least, Reverse(**key)));
        let Some((i, (least, _))) = least else { return };
        if is_new && exceeds(estimate, least) {
            (self.hashes[i], self.keys[i]) = (hash, key);
        }
        if self.hashes.len() == CANDIDATES {
            self.threshold = least;
        }
    }

    /// Joins what was counted elsewhere: sums, and the largest of both sides' candidates.
    pub(super) fn merge(&mut self, other: &Heavy<K>) {
        self.total = self.total.saturating_add(other.total);
        for (mine, theirs) in self.rows.iter_mut().flatten().zip(other.rows.iter().flatten()) {
            *mine = mine.saturating_add(*theirs);
        }
        let all: Vec<(u64, K)> = self.hashes.iter().copied().zip(self.keys.iter().copied()).collect();
        self.elect(all.into_iter().chain(other.hashes.iter().copied().zip(other.keys.iter().copied())));
    }

    /// Makes those of the keys candidates whose estimates are the largest.
    pub(super) fn elect(&mut self, keys: impl Iterator<Item = (u64, K)>) {
        let mut all: Vec<(u64, K, u64)> = keys
            .map(|(hash, key)| (self.estimate(hash), key, hash))
            .filter(|(estimate, ..)| *estimate > 0)
            .collect();
        all.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        all.dedup_by_key(|(_, key, _)| *key);
        all.truncate(CANDIDATES);
        self.hashes.clear();
        self.keys.clear();
        self.threshold = 0;
        for (_, key, hash) in all {
            self.hashes.push(hash);
            self.keys.push(key);
        }
    }

    /// The candidates with their estimates, the largest first.
    pub(super) fn largest(&self) -> Vec<(K, u64)> {
        let estimates = self.hashes.iter().map(|hash| self.estimate(*hash));
        let mut all: Vec<(K, u64)> = self.keys.iter().copied().zip(estimates).collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        all
    }

    /// All that was counted.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn row(&self, row: usize) -> &[u64] {
        self.rows.get(row).map_or(&[], |row| &row[..])
    }

    /// Joins a row and nothing else; `false` if it is not one.
    pub(super) fn merge_row(&mut self, row: usize, counters: &[u64]) {
        if let Some(mine) = self.rows.get_mut(row) {
            mine.iter_mut().zip(counters).for_each(|(mine, theirs)| *mine = mine.saturating_add(*theirs));
        }
        // Every row has counted all of it.
        if row == 0 {
            self.total = self.total.saturating_add(counters.iter().fold(0, |sum, n| n.saturating_add(sum)));
        }
    }
}

/// A candidate gives way only to a key of which seven eighths are more: where many are about equal, the list would change
/// with every packet otherwise.
fn exceeds(estimate: u64, least: u64) -> bool {
    estimate - estimate / 8 > least
}

/// Whether these are counters of a row.
pub(super) fn is_row(row: usize, counters: &[u64]) -> bool {
    row < ROWS && counters.len() == WIDTH && counters.iter().all(|counter| *counter <= MOST)
}

/// A key's counter in each row: by parts of its hash that do not overlap (11 of 64 bits each).
#[inline]
fn places(hash: u64) -> [usize; ROWS] {
    std::array::from_fn(|row| (hash >> (16 * row)) as usize % WIDTH)
}
