//! What flows so far say about one that is under way: how long flows are, and how fast they go.
//!
//! This is the *break policy* of Algorithm 2's line 7, where no link is to blame: the breakpoint is decided statistically.
//! All sums are integers, so that the same flows in any order say the same.

use crate::Nanos;

#[cfg(test)]
mod tests;

/// Sizes are counted by powers of two.
const CLASSES: usize = 40;
/// Samples of a pace are cut here: no flow takes a second for a byte.
const SLOWEST: u64 = 1_000_000_000_000;

/// Mean and spread of nanoseconds per kilobyte.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Pace {
    count: u64,
    sum: u128,
    squares: u128,
}

impl Pace {
    /// Takes in a flow, or a part of one.
    pub fn add(&mut self, bytes: u64, took: Nanos) {
        let pace = (u128::from(took) * 1000 / u128::from(bytes.max(1))).min(u128::from(SLOWEST));
        self.count += 1;
        self.sum += pace;
        self.squares = self.squares.saturating_add(pace * pace);
    }

    /// Both together.
    #[must_use]
    fn and(self, other: &Pace) -> Pace {
        Pace {
            count: self.count + other.count,
            sum: self.sum + other.sum,
            squares: self.squares.saturating_add(other.squares),
        }
    }

    /// How many it has taken in.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The mean and so many tenths of a standard deviation, in nanoseconds per kilobyte; `None` before there was any.
    pub fn with_margin(&self, tenths: u32) -> Option<u64> {
        let count = u128::from(self.count);
        let mean = self.sum.checked_div(count)?;
        let variance = (self.squares / count).saturating_sub(mean * mean);
        let margin = variance.isqrt() * u128::from(tenths) / 10;
        Some(u64::try_from(mean + margin).unwrap_or(u64::MAX))
    }
}

/// Flows that have ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct History {
    /// Of each power of two: flows, and their bytes.
    sizes: [(u64, u128); CLASSES],
    /// How fast those were.
    paces: [Pace; CLASSES],
}

impl Default for History {
    fn default() -> Self {
        History { sizes: [(0, 0); CLASSES], paces: [Pace::default(); CLASSES] }
    }
}

fn class(bytes: u64) -> usize {
    (bytes.max(1).ilog2() as usize).min(CLASSES - 1)
}

impl History {
    /// Takes in a flow that has ended.
    pub fn add(&mut self, bytes: u64, took: Nanos) {
        let (count, sum) = &mut self.sizes[class(bytes)];
        *count += 1;
        *sum += u128::from(bytes);
        self.paces[class(bytes)].add(bytes, took);
    }

    /// How fast flows of at least about so many bytes are: short ones take a round trip for next to nothing. All flows if
    /// there were none so long.
    pub fn pace(&self, bytes: u64) -> Pace {
        let of = |paces: &[Pace]| paces.iter().fold(Pace::default(), |sum, pace| sum.and(pace));
        let long = of(&self.paces[class(bytes)..]);
        if long.count > 0 { long } else { of(&self.paces) }
    }

    /// The bytes that a flow which has sent so many still has before it, if it is like those that were longer than that;
    /// as many again if there were none.
    pub fn remaining(&self, sent: u64) -> u64 {
        let longer = &self.sizes[(class(sent) + 1).min(CLASSES)..];
        let count: u64 = longer.iter().map(|class| class.0).sum();
        let sum: u128 = longer.iter().map(|class| class.1).sum();
        let mean = sum.checked_div(u128::from(count)).and_then(|mean| u64::try_from(mean).ok());
        mean.map_or(sent, |mean| mean.saturating_sub(sent))
    }
}

/// How a flow stands when a breakpoint is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Bytes that it still has to send.
    pub remaining: u64,
    /// Time until its hard limit.
    pub left: Nanos,
    /// Nanoseconds per kilobyte on its route.
    pub here: u64,
    /// Nanoseconds per kilobyte on the other one.
    pub there: u64,
}

/// How many bytes more a flow can send on its own route, such that the rest still comes in time on the other one. All of
/// them: it needs no other route. `None`: the other one is no faster, so it cannot help.
///
/// With R bytes to send, T left, and the paces p here and q there, n bytes here and the rest there take n p + (R - n) q.
/// That is at most T up to n = (T - R q) / (p - q).
pub fn break_after(standing: Standing) -> Option<u64> {
    let Standing { remaining, left, here, there } = standing;
    let time = |bytes: u64, pace: u64| u128::from(bytes) * u128::from(pace) / 1000;
    if time(remaining, here) <= u128::from(left) {
        return Some(remaining);
    }
    let gain = here.checked_sub(there).filter(|gain| *gain > 0)?;
    // What will be late by either route is late by less if it goes now.
    let spare = u128::from(left).saturating_sub(time(remaining, there));
    u64::try_from(spare * 1000 / u128::from(gain)).ok().map(|bytes| bytes.min(remaining))
}
