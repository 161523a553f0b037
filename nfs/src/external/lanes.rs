//! Packets in the order in which they came, flow by flow: each waits for those before it in its lane.

use wire::{FlowKey, FlowKey4, FlowKey6, Headers};

/// No slot.
const NONE: u32 = u32::MAX;
/// Flows are told apart by so many lanes. Which share one depends on a seed that nobody knows.
const LANES: usize = 1024;

/// Queues of slots, linked through the slots themselves. All memory is taken at creation.
pub(super) struct Lanes {
    ends: Box<[Ends]>,
    /// By slot: the one behind it in its lane.
    next: Box<[u32]>,
    seed: u64,
}

#[derive(Clone, Copy)]
struct Ends {
    first: u32,
    last: u32,
}

const EMPTY: Ends = Ends { first: NONE, last: NONE };

impl Lanes {
    pub(super) fn new(slots: usize, seed: u64) -> Lanes {
        Lanes { ends: vec![EMPTY; LANES].into(), next: vec![NONE; slots].into(), seed }
    }

    /// Takes all slots out.
    pub(super) fn clear(&mut self) {
        self.ends.fill(EMPTY);
    }

    /// The lane of a packet's flow. Fragments have no ports: they are in order among themselves.
    pub(super) fn of(&self, headers: &Headers, frame: &[u8]) -> u32 {
        let key = if headers.is_fragment() {
            let ipv4 = headers.ipv4_addresses(frame);
            let ipv4 = ipv4.map(|(src, dst)| FlowKey::V4(FlowKey4 { src, dst, ..FlowKey4::default() }));
            ipv4.or_else(|| {
                let (src, dst) = headers.ipv6_addresses(frame)?;
                Some(FlowKey::V6(FlowKey6 { src, dst, ..FlowKey6::default() }))
            })
        } else {
            FlowKey::from_packet(headers, frame)
        };
        key.map_or(0, |key| key.symmetric_hash_with(self.seed)) % LANES as u32
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
