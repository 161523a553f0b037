//! The pagination problem: pack *tiles*, which are sets of weighted *symbols*, onto the fewest *pages*. A symbol that
//! several tiles of a page share counts once, and the symbols of a page together weigh at most its capacity.
//!
//! In a service chain the tiles are the paths through the dependency graph, the symbols are the NFs, their weights
//! the processing delays, and the capacity is the length of the critical path. The benchmark of Grange, Kacem and
//! Martin ("Algorithms for the Bin Packing Problem with Overlapping Items") has the same problem with weights of 1.

pub mod benchmark;
mod exact;
mod first_fit;
mod genetic;
mod instance;
mod overload;
mod random;
mod solution;
mod symbols;
#[cfg(test)]
mod tests;

pub use instance::{Instance, InstanceError};
pub use random::Random;
pub use solution::{Fault, Solution};
pub use symbols::Symbols;

use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// How an instance is solved.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Solver {
    /// Each tile goes onto the first page that has room.
    FirstFit,
    /// Each tile goes where it overlaps most, even if that overflows; then what overlaps least is taken off.
    OverloadRemove,
    /// The same, with the heaviest tiles first.
    OverloadRemovePresort,
    /// Genes are tiles, their values pages: mutation and two-point crossover.
    GeneticStandard,
    /// Genes are whole pages; children are improved by a tabu search.
    GeneticGrouping,
    /// Column generation and branching: finds the optimum, or says how far away it may be.
    Exact,
}

impl Solver {
    /// All of them, the quick ones first.
    pub const ALL: [Solver; 6] = [
        Solver::FirstFit,
        Solver::OverloadRemove,
        Solver::OverloadRemovePresort,
        Solver::GeneticStandard,
        Solver::GeneticGrouping,
        Solver::Exact,
    ];

    /// Its name, as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Solver::FirstFit => "first-fit",
            Solver::OverloadRemove => "overload-remove",
            Solver::OverloadRemovePresort => "overload-remove-presort",
            Solver::GeneticStandard => "genetic-standard",
            Solver::GeneticGrouping => "genetic-grouping",
            Solver::Exact => "exact",
        }
    }

    /// The solver of that name.
    pub fn named(name: &str) -> Option<Solver> {
        Solver::ALL.into_iter().find(|solver| solver.name() == name)
    }

    /// Solves `instance`. Every solver ends in bounded time; the genetic ones and the exact one also stop when
    /// `effort` says so, and give the best that they have.
    pub fn solve(self, instance: &Instance, effort: Effort) -> Outcome {
        let clock = Clock::start(effort);
        // Tiles inside other tiles go where those go.
        let (small, kept) = instance.without_inner_tiles();
        let mut lower_bound = small.lower_bound();
        let solution = match self {
            Solver::FirstFit => first_fit::solve(&small),
            Solver::OverloadRemove => overload::solve(&small, false, &clock),
            Solver::OverloadRemovePresort => overload::solve(&small, true, &clock),
            Solver::GeneticStandard => genetic::standard::solve(&small, lower_bound, &clock),
            Solver::GeneticGrouping => genetic::grouping::solve(&small, lower_bound, &clock),
            Solver::Exact => {
                let found = exact::solve(&small, lower_bound, &clock);
                lower_bound = found.lower_bound;
                found.solution
            }
        };
        let solution = solution.spread(instance, &kept);
        let out_of_time = clock.is_over() && solution.len() > lower_bound;
        Outcome { solver: self, solution, lower_bound, out_of_time, elapsed: clock.begun.elapsed() }
    }
}

/// How long a solver may try.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Effort {
    /// It gives up improving after this time.
    pub time: Duration,
    /// Seed of everything random. The same seed gives the same result, unless time runs out.
    pub seed: u64,
}

impl Default for Effort {
    fn default() -> Self {
        Effort { time: Duration::from_secs(10), seed: 1 }
    }
}

/// What a solver found.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// Who found it.
    pub solver: Solver,
    /// The pages; always a valid solution.
    pub solution: Solution,
    /// No solution has fewer pages than this.
    pub lower_bound: usize,
    /// The time ran out before the solver was through.
    pub out_of_time: bool,
    /// How long it took.
    pub elapsed: Duration,
}

impl Outcome {
    /// Whether no solution has fewer pages.
    pub fn is_optimal(&self) -> bool {
        self.solution.len() == self.lower_bound
    }

    /// How many pages above the lower bound, as a share of the solution's pages.
    pub fn gap(&self) -> f64 {
        let pages = self.solution.len();
        (pages - self.lower_bound.min(pages)) as f64 / pages.max(1) as f64
    }
}

/// When to stop.
#[derive(Clone, Copy)]
struct Clock {
    begun: Instant,
    effort: Effort,
}

impl Clock {
    fn start(effort: Effort) -> Self {
        Clock { begun: Instant::now(), effort }
    }

    fn is_over(&self) -> bool {
        self.begun.elapsed() >= self.effort.time
    }

    /// A clock that stops earlier: at this share of the whole time.
    fn share(&self, share: f64) -> Clock {
        let time = self.effort.time.mul_f64(share);
        Clock { effort: Effort { time, ..self.effort }, ..*self }
    }
}
