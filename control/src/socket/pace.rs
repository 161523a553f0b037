//! How fast something may go: early callers wait, nobody is refused.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A steady rate with room for a burst of one second's worth.
pub(super) struct Pace {
    interval: Duration,
    /// When the next caller's turn would be at the steady rate.
    next: Mutex<Instant>,
}

/// How much may be made up for after a silence.
const BURST: Duration = Duration::from_secs(1);

impl Pace {
    pub fn per_second(rate: u32) -> Self {
        Pace { interval: Duration::from_secs(1) / rate.max(1), next: Mutex::new(Instant::now()) }
    }

    /// Waits for the caller's turn.
    pub fn wait(&self) {
        let delay = self.turn(Instant::now());
        if !delay.is_zero() {
            std::thread::sleep(delay);
        }
    }

    /// Takes a turn, and says how long it is until then.
    fn turn(&self, now: Instant) -> Duration {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next = (*next + self.interval).max(now);
        next.saturating_duration_since(now).saturating_sub(BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let pace = Pace::per_second(10);
        let now = Instant::now();
        let delays: Vec<Duration> = (0..30).map(|_| pace.turn(now)).collect();
        assert!(delays[..9].iter().all(Duration::is_zero), "{delays:?}");
        assert!((1800..=2100).contains(&delays[29].as_millis()), "{delays:?}");
        assert!(pace.turn(now + Duration::from_secs(10)).is_zero(), "a silence makes up for it");
    }
}
