//! Stateless address translation for IPv4: one prefix for another, address by address (RFC 3022 section 2, "basic NAT"
//! with addresses that are assigned for good).

mod config;
mod rewrite;
#[cfg(test)]
mod tests;

pub use config::{Config, IcmpErrors, Plan};

use engine::{BURST, Burst, ConfigError, Cx, Effects, Kind, Nf, Site, WorkerSite};
use rewrite::Change;
use std::sync::Arc;
use wire::{Field, Fields};

const PASSED: usize = 0;
const TRANSLATED: usize = 1;
const ICMP_ERRORS: usize = 2;

/// The NF, on one worker.
pub struct StaticNat {
    plan: Arc<Plan>,
}

impl StaticNat {
    /// A burst of TCP and UDP as most is; how many packets changed. `None`: it is not one.
    fn usual(&self, burst: &mut Burst) -> Option<u64> {
        let mut changes = [Change::default(); BURST];
        for (change, packet) in changes.iter_mut().zip(burst.all_usual()?) {
            *change = Change::of_usual(&self.plan, packet);
        }
        let changed = changes.iter().filter(|change| change.is_any()).count();
        if changed == burst.len() {
            burst.for_each_mut(|i, bytes| changes[i % BURST].write_usual(bytes));
        } else {
            for (i, change) in changes.iter().enumerate().filter(|(_, change)| change.is_any()) {
                if let Some(bytes) = burst.bytes_mut(i) {
                    change.write_usual(bytes);
                }
            }
        }
        Some(changed as u64)
    }

    /// One packet of any kind: whether it changed, and whether one that it quotes did.
    fn any(&self, burst: &mut Burst, i: usize) -> (bool, bool) {
        let headers = burst.headers(i);
        let Some(verdict) = self.plan.judge(&headers, burst.bytes(i)) else { return (false, false) };
        if let Some(bytes) = burst.bytes_mut(i) {
            verdict.apply(&headers, bytes);
        }
        (true, verdict.quotes())
    }
}

impl Nf for StaticNat {
    fn process(&mut self, burst: &mut Burst, cx: &mut Cx<'_>) {
        let mut quoted = 0;
        let changed = self.usual(burst).unwrap_or_else(|| {
            let mut changed = 0;
            for i in 0..burst.len() {
                let (is_changed, is_quoted) = self.any(burst, i);
                changed += u64::from(is_changed);
                quoted += u64::from(is_quoted);
            }
            changed
        });
        for (counter, n) in
            [(PASSED, burst.len() as u64 - changed), (TRANSLATED, changed), (ICMP_ERRORS, quoted)]
        {
            if n > 0 {
                cx.count(counter, n);
            }
        }
    }
}

impl Kind for StaticNat {
    const NAME: &'static str = "static_nat";
    const SUMMARY: &'static str = "translates IPv4 prefixes one to one, without state";
    const COUNTERS: &'static [&'static str] = &["passed", "translated", "icmp_errors"];
    const EXAMPLE: &'static str = "source = { \"10.0.0.0/24\" = \"203.0.113.0/24\" }\ndestination = { \"203.0.113.0/24\" = \"10.0.0.0/24\" }\n";

    type Config = Config;
    type Plan = Plan;

    fn prepare(config: &Config, _site: &Site) -> Result<Plan, ConfigError> {
        Plan::new(config)
    }

    /// Only what the maps name is read and written; payloads only where packets in ICMP errors are translated too.
    fn effects(plan: &Plan) -> Effects {
        let mut addresses = Fields::EMPTY;
        if !plan.source.is_empty() {
            addresses = addresses.with(Field::IpSrc);
        }
        if !plan.destination.is_empty() {
            addresses = addresses.with(Field::IpDst);
        }
        let (mut reads, mut writes) = (READS | addresses, CHECKSUMS | addresses);
        if plan.icmp_errors == IcmpErrors::Translate {
            reads = reads.with(Field::IcmpType).with(Field::Payload);
            writes = writes.with(Field::Payload);
        }
        Effects { reads, writes, adjusts: CHECKSUMS, ..Effects::NONE }
    }

    fn instance(plan: &Arc<Plan>, _worker: &WorkerSite) -> Self {
        StaticNat { plan: Arc::clone(plan) }
    }
}

/// By which addresses and checksums are found.
const READS: Fields = Fields::of(&[
    Field::EtherType,
    Field::Vlan,
    Field::IpVersion,
    Field::IpProto,
    Field::IpOptions,
    Field::IpFragment,
    Field::IpLength,
]);

const CHECKSUMS: Fields = Fields::of(&[Field::IpChecksum, Field::L4Checksum]);
