//! Connections and the back-ends that they belong to, found a burst at a time.

use crate::roster::Roster;
use engine::Time;
use tables::flow_table::{Displaced, EntryId, Eviction, FlowTable, Hint};

/// Timers are this coarse.
const TICK_NANOS: u64 = 100_000_000;

/// A connection: the back-end that it belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Connection {
    /// When its last packet came.
    pub last: Time,
    /// Number of the back-end.
    pub backend: u16,
}

/// What became of an insertion.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Inserted {
    /// There was room.
    Room,
    /// A connection that was quiet for long made room.
    Evicted,
}

/// Connections with keys `K`, those of packets to the service; a key and its hash go together.
pub(super) struct Connections<K> {
    table: FlowTable<K, Connection>,
    roster: Roster,
    idle_nanos: u64,
}

impl<K: Copy + Eq> Connections<K> {
    pub(super) fn new(capacity: usize, idle_nanos: u64, seed: u64) -> Self {
        let table = FlowTable::with_capacity(capacity, seed).evicting(Eviction::Oldest);
        Connections { table: table.expiring(TICK_NANOS, 0), roster: Roster::new(capacity), idle_nanos }
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn capacity(&self) -> usize {
        self.table.capacity()
    }

    #[inline(always)]
    pub(super) fn prefetch(&self, hash: u32) {
        self.table.prefetch(hash);
    }

    #[inline(always)]
    pub(super) fn hint(&self, hash: u32) -> Hint {
        self.table.hint(hash)
    }

    /// The connection, which has a packet now.
    #[inline(always)]
    pub(super) fn touch(&mut self, hint: Hint, key: &K, hash: u32, now: Time) -> Option<&mut Connection> {
        let deadline = now.as_nanos().saturating_add(self.idle_nanos);
        let connection = self.table.touch_hinted(hint, key, hash, deadline)?;
        connection.last = now;
        Some(connection)
    }

    pub(super) fn get(&self, key: &K, hash: u32) -> Option<&Connection> {
        self.table.get(key, hash)
    }

    /// A new connection, or another back-end for a known one.
    pub(super) fn insert(&mut self, key: K, hash: u32, connection: Connection) -> Inserted {
        let Ok(inserted) = self.table.insert(key, hash, connection) else { return Inserted::Room };
        self.roster.note(inserted.id);
        self.table.touch(inserted.id, connection.last.as_nanos().saturating_add(self.idle_nanos));
        match inserted.displaced {
            Displaced::Evicted(..) => Inserted::Evicted,
            Displaced::Nothing | Displaced::Value(_) => Inserted::Room,
        }
    }

    pub(super) fn remove(&mut self, key: &K, hash: u32) {
        self.table.remove(key, hash);
    }

    /// Forgets connections that were quiet for too long; returns how many.
    pub(super) fn expire(&mut self, now: Time, budget: usize) -> usize {
        self.table.expire(now.as_nanos(), budget, |_, _, _| {})
    }

    /// Shows connections from place `from` on, until `show` wanted `count` of them; returns where to go on.
    pub(super) fn page(
        &self,
        from: u64,
        count: usize,
        mut show: impl FnMut(K, &Connection) -> bool,
    ) -> Option<u64> {
        let entry = |id: EntryId| self.table.entry(id);
        self.roster.page(from, count, |id| entry(id).is_some_and(|(key, connection)| show(*key, connection)))
    }

    /// All connections.
    pub(super) fn all(&self) -> Vec<(K, Connection)> {
        let (mut all, mut from) = (Vec::with_capacity(self.len()), Some(0));
        while let Some(at) = from {
            from = self.page(at, self.capacity(), |key, connection| {
                all.push((key, *connection));
                true
            });
        }
        all
    }
}
