//! What a user says of a prefix translator, and what is made of it.

use super::mapping::{LONGEST, Pair};
use crate::teller::Sources;
use engine::ConfigError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use wire::Prefix6;

/// Configuration of [`super::Nptv6`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Internal prefixes and the external ones that stand for them: `"fd01:203:405::/48" = "2001:db8:1::/48"`.
    pub prefixes: BTreeMap<String, String>,
    /// The address (IPv6) that errors about addresses without a counterpart come from. Without it nobody is told.
    #[serde(default)]
    pub icmp_from: Vec<IpAddr>,
}

/// Pairs of prefixes up to this: every packet is compared with all of them.
const MOST: usize = 64;

/// A configuration that was checked.
pub struct Plan {
    pub(super) pairs: Vec<Pair>,
    pub(super) sources: Sources,
}

impl Plan {
    pub(super) fn new(config: &Config) -> Result<Plan, ConfigError> {
        let wrong = |message: String| ConfigError::at("prefixes", message);
        let mut pairs: Vec<Pair> = Vec::new();
        for (internal, external) in &config.prefixes {
            let pair = Pair::new(prefix(internal)?, prefix(external)?);
            if [pair.internal, pair.external].iter().any(|prefix| prefix.len() > LONGEST) {
                let message = format!("'{internal}' = '{external}' leaves no interface identifier");
                return Err(wrong(message).help(format!("prefixes of up to {LONGEST} bits can be mapped")));
            }
            let known = |other: Prefix6| {
                let overlaps = |one: Prefix6| one.includes(other) || other.includes(one);
                pairs.iter().flat_map(|pair| [pair.internal, pair.external]).find(|one| overlaps(*one))
            };
            let own = pair.internal.includes(pair.external) || pair.external.includes(pair.internal);
            if own {
                let message = format!("'{internal}' and '{external}' overlap");
                return Err(wrong(message).help("an address has to be internal or external"));
            }
            for prefix in [pair.internal, pair.external] {
                if let Some(other) = known(prefix) {
                    let message = format!("{prefix} overlaps with {other} of another pair");
                    return Err(wrong(message).help("a prefix can have one counterpart"));
                }
            }
            pairs.push(pair);
        }
        if pairs.is_empty() || pairs.len() > MOST {
            let message = format!("there are {} pairs of prefixes", pairs.len());
            let help = format!(
                "write 1 to {MOST} of them, like prefixes = {{ \"fd01:203:405::/48\" = \"2001:db8:1::/48\" }}"
            );
            return Err(wrong(message).help(help));
        }
        if let Some(address) = config.icmp_from.iter().find(|address| address.is_ipv4()) {
            let message = format!("{address} cannot tell of IPv6 packets");
            return Err(ConfigError::at("icmp_from", message).help("write an IPv6 address of this network"));
        }
        Ok(Plan { pairs, sources: Sources::new(&config.icmp_from)? })
    }

    /// The pair whose internal prefix an address is in.
    #[inline]
    pub(super) fn internal(&self, address: u128) -> Option<&Pair> {
        self.pairs.iter().find(|pair| pair.internal.contains(address))
    }

    /// The pair whose external prefix an address is in.
    #[inline]
    pub(super) fn external(&self, address: u128) -> Option<&Pair> {
        self.pairs.iter().find(|pair| pair.external.contains(address))
    }
}

fn prefix(text: &str) -> Result<Prefix6, ConfigError> {
    let wrong = |message: String| {
        ConfigError::at("prefixes", message)
            .help("write prefixes = { \"fd01:203:405::/48\" = \"2001:db8:1::/48\" }")
    };
    let prefix: Prefix6 = text.parse().map_err(|error| wrong(format!("'{text}': {error}")))?;
    let last = prefix.last();
    if prefix.len() == 0 || last >> 120 == 0xff || prefix.includes(Prefix6::new(0xfe80 << 112, 10)) {
        return Err(wrong(format!("'{text}' is not the prefix of a network of hosts")));
    }
    Ok(prefix)
}
