//! How often each rule matched: shown by commands, and taken along as records of kind `rule_hits`; and the records of
//! connections behind them.

use super::Firewall;
use super::rules::Action;
use crate::conntrack;
use engine::{Command, CommandError, Cursor, PAGE, Record, Role, Scope, Selector, State, StateError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashMap;

pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "rules",
        summary: "rules and how many packets they were the first to match, at most 256 from a number on: {\"from\": 0}",
    },
    Command { name: "top", summary: "the rules that matched most packets: {\"count\": 10}" },
    Command { name: "reset", summary: "sets all hit counters to zero" },
];

const KIND: &str = "rule_hits";
const VERSION: u32 = 1;
/// A record may not say more, so that there is room to count on for longer than any network runs.
const MOST_COUNTED: u64 = 1 << 63;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Rules {
    from: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Top {
    count: usize,
}

impl Default for Top {
    fn default() -> Self {
        Top { count: 10 }
    }
}

/// Key of a record: a rule keeps its counter when others are put before it.
#[derive(PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    rule: usize,
    text: String,
}

/// Value of a record.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hits {
    packets: u64,
}

/// What records add to `hits` takes them to [`MOST_COUNTED`] at the most, however often they come.
fn added(hits: u64, more: u64) -> u64 {
    hits.max(hits.saturating_add(more).min(MOST_COUNTED))
}

impl Firewall {
    pub(super) fn answer(&mut self, name: &str, arguments: &Value) -> Result<Value, CommandError> {
        match name {
            "rules" => {
                let Rules { from } = crate::arguments(arguments)?;
                let all = self.hits.len();
                let rules: Vec<Value> = (from..all).take(PAGE).map(|rule| self.show(rule)).collect();
                let next = Some(from.saturating_add(rules.len())).filter(|&next| next < all);
                Ok(json!({ "rules": rules, "of": all, "from": next }))
            }
            "top" => {
                let Top { count } = crate::arguments(arguments)?;
                Ok(self.most_hit(count.min(PAGE)).into_iter().map(|rule| self.show(rule)).collect())
            }
            "reset" => {
                self.hits.fill(0);
                Ok(json!({ "reset": self.hits.len() }))
            }
            "connections" | "occupancy" | "forget" => match &mut self.tracking {
                Some(tracking) => tracking.tracker.answer(name, arguments),
                None => Err(CommandError::Failed(
                    "no rule asks for `ct state`: no connections are tracked".into(),
                )),
            },
            _ => Err(CommandError::Unknown(name.to_owned())),
        }
    }

    /// The `count` rules that matched most packets, the most first; of equals the earlier rule. There may be
    /// a million rules, and packets wait meanwhile: only the best so far are kept in order.
    fn most_hit(&self, count: usize) -> Vec<usize> {
        let mut best: Vec<usize> = Vec::with_capacity(count + 1);
        for (rule, &packets) in self.hits.iter().enumerate() {
            let worst = best.last().map_or(0, |&rule| self.hits[rule]);
            if packets > 0 && (best.len() < count || packets > worst) {
                let place = best.partition_point(|&other| self.hits[other] >= packets);
                best.insert(place, rule);
                best.truncate(count);
            }
        }
        best
    }

    fn show(&self, rule: usize) -> Value {
        let written = self.plan.rules.rules.get(rule);
        json!({
            "rule": rule,
            "line": written.map(|written| written.line),
            "text": written.map(|written| written.text.as_str()),
            "action": match self.action(rule) { Action::Allow => "allow", Action::Deny => "deny" },
            "packets": self.hits.get(rule),
        })
    }

    fn action(&self, rule: usize) -> Action {
        let number = u32::try_from(rule).unwrap_or(u32::MAX);
        let first = self.plan.terms.partition_point(|(of, _)| *of < number);
        self.plan.terms.get(first).map_or(self.plan.default, |(_, action)| *action)
    }

    /// Takes over the counters of the rules that are still there.
    pub(super) fn inherit(&mut self, old: Firewall) {
        if self.plan.rules == old.plan.rules {
            self.hits = old.hits;
            return;
        }
        let mut hits: HashMap<&str, u64> = HashMap::new();
        for (rule, &packets) in old.plan.rules.rules.iter().zip(&old.hits) {
            let sum = hits.entry(&rule.text).or_default();
            *sum = added(*sum, packets);
        }
        for (rule, packets) in self.plan.rules.rules.iter().zip(&mut self.hits) {
            *packets = hits.remove(rule.text.as_str()).unwrap_or(0);
        }
    }

    /// The rule that a record is about, and its packets; `None` when there is no such rule any more.
    fn parse(&self, record: &Record) -> Result<Option<(usize, u64)>, StateError> {
        if record.kind != KIND {
            return Err(StateError::UnknownKind(record.kind.clone()));
        }
        if record.version > VERSION {
            return Err(StateError::TooNew { kind: KIND.to_owned(), found: record.version, known: VERSION });
        }
        let malformed = |message: String| StateError::Malformed { kind: KIND.to_owned(), message };
        let key = Key::deserialize(&record.key).map_err(|error| malformed(error.to_string()))?;
        let Hits { packets } =
            Hits::deserialize(&record.value).map_err(|error| malformed(error.to_string()))?;
        if packets > MOST_COUNTED {
            return Err(malformed(format!("packets is {packets}, more than {MOST_COUNTED}")));
        }
        let rules = &self.plan.rules.rules;
        let same = rules.get(key.rule).filter(|rule| rule.text == key.text).map(|_| key.rule);
        Ok(same.or_else(|| rules.iter().position(|rule| rule.text == key.text)).map(|rule| (rule, packets)))
    }
}

impl Firewall {
    /// The counters of a page of rules from `from` on; where to go on.
    fn export_hits(&self, from: usize, selector: &Selector, out: &mut Vec<Record>) -> Option<usize> {
        let of_flows = selector.address.is_some() || selector.port.is_some() || selector.protocol.is_some();
        if of_flows || !selector.wants_kind(KIND) {
            return None;
        }
        let to = (from + PAGE).min(self.hits.len());
        let rules = self.plan.rules.rules.iter().zip(&self.hits).enumerate().take(to).skip(from);
        out.extend(rules.filter(|(_, (_, packets))| **packets > 0).map(|(number, (rule, &packets))| {
            Record {
                kind: KIND.to_owned(),
                version: VERSION,
                role: Role::Reporting,
                scope: Scope::Shared,
                key: json!(Key { rule: number, text: rule.text.clone() }),
                value: json!(Hits { packets }),
            }
        }));
        (to < self.hits.len()).then_some(to)
    }
}

/// Counters first, then connections.
impl State for Firewall {
    fn export(&self, cursor: Cursor, selector: &Selector, out: &mut Vec<Record>) -> Option<Cursor> {
        let border = self.hits.len() as u64;
        if cursor.0 < border {
            let next = self.export_hits(cursor.0 as usize, selector, out);
            let connections = self.tracking.as_ref().map(|_| border);
            return next.map(|next| next as u64).or(connections).map(Cursor);
        }
        let connections = &self.tracking.as_ref()?.tracker;
        let next = connections.export(Cursor(cursor.0 - border), selector, out)?;
        Some(Cursor(next.0.saturating_add(border)))
    }

    /// Adds to the counters; those of rules that are not there any more are let go, and so are connections when no rule
    /// asks for them any more.
    fn import(&mut self, records: &[Record]) -> Result<(), StateError> {
        let (connections, hits): (Vec<&Record>, Vec<&Record>) =
            records.iter().partition(|record| conntrack::KINDS.contains(&record.kind.as_str()));
        let hits = hits.into_iter().map(|record| self.parse(record)).collect::<Result<Vec<_>, _>>()?;
        if let Some(tracking) = &mut self.tracking {
            let connections: Vec<Record> = connections.into_iter().cloned().collect();
            tracking.tracker.import(&connections)?;
        }
        for (rule, packets) in hits.into_iter().flatten() {
            self.hits[rule] = added(self.hits[rule], packets);
        }
        Ok(())
    }
}
