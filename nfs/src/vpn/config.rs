//! What a user says of tunnels and their security associations, and what is made of it.

use super::association::Direction;
use super::cipher::Cipher;
use super::window::Window;
use crate::secret::Secret;
use crate::tunnel::{Ends, Kept, Macs, Mark, Other, Way, usual_mtu};
use engine::{ConfigError, Site};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tables::classifier::{self, Classifier, Masked};
use wire::Prefix;

/// Port of IKE and ESP in UDP (RFC 3948).
const PORT: u16 = 4500;
/// SPIs up to this one are reserved (RFC 4303 section 2.1).
const RESERVED: u32 = 255;

/// Configuration of [`super::Vpn`].
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The tunnels. The first whose selector matches gets a packet.
    #[schemars(length(min = 1))]
    pub tunnels: Vec<Tunnel>,
    /// What becomes of packets that no selector matches and that are not ESP for this end.
    #[serde(default)]
    pub other: Other,
    /// How many security associations there may be, those that commands add included.
    #[serde(default = "capacity")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub capacity: usize,
}

fn capacity() -> usize {
    4096
}

/// One tunnel: two ends, and whose packets go through it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tunnel {
    /// Its name in commands, records and messages.
    pub name: String,
    /// This end: outer source of what is sent.
    pub local: IpAddr,
    /// The other end: outer destination of what is sent.
    pub remote: IpAddr,
    /// Which packets go through it; what comes out must fit too, the other way round.
    #[schemars(length(min = 1))]
    pub selectors: Vec<Selector>,
    /// ESP in UDP, for NAT between the ends; IPv4 only.
    #[serde(default)]
    pub udp: Option<Udp>,
    /// Ethernet addresses of what goes into the tunnel; without them those of the frame that came.
    #[serde(default)]
    pub outer_macs: Option<Macs>,
    /// Ethernet addresses of what comes out of it.
    #[serde(default)]
    pub inner_macs: Option<Macs>,
    /// Outer TTL or hop limit, 1 to 255, or `"copy"`: the packet's.
    #[serde(default = "ttl")]
    pub ttl: Mark,
    /// Outer DSCP, 0 to 63, or `"copy"`: the packet's.
    #[serde(default = "Mark::copy")]
    pub dscp: Mark,
    /// Whose DSCP a packet has that comes out.
    #[serde(default)]
    pub kept_dscp: Kept,
    /// The largest outer IP packet.
    #[serde(default = "usual_mtu")]
    pub mtu: u16,
    /// Addresses, one of each IP version, from which senders of packets that are too large are told so by ICMP.
    #[serde(default)]
    pub icmp_from: Vec<IpAddr>,
    /// How many of the last sequence numbers are known, against replays: 64 to 4096.
    #[serde(default = "replay_window")]
    #[schemars(range(min = 64, max = 4096))]
    pub replay_window: u32,
    /// The association by which packets leave; the last one, if there are several.
    #[serde(default)]
    pub outbound: Vec<Association>,
    /// The associations by which packets come.
    #[serde(default)]
    pub inbound: Vec<Association>,
}

fn ttl() -> Mark {
    Mark::Fixed(64)
}

fn replay_window() -> u32 {
    1024
}

/// Packets by their addresses and their protocol.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Selector {
    /// Network on this side, like `"10.1.0.0/16"`.
    pub local: String,
    /// Network on the other side.
    pub remote: String,
    /// Number of the IP protocol; if not said: any.
    #[serde(default)]
    pub protocol: Option<u8>,
}

/// Ports of ESP in UDP.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Udp {
    /// This end's.
    #[serde(default = "port")]
    pub local: u16,
    /// The other end's, as it is seen from here.
    #[serde(default = "port")]
    pub remote: u16,
}

fn port() -> u16 {
    PORT
}

/// A security association with keys from elsewhere.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Association {
    /// Its number: the receiver's choice.
    #[schemars(range(min = 256))]
    pub spi: u32,
    /// Key of AES-GCM, 16 or 32 bytes, and 4 bytes of salt behind it, in hexadecimal digits.
    #[serde(default)]
    pub keymat: Option<Secret>,
    /// A file with that.
    #[serde(default)]
    pub keymat_file: Option<String>,
    /// Sequence numbers of 64 bits. Both ends must know.
    #[serde(default)]
    pub esn: bool,
}

/// A configuration that was checked.
pub struct Plan {
    pub(super) tunnels: Vec<Route>,
    /// Which selector a packet going out matches; [`Plan::tunnel_of`] has the tunnel of each.
    pub(super) selectors: Classifier,
    pub(super) tunnel_of: Vec<usize>,
    pub(super) other: Other,
    pub(super) locals: BTreeSet<IpAddr>,
    pub(super) udp_ports: BTreeSet<u16>,
    pub(super) capacity: usize,
    pub(super) keyed: Vec<Keyed>,
    /// Another number for each plan of the process: no two plans draw the same initialisation vectors.
    pub(super) serial: u64,
    /// The group of each pair of ends; of ESP in UDP, whose other end may have any address, of this end alone.
    pub(super) groups: BTreeMap<(IpAddr, Option<IpAddr>), u32>,
    /// What ownership follows from.
    pub(super) says: String,
}

/// A tunnel that was checked.
pub(super) struct Route {
    pub name: String,
    pub ends: Ends,
    pub udp: Option<Udp>,
    pub outer_macs: Option<[u8; 12]>,
    pub inner_macs: Option<[u8; 12]>,
    pub ttl: Mark,
    pub dscp: Mark,
    pub kept: Kept,
    pub way: Way,
    pub window: u32,
    pub selectors: Vec<classifier::Rule>,
    /// Tunnels of one number meet the same worker: what arrives for them cannot be told apart before it is opened.
    pub group: u32,
}

/// An association of the configuration.
pub(super) struct Keyed {
    pub tunnel: usize,
    pub direction: Direction,
    pub spi: u32,
    pub extended: bool,
    pub cipher: Arc<Cipher>,
}

impl Plan {
    pub(super) fn new(config: &Config, site: &Site) -> Result<Plan, ConfigError> {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        if config.tunnels.is_empty() {
            return Err(ConfigError::at("tunnels", "there is no tunnel")
                .help("write a [[nf.NAME.tunnels]] for each other end"));
        }
        if !(1..=1_000_000).contains(&config.capacity) {
            return Err(ConfigError::at("capacity", format!("'capacity' is {}", config.capacity))
                .help("write a number from 1 to 1000000"));
        }
        let (mut tunnels, mut rules, mut tunnel_of) = (Vec::new(), Vec::new(), Vec::new());
        let (mut keyed, mut names, mut groups) = (Vec::new(), BTreeSet::new(), BTreeMap::new());
        let mut spis = BTreeSet::new();
        for (n, tunnel) in config.tunnels.iter().enumerate() {
            let within = |error: ConfigError| beneath(n, error);
            if tunnel.name.is_empty() || !names.insert(&tunnel.name) {
                let message = format!("'{}' is no name of its own for a tunnel", tunnel.name);
                return Err(within(ConfigError::at("name", message)));
            }
            let count = groups.len() as u32;
            let group = groups.entry((tunnel.local, tunnel.udp.is_none().then_some(tunnel.remote)));
            let route = Route::new(tunnel, *group.or_insert(count)).map_err(within)?;
            rules.extend(&route.selectors);
            tunnel_of.resize(rules.len(), n);
            tunnels.push(route);
            for (direction, list) in
                [(Direction::Outbound, &tunnel.outbound), (Direction::Inbound, &tunnel.inbound)]
            {
                for (k, association) in list.iter().enumerate() {
                    let key = format!("{}[{k}]", direction.name());
                    let cipher = association.cipher(site).map_err(|error| {
                        let at = error.key.clone().unwrap_or_default();
                        within(ConfigError { key: Some(format!("{key}.{at}")), ..error })
                    })?;
                    let among = (direction == Direction::Outbound).then_some(n);
                    if !spis.insert((among, association.spi)) {
                        let message = format!("SPI {:#010x} is there twice", association.spi);
                        return Err(within(ConfigError::at(&format!("{key}.spi"), message)));
                    }
                    keyed.push(Keyed {
                        tunnel: n,
                        direction,
                        spi: association.spi,
                        extended: association.esn,
                        cipher: Arc::new(cipher),
                    });
                }
            }
        }
        if keyed.len() > config.capacity {
            let message = format!("{} associations are more than 'capacity'", keyed.len());
            return Err(ConfigError::at("capacity", message));
        }
        let ends = |tunnel: &Tunnel| {
            format!("{} {} {:?} {:?}", tunnel.local, tunnel.remote, tunnel.udp, tunnel.selectors)
        };
        Ok(Plan {
            selectors: Classifier::build(&rules),
            tunnel_of,
            other: config.other,
            locals: config.tunnels.iter().map(|tunnel| tunnel.local).collect(),
            udp_ports: tunnels.iter().filter_map(|tunnel: &Route| Some(tunnel.udp?.local)).collect(),
            capacity: config.capacity,
            keyed,
            serial: SERIAL.fetch_add(1, Ordering::Relaxed),
            groups,
            says: config.tunnels.iter().map(ends).collect::<Vec<_>>().join("; "),
            tunnels,
        })
    }
}

/// An error of a tunnel, with its place among the tunnels.
fn beneath(n: usize, error: ConfigError) -> ConfigError {
    let key = error.key.as_deref().unwrap_or("name");
    ConfigError { key: Some(format!("tunnels[{n}].{key}")), ..error }
}

impl Route {
    fn new(tunnel: &Tunnel, group: u32) -> Result<Route, ConfigError> {
        tunnel.ttl.check("ttl", 1, 255)?;
        tunnel.dscp.check("dscp", 0, 63)?;
        let ends = Ends::new(tunnel.local, tunnel.remote)?;
        if tunnel.udp.is_some() && tunnel.local.is_ipv6() {
            return Err(ConfigError::at("udp", "ESP in UDP is for IPv4 here")
                .help("leave 'udp' out: IPv6 needs no address translation"));
        }
        if tunnel.udp.is_some_and(|udp| udp.local == 0 || udp.remote == 0) {
            return Err(ConfigError::at("udp", "0 is no port").help("write 4500"));
        }
        if !Window::SIZES.contains(&tunnel.replay_window) {
            let message = format!("'replay_window' is {}", tunnel.replay_window);
            return Err(ConfigError::at("replay_window", message).help("write a number from 64 to 4096"));
        }
        if tunnel.selectors.is_empty() {
            return Err(ConfigError::at("selectors", "nothing goes through this tunnel")
                .help("write selectors = [{ local = \"10.1.0.0/16\", remote = \"10.2.0.0/16\" }]"));
        }
        let macs = |macs: &Option<Macs>, key: &str| {
            let parsed = macs.as_ref().map(Macs::parse).transpose();
            parsed.map_err(|error| ConfigError { key: Some(key.to_owned()), ..error })
        };
        Ok(Route {
            name: tunnel.name.clone(),
            ends,
            udp: tunnel.udp,
            outer_macs: macs(&tunnel.outer_macs, "outer_macs")?,
            inner_macs: macs(&tunnel.inner_macs, "inner_macs")?,
            ttl: tunnel.ttl,
            dscp: tunnel.dscp,
            kept: tunnel.kept_dscp,
            way: Way::new(tunnel.mtu, &tunnel.icmp_from)?,
            window: tunnel.replay_window,
            selectors: tunnel.selectors.iter().map(Selector::rule).collect::<Result<_, _>>()?,
            group,
        })
    }
}

impl Selector {
    /// For packets on their way out.
    fn rule(&self) -> Result<classifier::Rule, ConfigError> {
        let prefix = |text: &str| {
            text.parse::<Prefix>().map_err(|error| {
                ConfigError::at("selectors", format!("'{text}': {error}"))
                    .help("write a network like \"10.1.0.0/16\"")
            })
        };
        let (local, remote) = (prefix(&self.local)?, prefix(&self.remote)?);
        if matches!(local, Prefix::V4(_)) != matches!(remote, Prefix::V4(_)) {
            let message = format!("{local} and {remote} are of different IP versions");
            return Err(ConfigError::at("selectors", message));
        }
        Ok(classifier::Rule {
            source: Some(network(local)),
            destination: Some(network(remote)),
            protocol: self.protocol.map_or(Masked::ANY, Masked::exactly),
            ..classifier::Rule::default()
        })
    }
}

fn network(prefix: Prefix) -> classifier::Prefix {
    match prefix {
        Prefix::V4(prefix) => classifier::Prefix::V4(prefix.address(), prefix.len()),
        Prefix::V6(prefix) => classifier::Prefix::V6(prefix.address(), prefix.len()),
    }
}

impl Association {
    fn cipher(&self, site: &Site) -> Result<Cipher, ConfigError> {
        check_spi(self.spi).map_err(|message| ConfigError::at("spi", message))?;
        let (key, secret) = match (&self.keymat, &self.keymat_file) {
            (Some(secret), None) => ("keymat", secret.clone()),
            (None, Some(file)) => {
                let read = Secret::read(site, file);
                ("keymat_file", read.map_err(|message| ConfigError::at("keymat_file", message))?)
            }
            _ => {
                return Err(ConfigError::at("spi", "there must be one of 'keymat' and 'keymat_file'"));
            }
        };
        cipher(&secret).map_err(|message| ConfigError::at(key, message).help("write 40 or 72 digits"))
    }
}

/// # Errors
/// An SPI that no association may have.
pub(super) fn check_spi(spi: u32) -> Result<(), String> {
    if spi > RESERVED { Ok(()) } else { Err(format!("SPI {spi} is reserved: take 256 or more")) }
}

/// The cipher of keying material in digits.
///
/// # Errors
/// What is wrong with it, without any of it.
pub(super) fn cipher(secret: &Secret) -> Result<Cipher, String> {
    let Some(keymat) = secret.hex() else {
        return Err("the keying material is not in hexadecimal digits".to_owned());
    };
    Cipher::new(&keymat).ok_or_else(|| {
        format!(
            "the keying material has {} bytes: it is 20 or 36, a key of AES and 4 bytes of salt",
            keymat.len()
        )
    })
}
