//! The first of two servers: packets are numbered, and a copy of each leaves for the other branch.

use super::carrier::has_room_for_tags;
use super::config::Plan;
use super::joint::{SPACE, number_tags};
use super::{TAGGED, UNMARKED};
use engine::{Burst, Cx, Reason, WorkerSite};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where the numbers are. Nothing is kept of a packet.
pub(super) struct Mirror {
    /// `None` before the first packet.
    next: Option<u32>,
    index: u32,
    /// Workers take turns with the numbers.
    step: u32,
}

/// Where the workers of the plan before were, for those of the next one.
#[derive(Default)]
pub(super) struct Numbers {
    were: Mutex<Vec<u32>>,
    begin: AtomicU32,
}

impl Numbers {
    /// Where another worker was. All have said so before a packet comes.
    fn note(&self, next: u32) {
        let Ok(mut were) = self.were.lock() else { return };
        were.push(next);
        were.sort_unstable();
        // Workers get unlike numbers of packets. Behind the one with the widest gap before it no number was given lately.
        let ahead = were.iter().cycle().skip(1);
        let gap = |(here, ahead): &(&u32, &u32)| match (**ahead + SPACE - **here) % SPACE {
            0 => SPACE,
            gap => gap,
        };
        if let Some((begin, _)) = were.iter().zip(ahead).max_by_key(gap) {
            self.begin.store(*begin, Ordering::Relaxed);
        }
    }
}

impl Mirror {
    pub(super) fn new(worker: &WorkerSite) -> Mirror {
        Mirror { next: None, index: worker.index as u32, step: worker.count.max(1) as u32 }
    }

    /// Goes on from the worker of the plan before: there where it was, if there are as many workers as before.
    pub(super) fn go_on_from(&mut self, numbers: &Numbers, old: &Mirror, others: &Numbers) {
        if (self.index, self.step) == (old.index, old.step) {
            self.next = old.next;
        }
        numbers.note(old.next.unwrap_or_else(|| others.begin.load(Ordering::Relaxed)));
    }

    /// The first of this worker's numbers from `begin` on.
    fn first(&self, begin: u32) -> u32 {
        let first = begin + (self.index + self.step - begin % self.step) % self.step;
        if first < self.space() { first } else { self.index }
    }

    /// Numbers in use: each worker comes round to its own.
    fn space(&self) -> u32 {
        SPACE - SPACE % self.step
    }

    pub(super) fn process(&mut self, plan: &Plan, burst: &mut Burst, cx: &mut Cx<'_>) {
        let Some(port) = plan.branches.first().and_then(|branch| branch.out) else { return };
        let mut next = self.next.unwrap_or_else(|| self.first(plan.numbers.begin.load(Ordering::Relaxed)));
        for i in 0..burst.len() {
            let headers = burst.headers(i);
            if !has_room_for_tags(&headers, burst.bytes(i), 2) {
                burst.drop(i, UNMARKED);
                continue;
            }
            let Some(bytes) = burst.prepend(i, 8) else {
                burst.drop(i, Reason::NO_MBUFS);
                continue;
            };
            number_tags(bytes, next);
            next = (next + self.step) % self.space();
            match burst.copy(i) {
                Some(copy) => cx.transmit(port, copy),
                // One branch alone is of no use.
                None => burst.drop(i, Reason::NO_MBUFS),
            }
            cx.count(TAGGED, 1);
        }
        self.next = Some(next);
    }
}
