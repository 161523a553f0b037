mod config;
mod mapping;
mod packets;

use super::mapping::Pair;
use super::*;
use std::net::Ipv6Addr;

/// The prefixes of RFC 6296 section 3.6.
const INTERNAL: &str = "fd01:203:405::/48";
const EXTERNAL: &str = "2001:db8:1::/48";

fn address(text: &str) -> u128 {
    text.parse::<Ipv6Addr>().expect(text).into()
}

fn pair(internal: &str, external: &str) -> Pair {
    Pair::new(internal.parse().expect("a prefix"), external.parse().expect("a prefix"))
}

fn plan(config: &str) -> Result<Plan, ConfigError> {
    Plan::new(&toml::from_str(config).expect("a configuration"))
}
