//! What happens when: a heap of events with at most one per link, flow and so on.

use crate::quantity::Picos;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Something that is due. At one time they happen in the order of this enum, then of their numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Event {
    /// The network changes: the number of the change.
    Change(u32),
    /// The first packet of a link arrives.
    Link(u32),
    /// A flow's timer may have run out.
    Timer(u32),
    /// A flow begins.
    Begin(u32),
    /// The controller has heard of a flow, and its rules are set.
    Notice(u32),
    /// A flow's merge point may have waited long enough.
    Merge(u32),
    /// NFs run their timers.
    Tick,
}

/// The events to come.
///
/// A link has only its next arrival here, not one for each packet: the heap stays as small as the network, and so in
/// the cache.
#[derive(Clone, Debug, Default)]
pub struct Schedule {
    heap: BinaryHeap<Reverse<(Picos, Event)>>,
}

impl Schedule {
    /// Puts in an event.
    pub fn add(&mut self, at: Picos, event: Event) {
        self.heap.push(Reverse((at, event)));
    }

    /// Takes out the next event.
    pub fn take(&mut self) -> Option<(Picos, Event)> {
        self.heap.pop().map(|Reverse(next)| next)
    }
}
