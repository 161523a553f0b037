//! Flows by direction, for one worker: bounded, aged, all memory taken when it is made.

use crate::roster::Roster;
use crate::span::Span;
use engine::{ConfigError, Time};
use tables::flow_table::{Displaced, EntryId, Eviction, FlowTable};
use wire::FlowKey;

/// Timers are this coarse.
const TICK_NANOS: u64 = 10_000_000;
/// Flows that may be forgotten per millisecond.
const BUDGET: usize = 256;

/// Most flows of a table.
const MOST_FLOWS: usize = 1 << 20;

/// A table of flows may be of this size.
pub(super) fn check_table(capacity: usize, idle: Span) -> Result<(), ConfigError> {
    if !(1..=MOST_FLOWS).contains(&capacity) {
        return Err(ConfigError::at("capacity", format!("'capacity' is {capacity}"))
            .help(format!("write a number of flows from 1 to {MOST_FLOWS}")));
    }
    if idle < Span::seconds(1) {
        return Err(ConfigError::at("idle", format!("'idle' of {idle} forgets flows between two packets"))
            .help("write a second at least"));
    }
    Ok(())
}

/// What is kept of a flow.
pub(super) trait Kept: Copy {
    /// When its last packet came, in nanoseconds since the epoch.
    fn last(&self) -> u64;
}

/// A flow is there now, perhaps in the place of another one.
pub(super) struct Opened<V> {
    pub id: EntryId,
    pub evicted: Option<(EntryId, FlowKey, V)>,
}

/// At most `capacity` flows; one more takes the place of one that was quiet for long.
pub(super) struct Flows<V> {
    table: FlowTable<FlowKey, V>,
    roster: Roster,
    seed: u64,
    idle: u64,
}

impl<V: Kept> Flows<V> {
    /// Flows are forgotten after `idle`.
    pub(super) fn new(capacity: usize, idle: Span, seed: u64) -> Flows<V> {
        let table = FlowTable::with_capacity(capacity, seed).evicting(Eviction::Oldest);
        let idle = idle.as_nanos();
        Flows { table: table.expiring(TICK_NANOS, 0), roster: Roster::new(capacity), seed, idle }
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn capacity(&self) -> usize {
        self.table.capacity()
    }

    pub(super) fn find(&self, key: &FlowKey) -> Option<EntryId> {
        self.table.find(key, key.hash_with(self.seed))
    }

    /// The flow, which is in use now.
    #[inline]
    pub(super) fn touch(&mut self, key: &FlowKey, now: Time) -> Option<EntryId> {
        let id = self.find(key)?;
        self.table.touch(id, now.as_nanos().saturating_add(self.idle)).then_some(id)
    }

    pub(super) fn get(&self, id: EntryId) -> Option<&V> {
        self.table.entry(id).map(|(_, value)| value)
    }

    pub(super) fn key(&self, id: EntryId) -> Option<&FlowKey> {
        self.table.entry(id).map(|(key, _)| key)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: EntryId) -> Option<&mut V> {
        self.table.value_mut(id)
    }

    /// Puts a flow in, whose last packet came at `last`. `None` if there is no room at all.
    pub(super) fn open(&mut self, key: FlowKey, value: V, last: u64) -> Option<Opened<V>> {
        let inserted = self.table.insert(key, key.hash_with(self.seed), value).ok()?;
        self.roster.note(inserted.id);
        self.table.touch(inserted.id, last.saturating_add(self.idle));
        let evicted = match inserted.displaced {
            Displaced::Evicted(id, key, value) => Some((id, key, value)),
            Displaced::Nothing | Displaced::Value(_) => None,
        };
        Some(Opened { id: inserted.id, evicted })
    }

    pub(super) fn remove(&mut self, id: EntryId) -> Option<(FlowKey, V)> {
        self.table.remove_entry(id)
    }

    /// Forgets flows that were quiet for too long.
    pub(super) fn expire(&mut self, now: Time, gone: impl FnMut(EntryId, FlowKey, V)) {
        self.table.expire(now.as_nanos(), BUDGET, gone);
    }

    /// Shows flows from place `from` on, until `show` wanted `count` of them; returns where to go on.
    pub(super) fn page(
        &self,
        from: u64,
        count: usize,
        mut show: impl FnMut(EntryId, &FlowKey, &V) -> bool,
    ) -> Option<u64> {
        let entry = |id: EntryId| self.table.entry(id);
        self.roster.page(from, count, |id| entry(id).is_some_and(|(key, value)| show(id, key, value)))
    }

    /// The flow at a place below the capacity. Does not count as a use of it.
    pub(super) fn peek(&self, place: usize) -> Option<(EntryId, FlowKey, V)> {
        let id = self.roster.get(place)?;
        self.table.entry(id).map(|(key, value)| (id, *key, *value))
    }

    /// All flows, by place.
    pub(super) fn all(&self) -> Vec<(EntryId, FlowKey, V)> {
        let mut all = Vec::with_capacity(self.len());
        let mut from = Some(0);
        while let Some(at) = from {
            from = self.page(at, self.capacity(), |id, key, value| {
                all.push((id, *key, *value));
                true
            });
        }
        all
    }
}
