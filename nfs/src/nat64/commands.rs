//! What an operator can ask of a translator.

use super::Nat64;
use super::sessions::Outline;
use super::state::{Text, is_wanted};
use crate::nat::Endpoint;
use engine::{Command, CommandError, PAGE, Selector};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "mappings",
        summary: "which IPv4 endpoint stands for which IPv6 one, at most 256 at a time: {\"cursor\": 0}",
    },
    Command {
        name: "sessions",
        summary: "sessions, at most 256 at a time: {\"cursor\": 0, \"selector\": {\"address\", \"port\", \"protocol\", \"since\"}}",
    },
    Command { name: "pool", summary: "IPv4 addresses with their ports in use, 256 at a time: {\"from\": 0}" },
    Command { name: "forget", summary: "ends all sessions of a host: {\"address\": \"2001:db8::5\"}" },
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
    address: IpAddr,
    /// Where to go on, and how many the steps before this one have forgotten.
    #[serde(default)]
    cursor: u64,
    #[serde(default)]
    forgotten: usize,
}

impl Nat64 {
    pub(super) fn answer(&mut self, name: &str, arguments: &Value) -> Result<Value, CommandError> {
        let translator = &mut self.translator;
        match name {
            "mappings" => {
                let Cursor { cursor } = crate::arguments(arguments)?;
                let mut shown = Vec::new();
                let next = translator.bib.page(cursor, PAGE, |inside, binding| {
                    shown.push(json!({
                        "inside": Text(inside).to_string(),
                        "outside": text(binding.outside),
                        "proto": binding.outside.protocol,
                        "sessions": binding.sessions,
                    }));
                    true
                });
                Ok(json!({ "mappings": shown, "known": translator.bib.len(), "cursor": next }))
            }
            "sessions" => {
                let Page { cursor, selector } = crate::arguments(arguments)?;
                let mut shown = Vec::new();
                let next = translator.sessions.page(cursor, PAGE, |_, outline| {
                    let wanted = is_wanted(&selector, outline);
                    if wanted {
                        shown.push(show(outline));
                    }
                    wanted
                });
                Ok(json!({ "sessions": shown, "known": translator.sessions.len(), "cursor": next }))
            }
            "pool" => {
                let From { from } = crate::arguments(arguments)?;
                let addresses = translator.plan.pool.iter().enumerate().skip(from).take(PAGE);
                let show = |(place, &address): (usize, &u32)| {
                    let [tcp, udp, icmp] = translator.bib.ports_in_use(place);
                    json!({ "address": Ipv4Addr::from(address), "tcp": tcp, "udp": udp, "icmp": icmp })
                };
                Ok(json!({
                    "addresses": addresses.map(show).collect::<Vec<_>>(),
                    "known": translator.plan.pool.len(),
                }))
            }
            "forget" => {
                let Forget { address, cursor, forgotten } = crate::arguments(arguments)?;
                let is_of = |outline: &Outline| match address {
                    IpAddr::V6(address) => outline.key.host == u128::from(address),
                    IpAddr::V4(address) => {
                        [outline.key.peer, outline.outside.address].contains(&address.into())
                    }
                };
                let mut of_host = Vec::new();
                let next = translator.sessions.page(cursor, PAGE, |_, outline| {
                    let is_end = is_of(outline);
                    if is_end {
                        of_host.push(outline.key);
                    }
                    is_end
                });
                let forgotten = forgotten.saturating_add(of_host.len());
                for key in of_host {
                    translator.end(&key);
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
    let Outline { key, outside, state, last, ends } = outline;
    json!({
        "host": Text(key.inside()).to_string(),
        "outside": text(*outside),
        "peer": SocketAddrV4::new(key.peer.into(), key.peer_port).to_string(),
        "proto": outside.protocol,
        "state": state.map(|state| state.name()),
        "last": last.to_string(),
        "ends": ends.to_string(),
    })
}
