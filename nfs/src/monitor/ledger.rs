//! The flows of one IP version, found a burst at a time.

use super::flow::{Flow, Sample};
use super::ipfix::EndReason;
use super::record::Endings;
use crate::flow_key::Key;
use crate::roster::Roster;
use engine::{BURST, Time};
use tables::flow_table::{Displaced, EntryId, Eviction, FlowTable, Hint};
use wire::Direction;

/// Timers are this coarse.
const TICK_NANOS: u64 = 100_000_000;

/// How many flows came and went.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Turnover {
    pub opened: u64,
    /// Ended by another connection between the same endpoints.
    pub reopened: u64,
    /// Reported and begun anew, as they last.
    pub split: u64,
    /// Ended by the idle timeout.
    pub expired: u64,
    /// Ended because their place was needed.
    pub evicted: u64,
}

/// Flows with keys `K`. All memory is taken when it is made.
pub(super) struct Ledger<K> {
    flows: FlowTable<K, Flow>,
    roster: Roster,
    seed: u64,
    idle_nanos: Option<u64>,
    pub turnover: Turnover,
    /// The packets of the burst in hand.
    keys: [K; BURST],
    hashes: [u32; BURST],
    samples: [Sample; BURST],
    staged: usize,
}

impl<K: Key> Ledger<K> {
    pub(super) fn new(capacity: usize, idle_nanos: Option<u64>, seed: u64) -> Ledger<K> {
        let flows = FlowTable::with_capacity(capacity, seed).evicting(Eviction::Oldest);
        Ledger {
            flows: if idle_nanos.is_some() { flows.expiring(TICK_NANOS, 0) } else { flows },
            roster: Roster::new(capacity),
            seed,
            idle_nanos,
            turnover: Turnover::default(),
            keys: [K::default(); BURST],
            hashes: [0; BURST],
            samples: [Sample::default(); BURST],
            staged: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.flows.len()
    }

    pub(super) fn capacity(&self) -> usize {
        self.flows.capacity()
    }

    /// Notes a packet of the burst; [`settle`](Self::settle) counts it.
    #[inline(always)]
    pub(super) fn stage(&mut self, (key, direction): (K, Direction), sample: Sample) {
        let i = self.staged;
        if i >= BURST {
            return;
        }
        self.keys[i] = key;
        self.hashes[i] = key.hash_with(self.seed);
        self.samples[i] = Sample { reverse: direction == Direction::Reverse, ..sample };
        self.staged = i + 1;
    }

    /// Counts the packets that were staged, in order.
    #[inline]
    pub(super) fn settle<S: Endings>(&mut self, now: Time, sink: &mut S) {
        let n = self.staged;
        if n == 0 {
            return;
        }
        self.staged = 0;
        // A loop of its own: the processor then works on the hashes of several packets at a time.
        self.hashes[..n].iter().for_each(|&hash| self.flows.prefetch(hash));
        let mut hints = [Hint::default(); BURST];
        for (hint, &hash) in hints.iter_mut().zip(&self.hashes[..n]) {
            *hint = self.flows.hint(hash);
        }
        // Without a timeout it means nothing.
        let deadline = now.as_nanos().saturating_add(self.idle_nanos.unwrap_or(u64::MAX));
        for (i, hint) in hints.into_iter().enumerate().take(n) {
            let sample = &self.samples[i];
            match self.flows.touch_hinted(hint, &self.keys[i], self.hashes[i], deadline) {
                Some(flow) if !flow.is_over_at(sample) && !sink.is_due(flow) => {
                    flow.add(sample, now);
                    if S::WATCHES {
                        sink.counted(&self.keys[i], sample, flow);
                    }
                }
                _ => self.unusual(i, now, sink),
            }
        }
    }

    /// The packet opens a flow, or one was opened by a packet before it in the burst.
    #[cold]
    fn unusual(&mut self, i: usize, now: Time, sink: &mut impl Endings) {
        let (key, hash, sample) = (self.keys[i], self.hashes[i], self.samples[i]);
        let id = self.flows.find(&key, hash);
        match id.and_then(|id| self.flows.value_mut(id)) {
            Some(flow) if flow.is_over_at(&sample) => {
                sink.ended(key.into(), flow, EndReason::Ended);
                *flow = Flow::new(&sample, now);
                self.turnover.reopened += 1;
                sink.counted(&key, &sample, flow);
            }
            Some(flow) if sink.is_due(flow) => {
                sink.ended(key.into(), flow, EndReason::Active);
                *flow = flow.anew(&sample, now);
                self.turnover.split += 1;
                sink.counted(&key, &sample, flow);
            }
            Some(flow) => {
                flow.add(&sample, now);
                sink.counted(&key, &sample, flow);
            }
            None => {
                self.turnover.opened += 1;
                let mut flow = Flow::new(&sample, now);
                sink.counted(&key, &sample, &mut flow);
                self.insert(key, flow, sink);
                return;
            }
        }
        if let (Some(id), Some(idle)) = (id, self.idle_nanos) {
            self.flows.touch(id, now.as_nanos().saturating_add(idle));
        }
    }

    /// Puts a flow in the place of one that was quiet for long, if need be.
    fn insert(&mut self, key: K, flow: Flow, sink: &mut impl Endings) {
        let hash = key.hash_with(self.seed);
        let Ok(inserted) = self.flows.insert(key, hash, flow) else { return };
        match inserted.displaced {
            Displaced::Nothing | Displaced::Value(_) => {}
            Displaced::Evicted(_, key, flow) => {
                self.turnover.evicted += 1;
                sink.ended(key.into(), &flow, EndReason::Resources);
            }
        }
        self.roster.note(inserted.id);
        if let Some(idle) = self.idle_nanos {
            self.flows.touch(inserted.id, flow.last.as_nanos().saturating_add(idle));
        }
    }

    /// Takes in a flow from elsewhere: joined with what is known of it.
    pub(super) fn take_in(&mut self, key: K, flow: &Flow, sink: &mut impl Endings) {
        match self.flows.get_mut(&key, key.hash_with(self.seed)) {
            Some(known) => known.merge(flow),
            None => self.insert(key, *flow, sink),
        }
    }

    pub(super) fn get(&self, key: &K) -> Option<&Flow> {
        self.flows.get(key, key.hash_with(self.seed))
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<Flow> {
        self.flows.remove(key, key.hash_with(self.seed)).map(|(_, flow)| flow)
    }

    /// Ends flows that were quiet for too long.
    pub(super) fn expire(&mut self, now: Time, budget: usize, sink: &mut impl Endings) {
        if self.idle_nanos.is_some() {
            let expired = self.flows.expire(now.as_nanos(), budget, |_, key, flow| {
                sink.ended(key.into(), &flow, EndReason::Idle)
            });
            self.turnover.expired += expired as u64;
        }
    }

    /// Shows flows from place `from` on, until `show` wanted `count` of them; returns where to go on.
    pub(super) fn page(
        &self,
        from: u64,
        count: usize,
        mut show: impl FnMut(K, &Flow) -> bool,
    ) -> Option<u64> {
        let entry = |id: EntryId| self.flows.entry(id);
        self.roster.page(from, count, |id| entry(id).is_some_and(|(key, flow)| show(*key, flow)))
    }

    /// All flows.
    pub(super) fn all(&self) -> Vec<(K, Flow)> {
        let mut all = Vec::with_capacity(self.len());
        let mut from = Some(0);
        while let Some(at) = from {
            from = self.page(at, self.capacity(), |key, flow| {
                all.push((key, *flow));
                true
            });
        }
        all
    }
}
