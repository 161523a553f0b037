//! Drops IP packets that have too few hops left (the idea of RFC 5082, the other way round: who must be near is
//! recognised by a TTL that is still high).

use engine::{Burst, ConfigError, Cx, Effects, Kind, Nf, Reason, Site, WorkerSite};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use wire::{Field, Fields};

/// The NF: an instance per worker. It has no state.
pub struct TtlGuard {
    least: u8,
}

/// Its configuration.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The lowest TTL (IPv4) or hop limit (IPv6) that passes, 1 to 255.
    #[serde(default = "one_hop")]
    pub least: u8,
}

/// With a TTL of 2 the next router can still forward.
fn one_hop() -> u8 {
    2
}

/// An index into `DROPS`.
const LOW_TTL: Reason = Reason::new(0);
/// An index into `COUNTERS`.
const NOT_IP: usize = 0;

impl Nf for TtlGuard {
    fn process(&mut self, burst: &mut Burst, cx: &mut Cx<'_>) {
        let mut not_ip = 0;
        for i in 0..burst.len() {
            let headers = burst.headers(i);
            match headers.ttl(burst.bytes(i)) {
                Some(ttl) if ttl < self.least => burst.drop(i, LOW_TTL),
                Some(_) => {}
                None => not_ip += 1,
            }
        }
        if not_ip > 0 {
            cx.count(NOT_IP, not_ip);
        }
    }
}

impl Kind for TtlGuard {
    const NAME: &'static str = "ttl_guard";
    const SUMMARY: &'static str = "drops IP packets that have too few hops left";
    const DROPS: &'static [&'static str] = &["low_ttl"];
    const COUNTERS: &'static [&'static str] = &["not_ip"];
    const EXAMPLE: &'static str = "least = 2";

    type Config = Config;
    type Plan = Config;

    fn prepare(config: &Config, _site: &Site) -> Result<Config, ConfigError> {
        if config.least == 0 {
            return Err(ConfigError::at("least", "'least' is 0: every packet would pass")
                .help("write 1 to 255, or leave the NF out of the path"));
        }
        Ok(config.clone())
    }

    fn effects(_plan: &Config) -> Effects {
        Effects {
            reads: Fields::of(&[Field::EtherType, Field::Vlan, Field::IpVersion, Field::IpTtl]),
            may_drop: true,
            ..Effects::NONE
        }
    }

    fn instance(plan: &Arc<Config>, _worker: &WorkerSite) -> Self {
        TtlGuard { least: plan.least }
    }
}
