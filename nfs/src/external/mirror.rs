//! The first of two servers: packets are numbered, and a copy of each leaves for the other branch.

use super::carrier::has_room_for_tags;
use super::config::Plan;
use super::joint::{SPACE, number_tags};
use super::{TAGGED, UNMARKED};
use engine::{Burst, Cx, Reason};
use std::sync::atomic::{AtomicU64, Ordering};

/// The numbers that a mirror gives. All workers take them from here, so that none is given twice however many there are.
#[derive(Default)]
pub(super) struct Numbers(AtomicU64);

impl Numbers {
    /// So many in a row: the first, since the beginning.
    fn take(&self, count: usize) -> u64 {
        self.0.fetch_add(count as u64, Ordering::Relaxed)
    }

    /// Goes on behind those that were given by others.
    pub(super) fn go_on_from(&self, others: &Numbers) {
        self.0.fetch_max(others.0.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// Numbers the packets of a burst, and sends copies. Nothing is kept of a packet.
pub(super) fn process(plan: &Plan, burst: &mut Burst, cx: &mut Cx<'_>) {
    let Some(port) = plan.branches.first().and_then(|branch| branch.out) else { return };
    let first = plan.numbers.take(burst.len());
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
        number_tags(bytes, ((first + i as u64) % u64::from(SPACE)) as u32);
        match burst.copy(i) {
            Some(copy) => cx.transmit(port, copy),
            // One branch alone is of no use.
            None => burst.drop(i, Reason::NO_MBUFS),
        }
        cx.count(TAGGED, 1);
    }
}
