//! The engine's clock: the TSC on top of the wall clock.

use crate::time::Time;
use std::time::{SystemTime, UNIX_EPOCH};

/// Turns TSC readings into time. Set once per engine, so that all workers agree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    base_tsc: u64,
    base_nanos: u64,
    /// Nanoseconds per cycle, as a fixed-point number with 32 fractional bits.
    nanos_per_cycle: u64,
}

impl Clock {
    /// A clock that agrees with the wall clock now.
    pub(crate) fn start() -> Clock {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let hz = u128::from(dpdk::tsc_hz().max(1));
        Clock {
            base_tsc: dpdk::tsc(),
            base_nanos: u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX),
            nanos_per_cycle: u64::try_from((1_000_000_000u128 << 32) / hz).unwrap_or(u64::MAX),
        }
    }

    /// The time at a TSC reading.
    #[inline]
    pub(crate) fn at(&self, tsc: u64) -> Time {
        Time::from_nanos(self.base_nanos + self.nanos(tsc.saturating_sub(self.base_tsc)))
    }

    /// How many nanoseconds so many cycles are.
    #[inline]
    pub(crate) fn nanos(&self, cycles: u64) -> u64 {
        ((u128::from(cycles) * u128::from(self.nanos_per_cycle)) >> 32) as u64
    }
}
