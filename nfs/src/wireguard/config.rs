//! What a user says of a WireGuard interface and its peers, and what is made of it.

use crate::secret::Secret;
use crate::tunnel::{Ends, Macs, Mark, Other, Way};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use boringtun::x25519::{PublicKey, StaticSecret};
use engine::{ConfigError, Site};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use wire::Prefix;
use zeroize::Zeroizing;

/// Most peers of one interface: all are looked through.
const MOST_PEERS: usize = 256;

/// Configuration of [`super::WireGuard`].
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// This end's private key, in base64 as `wg genkey` writes it.
    #[serde(default)]
    pub private_key: Option<Secret>,
    /// A file with it.
    #[serde(default)]
    pub private_key_file: Option<String>,
    /// This end's address.
    pub local: IpAddr,
    /// This end's UDP port.
    #[serde(default = "port")]
    #[schemars(range(min = 1))]
    pub port: u16,
    /// Ethernet addresses of what goes into the tunnel.
    pub macs: Macs,
    /// Ethernet addresses of what comes out of it; without them those of the frame that came.
    #[serde(default)]
    pub inner_macs: Option<Macs>,
    /// The peers.
    #[schemars(length(min = 1, max = 256))]
    pub peers: Vec<PeerConfig>,
    /// Outer TTL or hop limit.
    #[serde(default = "ttl")]
    #[schemars(range(min = 1))]
    pub ttl: u8,
    /// The largest outer IP packet.
    #[serde(default = "crate::tunnel::usual_mtu")]
    pub mtu: u16,
    /// Addresses, one of each IP version, from which senders of packets that are too large are told so by ICMP.
    #[serde(default)]
    pub icmp_from: Vec<IpAddr>,
    /// Handshakes per second from which on senders must prove their addresses by a cookie.
    #[serde(default = "handshakes")]
    #[schemars(range(min = 1))]
    pub handshakes: u64,
    /// What becomes of packets that are for no peer and not for this end.
    #[serde(default)]
    pub other: Other,
}

fn port() -> u16 {
    51820
}

fn ttl() -> u8 {
    64
}

fn handshakes() -> u64 {
    100
}

/// One peer.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PeerConfig {
    /// Its public key, in base64.
    pub public_key: String,
    /// A key that both ends know besides, in base64.
    #[serde(default)]
    pub preshared_key: Option<Secret>,
    /// A file with it.
    #[serde(default)]
    pub preshared_key_file: Option<String>,
    /// Networks behind it: what goes there goes to it, and what it sends comes from there.
    #[schemars(length(min = 1))]
    pub allowed: Vec<String>,
    /// Its address and port, until it sends from others; without one it must send first.
    #[serde(default)]
    pub endpoint: Option<SocketAddr>,
    /// Seconds between packets that keep the way through NAT open.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub keepalive: Option<u16>,
}

/// A configuration that was checked.
pub struct Plan {
    pub(super) private: StaticSecret,
    pub(super) public: PublicKey,
    pub(super) local: IpAddr,
    pub(super) port: u16,
    pub(super) macs: [u8; 12],
    pub(super) inner_macs: Option<[u8; 12]>,
    pub(super) peers: Vec<PeerPlan>,
    /// Networks and the peers that they are behind, the longest prefix first.
    pub(super) allowed: Vec<(Prefix, usize)>,
    pub(super) ttl: u8,
    pub(super) way: Way,
    pub(super) handshakes: u64,
    pub(super) other: Other,
}

/// A peer that was checked.
pub(super) struct PeerPlan {
    pub public: [u8; 32],
    pub preshared: Option<Zeroizing<[u8; 32]>>,
    pub endpoint: Option<SocketAddr>,
    pub keepalive: Option<u16>,
}

/// A key from the configuration or from a file beside it.
fn key(
    site: &Site,
    name: &str,
    written: Option<&Secret>,
    file: Option<&String>,
) -> Result<Option<Zeroizing<[u8; 32]>>, ConfigError> {
    let (at, secret) = match (written, file) {
        (None, None) => return Ok(None),
        (Some(secret), None) => (name.to_owned(), secret.clone()),
        (None, Some(file)) => {
            let at = format!("{name}_file");
            let read = Secret::read(site, file);
            let secret = read.map_err(|message| ConfigError::at(&at, message))?;
            (at, secret)
        }
        (Some(_), Some(_)) => {
            return Err(ConfigError::at(name, format!("there are both '{name}' and '{name}_file'")));
        }
    };
    let key = secret.base64().ok_or_else(|| {
        ConfigError::at(&at, "this is no key").help("write 32 bytes in base64, as 'wg genkey' does")
    })?;
    Ok(Some(key))
}

impl Plan {
    pub(super) fn new(config: &Config, site: &Site) -> Result<Plan, ConfigError> {
        let private =
            key(site, "private_key", config.private_key.as_ref(), config.private_key_file.as_ref())?;
        let private = private.ok_or_else(|| {
            ConfigError::at("private_key", "there is no private key")
                .help("write 'private_key', or 'private_key_file' with the name of a file")
        })?;
        let private = StaticSecret::from(*private);
        let public = PublicKey::from(&private);
        Mark::Fixed(config.ttl).check("ttl", 1, 255)?;
        if config.local.is_multicast() || config.local.is_unspecified() {
            let message = format!("'local' is {}", config.local);
            return Err(ConfigError::at("local", message).help("write the address of one host"));
        }
        for (name, is_zero) in [("port", config.port == 0), ("handshakes", config.handshakes == 0)] {
            if is_zero {
                return Err(ConfigError::at(name, format!("'{name}' is 0")));
            }
        }
        if !(1..=MOST_PEERS).contains(&config.peers.len()) {
            let message = format!("there are {} peers", config.peers.len());
            return Err(ConfigError::at("peers", message).help(format!("write 1 to {MOST_PEERS}")));
        }
        let (mut peers, mut allowed) = (Vec::new(), Vec::new());
        let (mut known, mut networks) = (BTreeSet::from([*public.as_bytes()]), BTreeSet::new());
        for (n, peer) in config.peers.iter().enumerate() {
            let within = |error: ConfigError| ConfigError {
                key: Some(format!("peers[{n}].{}", error.key.as_deref().unwrap_or("public_key"))),
                ..error
            };
            let checked = peer.check(site, config.local).map_err(within)?;
            if !known.insert(checked.public) {
                let message = "this key is another peer's or our own";
                return Err(within(ConfigError::at("public_key", message)));
            }
            for text in &peer.allowed {
                let prefix: Prefix = text
                    .parse()
                    .map_err(|error| within(ConfigError::at("allowed", format!("'{text}': {error}"))))?;
                if !networks.insert(prefix.to_string()) {
                    let message = format!("{prefix} is behind two peers, or twice behind one");
                    return Err(within(ConfigError::at("allowed", message)));
                }
                allowed.push((prefix, n));
            }
            if peer.allowed.is_empty() {
                return Err(within(ConfigError::at("allowed", "there is nothing behind this peer")));
            }
            peers.push(checked);
        }
        let length = |prefix: &Prefix| match prefix {
            Prefix::V4(prefix) => prefix.len(),
            Prefix::V6(prefix) => prefix.len(),
        };
        allowed.sort_by_key(|(prefix, _)| std::cmp::Reverse(length(prefix)));
        Ok(Plan {
            private,
            public,
            local: config.local,
            port: config.port,
            macs: config.macs.parse()?,
            inner_macs: config
                .inner_macs
                .as_ref()
                .map(Macs::parse)
                .transpose()
                .map_err(|error| ConfigError { key: Some("inner_macs".to_owned()), ..error })?,
            peers,
            allowed,
            ttl: config.ttl,
            way: Way::new(config.mtu, &config.icmp_from)?,
            handshakes: config.handshakes,
            other: config.other,
        })
    }

    /// The peer that an address is behind.
    #[inline]
    pub(super) fn behind(&self, address: IpAddr) -> Option<usize> {
        self.allowed.iter().find(|(prefix, _)| prefix.contains(address)).map(|(_, peer)| *peer)
    }
}

/// Whether packets can be sent from an address to an endpoint.
pub(super) fn can_reach(local: IpAddr, endpoint: SocketAddr) -> bool {
    endpoint.port() != 0 && Ends::new(local, endpoint.ip()).is_ok()
}

impl PeerConfig {
    fn check(&self, site: &Site, local: IpAddr) -> Result<PeerPlan, ConfigError> {
        let decoded = BASE64_STANDARD.decode(self.public_key.trim()).ok();
        let public: Option<[u8; 32]> = decoded.and_then(|bytes| bytes.try_into().ok());
        let Some(public) = public else {
            return Err(ConfigError::at("public_key", "this is no key")
                .help("write 32 bytes in base64, as 'wg pubkey' does"));
        };
        if let Some(endpoint) = self.endpoint
            && !can_reach(local, endpoint)
        {
            let message = format!("{endpoint} cannot be reached from {local}");
            return Err(ConfigError::at("endpoint", message)
                .help("write a host's address, of the same IP version, and a port"));
        }
        if self.keepalive == Some(0) {
            return Err(ConfigError::at("keepalive", "'keepalive' is 0").help("leave it out"));
        }
        let preshared =
            key(site, "preshared_key", self.preshared_key.as_ref(), self.preshared_key_file.as_ref())?;
        Ok(PeerPlan { public, preshared, endpoint: self.endpoint, keepalive: self.keepalive })
    }
}
