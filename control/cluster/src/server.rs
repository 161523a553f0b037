//! A server, as it says of itself.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use toml::{Table, Value};

/// What a server has. In etcd for as long as its lease lasts.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Cores that NFs may have.
    pub cpu: f64,
    /// Memory that NFs may have, in MB.
    #[serde(default = "plenty")]
    pub memory: f64,
    /// Its ports.
    #[serde(default)]
    pub ports: Vec<String>,
    /// Delay to other servers by name, in µs; what one of the two says is enough.
    #[serde(default)]
    pub delay: BTreeMap<String, f64>,
    /// How other servers reach it.
    #[serde(default)]
    pub link: Option<Link>,
    /// Pairs of ports of which one gets what the other sends, such as the ends of a veth. Mirrors and merges take one
    /// each.
    #[serde(default)]
    pub loops: Vec<[String; 2]>,
    /// Tells two starts of its agent apart.
    #[serde(default)]
    pub instance: String,
}

fn plenty() -> f64 {
    1e6
}

/// The port by which other servers reach a server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The port.
    pub port: String,
    /// Its address.
    pub address: IpAddr,
    /// Its Ethernet address.
    pub mac: String,
    /// Largest IP packet that the network between servers carries.
    #[serde(default = "usual_mtu")]
    pub mtu: u16,
    /// What tells chains apart on the way.
    #[serde(default)]
    pub by: By,
}

fn usual_mtu() -> u16 {
    1500
}

/// What tells chains apart between servers.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// A VXLAN for each hop, over any IP network.
    #[default]
    Vxlan,
    /// A VLAN tag for each hop: for servers on one cable.
    Vlan,
}

/// Delay between two servers of which neither says anything, in µs.
pub const DELAY: f64 = 50.0;

/// Servers of a file, for planning without etcd: `[server.NAME]`.
///
/// # Errors
/// What is wrong, in words.
pub fn read(text: &str) -> Result<BTreeMap<String, Server>, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        server: BTreeMap<String, Server>,
    }
    toml::from_str::<File>(text).map(|file| file.server).map_err(|error| error.to_string())
}

/// Delay from one server to another.
pub fn delay(servers: &BTreeMap<String, Server>, a: &str, b: &str) -> f64 {
    let said = |a: &str, b: &str| servers.get(a).and_then(|server| server.delay.get(b)).copied();
    if a == b { 0.0 } else { said(a, b).or_else(|| said(b, a)).unwrap_or(DELAY) }
}

/// A server's own configuration: an ordinary one, with a table `[server]`. Parts of a plan are added to it.
#[derive(Clone, PartialEq, Debug)]
pub struct Base {
    /// What it says of the server.
    pub server: Server,
    config: Table,
}

impl Base {
    /// Reads a text. `instance` tells this start of the agent from others.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str, instance: String) -> Result<Base, String> {
        let mut config: Table = toml::from_str(text).map_err(|error| error.to_string())?;
        let server =
            config.remove("server").ok_or("there is no [server]: write it with 'cpu' and 'memory'")?;
        let mut server: Server = server.try_into().map_err(|error| format!("[server]: {error}"))?;
        let ports = config.get("ports").and_then(Value::as_table);
        server.ports = ports.map(|ports| ports.keys().cloned().collect()).unwrap_or_default();
        if server.ports.is_empty() {
            return Err("there is no port: write [ports.NAME] and a device".to_owned());
        }
        if let Some(link) = &server.link
            && !server.ports.contains(&link.port)
        {
            return Err(format!("[server.link]: there is no port '{}'", link.port));
        }
        if let Some(port) = server.loops.iter().flatten().find(|port| !server.ports.contains(*port)) {
            return Err(format!("[server]: 'loops' names the port '{port}', which is not there"));
        }
        server.instance = instance;
        Ok(Base { server, config })
    }

    /// The whole configuration with a part of a plan.
    ///
    /// # Errors
    /// A part that is no TOML, or has an NF or a chain that is there already.
    pub fn with(&self, part: &str) -> Result<String, String> {
        let mut part: Table = toml::from_str(part).map_err(|error| error.to_string())?;
        let mut whole = self.config.clone();
        if let Some(Value::Table(nfs)) = part.remove("nf") {
            let there = whole.entry("nf").or_insert_with(|| Value::Table(Table::new()));
            let there = there.as_table_mut().ok_or("'nf' is no table")?;
            for (name, nf) in nfs {
                if there.insert(name.clone(), nf).is_some() {
                    return Err(format!("this server has an NF '{name}' of its own"));
                }
            }
        }
        let mut chains = match whole.remove("chain") {
            Some(Value::Array(chains)) => chains,
            _ => Vec::new(),
        };
        if let Some(Value::Array(more)) = part.remove("chain") {
            chains.extend(more);
        }
        if chains.is_empty() {
            chains.push(self.idle());
        }
        whole.insert("chain".to_owned(), Value::Array(chains));
        toml::to_string(&whole).map_err(|error| error.to_string())
    }

    /// An engine needs a chain. No packet is of TCP and of UDP, so none takes this one.
    fn idle(&self) -> Value {
        let port = self.server.link.as_ref().map(|link| &link.port).or(self.server.ports.first());
        let port = Value::String(port.cloned().unwrap_or_default());
        let name = Value::String(format!("{}idle", crate::wanted::RESERVED));
        let mut chain = Table::new();
        chain.insert("name".to_owned(), name);
        chain.insert("from".to_owned(), port.clone());
        chain.insert("match".to_owned(), Value::String("tcp and udp".to_owned()));
        chain.insert("path".to_owned(), Value::Array(Vec::new()));
        chain.insert("to".to_owned(), port);
        Value::Table(chain)
    }
}
