//! What a user says of a switch, and what is made of it.

use super::station::Station;
use crate::Span;
use engine::{ConfigError, Site};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Configuration of [`super::L2Fwd`].
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Stations that are known beforehand, and the name of the port behind which each is. With `vlan_aware`, a
    /// VLAN can follow the address: `"02:00:00:00:00:01 vlan 5"`.
    pub table: BTreeMap<String, String>,
    /// Learn where stations are from the source addresses of their frames.
    pub learn: bool,
    /// How long a learned station is remembered after its last frame.
    pub ageing: Span,
    /// How many stations can be known at a time, those of `table` included.
    pub capacity: usize,
    /// Know stations by VLAN and address, not by address alone.
    pub vlan_aware: bool,
    /// What becomes of a frame to a station that is not known.
    pub unknown: Unknown,
}

/// What becomes of a frame to a station that is not known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// It goes out by every port but the one it came in by.
    #[default]
    Flood,
    /// It is dropped.
    Drop,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            table: BTreeMap::new(),
            learn: true,
            ageing: Span::seconds(300),
            capacity: 8192,
            vlan_aware: false,
            unknown: Unknown::Flood,
        }
    }
}

/// A configuration that was checked.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Stations known beforehand, and the numbers of their ports.
    pub(super) table: Vec<(Station, u16)>,
    pub(super) learn: bool,
    pub(super) ageing_nanos: u64,
    pub(super) capacity: usize,
    pub(super) vlan_aware: bool,
    pub(super) unknown: Unknown,
    /// Names of all ports, by number.
    pub(super) ports: Vec<String>,
    /// Numbers of the ports behind the gates.
    pub(super) gates: Vec<u16>,
    pub(super) seed: u64,
}

/// Capacities up to this: a table of 16 million stations has about 1.5 GB.
const MOST: usize = 1 << 24;

impl Plan {
    pub(super) fn new(config: &Config, site: &Site) -> Result<Plan, ConfigError> {
        let mut table = Vec::with_capacity(config.table.len());
        for (written, name) in &config.table {
            let station = Station::parse(written, config.vlan_aware).map_err(|message| {
                let help = if config.vlan_aware {
                    "like \"02:00:00:00:00:01 vlan 5\""
                } else {
                    "like \"02:00:00:00:00:01\""
                };
                ConfigError::at("table", message).help(help)
            })?;
            let port = site.port(name).ok_or_else(|| {
                let known = site.ports.join(", ");
                ConfigError::at(
                    "table",
                    format!("station {written} is behind port '{name}', which does not exist"),
                )
                .help(format!("the ports are: {known}"))
            })?;
            if table.iter().any(|(known, _)| *known == station) {
                return Err(ConfigError::at("table", format!("station {written} is there twice")));
            }
            table.push((station, port));
        }
        if config.capacity == 0 || config.capacity > MOST || config.capacity < table.len() {
            let message = format!("capacity {} does not do for {} stations", config.capacity, table.len());
            let help = format!("a number from {} to {MOST}", table.len().max(1));
            return Err(ConfigError::at("capacity", message).help(help));
        }
        if config.learn && config.ageing.as_nanos() == 0 {
            let help = "write \"300s\", or learn = false";
            return Err(ConfigError::at("ageing", "stations that age at once are never known").help(help));
        }
        if site.gates.len() > usize::from(u8::MAX) {
            return Err(ConfigError::at("kind", "a switch has at most 255 destination ports"));
        }
        Ok(Plan {
            table,
            learn: config.learn,
            ageing_nanos: config.ageing.as_nanos(),
            capacity: config.capacity,
            vlan_aware: config.vlan_aware,
            unknown: config.unknown,
            ports: site.ports.clone(),
            gates: site.gates.clone(),
            seed: site.seed,
        })
    }

    /// A table of the other plan is a table of this one.
    pub(super) fn same_table(&self, other: &Plan) -> bool {
        let shape = |plan: &Plan| (plan.learn, plan.ageing_nanos, plan.capacity, plan.vlan_aware, plan.seed);
        shape(self) == shape(other) && self.table == other.table && self.ports == other.ports
    }

    /// The gate that leads to a port.
    pub(super) fn gate(&self, port: u16) -> Option<u8> {
        self.gates.iter().position(|&gate| gate == port).and_then(|gate| u8::try_from(gate).ok())
    }

    /// The number of a port by its name.
    pub(super) fn port(&self, name: &str) -> Option<u16> {
        self.ports.iter().position(|port| port == name).and_then(|port| u16::try_from(port).ok())
    }

    /// The name of a port by its number.
    pub(super) fn port_name(&self, port: u16) -> &str {
        self.ports.get(usize::from(port)).map_or("?", String::as_str)
    }
}
