//! A priority flow, and what is to become of it.

use super::config::Class;
use super::{HARD_LIMITS, SOFT_LIMITS, id};
use crate::smart::meter::{Meter, WINDOW};
use crate::smart::shim::{BITS, Shim};
use engine::{Cx, Time};
use serde::{Deserialize, Serialize};
use wire::FlowKey;

/// Bits of [`Flow::told`].
pub(super) const SOFT_DEADLINE: u8 = 1;
pub(super) const HARD_DEADLINE: u8 = 2;
pub(super) const SOFT_RATE: u8 = 4;
pub(super) const HARD_RATE: u8 = 8;
pub(super) const VOLUME: u8 = 16;

/// How far a flow's sequence numbers may run ahead of a breakpoint before that follows them, so that it stays behind
/// them when they wrap.
const FAR: u32 = 1 << 30;

/// Which way a packet takes in place of the usual one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Way {
    /// The alternative.
    Divert,
    /// Both.
    Clone,
}

/// From where on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Start {
    /// After so many packets.
    Packet(u64),
    /// From this sequence number of TCP on.
    Sequence(u32),
}

/// What is to become of the rest of a flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Order {
    pub way: Way,
    pub from: Start,
}

/// A flow with one of the marks, or one for which there is an order before it has begun.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Flow {
    pub mark: u8,
    pub meter: Meter,
    pub order: Option<Order>,
    /// Its packets carry numbers, as they do to its end once they do.
    pub numbered: bool,
    epoch: u8,
    number: u32,
    /// Limits of which it was told that they are met.
    pub told: u8,
    /// FIN or RST was seen.
    pub ended: bool,
    pub cloned: u64,
    pub diverted: u64,
}

impl Flow {
    pub(super) fn new(mark: u8, replicated: bool, now: Time) -> Flow {
        let order = Order { way: Way::Clone, from: Start::Packet(0) };
        Flow {
            mark,
            meter: Meter::new(now),
            order: replicated.then_some(order),
            numbered: false,
            epoch: 0,
            number: 0,
            told: 0,
            ended: false,
            cloned: 0,
            diverted: 0,
        }
    }

    /// A flow that is still to come, for which there is an order.
    pub(super) fn awaited(order: Order, now: Time) -> Flow {
        Flow { order: Some(order), ..Flow::new(0, false, now) }
    }

    /// Another connection between the same endpoints. Its numbers begin anew too.
    pub(super) fn renew(&mut self, fresh: Flow) {
        *self = Flow { epoch: self.epoch.wrapping_add(1), ..fresh };
    }

    /// Counts a packet, and says which way it takes but for the usual one.
    #[inline]
    pub(super) fn pass(&mut self, mark: u8, length: usize, sequence: Option<u32>, now: Time) -> Option<Way> {
        if self.meter.packets == 0 {
            // The order came before the flow.
            (self.mark, self.meter) = (mark, Meter::new(now));
        }
        let before = self.meter.packets;
        self.meter.add(length, now);
        let order = self.order.as_mut()?;
        let reached = match &mut order.from {
            Start::Packet(count) => before >= *count,
            Start::Sequence(from) => {
                let ahead = sequence?.wrapping_sub(*from);
                if (FAR..FAR * 2).contains(&ahead) {
                    *from = from.wrapping_add(FAR / 2);
                }
                ahead < FAR * 2
            }
        };
        reached.then_some(order.way)
    }

    /// The next number, in an epoch of its own.
    pub(super) fn next_shim(&mut self, now: Time) -> Shim {
        if !self.numbered && self.number == 0 && self.epoch == 0 {
            // By the second, so that a breakpoint that was restarted goes on with a later one.
            self.epoch = (now.as_nanos() >> 30) as u8;
        }
        let shim = Shim { epoch: self.epoch, number: self.number };
        self.number = (self.number + 1) & ((1 << BITS) - 1);
        shim
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// A number that no packet got.
    pub(super) fn give_back(&mut self, shim: Shim) {
        self.number = shim.number;
    }

    fn tell(&mut self, bit: u8, name: &'static str, counter: usize, key: &FlowKey, cx: &mut Cx<'_>) {
        if self.told & bit == 0 {
            self.told |= bit;
            cx.count(counter, 1);
            cx.event(name, id(key));
        }
    }
}

impl Class {
    /// Limits of age and volume, each of which is told once.
    #[inline]
    pub(super) fn judge(&self, key: &FlowKey, flow: &mut Flow, now: u64, cx: &mut Cx<'_>) {
        if flow.ended {
            return;
        }
        let age = flow.meter.age(now);
        if age > self.soft_deadline {
            flow.tell(SOFT_DEADLINE, "soft_deadline", SOFT_LIMITS, key, cx);
        }
        if age > self.deadline {
            flow.tell(HARD_DEADLINE, "hard_deadline", HARD_LIMITS, key, cx);
        }
        if flow.meter.bytes > self.bytes {
            flow.tell(VOLUME, "volume", SOFT_LIMITS, key, cx);
        }
    }

    /// All limits as of the beginning of a window: those of the rate too, which are told again once the rate has been a
    /// tenth above the soft one.
    pub(super) fn judge_window(&self, key: &FlowKey, flow: &mut Flow, begun: u64, cx: &mut Cx<'_>) {
        if flow.meter.packets == 0 || flow.ended {
            return;
        }
        self.judge(key, flow, begun, cx);
        let mut meter = flow.meter;
        meter.roll(begun);
        // No rate of a window in which the flow began.
        let Some(rate) = meter.rate.filter(|_| begun >= flow.meter.first.saturating_add(WINDOW)) else {
            return;
        };
        if rate < self.soft_rate {
            flow.tell(SOFT_RATE, "soft_rate", SOFT_LIMITS, key, cx);
        } else if rate > self.soft_rate.saturating_add(self.soft_rate / 10) {
            flow.told &= !(SOFT_RATE | HARD_RATE);
        }
        if rate < self.rate {
            flow.tell(HARD_RATE, "hard_rate", HARD_LIMITS, key, cx);
        }
    }
}
