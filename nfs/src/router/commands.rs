//! What an operator can ask of a router, and tell it.

use super::Router;
use super::interface::Hop;
use super::route::{Written, parse_route};
use engine::{Command, CommandError, PAGE, Time};
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::IpAddr;
use wire::Prefix;

pub(super) const COMMANDS: &[Command] = &[
    Command { name: "routes", summary: "routes in order, at most 256 at a time: {\"cursor\": 0}" },
    Command {
        name: "route_add",
        summary: "adds or replaces routes: {\"routes\": [\"10.0.0.0/8 via 192.0.2.1\"]}",
    },
    Command { name: "route_delete", summary: "deletes routes: {\"prefixes\": [\"10.0.0.0/8\"]}" },
    Command { name: "route_to", summary: "the route to an address: {\"address\": \"10.1.2.3\"}" },
    Command { name: "neighbours", summary: "neighbours, at most 256 at a time: {\"cursor\": 0}" },
    Command {
        name: "neighbour_forget",
        summary: "forgets a neighbour, or all that were learned: {\"address\": \"192.0.2.1\"}",
    },
];

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Page {
    cursor: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Add {
    routes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delete {
    prefixes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct To {
    address: IpAddr,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Forget {
    address: Option<IpAddr>,
}

fn bad(message: impl ToString) -> CommandError {
    CommandError::Arguments(message.to_string())
}

impl Router {
    pub(super) fn answer(&mut self, name: &str, arguments: &Value) -> Result<Value, CommandError> {
        match name {
            "routes" => Ok(self.list_routes(&crate::arguments(arguments)?)),
            "route_add" => {
                let Add { routes } = crate::arguments(arguments)?;
                let mut changes = Vec::with_capacity(routes.len());
                for text in &routes {
                    let (prefix, route) = parse_route(text, &self.plan.interfaces)
                        .map_err(|message| bad(format!("'{text}': {message}")))?;
                    changes.push((self.changeable(prefix)?, Some(route)));
                }
                self.change_routes(changes)?;
                Ok(json!({ "added": routes.len() }))
            }
            "route_delete" => {
                let Delete { prefixes } = crate::arguments(arguments)?;
                let mut changes = Vec::with_capacity(prefixes.len());
                for text in &prefixes {
                    let prefix: Prefix = text.parse().map_err(|error| bad(format!("'{text}': {error}")))?;
                    // The first worker deletes for all, which may see it already.
                    if self.worker.index == 0 && !self.routes.has(prefix) {
                        return Err(CommandError::Failed(format!("there is no route to {prefix}")));
                    }
                    changes.push((self.changeable(prefix)?, None));
                }
                self.change_routes(changes)?;
                Ok(json!({ "deleted": prefixes.len() }))
            }
            "route_to" => {
                let To { address } = crate::arguments(arguments)?;
                let way = match address {
                    IpAddr::V4(address) => self.table.v4.lookup(address.into()),
                    IpAddr::V6(address) => self.table.v6.lookup(address.into()),
                };
                let way = way.and_then(|way| self.table.ways.get(way as usize));
                let route = way.map(|way| Written(&way.route, &self.plan.interfaces).to_string());
                Ok(json!({ "address": address, "route": route }))
            }
            "neighbours" => Ok(self.list_neighbours(&crate::arguments(arguments)?)),
            "neighbour_forget" => {
                let Forget { address } = crate::arguments(arguments)?;
                Ok(json!({ "forgotten": self.forget(address) }))
            }
            _ => Err(CommandError::Unknown(name.to_owned())),
        }
    }

    fn changeable(&self, prefix: Prefix) -> Result<Prefix, CommandError> {
        if self.routes.is_fixed(prefix) {
            let message = format!("the route to {prefix} comes and goes with its interface");
            return Err(CommandError::Failed(message));
        }
        Ok(prefix)
    }

    /// All workers are given the command and share the routes: the first one changes them.
    fn change_routes(
        &mut self,
        changes: Vec<(Prefix, Option<super::route::Route>)>,
    ) -> Result<(), CommandError> {
        if self.worker.index != 0 || changes.is_empty() {
            return Ok(());
        }
        let now = self.now;
        if self.routes.change(changes.into_iter().map(|(prefix, route)| (prefix, (route, now)))) {
            Ok(())
        } else {
            Err(CommandError::Failed("there is no thread to compile the routes".to_owned()))
        }
    }

    fn list_routes(&self, page: &Page) -> Value {
        let from = usize::try_from(page.cursor).unwrap_or(usize::MAX);
        let text = |(prefix, route)| format!("{prefix} {}", Written(route, &self.plan.interfaces));
        let routes: Vec<String> = self.table.list(from).take(PAGE).map(text).collect();
        let next = from.saturating_add(routes.len());
        let cursor = (next < self.table.len() && !routes.is_empty()).then_some(next);
        json!({
            "routes": routes,
            "known": self.table.len(),
            "bytes": self.table.v4.bytes() + self.table.v6.bytes(),
            "version": self.table.version,
            "cursor": cursor,
        })
    }

    fn list_neighbours(&self, page: &Page) -> Value {
        let mut neighbours = Vec::new();
        let next = self.neighbours.page(page.cursor, PAGE, |hop, known| {
            let state = match (known.fixed, known.mac, known.asked) {
                (true, ..) => "static",
                (_, None, _) => "sought",
                (_, Some(_), 0) => "reachable",
                _ => "asked",
            };
            neighbours.push(json!({
                "address": hop.address,
                "interface": self.plan.interface(hop.interface).map(|interface| interface.name.clone()),
                "mac": known.mac.map(|mac| mac.to_string()),
                "state": state,
                "heard": if known.heard == Time::ZERO { None } else { Some(known.heard.to_string()) },
            }));
            true
        });
        json!({
            "neighbours": neighbours,
            "known": self.neighbours.len(),
            "capacity": self.neighbours.capacity(),
            "cursor": next,
        })
    }

    /// Forgets neighbours that were learned; those that are sought are left to their time-out.
    fn forget(&mut self, address: Option<IpAddr>) -> usize {
        let mut gone: Vec<Hop> = Vec::new();
        for (hop, known) in self.neighbours.all() {
            let wanted = address.is_none_or(|address| address == hop.address);
            if wanted && !known.fixed && known.mac.is_some() {
                gone.push(hop);
            }
        }
        for hop in &gone {
            self.neighbours.remove(hop);
            self.adjust(hop);
        }
        gone.len()
    }
}
