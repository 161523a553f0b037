//! What a user says of a label stack, and what is made of it.

use super::MOST;
use crate::tunnel::{Kept, MARKS, Macs, Mark, OPENED, Other, SHAPE, Way, effects, usual_mtu};
use engine::{ConfigError, Effects};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use wire::Field;

/// Configuration of [`super::Mpls`]: which of the two it does.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Config {
    /// Puts labels on.
    Encap(Encap),
    /// Takes the stack off.
    Decap(Decap),
}

/// Labels to put on.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Encap {
    /// The labels, outermost first: 1 to 16 numbers of 20 bits.
    pub labels: Vec<u32>,
    /// Ethernet addresses of what comes out; without them those of the frame that came.
    #[serde(default)]
    pub macs: Option<Macs>,
    /// TTL of the labels, 1 to 255, or `"copy"`: the packet's.
    #[serde(default = "Mark::copy")]
    pub ttl: Mark,
    /// Traffic class of the labels, 0 to 7, or `"copy"`: the upper half of the packet's DSCP.
    #[serde(default = "Mark::copy")]
    pub class: Mark,
    /// The largest IP packet together with its labels.
    #[serde(default = "usual_mtu")]
    pub mtu: u16,
    /// Addresses, one of each IP version, from which senders of packets that are too large are told so by ICMP.
    #[serde(default)]
    pub icmp_from: Vec<IpAddr>,
    /// What becomes of frames that are neither IP nor MPLS, such as ARP.
    #[serde(default)]
    pub other: Other,
}

/// A stack to take off.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Decap {
    /// The whole stack, outermost first; without it any of up to 16 labels.
    #[serde(default)]
    pub labels: Vec<u32>,
    /// Ethernet addresses of what comes out; without them those of the frame that came.
    #[serde(default)]
    pub macs: Option<Macs>,
    /// Whose TTL the packet has from then on: its own, or the outermost label's if that is lower.
    #[serde(default)]
    pub ttl: Kept,
    /// What becomes of frames without this stack.
    #[serde(default)]
    pub other: Other,
}

/// A configuration that was checked.
pub enum Plan {
    /// Puts labels on.
    Encap(Push),
    /// Takes the stack off.
    Decap(Pop),
}

/// Labels to put on, at least one.
pub struct Push {
    pub(super) labels: Box<[u32]>,
    pub(super) macs: Option<[u8; 12]>,
    pub(super) ttl: Mark,
    pub(super) class: Mark,
    pub(super) way: Way,
    pub(super) other: Other,
}

/// A stack to take off; any if there is none.
pub struct Pop {
    pub(super) labels: Box<[u32]>,
    pub(super) macs: Option<[u8; 12]>,
    pub(super) ttl: Kept,
    pub(super) other: Other,
}

impl Plan {
    pub(super) fn new(config: &Config) -> Result<Plan, ConfigError> {
        match config {
            Config::Encap(encap) => {
                encap.ttl.check("ttl", 1, 255)?;
                encap.class.check("class", 0, 7)?;
                if encap.labels.is_empty() {
                    return Err(ConfigError::at("labels", "there is no label").help("write labels = [100]"));
                }
                Ok(Plan::Encap(Push {
                    labels: checked(&encap.labels)?,
                    macs: encap.macs.as_ref().map(Macs::parse).transpose()?,
                    ttl: encap.ttl,
                    class: encap.class,
                    way: Way::new(encap.mtu, &encap.icmp_from)?,
                    other: encap.other,
                }))
            }
            Config::Decap(decap) => Ok(Plan::Decap(Pop {
                labels: checked(&decap.labels)?,
                macs: decap.macs.as_ref().map(Macs::parse).transpose()?,
                ttl: decap.ttl,
                other: decap.other,
            })),
        }
    }

    pub(super) fn effects(&self) -> Effects {
        match self {
            Plan::Encap(push) => {
                effects(SHAPE.union(MARKS).with(Field::MplsLabel), push.macs, push.way.tells())
            }
            Plan::Decap(pop) => effects(OPENED.with(Field::MplsLabel), pop.macs, false),
        }
    }
}

/// Label 3, "implicit null", is never in a packet (RFC 3032 section 2.1).
fn checked(labels: &[u32]) -> Result<Box<[u32]>, ConfigError> {
    if labels.len() > MOST {
        let message = format!("{} labels are more than {MOST}", labels.len());
        return Err(ConfigError::at("labels", message));
    }
    match labels.iter().find(|label| **label == 3 || **label >= 1 << 20) {
        Some(label) => Err(ConfigError::at("labels", format!("{label} is no label of a packet"))
            .help("write numbers from 16 to 1048575")),
        None => Ok(labels.into()),
    }
}
