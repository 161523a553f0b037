//! What an operator can ask of a monitor.

use super::Monitor;
use super::accounts::Total;
use super::assets;
use super::flow::{Flow, Seen};
use super::sketch::{self, Sketches};
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
    Command {
        name: "distinct",
        summary: "how many different sources, destinations, services and flows there were, with the standard error",
    },
    Command {
        name: "movers",
        summary: "hosts and services with most bytes, at most 32 each, with bounds of the error: {\"count\": 10}",
    },
    Command {
        name: "assets",
        summary: "hosts and what is known of them, at most 32 at a time: {\"cursor\": 0, \"selector\": {\"address\", \"since\"}}",
    },
    Command {
        name: "reset",
        summary: "forgets all flows, totals and sketches; forgotten flows are not reported",
    },
];

/// What several workers have counted in sketches is one count.
pub(super) fn follows_from(command: &str) -> &'static [&'static str] {
    match command {
        "distinct" => &[sketch::DISTINCT],
        "movers" => &[sketch::BYTES, sketch::LARGEST],
        _ => &[],
    }
}

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

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Movers {
    count: usize,
}

impl Default for Movers {
    fn default() -> Self {
        Movers { count: 10 }
    }
}

/// Flows or assets, from where on.
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
            "distinct" => Ok(self.sketches()?.numbers()),
            "movers" => {
                let Movers { count } = crate::arguments(arguments)?;
                Ok(self.sketches()?.movers(count))
            }
            "assets" => {
                let Flows { cursor, selector } = crate::arguments(arguments)?;
                let known = self.exits.assets.as_ref();
                let known =
                    known.ok_or_else(|| CommandError::Failed("assets are not configured".to_owned()))?;
                let mut shown = Vec::new();
                let next = known.page(cursor, PAGE / 8, |host, asset| {
                    let wanted = assets::is_wanted(&selector, host, asset);
                    if wanted {
                        shown.push(assets::show(host, asset));
                    }
                    wanted
                });
                Ok(json!({ "assets": shown, "known": known.len(), "cursor": next }))
            }
            "reset" => {
                let Reset { cursor, forgotten } = crate::arguments(arguments)?;
                let (gone, next) = self.accounts.forget(cursor, PAGE);
                let forgotten = forgotten.saturating_add(gone);
                if let Some(cursor) = next {
                    return Err(CommandError::Unfinished(json!(Reset { cursor, forgotten })));
                }
                self.accounts.forget_totals();
                self.exits.sketches = self.exits.sketches.as_ref().map(|_| Box::new(Sketches::new()));
                self.published[..super::OF_PROTOCOLS].fill(0);
                self.top = super::top::Top::new();
                Ok(json!({ "forgotten": forgotten }))
            }
            _ => Err(CommandError::Unknown(name.to_owned())),
        }
    }

    fn sketches(&self) -> Result<&Sketches, CommandError> {
        let sketches = self.exits.sketches.as_deref();
        sketches.ok_or_else(|| CommandError::Failed("sketches are not configured".to_owned()))
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
