//! Markers with three colors: one rate (RFC 2697) and two rates (RFC 2698).

use super::bucket::{Bucket, Budget};
use serde::{Deserialize, Serialize};

/// What a meter says of a packet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Color {
    Green = 0,
    Yellow = 1,
    Red = 2,
}

impl Color {
    /// By the drop precedence of assured forwarding (RFC 2597 section 6); all others are green.
    pub(super) fn of_dscp(dscp: u8) -> Color {
        match dscp {
            12 | 20 | 28 | 36 => Color::Yellow,
            14 | 22 | 30 | 38 => Color::Red,
            _ => Color::Green,
        }
    }
}

/// The second bucket of a meter, and what it is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Second {
    /// What the first has no room for (RFC 2697), up to so many bytes.
    Excess(u64),
    /// A rate of its own (RFC 2698).
    Peak(Budget),
}

/// A meter before it is in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Measure {
    pub committed: Budget,
    pub second: Second,
}

/// Tokens of both buckets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tokens {
    pub committed: i64,
    pub second: i64,
}

#[derive(Clone, Debug)]
pub(super) struct Meter {
    committed: Bucket,
    second: Bucket,
    peaks: bool,
}

impl Meter {
    /// With full buckets.
    pub(super) fn new(measure: Measure) -> Meter {
        let (second, peaks) = match measure.second {
            Second::Excess(burst) => (Budget { rate: 0, burst }, false),
            Second::Peak(budget) => (budget, true),
        };
        Meter { committed: Bucket::new(measure.committed), second: Bucket::new(second), peaks }
    }

    #[inline]
    pub(super) fn fill(&mut self, nanos: u64) {
        let spilt = self.committed.fill(nanos);
        if self.peaks {
            self.second.fill(nanos);
        } else {
            self.second.pour(spilt);
        }
    }

    /// The color of a packet that came with one: green when nobody looked.
    #[inline]
    pub(super) fn color(&mut self, before: Color, cost: i64) -> Color {
        if self.peaks { self.two_rates(before, cost) } else { self.one_rate(before, cost) }
    }

    /// RFC 2697 section 3.
    fn one_rate(&mut self, before: Color, cost: i64) -> Color {
        if before == Color::Green && self.committed.has(cost) {
            self.committed.take(cost);
            Color::Green
        } else if before <= Color::Yellow && self.second.has(cost) {
            self.second.take(cost);
            Color::Yellow
        } else {
            Color::Red
        }
    }

    /// RFC 2698 section 3.
    fn two_rates(&mut self, before: Color, cost: i64) -> Color {
        if before == Color::Red || !self.second.has(cost) {
            return Color::Red;
        }
        self.second.take(cost);
        if before == Color::Yellow || !self.committed.has(cost) {
            return Color::Yellow;
        }
        self.committed.take(cost);
        Color::Green
    }

    pub(super) fn tokens(&self) -> Tokens {
        Tokens { committed: self.committed.tokens, second: self.second.tokens }
    }

    pub(super) fn set(&mut self, tokens: Tokens) {
        self.committed.set(tokens.committed);
        self.second.set(tokens.second);
    }
}
