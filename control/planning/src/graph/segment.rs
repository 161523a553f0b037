//! What runs after what, and what side by side: a tree whose leaves are the NFs, each once.

use super::{Costs, Dag};
use crate::pagination::Symbols;
use serde::Serialize;
use std::fmt::Write;

/// A part of a plan that a data plane can run: an NF, parts one after the other, or parts side by side between a
/// mirror and a merge.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Segment {
    /// An NF, by its place in the chain.
    Nf(usize),
    /// One after the other.
    Series(Vec<Segment>),
    /// Side by side; as many as the merge counts.
    Parallel(Vec<Segment>),
}

/// What is wrong with a plan.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SegmentFault {
    /// An NF runs twice, or is none of the chain.
    #[error("NF {0} runs twice, or is not in the chain")]
    Twice(usize),
    /// An NF does not run.
    #[error("NF {0} does not run")]
    Missing(usize),
    /// Two NFs that must stay in order do not.
    #[error("NF {0} does not run before NF {1}")]
    Order(usize, usize),
}

impl Segment {
    /// The chain as it stands.
    pub fn sequence(count: usize) -> Segment {
        Segment::series((0..count).map(Segment::Nf))
    }

    /// The topological levels one after the other, the NFs of each side by side. A yardstick: it may exchange NFs
    /// that may not be exchanged.
    pub fn levels(dag: &Dag) -> Segment {
        let level = |nfs: Vec<usize>| Segment::parallel(nfs.into_iter().map(Segment::Nf));
        Segment::series(dag.levels().into_iter().map(level))
    }

    /// Parts one after the other; series among them are taken apart.
    pub fn series(parts: impl IntoIterator<Item = Segment>) -> Segment {
        let mut flat = Vec::new();
        for part in parts {
            match part {
                Segment::Series(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        if flat.len() == 1 { flat.remove(0) } else { Segment::Series(flat) }
    }

    /// Parts side by side; parallel ones among them are taken apart.
    pub fn parallel(parts: impl IntoIterator<Item = Segment>) -> Segment {
        let mut flat = Vec::new();
        for part in parts {
            match part {
                Segment::Parallel(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        if flat.len() == 1 { flat.remove(0) } else { Segment::Parallel(flat) }
    }

    fn parts(&self) -> &[Segment] {
        match self {
            Segment::Nf(_) => &[],
            Segment::Series(parts) | Segment::Parallel(parts) => parts,
        }
    }

    /// Its NFs, in the order in which the tree has them.
    pub fn nfs(&self) -> Vec<usize> {
        match self {
            Segment::Nf(nf) => vec![*nf],
            _ => self.parts().iter().flat_map(Segment::nfs).collect(),
        }
    }

    /// Those of its NFs that run in branches.
    pub fn branched(&self) -> Vec<usize> {
        match self {
            Segment::Parallel(_) => self.nfs(),
            _ => self.parts().iter().flat_map(Segment::branched).collect(),
        }
    }

    /// Mirror/merge operations: each mirror with its merge counts once per branch beyond the first.
    pub fn operations(&self) -> usize {
        let own = if let Segment::Parallel(parts) = self { parts.len().saturating_sub(1) } else { 0 };
        own + self.parts().iter().map(Segment::operations).sum::<usize>()
    }

    /// The most branches that run at the same time: cores that it can use.
    pub fn width(&self) -> usize {
        let widths = self.parts().iter().map(Segment::width);
        match self {
            Segment::Nf(_) => 1,
            Segment::Series(_) => widths.max().unwrap_or(0),
            Segment::Parallel(_) => widths.sum(),
        }
    }

    /// What so many cores make of it, of which one does all that is not side by side: branches beyond them share one,
    /// in the chain's order, so that the longest takes as little time as can be; what is side by side within a branch
    /// is in order.
    pub fn within(&self, cores: usize, delays: &[u64]) -> Segment {
        let in_order = |mut nfs: Vec<usize>| {
            nfs.sort_unstable();
            Segment::series(nfs.into_iter().map(Segment::Nf))
        };
        match self {
            Segment::Nf(nf) => Segment::Nf(*nf),
            Segment::Series(parts) => Segment::series(parts.iter().map(|part| part.within(cores, delays))),
            Segment::Parallel(parts) => {
                let of =
                    |nfs: &[usize]| nfs.iter().map(|nf| delays.get(*nf).copied().unwrap_or(0)).sum::<u64>();
                let mut branches: Vec<Vec<usize>> = parts.iter().map(Segment::nfs).collect();
                // The longest first, each to the core that has least to do.
                branches.sort_by_key(|nfs| std::cmp::Reverse(of(nfs)));
                let mut shares = vec![Vec::new(); cores.clamp(1, branches.len().max(1))];
                for nfs in branches {
                    if let Some(least) = shares.iter_mut().min_by_key(|share| (of(share), share.len())) {
                        least.extend(nfs);
                    }
                }
                Segment::parallel(shares.into_iter().map(in_order))
            }
        }
    }

    /// Time from its start to its end.
    pub fn latency(&self, delays: &[u64], costs: Costs) -> u64 {
        let parts = self.parts().iter().map(|part| part.latency(delays, costs));
        match self {
            Segment::Nf(nf) => delays.get(*nf).copied().unwrap_or(0),
            Segment::Series(_) => parts.fold(0, u64::saturating_add),
            Segment::Parallel(_) => costs.side_by_side(parts),
        }
    }

    /// Whether anything runs side by side.
    pub fn is_parallel(&self) -> bool {
        self.operations() > 0
    }

    /// Checks it against the graph: each NF once; what must stay in order does, and NFs that stand in another order
    /// than in the chain may.
    ///
    /// # Errors
    /// The first fault found.
    pub fn check(&self, dag: &Dag) -> Result<(), SegmentFault> {
        let nfs = self.nfs();
        let mut seen = Symbols::EMPTY;
        for nf in nfs {
            if nf >= dag.len() || seen.contains(nf) {
                return Err(SegmentFault::Twice(nf));
            }
            seen.insert(nf);
        }
        if let Some(missing) = (0..dag.len()).find(|nf| !seen.contains(*nf)) {
            return Err(SegmentFault::Missing(missing));
        }
        self.check_order(dag).map(|_| ())
    }

    fn check_order(&self, dag: &Dag) -> Result<Symbols, SegmentFault> {
        if let Segment::Nf(nf) = self {
            return Ok([*nf].into_iter().collect());
        }
        let series = matches!(self, Segment::Series(_));
        let mut all = Symbols::EMPTY;
        for part in self.parts() {
            let more = part.check_order(dag)?;
            for later in more.iter() {
                // Of a series, nothing that ran must have had to wait for what runs now.
                let late = all.iter().find(|ran| {
                    if series {
                        dag.never_after(*ran).contains(later)
                    } else {
                        dag.before(*ran).contains(later) || dag.before(later).contains(*ran)
                    }
                });
                if let Some(ran) = late {
                    return Err(SegmentFault::Order(later.min(ran), later.max(ran)));
                }
            }
            all |= more;
        }
        Ok(all)
    }

    /// In words, with the NFs' names: `edge > (watch | ids > nat) > swap`.
    pub fn text(&self, names: &[String]) -> String {
        let mut out = String::new();
        self.write(names, false, &mut out);
        out
    }

    fn write(&self, names: &[String], inner: bool, out: &mut String) {
        let (parts, between) = match self {
            Segment::Nf(nf) => {
                match names.get(*nf) {
                    Some(name) => out.push_str(name),
                    // Writing into a string cannot fail.
                    None => drop(write!(out, "{nf}")),
                }
                return;
            }
            Segment::Series(parts) => (parts, " > "),
            Segment::Parallel(parts) => (parts, " | "),
        };
        let braced = inner && matches!(self, Segment::Parallel(_));
        out.push_str(if braced { "(" } else { "" });
        for (at, part) in parts.iter().enumerate() {
            out.push_str(if at > 0 { between } else { "" });
            part.write(names, matches!(self, Segment::Series(_)), out);
        }
        out.push_str(if braced { ")" } else { "" });
    }
}
