//! State leaves and enters as records: neighbours, changes of routes, and what is left of the errors' budget.

use super::Router;
use super::interface::Hop;
use super::neighbours::{Neighbour, Neighbours, QUESTIONS};
use super::route::{Route, Written, parse_route};
use super::routes::Change;
use engine::{Cursor, Cx, PAGE, Record, Role, Scope, Selector, State, StateError, Time};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::net::IpAddr;
use wire::{Mac, Prefix};

const NEIGHBOUR: &str = "neighbour";
const ROUTE: &str = "route";
const BUDGET: &str = "icmp_budget";
const VERSION: u32 = 1;
/// Bits of a cursor that say which kind of record is next; those below say where.
const SECTION: u32 = 62;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NeighbourKey {
    interface: String,
    address: IpAddr,
}

/// Times in nanoseconds since the epoch.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NeighbourValue {
    mac: Option<String>,
    heard: u64,
    asked: u8,
    due: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteKey {
    prefix: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteValue {
    /// As in the configuration, without the prefix; none: it was deleted.
    route: Option<String>,
    changed: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BudgetKey {
    worker: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BudgetValue {
    tokens: u64,
    at: u64,
}

/// A record that was understood.
enum Parsed {
    Neighbour(Hop, Neighbour),
    Route(Prefix, Change),
    Budget(usize, u64, Time),
}

fn record(kind: &str, role: Role, key: Value, value: Value) -> Record {
    Record { kind: kind.to_owned(), version: VERSION, role, scope: Scope::Shared, key, value }
}

fn typed<T: for<'de> Deserialize<'de>>(value: &Value) -> Result<T, String> {
    T::deserialize(value).map_err(|error| error.to_string())
}

impl Router {
    fn parse(&self, record: &Record) -> Result<Parsed, StateError> {
        let known = [NEIGHBOUR, ROUTE, BUDGET].contains(&record.kind.as_str());
        if !known {
            return Err(StateError::UnknownKind(record.kind.clone()));
        }
        if record.version > VERSION {
            let kind = record.kind.clone();
            return Err(StateError::TooNew { kind, found: record.version, known: VERSION });
        }
        let parsed = match record.kind.as_str() {
            NEIGHBOUR => self.parse_neighbour(record),
            ROUTE => self.parse_route(record),
            _ => {
                let parse = |record: &Record| -> Result<Parsed, String> {
                    let (key, value): (BudgetKey, BudgetValue) = (typed(&record.key)?, typed(&record.value)?);
                    Ok(Parsed::Budget(key.worker, value.tokens, Time::from_nanos(value.at)))
                };
                parse(record)
            }
        };
        parsed.map_err(|message| StateError::Malformed { kind: record.kind.clone(), message })
    }

    fn parse_neighbour(&self, record: &Record) -> Result<Parsed, String> {
        let (key, value): (NeighbourKey, NeighbourValue) = (typed(&record.key)?, typed(&record.value)?);
        let interface =
            self.plan.named(&key.interface).ok_or_else(|| format!("no interface '{}'", key.interface))?;
        let mac = value.mac.map(|text| text.parse::<Mac>()).transpose().map_err(|error| error.to_string())?;
        // A gateway may be in no network of the interface.
        let near = !(self.is_own(key.address) || key.address.is_multicast() || key.address.is_unspecified());
        if mac.is_some_and(|mac| !mac.is_unicast()) || value.asked > QUESTIONS || !near {
            return Err(format!("{} is no neighbour", key.address));
        }
        let neighbour = Neighbour {
            mac,
            fixed: false,
            heard: Time::from_nanos(value.heard),
            asked: value.asked,
            due: Time::from_nanos(value.due),
            told: Time::ZERO,
        };
        Ok(Parsed::Neighbour(Hop { interface, address: key.address }, neighbour))
    }

    fn parse_route(&self, record: &Record) -> Result<Parsed, String> {
        let (key, value): (RouteKey, RouteValue) = (typed(&record.key)?, typed(&record.value)?);
        let prefix: Prefix = key.prefix.parse().map_err(|error| format!("{}: {error}", key.prefix))?;
        let route = match value.route {
            Some(route) => Some(parse_route(&format!("{prefix} {route}"), &self.plan.interfaces)?.1),
            None => None,
        };
        Ok(Parsed::Route(prefix, (route, Time::from_nanos(value.changed))))
    }

    fn neighbour_record(&self, hop: &Hop, known: &Neighbour) -> Record {
        let interface = self.plan.interface(hop.interface).map_or_else(String::new, |i| i.name.clone());
        let value = NeighbourValue {
            mac: known.mac.map(|mac| mac.to_string()),
            heard: known.heard.as_nanos(),
            asked: known.asked,
            due: known.due.as_nanos(),
        };
        let key = NeighbourKey { interface, address: hop.address };
        record(NEIGHBOUR, Role::Supporting, json!(key), json!(value))
    }

    fn route_record(&self, prefix: Prefix, route: Option<&Route>, changed: Time) -> Record {
        let route = route.map(|route| Written(route, &self.plan.interfaces).to_string());
        let value = RouteValue { route, changed: changed.as_nanos() };
        record(ROUTE, Role::Configuring, json!(RouteKey { prefix: prefix.to_string() }), json!(value))
    }

    /// Records of neighbours from a place on; where to go on.
    fn export_neighbours(&self, from: u64, selector: &Selector, out: &mut Vec<Record>) -> Option<u64> {
        self.neighbours.page(from, PAGE, |hop, known| {
            let near = selector.address.is_none_or(|prefix| prefix.contains(hop.address));
            let wanted =
                !known.fixed && near && selector.wants_time(known.heard) && self.neighbours.is_mine(hop);
            if wanted {
                out.push(self.neighbour_record(hop, known));
            }
            wanted
        })
    }

    /// Takes over from a former instance: what fits the new configuration.
    pub(super) fn inherit(&mut self, mut old: Router, cx: &mut Cx<'_>) {
        self.errors.inherit(&old.errors);
        if self.routes.same_origin(&old.routes) {
            self.plan.inherit_routes(&old.routes);
            self.share_routes();
        } else if self.worker.index == 0 {
            let usable = |route: &Route| {
                parse_route(&format!("::/0 {}", Written(route, &old.plan.interfaces)), &self.plan.interfaces)
                    .or_else(|_| {
                        let text = format!("0.0.0.0/0 {}", Written(route, &old.plan.interfaces));
                        parse_route(&text, &self.plan.interfaces)
                    })
                    .ok()
                    .map(|(_, route)| route)
            };
            // Routes of interfaces that are gone are let go.
            let changes: Vec<(Prefix, Change)> = old
                .routes
                .changes()
                .into_iter()
                .filter_map(|(prefix, (route, at))| match route {
                    None => Some((prefix, (None, at))),
                    Some(route) => usable(&route).map(|route| (prefix, (Some(route), at))),
                })
                .filter(|(prefix, _)| !self.routes.is_fixed(*prefix))
                .collect();
            if !changes.is_empty() && !self.routes.change(changes) {
                cx.event("routes_lost", 0);
            }
        }
        if self.plan.same_neighbours(&old.plan) {
            let fresh = Neighbours::new(&self.plan, self.worker);
            self.neighbours = std::mem::replace(&mut old.neighbours, fresh);
            self.neighbours.move_to(self.worker);
        } else {
            for (hop, known) in old.neighbours.all() {
                let name = old.plan.interface(hop.interface).map(|interface| interface.name.as_str());
                let place = name.and_then(|name| self.plan.named(name));
                let new = place.and_then(|interface| self.neighbour(interface, hop.address));
                if let (Some(new), Some(_), false) = (new, known.mac, known.fixed)
                    && self.neighbours.get(&new).is_none()
                {
                    self.neighbours.put(new, known);
                }
            }
        }
        old.let_go(cx);
        self.readjust();
    }
}

impl State for Router {
    fn export(&self, cursor: Cursor, selector: &Selector, out: &mut Vec<Record>) -> Option<Cursor> {
        if selector.port.is_some() || selector.protocol.is_some() {
            return None;
        }
        let (section, from) = (cursor.0 >> SECTION, cursor.0 & ((1 << SECTION) - 1));
        match section {
            0 => {
                let next = selector
                    .wants_kind(NEIGHBOUR)
                    .then(|| self.export_neighbours(from, selector, out))
                    .flatten();
                Some(Cursor(next.unwrap_or(1 << SECTION)))
            }
            1 => {
                let from = usize::try_from(from).unwrap_or(usize::MAX);
                let wanted = self.worker.index == 0 && selector.wants_kind(ROUTE);
                let changes = if wanted { self.routes.changes() } else { Default::default() };
                for (prefix, (route, at)) in changes.iter().skip(from).take(PAGE) {
                    let within = match (selector.address, prefix) {
                        (None, _) => true,
                        (Some(Prefix::V4(wide)), Prefix::V4(prefix)) => wide.includes(*prefix),
                        (Some(Prefix::V6(wide)), Prefix::V6(prefix)) => wide.includes(*prefix),
                        _ => false,
                    };
                    if within && selector.wants_time(*at) {
                        out.push(self.route_record(*prefix, route.as_ref(), *at));
                    }
                }
                let next = from.saturating_add(PAGE);
                let more = next < changes.len();
                Some(Cursor(if more { 1 << SECTION | next as u64 } else { 2 << SECTION }))
            }
            _ => {
                let wanted = selector.wants_kind(BUDGET) && selector.address.is_none();
                if wanted && selector.wants_time(self.errors.at) {
                    let value = BudgetValue { tokens: self.errors.tokens, at: self.errors.at.as_nanos() };
                    let key = BudgetKey { worker: self.worker.index };
                    out.push(record(BUDGET, Role::Supporting, json!(key), json!(value)));
                }
                None
            }
        }
    }

    fn import(&mut self, records: &[Record]) -> Result<(), StateError> {
        let parsed = records.iter().map(|record| self.parse(record)).collect::<Result<Vec<_>, _>>()?;
        let new: HashSet<Hop> = parsed
            .iter()
            .filter_map(|parsed| match parsed {
                Parsed::Neighbour(hop, _) => Some(*hop),
                _ => None,
            })
            .filter(|hop| self.neighbours.get(hop).is_none())
            .collect();
        let (needed, capacity) = (self.neighbours.len() + new.len(), self.neighbours.capacity());
        if needed > capacity {
            return Err(StateError::Full { needed, capacity });
        }
        let mut changes = Vec::new();
        for parsed in parsed {
            match parsed {
                Parsed::Neighbour(hop, neighbour) => {
                    if self.neighbours.get(&hop).is_none_or(|known| !known.fixed) {
                        self.neighbours.put(hop, neighbour);
                    }
                }
                // All workers share the routes: the first one changes them.
                Parsed::Route(prefix, change) if self.worker.index == 0 && !self.routes.is_fixed(prefix) => {
                    changes.push((prefix, change));
                }
                Parsed::Budget(worker, tokens, at) if worker == self.worker.index => {
                    (self.errors.tokens, self.errors.at) = (tokens, at);
                }
                Parsed::Route(..) | Parsed::Budget(..) => {}
            }
        }
        if !changes.is_empty() && !self.routes.change(changes) {
            let message = "there is no thread to compile the routes".to_owned();
            return Err(StateError::Malformed { kind: ROUTE.to_owned(), message });
        }
        self.readjust();
        Ok(())
    }
}
