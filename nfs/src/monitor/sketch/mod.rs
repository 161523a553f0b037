//! Numbers of different things, and the largest movers of bytes, in fixed memory: 4 KiB for each number and 64 KiB for
//! each ranking, on each worker.
//!
//! Numbers change when a flow begins. Bytes are told when a flow begins, with each eighth packet of it, and when it ends:
//! so of a flow under way those of up to seven packets are not yet in, and the sketch costs a few cycles per packet.

pub(super) mod distinct;
pub(super) mod heavy;
mod state;
#[cfg(test)]
mod tests;

pub(super) use state::{BYTES, DISTINCT, KINDS, LARGEST, parse_all, records};

use super::flow::Flow;
use distinct::Distinct;
use heavy::Heavy;
use serde_json::{Value, json};
use std::net::IpAddr;
use wire::FlowKey;

/// A service: protocol and port.
type Service = (u8, u16);

/// All sketches of one worker.
#[derive(Clone)]
pub(super) struct Sketches {
    /// Who began flows, to whom, on which services; and flows as such.
    sources: Distinct,
    destinations: Distinct,
    services: Distinct,
    flows: Distinct,
    /// Bytes by address, sent and received.
    hosts: Heavy<IpAddr>,
    /// Bytes by service.
    ports: Heavy<Service>,
}

impl Sketches {
    pub(super) fn new() -> Sketches {
        Sketches {
            sources: Distinct::new(),
            destinations: Distinct::new(),
            services: Distinct::new(),
            flows: Distinct::new(),
            hosts: Heavy::new(),
            ports: Heavy::new(),
        }
    }

    /// A flow began with a packet as in `key`.
    pub(super) fn begun(&mut self, key: &FlowKey) {
        let (source, destination) = (hash_address(key.source()), hash_address(key.destination()));
        let service = hash_service(service(key));
        self.sources.add(source);
        self.destinations.add(destination);
        self.services.add(service);
        let ends = mix(source ^ mix(destination));
        self.flows.add(mix(ends ^ u64::from(key.source_port()) << 32 ^ service));
    }

    /// Takes the bytes that a flow has not told yet. The key is canonical.
    pub(super) fn tell(&mut self, key: &FlowKey, flow: &mut Flow) {
        let bytes = u64::from(std::mem::take(&mut flow.untold));
        self.count(key, flow, bytes);
    }

    /// The same at the end of a flow.
    pub(super) fn tell_last(&mut self, key: &FlowKey, flow: &Flow) {
        if flow.untold > 0 {
            self.count(key, flow, flow.untold.into());
        }
    }

    fn count(&mut self, key: &FlowKey, flow: &Flow, bytes: u64) {
        let key = if flow.originator == wire::Direction::Reverse { key.reversed() } else { *key };
        for address in [key.source(), key.destination()] {
            self.hosts.add(address, hash_address(address), bytes);
        }
        let service = service(&key);
        self.ports.add(service, hash_service(service), bytes);
    }

    /// Joins another worker's.
    pub(super) fn merge(&mut self, other: &Sketches) {
        self.sources.merge(&other.sources);
        self.destinations.merge(&other.destinations);
        self.services.merge(&other.services);
        self.flows.merge(&other.flows);
        self.hosts.merge(&other.hosts);
        self.ports.merge(&other.ports);
    }

    /// The numbers, with their standard errors.
    pub(super) fn numbers(&self) -> Value {
        let error = Distinct::error();
        let show = |distinct: &Distinct| {
            let estimate = distinct.estimate();
            json!({ "estimate": estimate.round(), "standard_error": (estimate * error).round() })
        };
        json!({
            "sources": show(&self.sources),
            "destinations": show(&self.destinations),
            "services": show(&self.services),
            "flows": show(&self.flows),
        })
    }

    /// The largest movers of bytes, with the bound of the error: with probability `1 - delta` an estimate is at most so
    /// much too large, and it is never too small but for `untold` packets of each flow under way.
    pub(super) fn movers(&self, count: usize) -> Value {
        let hosts = self.hosts.largest().into_iter().take(count);
        let ports = self.ports.largest().into_iter().take(count);
        let bound = |total: u64| (heavy::epsilon() * total as f64).ceil();
        json!({
            "hosts": {
                "largest": hosts.map(|(address, bytes)| json!({ "address": address, "bytes": bytes })).collect::<Value>(),
                "total": self.hosts.total(),
                "too_large_by": bound(self.hosts.total()),
            },
            "services": {
                "largest": ports.map(|((proto, port), bytes)| json!({ "proto": proto, "port": port, "bytes": bytes }))
                    .collect::<Value>(),
                "total": self.ports.total(),
                "too_large_by": bound(self.ports.total()),
            },
            "delta": heavy::delta(),
            "untold": UNTOLD - 1,
        })
    }
}

/// A flow tells its bytes with every so many packets.
pub(super) const UNTOLD: u64 = 8;

/// What the originator of a flow wanted.
fn service(key: &FlowKey) -> Service {
    (key.protocol(), key.destination_port())
}

/// 64 bits from an address. Without a key, so that what several programs have counted can be joined: who chooses
/// addresses at will can spoil the numbers.
fn hash_address(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => mix(u64::from(u32::from(address)) | 4 << 60),
        IpAddr::V6(address) => {
            let bits = u128::from(address);
            mix(mix((bits >> 64) as u64) ^ bits as u64)
        }
    }
}

fn hash_service((protocol, port): Service) -> u64 {
    mix(u64::from(protocol) << 16 | u64::from(port) | 5 << 60)
}

/// A permutation of 64 bits in which every bit of the result depends on every bit (SplitMix64's finalizer, Steele, Lea,
/// Flood 2014).
fn mix(bits: u64) -> u64 {
    let bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}
