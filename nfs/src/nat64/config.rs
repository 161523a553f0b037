//! What a user says of a translator, and what is made of it.

use super::bib::Endpoint6;
use super::prefix::Pref64;
use super::sessions::Protocol;
use super::tcp::State;
use crate::Span;
use crate::nat::{self, Endpoint, MOST_ADDRESSES};
use crate::teller::Sources;
use engine::ConfigError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV6};

/// Configuration of [`super::Nat64`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The IPv6 prefix behind which the IPv4 internet is (RFC 6052): of 32, 40, 48, 56, 64 or 96 bits.
    #[serde(default = "well_known")]
    pub prefix: String,
    /// IPv4 addresses that IPv6 hosts share: addresses, prefixes or ranges like `203.0.113.8-203.0.113.15`.
    #[serde(default)]
    pub pool: Vec<String>,
    /// The ports of pool addresses that are given out.
    #[serde(default = "all_ports")]
    pub ports: String,
    /// Who may send to a mapping from the IPv4 side.
    #[serde(default)]
    pub filtering: Filtering,
    /// IPv4 ports that lead to IPv6 ones, whoever sends (static bindings):
    /// `"tcp 203.0.113.1:8080" = "[2001:db8::5]:80"`.
    #[serde(default)]
    pub forward: BTreeMap<String, String>,
    /// What becomes of IP packets that are neither to the prefix nor to an IPv4 address of the translator.
    #[serde(default)]
    pub untranslated: Untranslated,
    /// What becomes of IPv4 packets with UDP and no checksum, which IPv6 does not allow.
    #[serde(default)]
    pub udp_without_checksum: WithoutChecksum,
    /// How large IP packets may be.
    #[serde(default)]
    pub mtu: Mtu,
    /// Addresses that ICMP errors come from, one of each version at most: about packets that are too large, have no
    /// hop left, or ask for a route of their own. Without one the senders of that version are not told.
    #[serde(default)]
    pub icmp_from: Vec<IpAddr>,
    /// How many sessions there can be at a time.
    #[serde(default = "capacity")]
    pub capacity: usize,
    /// How long a session may be silent.
    #[serde(default)]
    pub timeouts: Timeouts,
}

/// Who may send to a mapping from the IPv4 side (RFC 6146 section 3.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Filtering {
    /// Anybody.
    EndpointIndependent,
    /// Addresses that the IPv6 endpoint has a session with.
    #[default]
    AddressDependent,
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

/// What becomes of UDP without a checksum (RFC 7915 section 4.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WithoutChecksum {
    /// It gets one. Fragments, of which there is only a part to sum, are dropped all the same.
    #[default]
    Compute,
    /// It is dropped.
    Drop,
}

/// How large IP packets may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Mtu {
    /// IPv4 packets.
    pub v4: u16,
    /// IPv6 packets.
    pub v6: u16,
    /// IPv6 packets that become of IPv4 ones that may be fragmented (RFC 7915 section 4).
    pub fragments: u16,
}

impl Default for Mtu {
    fn default() -> Self {
        Mtu { v4: 1500, v6: 1500, fragments: LEAST_V6 }
    }
}

/// The smallest MTU there may be (RFC 8200 section 5), and what fits into it as an IPv4 packet: where less does, a router
/// has to fragment, as no IPv6 sender would.
const LEAST_V6: u16 = 1280;
const LEAST_V4: u16 = LEAST_V6 - 20;

/// How long a session may be silent before it ends (RFC 6146 section 4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// TCP connections that both ends have opened and not both closed: TCP_EST, not under 124 minutes.
    pub tcp_established: Span,
    /// TCP connections that are being opened, or are closed or reset: TCP_TRANS, not under 4 minutes.
    pub tcp_transitory: Span,
    /// UDP: not under UDP_MIN, 2 minutes; UDP_DEFAULT is 5.
    pub udp: Span,
    /// ICMP queries: ICMP_DEFAULT.
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

fn well_known() -> String {
    "64:ff9b::/96".to_owned()
}

fn all_ports() -> String {
    "1024-65535".to_owned()
}

fn capacity() -> usize {
    65_536
}

/// Sessions up to this: 4 million take about 2.6 GB.
const MOST_SESSIONS: usize = 1 << 22;

/// A configuration that was checked.
pub struct Plan {
    pub(super) config: Config,
    pub(super) prefix: Pref64,
    /// IPv4 addresses of the pool, in order.
    pub(super) pool: Vec<u32>,
    /// The number in the pool of each of its addresses.
    pub(super) places: HashMap<u32, usize>,
    pub(super) ports: (u16, u16),
    /// Static bindings, by the IPv4 and by the IPv6 endpoint.
    pub(super) forward: (HashMap<Endpoint, Endpoint6>, HashMap<Endpoint6, Endpoint>),
    /// IPv4 addresses of static bindings.
    forwarding: HashSet<u32>,
    pub(super) sources: Sources,
}

impl Plan {
    pub(super) fn new(config: &Config) -> Result<Plan, ConfigError> {
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
        let Mtu { v4, v6, fragments } = config.mtu;
        for (name, mtu, least, most) in [
            ("v4", v4, LEAST_V4, u16::MAX),
            ("v6", v6, LEAST_V6, u16::MAX),
            ("fragments", fragments, LEAST_V6, v6),
        ] {
            if !(least..=most).contains(&mtu) {
                let message = format!("'{name}' is {mtu}");
                return Err(
                    ConfigError::at("mtu", message).help(format!("write a number from {least} to {most}"))
                );
            }
        }
        let prefix = Pref64::parse(&config.prefix)
            .map_err(|(message, help)| ConfigError::at("prefix", message).help(help))?;
        let mut plan = Plan {
            config: config.clone(),
            prefix,
            pool: Vec::new(),
            places: HashMap::new(),
            ports: nat::ports(&config.ports)?,
            forward: Default::default(),
            forwarding: HashSet::new(),
            sources: Sources::new(&config.icmp_from)?,
        };
        plan.add_pool(&config.pool)?;
        plan.add_forwards(&config.forward)?;
        if plan.pool.is_empty() && plan.forwarding.is_empty() {
            let message = "there is no IPv4 address to translate to";
            return Err(ConfigError::at("pool", message).help("write pool = [\"203.0.113.1\"]"));
        }
        Ok(plan)
    }

    fn add_pool(&mut self, written: &[String]) -> Result<(), ConfigError> {
        for text in written {
            let (first, last) = nat::range(text).map_err(|message| ConfigError::at("pool", message))?;
            if (last - first) as usize >= MOST_ADDRESSES - self.pool.len() {
                let message = format!("with '{text}' the pool has more than {MOST_ADDRESSES} addresses");
                return Err(ConfigError::at("pool", message).help("write a longer prefix"));
            }
            for address in first..=last {
                let shown = Ipv4Addr::from(address);
                if nat::is_of_many(address) {
                    return Err(ConfigError::at("pool", format!("{shown} is not the address of a host")));
                }
                if self.places.insert(address, self.pool.len()).is_some() {
                    let message = format!("{shown} is in the pool twice");
                    return Err(ConfigError::at("pool", message).help("leave one of them out"));
                }
                self.pool.push(address);
            }
        }
        Ok(())
    }

    fn add_forwards(&mut self, written: &BTreeMap<String, String>) -> Result<(), ConfigError> {
        let wrong = |message: String| ConfigError::at("forward", message);
        for (from, to) in written {
            let (word, from) = from.trim().split_once(' ').unwrap_or_default();
            let protocol = match word {
                "tcp" => Protocol::Tcp,
                "udp" => Protocol::Udp,
                _ => {
                    let message = format!("'{word} {from}' does not begin with tcp or udp");
                    return Err(wrong(message).help("write \"tcp 203.0.113.1:8080\" = \"[2001:db8::5]:80\""));
                }
            };
            let outside = nat::endpoint(protocol.v4(), from).map_err(wrong)?;
            let parsed = to.trim().parse::<SocketAddrV6>().ok().filter(|endpoint| endpoint.port() > 0);
            let Some(inside) = parsed else {
                let message = format!("'{to}' is no IPv6 address with a port");
                return Err(wrong(message).help("write it like [2001:db8::5]:80"));
            };
            let inside = Endpoint6 { address: (*inside.ip()).into(), port: inside.port(), protocol };
            if nat::is_of_many(outside.address)
                || !is_host(inside.address)
                || self.prefix.contains(inside.address)
            {
                return Err(wrong(format!("'{from}' and '{to}' are not both addresses of hosts")));
            }
            let again = self.forward.1.insert(inside, outside).is_some();
            if again | self.forward.0.insert(outside, inside).is_some() {
                let message = format!("'{to}' has two IPv4 endpoints");
                return Err(
                    wrong(message).help("leave one of them out: its answers could come from one only")
                );
            }
            self.forwarding.insert(outside.address);
        }
        Ok(())
    }

    /// Whether IPv4 packets to this address are for the translator.
    pub(super) fn is_outside(&self, address: u32) -> bool {
        self.places.contains_key(&address) || self.forwarding.contains(&address)
    }

    /// How long a session may be silent, in nanoseconds.
    pub(super) fn lifetime(&self, protocol: Protocol, state: Option<State>) -> u64 {
        let Timeouts { tcp_established, tcp_transitory, udp, icmp } = self.config.timeouts;
        let span = match (protocol, state) {
            (Protocol::Udp, _) => udp,
            (Protocol::Icmp, _) => icmp,
            (Protocol::Tcp, Some(state)) if state.is_open() => tcp_established,
            (Protocol::Tcp, _) => tcp_transitory,
        };
        span.as_nanos()
    }
}

/// Whether an IPv6 address may be that of a host elsewhere: not of a group, one link, the host itself or nobody.
pub(super) fn is_host(address: u128) -> bool {
    address >> 120 != 0xff && address >> 118 != 0xfe80 >> 6 && address > 1
}
