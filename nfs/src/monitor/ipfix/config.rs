//! What a user says of the export to a collector.

use super::message::{LARGEST, SMALLEST};
use super::transport::Destination;
use crate::Span;
use crate::monitor::config::check_file;
use engine::{ConfigError, Site};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

/// Where flows are sent, with or without more to say of it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Ipfix {
    /// `udp://host:port`, `tcp://host:port` or a file.
    To(String),
    /// That, and how.
    With(IpfixConfig),
}

/// How flows are sent.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IpfixConfig {
    /// `udp://host:port`, `tcp://host:port` or a file, to whose end messages are added.
    pub to: String,
    /// The largest packet that the way to the collector takes, with IP and UDP headers.
    #[serde(default = "mtu")]
    pub mtu: u16,
    /// How often templates are told again over UDP.
    #[serde(default = "templates")]
    pub templates: Span,
    /// Observation domain of worker 0; the others follow it.
    #[serde(default = "domain")]
    pub domain: u32,
}

fn mtu() -> u16 {
    1500
}

fn templates() -> Span {
    Span::seconds(60)
}

fn domain() -> u32 {
    1
}

/// Bytes of IPv6 and UDP headers, the longest that are added.
const HEADERS: usize = 48;

/// What was made of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::monitor) struct Target {
    pub(super) to: Destination,
    /// Bytes of a message.
    pub(super) limit: usize,
    pub(super) refresh: Duration,
    pub(super) domain: u32,
}

impl Target {
    pub(in crate::monitor) fn new(config: &Ipfix, site: &Site) -> Result<Target, ConfigError> {
        let config = match config {
            Ipfix::To(to) => {
                &IpfixConfig { to: to.clone(), mtu: mtu(), templates: templates(), domain: domain() }
            }
            Ipfix::With(config) => config,
        };
        let limit = usize::from(config.mtu).saturating_sub(HEADERS);
        if limit < SMALLEST {
            let message = format!("an MTU of {} is too small for a message", config.mtu);
            return Err(
                ConfigError::at("ipfix.mtu", message).help(format!("at least {}", SMALLEST + HEADERS))
            );
        }
        if config.templates.0.is_zero() {
            let message = "templates cannot be told all the time";
            return Err(ConfigError::at("ipfix.templates", message).help("write \"60s\""));
        }
        let to = if let Some(host) = config.to.strip_prefix("udp://") {
            Destination::Udp(resolve(host)?)
        } else if let Some(host) = config.to.strip_prefix("tcp://") {
            Destination::Tcp(resolve(host)?)
        } else if config.to.contains("://") {
            let message = format!("'{}' is no collector", config.to);
            return Err(
                ConfigError::at("ipfix", message).help("write udp://host:4739, tcp://host:4739 or a file")
            );
        } else {
            let file = site.path(&config.to);
            check_file("ipfix", &file)?;
            Destination::File(file)
        };
        Ok(Target { to, limit: limit.min(LARGEST), refresh: config.templates.0, domain: config.domain })
    }
}

fn resolve(host: &str) -> Result<SocketAddr, ConfigError> {
    let failed = |what: String| {
        ConfigError::at("ipfix", format!("'{host}' is no collector: {what}"))
            .help("write a host and a port: udp://192.0.2.1:4739")
    };
    let mut all = host.to_socket_addrs().map_err(|error| failed(error.to_string()))?;
    all.next().ok_or_else(|| failed("the name has no address".to_owned()))
}
