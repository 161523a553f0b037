//! Frames with a name, and bursts of them at a time.

use crate::random::Random;
use engine::{BURST, Input, Time};
use std::time::Duration;

/// A frame for an NF, and what it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// What it is, for people.
    pub what: String,
    /// The whole frame, from the Ethernet header on.
    pub bytes: Vec<u8>,
    /// Number of the port by which it comes in.
    pub ingress: u16,
}

impl Frame {
    /// A frame that comes in by port 0.
    pub fn new(what: impl Into<String>, bytes: Vec<u8>) -> Self {
        Frame { what: what.into(), bytes, ingress: 0 }
    }

    pub(crate) fn input(&self) -> Input<'_> {
        Input { bytes: &self.bytes, ingress: self.ingress }
    }
}

/// Frames that arrive together.
#[derive(Clone, Debug)]
pub(crate) struct Volley {
    pub at: Time,
    pub frames: Vec<Frame>,
}

/// When the first packet of every test arrives, in nanoseconds since the epoch (November 2023).
pub(crate) const START: Time = Time::from_nanos(1_700_000_000_000_000_000);

/// Puts frames into bursts of 1 to 32, milliseconds apart; after three quarters of them there are five
/// minutes of silence, in which most things that can expire do.
pub(crate) fn volleys(frames: Vec<Frame>, seed: u64) -> Vec<Volley> {
    let mut random = Random::new(seed ^ 0x766f_6c6c_6579);
    let silence = frames.len() / 4;
    let mut waiting = frames.into_iter().peekable();
    let (mut out, mut at, mut silent) = (Vec::new(), START, false);
    while waiting.peek().is_some() {
        let size = 1 + random.below(BURST);
        out.push(Volley { at, frames: waiting.by_ref().take(size).collect() });
        at = at + Duration::from_micros(200 + random.below(5000) as u64);
        if !silent && waiting.len() < silence {
            silent = true;
            at = at + Duration::from_secs(300);
        }
    }
    out
}
