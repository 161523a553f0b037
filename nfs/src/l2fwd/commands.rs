//! What an operator can ask of a switch, and tell it.

use super::L2Fwd;
use super::station::Station;
use engine::{Command, CommandError, PAGE};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(super) const COMMANDS: &[Command] = &[
    Command { name: "show", summary: "stations and their ports, at most 256 at a time: {\"cursor\": 0}" },
    Command {
        name: "flush",
        summary: "forgets what was learned, of one port or of all: {\"port\": \"lan\"}",
    },
    Command {
        name: "add",
        summary: "gives a station a place: {\"station\": \"02:00:00:00:00:01\", \"port\": \"lan\"}",
    },
    Command { name: "remove", summary: "forgets a station: {\"station\": \"02:00:00:00:00:01\"}" },
];

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Show {
    cursor: u64,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Flush {
    port: Option<String>,
    /// Where to go on, and how many the steps before this one have forgotten.
    cursor: u64,
    forgotten: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Add {
    station: String,
    port: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Remove {
    station: String,
}

impl L2Fwd {
    pub(super) fn answer(&mut self, name: &str, arguments: &Value) -> Result<Value, CommandError> {
        match name {
            "show" => Ok(self.show(&crate::arguments(arguments)?)),
            "flush" => {
                let Flush { port, cursor, forgotten } = crate::arguments(arguments)?;
                let number = port.as_ref().map(|name| self.port(name)).transpose()?;
                let (gone, next) = self.table.flush(number, cursor, PAGE);
                let forgotten = forgotten.saturating_add(gone);
                match next {
                    None => Ok(json!({ "forgotten": forgotten })),
                    Some(cursor) => Err(CommandError::Unfinished(json!(Flush { port, cursor, forgotten }))),
                }
            }
            "add" => {
                let Add { station, port } = crate::arguments(arguments)?;
                let (station, port) = (self.station(&station)?, self.port(&port)?);
                if !self.table.fix(station, port) {
                    let capacity = self.table.capacity();
                    return Err(CommandError::Failed(format!("the table is full: {capacity} stations")));
                }
                Ok(json!({ "added": station.to_string() }))
            }
            "remove" => {
                let Remove { station } = crate::arguments(arguments)?;
                let station = self.station(&station)?;
                Ok(json!({ "removed": self.table.remove(station) }))
            }
            _ => Err(CommandError::Unknown(name.to_owned())),
        }
    }

    fn show(&self, arguments: &Show) -> Value {
        let mut stations = Vec::new();
        let next = self.table.page(arguments.cursor, PAGE, |station, place| {
            stations.push(json!({
                "mac": station.mac().to_string(),
                "vlan": station.vlan(),
                "port": self.plan.port_name(place.port),
                "static": place.fixed,
                "seen": place.seen.to_string(),
            }));
            true
        });
        json!({
            "stations": stations,
            "known": self.table.len(),
            "capacity": self.table.capacity(),
            "cursor": next,
        })
    }

    fn station(&self, written: &str) -> Result<Station, CommandError> {
        Station::parse(written, self.plan.vlan_aware).map_err(CommandError::Arguments)
    }

    fn port(&self, name: &str) -> Result<u16, CommandError> {
        self.plan.port(name).ok_or_else(|| {
            let known = self.plan.ports.join(", ");
            CommandError::Arguments(format!("no port '{name}'; the ports are: {known}"))
        })
    }
}
