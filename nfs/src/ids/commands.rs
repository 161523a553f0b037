//! What an operator can ask of an ids.

use super::Ids;
use super::detect::Compiled;
use super::inspector::Tally;
use engine::{Command, CommandError, PAGE};
use serde::Deserialize;
use serde_json::{Value, json};
use streams::Event;

/// The commands.
pub(super) const COMMANDS: &[Command] = &[
    Command { name: "stats", summary: "flows, memory, matches, alerts, oddities of streams" },
    Command {
        name: "rules",
        summary: "what was taken of the files of rules, and what was not and why: {\"cursor\": 0}, at most 256 at a time",
    },
    Command { name: "alerts", summary: "the rules with the most alerts: {\"count\": 10}" },
];

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Page {
    cursor: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Top {
    count: usize,
}

impl Default for Top {
    fn default() -> Top {
        Top { count: 10 }
    }
}

impl Ids {
    pub(super) fn answer(&mut self, name: &str, arguments: &Value) -> Result<Value, CommandError> {
        match name {
            "stats" => Ok(self.stats()),
            "rules" => Ok(self.report(crate::arguments::<Page>(arguments)?.cursor)),
            "alerts" => Ok(self.top(crate::arguments::<Top>(arguments)?.count.min(PAGE))),
            _ => Err(CommandError::Unknown(name.to_owned())),
        }
    }

    fn stats(&self) -> Value {
        let (watch, inspector) = (&self.watch, &self.inspector);
        let Tally { alerts, suppressed, surplus, matches, evaluated } = inspector.tally;
        let odd = Event::ALL.iter().zip(watch.events).filter(|(_, count)| *count > 0);
        let odd: serde_json::Map<String, Value> =
            odd.map(|(event, count)| (event.name().to_owned(), count.into())).collect();
        json!({
            "rules": self.plan.rules.all.len(),
            "flows": { "known": watch.flows.len(), "capacity": watch.flows.capacity() },
            "streams": {
                "held_bytes": watch.pool.used(),
                "most_held_bytes": watch.pool.most_used(),
                "capacity_bytes": watch.pool.capacity(),
                "evictions": watch.pool.evictions(),
            },
            "windows_and_messages": {
                "held_bytes": watch.room.held,
                "capacity_bytes": watch.room.most,
                "given_up": watch.room.given_up,
            },
            "marks": {
                "host_bits": inspector.marks.hosts.len(),
                "rates": inspector.marks.rates.len(),
                "evicted": inspector.marks.hosts.evicted() + inspector.marks.rates.evicted(),
            },
            "alerts": alerts,
            "suppressed": suppressed,
            "surplus": surplus,
            "matches": matches,
            "evaluated": evaluated,
            "stream_events": odd,
        })
    }

    /// A page of what was refused, with totals.
    fn report(&self, cursor: usize) -> Value {
        let report = &self.plan.report;
        let files: Vec<Value> = report
            .files
            .iter()
            .map(|file| {
                json!({
                    "file": file.name,
                    "taken": file.taken,
                    "refused": file.refused.len(),
                    "disabled": file.disabled,
                })
            })
            .collect();
        let all =
            report.files.iter().flat_map(|file| file.refused.iter().map(|refused| (&file.name, refused)));
        let refused: Vec<Value> = all
            .skip(cursor)
            .take(PAGE)
            .map(|(file, refused)| {
                json!({
                    "file": file,
                    "line": refused.line,
                    "column": refused.column,
                    "keyword": refused.refusal.keyword,
                    "message": refused.refusal.message,
                })
            })
            .collect();
        let next = cursor + refused.len();
        json!({
            "taken": report.taken(),
            "files": files,
            "refused": refused,
            "cursor": (next < report.refused()).then_some(next),
        })
    }

    /// The rules with the most alerts.
    fn top(&self, count: usize) -> Value {
        let mut all: Vec<(&Compiled, u64)> =
            self.plan.rules.all.iter().zip(self.inspector.by_rule.iter().copied()).collect();
        all.retain(|(_, alerts)| *alerts > 0);
        all.sort_by_key(|(_, alerts)| std::cmp::Reverse(*alerts));
        let shown = all.into_iter().take(count).map(|(rule, alerts)| {
            let meta = &rule.rule.meta;
            json!({ "gid": meta.gid, "sid": meta.sid, "signature": &*meta.message, "alerts": alerts })
        });
        json!({ "alerts": self.inspector.tally.alerts, "rules": shown.collect::<Vec<_>>() })
    }
}
