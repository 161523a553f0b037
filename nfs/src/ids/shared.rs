//! What rules remember beyond flows: bits of hosts and of pairs of hosts, and how often they matched for whom.

use super::bounded::Bounded;
use super::detect::{Bit, Compiled, Subject};
use super::flow::Meta;
use engine::Time;
use ids_rules::bits::{BitCommand, BitOwner};
use ids_rules::threshold::{ThresholdKind, Track};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use wire::FlowKey;

/// Bits without an end of their own are kept this long, in seconds (Suricata's default for hosts' bits).
const LIFETIME: u64 = 300;
const NANOS: u64 = 1_000_000_000;

/// Whose bit, or whose matches.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Owner {
    Host(IpAddr),
    /// In the order of their addresses.
    Pair(IpAddr, IpAddr),
    /// From the first to the second.
    Way(IpAddr, IpAddr),
    Flow(u64),
    Rule,
}

/// How often a rule matched in an interval.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Count {
    /// When the interval began, in seconds since the epoch.
    pub since: u64,
    pub count: u64,
    /// Of a rate that backs off, the count that alerts next.
    pub next: u64,
}

/// A count's key: the rule's place, whether it is that of its filter, and whose matches.
pub(super) type Counted = (u32, bool, Owner);

pub(super) struct Shared {
    /// Bits that are set, and until when, in seconds.
    pub bits: Bounded<(Owner, u32), u64>,
    pub counts: Bounded<Counted, Count>,
}

fn owner_of_bit(owner: BitOwner, key: &FlowKey) -> Owner {
    let (source, destination) = (key.source(), key.destination());
    match owner {
        BitOwner::Destination => Owner::Host(destination),
        BitOwner::Pair => Owner::Pair(source.min(destination), source.max(destination)),
        BitOwner::Source | BitOwner::Flow => Owner::Host(source),
    }
}

fn owner_of_count(track: Track, key: &FlowKey, meta: Option<&Meta>) -> Owner {
    match track {
        Track::Source => Owner::Host(key.source()),
        Track::Destination => Owner::Host(key.destination()),
        Track::Both => Owner::Way(key.source(), key.destination()),
        Track::Rule => Owner::Rule,
        Track::Flow => meta.map_or(Owner::Rule, |meta| Owner::Flow(meta.id)),
    }
}

fn seconds(now: Time) -> u64 {
    now.as_nanos() / NANOS
}

impl Shared {
    /// With room for so many bits, and as many counts.
    pub(super) fn new(capacity: usize, seed: u64) -> Shared {
        Shared { bits: Bounded::new(capacity, seed), counts: Bounded::new(capacity, seed) }
    }

    pub(super) fn is_set(&self, owner: BitOwner, key: &FlowKey, bit: u32, now: Time) -> bool {
        self.bits.get(&(owner_of_bit(owner, key), bit)).is_some_and(|until| *until > seconds(now))
    }

    pub(super) fn change(&mut self, bit: &Bit, key: &FlowKey, now: Time) {
        let owner = owner_of_bit(bit.owner, key);
        for &number in &bit.bits {
            let set = match bit.command {
                BitCommand::Set => true,
                BitCommand::Unset => false,
                BitCommand::Toggle => !self.is_set(bit.owner, key, number, now),
                BitCommand::IsSet | BitCommand::IsNotSet => continue,
            };
            if set {
                let lifetime = bit.expire.map_or(LIFETIME, u64::from);
                self.bits.insert((owner, number), seconds(now) + lifetime);
            } else {
                self.bits.remove(&(owner, number));
            }
        }
    }

    /// Whether a match counts as one, by the rule's `detection_filter`.
    pub(super) fn passes_filter(
        &mut self,
        place: u32,
        rule: &Compiled,
        subject: &Subject<'_>,
        meta: Option<&Meta>,
        now: Time,
    ) -> bool {
        let Some(filter) = &rule.rule.detection_filter else { return true };
        let owner = owner_of_count(filter.track, &subject.key, meta);
        let count = self.counted((place, true, owner), filter.seconds, now);
        count.count > u64::from(filter.count)
    }

    /// Whether a match alerts, by the rule's `threshold`.
    pub(super) fn passes_threshold(
        &mut self,
        place: u32,
        rule: &Compiled,
        subject: &Subject<'_>,
        meta: Option<&Meta>,
        now: Time,
    ) -> bool {
        let Some(threshold) = &rule.rule.threshold else { return true };
        let owner = owner_of_count(threshold.track, &subject.key, meta);
        let wanted = u64::from(threshold.count);
        // What backs off has no interval.
        let interval = match threshold.kind {
            ThresholdKind::Backoff { .. } => u32::MAX,
            _ => threshold.seconds,
        };
        let count = self.counted((place, false, owner), interval, now);
        match threshold.kind {
            ThresholdKind::Limit => count.count <= wanted,
            ThresholdKind::Both => count.count == wanted,
            ThresholdKind::Every => {
                let alerts = count.count >= wanted;
                if alerts {
                    (count.count, count.since) = (0, seconds(now));
                }
                alerts
            }
            ThresholdKind::Backoff { multiplier } => {
                let alerts = count.count >= count.next.max(wanted);
                if alerts {
                    count.next = count.next.max(wanted).saturating_mul(u64::from(multiplier));
                }
                alerts
            }
        }
    }

    /// Counts one more match; an interval that is over begins anew.
    fn counted(&mut self, key: Counted, interval: u32, now: Time) -> &mut Count {
        let now = seconds(now);
        let count = self.counts.get_or_insert(key, || Count { since: now, count: 0, next: 0 });
        if now.saturating_sub(count.since) >= u64::from(interval) {
            *count = Count { since: now, count: 0, next: 0 };
        }
        count.count += 1;
        count
    }
}
