//! The first of two servers: packets are numbered, and a copy of each leaves for the other branch.

use super::carrier::has_room_for_tags;
use super::config::Plan;
use super::joint::{SPACE, number_tags};
use super::{TAGGED, UNMARKED};
use engine::{Burst, Cx, Reason, WorkerSite};

/// Where the numbers are. Nothing is kept of a packet.
pub(super) struct Mirror {
    next: u32,
    /// Workers take turns with the numbers.
    step: u32,
}

impl Mirror {
    pub(super) fn new(worker: &WorkerSite) -> Mirror {
        Mirror { next: worker.index as u32, step: worker.count.max(1) as u32 }
    }

    pub(super) fn process(&mut self, plan: &Plan, burst: &mut Burst, cx: &mut Cx<'_>) {
        let Some(port) = plan.branches.first().and_then(|branch| branch.out) else { return };
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
            number_tags(bytes, self.next);
            self.next = (self.next + self.step) % (SPACE - SPACE % self.step);
            match burst.copy(i) {
                Some(copy) => cx.transmit(port, copy),
                // One branch alone is of no use.
                None => burst.drop(i, Reason::NO_MBUFS),
            }
            cx.count(TAGGED, 1);
        }
    }
}
