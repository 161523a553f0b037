//! A bounded flow table for one worker: exact match, no allocation after it is made, expiry, bulk look-up.
//!
//! Two arrays. The *buckets*, one cache line each, hold eight 16-bit tags of the hash and eight indices; the
//! *entries* hold key, value, deadline. A look-up reads one bucket, compares eight tags at once, and reads one
//! entry: two cache misses in a large table, which [`FlowTable::lookup_bulk`] overlaps over a burst.
//! A full bucket overflows into the next, and counts it, so that a look-up knows when to stop and a removal leaves
//! no tombstone (the counter is that of Facebook's F14). Entries never move: an [`EntryId`] stays good for as long
//! as the entry does, and a walk by [`Cursor`] meets every entry that stays.
mod bucket;
mod slot;
#[cfg(test)]
mod tests;

use std::num::NonZeroU32;

use self::bucket::{Bucket, Position};
use self::slot::Slot;
use crate::timer_wheel::TimerWheel;
use prefetch::{prefetch, prefetch_both_ends};

/// Keys looked up together in one pass of [`FlowTable::lookup_bulk`].
const STAGE: usize = 64;
/// Above every index.
const NOTHING: u32 = u32::MAX;
/// Entries that the clock hand passes at most before it takes one that was touched.
const HAND_STEPS: usize = 64;
/// Slots that [`FlowTable::scan`] looks at per entry that it may return.
const SCAN_SLOTS: usize = 16;

/// An entry of a [`FlowTable`]: its index, below the capacity, and the generation of that index.
///
/// It names one entry for ever: when the entry is gone, the identifier finds nothing, even where the index is used
/// again (up to 2³² times).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId {
    index: u32,
    generation: NonZeroU32,
}

impl EntryId {
    /// Its place, below the table's capacity and unique among the entries present: for arrays kept alongside.
    pub fn index(self) -> usize {
        self.index as usize
    }
}

/// A guess of where an entry is, by [`FlowTable::hint`]; nowhere by default.
#[derive(Clone, Copy, Debug)]
pub struct Hint(u32);

impl Default for Hint {
    fn default() -> Self {
        Hint(NOTHING)
    }
}

/// What [`FlowTable::insert`] does when the table is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Eviction {
    /// Refuses the new entry.
    #[default]
    Refuse,
    /// Removes an entry that was not touched for long: *second chance* (clock), an approximation of least recently
    /// touched. A hand goes round the entries; one that was touched since its last pass is spared once. It steps
    /// over at most 64 per insertion, then takes the next whatever it is, so an insertion stays O(1).
    Oldest,
}

/// The table is full and its policy is [`Eviction::Refuse`] (or its capacity is 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the flow table is full")]
pub struct Full;

/// What an insertion did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inserted<K, V> {
    /// The entry that now holds the value.
    pub id: EntryId,
    /// What it took the place of.
    pub displaced: Displaced<K, V>,
}

/// What an insertion took the place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Displaced<K, V> {
    /// The entry is new, and there was room.
    Nothing,
    /// The key was there with this value; the entry, its deadline and its identifier are the same.
    Value(V),
    /// The entry is new, and this other one was evicted for it.
    Evicted(EntryId, K, V),
}

/// Where a walk over the entries goes on, see [`FlowTable::scan`]. The default is the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Cursor(u32);

/// Keys `K` with values `V`, at most a fixed number, for one thread.
///
/// The caller supplies the hash of each key, the same for equal keys: usually the one that the device or steering
/// computed. Against crafted collisions it should be keyed; `seed` then keeps this table's buckets from repeating
/// the choice that brought the flow to this worker.
pub struct FlowTable<K, V> {
    seed: u32,
    eviction: Eviction,
    buckets: Box<[Bucket]>,
    slots: Box<[Slot<K, V>]>,
    /// Indices not in use; the last is the next used, so that a busy table stays in few cache lines.
    free: Vec<u32>,
    hand: u32,
    wheel: Option<TimerWheel>,
}

impl<K: Eq, V> FlowTable<K, V> {
    /// Room for `capacity` entries (at most 2³² − 2), that refuses more, without expiry.
    ///
    /// All memory is allocated and written here: `capacity` × [`bytes_per_entry`](Self::bytes_per_entry).
    pub fn with_capacity(capacity: usize, seed: u64) -> Self {
        let capacity = capacity.min(u32::MAX as usize - 1);
        Self {
            seed: (seed ^ seed >> 32) as u32,
            eviction: Eviction::Refuse,
            buckets: bucket::array(capacity),
            slots: (0..capacity).map(|_| Slot::vacant()).collect(),
            free: (0..capacity as u32).rev().collect(),
            hand: 0,
            wheel: None,
        }
    }

    /// With this policy for a full table.
    pub fn evicting(mut self, eviction: Eviction) -> Self {
        self.eviction = eviction;
        self
    }

    /// With expiry: entries that are given a deadline by [`touch`](Self::touch) leave by [`expire`](Self::expire),
    /// late by less than `tick_ns` plus the polling interval, never early. Allocates 24 bytes per entry.
    pub fn expiring(mut self, tick_ns: u64, now_ns: u64) -> Self {
        self.wheel = Some(TimerWheel::new(self.slots.len(), tick_ns, now_ns));
        self
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// True without entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Largest number of entries.
    pub fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// Memory per entry of capacity in bytes: key, value, their slot, and the share of buckets and timers.
    pub fn bytes_per_entry(&self) -> usize {
        let fixed = size_of::<Slot<K, V>>() + size_of::<u32>();
        let timer = if self.wheel.is_some() { TimerWheel::bytes_per_timer() } else { 0 };
        fixed + timer + (size_of_val(&*self.buckets)).div_ceil(self.slots.len().max(1))
    }

    /// The entry of `key`.
    pub fn find(&self, key: &K, hash: u32) -> Option<EntryId> {
        let position = Position::of(hash, self.seed, self.buckets.len());
        let (mut at, tag) = (position.home, position.tag);
        for _ in 0..self.buckets.len() {
            let bucket = &self.buckets[at];
            for way in bucket.matching(tag) {
                let index = bucket.indices[way];
                let slot = &self.slots[index as usize];
                if slot.holds(key) {
                    return Some(EntryId { index, generation: slot.generation });
                }
            }
            if bucket.overflowed == 0 {
                return None;
            }
            at = self.after(at);
        }
        None
    }

    /// The value of `key`. Does not count as a touch.
    pub fn get(&self, key: &K, hash: u32) -> Option<&V> {
        self.find(key, hash).and_then(|id| self.entry(id)).map(|(_, value)| value)
    }

    /// The value of `key`, to change. Counts as a touch for [`Eviction::Oldest`].
    pub fn get_mut(&mut self, key: &K, hash: u32) -> Option<&mut V> {
        let id = self.find(key, hash)?;
        self.value_mut(id)
    }

    /// Key and value of an entry; `None` when it is gone. Does not count as a touch.
    pub fn entry(&self, id: EntryId) -> Option<(&K, &V)> {
        let slot = self.slots.get(id.index())?;
        if slot.generation != id.generation {
            return None;
        }
        slot.content.as_ref().map(|(key, value)| (key, value))
    }

    /// The deadline last given to an entry; the end of time without one, `None` when the entry is gone. A table
    /// without [`expiring`](Self::expiring) keeps it for its owner, who may put the time of the last use there.
    pub fn deadline(&self, id: EntryId) -> Option<u64> {
        let slot = self.slots.get(id.index()).filter(|slot| slot.generation == id.generation)?;
        slot.content.as_ref().map(|_| slot.deadline)
    }

    /// The value of an entry, to change; `None` when it is gone. Counts as a touch for [`Eviction::Oldest`].
    pub fn value_mut(&mut self, id: EntryId) -> Option<&mut V> {
        let slot = self.slots.get_mut(id.index()).filter(|slot| slot.generation == id.generation)?;
        slot.touched = true;
        slot.content.as_mut().map(|(_, value)| value)
    }

    /// Has the processor fetch what [`hint`](Self::hint) reads. See there.
    #[inline(always)]
    pub fn prefetch(&self, hash: u32) {
        if let Some(bucket) = self.buckets.get(Position::of(hash, self.seed, self.buckets.len()).home) {
            prefetch(bucket);
        }
    }

    /// Where an entry with this hash may be, which the processor is asked to fetch.
    ///
    /// The parts of a look-up, for callers that do more with a burst than [`lookup_bulk`](Self::lookup_bulk): first
    /// [`prefetch`](Self::prefetch) for all packets, then `hint`, then [`touch_hinted`](Self::touch_hinted), so that
    /// the cache misses overlap. A hint stays good, at worst useless, whatever happens to the table.
    #[inline(always)]
    pub fn hint(&self, hash: u32) -> Hint {
        let position = Position::of(hash, self.seed, self.buckets.len());
        let Some(bucket) = self.buckets.get(position.home) else { return Hint::default() };
        let Some(way) = bucket.matching(position.tag).next() else { return Hint::default() };
        let index = bucket.indices[way];
        if let Some(slot) = self.slots.get(index as usize) {
            // Both ends, so that whoever counts or touches does not wait for the other line.
            prefetch_both_ends(slot);
        }
        Hint(index)
    }

    /// [`find`](Self::find), then [`touch_mut`](Self::touch_mut): the value of `key`, which is in use until
    /// `deadline_ns`.
    #[inline(always)]
    pub fn touch_hinted(&mut self, hint: Hint, key: &K, hash: u32, deadline_ns: u64) -> Option<&mut V> {
        let is_there = self.slots.get(hint.0 as usize).is_some_and(|slot| slot.holds(key));
        let index = if is_there { hint.0 } else { self.find(key, hash)?.index };
        self.touch_index(index, deadline_ns)
    }

    /// [`find`](Self::find), with a hint of where to look first.
    #[inline(always)]
    pub fn find_hinted(&self, hint: Hint, key: &K, hash: u32) -> Option<EntryId> {
        match self.slots.get(hint.0 as usize) {
            Some(slot) if slot.holds(key) => Some(EntryId { index: hint.0, generation: slot.generation }),
            _ => self.find(key, hash),
        }
    }

    /// The entries of a burst: `out[i]` is that of `keys[i]`, whose hash is `hashes[i]`.
    ///
    /// Goes in stages over up to 64 keys, first all buckets, then all entries, so that the cache misses overlap.
    /// Handles as many keys as the shortest of the three slices holds.
    pub fn lookup_bulk(&self, keys: &[K], hashes: &[u32], out: &mut [Option<EntryId>]) {
        let n = keys.len().min(hashes.len()).min(out.len());
        let (keys, hashes, out) = (&keys[..n], &hashes[..n], &mut out[..n]);
        if self.buckets.is_empty() {
            return out.fill(None);
        }
        let stages = keys.chunks(STAGE).zip(hashes.chunks(STAGE)).zip(out.chunks_mut(STAGE));
        for ((keys, hashes), out) in stages {
            self.lookup_stage(keys, hashes, out);
        }
    }

    /// The three slices are of one length, at most [`STAGE`].
    fn lookup_stage(&self, keys: &[K], hashes: &[u32], out: &mut [Option<EntryId>]) {
        hashes.iter().for_each(|&hash| self.prefetch(hash));
        let mut hints = [Hint::default(); STAGE];
        for (hint, &hash) in hints.iter_mut().zip(hashes) {
            *hint = self.hint(hash);
        }
        for (((out, key), &hash), hint) in out.iter_mut().zip(keys).zip(hashes).zip(hints) {
            *out = self.find_hinted(hint, key, hash);
        }
    }

    /// Puts `value` under `key`. An entry that is new has no deadline until it is touched.
    ///
    /// # Errors
    /// [`Full`] when there is no room and nothing may be evicted; the table is as before.
    pub fn insert(&mut self, key: K, hash: u32, value: V) -> Result<Inserted<K, V>, Full> {
        if let Some(id) = self.find(&key, hash) {
            let old = self.value_mut(id).map(|held| std::mem::replace(held, value));
            return Ok(Inserted { id, displaced: old.map_or(Displaced::Nothing, Displaced::Value) });
        }
        let displaced = if self.free.is_empty() { self.evict().ok_or(Full)? } else { Displaced::Nothing };
        let index = self.free.pop().ok_or(Full)?;
        let position = Position::of(hash, self.seed, self.buckets.len());
        let mut at = position.home;
        // There are more ways than entries, so a bucket with room exists.
        while !self.buckets[at].place(position.tag, index) {
            self.buckets[at].overflowed += 1;
            at = self.after(at);
        }
        let slot = &mut self.slots[index as usize];
        slot.fill(key, hash, value);
        Ok(Inserted { id: EntryId { index, generation: slot.generation }, displaced })
    }

    /// Removes `key`.
    pub fn remove(&mut self, key: &K, hash: u32) -> Option<(K, V)> {
        let id = self.find(key, hash)?;
        self.remove_entry(id)
    }

    /// Removes an entry; `None` when it is gone.
    pub fn remove_entry(&mut self, id: EntryId) -> Option<(K, V)> {
        self.entry(id)?;
        if let Some(wheel) = &mut self.wheel {
            wheel.cancel(id.index);
        }
        self.vacate(id.index)
    }

    /// Says that the entry is in use until `deadline_ns`, and counts as a touch for [`Eviction::Oldest`].
    ///
    /// A later deadline than before costs no more than the write: the timer finds out when it fires, and sleeps
    /// on. False when the entry is gone. Without [`expiring`](Self::expiring) the deadline means nothing.
    pub fn touch(&mut self, id: EntryId, deadline_ns: u64) -> bool {
        self.touch_mut(id, deadline_ns).is_some()
    }

    /// [`touch`](Self::touch) and [`value_mut`](Self::value_mut) in one.
    #[inline]
    pub fn touch_mut(&mut self, id: EntryId, deadline_ns: u64) -> Option<&mut V> {
        self.slots.get(id.index()).filter(|slot| slot.generation == id.generation)?;
        self.touch_index(id.index, deadline_ns)
    }

    #[inline(always)]
    fn touch_index(&mut self, index: u32, deadline_ns: u64) -> Option<&mut V> {
        let slot = self.slots.get_mut(index as usize)?;
        let (_, value) = slot.content.as_mut()?;
        slot.touched = true;
        slot.deadline = deadline_ns;
        if deadline_ns < slot.armed
            && let Some(wheel) = &mut self.wheel
        {
            slot.armed = deadline_ns;
            wheel.arm(index, deadline_ns);
        }
        Some(value)
    }

    /// Removes the entries whose deadline is at or before `now_ns`, each handed to `gone`; returns how many.
    ///
    /// At most `budget` timers are handled; the rest leave at the next call.
    pub fn expire(&mut self, now_ns: u64, budget: usize, mut gone: impl FnMut(EntryId, K, V)) -> usize {
        let (mut left, mut removed) = (budget, 0);
        while let Some(index) = self.wheel.as_mut().and_then(|wheel| wheel.next_expired(now_ns, &mut left)) {
            let slot = &mut self.slots[index as usize];
            if slot.deadline > now_ns {
                slot.armed = slot.deadline;
                if let Some(wheel) = &mut self.wheel {
                    wheel.arm(index, slot.deadline);
                }
                continue;
            }
            let id = EntryId { index, generation: slot.generation };
            if let Some((key, value)) = self.vacate(index) {
                gone(id, key, value);
                removed += 1;
            }
        }
        removed
    }

    /// Shows at most `count` entries from `cursor` on; returns where to go on, `None` at the end.
    ///
    /// In between, entries may come and go: one that stays from the first call to the last is seen exactly once,
    /// one that comes may or may not be seen. A call looks at no more than 16 places per entry asked for, so in a
    /// sparse table it may show fewer than `count`, even none, before the end.
    pub fn scan(
        &self,
        cursor: Cursor,
        count: usize,
        mut show: impl FnMut(EntryId, &K, &V),
    ) -> Option<Cursor> {
        let mut left = count;
        let from = (cursor.0 as usize).min(self.slots.len());
        let to = from.saturating_add(count.max(1).saturating_mul(SCAN_SLOTS)).min(self.slots.len());
        for (index, slot) in (from..to).zip(&self.slots[from..to]) {
            let Some((key, value)) = &slot.content else { continue };
            if left == 0 {
                return Some(Cursor(index as u32));
            }
            show(EntryId { index: index as u32, generation: slot.generation }, key, value);
            left -= 1;
        }
        (to < self.slots.len()).then_some(Cursor(to as u32))
    }

    /// A time in nanoseconds before which nothing expires.
    pub fn next_expiry(&self) -> Option<u64> {
        self.wheel.as_ref().and_then(TimerWheel::next_event)
    }

    fn after(&self, bucket: usize) -> usize {
        if bucket + 1 == self.buckets.len() { 0 } else { bucket + 1 }
    }

    /// Makes room by the policy.
    fn evict(&mut self) -> Option<Displaced<K, V>> {
        if self.eviction == Eviction::Refuse || self.slots.is_empty() {
            return None;
        }
        for _ in 0..HAND_STEPS {
            let slot = &mut self.slots[self.hand as usize];
            if !std::mem::take(&mut slot.touched) {
                break;
            }
            self.hand = self.next_hand();
        }
        let index = self.hand;
        self.hand = self.next_hand();
        let id = EntryId { index, generation: self.slots[index as usize].generation };
        self.remove_entry(id).map(|(key, value)| Displaced::Evicted(id, key, value))
    }

    fn next_hand(&self) -> u32 {
        if self.hand as usize + 1 >= self.slots.len() { 0 } else { self.hand + 1 }
    }

    /// Takes an entry out of its bucket and its slot.
    fn vacate(&mut self, index: u32) -> Option<(K, V)> {
        let slot = &mut self.slots[index as usize];
        let content = slot.empty()?;
        let position = Position::of(slot.hash, self.seed, self.buckets.len());
        let mut at = position.home;
        while !self.buckets[at].take(position.tag, index) {
            self.buckets[at].overflowed -= 1;
            at = self.after(at);
        }
        self.free.push(index);
        Some(content)
    }
}
