//! What an operator, or who checks back-ends for him, can ask of a load balancer and tell it.

use super::config::MOST_WEIGHT;
use super::{Health, Lb};
use engine::{Command, CommandError, PAGE};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::SocketAddr;

pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "set",
        summary: "says how a back-end is: {\"backend\": \"web1\", \"health\": \"up\", \"drain\" or \"down\", \"weight\": 2}",
    },
    Command { name: "show", summary: "services and their back-ends: health, weight, share of the table" },
    Command { name: "connections", summary: "connections, at most 256 at a time: {\"cursor\": 0}" },
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Set {
    /// `web1`, of every service that has one, `192.0.2.1:80/web1`, of both protocols, or `tcp 192.0.2.1:80/web1`.
    backend: String,
    health: Option<Health>,
    weight: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Page {
    cursor: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

impl Lb {
    pub(super) fn answer(&mut self, name: &str, arguments: &Value) -> Result<Value, CommandError> {
        match name {
            "set" => self.set(&crate::arguments(arguments)?),
            "show" => {
                let Nothing {} = crate::arguments(arguments)?;
                Ok((0..self.plan.services.len()).map(|service| self.show(service)).collect())
            }
            "connections" => {
                let Page { cursor } = crate::arguments(arguments)?;
                let mut connections = Vec::new();
                let next = self.page(cursor, PAGE, |key, connection| {
                    let backend = self.plan.backends.get(usize::from(connection.backend));
                    connections.push(json!({
                        "client": SocketAddr::new(key.source(), key.source_port()).to_string(),
                        "service": SocketAddr::new(key.destination(), key.destination_port()).to_string(),
                        "proto": key.protocol(),
                        "backend": backend.map(|backend| backend.name.as_str()),
                        "last": connection.last.to_string(),
                    }));
                    true
                });
                let known = self.v4.len() + self.v6.len();
                Ok(json!({ "connections": connections, "known": known, "cursor": next }))
            }
            _ => Err(CommandError::Unknown(name.to_owned())),
        }
    }

    fn set(&mut self, wanted: &Set) -> Result<Value, CommandError> {
        if wanted.weight.is_some_and(|weight| weight > MOST_WEIGHT) {
            return Err(CommandError::Arguments(format!("'weight' is above {MOST_WEIGHT}")));
        }
        let plan = std::sync::Arc::clone(&self.plan);
        let is_meant = |name: &str| {
            let after = |sign| name.split_once(sign).map(|(_, rest)| rest);
            [Some(name), after(' '), after('/')].contains(&Some(wanted.backend.as_str()))
        };
        let meant: Vec<usize> =
            (0..plan.backends.len()).filter(|&n| is_meant(&plan.backends[n].name)).collect();
        if meant.is_empty() {
            return Err(CommandError::Arguments(format!("there is no back-end '{}'", wanted.backend)));
        }
        let mut changed = BTreeSet::new();
        for &n in &meant {
            let before = self.standings[n];
            let standing = &mut self.standings[n];
            standing.health = wanted.health.unwrap_or(standing.health);
            standing.weight = wanted.weight.unwrap_or(standing.weight);
            if *standing != before {
                changed.insert(plan.backends[n].service);
            }
        }
        changed.into_iter().for_each(|service| self.refill(service));
        let names: Vec<&str> = meant.iter().map(|&n| plan.backends[n].name.as_str()).collect();
        Ok(json!({ "set": names }))
    }

    fn show(&self, service: usize) -> Value {
        let known = &self.plan.services[service];
        let (address, port, protocol) = known.endpoint;
        let table = &self.tables[service];
        let backends: Vec<Value> = known
            .backends
            .clone()
            .map(|n| {
                let (backend, standing) = (&self.plan.backends[n], self.standings[n]);
                json!({
                    "name": backend.name,
                    "address": SocketAddr::new(backend.address, backend.port).to_string(),
                    "health": standing.health,
                    "weight": standing.weight,
                    "places": table.iter().filter(|place| usize::from(**place) == n).count(),
                })
            })
            .collect();
        json!({
            "service": SocketAddr::new(address, port).to_string(),
            "proto": protocol,
            "places": table.len(),
            "backends": backends,
        })
    }
}
