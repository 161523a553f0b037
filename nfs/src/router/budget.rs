//! How many ICMP errors may still be sent: a token bucket (RFC 1812 section 4.3.2.8, RFC 4443 section 2.4(f)).

use engine::Time;

/// Errors that may be sent at once after a rest.
const DEPTH: u64 = 50;
const SECOND: u64 = 1_000_000_000;

/// A token bucket in units of 10⁻⁹ errors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Budget {
    rate: u64,
    pub tokens: u64,
    pub at: Time,
}

impl Budget {
    /// `rate` errors per second.
    pub fn new(rate: u64) -> Budget {
        Budget { rate, tokens: DEPTH.min(rate) * SECOND, at: Time::ZERO }
    }

    /// Takes one token, if there is one.
    pub fn take(&mut self, now: Time) -> bool {
        let nanos = u64::try_from(now.since(self.at).as_nanos()).unwrap_or(u64::MAX);
        let full = DEPTH.min(self.rate) * SECOND;
        self.tokens = self.tokens.saturating_add(nanos.saturating_mul(self.rate)).min(full);
        self.at = self.at.max(now);
        let there = self.tokens >= SECOND;
        if there {
            self.tokens -= SECOND;
        }
        there
    }

    /// What is left, under another rate.
    pub fn inherit(&mut self, old: &Budget) {
        self.tokens = old.tokens.min(DEPTH.min(self.rate) * SECOND);
        self.at = old.at;
    }
}
