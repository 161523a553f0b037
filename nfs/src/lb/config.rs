//! What a user says of services and their back-ends, and what is made of it.

use super::maglev::{Permutation, is_prime};
use crate::Span;
use crate::tunnel::{Ends, Way};
use ahash::AHashMap;
use engine::{Affinity, ConfigError, Effects, Site, StateKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use wire::protocol::ip;
use wire::{Field, Fields, Mac};

/// Configuration of [`super::Lb`].
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The services.
    pub services: Vec<ServiceConfig>,
    /// Places in the table of each service, a prime: 100 for each back-end at the least.
    #[serde(default = "table_size")]
    pub table_size: usize,
    /// Connections that are known at a time, of each IP version, on each worker.
    #[serde(default = "connections")]
    pub connections: usize,
    /// How long a connection is known after its last packet.
    #[serde(default = "idle_timeout")]
    pub idle_timeout: Span,
    /// Ethernet destination of packets on the way back to clients (NAT); without it that of the frame.
    #[serde(default)]
    pub clients_mac: Option<String>,
    /// What becomes of packets that are for no service, and from none.
    #[serde(default = "pass")]
    pub other: crate::tunnel::Other,
}

fn table_size() -> usize {
    65537
}

fn connections() -> usize {
    65536
}

fn idle_timeout() -> Span {
    Span::seconds(300)
}

fn pass() -> crate::tunnel::Other {
    crate::tunnel::Other::Pass
}

/// A service: an address and a port that clients know.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceConfig {
    /// Address.
    pub address: IpAddr,
    /// Port.
    pub port: u16,
    /// Protocol.
    #[serde(default)]
    pub protocol: Protocol,
    /// How packets get to a back-end.
    pub mode: Mode,
    /// Outer source address (IP-in-IP).
    #[serde(default)]
    pub local: Option<IpAddr>,
    /// The largest outer packet (IP-in-IP).
    #[serde(default = "mtu")]
    pub mtu: u16,
    /// The back-ends.
    pub backends: Vec<BackendConfig>,
}

fn mtu() -> u16 {
    1500
}

/// A protocol with ports.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

/// How packets get to a back-end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The destination becomes the back-end's; packets come back this way, and get the service's address again.
    Nat,
    /// Inside an IP packet to the back-end, which has the service's address too and answers by itself.
    Ipip,
    /// In a frame to the back-end, which has the service's address too and answers by itself.
    Mac,
}

/// A back-end.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackendConfig {
    /// Its name: its places in the table come from it.
    pub name: String,
    /// Its address.
    pub address: IpAddr,
    /// Its port (NAT), if not the service's.
    #[serde(default)]
    pub port: Option<u16>,
    /// Its Ethernet address; without it that of the frame stays.
    #[serde(default)]
    pub mac: Option<String>,
    /// Its share of new connections, 0 to 100.
    #[serde(default = "weight")]
    #[schemars(range(max = 100))]
    pub weight: u32,
}

fn weight() -> u32 {
    1
}

/// Largest weight.
pub(super) const MOST_WEIGHT: u32 = 100;

/// Protocols with the names that those of back-ends begin with.
pub(super) const PROTOCOLS: [(u8, &str); 2] = [(ip::TCP, "tcp"), (ip::UDP, "udp")];

/// Address, port and protocol of a service or a back-end.
pub(super) type Endpoint = (IpAddr, u16, u8);

/// A configuration that was checked.
pub struct Plan {
    pub(super) services: Vec<Service>,
    /// Those of all services, one after the other.
    pub(super) backends: Vec<Backend>,
    pub(super) by_name: AHashMap<String, usize>,
    pub(super) by_endpoint: AHashMap<Endpoint, usize>,
    /// Back-ends behind NAT, by what the source of their packets is.
    pub(super) by_source: AHashMap<Endpoint, usize>,
    pub(super) table_size: usize,
    pub(super) connections: usize,
    pub(super) idle_nanos: u64,
    pub(super) clients_mac: Option<Mac>,
    pub(super) other: crate::tunnel::Other,
}

/// A service.
pub(super) struct Service {
    pub endpoint: Endpoint,
    pub mode: Mode,
    pub way: Way,
    /// Numbers of its back-ends.
    pub backends: std::ops::Range<usize>,
}

/// A back-end.
pub(super) struct Backend {
    /// `tcp 192.0.2.1:80/name`, unique: a TCP and a UDP service may share address and port.
    pub name: String,
    pub service: usize,
    pub address: IpAddr,
    pub port: u16,
    pub mac: Option<Mac>,
    pub weight: u32,
    pub permutation: Permutation,
    pub tunnel: Option<Ends>,
}

fn mac(written: &Option<String>, key: &str) -> Result<Option<Mac>, ConfigError> {
    let parse =
        |text: &String| text.parse().map_err(|error| ConfigError::at(key, format!("'{text}': {error}")));
    written.as_ref().map(parse).transpose()
}

const CHECKSUMS: Fields = Fields::of(&[Field::IpChecksum, Field::L4Checksum]);

impl Plan {
    pub(super) fn new(config: &Config, _site: &Site) -> Result<Plan, ConfigError> {
        if !is_prime(config.table_size) || config.table_size > 1 << 20 {
            let message = format!("a table of {} places", config.table_size);
            return Err(ConfigError::at("table_size", message).help("write a prime: 65537, 655373, 251"));
        }
        if config.connections == 0 || config.connections > 1 << 24 {
            let message = format!("{} connections", config.connections);
            return Err(ConfigError::at("connections", message).help("write a number from 1 to 16777216"));
        }
        if config.idle_timeout.as_nanos() == 0 {
            let message = "connections that end at once are none";
            return Err(ConfigError::at("idle_timeout", message).help("write \"300s\""));
        }
        let mut plan = Plan {
            services: Vec::new(),
            backends: Vec::new(),
            by_name: AHashMap::new(),
            by_endpoint: AHashMap::new(),
            by_source: AHashMap::new(),
            table_size: config.table_size,
            connections: config.connections,
            idle_nanos: config.idle_timeout.as_nanos(),
            clients_mac: mac(&config.clients_mac, "clients_mac")?,
            other: config.other,
        };
        for service in &config.services {
            plan.add(service)?;
        }
        if plan.services.is_empty() {
            return Err(ConfigError::at("services", "there is no service"));
        }
        Ok(plan)
    }

    fn add(&mut self, config: &ServiceConfig) -> Result<(), ConfigError> {
        let refuse = |message: String, help: &str| Err(ConfigError::at("services", message).help(help));
        let [tcp, udp] = PROTOCOLS;
        let (protocol, spoken) = match config.protocol {
            Protocol::Tcp => tcp,
            Protocol::Udp => udp,
        };
        let endpoint = (config.address, config.port, protocol);
        let ends = SocketAddr::new(config.address, config.port);
        let label = format!("{spoken} {ends}");
        let number = self.services.len();
        if self.by_endpoint.insert(endpoint, number).is_some() {
            return refuse(
                format!("the service {label} is there twice"),
                "write it once, with all back-ends",
            );
        }
        let first = self.backends.len();
        if config.backends.is_empty() || first + config.backends.len() > 4096 {
            return refuse(format!("{label} has {} back-ends", config.backends.len()), "1 to 4096 in all");
        }
        for backend in &config.backends {
            let name = format!("{label}/{}", backend.name);
            let twice = self.by_name.insert(name.clone(), self.backends.len()).is_some();
            if twice || backend.name.is_empty() {
                return refuse(
                    format!("'{}' is no name for one back-end", backend.name),
                    "give each its own",
                );
            }
            if backend.weight > MOST_WEIGHT {
                return refuse(format!("'{}' has weight {}", backend.name, backend.weight), "write 0 to 100");
            }
            let same_version = backend.address.is_ipv4() == config.address.is_ipv4();
            let port = backend.port.unwrap_or(config.port);
            let tunnel = match (config.mode, config.local) {
                (Mode::Ipip, Some(local)) => Some(Ends::new(local, backend.address)?),
                (Mode::Ipip, None) => {
                    return refuse(format!("{label} lacks 'local'"), "the outer source address");
                }
                _ => None,
            };
            let mac = mac(&backend.mac, "services")?;
            if config.mode == Mode::Mac && mac.is_none() {
                return refuse(format!("'{}' lacks 'mac'", backend.name), "mode \"mac\" sends to it");
            }
            if config.mode == Mode::Nat {
                if !same_version {
                    return refuse(
                        format!("'{}' has the other IP version", backend.name),
                        "NAT keeps the version",
                    );
                }
                if self.by_source.insert((backend.address, port, protocol), self.backends.len()).is_some() {
                    let help = "give it a port of its own for each service: packets that come back tell nothing else";
                    return refuse(format!("{}:{port} is behind two services", backend.address), help);
                }
            }
            self.backends.push(Backend {
                permutation: Permutation::of(&backend.name, self.table_size),
                name,
                service: number,
                address: backend.address,
                port,
                mac,
                weight: backend.weight,
                tunnel,
            });
        }
        self.services.push(Service {
            endpoint,
            mode: config.mode,
            way: Way::new(config.mtu, &[])?,
            backends: first..self.backends.len(),
        });
        Ok(())
    }

    pub(super) fn effects(&self) -> Effects {
        let has = |mode| self.services.iter().any(|service| service.mode == mode);
        let nat = Fields::of(&[
            Field::IpSrc,
            Field::IpDst,
            Field::IpChecksum,
            Field::Sport,
            Field::Dport,
            Field::L4Checksum,
            // The packet in an ICMP error.
            Field::Payload,
        ]);
        let macs = self.clients_mac.is_some() || self.backends.iter().any(|backend| backend.mac.is_some());
        let mut writes = Fields::EMPTY;
        if has(Mode::Nat) {
            writes = writes.union(nat);
        }
        if macs {
            writes = writes.union(crate::tunnel::MACS);
        }
        if has(Mode::Ipip) {
            writes = writes.union(Fields::ALL.without(crate::tunnel::LINK));
        }
        let headers = crate::tunnel::SHAPE.union(crate::tunnel::FLOW).union(Fields::of(&[
            // Of fragments.
            Field::IpId,
            Field::L4Length,
            Field::TcpFlags,
            Field::TcpOptions,
            // Of the packet in an ICMP error; where labels end, payload begins.
            Field::Payload,
            Field::MplsLabel,
        ]));
        Effects {
            reads: if has(Mode::Ipip) { headers.union(crate::tunnel::MARKS) } else { headers },
            writes,
            // Behind NAT by differences; a tunnel's header has a checksum that is computed.
            adjusts: if has(Mode::Ipip) { Fields::EMPTY } else { writes.intersection(CHECKSUMS) },
            changes_length: has(Mode::Ipip),
            may_drop: true,
            state: StateKind::Learns,
            affinity: Affinity::Flow,
            ..Effects::NONE
        }
    }
}
