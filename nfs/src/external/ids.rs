//! The ids of packets in flight. They are given out in a circle, so that each is used again as late as can be, and not
//! before the time-out has passed since it was given.

use engine::Time;
use std::time::Duration;

/// Time-outs after which nobody asks any more what an id once was.
const MEMORY: u32 = 16;

/// What an id was given to.
#[derive(Clone, Copy, Default)]
pub(super) struct Entry {
    pub given: Time,
    /// Place among all packets in flight, of whatever carrier; 0: never given.
    pub sequence: u64,
    /// Of what the NF leaves alone.
    pub digest: u64,
    /// Bytes of the packet without padding.
    pub len: u32,
    /// Where the packet is, while it is in flight.
    pub slot: u32,
    pub fate: Fate,
}

/// What became of a packet with an id.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Fate {
    #[default]
    InFlight,
    Answered,
    Lost,
}

/// All ids of one carrier.
pub(super) struct Circle {
    entries: Box<[Entry]>,
    /// The smallest id.
    first: u16,
    /// Ids whose time-out has passed, since the beginning.
    oldest: u64,
    /// Ids given out, since the beginning.
    next: u64,
}

impl Circle {
    /// The ids from `first` to `last`.
    pub(super) fn new(first: u16, last: u16) -> Circle {
        let ids = usize::from(last - first) + 1;
        Circle { entries: vec![Entry::default(); ids].into(), first, oldest: 0, next: 0 }
    }

    fn index(&self, turn: u64) -> usize {
        (turn % self.entries.len() as u64) as usize
    }

    /// Gives out an id. `None` when all were given within the time-out.
    pub(super) fn give(&mut self, entry: Entry) -> Option<u16> {
        if !self.has_free() {
            return None;
        }
        let index = self.index(self.next);
        self.entries[index] = entry;
        self.next += 1;
        Some(self.first + index as u16)
    }

    /// Whether [`give`](Self::give) has an id.
    pub(super) fn has_free(&self) -> bool {
        self.next - self.oldest < self.entries.len() as u64
    }

    /// Lets the oldest id go whose time-out has passed, and tells what it was given to.
    pub(super) fn expire(&mut self, now: Time, timeout: Duration) -> Option<&mut Entry> {
        if self.oldest == self.next {
            return None;
        }
        let index = self.index(self.oldest);
        if self.entries[index].given + timeout > now {
            return None;
        }
        self.oldest += 1;
        self.entries.get_mut(index)
    }

    /// What an id was given to, as long as that is of interest.
    pub(super) fn find(&mut self, id: u16, now: Time, timeout: Duration) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(usize::from(id.checked_sub(self.first)?))?;
        let known = entry.sequence != 0 && now < entry.given + timeout * MEMORY;
        known.then_some(entry)
    }

    /// The packet of the `turn`-th id if it was given before the packet of `sequence`, and when to go on. Ids whose
    /// time-out has passed are left out.
    pub(super) fn before(&self, turn: u64, sequence: u64) -> Option<(Entry, u64)> {
        let turn = turn.max(self.oldest);
        if turn >= self.next {
            return None;
        }
        let entry = self.entries[self.index(turn)];
        (entry.sequence < sequence).then_some((entry, turn + 1))
    }

    /// All entries, to change what is remembered of them.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.iter_mut()
    }
}
