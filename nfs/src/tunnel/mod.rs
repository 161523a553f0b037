//! What the tunnels have in common: outer IP headers, congestion marks, room in the frame, and packets that became
//! too large.

mod ecn;
mod frame;
mod inner;
mod outer;
mod size;
#[cfg(test)]
mod tests;

pub(crate) use frame::{after_tags, insert, remove, set_ether_type, set_macs};
pub(crate) use inner::{Marks, fits, mark_inner, set_inner_ttl};
pub(crate) use outer::{Ends, Header};
pub(crate) use size::{Size, Way};

use engine::{Burst, ConfigError, Cx, Effects, Reason};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wire::{Field, Fields, Mac};

/// The first drop reasons of every tunnel: a header that is broken or cut off.
pub(crate) const MALFORMED: Reason = Reason::new(0);
/// Longer than the MTU, or it would be with the tunnel's headers.
pub(crate) const TOO_LARGE: Reason = Reason::new(1);
/// No room for the tunnel's headers in front of the packet.
pub(crate) const NO_ROOM: Reason = Reason::new(2);

/// The counters of every tunnel: packets that passed as they were, because they are not for the tunnel.
const PASSED: usize = 0;
/// ICMP errors that were sent about packets that became too large.
const ICMP_ERRORS: usize = 1;
/// Their names.
pub(crate) const COUNTERS: [&str; 2] = ["passed", "icmp_errors"];

/// Below the network layer: what IP tunnels leave as it is.
pub(crate) const LINK: Fields = Fields::of(&[Field::EthSrc, Field::EthDst, Field::Vlan, Field::VlanPriority]);
/// Ethernet addresses.
pub(crate) const MACS: Fields = Fields::of(&[Field::EthSrc, Field::EthDst]);
/// What says where an IP packet begins and ends.
pub(crate) const SHAPE: Fields = Fields::of(&[
    Field::EtherType,
    Field::Vlan,
    Field::IpVersion,
    Field::IpOptions,
    Field::IpProto,
    Field::IpFragment,
    Field::IpLength,
    Field::Length,
]);
/// What tells flows apart.
pub(crate) const FLOW: Fields = Fields::of(&[
    Field::IpSrc,
    Field::IpDst,
    Field::IpProto,
    Field::Sport,
    Field::Dport,
    Field::IcmpType,
    Field::IcmpRest,
]);
/// Marks of an IP header that are copied between the inside and the outside.
pub(crate) const MARKS: Fields = Fields::of(&[Field::IpDscp, Field::IpEcn, Field::IpTtl]);
/// The fields that the checks of an outer header and the one inside look at.
pub(crate) const OPENED: Fields = SHAPE.union(FLOW).union(MARKS).union(Fields::of(&[
    Field::IpId,
    Field::IpChecksum,
    Field::L4Length,
    Field::L4Checksum,
    Field::TcpOptions,
    Field::Payload,
]));

/// The largest outer packet where a configuration says nothing: Ethernet's.
pub(crate) fn usual_mtu() -> u16 {
    1500
}

/// The effects of a tunnel for IP packets. Whatever a field says before, it says something else behind the tunnel;
/// Ethernet addresses stay, unless there are others. `tells`: senders of packets that are too large are told so.
pub(crate) fn effects(reads: Fields, macs: Option<[u8; 12]>, tells: bool) -> Effects {
    let beyond = Fields::ALL.without(LINK);
    Effects {
        reads: if tells { Fields::ALL } else { reads },
        writes: if macs.is_some() { beyond.union(MACS) } else { beyond },
        changes_length: true,
        may_drop: true,
        may_create: tells,
        ..Effects::NONE
    }
}

/// What becomes of packets that are not for the tunnel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Other {
    /// They are dropped, under the reason why they are not.
    #[default]
    Drop,
    /// They go on as they are.
    Pass,
}

/// A value for the outer header: a number, or `"copy"` for that of the packet inside.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Mark {
    /// Always this one.
    Fixed(u8),
    /// The packet's own.
    Packet(Copied),
}

/// The word `"copy"`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Copied {
    /// The packet's own value.
    Copy,
}

impl Mark {
    /// The packet's own value: what is meant where a configuration says nothing.
    pub(crate) fn copy() -> Mark {
        Mark::Packet(Copied::Copy)
    }

    /// The value, given that of the packet.
    #[inline]
    pub(crate) fn of(self, packet: u8) -> u8 {
        match self {
            Mark::Fixed(value) => value,
            Mark::Packet(Copied::Copy) => packet,
        }
    }

    /// # Errors
    /// A number that is not from `least` to `most`.
    pub(crate) fn check(self, key: &str, least: u8, most: u8) -> Result<(), ConfigError> {
        match self {
            Mark::Fixed(value) if !(least..=most).contains(&value) => {
                let message = format!("'{key}' is {value}");
                Err(ConfigError::at(key, message)
                    .help(format!("write a number from {least} to {most}, or \"copy\"")))
            }
            _ => Ok(()),
        }
    }
}

/// Which of two values a packet keeps that comes out of a tunnel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// That of the packet inside: the pipe model.
    #[default]
    Inner,
    /// That of the header outside: the uniform model.
    Outer,
}

/// Ethernet addresses of what comes out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Macs {
    /// Source address, like `"02:00:00:00:00:01"`.
    pub source: String,
    /// Destination address.
    pub destination: String,
}

impl Macs {
    /// Destination and source, as they stand at the start of a frame.
    pub(crate) fn parse(&self) -> Result<[u8; 12], ConfigError> {
        let parse = |written: &str| {
            let mac: Mac = written.parse().map_err(|error| format!("'{written}': {error}"))?;
            Ok::<Mac, String>(mac)
        };
        let source = parse(&self.source).map_err(|message| ConfigError::at("macs", message))?;
        let destination = parse(&self.destination).map_err(|message| ConfigError::at("macs", message))?;
        if !source.is_unicast() {
            let message = format!("the source {source} is no address of a station");
            return Err(ConfigError::at("macs", message));
        }
        let mut bytes = [0; 12];
        bytes[..6].copy_from_slice(&destination.0);
        bytes[6..].copy_from_slice(&source.0);
        Ok(bytes)
    }
}

/// Why a packet does not go through the tunnel.
pub(crate) enum Refused {
    /// It is not for the tunnel: the policy decides.
    Other(Reason),
    /// It ends.
    Drop(Reason),
    /// It has its verdict already.
    Judged,
}

/// Does with every packet of a burst what the tunnel does with one.
#[inline]
pub(crate) fn each(
    burst: &mut Burst,
    cx: &mut Cx<'_>,
    other: Other,
    mut work: impl FnMut(&mut Burst, usize, &mut Cx<'_>) -> Result<(), Refused>,
) {
    let mut passed = 0;
    for i in 0..burst.len() {
        match work(burst, i, cx) {
            Ok(()) | Err(Refused::Judged) => {}
            Err(Refused::Other(_)) if other == Other::Pass => passed += 1,
            Err(Refused::Other(reason) | Refused::Drop(reason)) => burst.drop(i, reason),
        }
    }
    if passed > 0 {
        cx.count(PASSED, passed);
    }
}
