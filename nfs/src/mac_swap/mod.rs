//! Swaps source and destination MAC address, so that every frame goes back to its sender.

use engine::{Burst, ConfigError, Cx, Effects, Kind, Nf, Site, WorkerSite};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use wire::{Field, Fields};

#[cfg(test)]
mod tests;

/// The NF. It has no state.
pub struct MacSwap;

/// Its configuration: there is nothing to configure.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {}

const ADDRESSES: Fields = Fields::of(&[Field::EthSrc, Field::EthDst]);

impl Nf for MacSwap {
    fn process(&mut self, burst: &mut Burst, _cx: &mut Cx<'_>) {
        for i in 0..burst.len() {
            let Some(bytes) = burst.bytes_mut(i) else { continue };
            if let Some(start) = bytes.first_chunk_mut() {
                swap_in_sixteen(start);
            } else if let Some(addresses) = bytes.first_chunk_mut() {
                swap(addresses);
            }
        }
    }
}

/// In a frame of 16 bytes and more: one load, one permutation of bytes, one store.
#[inline(always)]
fn swap_in_sixteen(start: &mut [u8; 16]) {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *start;
    *start = [g, h, i, j, k, l, a, b, c, d, e, f, m, n, o, p];
}

/// Rotates the twelve bytes of the two addresses by six: two loads, a few shifts, two stores. As two slices
/// that are swapped, it would be six byte moves each way.
#[inline(always)]
fn swap(addresses: &mut [u8; 12]) {
    let [a, b, c, d, e, f, g, h, tail @ ..] = *addresses;
    let low = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    let high = u32::from_le_bytes(tail);
    let rotated = low >> 48 | u64::from(high) << 16 | low << 48;
    addresses[..8].copy_from_slice(&rotated.to_le_bytes());
    addresses[8..].copy_from_slice(&((low >> 16) as u32).to_le_bytes());
}

impl Kind for MacSwap {
    const NAME: &'static str = "mac_swap";
    const SUMMARY: &'static str = "swaps source and destination MAC address";

    type Config = Config;
    type Plan = ();

    fn prepare(_config: &Config, _site: &Site) -> Result<(), ConfigError> {
        Ok(())
    }

    fn effects(_plan: &()) -> Effects {
        Effects { reads: ADDRESSES, writes: ADDRESSES, ..Effects::NONE }
    }

    fn instance(_plan: &Arc<()>, _worker: &WorkerSite) -> Self {
        MacSwap
    }
}
