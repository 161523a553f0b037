//! Shows subjects to rules, and does what matching rules say.

use super::alert::{Alert, Message};
use super::detect::{Candidate, Evaluator, Index, Lasting, Rules, Searcher, Subject, matches};
use super::flow::{Fate, Meta};
use super::marks::{Before, Marks, matched};
use crate::outlet::Outlet;
use engine::Time;
use ids_rules::rule::Action;
use ids_rules::threshold::Outcome;
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
    pub marks: Marks,
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

impl Inspector {
    pub(super) fn new(
        rules: Arc<Rules>,
        index: Arc<Index>,
        searcher: Searcher,
        marks: Marks,
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
            marks,
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
            let before = Before { meta: meta.as_deref(), marks: &self.marks, subject: &subject, now };
            self.tally.evaluated += 1;
            if !matches(&rules, rule, &subject, &before, &mut self.evaluator) {
                continue;
            }
            let whose = matched(&subject, meta.as_deref(), now);
            if !self.marks.passes(rule, &whose) {
                continue;
            }
            self.tally.matches += 1;
            candidate.end = MATCHED;
            self.marks.change(rule, &subject, meta.as_deref_mut(), now);
            let lasts = rule.lasting == Lasting::Yes || rule.lasting == Lasting::Stream && subject.is_stream;
            let mut decide = |fate: Fate| {
                if let Some(meta) = meta.as_deref_mut().filter(|_| lasts) {
                    meta.fate = fate;
                }
            };
            if rule.rule.action == Action::Pass {
                wanted.pass = true;
                decide(Fate::Passed);
                break;
            }
            let outcome = self.marks.outcome(rule, &whose);
            if outcome == Outcome::Nothing {
                self.tally.suppressed += 1;
                continue;
            }
            let blocked = rule.rule.action == Action::Drop && self.drops;
            if blocked {
                wanted.drop = true;
                decide(Fate::Dropped);
            }
            if rule.rule.noalert {
                continue;
            }
            alerts += 1;
            if outcome == Outcome::Quiet {
                self.tally.suppressed += 1;
            } else if alerts > ALERTS {
                self.tally.surplus += 1;
            } else {
                self.tell(place, &subject, meta.as_deref(), blocked, now);
            }
        }
        self.candidates = candidates;
        wanted
    }

    fn tell(&mut self, place: u32, subject: &Subject<'_>, meta: Option<&Meta>, blocked: bool, now: Time) {
        self.tally.alerts += 1;
        if let Some(count) = self.by_rule.get_mut(place as usize) {
            *count += 1;
        }
        let flow = meta.map(|meta| meta.told(subject.toward.unwrap_or(Toward::Server), subject.application));
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
