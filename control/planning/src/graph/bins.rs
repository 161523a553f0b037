//! The construction of the thesis: paths are packed into bins, the NFs of a bin run one after the other, the bins side
//! by side. NFs that bins share run once, where the bins join and part again.

use super::{Costs, Dag, Segment};
use crate::pagination::{Effort, Instance, Outcome, Solver, Symbols};
use std::time::Instant;

/// Most paths that are packed; of a graph with more, each NF runs as early as it can.
const MOST_PATHS: usize = 1024;

/// A plan, and how it came about.
#[derive(Clone, Debug)]
pub struct Construction {
    /// The plan.
    pub segment: Segment,
    /// The NFs of each bin, those that had to be split again included.
    pub bins: Vec<Vec<usize>>,
    /// What the solver found; `None` where there were too many paths.
    pub outcome: Option<Outcome>,
    /// Bins that had to be split, because joining and parting made the plan longer than the critical path.
    pub splits: usize,
}

/// Packs the paths of `dag` with `solver` into bins as long as its critical path, and joins them.
pub fn construct(dag: &Dag, solver: Solver, effort: Effort) -> Construction {
    let capacity = dag.critical().length;
    let found =
        dag.paths(MOST_PATHS).and_then(|paths| construct_from_paths(dag, &paths, capacity, solver, effort));
    found.unwrap_or_else(|| {
        let free = joined(dag, &[]);
        let allowed = free.latency(dag.delays(), Costs::NONE);
        let segment = serialised(dag, free, allowed);
        Construction { segment, bins: Vec::new(), outcome: None, splits: 0 }
    })
}

/// The same with given paths and a given latency that bins may have. `None` when a path takes longer than that.
pub fn construct_from_paths(
    dag: &Dag,
    paths: &[Vec<usize>],
    capacity: u64,
    solver: Solver,
    effort: Effort,
) -> Option<Construction> {
    let instance = Instance::new(capacity, dag.delays().to_vec(), paths).ok()?;
    let outcome = solver.solve(&instance, effort);
    let (segment, bins, splits) = join(dag, &instance, outcome.solution.pages.clone(), capacity, effort);
    Some(Construction { segment, bins, outcome: Some(outcome), splits })
}

/// The plan in which each NF runs once, from bins of paths: joined, split while it is slower than `allowed` and splits
/// help, freed of parallelism that it does not need. Also the NFs of the bins after all splits, and how many there were.
pub fn join(
    dag: &Dag,
    instance: &Instance,
    mut bins: Vec<Vec<usize>>,
    allowed: u64,
    effort: Effort,
) -> (Segment, Vec<Vec<usize>>, usize) {
    let begun = Instant::now();
    let sets = |bins: &[Vec<usize>]| -> Vec<Symbols> {
        bins.iter()
            .map(|bin| bin.iter().fold(Symbols::EMPTY, |all, path| all | instance.tiles()[*path]))
            .collect()
    };
    let measured = |segment: &Segment| (segment.latency(dag.delays(), Costs::NONE), segment.operations());
    let mut segment = joined(dag, &sets(&bins));
    let mut splits = 0;
    while measured(&segment).0 > allowed && begun.elapsed() < effort.time {
        let tries = (0..bins.len()).filter_map(|at| {
            let (kept, taken) = halved(instance, &bins[at])?;
            let mut tried = bins.clone();
            tried[at] = kept;
            tried.push(taken);
            Some((joined(dag, &sets(&tried)), tried))
        });
        let Some((better, tried)) = tries.min_by_key(|(segment, _)| measured(segment)) else { break };
        (segment, bins) = (better, tried);
        splits += 1;
    }
    // Where no split helps, the plan without bins may.
    if measured(&segment).0 > allowed {
        let free = joined(dag, &[]);
        if measured(&free) < measured(&segment) {
            segment = free;
        }
    }
    let allowed = allowed.max(measured(&segment).0);
    segment = serialised(dag, segment, allowed);
    let bins = sets(&bins).iter().map(|set| set.iter().collect()).collect();
    (segment, bins, splits)
}

/// The plan in which every NF starts as early as it can, as far as a tree allows; without exchanging any.
pub fn most_parallel(dag: &Dag) -> Segment {
    joined(dag, &[])
}

/// A bin without the path whose leaving frees most, and that path.
fn halved(instance: &Instance, bin: &[usize]) -> Option<(Vec<usize>, Vec<usize>)> {
    let without = |at: usize| {
        let others = bin.iter().enumerate().filter(|(other, _)| *other != at);
        others.fold(Symbols::EMPTY, |all, (_, path)| all | instance.tiles()[*path])
    };
    let at = (0..bin.len()).min_by_key(|at| instance.weight(&without(*at)))?;
    let mut kept = bin.to_vec();
    let taken = vec![kept.remove(at)];
    (!kept.is_empty()).then_some((kept, taken))
}

/// Joins bins to a plan in which each NF runs once: NFs of a bin stay in the order of the chain, others only where they
/// must. Without bins it is as parallel as a tree can be.
fn joined(dag: &Dag, bins: &[Symbols]) -> Segment {
    let mut before: Vec<Symbols> = (0..dag.len()).map(|nf| dag.before(nf)).collect();
    for nf in 0..dag.len() {
        let earlier: Symbols = (0..nf).collect();
        for bin in bins.iter().filter(|bin| bin.contains(nf)) {
            before[nf] |= *bin & earlier;
        }
        // In the order of the chain, so what leads to the earlier ones is complete.
        before[nf] = before[nf].iter().fold(before[nf], |all, other| all | before[other]);
    }
    part(dag, &before, &(0..dag.len()).collect())
}

fn part(dag: &Dag, before: &[Symbols], set: &Symbols) -> Segment {
    let groups = components(before, set);
    if groups.len() > 1 {
        return Segment::parallel(groups.iter().map(|group| part(dag, before, group)));
    }
    let nfs: Vec<usize> = set.iter().collect();
    if let [nf] = nfs[..] {
        return Segment::Nf(nf);
    }
    let split = |at: usize| {
        let first: Symbols = nfs[..at].iter().copied().collect();
        (first, *set - first)
    };
    // Where all of one side come before all of the other anyway.
    let clean =
        (1..nfs.len()).map(split).find(|(first, rest)| rest.iter().all(|nf| first.is_subset(&before[nf])));
    let costly = || {
        let cost = |(first, rest): &(Symbols, Symbols)| {
            let length = longest(dag, before, first).saturating_add(longest(dag, before, rest));
            let sides = components(before, first).len() + components(before, rest).len();
            (length, sides)
        };
        (1..nfs.len()).map(split).min_by_key(cost)
    };
    match clean.or_else(costly) {
        Some((first, rest)) => Segment::series([part(dag, before, &first), part(dag, before, &rest)]),
        None => Segment::Series(Vec::new()),
    }
}

/// Removes parallelism that the plan does not need: branches run one after the other where it takes no longer than
/// `allowed` all the same.
fn serialised(dag: &Dag, segment: Segment, allowed: u64) -> Segment {
    let latency = |segment: &Segment| segment.latency(dag.delays(), Costs::NONE);
    match segment {
        Segment::Nf(nf) => Segment::Nf(nf),
        Segment::Series(parts) => {
            let mut spare = allowed.saturating_sub(parts.iter().map(latency).fold(0, u64::saturating_add));
            let part = |part: Segment| {
                let before = latency(&part);
                let part = serialised(dag, part, before.saturating_add(spare));
                spare = spare.saturating_sub(latency(&part).saturating_sub(before));
                part
            };
            Segment::series(parts.into_iter().map(part).collect::<Vec<_>>())
        }
        Segment::Parallel(mut parts) => {
            // First Fit, the longest branches first.
            parts.sort_by_key(|part| std::cmp::Reverse(latency(part)));
            let mut branches: Vec<Segment> = Vec::new();
            for part in parts {
                let fitting = branches.iter().enumerate().find_map(|(at, branch)| {
                    let fits = latency(branch).saturating_add(latency(&part)) <= allowed;
                    fits.then(|| in_a_row(dag, branch, &part)).flatten().map(|both| (at, both))
                });
                match fitting {
                    Some((at, both)) => branches[at] = both,
                    None => branches.push(part),
                }
            }
            branches.sort_by_key(|branch| branch.nfs().into_iter().min());
            Segment::parallel(branches.into_iter().map(|branch| serialised(dag, branch, allowed)))
        }
    }
}

/// Two branches one after the other, in the order that the chain allows.
fn in_a_row(dag: &Dag, one: &Segment, other: &Segment) -> Option<Segment> {
    let allows = |first: &Segment, second: &Segment| {
        let second: Symbols = second.nfs().into_iter().collect();
        first.nfs().into_iter().all(|nf| (dag.never_after(nf) & second).is_empty())
    };
    if allows(one, other) {
        return Some(Segment::series([one.clone(), other.clone()]));
    }
    allows(other, one).then(|| Segment::series([other.clone(), one.clone()]))
}

/// Groups of NFs without order between them.
fn components(before: &[Symbols], set: &Symbols) -> Vec<Symbols> {
    let mut groups: Vec<Symbols> = Vec::new();
    for nf in set.iter() {
        let mut group: Symbols = [nf].into_iter().collect();
        let related = before[nf] & *set;
        groups.retain(|other| {
            let meets = !(*other & related).is_empty();
            if meets {
                group |= *other;
            }
            !meets
        });
        groups.push(group);
    }
    groups.sort_by_key(|group| group.iter().next());
    groups
}

/// Length of the longest path within `set`.
fn longest(dag: &Dag, before: &[Symbols], set: &Symbols) -> u64 {
    let mut finish = vec![0u64; dag.len()];
    let mut length = 0;
    for nf in set.iter() {
        let start = (before[nf] & *set).iter().map(|other| finish[other]).max().unwrap_or(0);
        finish[nf] = start.saturating_add(dag.delays()[nf]);
        length = length.max(finish[nf]);
    }
    length
}
