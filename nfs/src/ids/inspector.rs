//! Shows subjects to rules, and does what matching rules say.

use super::alert::{Alert, Message};
use super::detect::{
    Asked, Bit, Candidate, Compiled, Evaluator, Index, Lasting, Rules, Searcher, Subject, matches,
};
use super::flow::{Fate, Meta};
use super::shared::Shared;
use crate::outlet::Outlet;
use engine::Time;
use ids_rules::bits::{BitCommand, BitOwner};
use ids_rules::rule::Action;
use std::sync::Arc;
use streams::Toward;

/// Alerts that one subject may cause (Suricata's `packet-alert-max` is 15); further ones are counted.
const ALERTS: usize = 64;

/// The end of a candidate that matched.
pub(super) const MATCHED: usize = 0;
/// The end of a candidate that was not found by a pattern.
pub(super) const ALWAYS: usize = usize::MAX;

/// What a worker needs to look for rules.
pub(super) struct Inspector {
    pub rules: Arc<Rules>,
    pub index: Arc<Index>,
    pub searcher: Searcher,
    evaluator: Evaluator,
    /// Rules that may match what is being looked at.
    pub candidates: Vec<Candidate>,
    /// What rules remember of hosts, and how often they matched.
    pub shared: Shared,
    /// Packets are dropped, not only told of.
    pub drops: bool,
    pub outlet: Outlet<Box<Alert>>,
    pub tally: Tally,
    /// Alerts of each rule.
    pub by_rule: Box<[u64]>,
}

/// What has happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Tally {
    pub alerts: u64,
    pub suppressed: u64,
    pub surplus: u64,
    pub matches: u64,
    pub evaluated: u64,
}

/// What matched rules want done with what they saw.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Wanted {
    pub drop: bool,
    pub pass: bool,
}

/// What was before, for one subject.
struct Before<'a> {
    meta: Option<&'a Meta>,
    shared: &'a Shared,
    subject: &'a Subject<'a>,
    now: Time,
}

impl Asked for Before<'_> {
    fn is_set(&self, owner: BitOwner, bit: u32) -> Option<bool> {
        match owner {
            BitOwner::Flow => self.meta.map(|meta| meta.is_set(bit)),
            _ => Some(self.shared.is_set(owner, &self.subject.key, bit, self.now)),
        }
    }
}

impl Inspector {
    pub(super) fn new(
        rules: Arc<Rules>,
        index: Arc<Index>,
        searcher: Searcher,
        shared: Shared,
        drops: bool,
        outlet: Outlet<Box<Alert>>,
    ) -> Inspector {
        Inspector {
            evaluator: Evaluator::new(rules.regexes.len()),
            by_rule: vec![0; rules.all.len()].into_boxed_slice(),
            candidates: Vec::with_capacity(64),
            tally: Tally::default(),
            rules,
            index,
            searcher,
            shared,
            drops,
            outlet,
        }
    }

    /// Evaluates the candidates on a subject, in the order of rules. `sight` says whether a rule may match, and where
    /// what it may see of the payload begins. Of a candidate that matches, `end` becomes [`MATCHED`].
    pub(super) fn evaluate(
        &mut self,
        subject: &Subject<'_>,
        mut meta: Option<&mut Meta>,
        now: Time,
        sight: impl Fn(u32) -> Option<usize>,
    ) -> Wanted {
        let mut wanted = Wanted::default();
        if self.candidates.is_empty() {
            return wanted;
        }
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.sort_unstable_by_key(|candidate| candidate.rule);
        let rules = Arc::clone(&self.rules);
        let mut alerts = 0;
        for candidate in &mut candidates {
            let place = candidate.rule;
            let (Some(rule), Some(skipped)) = (rules.all.get(place as usize), sight(place)) else { continue };
            let subject = seen_from(subject, skipped);
            let before = Before { meta: meta.as_deref(), shared: &self.shared, subject: &subject, now };
            self.tally.evaluated += 1;
            if !matches(&rules, rule, &subject, &before, &mut self.evaluator)
                || !self.shared.passes_filter(place, rule, &subject, meta.as_deref(), now)
            {
                continue;
            }
            self.tally.matches += 1;
            candidate.end = MATCHED;
            self.change_bits(rule, &subject, meta.as_deref_mut(), now);
            let lasts = rule.lasting == Lasting::Yes || rule.lasting == Lasting::Stream && subject.is_stream;
            let mut blocked = false;
            match rule.rule.action {
                Action::Pass => wanted.pass = true,
                Action::Drop => {
                    blocked = self.drops;
                    wanted.drop |= self.drops;
                    if let Some(meta) = meta.as_deref_mut().filter(|_| lasts && self.drops) {
                        meta.fate = Fate::Dropped;
                    }
                }
                Action::Alert => {}
            }
            if rule.rule.action == Action::Pass {
                if let Some(meta) = meta.as_deref_mut().filter(|_| lasts) {
                    meta.fate = Fate::Passed;
                }
                break;
            }
            if !rule.rule.noalert {
                alerts += 1;
                if alerts > ALERTS {
                    self.tally.surplus += 1;
                } else if self.shared.passes_threshold(place, rule, &subject, meta.as_deref(), now) {
                    self.tell(place, &subject, meta.as_deref(), blocked, now);
                } else {
                    self.tally.suppressed += 1;
                }
            }
        }
        self.candidates = candidates;
        wanted
    }

    fn change_bits(&mut self, rule: &Compiled, subject: &Subject<'_>, mut meta: Option<&mut Meta>, now: Time) {
        for bit in rule.bits.iter().filter(|bit| !bit.command.is_demand()) {
            match (bit.owner, meta.as_deref_mut()) {
                (BitOwner::Flow, Some(meta)) => change(bit, meta),
                (BitOwner::Flow, None) => {}
                _ => self.shared.change(bit, &subject.key, now),
            }
        }
    }

    fn tell(&mut self, place: u32, subject: &Subject<'_>, meta: Option<&Meta>, blocked: bool, now: Time) {
        self.tally.alerts += 1;
        if let Some(count) = self.by_rule.get_mut(place as usize) {
            *count += 1;
        }
        let flow = meta
            .map(|meta| meta.told(subject.toward.unwrap_or(Toward::Server), subject.application));
        self.outlet.send(Box::new(Alert {
            rule: place,
            time: now,
            key: subject.key,
            ports: subject.ports.is_some(),
            icmp: subject.packet.and_then(|packet| packet.icmp()),
            stream: subject.is_stream,
            blocked,
            flow,
            message: subject.message.map(|message| Box::new(Message::of(message))),
        }));
    }
}

/// The subject without the first bytes of its payload.
fn seen_from<'a>(subject: &Subject<'a>, skipped: usize) -> Subject<'a> {
    let mut seen = *subject;
    if let Some(payload) = seen.payload.as_mut().filter(|_| skipped > 0) {
        payload.bytes = payload.bytes.get(skipped..).unwrap_or_default();
        payload.base += skipped as u64;
    }
    seen
}

fn change(bit: &Bit, meta: &mut Meta) {
    for &number in &bit.bits {
        match bit.command {
            BitCommand::Set => meta.set(number),
            BitCommand::Unset => meta.unset(number),
            BitCommand::Toggle if meta.is_set(number) => meta.unset(number),
            BitCommand::Toggle => meta.set(number),
            BitCommand::IsSet | BitCommand::IsNotSet => {}
        }
    }
}
