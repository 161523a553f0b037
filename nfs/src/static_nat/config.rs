//! What a user says of a static translator, and what is made of it.

use engine::ConfigError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use wire::Prefix4;
use wire::checksum::Delta;

/// Configuration of [`super::StaticNat`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Prefixes of sources (IPv4) and what they become: `"10.0.0.0/24" = "203.0.113.0/24"`.
    #[serde(default)]
    pub source: BTreeMap<String, String>,
    /// Prefixes of destinations and what they become: for the way back, `"203.0.113.0/24" = "10.0.0.0/24"`.
    #[serde(default)]
    pub destination: BTreeMap<String, String>,
    /// What becomes of the packet that an ICMP error quotes.
    #[serde(default)]
    pub icmp_errors: IcmpErrors,
}

/// What becomes of the packet that an ICMP error quotes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IcmpErrors {
    /// Its addresses are translated too, so that whoever gets the error knows the packet.
    #[default]
    Translate,
    /// It stays as it is, and so do payloads in general.
    Pass,
}

/// Prefixes of a map up to this: every packet is compared with all of them.
const MOST: usize = 64;

/// A configuration that was checked.
pub struct Plan {
    pub(super) source: Box<[Pair]>,
    pub(super) destination: Box<[Pair]>,
    pub(super) icmp_errors: IcmpErrors,
}

/// A prefix, and the one of the same length that stands for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Pair {
    pub from: Prefix4,
    pub to: Prefix4,
    /// What the change of any of its addresses is to a checksum: hosts are the same in both.
    pub delta: Delta,
}

impl Pair {
    fn new(from: Prefix4, to: Prefix4) -> Pair {
        Pair { from, to, delta: Delta::NONE.u32(from.address(), to.address()) }
    }

    /// What an address of the prefix becomes.
    #[inline(always)]
    pub(super) fn map(&self, address: u32) -> u32 {
        self.to.address() | address & !self.to.mask()
    }
}

impl Plan {
    pub(super) fn new(config: &Config) -> Result<Plan, ConfigError> {
        if config.source.is_empty() && config.destination.is_empty() {
            return Err(ConfigError::at("source", "neither 'source' nor 'destination' has a prefix")
                .help("write source = { \"10.0.0.0/24\" = \"203.0.113.0/24\" }"));
        }
        Ok(Plan {
            source: pairs("source", &config.source)?,
            destination: pairs("destination", &config.destination)?,
            icmp_errors: config.icmp_errors,
        })
    }
}

fn pairs(key: &str, map: &BTreeMap<String, String>) -> Result<Box<[Pair]>, ConfigError> {
    if map.len() > MOST {
        let message = format!("there are {} prefixes", map.len());
        return Err(ConfigError::at(key, message).help(format!("up to {MOST} can be mapped")));
    }
    let mut pairs: Vec<Pair> = Vec::with_capacity(map.len());
    for (from, to) in map {
        let pair = Pair::new(prefix(key, from)?, prefix(key, to)?);
        if pair.from.len() != pair.to.len() {
            let message = format!("'{from}' = '{to}' are not of one length");
            return Err(ConfigError::at(key, message).help("one address can become one other"));
        }
        let overlap = |a: Prefix4, b: Prefix4| a.includes(b) || b.includes(a);
        for (before, one, other) in
            pairs.iter().flat_map(|known| [("from", known.from, pair.from), ("to", known.to, pair.to)])
        {
            if overlap(one, other) {
                let message = format!("{other} overlaps with {one}, which is mapped {before} as well");
                return Err(ConfigError::at(key, message).help("one address can become one other"));
            }
        }
        pairs.push(pair);
    }
    Ok(pairs.into())
}

fn prefix(key: &str, text: &str) -> Result<Prefix4, ConfigError> {
    text.parse().map_err(|error| {
        ConfigError::at(key, format!("'{text}': {error}"))
            .help(format!("write {key} = {{ \"10.0.0.0/24\" = \"203.0.113.0/24\" }}"))
    })
}
