//! Swaps source and destination MAC address, so that every frame goes back to its sender.

use engine::{Burst, ConfigError, Cx, Effects, Kind, Nf, Site, WorkerSite};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use wide::u8x16;
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
        burst.for_each_mut(|_, bytes| swap(bytes));
    }
}

/// Swaps what there is of two addresses; a frame that has not both stays as it is.
#[inline(always)]
fn swap(frame: &mut [u8]) {
    if let Some(start) = frame.first_chunk_mut() {
        swap_in_sixteen(start);
    } else if let Some(addresses) = frame.first_chunk_mut::<12>() {
        let (destination, source) = addresses.split_at_mut(6);
        destination.swap_with_slice(source);
    }
}

/// In a frame of 16 bytes and more: one load, one shuffle, one store, which is half of the work of loading and storing
/// parts of the addresses.
#[inline(always)]
fn swap_in_sixteen(start: &mut [u8; 16]) {
    const PLACES: u8x16 = u8x16::new([6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5, 12, 13, 14, 15]);
    *start = u8x16::new(*start).shuffle(PLACES).to_array();
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
