//! Hierarchical timing wheel (Varghese and Lauck, *Hashed and Hierarchical Timing Wheels*, SOSP 1987, scheme 7).
//!
//! Time is a number of ticks, seen as eleven digits of six bits. A timer is filed at the level of the highest
//! digit in which its deadline differs from the present, under the value of that digit: so everything at a level
//! is earlier than everything at the level above it, one bitmap of 64 bits per level finds the next timer, and a
//! jump of the clock over hours costs no more than a step of one tick. All 64 bits of time are covered; no
//! deadline is too far away.
#[cfg(test)]
mod tests;

/// Bits per digit: 64 slots per level, whose occupancy is one `u64`.
const DIGIT: u32 = 6;
const SLOTS: usize = 1 << DIGIT;
/// Eleven digits of six bits hold any 64-bit tick.
const LEVELS: usize = 64usize.div_ceil(DIGIT as usize);
/// End of a list, and the slot of a timer that is not armed.
const NIL: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Timer {
    /// In ticks.
    deadline: u64,
    previous: u32,
    next: u32,
    /// `level * SLOTS + slot`, or `NIL` when not armed.
    list: u32,
}

/// A fixed number of timers, numbered from 0, each armed or not.
///
/// Arming, re-arming and cancelling are O(1) and allocate nothing. A timer fires at the first
/// [`advance`](Self::advance) whose time has reached its deadline, rounded up to a tick: never early, late by less
/// than a tick plus the caller's polling interval. One armed for the past fires at the next tick.
/// Timers of one tick fire in an order that depends only on the calls made.
pub struct TimerWheel {
    tick_ns: u64,
    /// Every tick up to this one has been handled; all armed timers are later, but for those in `draining`.
    current: u64,
    /// The list that the last call had no budget left to finish.
    draining: Option<u32>,
    /// One bit per slot that holds a timer.
    occupied: [u64; LEVELS],
    heads: [u32; LEVELS * SLOTS],
    timers: Box<[Timer]>,
    armed: usize,
}

impl TimerWheel {
    /// `capacity` timers, none armed; deadlines are rounded up to `tick_ns` (at least 1) nanoseconds.
    ///
    /// `capacity` is at most `u32::MAX - 1`; what is above is cut.
    pub fn new(capacity: usize, tick_ns: u64, now_ns: u64) -> Self {
        let tick_ns = tick_ns.max(1);
        let idle = Timer { deadline: 0, previous: NIL, next: NIL, list: NIL };
        Self {
            tick_ns,
            current: now_ns / tick_ns,
            draining: None,
            occupied: [0; LEVELS],
            heads: [NIL; LEVELS * SLOTS],
            timers: vec![idle; capacity.min(NIL as usize - 1)].into_boxed_slice(),
            armed: 0,
        }
    }

    /// Number of timers, armed or not.
    pub fn capacity(&self) -> usize {
        self.timers.len()
    }

    /// Number of timers armed.
    pub fn armed(&self) -> usize {
        self.armed
    }

    /// Memory per timer, in bytes.
    pub const fn bytes_per_timer() -> usize {
        size_of::<Timer>()
    }

    /// The deadline of `timer` in nanoseconds, rounded up to a tick; `None` when it is not armed or there is none.
    pub fn deadline(&self, timer: u32) -> Option<u64> {
        let timer = self.timers.get(timer as usize)?;
        (timer.list != NIL).then(|| timer.deadline.saturating_mul(self.tick_ns))
    }

    /// Arms `timer` for `deadline_ns`, whether it was armed or not. False when there is no such timer.
    pub fn arm(&mut self, timer: u32, deadline_ns: u64) -> bool {
        if timer as usize >= self.timers.len() {
            return false;
        }
        self.cancel(timer);
        self.timers[timer as usize].deadline = deadline_ns.div_ceil(self.tick_ns);
        self.file(timer);
        self.armed += 1;
        true
    }

    /// Disarms `timer`; true when it was armed.
    pub fn cancel(&mut self, timer: u32) -> bool {
        match self.timers.get(timer as usize) {
            Some(t) if t.list != NIL => {
                self.unlink(timer);
                self.armed -= 1;
                true
            }
            _ => false,
        }
    }

    /// Fires the timers due at `now_ns`, each disarmed before `fire` sees it; returns how many.
    ///
    /// At most `budget` timers are handled (fired, or moved to a finer level); the rest are due at the next call.
    /// A `now_ns` before an earlier one changes nothing.
    pub fn advance(&mut self, now_ns: u64, budget: usize, mut fire: impl FnMut(u32)) -> usize {
        let (mut left, mut fired) = (budget, 0);
        while let Some(timer) = self.next_expired(now_ns, &mut left) {
            fire(timer);
            fired += 1;
        }
        fired
    }

    /// The next timer due at `now_ns`, disarmed; `None` when there is none or `budget` is used up.
    ///
    /// As [`advance`](Self::advance), for callers that arm or cancel timers in between.
    pub fn next_expired(&mut self, now_ns: u64, budget: &mut usize) -> Option<u32> {
        let now = now_ns / self.tick_ns;
        loop {
            let Some(list) = self.draining else {
                let (tick, list) = self.earliest().filter(|&(tick, _)| tick <= now).or_else(|| {
                    // No list begins by `now`, so no timer's level changes by calling that the present.
                    self.current = self.current.max(now);
                    None
                })?;
                self.current = tick;
                self.draining = Some(list);
                continue;
            };
            let timer = self.heads[list as usize];
            if timer == NIL {
                self.draining = None;
                continue;
            }
            if *budget == 0 {
                return None;
            }
            *budget -= 1;
            self.unlink(timer);
            if self.timers[timer as usize].deadline <= self.current {
                self.armed -= 1;
                return Some(timer);
            }
            self.file(timer);
        }
    }

    /// A time, in nanoseconds, before which no timer fires: how long an idle worker may sleep.
    pub fn next_event(&self) -> Option<u64> {
        if self.draining.is_some_and(|list| self.heads[list as usize] != NIL) {
            return Some(self.current.saturating_mul(self.tick_ns));
        }
        self.earliest().map(|(tick, _)| tick.saturating_mul(self.tick_ns))
    }

    /// The first tick of the earliest list that is not empty, and that list.
    fn earliest(&self) -> Option<(u64, u32)> {
        let level = self.occupied.iter().position(|&bits| bits != 0)?;
        let slot = self.occupied[level].trailing_zeros();
        let shift = level as u32 * DIGIT;
        let above = self.current.checked_shr(shift + DIGIT).unwrap_or(0);
        let base = above.checked_shl(shift + DIGIT).unwrap_or(0);
        Some((base | u64::from(slot) << shift, level as u32 * SLOTS as u32 + slot))
    }

    /// Puts a timer that is in no list where its deadline belongs.
    fn file(&mut self, index: u32) {
        let tick = self.timers[index as usize].deadline.max(self.current.saturating_add(1));
        let differs = (tick ^ self.current) | 1;
        let level = differs.ilog2() / DIGIT;
        let slot = (tick >> (level * DIGIT)) as u32 % SLOTS as u32;
        let list = level * SLOTS as u32 + slot;
        let next = std::mem::replace(&mut self.heads[list as usize], index);
        if next != NIL {
            self.timers[next as usize].previous = index;
        }
        let timer = &mut self.timers[index as usize];
        (timer.previous, timer.next, timer.list) = (NIL, next, list);
        self.occupied[level as usize] |= 1 << slot;
    }

    fn unlink(&mut self, index: u32) {
        let Timer { previous, next, list, .. } = self.timers[index as usize];
        if previous == NIL {
            self.heads[list as usize] = next;
        } else {
            self.timers[previous as usize].next = next;
        }
        if next != NIL {
            self.timers[next as usize].previous = previous;
        }
        if self.heads[list as usize] == NIL {
            self.occupied[list as usize / SLOTS] &= !(1 << (list as usize % SLOTS));
        }
        self.timers[index as usize].list = NIL;
    }
}
