//! What a user says of a translator, and what is made of it.

use super::blocks::Blocks;
use super::tuple::Endpoint;
use crate::Span;
use engine::{ConfigError, Site};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use wire::Prefix4;
use wire::protocol::ip;

/// Configuration of [`super::Nat`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The networks inside: packets from there to elsewhere get an outside address.
    pub inside: Vec<String>,
    /// Outside addresses that inside hosts share: addresses, prefixes or ranges like `203.0.113.8-203.0.113.15`.
    #[serde(default)]
    pub pool: Vec<String>,
    /// The ports of pool addresses that are given out.
    #[serde(default = "all_ports")]
    pub ports: String,
    /// How an outside address of the pool is chosen for an inside host.
    #[serde(default)]
    pub pooling: Pooling,
    /// Who may send to a mapping from outside.
    #[serde(default)]
    pub filtering: Filtering,
    /// Outside addresses that stand for one inside host each, with all ports and protocols, both ways.
    #[serde(default)]
    pub one_to_one: BTreeMap<String, String>,
    /// Outside ports that lead to inside ones, whoever sends: `"tcp 203.0.113.1:8080" = "10.0.0.5:80"`.
    #[serde(default)]
    pub forward: BTreeMap<String, String>,
    /// What becomes of IPv4 packets that are neither from an inside address to elsewhere nor to an outside address.
    #[serde(default)]
    pub untranslated: Untranslated,
    /// How many sessions (connections) there can be at a time, on each worker.
    #[serde(default = "capacity")]
    pub capacity: usize,
    /// How long a session may be silent.
    #[serde(default)]
    pub timeouts: Timeouts,
}

/// How an outside address is chosen (RFC 4787 section 4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// All that an inside host sends has the same outside address.
    #[default]
    Paired,
    /// The same as long as it has free ports, then another.
    Arbitrary,
}

/// Who may send to a mapping from outside (RFC 4787 section 5).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Filtering {
    /// Anybody.
    EndpointIndependent,
    /// Addresses that the inside endpoint has a session with.
    #[default]
    AddressDependent,
    /// Addresses and ports that the inside endpoint has a session with.
    AddressAndPortDependent,
}

/// What becomes of packets that are not translated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Untranslated {
    /// They are dropped.
    #[default]
    Drop,
    /// They go on as they are.
    Pass,
}

/// How long a session may be silent before it ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// TCP connections that both ends have opened and not both closed (RFC 5382 REQ-5: not under 124 minutes).
    pub tcp_established: Span,
    /// TCP connections that are being opened, or are closed or reset (RFC 5382 REQ-5: not under 4 minutes).
    pub tcp_transitory: Span,
    /// UDP and, for one-to-one addresses, other protocols (RFC 4787 REQ-5: not under 2 minutes).
    pub udp: Span,
    /// ICMP queries (RFC 5508 REQ-2: not under 60 seconds).
    pub icmp: Span,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            tcp_established: Span::seconds(2 * 3600 + 4 * 60),
            tcp_transitory: Span::seconds(4 * 60),
            udp: Span::seconds(5 * 60),
            icmp: Span::seconds(60),
        }
    }
}

fn all_ports() -> String {
    "1024-65535".to_owned()
}

fn capacity() -> usize {
    65_536
}

/// Addresses of a pool up to this: 24 KiB of memory each.
pub(crate) const MOST_ADDRESSES: usize = 4096;
/// Sessions up to this: 4 million take about 2 GB.
const MOST_SESSIONS: usize = 1 << 22;

/// A configuration that was checked.
pub struct Plan {
    pub(super) config: Config,
    pub(super) inside: Vec<Prefix4>,
    /// Outside addresses of the pool, in order.
    pub(super) pool: Vec<u32>,
    /// The number in the pool of each of its addresses.
    pub(super) places: HashMap<u32, usize>,
    /// All outside addresses: packets to them are for the translator.
    outside: HashSet<u32>,
    /// The ports of its addresses that are given out.
    pub(super) blocks: Blocks,
    /// There is more than one worker.
    pub(super) several: bool,
    /// The same for all workers, so that each would choose the same outside endpoint.
    pub(super) seed: u64,
    /// One-to-one addresses, by the outside one and by the inside one.
    pub(super) one_to_one: (HashMap<u32, u32>, HashMap<u32, u32>),
    /// Forwarded ports, by the outside and by the inside endpoint.
    pub(super) forward: (HashMap<Endpoint, Endpoint>, HashMap<Endpoint, Endpoint>),
    /// Nanoseconds of silence.
    pub(super) established: u64,
    pub(super) transitory: u64,
    pub(super) udp: u64,
    pub(super) icmp: u64,
}

impl Plan {
    pub(super) fn new(config: &Config, site: &Site) -> Result<Plan, ConfigError> {
        if config.capacity == 0 || config.capacity > MOST_SESSIONS {
            let message = format!("a capacity of {} sessions is not possible", config.capacity);
            return Err(
                ConfigError::at("capacity", message).help(format!("a number from 1 to {MOST_SESSIONS}"))
            );
        }
        let Timeouts { tcp_established, tcp_transitory, udp, icmp } = config.timeouts;
        if [tcp_established, tcp_transitory, udp, icmp].iter().any(|span| span.as_nanos() == 0) {
            return Err(
                ConfigError::at("timeouts", "sessions that end at once are none").help("write \"5m\"")
            );
        }
        let (first, last) = ports(&config.ports)?;
        let mut plan = Plan {
            config: config.clone(),
            inside: inside(&config.inside)?,
            pool: Vec::new(),
            places: HashMap::new(),
            outside: HashSet::new(),
            blocks: Blocks::new(first, last),
            several: site.workers > 1,
            seed: site.seed,
            one_to_one: Default::default(),
            forward: Default::default(),
            established: tcp_established.as_nanos(),
            transitory: tcp_transitory.as_nanos(),
            udp: udp.as_nanos(),
            icmp: icmp.as_nanos(),
        };
        plan.add_pool(&config.pool)?;
        plan.add_one_to_one(&config.one_to_one)?;
        plan.add_forwards(&config.forward)?;
        if plan.pool.is_empty() && plan.one_to_one.0.is_empty() && plan.forward.0.is_empty() {
            let message = "there is no outside address to translate to";
            return Err(ConfigError::at("pool", message).help("write pool = [\"203.0.113.1\"]"));
        }
        Ok(plan)
    }

    fn add_pool(&mut self, written: &[String]) -> Result<(), ConfigError> {
        for text in written {
            let (first, last) = range(text).map_err(|message| ConfigError::at("pool", message))?;
            if (last - first) as usize >= MOST_ADDRESSES - self.pool.len() {
                let message = format!("with '{text}' the pool has more than {MOST_ADDRESSES} addresses");
                return Err(ConfigError::at("pool", message).help("write a longer prefix"));
            }
            for address in first..=last {
                self.outside("pool", address)?;
                if self.places.insert(address, self.pool.len()).is_some() {
                    let message = format!("{} is in the pool twice", Ipv4Addr::from(address));
                    return Err(ConfigError::at("pool", message).help("leave one of them out"));
                }
                self.pool.push(address);
            }
        }
        Ok(())
    }

    fn add_one_to_one(&mut self, written: &BTreeMap<String, String>) -> Result<(), ConfigError> {
        let wrong = |message: String| ConfigError::at("one_to_one", message);
        for (outside, inside) in written {
            let (outside, inside) = (address(outside).map_err(wrong)?, address(inside).map_err(wrong)?);
            self.outside("one_to_one", outside)?;
            self.inside("one_to_one", inside)?;
            if self.places.contains_key(&outside) {
                let message = format!("{} is in the pool, too", Ipv4Addr::from(outside));
                return Err(wrong(message).help("an address is shared, or stands for one host"));
            }
            let again = self.one_to_one.1.insert(inside, outside).is_some();
            if again | self.one_to_one.0.insert(outside, inside).is_some() {
                let message = format!("{} has two outside addresses", Ipv4Addr::from(inside));
                return Err(wrong(message).help("leave one of them out"));
            }
        }
        Ok(())
    }

    fn add_forwards(&mut self, written: &BTreeMap<String, String>) -> Result<(), ConfigError> {
        let wrong = |message: String| ConfigError::at("forward", message);
        for (from, to) in written {
            let (protocol, from) = from.trim().split_once(' ').unwrap_or_default();
            let protocol = match protocol {
                "tcp" => ip::TCP,
                "udp" => ip::UDP,
                _ => {
                    let message = format!("'{protocol} {from}' does not begin with tcp or udp");
                    return Err(wrong(message).help("write \"tcp 203.0.113.1:8080\" = \"10.0.0.5:80\""));
                }
            };
            let outside = endpoint(protocol, from).map_err(wrong)?;
            let inside = endpoint(protocol, to).map_err(wrong)?;
            self.outside("forward", outside.address)?;
            self.inside("forward", inside.address)?;
            if self.one_to_one.0.contains_key(&outside.address) {
                let message = format!("{} is a one-to-one address", Ipv4Addr::from(outside.address));
                return Err(wrong(message).help("it leads to one host, with all its ports"));
            }
            if self.forward.0.insert(outside, inside).is_some() {
                let message = format!("'{from}' is forwarded twice");
                return Err(wrong(message).help("leave one of them out"));
            }
            // What the inside endpoint sends itself comes from the first of its outside ones.
            self.forward.1.entry(inside).or_insert(outside);
        }
        Ok(())
    }

    /// Notes an outside address.
    fn outside(&mut self, key: &str, address: u32) -> Result<(), ConfigError> {
        let shown = Ipv4Addr::from(address);
        if self.is_inside(address) {
            let message = format!("{shown} is an inside address");
            return Err(ConfigError::at(key, message).help("outside addresses are not within 'inside'"));
        }
        if is_of_many(address) {
            return Err(ConfigError::at(key, format!("{shown} is not the address of a host")));
        }
        self.outside.insert(address);
        Ok(())
    }

    /// A host that an outside address or port leads to is inside: else what it sends would not be translated.
    fn inside(&self, key: &str, address: u32) -> Result<(), ConfigError> {
        if self.is_inside(address) {
            return Ok(());
        }
        let message = format!("{} is no inside address", Ipv4Addr::from(address));
        Err(ConfigError::at(key, message).help("add it to 'inside'"))
    }

    pub(super) fn is_inside(&self, address: u32) -> bool {
        self.inside.iter().any(|prefix| prefix.contains(address))
    }

    /// Whether packets to this address are for the translator.
    pub(super) fn is_outside(&self, address: u32) -> bool {
        self.outside.contains(&address)
    }
}

/// Whether an address is that of a group, of everybody or of nobody.
pub(crate) fn is_of_many(address: u32) -> bool {
    let address = Ipv4Addr::from(address);
    address.is_multicast() || address.is_broadcast() || address.is_unspecified()
}

fn inside(written: &[String]) -> Result<Vec<Prefix4>, ConfigError> {
    if written.is_empty() {
        let message = "no network is inside: nothing would be translated";
        return Err(ConfigError::at("inside", message).help("write inside = [\"10.0.0.0/8\"]"));
    }
    let parse = |text: &String| {
        let parsed = text.parse::<Prefix4>();
        parsed.map_err(|error| {
            ConfigError::at("inside", format!("'{text}': {error}")).help("write a prefix like \"10.0.0.0/8\"")
        })
    };
    written.iter().map(parse).collect()
}

pub(crate) fn ports(written: &str) -> Result<(u16, u16), ConfigError> {
    let number = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0);
    let parsed = written.split_once('-').and_then(|(first, last)| Some((number(first)?, number(last)?)));
    parsed.filter(|(first, last)| first <= last).ok_or_else(|| {
        ConfigError::at("ports", format!("'{written}' is no range of ports")).help("write \"1024-65535\"")
    })
}

fn address(text: &str) -> Result<u32, String> {
    text.parse::<Ipv4Addr>().map(u32::from).map_err(|_| format!("'{text}' is no IPv4 address"))
}

/// First and last address of a pool's entry.
pub(crate) fn range(text: &str) -> Result<(u32, u32), String> {
    if let Some((first, last)) = text.split_once('-') {
        let (first, last) = (address(first.trim())?, address(last.trim())?);
        return if first <= last {
            Ok((first, last))
        } else {
            Err(format!("'{text}' ends before it begins"))
        };
    }
    if text.contains('/') {
        let prefix = text.parse::<Prefix4>().map_err(|error| format!("'{text}': {error}"))?;
        return Ok((prefix.address(), prefix.last()));
    }
    address(text).map(|address| (address, address))
}

pub(crate) fn endpoint(protocol: u8, text: &str) -> Result<Endpoint, String> {
    let parsed = text.trim().parse::<SocketAddrV4>().ok().filter(|endpoint| endpoint.port() > 0);
    let parsed = parsed.ok_or_else(|| format!("'{text}' is no address with a port, like 10.0.0.5:80"))?;
    Ok(Endpoint { address: (*parsed.ip()).into(), port: parsed.port(), protocol })
}
