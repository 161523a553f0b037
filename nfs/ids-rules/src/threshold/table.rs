//! Counting matches: what thresholds and detection filters remember.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{Filter, Threshold, ThresholdKind, Track};
use crate::bounded::Bounded;

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

/// Whose match it is: of a packet, or of a stream or message of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Matched {
    /// When, in nanoseconds.
    pub now: u64,
    /// Source address of the packet at hand.
    pub source: IpAddr,
    /// Its destination address.
    pub destination: IpAddr,
    /// A number that its flow has and no other; none if it has no flow.
    pub flow: Option<u64>,
}

/// What becomes of a match under a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It alerts, and the rule's action is done.
    Alert,
    /// The rule's action is done without an alert: the interval has had its alerts.
    Quiet,
    /// It is as if nothing had matched, but for changes of bits.
    Nothing,
}

/// Which rule, by `gid` and `sid`: the same after a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RuleId {
    /// `gid`.
    pub gid: u32,
    /// `sid`.
    pub sid: u32,
}

/// Whose matches are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Whom {
    /// A source.
    Source(IpAddr),
    /// A destination.
    Destination(IpAddr),
    /// A source and a destination.
    Both(IpAddr, IpAddr),
    /// All.
    Everybody,
    /// A flow.
    Flow(u64),
}

/// What is remembered of a rule's matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Of which rule.
    pub rule: RuleId,
    /// Of whom.
    pub whom: Whom,
    /// When the interval began, in nanoseconds.
    pub began: u64,
    /// When it ends; `u64::MAX` for what has no interval.
    pub ends: u64,
    /// Matches counted in it.
    pub count: u32,
    /// Of `backoff`: the match that alerts next.
    pub next: u32,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    began: u64,
    ends: u64,
    count: u32,
    next: u32,
}

/// What all rules' thresholds and detection filters remember, in a table of fixed size: of 16 entries in turn, the one
/// whose interval ends first makes room (those by flow, which have none, when their flow is told to have
/// [ended](Self::forget_flow), and before that the last).
#[derive(Clone, Debug)]
pub struct Rates {
    table: Bounded<(RuleId, Whom), Entry>,
}

impl Rates {
    /// Room for `most` counts.
    pub fn new(most: usize) -> Self {
        Self { table: Bounded::new(most) }
    }

    /// Counts a match under its rule's threshold.
    pub fn threshold(&mut self, rule: RuleId, threshold: &Threshold, matched: &Matched) -> Outcome {
        let Some(whom) = whom(threshold.track, matched) else { return Outcome::Nothing };
        let (entry, _) = self.count(rule, whom, matched.now, threshold.seconds, threshold.count);
        match threshold.kind {
            ThresholdKind::Limit if entry.count <= threshold.count => Outcome::Alert,
            ThresholdKind::Limit => Outcome::Quiet,
            ThresholdKind::Every if entry.count >= threshold.count => {
                entry.count = 0;
                Outcome::Alert
            }
            ThresholdKind::Every => Outcome::Nothing,
            ThresholdKind::Both => match entry.count.cmp(&threshold.count) {
                std::cmp::Ordering::Less => Outcome::Nothing,
                std::cmp::Ordering::Equal => Outcome::Alert,
                std::cmp::Ordering::Greater => Outcome::Quiet,
            },
            ThresholdKind::Backoff { multiplier } if entry.count == entry.next => {
                entry.next = entry.next.saturating_mul(multiplier);
                Outcome::Alert
            }
            ThresholdKind::Backoff { .. } if threshold.count > 1 && entry.count < threshold.count => {
                Outcome::Nothing
            }
            ThresholdKind::Backoff { .. } => Outcome::Quiet,
        }
    }

    /// Counts a match under its rule's detection filter; whether it is one at all.
    pub fn filter(&mut self, rule: RuleId, filter: &Filter, matched: &Matched) -> bool {
        let Some(whom) = whom(filter.track, matched) else { return false };
        let (entry, fresh) = self.count(rule, whom, matched.now, filter.seconds, filter.count);
        !fresh && entry.count > filter.count
    }

    /// Counts one more, in a new interval if the last is over; whether it is new.
    fn count(&mut self, rule: RuleId, whom: Whom, now: u64, seconds: u32, first: u32) -> (&mut Entry, bool) {
        let length = u64::from(seconds) * SECOND;
        let ends = if seconds == 0 { u64::MAX } else { now.saturating_add(length) };
        let key = (rule, whom);
        let fresh = match self.table.get_mut(&key) {
            Some(entry) if now <= entry.ends => {
                entry.count = entry.count.saturating_add(1);
                false
            }
            _ => {
                self.table.insert(key, Entry { began: now, ends, count: 1, next: first }, |entry| entry.ends);
                true
            }
        };
        let entry = self.table.get_mut(&key).expect("it was found or put in just now");
        (entry, fresh)
    }

    /// Forgets what was counted of a flow that has ended.
    pub fn forget_flow(&mut self, rules: impl IntoIterator<Item = RuleId>, flow: u64) {
        for rule in rules {
            self.table.remove(&(rule, Whom::Flow(flow)));
        }
    }

    /// Forgets the counts of rules that are no more.
    pub fn retain(&mut self, mut keep: impl FnMut(RuleId) -> bool) {
        self.table.retain(|(rule, _), _| keep(*rule));
    }

    /// How many counts there are.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether nothing is counted.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many counts had to make room for others.
    pub fn evicted(&self) -> u64 {
        self.table.evicted()
    }

    /// Everything that is remembered.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        self.table.iter().map(|&((rule, whom), entry)| Record {
            rule,
            whom,
            began: entry.began,
            ends: entry.ends,
            count: entry.count,
            next: entry.next,
        })
    }

    /// Remembers a record of another table; it replaces what is there of the same rule and the same whom.
    pub fn restore(&mut self, record: Record) {
        let Record { rule, whom, began, ends, count, next } = record;
        self.table.insert((rule, whom), Entry { began, ends, count, next }, |entry| entry.ends);
    }
}

/// Whose match it is, as a rule counts; nothing if it counts by flow and there is none.
fn whom(track: Track, matched: &Matched) -> Option<Whom> {
    Some(match track {
        Track::Source => Whom::Source(matched.source),
        Track::Destination => Whom::Destination(matched.destination),
        Track::Both => Whom::Both(matched.source, matched.destination),
        Track::Rule => Whom::Everybody,
        Track::Flow => Whom::Flow(matched.flow?),
    })
}

#[cfg(test)]
mod tests;
