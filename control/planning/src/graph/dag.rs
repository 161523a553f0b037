//! The dependency graph of a chain.

use crate::pagination::Symbols;
use serde::Serialize;

/// NFs by their place in the chain, their delays, and which of them must stay in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dag {
    delays: Vec<u64>,
    /// Per NF all that must run before it, directly or not.
    before: Vec<Symbols>,
    /// Per NF the earlier ones that it may also run before.
    swaps: Vec<Symbols>,
}

/// Why there is no such graph.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DagError {
    /// More NFs than are planned for.
    #[error("{0} NFs are more than {limit}", limit = Symbols::LIMIT)]
    Size(usize),
    /// An edge that does not lead from an earlier NF to a later one.
    #[error("NF {0} cannot have to run before NF {1}")]
    Edge(usize, usize),
}

/// When an NF starts and ends, at the earliest and at the latest, if the chain takes no longer than it must.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Times {
    /// All before it have ended.
    pub earliest_start: u64,
    /// That, and its delay.
    pub earliest_finish: u64,
    /// Later, and the chain takes longer.
    pub latest_start: u64,
    /// That, and its delay.
    pub latest_finish: u64,
}

/// The critical path.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Critical {
    /// Its length: no plan has a lower latency.
    pub length: u64,
    /// Its NFs.
    pub path: Vec<usize>,
    /// Per NF.
    pub times: Vec<Times>,
}

impl Dag {
    /// A graph of NFs with these delays; each edge leads from an NF to one later in the chain that must run after it.
    ///
    /// # Errors
    /// Too many NFs; an edge that leads back, or nowhere.
    pub fn new(delays: Vec<u64>, edges: &[(usize, usize)]) -> Result<Dag, DagError> {
        let count = delays.len();
        if count > Symbols::LIMIT {
            return Err(DagError::Size(count));
        }
        let mut before = vec![Symbols::EMPTY; count];
        if let Some((from, to)) = edges.iter().find(|(from, to)| from >= to || *to >= count) {
            return Err(DagError::Edge(*from, *to));
        }
        let mut edges = edges.to_vec();
        // By the later end: what leads to `from` is complete when it is passed on.
        edges.sort_unstable_by_key(|(from, to)| (*to, *from));
        for (from, to) in edges {
            let more = before[from];
            before[to] |= more;
            before[to].insert(from);
        }
        Ok(Dag { delays, before, swaps: vec![Symbols::EMPTY; count] })
    }

    /// With pairs of an earlier and a later NF that may run one after the other in either order. Others without an
    /// edge may run side by side, or in their order.
    #[must_use]
    pub fn with_swaps(mut self, pairs: &[(usize, usize)]) -> Dag {
        for (earlier, later) in pairs {
            if let Some(swaps) = self.swaps.get_mut(*later) {
                swaps.insert(*earlier);
            }
        }
        self
    }

    /// How many NFs there are.
    pub fn len(&self) -> usize {
        self.delays.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.delays.is_empty()
    }

    /// Delay of each NF.
    pub fn delays(&self) -> &[u64] {
        &self.delays
    }

    /// All that must run before `nf`, directly or not.
    pub fn before(&self, nf: usize) -> Symbols {
        self.before[nf]
    }

    /// What must not run after `nf` if both run one after the other: what must run before it, and earlier NFs whose
    /// places it may not take.
    pub fn never_after(&self, nf: usize) -> Symbols {
        ((0..nf).collect::<Symbols>() - self.swaps[nf]) | self.before[nf]
    }

    /// The edges that are not implied by others.
    pub fn edges(&self) -> Vec<(usize, usize)> {
        let mut edges = Vec::new();
        for to in 0..self.len() {
            let indirect = self.before[to].iter().fold(Symbols::EMPTY, |all, nf| all | self.before[nf]);
            edges.extend((self.before[to] - indirect).iter().map(|from| (from, to)));
        }
        edges.sort_unstable();
        edges
    }

    /// Latency of the chain as it stands.
    pub fn sequential(&self) -> u64 {
        self.delays.iter().fold(0, |sum, delay| sum.saturating_add(*delay))
    }

    /// The critical path, by a pass forward and one back.
    pub fn critical(&self) -> Critical {
        let count = self.len();
        let mut times = vec![Times::default(); count];
        for nf in 0..count {
            let start = self.before[nf].iter().map(|other| times[other].earliest_finish).max().unwrap_or(0);
            times[nf].earliest_start = start;
            times[nf].earliest_finish = start.saturating_add(self.delays[nf]);
        }
        let length = times.iter().map(|times| times.earliest_finish).max().unwrap_or(0);
        for nf in (0..count).rev() {
            let after = (nf + 1..count).filter(|other| self.before[*other].contains(nf));
            let finish = after.map(|other| times[other].latest_start).min().unwrap_or(length);
            times[nf].latest_finish = finish;
            times[nf].latest_start = finish.saturating_sub(self.delays[nf]);
        }
        // From an NF that ends last back over those that end when the next one starts.
        let mut path = Vec::new();
        let mut next = (0..count).find(|nf| times[*nf].earliest_finish == length);
        while let Some(nf) = next {
            path.push(nf);
            let start = times[nf].earliest_start;
            let indirect = self.before[nf].iter().fold(Symbols::EMPTY, |all, other| all | self.before[other]);
            next = (self.before[nf] - indirect).iter().find(|other| times[*other].earliest_finish == start);
        }
        path.reverse();
        Critical { length, path, times }
    }

    /// The topological levels: each NF right after the last level that has one which must run before it. "As parallel
    /// as possible", as ParaBox has it.
    pub fn levels(&self) -> Vec<Vec<usize>> {
        let mut level_of = vec![0; self.len()];
        let mut levels: Vec<Vec<usize>> = Vec::new();
        for nf in 0..self.len() {
            let level = self.before[nf].iter().map(|other| level_of[other] + 1).max().unwrap_or(0);
            level_of[nf] = level;
            levels.resize(levels.len().max(level + 1), Vec::new());
            levels[level].push(nf);
        }
        levels
    }

    /// All paths from an NF without predecessors to one without successors; `None` when they are more than `most`.
    pub fn paths(&self, most: usize) -> Option<Vec<Vec<usize>>> {
        let mut next = vec![Vec::new(); self.len()];
        let mut is_source = vec![true; self.len()];
        for (from, to) in self.edges() {
            next[from].push(to);
            is_source[to] = false;
        }
        let mut open: Vec<Vec<usize>> =
            (0..self.len()).filter(|nf| is_source[*nf]).map(|nf| vec![nf]).rev().collect();
        let mut paths = Vec::new();
        while let Some(path) = open.pop() {
            let after = path.last().map(|last| next[*last].as_slice()).unwrap_or_default();
            if after.is_empty() {
                paths.push(path);
            } else {
                for nf in after.iter().rev() {
                    let mut longer = path.clone();
                    longer.push(*nf);
                    open.push(longer);
                }
            }
            if paths.len() + open.len() > most {
                return None;
            }
        }
        Some(paths)
    }
}
