//! What a user says of a VLAN tag, and what is made of it.

use crate::tunnel::{Mark, Other, SHAPE, Way};
use engine::{ConfigError, Effects};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use wire::protocol::ether_type;
use wire::{Field, Fields};

/// Configuration of [`super::Vlan`]: which of the two it does.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Config {
    /// Puts a tag in front of those that are there.
    Encap(Encap),
    /// Takes the outermost tag off.
    Decap(Decap),
}

/// A tag to put on.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Encap {
    /// VLAN identifier, 0 (a priority tag) to 4094.
    #[schemars(range(max = 4094))]
    pub id: u16,
    /// Priority, 0 to 7, or `"copy"`: that of the outermost tag (without one: 0).
    #[serde(default = "Mark::copy")]
    pub priority: Mark,
    /// The tag's type.
    #[serde(default)]
    pub tag: Tag,
    /// The largest IP packet that goes on; without it any.
    #[serde(default)]
    pub mtu: Option<u16>,
    /// Addresses, one of each IP version, from which senders of packets that are too large are told so by ICMP.
    #[serde(default)]
    pub icmp_from: Vec<IpAddr>,
}

/// A tag to take off.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Decap {
    /// Its VLAN identifier; without it any.
    #[serde(default)]
    #[schemars(range(max = 4094))]
    pub id: Option<u16>,
    /// What becomes of frames without such a tag.
    #[serde(default)]
    pub other: Other,
}

/// The type of a tag.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub enum Tag {
    /// A customer's, 0x8100.
    #[default]
    #[serde(rename = "802.1q")]
    Customer,
    /// A provider's, 0x88a8: outside of a customer's.
    #[serde(rename = "802.1ad")]
    Service,
}

/// A configuration that was checked.
pub enum Plan {
    /// Puts a tag on.
    Encap(Push),
    /// Takes a tag off.
    Decap(Pop),
}

/// A tag to put on.
pub struct Push {
    pub(super) id: u16,
    pub(super) priority: Mark,
    pub(super) kind: u16,
    pub(super) way: Option<Way>,
}

/// A tag to take off.
pub struct Pop {
    pub(super) id: Option<u16>,
    pub(super) other: Other,
}

impl Plan {
    pub(super) fn new(config: &Config) -> Result<Plan, ConfigError> {
        match config {
            Config::Encap(encap) => {
                check_id(encap.id)?;
                encap.priority.check("priority", 0, 7)?;
                let way = match encap.mtu {
                    Some(mtu) => Some(Way::new(mtu, &encap.icmp_from)?),
                    None if encap.icmp_from.is_empty() => None,
                    None => {
                        let message = "'icmp_from' means nothing without 'mtu'";
                        return Err(ConfigError::at("icmp_from", message).help("write mtu = 1500"));
                    }
                };
                let kind = match encap.tag {
                    Tag::Customer => ether_type::VLAN,
                    Tag::Service => ether_type::QINQ,
                };
                Ok(Plan::Encap(Push { id: encap.id, priority: encap.priority, kind, way }))
            }
            Config::Decap(decap) => {
                decap.id.map_or(Ok(()), check_id)?;
                Ok(Plan::Decap(Pop { id: decap.id, other: decap.other }))
            }
        }
    }

    pub(super) fn effects(&self) -> Effects {
        let tags = Fields::of(&[Field::Vlan, Field::VlanPriority]);
        let base =
            Effects { reads: tags, writes: tags, changes_length: true, may_drop: true, ..Effects::NONE };
        match self {
            Plan::Encap(Push { way: None, .. }) => Effects { reads: tags.with(Field::Length), ..base },
            Plan::Encap(Push { way: Some(way), .. }) if way.tells() => {
                Effects { reads: Fields::ALL, may_create: true, ..base }
            }
            Plan::Encap(_) => Effects { reads: tags.union(SHAPE), ..base },
            Plan::Decap(_) => Effects { reads: tags.with(Field::EtherType), ..base },
        }
    }
}

fn check_id(id: u16) -> Result<(), ConfigError> {
    if id < 4095 {
        return Ok(());
    }
    Err(ConfigError::at("id", format!("{id} is no VLAN identifier")).help("write a number up to 4094"))
}
