//! What is measured of a flow: its age, bytes, and rate.

use engine::Time;
use serde::{Deserialize, Serialize};

/// Rates are those of windows of this length, which begin at whole multiples of it since the epoch.
pub(super) const WINDOW: u64 = 100_000_000;

/// Times in nanoseconds since the epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Meter {
    pub first: u64,
    pub last: u64,
    pub packets: u64,
    pub bytes: u64,
    /// The number of the window in hand, and its bytes.
    window: u64,
    in_window: u64,
    /// Bits per second in the last whole window.
    pub rate: Option<u64>,
}

impl Meter {
    pub(super) fn new(now: Time) -> Meter {
        let now = now.as_nanos();
        Meter { first: now, last: now, packets: 0, bytes: 0, window: now / WINDOW, in_window: 0, rate: None }
    }

    /// A packet of `length` bytes.
    #[inline]
    pub(super) fn add(&mut self, length: usize, now: Time) {
        self.roll(now.as_nanos());
        self.last = now.as_nanos();
        self.packets += 1;
        self.bytes += length as u64;
        self.in_window += length as u64;
    }

    /// Goes on to the window of `now`. The first one counts from the first packet on only, so it has no rate.
    #[inline]
    pub(super) fn roll(&mut self, now: u64) {
        let window = now / WINDOW;
        if window <= self.window {
            return;
        }
        let whole = self.window > self.first / WINDOW;
        if window > self.window + 1 {
            self.rate = Some(0);
        } else if whole {
            self.rate = Some(self.in_window * 8 * (1_000_000_000 / WINDOW));
        }
        (self.window, self.in_window) = (window, 0);
    }

    /// Nanoseconds from the first packet to `now`.
    pub(super) fn age(&self, now: u64) -> u64 {
        now.saturating_sub(self.first)
    }

    /// Bits per second from the first packet to the last.
    pub(super) fn mean(&self) -> Option<u64> {
        let nanos = u128::from(self.age(self.last));
        let rate = (u128::from(self.bytes) * 8_000_000_000).checked_div(nanos)?;
        u64::try_from(rate).ok()
    }
}
