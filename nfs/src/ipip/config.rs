//! What a user says of an IP tunnel, and what is made of it.

use crate::tunnel::{Ends, FLOW, Kept, MARKS, Macs, Mark, OPENED, Other, SHAPE, Way, effects, usual_mtu};
use engine::{ConfigError, Effects};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Configuration of [`super::IpIp`]: which of the two it does.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Config {
    /// Puts packets into the tunnel.
    Encap(Encap),
    /// Takes packets out of the tunnel.
    Decap(Decap),
}

/// The outer header.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Encap {
    /// This end of the tunnel: the outer source.
    pub local: IpAddr,
    /// The other end: the outer destination.
    pub remote: IpAddr,
    /// Ethernet addresses of what comes out; without them those of the frame that came.
    #[serde(default)]
    pub macs: Option<Macs>,
    /// Outer TTL or hop limit, 1 to 255, or `"copy"`: the packet's.
    #[serde(default = "ttl")]
    pub ttl: Mark,
    /// Outer DSCP, 0 to 63, or `"copy"`: the packet's.
    #[serde(default = "Mark::copy")]
    pub dscp: Mark,
    /// The largest outer IP packet.
    #[serde(default = "usual_mtu")]
    pub mtu: u16,
    /// Addresses, one of each IP version, from which senders of packets that are too large are told so by ICMP.
    #[serde(default)]
    pub icmp_from: Vec<IpAddr>,
    /// What becomes of frames that are not IP, such as ARP.
    #[serde(default)]
    pub other: Other,
}

fn ttl() -> Mark {
    Mark::Fixed(64)
}

/// What is taken out.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Decap {
    /// This end of the tunnel, with `remote`; without them any tunnel is opened.
    #[serde(default)]
    pub local: Option<IpAddr>,
    /// The other end.
    #[serde(default)]
    pub remote: Option<IpAddr>,
    /// Ethernet addresses of what comes out; without them those of the outer frame.
    #[serde(default)]
    pub macs: Option<Macs>,
    /// Whose DSCP the packet has from then on.
    #[serde(default)]
    pub dscp: Kept,
    /// What becomes of packets that are not for this tunnel.
    #[serde(default)]
    pub other: Other,
}

/// A configuration that was checked.
pub enum Plan {
    /// Puts packets into the tunnel.
    Encap(Wrap),
    /// Takes packets out of the tunnel.
    Decap(Unwrap),
}

/// The outer header.
pub struct Wrap {
    pub(super) ends: Ends,
    pub(super) macs: Option<[u8; 12]>,
    pub(super) ttl: Mark,
    pub(super) dscp: Mark,
    pub(super) way: Way,
    pub(super) other: Other,
}

/// What is taken out.
pub struct Unwrap {
    pub(super) ends: Option<Ends>,
    pub(super) macs: Option<[u8; 12]>,
    pub(super) dscp: Kept,
    pub(super) other: Other,
}

impl Plan {
    pub(super) fn new(config: &Config) -> Result<Plan, ConfigError> {
        match config {
            Config::Encap(encap) => {
                encap.ttl.check("ttl", 1, 255)?;
                encap.dscp.check("dscp", 0, 63)?;
                Ok(Plan::Encap(Wrap {
                    ends: Ends::new(encap.local, encap.remote)?,
                    macs: encap.macs.as_ref().map(Macs::parse).transpose()?,
                    ttl: encap.ttl,
                    dscp: encap.dscp,
                    way: Way::new(encap.mtu, &encap.icmp_from)?,
                    other: encap.other,
                }))
            }
            Config::Decap(decap) => {
                let ends = match (decap.local, decap.remote) {
                    (Some(local), Some(remote)) => Some(Ends::new(local, remote)?),
                    (None, None) => None,
                    (local, _) => {
                        let missing = if local.is_some() { "remote" } else { "local" };
                        let message = format!("'{missing}' is missing");
                        return Err(ConfigError::at(missing, message)
                            .help("write both ends of the tunnel, or none to open all tunnels"));
                    }
                };
                Ok(Plan::Decap(Unwrap {
                    ends,
                    macs: decap.macs.as_ref().map(Macs::parse).transpose()?,
                    dscp: decap.dscp,
                    other: decap.other,
                }))
            }
        }
    }

    pub(super) fn effects(&self) -> Effects {
        let marked = SHAPE.union(MARKS);
        match self {
            Plan::Encap(wrap) => {
                let reads = if matches!(wrap.ends, Ends::V6 { .. }) { marked.union(FLOW) } else { marked };
                effects(reads, wrap.macs, wrap.way.tells())
            }
            Plan::Decap(unwrap) => effects(OPENED, unwrap.macs, false),
        }
    }
}
