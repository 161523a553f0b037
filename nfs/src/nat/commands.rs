//! What an operator can ask of a translator.

use super::Nat;
use super::sessions::Outline;
use super::state::is_wanted;
use super::tuple::Endpoint;
use engine::{Command, CommandError, PAGE, Selector};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddrV4};

pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "mappings",
        summary: "which outside endpoint stands for which inside one, at most 256 at a time: {\"cursor\": 0}",
    },
    Command {
        name: "sessions",
        summary: "sessions, at most 256 at a time: {\"cursor\": 0, \"selector\": {\"address\", \"port\", \"protocol\", \"since\"}}",
    },
    Command {
        name: "pool",
        summary: "outside addresses with their ports in use, 256 at a time: {\"from\": 0}",
    },
    Command { name: "forget", summary: "ends all sessions of a host: {\"address\": \"10.0.0.5\"}" },
];

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Page {
    cursor: u64,
    selector: Selector,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct From {
    from: usize,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Cursor {
    cursor: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Forget {
    address: Ipv4Addr,
    /// Where to go on, and how many the steps before this one have forgotten.
    #[serde(default)]
    cursor: u64,
    #[serde(default)]
    forgotten: usize,
}

impl Nat {
    pub(super) fn answer(&mut self, name: &str, arguments: &Value) -> Result<Value, CommandError> {
        match name {
            "mappings" => {
                let Cursor { cursor } = crate::arguments(arguments)?;
                let mut shown = Vec::new();
                let next = self.translator.mappings.page(cursor, PAGE, |inside, mapping| {
                    shown.push(json!({
                        "inside": text(inside),
                        "outside": text(mapping.outside),
                        "proto": inside.protocol,
                        "sessions": mapping.sessions,
                    }));
                    true
                });
                Ok(json!({ "mappings": shown, "known": self.translator.mappings.len(), "cursor": next }))
            }
            "sessions" => {
                let Page { cursor, selector } = crate::arguments(arguments)?;
                let mut shown = Vec::new();
                let next = self.translator.sessions.page(cursor, PAGE, |_, outline| {
                    let wanted = is_wanted(&selector, outline);
                    if wanted {
                        shown.push(show(outline));
                    }
                    wanted
                });
                Ok(json!({ "sessions": shown, "known": self.translator.sessions.len(), "cursor": next }))
            }
            "pool" => {
                let From { from } = crate::arguments(arguments)?;
                let addresses = self.translator.plan.pool.iter().enumerate().skip(from).take(PAGE);
                let show = |(place, &address): (usize, &u32)| {
                    let [tcp, udp, icmp] = self.translator.mappings.ports_in_use(place);
                    json!({ "address": Ipv4Addr::from(address), "tcp": tcp, "udp": udp, "icmp": icmp })
                };
                Ok(json!({
                    "addresses": addresses.map(show).collect::<Vec<_>>(),
                    "known": self.translator.plan.pool.len(),
                }))
            }
            "forget" => {
                let Forget { address, cursor, forgotten } = crate::arguments(arguments)?;
                let mut of_host = Vec::new();
                let next = self.translator.sessions.page(cursor, PAGE, |index, outline| {
                    let Outline { key, result, .. } = outline;
                    let is_end = [key.src, key.dst, result.src, result.dst].contains(&address.into());
                    if is_end {
                        of_host.push(index);
                    }
                    is_end
                });
                let forgotten = forgotten.saturating_add(of_host.len());
                for index in of_host {
                    self.translator.end(index);
                }
                match next {
                    None => Ok(json!({ "forgotten": forgotten })),
                    Some(cursor) => {
                        Err(CommandError::Unfinished(json!(Forget { address, cursor, forgotten })))
                    }
                }
            }
            _ => Err(CommandError::Unknown(name.to_owned())),
        }
    }
}

fn text(endpoint: Endpoint) -> String {
    SocketAddrV4::new(endpoint.address.into(), endpoint.port).to_string()
}

fn show(outline: &Outline) -> Value {
    let Outline { key, result, state, .. } = outline;
    json!({
        "from": text(key.source()),
        "to": text(key.destination()),
        "translated_from": text(result.source()),
        "translated_to": text(result.destination()),
        "proto": key.protocol(),
        "state": match key.protocol() {
            wire::protocol::ip::TCP => state.name(),
            _ if state.has_answer() => "answered",
            _ => "unanswered",
        },
        "since": outline.since.to_string(),
        "last": outline.last[0].max(outline.last[1]).to_string(),
    })
}
