//! One direction while a segment is looked at: takes bytes in, hands out what is next.

use super::half::Half;
use crate::pool::{Handle, Held, NoRoom};
use crate::{Config, Event, Mode, Policy, Pool, Sink, Toward, Urgent};

/// One direction of a flow, with all that it takes to go on with it.
pub(super) struct Lane<'a, S> {
    pub half: &'a mut Half,
    pub toward: Toward,
    /// Whether nothing has come from the other end yet, so that no acknowledgement can be waited for.
    pub one_sided: bool,
    pub config: &'a Config,
    pub pool: &'a mut Pool,
    pub sink: &'a mut S,
}

/// A segment's bytes, and where they belong.
#[derive(Clone, Copy)]
struct New<'p> {
    held: Held,
    payload: &'p [u8],
}

impl New<'_> {
    /// The bytes from `from` to `to`, both within the segment.
    fn part(&self, from: u64, to: u64) -> &[u8] {
        let at = |place: u64| (place.saturating_sub(self.held.from) as usize).min(self.payload.len());
        &self.payload[at(from)..at(to).max(at(from))]
    }
}

impl<S: Sink> Lane<'_, S> {
    pub fn event(&mut self, event: Event) {
        self.sink.event(self.toward, event);
    }

    /// Takes a segment's bytes in, those at `from` on, and hands out what is next. Whether all of them were, or will be.
    pub fn insert(&mut self, from: i64, payload: &[u8], doubtful: bool) -> bool {
        self.notice_eviction();
        if self.half.stopped {
            self.go_on(from, payload, doubtful);
            return false;
        }
        let next = self.half.next;
        let before = usize::try_from(from.min(0).unsigned_abs()).unwrap_or(usize::MAX).min(payload.len());
        let (from, payload) = (from.max(0) as u64, &payload[before..]);
        let mut new = New { held: Held { from, to: from + payload.len() as u64, doubtful }, payload };
        if !self.heed_fin(&mut new) {
            return false;
        }
        if new.held.to <= next {
            let probe = new.payload.len() == 1 && new.held.to == self.half.acked;
            self.event(if probe { Event::KeepAlive } else { Event::Retransmission });
            self.compare(&new);
            return true;
        }
        let is_next = self.config.mode == Mode::Arrival && !doubtful && new.held.from <= next;
        if !is_next && new.held.to > next + u64::from(self.config.window) && !self.make_way(&new) {
            self.event(Event::BeyondWindow);
            return false;
        }
        if new.held.from < self.half.next {
            self.compare(&new);
        }
        if !doubtful {
            self.half.sent = self.half.sent.max(new.held.to);
        }
        self.take(new)
    }

    /// Keeps count of a direction that is no longer looked at.
    fn go_on(&mut self, from: i64, payload: &[u8], doubtful: bool) {
        let to = from.saturating_add_unsigned(payload.len() as u64).max(0) as u64;
        if !doubtful && to > self.half.next {
            self.half.advance(to);
            self.half.sent = self.half.sent.max(to);
        }
    }

    /// Data and FIN: what lies beyond an acknowledged FIN is cut off, any other FIN is void. Whether anything is left.
    fn heed_fin(&mut self, new: &mut New<'_>) -> bool {
        let Some(fin) = self.half.fin.filter(|&fin| new.held.to > fin) else { return true };
        self.event(Event::DataAfterFin);
        if !self.half.fin_acked {
            if !new.held.doubtful {
                self.half.fin = None;
            }
            return true;
        }
        if new.held.from >= fin {
            return false;
        }
        new.payload = &new.payload[..(fin - new.held.from) as usize];
        new.held.to = fin;
        true
    }

    /// Whether a segment that is too far ahead fits after all, since what is missing before it will never come.
    fn make_way(&mut self, new: &New<'_>) -> bool {
        if self.one_sided {
            self.half.acked = self.half.acked.max(self.half.sent);
        }
        loop {
            self.deliver();
            if new.held.to <= self.half.next + u64::from(self.config.window) {
                return true;
            }
            if self.half.acked <= self.half.next || self.half.stopped {
                return false;
            }
            self.skip_missing(true);
        }
    }

    /// Hands out the part that is next straight from the packet; holds the rest.
    fn take(&mut self, new: New<'_>) -> bool {
        let next = self.half.next;
        let mut rest = new.held.from.max(next);
        if self.config.mode == Mode::Arrival && !new.held.doubtful && new.held.from <= next {
            let first = self.first_held().map_or(u64::MAX, |held| held.from);
            let to = new.held.to.min(first);
            if to > next {
                self.keep(next, new.part(next, to));
                self.hand_out(next, new.part(next, to));
                self.half.advance(to);
                rest = to;
            }
        }
        let whole = rest >= new.held.to || self.hold(&new, rest).is_ok();
        if !whole {
            self.event(Event::NoRoom);
        }
        self.deliver();
        whole
    }

    /// Keeps bytes that are handed out, if there is room, to compare them with retransmissions.
    fn keep(&mut self, from: u64, bytes: &[u8]) {
        let to = from + bytes.len() as u64;
        if !self.config.keep {
            return;
        }
        if self.half.acked >= to {
            return self.keep_from(to);
        }
        let handle = self.handle();
        match self.pool.reserve(handle, from, to) {
            Ok(()) => self.pool.write(handle, from, bytes),
            Err(NoRoom) => self.keep_from(to),
        }
    }

    /// No byte before `from` is kept any longer.
    fn keep_from(&mut self, from: u64) {
        self.half.kept = self.half.kept.max(from);
    }

    /// Holds a segment's bytes from `from` on, but for those that lose to others.
    fn hold(&mut self, new: &New<'_>, from: u64) -> Result<(), NoRoom> {
        let handle = self.handle();
        let many = self.pool.held(handle).len() >= self.config.segments.max(1) as usize;
        let behind_all = self.pool.top(handle) <= from;
        if many && !(behind_all && self.pool.follows_last(handle, &new.held)) {
            return Err(NoRoom);
        }
        self.pool.reserve(handle, from, new.held.to)?;
        if !behind_all {
            return self.overlap(handle, new, from);
        }
        // Where there are too many segments already, one that follows the last counts as one with it.
        if many {
            self.pool.extend_last(handle, new.held.to);
        } else {
            self.pool.hold(handle, new.held)?;
        }
        self.pool.write(handle, from, new.part(from, new.held.to));
        Ok(())
    }

    /// A segment among others: by the policy, stretch by stretch.
    fn overlap(&mut self, handle: Handle, new: &New<'_>, from: u64) -> Result<(), NoRoom> {
        self.pool.reserve_held(handle)?;
        let (mut at, mut wrote, mut differs, mut again) = (from, false, false, false);
        // Segments that are held may overlap each other; what counts at a place is there once, and compared once.
        let mut compared = from;
        for index in 0.. {
            let Some(&old) = self.pool.held(handle).nth(index) else { break };
            if old.from >= new.held.to {
                break;
            }
            let (start, end) = (old.from.max(from), old.to.min(new.held.to));
            if start >= end {
                continue;
            }
            again |= old == new.held;
            let unseen = start.max(compared);
            differs = differs || unseen < end && self.differs(handle, unseen, new.part(unseen, end));
            compared = compared.max(end);
            if !self.config.policy.later_wins(&old, &new.held) {
                if at < start {
                    self.pool.write(handle, at, new.part(at, start));
                    wrote = true;
                }
                at = at.max(end);
            }
        }
        if at < new.held.to {
            self.pool.write(handle, at, new.part(at, new.held.to));
            wrote = true;
        }
        if differs {
            self.event(Event::Overlap);
        }
        if wrote && !again { self.pool.hold(handle, new.held) } else { Ok(()) }
    }

    /// Whether other bytes are held from `at` on.
    fn differs(&self, handle: Handle, at: u64, bytes: &[u8]) -> bool {
        let held = self.pool.bytes(handle, at, at + bytes.len() as u64);
        held.into_iter().any(|(place, held)| {
            bytes.get((place - at) as usize..).is_none_or(|rest| !rest.starts_with(held))
        })
    }

    /// Says so if a segment brings other bytes than those handed out, as far as they are kept.
    fn compare(&mut self, new: &New<'_>) {
        let Some(handle) = self.half.handle else { return };
        let (from, to) = (new.held.from.max(self.half.kept), new.held.to.min(self.half.next));
        if from < to && self.differs(handle, from, new.part(from, to)) {
            self.event(Event::Overlap);
        }
    }

    /// Where the bytes that could be handed out without a gap end, and where those end that may be.
    fn reach(&self) -> u64 {
        let Half { next, acked, handle: Some(handle), .. } = *self.half else { return self.half.next };
        let mut reach = next;
        for held in self.pool.held(handle) {
            if held.from > reach {
                break;
            }
            let waits = held.doubtful || self.config.mode == Mode::Acknowledged;
            reach = reach.max(if waits { held.to.min(acked) } else { held.to });
        }
        reach
    }

    /// Where the bytes without a gap end, whether or not they may be handed out.
    pub fn contiguous(&self) -> u64 {
        let Half { next, handle: Some(handle), .. } = *self.half else { return self.half.next };
        let mut end = next;
        for held in self.pool.held(handle).filter(|held| !held.doubtful) {
            if held.from > end {
                break;
            }
            end = end.max(held.to);
        }
        end
    }

    /// Hands out what may be, and gives back what is no longer needed.
    pub fn deliver(&mut self) {
        let reach = self.reach();
        if reach > self.half.next {
            self.deliver_to(reach);
        }
        self.trim();
    }

    /// Hands out held bytes up to `to`, which are all there.
    fn deliver_to(&mut self, to: u64) {
        let Some(handle) = self.half.handle else { return };
        let from = self.half.next;
        let (toward, config) = (self.toward, self.config);
        for (at, bytes) in self.pool.bytes(handle, from, to) {
            hand_out(self.half, toward, config, self.sink, at, bytes);
        }
        self.half.advance(to);
        while self.pool.held(handle).next().is_some_and(|first| first.to <= to) {
            self.pool.drop_first(handle);
        }
    }

    /// Hands out bytes of the packet.
    fn hand_out(&mut self, at: u64, bytes: &[u8]) {
        hand_out(self.half, self.toward, self.config, self.sink, at, bytes);
    }

    /// Gives back what was handed out and need not be kept.
    pub fn trim(&mut self) {
        let Some(handle) = self.half.handle else { return self.keep_from(self.half.next) };
        let Half { next, acked, .. } = *self.half;
        let keeps = self.config.keep && self.config.mode == Mode::Arrival && !self.half.stopped;
        let longest_ago = next.saturating_sub(u64::from(self.config.window));
        self.keep_from(if keeps { acked.min(next).max(longest_ago) } else { next });
        if self.half.kept == next && self.pool.held(handle).len() == 0 || self.half.stopped {
            self.pool.close(handle);
            self.half.handle = None;
        } else {
            self.pool.discard_before(handle, self.half.kept);
        }
    }

    /// Skips bytes that never came, if the other end has acknowledged them for long enough, or at once.
    pub fn skip_missing(&mut self, at_once: bool) {
        self.notice_eviction();
        let missing = self.half.acked.saturating_sub(self.half.next);
        if missing == 0 || self.half.stopped {
            return;
        }
        let waited = self.half.waited >= self.config.gap_segments;
        if at_once || waited || missing >= u64::from(self.config.gap_bytes) {
            let first = self.first_held().map_or(u64::MAX, |held| held.from);
            self.skip_to(self.half.acked.min(first));
            self.deliver();
        }
    }

    /// A gap up to `to`.
    fn skip_to(&mut self, to: u64) {
        let next = self.half.next;
        if to <= next {
            return;
        }
        self.sink.gap(self.toward, next, to - next);
        self.event(Event::Gap);
        self.half.advance(to);
        self.keep_from(to);
    }

    /// Hands out everything that the receiver may have, with its gaps.
    pub fn flush(&mut self) {
        self.notice_eviction();
        let acked = self.half.acked;
        while let Some(first) = self.first_held()
            && !self.half.stopped
        {
            let to = if first.doubtful { first.to.min(acked) } else { first.to };
            if to > self.half.next.max(first.from) {
                self.skip_to(first.from);
                self.deliver_to(to);
            } else {
                self.drop_first();
            }
        }
        if !self.half.stopped {
            self.skip_to(acked);
        }
    }

    /// All of the direction was handed out: says so, once.
    pub fn end(&mut self) {
        if !self.half.ended {
            self.half.ended = true;
            self.sink.end(self.toward);
        }
    }

    /// Takes note of an urgent pointer of a segment at `from`: it points behind the urgent byte (RFC 6093 section 3.1).
    /// 0 is the segment's first byte to Linux and nothing to others.
    pub fn mark_urgent(&mut self, from: i64, pointer: u16) {
        self.event(Event::Urgent);
        let nothing = pointer == 0 && !matches!(self.config.policy, Policy::Linux | Policy::OldLinux);
        if self.config.urgent == Urgent::Inline || nothing {
            return;
        }
        let Ok(place) = u64::try_from(from + i64::from(pointer.max(1)) - 1) else { return };
        let near = place <= self.half.next + u64::from(self.config.window);
        if place >= self.half.next && near && !self.half.mark_urgent(place) {
            self.event(Event::ManyUrgent);
        }
    }

    fn first_held(&self) -> Option<Held> {
        self.half.handle.and_then(|handle| self.pool.held(handle).next().copied())
    }

    fn drop_first(&mut self) {
        if let Some(handle) = self.half.handle {
            self.pool.drop_first(handle);
        }
    }

    /// The direction's holding; a new one if it has none.
    fn handle(&mut self) -> Handle {
        *self.half.handle.get_or_insert_with(|| self.pool.open())
    }

    /// Says so if another flow took what this direction held.
    pub fn notice_eviction(&mut self) {
        if self.half.lost(self.pool) {
            (self.half.handle, self.half.was_lost) = (None, false);
            self.keep_from(self.half.next);
            self.event(Event::Evicted);
        }
    }
}

/// Hands out bytes, without urgent ones, as far as is wanted.
fn hand_out<S: Sink>(
    half: &mut Half,
    toward: Toward,
    config: &Config,
    sink: &mut S,
    mut at: u64,
    mut bytes: &[u8],
) {
    if half.stopped {
        return;
    }
    let depth = if config.depth == 0 { u64::MAX } else { config.depth };
    if at + bytes.len() as u64 > depth {
        bytes = &bytes[..depth.saturating_sub(at) as usize];
        half.stopped = true;
    }
    while let Some(urgent) = half.urgent_between(at, at + bytes.len() as u64) {
        let (before, rest) = bytes.split_at((urgent - at) as usize);
        if !before.is_empty() {
            sink.data(toward, at, before);
        }
        (at, bytes) = (urgent + 1, &rest[1..]);
    }
    if !bytes.is_empty() {
        sink.data(toward, at, bytes);
    }
    if half.stopped {
        sink.event(toward, Event::Depth);
    }
}
