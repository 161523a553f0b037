//! The connections of one IP version, found a burst at a time.

use super::config::Settings;
use super::connection::{Connection, Content, Met};
use super::half_open::Queue;
use super::verdict::{Cause, Verdict};
use crate::flow_key::Key;
use crate::roster::Roster;
use engine::{BURST, Time};
use tables::flow_table::{EntryId, FlowTable, Hint};
use wire::{Direction, FlowKey};

/// Timers are this coarse.
const TICK_NANOS: u64 = 100_000_000;

/// How many connections came and went.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Turnover {
    /// That a packet began.
    pub opened: u64,
    /// That were quiet for too long.
    pub expired: u64,
    /// Half-open or over, that gave way to new ones.
    pub evicted: u64,
    /// That ended by their own packets.
    pub ended: u64,
}

impl std::ops::Add for Turnover {
    type Output = Turnover;

    fn add(self, other: Turnover) -> Turnover {
        Turnover {
            opened: self.opened + other.opened,
            expired: self.expired + other.expired,
            evicted: self.evicted + other.evicted,
            ended: self.ended + other.ended,
        }
    }
}

/// A packet of the burst in hand.
#[derive(Clone, Copy, Default)]
pub(super) struct Staged<K> {
    pub key: K,
    pub hash: u32,
    /// It is reversed to the key.
    pub reverse: bool,
    /// An ICMP error about the connection, not a packet of it.
    pub about: bool,
    pub content: Content,
}

impl<K> Staged<K> {
    fn direction(&self) -> Direction {
        if self.reverse { Direction::Reverse } else { Direction::Forward }
    }
}

/// Connections with keys `K`. All memory is taken when it is made.
pub(super) struct Ledger<K> {
    connections: FlowTable<K, Connection>,
    roster: Roster,
    expendable: Queue,
    seed: u64,
    pub turnover: Turnover,
    staged: [Staged<K>; BURST],
    hints: [Hint; BURST],
    count: usize,
}

impl<K: Key> Ledger<K> {
    pub(super) fn new(capacity: usize, seed: u64) -> Ledger<K> {
        Ledger {
            connections: FlowTable::with_capacity(capacity, seed).expiring(TICK_NANOS, 0),
            roster: Roster::new(capacity),
            expendable: Queue::new(capacity),
            seed,
            turnover: Turnover::default(),
            staged: [Staged::default(); BURST],
            hints: [Hint::default(); BURST],
            count: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.connections.len()
    }

    pub(super) fn capacity(&self) -> usize {
        self.connections.capacity()
    }

    /// Half-open and ended connections.
    pub(super) fn expendable(&self) -> usize {
        self.expendable.len()
    }

    pub(super) fn bytes_per_connection(&self) -> usize {
        self.connections.bytes_per_entry() + size_of::<Option<EntryId>>() + 12
    }

    /// Notes a packet of the burst, and returns its number.
    #[inline(always)]
    pub(super) fn stage(&mut self, (key, direction): (K, Direction), about: bool, content: Content) -> u8 {
        let staged = self.make((key, direction), about, content);
        self.connections.prefetch(staged.hash);
        let number = self.count.min(BURST - 1);
        self.staged[number] = staged;
        self.count = number + 1;
        number as u8
    }

    #[inline(always)]
    fn make(&self, (key, direction): (K, Direction), about: bool, content: Content) -> Staged<K> {
        let reverse = direction == Direction::Reverse;
        Staged { key, hash: key.hash_with(self.seed), reverse, about, content }
    }

    /// Has the processor fetch the connections of what was staged.
    #[inline(always)]
    pub(super) fn fetch(&mut self) {
        for (hint, staged) in self.hints.iter_mut().zip(&self.staged[..self.count]) {
            *hint = self.connections.hint(staged.hash);
        }
        self.count = 0;
    }

    /// Judges the staged packet of this number. `admit` is asked before a connection begins.
    #[inline(always)]
    pub(super) fn judge(
        &mut self,
        number: u8,
        settings: &Settings,
        now: Time,
        admit: impl FnOnce() -> bool,
    ) -> Verdict {
        let number = usize::from(number) % BURST;
        let staged = self.staged[number];
        self.judge_hinted(&staged, self.hints[number], settings, now, admit)
    }

    /// Judges a packet that was not staged.
    pub(super) fn judge_now(
        &mut self,
        key: (K, Direction),
        content: Content,
        settings: &Settings,
        now: Time,
    ) -> Verdict {
        let staged = self.make(key, false, content);
        self.judge_hinted(&staged, Hint::default(), settings, now, || true)
    }

    #[inline(always)]
    fn judge_hinted(
        &mut self,
        staged: &Staged<K>,
        hint: Hint,
        settings: &Settings,
        now: Time,
        admit: impl FnOnce() -> bool,
    ) -> Verdict {
        let Some(id) = self.connections.find_hinted(hint, &staged.key, staged.hash) else {
            return self.unknown(staged, settings, now, admit);
        };
        let direction = staged.direction();
        let Some(connection) = self.connections.value_mut(id) else { return Verdict::Untracked };
        if connection.deadline(settings) <= now.as_nanos() {
            self.remove(id);
            self.turnover.expired += 1;
            return self.unknown(staged, settings, now, admit);
        }
        if staged.about {
            return Verdict::Related;
        }
        let was_expendable = connection.is_expendable();
        let answered = connection.replied || direction != connection.originator;
        let verdict = if answered { Verdict::Established } else { Verdict::New };
        match connection.meet(&staged.content, direction, protocol(&staged.key), settings, now) {
            Met::Alive => {
                let (deadline, is_expendable) = (connection.deadline(settings), connection.is_expendable());
                self.connections.touch(id, deadline);
                if was_expendable != is_expendable {
                    self.list(id, is_expendable);
                }
                verdict
            }
            Met::Ignored => verdict,
            Met::Last => {
                self.remove(id);
                self.turnover.ended += 1;
                verdict
            }
            Met::Another => {
                self.remove(id);
                self.turnover.ended += 1;
                self.unknown(staged, settings, now, admit)
            }
            Met::Invalid(cause) => Verdict::Invalid(cause),
        }
    }

    #[cold]
    fn list(&mut self, id: EntryId, expendable: bool) {
        if expendable {
            self.expendable.push(id.index());
        } else {
            self.expendable.remove(id.index());
        }
    }

    /// A packet of no known connection.
    #[cold]
    fn unknown(
        &mut self,
        staged: &Staged<K>,
        settings: &Settings,
        now: Time,
        admit: impl FnOnce() -> bool,
    ) -> Verdict {
        if staged.about {
            return Verdict::Invalid(Cause::IcmpUnrelated);
        }
        let (direction, protocol) = (staged.direction(), protocol(&staged.key));
        match Connection::begin(&staged.content, protocol, direction, settings, now) {
            Err(cause) => Verdict::Invalid(cause),
            Ok(_) if !admit() => Verdict::New,
            Ok(connection) if self.insert(staged.key, connection, settings) => {
                self.turnover.opened += 1;
                Verdict::New
            }
            Ok(_) => Verdict::Invalid(Cause::TableFull),
        }
    }

    /// Takes in a connection, in the place of one that is expendable if need be. False when there is no room.
    pub(super) fn insert(&mut self, key: K, connection: Connection, settings: &Settings) -> bool {
        let hash = key.hash_with(self.seed);
        if let Some(id) = self.connections.find(&key, hash) {
            self.remove(id);
        }
        if self.len() == self.capacity() {
            let oldest = self.expendable.oldest().and_then(|place| self.roster.get(place));
            let Some(oldest) = oldest else { return false };
            self.remove(oldest);
            self.turnover.evicted += 1;
        }
        let Ok(inserted) = self.connections.insert(key, hash, connection) else { return false };
        self.roster.note(inserted.id);
        self.connections.touch(inserted.id, connection.deadline(settings));
        if connection.is_expendable() {
            self.expendable.push(inserted.id.index());
        }
        true
    }

    fn remove(&mut self, id: EntryId) {
        self.expendable.remove(id.index());
        self.connections.remove_entry(id);
    }

    pub(super) fn get(&self, key: &K) -> Option<&Connection> {
        self.connections.get(key, key.hash_with(self.seed))
    }

    /// Forgets a connection.
    pub(super) fn forget(&mut self, key: &K) -> bool {
        let id = self.connections.find(key, key.hash_with(self.seed));
        id.is_some_and(|id| {
            self.remove(id);
            true
        })
    }

    /// Forgets connections that were quiet for too long.
    pub(super) fn expire(&mut self, now: Time, budget: usize) {
        let expendable = &mut self.expendable;
        let expired =
            self.connections.expire(now.as_nanos(), budget, |id, _, _| expendable.remove(id.index()));
        self.turnover.expired += expired as u64;
    }

    /// Shows connections from place `from` on, until `show` wanted `count` of them; returns where to go on.
    pub(super) fn page(
        &self,
        from: u64,
        count: usize,
        mut show: impl FnMut(K, &Connection) -> bool,
    ) -> Option<u64> {
        let entry = |id: EntryId| self.connections.entry(id);
        self.roster.page(from, count, |id| entry(id).is_some_and(|(key, value)| show(*key, value)))
    }
}

#[inline(always)]
fn protocol<K: Key>(key: &K) -> u8 {
    let key: FlowKey = (*key).into();
    key.protocol()
}
