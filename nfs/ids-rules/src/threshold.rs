//! Rates: `threshold` thins out alerts, `detection_filter` lets a rule match only beyond a rate.

mod table;

use serde::{Deserialize, Serialize};

pub use table::{Matched, Outcome, Rates, Record, RuleId, Whom};

/// `threshold:type <type>, track <track>, count <n>, seconds <n>`: how alerts of matches are thinned out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Threshold {
    /// Which of the matches alert.
    pub kind: ThresholdKind,
    /// Whose matches are counted together.
    pub track: Track,
    /// Matches, 1 at least.
    pub count: u32,
    /// Length of the interval, 1 at least; 0 for [`Backoff`](ThresholdKind::Backoff), which has none.
    pub seconds: u32,
}

/// Which matches of an interval alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ThresholdKind {
    /// `limit`: the first `count` of an interval.
    Limit,
    /// `threshold`: every `count`-th of an interval; the count begins anew with it, the interval does not.
    Every,
    /// `both`: the `count`-th of an interval and no other.
    Both,
    /// `backoff` (tracked by flow, without interval): the `count`-th match, then the one `multiplier` times as late,
    /// and so on.
    Backoff {
        /// 2 at least.
        multiplier: u32,
    },
}

/// `detection_filter:track <track>, count <n>, seconds <n>`: within an interval the first `count` matches are none,
/// all later ones are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Filter {
    /// Whose matches are counted together.
    pub track: Track,
    /// Matches, 1 at least.
    pub count: u32,
    /// Length of the interval, 1 at least.
    pub seconds: u32,
}

/// Whose matches of a rule are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Track {
    /// `by_src`.
    Source,
    /// `by_dst`.
    Destination,
    /// `by_both`: the pair, in this order.
    Both,
    /// `by_rule`: all.
    Rule,
    /// `by_flow`.
    Flow,
}
