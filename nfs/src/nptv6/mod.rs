//! IPv6-to-IPv6 network prefix translation (RFC 6296): one prefix for another, one to one, without state and without a
//! change to any checksum.

mod config;
mod mapping;
#[cfg(test)]
mod tests;

pub use config::{Config, Plan};

use crate::teller::{Complaint, Teller};
use engine::{Affinity, Burst, ConfigError, Cx, Effects, Kind, Nf, Reason, Site, WorkerSite};
use mapping::Unmappable;
use std::sync::Arc;
use wire::{Field, Fields, Headers, ipv6};

const SUBNET_ALL_ONES: Reason = Reason::new(0);
const RESERVED_INTERFACE_ID: Reason = Reason::new(1);

const PASSED: usize = 0;
const OUTWARD: usize = 1;
const INWARD: usize = 2;
const HAIRPINNED: usize = 3;
const ICMP_ERRORS: usize = 4;

/// Where source and destination are in an IPv6 header.
const SOURCE: usize = 8;
const DESTINATION: usize = 24;

/// The NF, on one worker.
pub struct Nptv6 {
    plan: Arc<Plan>,
    teller: Teller,
}

/// The addresses of a packet after translation. `None`: it stays as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Change {
    source: Option<u128>,
    destination: Option<u128>,
}

/// Why a packet cannot be translated, and where in its header that is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Refusal {
    why: Unmappable,
    at: usize,
}

impl Change {
    fn write(self, bytes: &mut [u8], l3: usize) {
        for (at, address) in [(SOURCE, self.source), (DESTINATION, self.destination)] {
            if let (Some(address), Some(place)) = (address, bytes.get_mut(l3 + at..l3 + at + 16)) {
                place.copy_from_slice(&address.to_be_bytes());
            }
        }
    }

    /// Which counter it belongs to.
    fn counter(self) -> usize {
        match (self.source, self.destination) {
            (None, None) => PASSED,
            (Some(_), None) => OUTWARD,
            (None, Some(_)) => INWARD,
            (Some(_), Some(_)) => HAIRPINNED,
        }
    }
}

impl Plan {
    /// What becomes of a packet's addresses. Outward is what comes from an internal address and goes elsewhere, inward
    /// what goes to an external one, and both is what goes from an internal to an external one (RFC 6296 section 4.4,
    /// RFC 4787 REQ-9).
    fn change(&self, source: u128, destination: u128) -> Result<Change, Refusal> {
        let mut change = Change::default();
        if !is_for_the_network(destination) || !is_for_the_network(source) {
            return Ok(change);
        }
        if let Some(pair) = self.external(destination) {
            let mapped = pair.inward(destination).map_err(|why| Refusal { why, at: DESTINATION })?;
            change.destination = Some(mapped);
        } else if self.internal(destination).is_some() {
            return Ok(change);
        }
        if let Some(pair) = self.internal(source) {
            change.source = Some(pair.outward(source).map_err(|why| Refusal { why, at: SOURCE })?);
        }
        Ok(change)
    }

    /// The same for the packet inside an ICMPv6 error, which travels the other way: what it shows of the other side
    /// becomes what the receiver of the error knows.
    fn change_embedded(&self, source: u128, destination: u128) -> Result<Change, Refusal> {
        let mut change = Change::default();
        if let Some(pair) = self.external(source) {
            change.source = Some(pair.inward(source).map_err(|why| Refusal { why, at: SOURCE })?);
        } else if self.internal(source).is_some() {
            return Ok(change);
        }
        if let Some(pair) = self.internal(destination) {
            let mapped = pair.outward(destination).map_err(|why| Refusal { why, at: DESTINATION })?;
            change.destination = Some(mapped);
        }
        Ok(change)
    }
}

/// Not for one link (or one host) only, and no group: groups are where they are, whoever sends.
fn is_for_the_network(address: u128) -> bool {
    address >> 118 != 0xfe80 >> 6 && address >> 120 != 0xff && address > 1
}

/// The packet inside an ICMPv6 error, if enough of it is there.
fn embedded(headers: &Headers, frame: &[u8]) -> Option<(usize, (u128, u128))> {
    let inner = headers.embedded(frame)?;
    Some((inner.l3_offset(), inner.ipv6_addresses(frame)?))
}

impl Nptv6 {
    fn translate(&mut self, burst: &mut Burst, i: usize, cx: &mut Cx<'_>, counts: &mut [u64; 4]) {
        let headers = burst.headers(i);
        let frame = burst.bytes(i);
        let Some((source, destination)) = headers.ipv6_addresses(frame) else {
            counts[PASSED] += 1;
            return;
        };
        let change = self.plan.change(source, destination);
        let inner = embedded(&headers, frame).map(|(at, (source, destination))| {
            self.plan.change_embedded(source, destination).map(|change| (at, change))
        });
        let refused = match (change, inner.transpose()) {
            (Ok(change), Ok(inner)) => {
                counts[change.counter()] += 1;
                if (change, inner.map(|(_, inner)| inner).unwrap_or_default()) == Default::default() {
                    return;
                }
                let Some(bytes) = burst.bytes_mut(i) else { return };
                change.write(bytes, headers.l3_offset());
                if let Some((at, inner)) = inner {
                    inner.write(bytes, at);
                }
                return;
            }
            (Err(refused), _) | (_, Err(refused)) => refused,
        };
        let (reason, complaint) = match refused.why {
            Unmappable::Subnet => (SUBNET_ALL_ONES, Complaint::Unreachable),
            Unmappable::InterfaceId => (RESERVED_INTERFACE_ID, Complaint::BadField(refused.at as u8)),
        };
        if self.teller.tell(burst, i, cx, complaint) {
            cx.count(ICMP_ERRORS, 1);
        }
        burst.drop(i, reason);
    }
}

impl Nf for Nptv6 {
    fn process(&mut self, burst: &mut Burst, cx: &mut Cx<'_>) {
        let mut counts = [0; 4];
        for i in 0..burst.len() {
            self.translate(burst, i, cx, &mut counts);
        }
        for (counter, n) in counts.into_iter().enumerate().filter(|(_, n)| *n > 0) {
            cx.count(counter, n);
        }
    }
}

impl Kind for Nptv6 {
    const NAME: &'static str = "nptv6";
    const SUMMARY: &'static str = "translates IPv6 prefixes one to one, without state";
    const DROPS: &'static [&'static str] = &["subnet_all_ones", "reserved_interface_id"];
    const COUNTERS: &'static [&'static str] = &["passed", "outward", "inward", "hairpinned", "icmp_errors"];
    const EXAMPLE: &'static str = "prefixes = { \"fd01:203:405::/48\" = \"2001:db8:1::/48\" }\n";

    type Config = Config;
    type Plan = Plan;

    fn prepare(config: &Config, _site: &Site) -> Result<Plan, ConfigError> {
        Plan::new(config)
    }

    fn effects(plan: &Plan) -> Effects {
        let tells = plan.sources.any();
        Effects {
            // An error quotes the packet that it is about.
            reads: if tells { Fields::ALL } else { READS },
            writes: WRITES,
            may_drop: true,
            may_create: tells,
            affinity: Affinity::Any,
            ..Effects::NONE
        }
    }

    fn instance(plan: &Arc<Plan>, _worker: &WorkerSite) -> Self {
        Nptv6 { plan: Arc::clone(plan), teller: Teller::new(plan.sources) }
    }
}

/// The addresses, and what leads to those of the packet inside an ICMPv6 error.
const READS: Fields = Fields::of(&[
    Field::EtherType,
    Field::Vlan,
    Field::IpVersion,
    Field::IpSrc,
    Field::IpDst,
    Field::IpProto,
    Field::IpOptions,
    Field::IpFragment,
    Field::IpLength,
    Field::IcmpType,
    Field::Payload,
]);

const WRITES: Fields = Fields::of(&[Field::IpSrc, Field::IpDst, Field::Payload]);

const _: () = assert!(SOURCE + 16 == DESTINATION && DESTINATION + 16 == ipv6::HEADER_LEN);
