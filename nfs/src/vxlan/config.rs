//! What a user says of a VXLAN, and what is made of it.

use crate::tunnel::{Ends, FLOW, Kept, MACS, MARKS, Macs, Mark, OPENED, Other, SHAPE, Way, usual_mtu};
use engine::{ConfigError, Effects};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use wire::{Field, Fields};

/// Configuration of [`super::Vxlan`]: which of the two it does.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Config {
    /// Puts frames into the VXLAN.
    Encap(Encap),
    /// Takes frames out of the VXLAN.
    Decap(Decap),
}

/// The outer headers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Encap {
    /// VXLAN network identifier, 24 bits.
    #[schemars(range(max = 0xff_ffff))]
    pub vni: u32,
    /// This end: the outer source.
    pub local: IpAddr,
    /// The other end: the outer destination.
    pub remote: IpAddr,
    /// Outer Ethernet addresses.
    pub macs: Macs,
    /// UDP port of the other end.
    #[serde(default = "port")]
    pub port: u16,
    /// Outer TTL or hop limit, 1 to 255.
    #[serde(default = "ttl")]
    #[schemars(range(min = 1))]
    pub ttl: u8,
    /// Outer DSCP, 0 to 63, or `"copy"`: that of the packet in the frame (of other frames: 0).
    #[serde(default = "Mark::copy")]
    pub dscp: Mark,
    /// Whether UDP has a checksum; if not said: over IPv6 it has.
    #[serde(default)]
    pub checksum: Option<bool>,
    /// The largest outer IP packet.
    #[serde(default = "usual_mtu")]
    pub mtu: u16,
    /// Addresses, one of each IP version, from which senders of packets that are too large are told so by ICMP.
    #[serde(default)]
    pub icmp_from: Vec<IpAddr>,
}

fn port() -> u16 {
    wire::protocol::port::VXLAN
}

fn ttl() -> u8 {
    64
}

/// What is taken out.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Decap {
    /// VXLAN network identifier, 24 bits.
    #[schemars(range(max = 0xff_ffff))]
    pub vni: u32,
    /// This end: the outer destination.
    pub local: IpAddr,
    /// The other end: the outer source.
    pub remote: IpAddr,
    /// UDP port of this end.
    #[serde(default = "port")]
    pub port: u16,
    /// Whose DSCP the packet in the frame has from then on.
    #[serde(default)]
    pub dscp: Kept,
    /// What becomes of packets that are not of this VXLAN.
    #[serde(default)]
    pub other: Other,
}

/// A configuration that was checked.
pub enum Plan {
    /// Puts frames into the VXLAN.
    Encap(Wrap),
    /// Takes frames out of the VXLAN.
    Decap(Unwrap),
}

/// The outer headers.
pub struct Wrap {
    pub(super) vni: u32,
    pub(super) ends: Ends,
    pub(super) macs: [u8; 12],
    pub(super) port: u16,
    pub(super) ttl: u8,
    pub(super) dscp: Mark,
    pub(super) checksum: bool,
    pub(super) way: Way,
}

/// What is taken out.
pub struct Unwrap {
    pub(super) vni: u32,
    pub(super) ends: Ends,
    pub(super) port: u16,
    pub(super) dscp: Kept,
    pub(super) other: Other,
}

impl Plan {
    pub(super) fn new(config: &Config) -> Result<Plan, ConfigError> {
        match config {
            Config::Encap(encap) => {
                encap.dscp.check("dscp", 0, 63)?;
                Mark::Fixed(encap.ttl).check("ttl", 1, 255)?;
                let ends = Ends::new(encap.local, encap.remote)?;
                Ok(Plan::Encap(Wrap {
                    vni: checked(encap.vni)?,
                    ends,
                    macs: encap.macs.parse()?,
                    port: encap.port,
                    ttl: encap.ttl,
                    dscp: encap.dscp,
                    checksum: encap.checksum.unwrap_or(matches!(ends, Ends::V6 { .. })),
                    way: Way::new(encap.mtu, &encap.icmp_from)?,
                }))
            }
            Config::Decap(decap) => Ok(Plan::Decap(Unwrap {
                vni: checked(decap.vni)?,
                ends: Ends::new(decap.local, decap.remote)?,
                port: decap.port,
                dscp: decap.dscp,
                other: decap.other,
            })),
        }
    }

    /// Whatever a field says before, it says something else behind the tunnel.
    pub(super) fn effects(&self) -> Effects {
        let (reads, tells) = match self {
            Plan::Encap(wrap) if wrap.way.tells() || wrap.checksum => (Fields::ALL, wrap.way.tells()),
            Plan::Encap(_) => (SHAPE.union(FLOW).union(MARKS).union(MACS), false),
            Plan::Decap(_) => (OPENED.with(Field::VxlanVni), false),
        };
        Effects {
            reads,
            writes: Fields::ALL,
            changes_length: true,
            may_drop: true,
            may_create: tells,
            ..Effects::NONE
        }
    }
}

fn checked(vni: u32) -> Result<u32, ConfigError> {
    if vni < 1 << 24 {
        return Ok(vni);
    }
    Err(ConfigError::at("vni", format!("{vni} is no network identifier"))
        .help("write a number up to 16777215"))
}
