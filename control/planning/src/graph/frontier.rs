//! The best run-once plans of a short chain, exactly: for every number of mirror/merge operations the least latency.
//!
//! Every plan is an NF, or two plans one after the other, or two plans side by side. So the best plans of a set of NFs
//! follow from those of its parts, over all ways to part it: 3ⁿ in all.

use super::{Costs, Dag, Segment};

/// Longest chain that is planned exactly.
pub const MOST_NFS: usize = 12;

/// A plan that no other one beats in both latency and operations.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Point {
    /// Its latency, costs included.
    pub latency: u64,
    /// Its mirror/merge operations.
    pub operations: usize,
    /// The plan.
    pub segment: Segment,
}

#[derive(Clone, Copy)]
enum How {
    Single(usize),
    Series((usize, usize), (usize, usize)),
    Parallel((usize, usize), (usize, usize)),
}

#[derive(Clone, Copy)]
struct Entry {
    latency: u64,
    operations: usize,
    how: How,
}

/// The plans that no other one beats, from the fastest to the one with the fewest operations, which is the chain as it
/// stands or takes as long. `None` for more than [`MOST_NFS`] NFs or none.
pub fn frontier(dag: &Dag, costs: Costs) -> Option<Vec<Point>> {
    let count = dag.len();
    if count == 0 || count > MOST_NFS {
        return None;
    }
    let bits = |nf: usize, of: &dyn Fn(usize) -> crate::pagination::Symbols| {
        of(nf).iter().fold(0usize, |mask, other| mask | 1 << other)
    };
    let full = (1usize << count) - 1;
    // For each set, what must not run after it, and what cannot run beside it.
    let mut never_after = vec![0; full + 1];
    let mut ordered = vec![0; full + 1];
    for nf in 0..count {
        never_after[1 << nf] = bits(nf, &|nf| dag.never_after(nf));
        let before = bits(nf, &|nf| dag.before(nf));
        ordered[1 << nf] |= before;
        for other in (0..count).filter(|other| before >> other & 1 == 1) {
            ordered[1 << other] |= 1 << nf;
        }
    }
    for set in 1..=full {
        let first = set & set.wrapping_neg();
        if set != first {
            never_after[set] = never_after[first] | never_after[set ^ first];
            ordered[set] = ordered[first] | ordered[set ^ first];
        }
    }
    let mut best: Vec<Vec<Entry>> = vec![Vec::new(); full + 1];
    for set in 1..=full {
        let first = set & set.wrapping_neg();
        let mut found = Vec::new();
        if set == first {
            let nf = set.trailing_zeros() as usize;
            found.push(Entry { latency: dag.delays()[nf], operations: 0, how: How::Single(nf) });
        }
        // From small to large, so that of equals the one in the order of the chain is found first.
        let mut part = first;
        while part != set {
            let rest = set ^ part;
            if never_after[part] & rest == 0 {
                join(&best, part, rest, costs, false, &mut found);
            }
            // Side by side there is no first one: the part with the lowest NF is.
            if part & first != 0 && ordered[part] & rest == 0 {
                join(&best, part, rest, costs, true, &mut found);
            }
            part = part.wrapping_sub(set) & set;
        }
        found.sort_by_key(|entry| (entry.latency, entry.operations));
        let mut fewest = usize::MAX;
        found.retain(|entry| {
            entry.operations < fewest && {
                fewest = entry.operations;
                true
            }
        });
        best[set] = found;
    }
    let point = |(at, entry): (usize, &Entry)| {
        let segment = rebuilt(&best, full, at);
        // Branches of branches become branches: that is never slower.
        let latency = segment.latency(dag.delays(), costs).min(entry.latency);
        Point { latency, operations: entry.operations, segment }
    };
    Some(best[full].iter().enumerate().map(point).collect())
}

fn join(best: &[Vec<Entry>], part: usize, rest: usize, costs: Costs, parallel: bool, found: &mut Vec<Entry>) {
    for (i, one) in best[part].iter().enumerate() {
        for (j, other) in best[rest].iter().enumerate() {
            let operations = one.operations + other.operations + usize::from(parallel);
            let (latency, how) = if parallel {
                (costs.side_by_side([one.latency, other.latency]), How::Parallel((part, i), (rest, j)))
            } else {
                (one.latency.saturating_add(other.latency), How::Series((part, i), (rest, j)))
            };
            let beaten = |known: &Entry| known.latency <= latency && known.operations <= operations;
            if !found.iter().any(beaten) {
                found.retain(|known| known.latency < latency || known.operations < operations);
                found.push(Entry { latency, operations, how });
            }
        }
    }
}

fn rebuilt(best: &[Vec<Entry>], set: usize, at: usize) -> Segment {
    let both =
        |one: (usize, usize), other: (usize, usize)| [one, other].map(|(set, at)| rebuilt(best, set, at));
    match best[set][at].how {
        How::Single(nf) => Segment::Nf(nf),
        How::Series(one, other) => Segment::series(both(one, other)),
        How::Parallel(one, other) => Segment::parallel(both(one, other)),
    }
}
