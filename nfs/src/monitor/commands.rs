//! What an operator can ask of a monitor.

use super::Monitor;
use super::accounts::Total;
use super::flow::{Flow, Seen};
use super::state::is_wanted;
use super::top::{By, MOST};
use engine::{Command, CommandError, PAGE, Selector};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wire::FlowKey;

pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "top",
        summary: "the largest flows of the last sweep, at most 32: {\"by\": \"bytes\" or \"packets\", \"count\": 10}",
    },
    Command {
        name: "flows",
        summary: "flows, at most 256 at a time: {\"cursor\": 0, \"selector\": {\"address\", \"port\", \"protocol\", \"since\"}}",
    },
    Command { name: "protocols", summary: "packets and bytes by IP protocol" },
    Command { name: "reset", summary: "forgets all flows and totals; forgotten flows are not reported" },
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Top {
    by: By,
    count: usize,
}

impl Default for Top {
    fn default() -> Self {
        Top { by: By::Bytes, count: 10 }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Flows {
    cursor: u64,
    selector: Selector,
}

/// Where to go on, and how many flows the steps before this one have forgotten.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Reset {
    cursor: u64,
    forgotten: usize,
}

impl Monitor {
    pub(super) fn answer(&mut self, name: &str, arguments: &Value) -> Result<Value, CommandError> {
        match name {
            "top" => {
                let Top { by, count } = crate::arguments(arguments)?;
                let largest = self.top.largest(by, count.min(MOST));
                Ok(largest.map(|(key, flow)| show(key, &flow)).collect())
            }
            "flows" => {
                let Flows { cursor, selector } = crate::arguments(arguments)?;
                let mut flows = Vec::new();
                let next = self.accounts.page(cursor, PAGE, |key, flow| {
                    let wanted = is_wanted(&selector, &key, flow);
                    if wanted {
                        flows.push(show(key, flow));
                    }
                    wanted
                });
                let known = self.accounts.v4.len() + self.accounts.v6.len();
                Ok(json!({ "flows": flows, "known": known, "cursor": next }))
            }
            "protocols" => {
                let totals = (0..=u8::MAX).zip(&self.accounts.protocols[..]);
                let seen = totals.filter(|(_, total)| total.packets > 0);
                let show = |(protocol, total): (u8, &Total)| json!({ "proto": protocol, "packets": total.packets, "bytes": total.bytes });
                Ok(seen.map(show).collect())
            }
            "reset" => {
                let Reset { cursor, forgotten } = crate::arguments(arguments)?;
                let (gone, next) = self.accounts.forget(cursor, PAGE);
                let forgotten = forgotten.saturating_add(gone);
                if let Some(cursor) = next {
                    return Err(CommandError::Unfinished(json!(Reset { cursor, forgotten })));
                }
                self.accounts.forget_totals();
                self.published[..super::OF_PROTOCOLS].fill(0);
                self.top = super::top::Top::new();
                Ok(json!({ "forgotten": forgotten }))
            }
            _ => Err(CommandError::Unknown(name.to_owned())),
        }
    }
}

fn show(key: FlowKey, flow: &Flow) -> Value {
    let seen = Seen::new(key, flow);
    json!({
        "src": seen.key.source().to_string(),
        "sport": seen.key.source_port(),
        "dst": seen.key.destination().to_string(),
        "dport": seen.key.destination_port(),
        "proto": seen.key.protocol(),
        "packets": seen.packets[0],
        "bytes": seen.bytes[0],
        "packets_back": seen.packets[1],
        "bytes_back": seen.bytes[1],
        "tcp_flags": seen.tcp_flags[0],
        "tcp_flags_back": seen.tcp_flags[1],
        "first": seen.first.to_string(),
        "last": seen.last.to_string(),
    })
}
