//! How long NFs take of late, and what running side by side costs, from the engine's counters.
//!
//! Counters only grow, so each look takes the difference from the one before. A thread that loses its core in the middle
//! of a burst makes that burst seem long, never short: of the latest looks the middle one counts.

use crate::planning::Delays;
use engine::Snapshot;
use planning::graph::Costs;
use std::collections::{BTreeMap, VecDeque};

/// Packets that a look has to have measured; with fewer it waits for the next one.
pub(super) const ENOUGH: u64 = 256;
/// Looks of which the middle one counts.
const LOOKS: usize = 3;
/// After so many looks without a fork that was measured, what forks cost is forgotten: what it was at a bad moment shall
/// not keep a chain in order for ever.
pub(super) const FORGETS: u32 = 30;

/// A ratio of two counters.
#[derive(Default)]
struct Estimate {
    /// The counters at the latest look that had enough.
    last: (u64, u64),
    looks: VecDeque<f64>,
    /// What it was before all of that was forgotten; counts until there is a new look.
    before: Option<f64>,
    /// Looks since one had enough.
    quiet: u32,
}

impl Estimate {
    fn look(&mut self, cycles: u64, packets: u64) {
        self.quiet = self.quiet.saturating_add(1);
        let (Some(more_cycles), Some(more)) =
            (cycles.checked_sub(self.last.0), packets.checked_sub(self.last.1))
        else {
            *self = Estimate { last: (cycles, packets), ..Estimate::default() };
            return;
        };
        if more < ENOUGH {
            return;
        }
        self.last = (cycles, packets);
        self.quiet = 0;
        if self.looks.len() == LOOKS {
            self.looks.pop_front();
        }
        self.looks.push_back(more_cycles as f64 / more as f64);
    }

    /// The middle one of the latest looks; of two the smaller one.
    fn value(&self) -> Option<f64> {
        let mut looks: Vec<f64> = self.looks.iter().copied().collect();
        looks.sort_by(f64::total_cmp);
        let middle = looks.len().checked_sub(1).map(|last| looks[last / 2]);
        middle.or(self.before)
    }

    /// Only what comes from now on is to count, once there is some.
    fn begin_anew(&mut self) {
        self.before = self.value();
        self.looks.clear();
    }
}

/// What running side by side costs in one chain.
#[derive(Default)]
struct Forks {
    mirror: Estimate,
    handoff: Estimate,
    merge: Estimate,
}

impl Forks {
    fn costs(&self) -> Option<Costs> {
        let of = |estimate: &Estimate| {
            let value = estimate.value().filter(|_| estimate.quiet < FORGETS)?;
            Some(value.round() as u64)
        };
        Some(Costs { mirror: of(&self.mirror)?, handoff: of(&self.handoff)?, merge: of(&self.merge)? })
    }
}

/// All of an engine.
#[derive(Default)]
pub(super) struct Estimates {
    nfs: BTreeMap<(String, String), Estimate>,
    forks: BTreeMap<String, Forks>,
}

impl Estimates {
    /// Takes in the counters of now.
    pub(super) fn look(&mut self, snapshot: &Snapshot) {
        for (name, chain) in &snapshot.chains {
            for (nf, seen) in &chain.nfs {
                let estimate = self.nfs.entry((name.clone(), nf.clone())).or_default();
                estimate.look(seen.measured.cycles, seen.measured.packets);
            }
            if let Some(sums) = &chain.fork {
                let forks = self.forks.entry(name.clone()).or_default();
                forks.mirror.look(sums.mirror, sums.copies);
                forks.handoff.look(sums.handoff, sums.packets);
                forks.merge.look(sums.merge, sums.copies);
            }
        }
    }

    /// What was measured of a chain under its last segment does not count for the next one.
    pub(super) fn begin_anew(&mut self, chain: &str) {
        let of_chain = self.nfs.iter_mut().filter(|((name, _), _)| name == chain);
        of_chain.for_each(|(_, estimate)| estimate.begin_anew());
        if let Some(forks) = self.forks.get_mut(chain) {
            for estimate in [&mut forks.mirror, &mut forks.handoff, &mut forks.merge] {
                estimate.begin_anew();
            }
        }
    }

    /// What is known now.
    pub(super) fn delays(&self) -> Delays {
        let mut delays = Delays::default();
        for ((chain, nf), estimate) in &self.nfs {
            if let Some(cycles) = estimate.value() {
                delays.learn(chain, nf, cycles);
            }
        }
        for (chain, forks) in &self.forks {
            if let Some(costs) = forks.costs() {
                delays.learn_costs(chain, costs);
            }
        }
        delays
    }
}
