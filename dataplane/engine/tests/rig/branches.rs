//! NFs that can stand side by side: two that write to different fields, two that drop.

use engine::{Burst, ConfigError, Cx, Effects, Kind, Nf, Reason, Site, WorkerSite};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use wire::{Field, Fields};

/// Adds to the address of one side of every IPv4 packet, and to the IP checksum what that makes.
pub struct Marker {
    at: usize,
}

#[derive(Serialize, Deserialize, JsonSchema, Clone)]
#[serde(deny_unknown_fields)]
pub struct Side {
    source: bool,
}

impl Nf for Marker {
    fn process(&mut self, burst: &mut Burst, _cx: &mut Cx<'_>) {
        for i in 0..burst.len() {
            let headers = burst.headers(i);
            if !headers.is_ipv4() {
                continue;
            }
            let at = headers.l3_offset();
            let Some(bytes) = burst.bytes_mut(i) else { continue };
            let old = u16::from_be_bytes([bytes[at + self.at], bytes[at + self.at + 1]]);
            let new = old.wrapping_add(0x1234);
            bytes[at + self.at..at + self.at + 2].copy_from_slice(&new.to_be_bytes());
            let sum = wire::checksum::Delta::NONE.u16(old, new).update([bytes[at + 10], bytes[at + 11]]);
            bytes[at + 10..at + 12].copy_from_slice(&sum);
        }
    }
}

impl Kind for Marker {
    const NAME: &'static str = "marker";
    const SUMMARY: &'static str = "writes addresses";
    type Config = Side;
    type Plan = bool;

    fn prepare(config: &Side, _site: &Site) -> Result<bool, ConfigError> {
        Ok(config.source)
    }
    fn effects(source: &bool) -> Effects {
        let sums = Fields::of(&[Field::IpChecksum]);
        let side = if *source { Field::IpSrc } else { Field::IpDst };
        Effects { reads: Fields::of(&[side]), writes: sums.with(side), adjusts: sums, ..Effects::NONE }
    }
    fn instance(source: &Arc<bool>, _worker: &WorkerSite) -> Self {
        Marker { at: if **source { 12 } else { 16 } }
    }
}

/// Drops packets whose length is a multiple of `of`.
pub struct Sieve {
    of: usize,
}

#[derive(Serialize, Deserialize, JsonSchema, Clone)]
#[serde(deny_unknown_fields)]
pub struct Mesh {
    of: usize,
}

impl Nf for Sieve {
    fn process(&mut self, burst: &mut Burst, _cx: &mut Cx<'_>) {
        for i in 0..burst.len() {
            if burst.packet_len(i).is_multiple_of(self.of) {
                burst.drop(i, Reason::new(0));
            }
        }
    }
}

impl Kind for Sieve {
    const NAME: &'static str = "sieve";
    const SUMMARY: &'static str = "drops by length";
    const DROPS: &'static [&'static str] = &["length"];
    type Config = Mesh;
    type Plan = usize;

    fn prepare(config: &Mesh, _site: &Site) -> Result<usize, ConfigError> {
        Ok(config.of)
    }
    fn effects(_of: &usize) -> Effects {
        Effects { reads: Fields::of(&[Field::Length]), may_drop: true, ..Effects::NONE }
    }
    fn instance(of: &Arc<usize>, _worker: &WorkerSite) -> Self {
        Sieve { of: **of }
    }
}
