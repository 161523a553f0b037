//! Which worker a packet must meet.
//!
//! Both directions of a flow, its fragments and its ICMP errors hash alike: the flow key is symmetric, an error
//! counts as the flow that it is about, and a later fragment, which has no ports, takes the way that the first
//! one took.

use crate::effects::Affinity;
use crate::fragments::{Fragments, Known};
use crate::layout::{Hashing, Layout};
use crate::nf::Ownership;
use crate::registry::Prepared;
use crate::time::Time;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use wire::{FlowKey, FlowKey4, FlowKey6, FragmentKey, Headers};

/// Where a packet goes for its next stage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Route {
    /// To the worker of that number, which may be this one.
    Worker(usize),
    /// Nowhere yet: a later fragment whose first has not been seen.
    Wait(FragmentKey),
}

/// Which packets must meet the same worker: an affinity, and for [`Affinity::Owned`] the NF's own rule.
#[derive(Clone)]
pub(crate) struct Rule {
    affinity: Affinity,
    ownership: Option<Arc<dyn Ownership>>,
}

impl Rule {
    /// That of an NF.
    pub(crate) fn of(nf: &dyn Prepared) -> Rule {
        match nf.effects().affinity {
            Affinity::Owned => match nf.ownership() {
                Some(ownership) => Rule { affinity: Affinity::Owned, ownership: Some(ownership) },
                None => Affinity::One.into(),
            },
            affinity => affinity.into(),
        }
    }

    /// Whether it says nothing.
    #[inline]
    pub(crate) fn is_any(&self) -> bool {
        self.affinity == Affinity::Any
    }

    /// The hash of a flow by which this rule spreads.
    fn hash(&self, layout: &Layout, key: &FlowKey) -> u32 {
        match (self.affinity, &self.ownership) {
            (_, Some(ownership)) => ownership.owner(key),
            (Affinity::Endpoint, _) => endpoint_hash(key, layout.seed),
            (Affinity::Host, _) => addresses_hash(key, layout.seed),
            _ => flow_hash(layout, key),
        }
    }
}

impl From<Affinity> for Rule {
    fn from(affinity: Affinity) -> Rule {
        Rule { affinity, ownership: None }
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Rule) -> bool {
        let same = match (&self.ownership, &other.ownership) {
            (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs) || ours.says() == theirs.says(),
            (ours, theirs) => ours.is_none() && theirs.is_none(),
        };
        same && self.affinity == other.affinity
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.affinity)
    }
}

/// Decides for one packet. `now` ages what is known of fragments.
pub(crate) fn route(
    layout: &Layout,
    rule: &Rule,
    here: usize,
    headers: &Headers,
    frame: &[u8],
    fragments: &mut Fragments,
    now: Time,
) -> Route {
    let hash = match rule.affinity {
        Affinity::Any => return Route::Worker(here),
        Affinity::One => return Route::Worker(0),
        Affinity::Flow | Affinity::Endpoint | Affinity::Owned if headers.is_fragment() => {
            let Some(key) = FragmentKey::from_packet(headers, frame) else {
                return Route::Worker(layout.owner(by_rule(layout, &Affinity::Host.into(), headers, frame)));
            };
            if headers.is_first_fragment() {
                let hash = by_rule(layout, rule, headers, frame);
                fragments.learn(key, hash, now);
                hash
            } else {
                match fragments.find(&key, now) {
                    Known::Hash(hash) => hash,
                    Known::Nothing => return Route::Wait(key),
                }
            }
        }
        Affinity::Flow | Affinity::Endpoint | Affinity::Host | Affinity::Owned => {
            by_rule(layout, rule, headers, frame)
        }
        Affinity::Fragment => match FragmentKey::from_packet(headers, frame) {
            Some(key) => key.hash_with(layout.seed),
            None => by_rule(layout, &Affinity::Flow.into(), headers, frame),
        },
        Affinity::SecurityAssociation => by_association(layout, headers, frame),
    };
    Route::Worker(layout.owner(hash))
}

/// The hash of a flow under the layout's way of hashing: what an NF's state is split by.
fn flow_hash(layout: &Layout, key: &FlowKey) -> u32 {
    match layout.hashing {
        Hashing::Mixed => key.symmetric_hash_with(layout.seed),
        Hashing::Toeplitz => toeplitz(key),
    }
}

/// The worker that owns the state of a flow in an NF of that rule.
pub(crate) fn owner(layout: &Layout, rule: &Rule, key: &FlowKey) -> usize {
    if rule.affinity == Affinity::One { 0 } else { layout.owner(rule.hash(layout, key)) }
}

/// The hash of a packet by a rule on flows; an ICMP error counts as what it is about. What has no key (ARP, broken
/// headers) hashes to 0, so that it stays in order.
fn by_rule(layout: &Layout, rule: &Rule, headers: &Headers, frame: &[u8]) -> u32 {
    FlowKey::of_flow(headers, frame).map_or(0, |key| rule.hash(layout, &key))
}

/// The hash of a flow's source address and port.
fn endpoint_hash(key: &FlowKey, seed: u64) -> u32 {
    match *key {
        FlowKey::V4(FlowKey4 { src, sport, .. }) => {
            FlowKey4 { src, sport, ..FlowKey4::default() }.hash_with(seed)
        }
        FlowKey::V6(FlowKey6 { src, sport, .. }) => {
            FlowKey6 { src, sport, ..FlowKey6::default() }.hash_with(seed)
        }
    }
}

/// The hash of a flow's two addresses, whichever way round.
fn addresses_hash(key: &FlowKey, seed: u64) -> u32 {
    match *key {
        FlowKey::V4(FlowKey4 { src, dst, .. }) => {
            FlowKey4 { src, dst, ..FlowKey4::default() }.symmetric_hash_with(seed)
        }
        FlowKey::V6(FlowKey6 { src, dst, .. }) => {
            FlowKey6 { src, dst, ..FlowKey6::default() }.symmetric_hash_with(seed)
        }
    }
}

/// The hash of an ESP or AH packet's SPI (RFC 4303 section 2.1, RFC 4302 section 2.4); other packets by flow.
fn by_association(layout: &Layout, headers: &Headers, frame: &[u8]) -> u32 {
    const ESP: u8 = 50;
    const AH: u8 = 51;
    let spi_at = match headers.protocol() {
        Some(ESP) => headers.l4_offset(),
        Some(AH) => headers.l4_offset().map(|offset| offset + 4),
        _ => None,
    };
    match spi_at.and_then(|at| frame.get(at..at + 4)).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok()) {
        Some(spi) => (wire::flow::mix(u32::from_be_bytes(spi).into(), 0, layout.seed) >> 32) as u32,
        None => by_rule(layout, &Affinity::Flow.into(), headers, frame),
    }
}

/// What a NIC with the symmetric key computes for the packets of a flow.
fn toeplitz(key: &FlowKey) -> u32 {
    let ports = (key.source_port(), key.destination_port());
    match (key.source(), key.destination()) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            dpdk::symmetric_toeplitz(&src.octets(), &dst.octets(), ports.0, ports.1)
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            dpdk::symmetric_toeplitz(&src.octets(), &dst.octets(), ports.0, ports.1)
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
