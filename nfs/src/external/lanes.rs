//! Packets in the order in which they came, flow by flow: each waits for those before it in its lane, and for no other.

/// No slot.
const NONE: u32 = u32::MAX;
/// Flows are told apart by so many lanes.
const LANES: usize = 1024;

/// Queues of slots, linked through the slots themselves. All memory is taken at creation.
pub(super) struct Lanes {
    ends: Box<[Ends]>,
    /// By slot: the one behind it in its lane.
    next: Box<[u32]>,
}

#[derive(Clone, Copy)]
struct Ends {
    first: u32,
    last: u32,
}

impl Lanes {
    pub(super) fn new(slots: usize) -> Lanes {
        Lanes { ends: vec![Ends { first: NONE, last: NONE }; LANES].into(), next: vec![NONE; slots].into() }
    }

    /// The lane of a flow.
    pub(super) fn of(hash: u32) -> u32 {
        hash % LANES as u32
    }

    /// Puts a slot that is in no lane at the end of one.
    pub(super) fn push(&mut self, lane: u32, slot: u32) {
        let ends = &mut self.ends[lane as usize];
        self.next[slot as usize] = NONE;
        match ends.last {
            NONE => ends.first = slot,
            last => self.next[last as usize] = slot,
        }
        ends.last = slot;
    }

    /// The first slot of a lane.
    pub(super) fn first(&self, lane: u32) -> Option<u32> {
        Some(self.ends[lane as usize].first).filter(|&slot| slot != NONE)
    }

    /// Takes the first slot out of its lane.
    pub(super) fn pop(&mut self, lane: u32) {
        let ends = &mut self.ends[lane as usize];
        if ends.first == NONE {
            return;
        }
        ends.first = self.next[ends.first as usize];
        if ends.first == NONE {
            ends.last = NONE;
        }
    }
}
