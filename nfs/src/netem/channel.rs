//! What happens to each packet, and when it arrives. It knows no mbuf.

use super::config::Settings;
use super::random::{Draws, Random};
use engine::Time;
use serde::{Deserialize, Serialize};

/// Bytes among which a bit may change: those that are in one piece in every packet.
const REACH: usize = 256;

/// All that has been random so far: the whole state of a channel but for packets on their way.
///
/// Every property has draws of its own, so that losses stay the same when a delay is added.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Channel {
    loss: Draws,
    delay: Draws,
    reorder: Draws,
    duplicate: Draws,
    corrupt: Draws,
    /// Which bit changes.
    bits: Random,
    /// Transitions of the channel with two states.
    transitions: Random,
    /// It is in its bad state.
    pub bad: bool,
    /// Packets since one overtook.
    since_overtaking: u32,
    /// When the link has sent everything so far, in nanoseconds since the epoch.
    busy_until: u64,
    /// What of a nanosecond is left over, in units of 1 s divided by the rate.
    remainder: u64,
    /// When the last packet in order arrives, in nanoseconds since the epoch.
    last_due: u64,
}

/// What becomes of a packet, but for when.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Fate {
    pub lost: bool,
    pub twice: bool,
    /// The place of a byte, and the bit of it to change.
    pub flip: Option<(usize, u8)>,
}

/// When a packet arrives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Arrival {
    pub due: Time,
    /// It skipped the delay.
    pub overtakes: bool,
}

impl Channel {
    pub(super) fn new(seed: u64) -> Channel {
        let mut stream = 0;
        let mut draws = || {
            stream += 1;
            Draws::new(seed, stream)
        };
        Channel {
            loss: draws(),
            delay: draws(),
            reorder: draws(),
            duplicate: draws(),
            corrupt: draws(),
            bits: Random::new(seed, 6),
            transitions: Random::new(seed, 7),
            bad: false,
            since_overtaking: 0,
            busy_until: 0,
            remainder: 0,
            last_due: 0,
        }
    }

    /// The fate of a packet of `len` bytes.
    #[inline]
    pub(super) fn judge(&mut self, settings: &Settings, len: usize) -> Fate {
        if self.loses(settings) {
            return Fate { lost: true, ..Fate::default() };
        }
        let duplicate = settings.duplicate;
        let twice =
            !duplicate.chance.is_none() && duplicate.chance.hits(self.duplicate.next(duplicate.correlation));
        let corrupt = settings.corrupt;
        let flips = !corrupt.chance.is_none() && corrupt.chance.hits(self.corrupt.next(corrupt.correlation));
        let flip = (flips && len > 0).then(|| {
            let bit = self.bits.below(len.min(REACH) * 8);
            (bit / 8, (bit % 8) as u8)
        });
        Fate { lost: false, twice, flip }
    }

    #[inline]
    fn loses(&mut self, settings: &Settings) -> bool {
        let Some(bursts) = settings.bursts else {
            let loss = settings.loss;
            return !loss.chance.is_none() && loss.chance.hits(self.loss.next(loss.correlation));
        };
        let change = if self.bad { bursts.to_good } else { bursts.to_bad };
        self.bad ^= change.hits(self.transitions.next());
        let chance = if self.bad { bursts.loss_in_bad } else { bursts.loss_in_good };
        chance.hits(self.loss.next(settings.loss.correlation))
    }

    /// When a packet of `len` bytes that comes now arrives: the link sends it behind all others, then it is on its way
    /// for the delay.
    #[inline]
    pub(super) fn arrival(&mut self, settings: &Settings, len: usize, now: Time) -> Arrival {
        let sent = self.send(settings, len, now);
        let overtakes = self.overtakes(settings);
        let mut due = sent;
        if !overtakes && (settings.delay > 0.0 || settings.jitter > 0.0) {
            let deviation = if settings.jitter > 0.0 {
                settings.config.distribution.deviation(self.delay.next(settings.delay_correlation))
            } else {
                0.0
            };
            // The cast brings what is below zero to zero.
            due = due.saturating_add((settings.delay + settings.jitter * deviation).round() as u64);
        }
        if settings.config.in_order {
            due = due.max(self.last_due);
        }
        self.last_due = due;
        Arrival { due: Time::from_nanos(due), overtakes }
    }

    /// When the link has sent the packet.
    #[inline]
    fn send(&mut self, settings: &Settings, len: usize, now: Time) -> u64 {
        let now = now.as_nanos();
        let Some(rate) = settings.config.rate else { return now };
        let bits = 8 * (len as u64 + u64::from(settings.config.overhead));
        // Packets are of 64 kB at the most.
        let total = bits * 1_000_000_000 + self.remainder % rate.bits();
        self.remainder = total % rate.bits();
        self.busy_until = self.busy_until.max(now).saturating_add(total / rate.bits());
        self.busy_until
    }

    #[inline]
    fn overtakes(&mut self, settings: &Settings) -> bool {
        let reorder = settings.reorder;
        if reorder.chance.is_none() {
            return false;
        }
        let draw = self.reorder.next(reorder.correlation);
        self.since_overtaking = self.since_overtaking.saturating_add(1);
        let overtakes = self.since_overtaking >= settings.config.gap && reorder.chance.hits(draw);
        if overtakes {
            self.since_overtaking = 0;
        }
        overtakes
    }
}
