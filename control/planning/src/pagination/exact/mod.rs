//! The exact solver: the integer program over whole pages, min Σ λ_P such that each tile is on a chosen page.
//!
//! It is the Dantzig–Wolfe form of the program in x, y and z of the thesis (eqs 6.1–6.6), whose own relaxation gives
//! no better bound than the symbols' weight over the capacity, and which has a solution for every order of the
//! pages. Its relaxation is solved by column generation: the dual program prices tiles, a branch and bound finds the
//! page that is worth most at these prices. Where tiles have fractional company, two of them are put together, or
//! kept apart (Ryan and Foster 1981).

mod few;
mod node;
mod pricing;

use super::{Clock, Instance, Solution, Symbols, genetic};
use node::{Node, Relaxed};

/// What [`solve`] found.
pub(super) struct Found {
    pub(super) solution: Solution,
    pub(super) lower_bound: usize,
}

/// Until which shares of the time: a first upper bound is looked for; few pages are tried out; the root's relaxation
/// is solved; the heuristic tries to reach the root's bound. The rest is for branching.
const FIRST: f64 = 0.05;
const TRYING: f64 = 0.3;
const ROOT: f64 = 0.65;
const SECOND: f64 = 0.85;

/// The best solution, and a lower bound that is the same unless time ran out.
pub(super) fn solve(instance: &Instance, trivial: usize, clock: &Clock) -> Found {
    let mut best = genetic::grouping::solve(instance, trivial, &clock.share(FIRST));
    if best.len() <= trivial || instance.tiles().len() > Symbols::LIMIT {
        return Found { lower_bound: trivial.min(best.len()), solution: best };
    }
    let mut trivial = trivial;
    while best.len() > trivial && best.len() <= few::MOST_PAGES + 1 {
        match few::try_pages(instance, best.len() - 1, &clock.share(TRYING)) {
            few::Tried::Enough(better) => best = better,
            few::Tried::TooFew => trivial = best.len(),
            few::Tried::Unknown => break,
        }
    }
    let mut columns: Vec<Symbols> = best.pages.iter().map(|page| page.iter().copied().collect()).collect();
    // Nodes still open, with the bound of their parents.
    let mut open = vec![(trivial, Node::root(instance))];
    // The least bound of a node that was given up.
    let mut given_up = usize::MAX;
    let mut is_root = true;
    while let Some((bound, node)) = take_least(&mut open) {
        if bound >= best.len() {
            break;
        }
        if clock.is_over() {
            given_up = given_up.min(bound);
            break;
        }
        let time = if is_root { clock.share(ROOT) } else { *clock };
        match node.relax(instance, &mut columns, bound, best.len(), &time) {
            Relaxed::Beaten | Relaxed::Impossible => {}
            Relaxed::Whole(solution) => {
                if solution.len() < best.len() {
                    best = solution;
                }
            }
            Relaxed::Split { bound, pair } => {
                if is_root {
                    best = shorter(best, genetic::grouping::solve(instance, bound, &clock.share(SECOND)));
                }
                for child in node.split(instance, pair).into_iter().flatten() {
                    open.push((bound, child));
                }
            }
            Relaxed::OutOfTime(bound) => {
                if is_root {
                    best = shorter(best, genetic::grouping::solve(instance, bound, clock));
                }
                given_up = given_up.min(bound);
            }
        }
        is_root = false;
    }
    let open = open.iter().map(|(bound, _)| *bound).min().unwrap_or(usize::MAX);
    let lower_bound = open.min(given_up).min(best.len()).max(trivial.min(best.len()));
    Found { solution: best, lower_bound }
}

fn shorter(one: Solution, other: Solution) -> Solution {
    if other.len() < one.len() { other } else { one }
}

/// The node with the least bound; of equals the youngest, which is the deepest.
fn take_least<T>(open: &mut Vec<(usize, T)>) -> Option<(usize, T)> {
    let least = open.iter().map(|(bound, _)| *bound).min()?;
    let at = open.iter().rposition(|(bound, _)| *bound == least)?;
    Some(open.remove(at))
}
