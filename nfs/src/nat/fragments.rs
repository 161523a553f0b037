//! Fragments after the first have no ports: they go where the first went.

use super::tuple::{Rewrite, Tuple};
use engine::Time;
use std::time::Duration;
use tables::flow_table::{EntryId, Eviction, FlowTable};
use wire::FragmentKey;

/// Datagrams remembered at a time.
const CAPACITY: usize = 1024;
/// RFC 1122 section 3.3.2: reassembly is given up after 60 to 120 seconds.
const LIFETIME: Duration = Duration::from_secs(60);
const TICK_NANOS: u64 = 100_000_000;

/// What became of the first fragment of a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct First {
    /// Addresses before and after; ports mean nothing.
    pub from: Tuple,
    pub to: Tuple,
    pub seen: Time,
}

/// Datagrams whose first fragment was translated lately.
pub(super) struct Fragments {
    firsts: FlowTable<FragmentKey, First>,
    /// The entry at each of the table's places.
    roster: Box<[Option<EntryId>]>,
    seed: u64,
}

impl Fragments {
    pub(super) fn new(seed: u64) -> Fragments {
        let firsts = FlowTable::with_capacity(CAPACITY, seed).evicting(Eviction::Oldest);
        Fragments { firsts: firsts.expiring(TICK_NANOS, 0), roster: vec![None; CAPACITY].into(), seed }
    }

    /// The first fragment of a datagram was translated.
    pub(super) fn learn(&mut self, datagram: FragmentKey, first: First) {
        // It cannot be full: the oldest gives way.
        if let Ok(inserted) = self.firsts.insert(datagram, datagram.hash_with(self.seed), first) {
            self.roster[inserted.id.index()] = Some(inserted.id);
            self.firsts.touch(inserted.id, (first.seen + LIFETIME).as_nanos());
        }
    }

    /// What a later fragment becomes.
    pub(super) fn find(&self, datagram: FragmentKey, now: Time) -> Option<Rewrite> {
        let first = self.firsts.get(&datagram, datagram.hash_with(self.seed))?;
        (now.since(first.seen) <= LIFETIME).then(|| Rewrite::new(first.from, first.to))
    }

    /// Forgets datagrams that must be complete by now.
    pub(super) fn expire(&mut self, now: Time, budget: usize) {
        self.firsts.expire(now.as_nanos(), budget, |_, _, _| ());
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<(FragmentKey, First)> {
        let (mut all, mut from) = (Vec::new(), Some(0));
        while let Some(at) = from {
            from = self.page(at, CAPACITY, |key, first| all.push((*key, *first)));
        }
        all
    }

    /// Shows at most `count` of them from place `from` on; returns where to go on.
    pub(super) fn page(
        &self,
        from: usize,
        count: usize,
        mut show: impl FnMut(&FragmentKey, &First),
    ) -> Option<usize> {
        let to = from.saturating_add(count).min(CAPACITY);
        for id in self.roster.get(from..to).unwrap_or_default().iter().flatten() {
            if let Some((key, first)) = self.firsts.entry(*id) {
                show(key, first);
            }
        }
        (to < CAPACITY).then_some(to)
    }
}
