//! A token bucket, without rounding: tokens are bits times 10⁹, so that a rate in bits per second times nanoseconds is
//! a whole number of them.

use engine::Time;

/// Tokens per byte.
const PER_BYTE: i64 = 8_000_000_000;
/// Buckets up to this many bytes: tokens stay far below the end of an `i64`.
pub(super) const DEEPEST: u64 = 1 << 28;

/// As far as a bucket can be overdrawn.
const LOWEST: i64 = -(DEEPEST as i64) * PER_BYTE;

/// What a packet of so many bytes costs. Packets are of 64 kB at the most.
#[inline]
pub(super) fn cost(bytes: usize) -> i64 {
    bytes as i64 * PER_BYTE
}

/// A rate and how much of it can be saved up: what a bucket is before it is in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Budget {
    /// In bits per second.
    pub rate: u64,
    /// In bytes, at most [`DEEPEST`].
    pub burst: u64,
}

/// A token bucket. In any time t what it lets through is `burst + rate * t` at the most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Bucket {
    rate: u64,
    depth: i64,
    pub tokens: i64,
}

impl Bucket {
    /// A full one.
    pub(super) fn new(budget: Budget) -> Bucket {
        let depth = cost(budget.burst.min(DEEPEST) as usize);
        Bucket { rate: budget.rate, depth, tokens: depth }
    }

    /// The same under another budget, with the tokens that are left.
    pub(super) fn retuned(self, budget: Budget) -> Bucket {
        let new = Bucket::new(budget);
        Bucket { tokens: self.tokens.min(new.depth), ..new }
    }

    /// Tokens of so many nanoseconds; returns those for which there was no room.
    #[inline]
    pub(super) fn fill(&mut self, nanos: u64) -> i64 {
        let more = nanos.saturating_mul(self.rate).min(i64::MAX as u64 / 2) as i64;
        self.pour(more)
    }

    /// The same for a number of tokens.
    #[inline]
    pub(super) fn pour(&mut self, more: i64) -> i64 {
        let full = self.tokens.saturating_add(more);
        self.tokens = full.min(self.depth);
        full - self.tokens
    }

    #[inline]
    pub(super) fn has(&self, cost: i64) -> bool {
        self.tokens >= cost
    }

    /// Whether there are so many tokens, or as many as there ever are.
    #[inline]
    pub(super) fn has_or_is_full(&self, cost: i64) -> bool {
        self.tokens >= cost.min(self.depth)
    }

    /// Takes tokens, more than there are if it has to be.
    #[inline]
    pub(super) fn take(&mut self, cost: i64) {
        self.tokens = (self.tokens - cost).max(LOWEST);
    }

    /// The longest packet that can ever pass, in bytes.
    pub(super) fn longest(&self) -> usize {
        (self.depth / PER_BYTE) as usize
    }

    /// Tokens from elsewhere, as far as they fit.
    pub(super) fn set(&mut self, tokens: i64) {
        self.tokens = tokens.clamp(LOWEST, self.depth);
    }
}

/// The time up to which buckets are filled. It never runs backwards, as a replay may.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Watch(pub Time);

impl Watch {
    /// Nanoseconds since the latest time.
    #[inline]
    pub(super) fn advance(&mut self, now: Time) -> u64 {
        let passed = now.as_nanos().saturating_sub(self.0.as_nanos());
        self.0 = self.0.max(now);
        passed
    }
}
