//! What rules remember: bits of flows and hosts, and how often they matched for whom.

use super::detect::{Asked, Compiled, Subject};
use super::flow::Meta;
use engine::Time;
use ids_rules::bits::{BitId, BitOwner, HostBits, Resolved};
use ids_rules::threshold::{Matched, Outcome, Rates, RuleId};

/// What is remembered beyond flows.
pub(super) struct Marks {
    pub hosts: HostBits,
    pub rates: Rates,
}

impl Marks {
    /// With room for so many bits, and as many counts.
    pub(super) fn new(most: usize) -> Marks {
        Marks { hosts: HostBits::new(most), rates: Rates::new(most) }
    }

    /// Does what a matching rule says of bits.
    pub(super) fn change(
        &mut self,
        rule: &Compiled,
        subject: &Subject<'_>,
        mut meta: Option<&mut Meta>,
        now: Time,
    ) {
        for bit in rule.bits.iter().filter(|bit| !bit.command.is_demand()) {
            match HostBits::host(bit.owner, subject.key.source(), subject.key.destination()) {
                Some(host) => self.hosts.change(host, bit, now.as_nanos()),
                None => meta.iter_mut().for_each(|meta| meta.bits.change(bit)),
            }
        }
    }

    /// Whether a match counts as one, by the rule's `detection_filter`.
    pub(super) fn passes(&mut self, rule: &Compiled, matched: &Matched) -> bool {
        let filter = rule.rule.detection_filter.as_ref();
        filter.is_none_or(|filter| self.rates.filter(id(rule), filter, matched))
    }

    /// What becomes of a match, by the rule's `threshold`.
    pub(super) fn outcome(&mut self, rule: &Compiled, matched: &Matched) -> Outcome {
        let threshold = rule.rule.threshold.as_ref();
        threshold.map_or(Outcome::Alert, |threshold| self.rates.threshold(id(rule), threshold, matched))
    }
}

pub(super) fn id(rule: &Compiled) -> RuleId {
    RuleId { gid: rule.rule.meta.gid, sid: rule.rule.meta.sid }
}

/// Whose match it is.
pub(super) fn matched(subject: &Subject<'_>, meta: Option<&Meta>, now: Time) -> Matched {
    Matched {
        now: now.as_nanos(),
        source: subject.key.source(),
        destination: subject.key.destination(),
        flow: meta.map(|meta| meta.id),
    }
}

/// What was before, for one subject.
pub(super) struct Before<'a> {
    pub meta: Option<&'a Meta>,
    pub marks: &'a Marks,
    pub subject: &'a Subject<'a>,
    pub now: Time,
}

impl Before<'_> {
    fn is_set(&self, owner: BitOwner, bit: BitId) -> bool {
        match HostBits::host(owner, self.subject.key.source(), self.subject.key.destination()) {
            Some(host) => self.marks.hosts.is_set(host, bit, self.now.as_nanos()),
            None => self.meta.is_some_and(|meta| meta.bits.is_set(bit)),
        }
    }
}

impl Asked for Before<'_> {
    fn holds(&self, bit: &Resolved) -> bool {
        // Without a flow nothing can be said of its bits.
        let can_say = bit.owner != BitOwner::Flow || self.meta.is_some() || !bit.command.is_demand();
        can_say && bit.holds(|number| self.is_set(bit.owner, number))
    }
}
