//! What a user says of a router, and what is made of it.

use super::interface::{Hop, Interface};
use super::route::{Route, RouteError, parse_route};
use super::routes::RouteTable;
use crate::Span;
use engine::{ConfigError, Site};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use wire::{Mac, Prefix};

/// Configuration of [`super::Router`].
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The router's interfaces, by the name of the port that each is on.
    pub interfaces: BTreeMap<String, InterfaceConfig>,
    /// Static routes: `"10.0.0.0/8 via 192.0.2.1"`; several `via` share the flows; `dev PORT` where the gateway is
    /// in no interface's network; `discard` or `unreachable` instead of a gateway.
    pub routes: Vec<String>,
    /// A file of further routes, one a line, `#` begins a comment.
    pub routes_file: Option<String>,
    /// Neighbours whose MAC addresses are fixed, by IP address; a link-local one with its port: `"fe80::1 lan"`.
    pub neighbours: BTreeMap<String, String>,
    /// How long a neighbour counts as reachable after it was last heard; then it is asked again.
    pub reachable: Span,
    /// How many neighbours can be known at a time, each worker all of them.
    pub capacity: usize,
    /// How many ICMP errors may be sent in a second, by all workers together.
    pub icmp_rate: u32,
}

/// One interface.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InterfaceConfig {
    /// Its MAC address.
    pub mac: String,
    /// Its addresses, each with the length of its network's prefix: `"192.0.2.1/24"`.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// The longest IP packet that it sends.
    #[serde(default = "usual_mtu")]
    pub mtu: u16,
}

fn usual_mtu() -> u16 {
    1500
}

impl Default for Config {
    fn default() -> Self {
        Config {
            interfaces: BTreeMap::new(),
            routes: Vec::new(),
            routes_file: None,
            neighbours: BTreeMap::new(),
            reachable: Span::seconds(30),
            capacity: 4096,
            icmp_rate: 1000,
        }
    }
}

/// A configuration that was checked.
pub struct Plan {
    pub(super) interfaces: Arc<[Interface]>,
    /// The interface on each port, by the port's number.
    pub(super) by_port: Vec<Option<u16>>,
    pub(super) neighbours: Vec<(Hop, Mac)>,
    pub(super) reachable_nanos: u64,
    pub(super) capacity: usize,
    /// Errors per second and worker.
    pub(super) icmp_rate: u64,
    routes: Arc<RouteTable>,
    /// The routes of a former plan, with all changes since; set before packets flow.
    inherited: OnceLock<Arc<RouteTable>>,
    pub(super) seed: u64,
}

const MOST_NEIGHBOURS: usize = 1 << 16;

impl Plan {
    pub(super) fn new(config: &Config, site: &Site) -> Result<Plan, ConfigError> {
        let interfaces = interfaces(config, site)?;
        let mut by_port = vec![None; site.ports.len()];
        for (i, interface) in interfaces.iter().enumerate() {
            by_port[usize::from(interface.port)] = Some(i as u16);
        }
        let neighbours = neighbours(config, &interfaces)?;
        if config.capacity < neighbours.len() || config.capacity == 0 || config.capacity > MOST_NEIGHBOURS {
            let message =
                format!("capacity {} does not do for {} neighbours", config.capacity, neighbours.len());
            let help = format!("a number from {} to {MOST_NEIGHBOURS}", neighbours.len().max(1));
            return Err(ConfigError::at("capacity", message).help(help));
        }
        if config.reachable.as_nanos() < 1_000_000_000 {
            let help = "write \"1s\" or more; RFC 4861 has 30s";
            return Err(ConfigError::at("reachable", "neighbours would be asked all the time").help(help));
        }
        let routes = routes(config, site, &interfaces)?;
        let routes = RouteTable::new(&interfaces, routes)
            .map_err(|error: RouteError| ConfigError::at("routes", error.to_string()))?;
        Ok(Plan {
            interfaces,
            by_port,
            neighbours,
            reachable_nanos: config.reachable.as_nanos(),
            capacity: config.capacity,
            icmp_rate: (u64::from(config.icmp_rate) / site.workers.max(1) as u64)
                .max(u64::from(config.icmp_rate > 0)),
            routes: Arc::new(routes),
            inherited: OnceLock::new(),
            seed: site.seed,
        })
    }

    /// The routes that all workers have: those of the configuration, or those of the former one with what has changed
    /// since.
    #[inline]
    pub(super) fn routes(&self) -> &Arc<RouteTable> {
        self.inherited.get().unwrap_or(&self.routes)
    }

    /// Takes over the routes of a former plan of the same routes, for all workers. The first one that is offered stays.
    pub(super) fn inherit_routes(&self, old: &Arc<RouteTable>) {
        if !Arc::ptr_eq(self.routes(), old) {
            self.inherited.get_or_init(|| Arc::clone(old));
        }
    }

    /// The interface on a port.
    #[inline]
    pub(super) fn on_port(&self, port: u16) -> Option<(u16, &Interface)> {
        let index = (*self.by_port.get(usize::from(port))?)?;
        Some((index, self.interface(index)?))
    }

    #[inline]
    pub(super) fn interface(&self, index: u16) -> Option<&Interface> {
        self.interfaces.get(usize::from(index))
    }

    /// The interface of a name.
    pub(super) fn named(&self, name: &str) -> Option<u16> {
        self.interfaces.iter().position(|i| i.name == name).map(|i| i as u16)
    }

    /// What one instance knows of neighbours is right for the other plan too.
    pub(super) fn same_neighbours(&self, other: &Plan) -> bool {
        let shape = |plan: &Plan| (plan.reachable_nanos, plan.capacity, plan.seed);
        shape(self) == shape(other)
            && self.interfaces == other.interfaces
            && self.neighbours == other.neighbours
    }
}

fn interfaces(config: &Config, site: &Site) -> Result<Arc<[Interface]>, ConfigError> {
    let wrong = |message: String| ConfigError::at("interfaces", message);
    if config.interfaces.is_empty() {
        let help = "like interfaces.lan = { mac = \"02:00:00:00:00:01\", addresses = [\"10.0.0.1/24\"] }";
        return Err(wrong("a router has interfaces".to_owned()).help(help));
    }
    let mut interfaces = Vec::new();
    for (name, given) in &config.interfaces {
        let port = site.port(name).ok_or_else(|| {
            wrong(format!("there is no port '{name}'"))
                .help(format!("the ports are: {}", site.ports.join(", ")))
        })?;
        let mac: Mac =
            given.mac.parse().map_err(|error| wrong(format!("'{}' of {name}: {error}", given.mac)))?;
        if !mac.is_unicast() {
            return Err(wrong(format!("{mac} of {name} is no station's address")));
        }
        let gate = site.gates.iter().position(|&gate| gate == port).and_then(|gate| u8::try_from(gate).ok());
        let interface = Interface::new(name, port, gate, mac, given.mtu, &given.addresses)
            .map_err(|message| wrong(format!("{name}: {message}")))?;
        interfaces.push(interface);
    }
    for (i, interface) in interfaces.iter().enumerate() {
        for (address, _) in &interface.addresses {
            if interfaces[..i].iter().any(|other| other.has(*address)) {
                return Err(wrong(format!("{address} is there twice")));
            }
        }
    }
    Ok(interfaces.into())
}

fn neighbours(config: &Config, interfaces: &[Interface]) -> Result<Vec<(Hop, Mac)>, ConfigError> {
    let mut known = Vec::new();
    for (written, mac) in &config.neighbours {
        let wrong = |message: String| ConfigError::at("neighbours", format!("'{written}': {message}"));
        let (address, name) = match written.split_once(' ') {
            Some((address, name)) => (address, Some(name.trim())),
            None => (written.as_str(), None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong("no IP address".to_owned()))?;
        let mac: Mac = mac.parse().map_err(|error| wrong(format!("{mac}: {error}")))?;
        if !mac.is_unicast() {
            return Err(wrong(format!("{mac} is no station's address")));
        }
        let on = match name {
            Some(name) => interfaces.iter().position(|interface| interface.name == name),
            None => interfaces.iter().position(|interface| interface.reaches(address)),
        };
        let interface = on.ok_or_else(|| wrong("in the network of no interface".to_owned()))? as u16;
        known.push((Hop { interface, address }, mac));
    }
    Ok(known)
}

/// The routes of the configuration and of its file; of the same prefix the last counts.
fn routes(
    config: &Config,
    site: &Site,
    interfaces: &[Interface],
) -> Result<Vec<(Prefix, Route)>, ConfigError> {
    let mut routes = Vec::new();
    if let Some(file) = &config.routes_file {
        let path = site.path(file);
        let text = std::fs::read_to_string(&path).map_err(|error| {
            ConfigError::at("routes_file", format!("cannot read {}: {error}", path.display()))
                .help("relative paths start from the configuration's folder")
        })?;
        for (i, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if !line.is_empty() {
                routes.push(parse_route(line, interfaces).map_err(|message| {
                    ConfigError::at("routes_file", format!("{}:{}: {message}", path.display(), i + 1))
                })?);
            }
        }
    }
    for line in &config.routes {
        let message = |message| ConfigError::at("routes", format!("'{line}': {message}"));
        let route = parse_route(line, interfaces).map_err(message)?;
        routes.push(route);
    }
    Ok(routes)
}
