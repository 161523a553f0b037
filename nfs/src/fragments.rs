//! Fragments after the first have no ports: whose are they?

use crate::roster::Roster;
use engine::Time;
use std::time::Duration;
use tables::flow_table::{Displaced, Eviction, FlowTable};
use wire::FragmentKey;

/// Datagrams remembered at a time.
pub(crate) const CAPACITY: usize = 1024;
/// RFC 1122 section 3.3.2: reassembly is given up after 60 to 120 seconds.
const LIFETIME: Duration = Duration::from_secs(60);

/// What is known, by their first fragment, of the datagrams of which that was seen lately: a `T` each. Bounded: the
/// oldest gives way.
pub(crate) struct Fragments<T> {
    firsts: FlowTable<FragmentKey, (T, Time)>,
    roster: Roster,
    seed: u64,
}

impl<T: Copy> Fragments<T> {
    pub(crate) fn new(seed: u64) -> Fragments<T> {
        let firsts = FlowTable::with_capacity(CAPACITY, seed).evicting(Eviction::Oldest);
        Fragments { firsts, roster: Roster::new(CAPACITY), seed }
    }

    /// The first fragment of a datagram went by.
    pub(crate) fn first(&mut self, datagram: FragmentKey, known: T, now: Time) {
        // It cannot be full: the oldest gives way.
        let Ok(inserted) = self.firsts.insert(datagram, datagram.hash_with(self.seed), (known, now)) else {
            return;
        };
        if !matches!(inserted.displaced, Displaced::Value(_)) {
            self.roster.note(inserted.id);
        }
    }

    /// What is known of the datagram that a later fragment is of.
    pub(crate) fn later(&self, datagram: FragmentKey, now: Time) -> Option<T> {
        let (known, seen) = self.firsts.get(&datagram, datagram.hash_with(self.seed))?;
        (now.since(*seen) <= LIFETIME).then_some(*known)
    }

    /// Forgets a datagram.
    pub(crate) fn forget(&mut self, datagram: &FragmentKey) {
        self.firsts.remove(datagram, datagram.hash_with(self.seed));
    }

    /// Shows datagrams, and when their first fragment was seen, from place `from` on, until `show` wanted `count` of
    /// them; returns where to go on.
    pub(crate) fn page(
        &self,
        from: u64,
        count: usize,
        mut show: impl FnMut(FragmentKey, &T, Time) -> bool,
    ) -> Option<u64> {
        self.roster.page(from, count, |id| {
            self.firsts.entry(id).is_some_and(|(datagram, (known, seen))| show(*datagram, known, *seen))
        })
    }
}
