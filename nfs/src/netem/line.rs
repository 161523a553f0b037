//! Packets on their way, by the time at which they arrive.
//!
//! A heap, as `timer_wheel` would mix up packets of one millisecond: those of the same time leave in the order in which
//! they came. All memory is taken at creation.

use engine::{Packet, Time};
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

struct Held {
    due: Time,
    order: u64,
    packet: Packet,
}

impl Ord for Held {
    fn cmp(&self, other: &Held) -> Ordering {
        (self.due, self.order).cmp(&(other.due, other.order))
    }
}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Held) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Held) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Held {}

/// At most `limit` packets.
pub(super) struct Line {
    held: BinaryHeap<Reverse<Held>>,
    order: u64,
    limit: usize,
}

impl Line {
    pub(super) fn new(limit: usize) -> Line {
        Line { held: BinaryHeap::with_capacity(limit), order: 0, limit }
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.held.len() >= self.limit
    }

    /// Gives the packet back when the line is full.
    #[inline]
    pub(super) fn push(&mut self, due: Time, packet: Packet) -> Result<(), Packet> {
        if self.is_full() {
            return Err(packet);
        }
        self.order += 1;
        self.held.push(Reverse(Held { due, order: self.order, packet }));
        Ok(())
    }

    /// The packet that arrives first, if it does by `now`.
    #[inline]
    pub(super) fn arrived(&mut self, now: Time) -> Option<Packet> {
        if self.held.peek()?.0.due > now {
            return None;
        }
        self.next().map(|(_, packet)| packet)
    }

    /// The packet that arrives first, and when.
    pub(super) fn next(&mut self) -> Option<(Time, Packet)> {
        self.held.pop().map(|Reverse(held)| (held.due, held.packet))
    }
}
