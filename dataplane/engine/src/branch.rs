//! One branch of a fork: a burst, the NFs that are to work on it, and what they said. It moves as a whole, from the
//! worker to the core that runs it and back, and the instances with it: each is in one place at any time.

use crate::BURST;
use crate::burst::{Burst, low_bits};
use crate::cx::{Cx, Outbox};
use crate::nf::Nf;
use crate::segment::Copies;
use crate::stats::WorkerStats;
use crate::time::Time;
use crate::verdict::{Reason, Verdict};
use dpdk::{Mbuf, Pool};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A branch, used again for every burst.
pub(crate) struct Branch {
    /// Number of the fork, and its own among the fork's branches.
    pub place: (usize, usize),
    pub copies: Copies,
    /// Its packets, where it does not work on those of the burst itself.
    pub burst: Box<Burst>,
    pub work: Work,
    /// TSC when a measured one was sent to a helper.
    pub sent: u64,
}

/// The NFs of a branch, and what they say.
pub(crate) struct Work {
    /// The chain, and its identifier.
    pub chain: (usize, u32),
    pub nfs: Vec<Member>,
    /// By place in the branch's burst: the place in the burst that was mirrored.
    pub slots: [u8; BURST],
    /// Packets that went no further.
    pub ends: Vec<End>,
    /// What NFs left for the engine to carry on, by the NF's place among the members.
    pub left: Vec<(usize, Outbox)>,
    /// The member that panicked.
    pub fell: Option<usize>,
    pub now: Time,
    /// The burst is one that is measured.
    pub measured: bool,
    /// TSC when a measured one began and ended.
    pub began: u64,
    pub ended: u64,
    worker: usize,
    workers: usize,
    stats: Arc<WorkerStats>,
    pool: Pool,
    outbox: Outbox,
}

/// An NF of a branch.
pub(crate) struct Member {
    /// Its place in the chain.
    pub position: usize,
    /// Its number in the layout.
    pub nf: usize,
    /// Here while the branch runs.
    pub instance: Option<Box<dyn Nf>>,
}

/// A packet that went no further.
#[derive(Clone, Copy)]
pub(crate) struct End {
    /// Its place in the burst that was mirrored.
    pub slot: u8,
    /// The NF that said so, by its place in the chain.
    pub position: usize,
    pub verdict: Verdict,
}

/// Where a branch runs, which stays the same while a generation lasts.
pub(crate) struct Home {
    pub worker: usize,
    pub workers: usize,
    pub stats: Arc<WorkerStats>,
    pub pool: Pool,
}

/// Every packet in its place.
pub(crate) const IN_PLACE: [u8; BURST] = {
    let mut slots = [0; BURST];
    let mut i = 0;
    while i < BURST {
        slots[i] = i as u8;
        i += 1;
    }
    slots
};

impl Branch {
    pub(crate) fn new(
        place: (usize, usize),
        chain: (usize, u32),
        copies: Copies,
        nfs: Vec<Member>,
        home: Home,
    ) -> Branch {
        let Home { worker, workers, stats, pool } = home;
        let work = Work {
            chain,
            left: Vec::with_capacity(nfs.len()),
            nfs,
            slots: IN_PLACE,
            ends: Vec::with_capacity(BURST),
            fell: None,
            now: Time::ZERO,
            measured: false,
            began: 0,
            ended: 0,
            worker,
            workers,
            stats,
            pool,
            outbox: Outbox::narrow(),
        };
        Branch { place, copies, burst: Box::new(Burst::new()), work, sent: 0 }
    }

    /// The first branch, which stays with the worker, works on the burst itself unless it writes: then others may read
    /// what it writes to.
    pub(crate) fn works_in_place(&self) -> bool {
        self.place.1 == 0 && self.copies == Copies::Nothing
    }

    /// Gives it the packets of a burst. `false`: there were no mbufs for the copies; it has none then.
    pub(crate) fn mirror(&mut self, burst: &mut Burst) -> bool {
        self.works_in_place() || burst.mirror(self.copies, &mut self.burst)
    }

    /// Works on its own packets.
    pub(crate) fn run(&mut self) {
        self.work.run(&mut self.burst);
    }

    /// Works on its own packets, which another core has touched last.
    pub(crate) fn run_afar(&mut self) {
        self.burst.mbufs.prefetch();
        self.run();
    }

    /// What has become of the packet at a place of the burst that was mirrored, if it has come through and the branch
    /// has packets of its own.
    pub(crate) fn copy_of(&self, slot: usize) -> Option<&Mbuf> {
        self.burst.mbufs.get(self.place_of(slot)?)
    }

    /// [`Branch::copy_of`], taken out.
    pub(crate) fn take(&mut self, slot: usize) -> Option<Mbuf> {
        self.burst.mbufs.take(self.place_of(slot)?)
    }

    fn place_of(&self, slot: usize) -> Option<usize> {
        let survivors = &self.work.slots[..self.burst.len()];
        // Where nothing ended everything is in its place.
        let is_there = |&at: &usize| survivors.get(at).is_some_and(|&survivor| usize::from(survivor) == slot);
        Some(slot).filter(is_there).or_else(|| (0..survivors.len()).find(is_there))
    }
}

impl Work {
    /// Before a burst of which it knows nothing yet.
    pub(crate) fn begin(&mut self, now: Time, measured: bool) {
        self.ends.clear();
        (self.fell, self.slots) = (None, IN_PLACE);
        (self.now, self.measured) = (now, measured);
    }

    /// Calls its NFs one after the other. What they drop goes no further, and is taken out of the burst.
    pub(crate) fn run(&mut self, burst: &mut Burst) {
        if self.measured {
            self.began = dpdk::tsc();
            self.call_all(burst);
            self.ended = dpdk::tsc();
        } else {
            self.call_all(burst);
        }
    }

    fn call_all(&mut self, burst: &mut Burst) {
        for index in 0..self.nfs.len() {
            if burst.is_empty() {
                return;
            }
            self.call(index, burst);
        }
    }

    fn call(&mut self, index: usize, burst: &mut Burst) {
        let Member { position, instance, .. } = &mut self.nfs[index];
        let (position, Some(instance)) = (*position, instance) else { return };
        let stats = &self.stats.chains[self.chain.0].nodes[position];
        let packets = burst.len();
        burst.chain = self.chain.1;
        let mut cx = Cx {
            now: self.now,
            worker: self.worker,
            workers: self.workers,
            chain: self.chain.1,
            pool: &self.pool,
            stats,
            outbox: &mut self.outbox,
        };
        let before = self.measured.then(dpdk::tsc);
        let outcome = catch_unwind(AssertUnwindSafe(|| instance.process(burst, &mut cx)));
        if let Some(before) = before {
            stats.cycles.add(dpdk::tsc().saturating_sub(before), packets);
        }
        if outcome.is_err() {
            self.fell = Some(index);
            self.end(low_bits(packets), position, |_| Verdict::Drop(Reason::PANIC));
            burst.clear();
            self.outbox = Outbox::narrow();
            return;
        }
        if burst.exceptions != 0 {
            self.settle(position, burst);
        }
        if !self.outbox.is_empty() {
            self.left.push((index, std::mem::replace(&mut self.outbox, Outbox::narrow())));
        }
    }

    /// Notes verdicts; what is forwarded stays.
    fn settle(&mut self, position: usize, burst: &mut Burst) {
        let wanted = burst.exceptions & low_bits(burst.len());
        let verdicts: [Verdict; BURST] = std::array::from_fn(|i| burst.verdict(i));
        let gone = (0..burst.len())
            .filter(|&i| wanted >> i & 1 == 1 && verdicts[i] != Verdict::Forward)
            .fold(0, |mask, i| mask | 1 << i);
        self.end(gone, position, |i| verdicts[i]);
        for (kept, i) in (0..burst.len()).filter(|i| gone >> i & 1 == 0).enumerate() {
            self.slots[kept] = self.slots[i];
        }
        burst.remove(gone);
    }

    fn end(&mut self, mask: u32, position: usize, verdict: impl Fn(usize) -> Verdict) {
        for (i, &slot) in self.slots.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1) {
            self.ends.push(End { slot, position, verdict: verdict(i) });
        }
    }
}
