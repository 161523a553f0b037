//! Sessions: pairs of a packet's tuple and what it becomes, both ways, with the state of the connection.

use super::config::Plan;
use super::tcp;
use super::tuple::{Endpoint, Link, Rewrite, Tuple};
use engine::Time;
use tables::flow_table::{EntryId, FlowTable, Hint};
use tables::timer_wheel::TimerWheel;
use wire::Words4;
use wire::protocol::ip;

/// Timers are this coarse.
const TICK_NANOS: u64 = 100_000_000;
/// No session.
const NONE: u32 = u32::MAX;

/// Protocols whose sessions wait for their answers in lists of their own; there is one more for all others.
const PROTOCOLS: [u8; 3] = [ip::TCP, ip::UDP, ip::ICMP];

/// The row of a protocol's list.
fn row(protocol: u8) -> usize {
    PROTOCOLS.iter().position(|&known| known == protocol).unwrap_or(PROTOCOLS.len())
}

/// The ends of a list of sessions.
#[derive(Clone, Copy)]
struct Waiting {
    oldest: u32,
    newest: u32,
}

/// One direction of a session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub rewrite: Rewrite,
    pub link: Link,
}

/// A session: `forth` is the direction of its first packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session {
    pub forth: EntryId,
    pub back: EntryId,
    /// The inside endpoints whose dynamic mapping it uses, of its source and of its destination.
    pub source: Option<Endpoint>,
    pub destination: Option<Endpoint>,
    pub since: Time,
    pub state: tcp::State,
    protocol: u8,
    /// Forth and back: whether packets come out with an address of ours, to be translated once more.
    half: [bool; 2],
    /// Neighbours in the list of its protocol's sessions without an answer.
    older: u32,
    newer: u32,
}

/// What a session is, to make or to move it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Outline {
    pub key: Tuple,
    pub result: Tuple,
    pub source: Option<Endpoint>,
    pub destination: Option<Endpoint>,
    pub since: Time,
    pub state: tcp::State,
    /// Last packet forth and back; the epoch where there was none.
    pub last: [Time; 2],
}

/// All sessions of a worker. All memory is taken when it is made.
pub(super) struct Sessions {
    /// Both directions of every session.
    entries: FlowTable<Words4, Entry>,
    slots: Box<[Option<Session>]>,
    free: Vec<u32>,
    wheel: TimerWheel,
    /// Sessions without an answer, by the row of their protocol: they give way when there is no room.
    waiting: [Waiting; PROTOCOLS.len() + 1],
    seed: u64,
}

impl Sessions {
    pub(super) fn new(capacity: usize, seed: u64) -> Sessions {
        Sessions {
            entries: FlowTable::with_capacity(2 * capacity, seed),
            slots: vec![None; capacity].into(),
            free: (0..capacity as u32).rev().collect(),
            wheel: TimerWheel::new(capacity, TICK_NANOS, 0),
            waiting: [Waiting { oldest: NONE, newest: NONE }; PROTOCOLS.len() + 1],
            seed,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.free.is_empty()
    }

    /// Memory for each session of capacity.
    #[cfg(test)]
    pub(super) fn bytes_per_session(&self) -> usize {
        2 * self.entries.bytes_per_entry()
            + size_of::<Option<Session>>()
            + size_of::<u32>()
            + TimerWheel::bytes_per_timer()
    }

    #[inline(always)]
    pub(super) fn hash(&self, words: &Words4) -> u32 {
        words.hash_with(self.seed)
    }

    #[inline(always)]
    pub(super) fn prefetch(&self, hash: u32) {
        self.entries.prefetch(hash);
    }

    #[inline(always)]
    pub(super) fn hint(&self, hash: u32) -> Hint {
        self.entries.hint(hash)
    }

    /// The entry of a packet, which counts as used now.
    #[inline(always)]
    pub(super) fn touch_hinted(
        &mut self,
        hint: Hint,
        words: &Words4,
        hash: u32,
        now: Time,
    ) -> Option<&Entry> {
        self.entries.touch_hinted(hint, words, hash, now.as_nanos()).map(|entry| &*entry)
    }

    /// The entry of a tuple, which does not count as used.
    pub(super) fn find(&self, tuple: &Tuple) -> Option<(EntryId, Entry)> {
        let words = Words4::from(*tuple);
        let id = self.entries.find(&words, self.hash(&words))?;
        self.entries.entry(id).map(|(_, entry)| (id, *entry))
    }

    pub(super) fn get(&self, session: u32) -> Option<&Session> {
        self.slots.get(session as usize)?.as_ref()
    }

    /// A packet goes by on an entry: time and state follow it. Returns what becomes of the packet.
    pub(super) fn pass(&mut self, plan: &Plan, id: EntryId, tcp_flags: u8, now: Time) -> Option<Rewrite> {
        let entry = *self.entries.touch_mut(id, now.as_nanos())?;
        let index = entry.link.session();
        let session = self.slots.get_mut(index as usize)?.as_mut()?;
        let back = session.back == id;
        let before = session.state;
        session.state =
            if session.protocol == ip::TCP { before.after(back, tcp_flags) } else { before.seen(back) };
        if before != session.state {
            let opened_anew = before.is_established() && !session.state.is_established();
            if opened_anew {
                session.since = now;
            }
            let session = *session;
            self.settle(index, &session);
            if session.is_answered() {
                self.unlist(index);
            } else if opened_anew {
                self.list(index);
            }
            // Where it may be silent for a shorter time than before, the timer has to know.
            let deadline = self.deadline(plan, &session);
            if self.wheel.deadline(index).is_none_or(|armed| deadline < armed) {
                self.wheel.arm(index, deadline);
            }
        }
        Some(entry.rewrite)
    }

    /// Tells the entries which packets may go the short way.
    fn settle(&mut self, index: u32, session: &Session) {
        let [forth, back] = session.settled();
        for (id, settled) in [(session.forth, forth), (session.back, back)] {
            if let Some(entry) = self.entries.value_mut(id) {
                entry.link = Link::new(index, settled);
            }
        }
    }

    /// When it ends unless more packets come.
    fn deadline(&self, plan: &Plan, session: &Session) -> u64 {
        let last = |id| self.entries.deadline(id).unwrap_or(0);
        let silence = match session.protocol {
            ip::TCP if session.state.is_open() => plan.established,
            ip::TCP => plan.transitory,
            ip::ICMP => plan.icmp,
            _ => plan.udp,
        };
        last(session.forth).max(last(session.back)).saturating_add(silence)
    }

    /// Whether a session with these tuples could be made.
    pub(super) fn has_place_for(&self, key: &Tuple, result: &Tuple) -> bool {
        let back = result.reversed();
        *key != back && self.find(key).is_none() && self.find(&back).is_none()
    }

    /// Makes a session; `false` when there is no room, or one with such packets.
    pub(super) fn open(&mut self, plan: &Plan, outline: &Outline) -> bool {
        let Outline { key, result, .. } = *outline;
        if !self.has_place_for(&key, &result) {
            return false;
        }
        let Some(index) = self.free.pop() else { return false };
        let mut insert = |from: Tuple, to: Tuple, last: Time| {
            let entry = Entry { rewrite: Rewrite::new(from, to), link: Link::new(index, false) };
            let words = Words4::from(from);
            let id = self.entries.insert(words, words.hash_with(self.seed), entry).ok()?.id;
            self.entries.touch(id, last.as_nanos());
            Some(id)
        };
        let forth = insert(key, result, outline.last[0]);
        let back = insert(result.reversed(), key.reversed(), outline.last[1]);
        // The table has room for two entries of each session.
        let (Some(forth), Some(back)) = (forth, back) else { return false };
        let session = Session {
            forth,
            back,
            source: outline.source,
            destination: outline.destination,
            since: outline.since,
            state: outline.state,
            protocol: key.protocol(),
            half: [plan.is_outside(result.dst), plan.is_outside(key.src)],
            older: NONE,
            newer: NONE,
        };
        self.slots[index as usize] = Some(session);
        self.settle(index, &session);
        if !session.is_answered() {
            self.list(index);
        }
        let deadline = self.deadline(plan, &session);
        self.wheel.arm(index, deadline);
        true
    }

    /// Ends a session.
    pub(super) fn close(&mut self, index: u32) -> Option<Outline> {
        let outline = self.outline(index)?;
        self.unlist(index);
        let session = self.slots.get_mut(index as usize)?.take()?;
        self.entries.remove_entry(session.forth);
        self.entries.remove_entry(session.back);
        self.wheel.cancel(index);
        self.free.push(index);
        Some(outline)
    }

    /// The next session that was silent for too long; `None` when there is none or the budget is used up.
    pub(super) fn next_expired(&mut self, plan: &Plan, now: Time, budget: &mut usize) -> Option<u32> {
        while let Some(index) = self.wheel.next_expired(now.as_nanos(), budget) {
            let Some(session) = self.get(index) else { continue };
            let deadline = self.deadline(plan, session);
            if deadline <= now.as_nanos() {
                return Some(index);
            }
            self.wheel.arm(index, deadline);
        }
        None
    }

    /// A record of a session that is here says that it was used since.
    pub(super) fn catch_up(&mut self, plan: &Plan, outline: &Outline) {
        let Some((_, entry)) = self.find(&outline.key) else { return };
        let index = entry.link.session();
        let Some(session) = self.slots.get_mut(index as usize).and_then(Option::as_mut) else { return };
        let is_newer =
            |id: EntryId, last: Time| self.entries.deadline(id).is_some_and(|at| at < last.as_nanos());
        let newer = [(session.forth, outline.last[0]), (session.back, outline.last[1])];
        let newer = newer.map(|(id, last)| (id, last, is_newer(id, last)));
        if !newer.iter().any(|(.., is_newer)| *is_newer) {
            return;
        }
        session.state = outline.state;
        let session = *session;
        for (id, last, _) in newer.into_iter().filter(|(.., is_newer)| *is_newer) {
            self.entries.touch(id, last.as_nanos());
        }
        self.settle(index, &session);
        if session.is_answered() {
            self.unlist(index);
        }
        let deadline = self.deadline(plan, &session);
        self.wheel.arm(index, deadline);
    }

    /// What a session is.
    pub(super) fn outline(&self, index: u32) -> Option<Outline> {
        let session = self.get(index)?;
        let (key, entry) = self.entries.entry(session.forth)?;
        let last = |id| Time::from_nanos(self.entries.deadline(id).unwrap_or(0));
        let key = Tuple::from(*key);
        Some(Outline {
            key,
            result: entry.rewrite.result(key.protocol),
            source: session.source,
            destination: session.destination,
            since: session.since,
            state: session.state,
            last: [last(session.forth), last(session.back)],
        })
    }

    /// All sessions, the oldest first.
    pub(super) fn all(&self) -> Vec<Outline> {
        let mut all: Vec<Outline> =
            (0..self.slots.len() as u32).filter_map(|index| self.outline(index)).collect();
        all.sort_by_key(|outline| (outline.since, wire::FlowKey4::from(outline.key)));
        all
    }

    /// Shows sessions from place `from` on, until `show` wanted `count` of them or many places were looked at; returns
    /// where to go on.
    pub(super) fn page(
        &self,
        from: u64,
        count: usize,
        mut show: impl FnMut(u32, &Outline) -> bool,
    ) -> Option<u64> {
        /// Places looked at for each session wanted.
        const PLACES: usize = 16;
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(self.slots.len());
        let to = from.saturating_add(count.saturating_mul(PLACES)).min(self.slots.len());
        let mut left = count;
        for place in from..to {
            if left == 0 {
                return Some(place as u64);
            }
            if let Some(outline) = self.outline(place as u32) {
                left -= usize::from(show(place as u32, &outline));
            }
        }
        (to < self.slots.len()).then_some(to as u64)
    }

    /// A protocol's sessions without an answer, the oldest first.
    pub(super) fn unanswered(&self, protocol: u8) -> impl Iterator<Item = u32> {
        let mut at = self.waiting[row(protocol)].oldest;
        std::iter::from_fn(move || {
            let session = self.get(at)?;
            Some(std::mem::replace(&mut at, session.newer))
        })
    }

    /// The oldest session without an answer.
    pub(super) fn longest_unanswered(&self) -> Option<u32> {
        let oldest = self.waiting.iter().map(|waiting| waiting.oldest);
        oldest.filter_map(|index| Some((self.get(index)?.since, index))).min().map(|(_, index)| index)
    }

    fn list(&mut self, index: u32) {
        let Some(protocol) = self.get(index).map(|session| session.protocol) else { return };
        let older = std::mem::replace(&mut self.waiting[row(protocol)].newest, index);
        match self.slots.get_mut(older as usize).and_then(Option::as_mut) {
            Some(session) => session.newer = index,
            None => self.waiting[row(protocol)].oldest = index,
        }
        if let Some(session) = &mut self.slots[index as usize] {
            session.older = older;
        }
    }

    fn unlist(&mut self, index: u32) {
        let Some(session) = self.slots.get_mut(index as usize).and_then(Option::as_mut) else { return };
        let (older, newer) = (session.older, session.newer);
        let waiting = &mut self.waiting[row(session.protocol)];
        if older == NONE && newer == NONE && waiting.oldest != index {
            return;
        }
        (session.older, session.newer) = (NONE, NONE);
        match self.slots.get_mut(older as usize).and_then(Option::as_mut) {
            Some(session) => session.newer = newer,
            None => waiting.oldest = newer,
        }
        match self.slots.get_mut(newer as usize).and_then(Option::as_mut) {
            Some(session) => session.older = older,
            None => waiting.newest = older,
        }
    }
}

impl Session {
    /// Whether the other end has answered: such a session does not give way to others.
    fn is_answered(&self) -> bool {
        if self.protocol == ip::TCP { self.state.is_established() } else { self.state.has_answer() }
    }

    /// Whether packets forth and back may go the short way.
    fn settled(&self) -> [bool; 2] {
        let [forth, back] = match self.protocol {
            ip::TCP => [self.state.is_settled(); 2],
            _ => [true, self.state.has_answer()],
        };
        [forth && !self.half[0], back && !self.half[1]]
    }
}
