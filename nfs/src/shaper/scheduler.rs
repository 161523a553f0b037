//! Which packet goes next: a hierarchy of token buckets with borrowing, as Linux's HTB (M. Devera, *Hierarchical token
//! bucket theory*, 2002), strict priorities, and deficit round robin among equals (Shreedhar and Varghese, *Efficient
//! fair queueing using deficit round robin*, SIGCOMM 1995).
//!
//! It knows lengths and no packets: `T` is what is held.

use super::bucket::{Bucket, Budget, Watch, cost};
use engine::Time;
use std::collections::VecDeque;

/// Leaves, at most: one bit each in a `u64`.
pub(super) const LEAVES: usize = 64;
/// Classes on the way from a leaf to the root, both included.
pub(super) const DEPTH: usize = 8;
/// Priorities, 0 first.
pub(super) const PRIORITIES: usize = 8;

/// A class before it is in use. The first of all is the root; parents are before their children.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct ClassSpec {
    pub parent: Option<usize>,
    /// What it has for itself, and lends to those below it.
    pub own: Option<Budget>,
    /// What it and those below it never exceed.
    pub ceil: Option<Budget>,
    pub leaf: Option<LeafSpec>,
}

/// What a leaf has besides.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct LeafSpec {
    pub priority: usize,
    /// Bytes per turn.
    pub quantum: u64,
    /// Packets that may wait. None at all: what cannot go at once is dropped.
    pub queue: usize,
}

struct Class {
    own: Option<Bucket>,
    ceil: Option<Bucket>,
    /// Leaves are at 0, others above all of their children.
    level: usize,
    root: bool,
}

struct Leaf<T> {
    /// From its own class to the root.
    path: Vec<usize>,
    priority: usize,
    quantum: i64,
    /// Bytes that are left in a turn, by level.
    deficits: [i64; DEPTH],
    limit: usize,
    queue: VecDeque<(u32, T)>,
    queued_bytes: u64,
    /// The longest packet that all ceilings let through.
    longest: usize,
}

/// Why a packet was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    /// It finds no tokens and may not wait.
    Exceeds,
    /// As many wait as may.
    Full,
    /// It is longer than a bucket is deep.
    Oversized,
}

/// What a packet of a leaf is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Admission {
    /// It goes on; its tokens are taken.
    Goes,
    /// It has to wait.
    Waits,
    Refused(Refusal),
}

pub(super) struct Scheduler<T> {
    classes: Vec<Class>,
    leaves: Vec<Leaf<T>>,
    /// Bit n: something waits in leaf n.
    backlog: u64,
    /// Whose turn it is, by level and priority.
    turns: [[usize; PRIORITIES]; DEPTH],
    watch: Watch,
    overhead: usize,
}

impl<T> Scheduler<T> {
    /// With full buckets. Queues have all their memory.
    pub(super) fn new(specs: &[ClassSpec], overhead: usize) -> Scheduler<T> {
        let mut classes: Vec<Class> = specs
            .iter()
            .map(|spec| Class {
                own: spec.own.map(Bucket::new),
                ceil: spec.ceil.map(Bucket::new),
                level: 0,
                root: spec.parent.is_none(),
            })
            .collect();
        // Children come behind their parents.
        for (number, spec) in specs.iter().enumerate().rev() {
            if let Some(parent) = spec.parent {
                classes[parent].level = classes[parent].level.max(classes[number].level + 1);
            }
        }
        let leaves = specs.iter().enumerate().filter_map(|(number, spec)| {
            let leaf = spec.leaf.as_ref()?;
            let path: Vec<usize> =
                std::iter::successors(Some(number), |class| specs.get(*class).and_then(|spec| spec.parent))
                    .collect();
            Some(Leaf {
                path,
                priority: leaf.priority.min(PRIORITIES - 1),
                quantum: leaf.quantum.max(1) as i64,
                deficits: [0; DEPTH],
                limit: leaf.queue,
                queue: VecDeque::with_capacity(leaf.queue),
                queued_bytes: 0,
                longest: 0,
            })
        });
        let leaves = leaves.collect();
        let mut scheduler = Scheduler {
            classes,
            leaves,
            backlog: 0,
            turns: [[0; PRIORITIES]; DEPTH],
            watch: Watch::default(),
            overhead,
        };
        scheduler.measure();
        scheduler
    }

    /// Finds the longest packet of each leaf.
    fn measure(&mut self) {
        for leaf in &mut self.leaves {
            let ceilings = leaf.path.iter().filter_map(|&class| self.classes[class].ceil);
            let longest = ceilings.map(|bucket| bucket.longest()).min().unwrap_or(usize::MAX);
            leaf.longest = longest.saturating_sub(self.overhead);
        }
    }

    /// The same classes under other budgets; tokens and packets stay.
    pub(super) fn retune(&mut self, specs: &[ClassSpec]) {
        let again = |bucket: Option<Bucket>, budget: Option<Budget>| match (bucket, budget) {
            (Some(bucket), Some(budget)) => Some(bucket.retuned(budget)),
            (None, budget) => budget.map(Bucket::new),
            (Some(_), None) => None,
        };
        for (class, spec) in self.classes.iter_mut().zip(specs) {
            (class.own, class.ceil) = (again(class.own, spec.own), again(class.ceil, spec.ceil));
        }
        self.measure();
    }

    /// Fills all buckets up to now; returns for how many nanoseconds.
    #[inline]
    pub(super) fn fill(&mut self, now: Time) -> u64 {
        let nanos = self.watch.advance(now);
        if nanos > 0 {
            for class in &mut self.classes {
                if let Some(bucket) = &mut class.own {
                    bucket.fill(nanos);
                }
                if let Some(bucket) = &mut class.ceil {
                    bucket.fill(nanos);
                }
            }
        }
        nanos
    }

    /// How far up the path of a leaf the nearest class is that has tokens for a packet; `None` while a ceiling is in
    /// the way. What is above the ceilings, the root lends to everybody.
    #[inline]
    fn lender(&self, leaf: usize, cost: i64) -> Option<usize> {
        let mut nearest = None;
        for (step, &class) in self.leaves[leaf].path.iter().enumerate() {
            let class = &self.classes[class];
            if class.ceil.is_some_and(|bucket| !bucket.has_or_is_full(cost)) {
                return None;
            }
            if nearest.is_none()
                && (class.root || class.own.is_some_and(|bucket| bucket.has_or_is_full(cost)))
            {
                nearest = Some(step);
            }
        }
        nearest
    }

    /// Takes the tokens of a packet: of all ceilings, and from the lender on upwards of what classes have.
    fn charge(&mut self, leaf: usize, lender: usize, cost: i64) {
        for (step, &class) in self.leaves[leaf].path.iter().enumerate() {
            let class = &mut self.classes[class];
            if let Some(bucket) = &mut class.ceil {
                bucket.take(cost);
            }
            if step >= lender
                && let Some(bucket) = &mut class.own
            {
                bucket.take(cost);
            }
        }
    }

    /// Whether a packet of a leaf goes at once, waits, or neither. While anything waits anywhere, packets wait behind
    /// it and are chosen by [`next`](Self::next), but for those of leaves without a queue.
    #[inline]
    pub(super) fn admit(&mut self, leaf: usize, len: usize) -> Admission {
        let (limit, waiting) = (self.leaves[leaf].limit, self.leaves[leaf].queue.len());
        if len > self.leaves[leaf].longest {
            return Admission::Refused(Refusal::Oversized);
        }
        if self.backlog == 0 || limit == 0 {
            let cost = cost(len + self.overhead);
            if let Some(lender) = self.lender(leaf, cost) {
                self.charge(leaf, lender, cost);
                return Admission::Goes;
            }
        }
        match limit {
            0 => Admission::Refused(Refusal::Exceeds),
            _ if waiting >= limit => Admission::Refused(Refusal::Full),
            _ => Admission::Waits,
        }
    }

    /// Lets a packet wait that was told to; gives it back when as many wait as may.
    pub(super) fn wait(&mut self, leaf: usize, len: usize, held: T) -> Result<(), T> {
        let place = &mut self.leaves[leaf];
        if place.queue.len() >= place.limit {
            return Err(held);
        }
        place.queue.push_back((len as u32, held));
        place.queued_bytes += len as u64;
        self.backlog |= 1 << leaf;
        Ok(())
    }

    /// The packet that goes next, its leaf and length; its tokens are taken. `None` when none may go now.
    ///
    /// Those whose own tokens suffice go first, then borrowers, those of the nearest lender first; among these by
    /// priority; among equals in turn. There have to be tokens for the longest of those that are first in their queues,
    /// or short ones would use up what long ones wait for.
    pub(super) fn next(&mut self) -> Option<(usize, usize, T)> {
        if self.backlog == 0 {
            return None;
        }
        let first = |leaf: &Leaf<T>| leaf.queue.front().map_or(0, |(len, _)| *len);
        let longest = bits(self.backlog).map(|leaf| first(&self.leaves[leaf])).max()?;
        let enough = cost(longest as usize + self.overhead);
        let mut best = (DEPTH, PRIORITIES);
        let mut candidates = 0u64;
        for leaf in bits(self.backlog) {
            let Some(lender) = self.lender(leaf, enough) else { continue };
            let level = self.classes[self.leaves[leaf].path[lender]].level;
            let rank = (level, self.leaves[leaf].priority);
            if rank < best {
                (best, candidates) = (rank, 0);
            }
            if rank == best {
                candidates |= 1 << leaf;
            }
        }
        if candidates == 0 {
            return None;
        }
        let leaf = self.in_turn(best, candidates);
        let lender = self.lender(leaf, enough)?;
        let place = &mut self.leaves[leaf];
        let (len, held) = place.queue.pop_front()?;
        place.queued_bytes -= u64::from(len);
        place.deficits[best.0 % DEPTH] -= i64::from(len);
        if place.queue.is_empty() {
            place.deficits = [0; DEPTH];
            self.backlog &= !(1 << leaf);
        }
        self.charge(leaf, lender, cost(len as usize + self.overhead));
        Some((leaf, len as usize, held))
    }

    /// Of several leaves the one that has bytes left in its turn.
    fn in_turn(&mut self, (level, priority): (usize, usize), candidates: u64) -> usize {
        let turn = &mut self.turns[level % DEPTH][priority % PRIORITIES];
        loop {
            // The next candidate from here on, around the end.
            let ahead = candidates & (u64::MAX << (*turn % LEAVES));
            let leaf = if ahead != 0 { ahead } else { candidates }.trailing_zeros() as usize;
            *turn = leaf;
            let place = &mut self.leaves[leaf];
            if place.deficits[level % DEPTH] >= 0 {
                return leaf;
            }
            place.deficits[level % DEPTH] += place.quantum;
            *turn = (leaf + 1) % LEAVES;
        }
    }

    /// Takes out what waits, whatever the tokens.
    pub(super) fn empty(&mut self) -> Option<(usize, usize, T)> {
        if self.backlog == 0 {
            return None;
        }
        let leaf = self.backlog.trailing_zeros() as usize;
        let place = &mut self.leaves[leaf];
        let popped = place.queue.pop_front();
        if place.queue.is_empty() {
            place.deficits = [0; DEPTH];
            self.backlog &= !(1 << leaf);
        }
        let (len, held) = popped?;
        place.queued_bytes -= u64::from(len);
        Some((leaf, len as usize, held))
    }

    pub(super) fn leaves(&self) -> usize {
        self.leaves.len()
    }

    /// Packets that wait in a leaf, and their bytes.
    pub(super) fn waiting(&self, leaf: usize) -> (usize, u64) {
        (self.leaves[leaf].queue.len(), self.leaves[leaf].queued_bytes)
    }

    /// The time up to which buckets are filled.
    pub(super) fn time(&self) -> Time {
        self.watch.0
    }

    pub(super) fn set_time(&mut self, time: Time) {
        self.watch = Watch(time);
    }

    /// Tokens of a class: of its own, and of its ceiling.
    pub(super) fn tokens(&self, class: usize) -> (Option<i64>, Option<i64>) {
        let class = &self.classes[class];
        (class.own.map(|bucket| bucket.tokens), class.ceil.map(|bucket| bucket.tokens))
    }

    pub(super) fn set_tokens(&mut self, class: usize, own: Option<i64>, ceil: Option<i64>) {
        let class = &mut self.classes[class];
        for (bucket, tokens) in [(&mut class.own, own), (&mut class.ceil, ceil)] {
            if let (Some(bucket), Some(tokens)) = (bucket, tokens) {
                bucket.set(tokens);
            }
        }
    }
}

/// The numbers of the bits that are set.
#[inline]
fn bits(mut set: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = set.trailing_zeros();
        set &= set.wrapping_sub(1);
        (bit < u64::BITS).then_some(bit as usize)
    })
}
