//! A node of the search: which tiles stay together, which apart; its relaxation.

use super::pricing::{Group, price};
use crate::pagination::{Clock, Instance, Solution, Symbols};
use microlp::{ComparisonOp, OptimizationDirection, Problem, Variable};
use std::time::{Duration, Instant};

/// One node.
#[derive(Clone)]
pub(super) struct Node {
    groups: Vec<Group>,
}

/// What became of a node.
pub(super) enum Relaxed {
    /// It has no solution better than the best one.
    Beaten,
    /// It has none at all.
    Impossible,
    /// Its relaxation has a solution in whole pages.
    Whole(Solution),
    /// These two groups are sometimes together in the relaxation.
    Split { bound: usize, pair: (usize, usize) },
    /// Time ran out; the bound until then.
    OutOfTime(usize),
}

const EPSILON: f64 = 1e-6;

impl Node {
    /// Every tile for itself.
    pub(super) fn root(instance: &Instance) -> Node {
        let group = |(tile, symbols): (usize, &Symbols)| Group {
            symbols: *symbols,
            tiles: [tile].into_iter().collect(),
            foes: Symbols::EMPTY,
        };
        Node { groups: instance.tiles().iter().enumerate().map(group).collect() }
    }

    /// The node with the pair together, last, and the one with the pair apart.
    pub(super) fn split(&self, instance: &Instance, (a, b): (usize, usize)) -> [Option<Node>; 2] {
        let mut apart = self.clone();
        apart.groups[a].foes.insert(b);
        apart.groups[b].foes.insert(a);
        [Some(apart), self.joined(instance, a.min(b), a.max(b))]
    }

    fn joined(&self, instance: &Instance, a: usize, b: usize) -> Option<Node> {
        let (one, other) = (&self.groups[a], &self.groups[b]);
        if one.foes.contains(b) || !instance.fits(&(one.symbols | other.symbols)) {
            return None;
        }
        // Numbers after b move down by one.
        let renumbered = |foes: &Symbols| {
            let number = |foe: usize| match foe {
                foe if foe == b => a,
                foe if foe > b => foe - 1,
                foe => foe,
            };
            foes.iter().map(number).collect::<Symbols>()
        };
        let mut groups: Vec<Group> = Vec::with_capacity(self.groups.len() - 1);
        for (at, group) in self.groups.iter().enumerate().filter(|(at, _)| *at != b) {
            let foes = if at == a { one.foes | other.foes } else { group.foes };
            let mut group = Group { foes: renumbered(&foes), ..group.clone() };
            if at == a {
                group.symbols |= other.symbols;
                group.tiles |= other.tiles;
            }
            groups.push(group);
        }
        Some(Node { groups })
    }

    /// Solves the relaxation. `columns` are pages known so far, as sets of tiles, and those found are added to them.
    pub(super) fn relax(
        &self,
        instance: &Instance,
        columns: &mut Vec<Symbols>,
        mut bound: usize,
        best: usize,
        clock: &Clock,
    ) -> Relaxed {
        // Pages that respect what is together and what apart, as sets of groups.
        let mut pages: Vec<Symbols> =
            columns.iter().filter_map(|tiles| self.page_of(instance, tiles)).collect();
        pages.extend(
            (0..self.groups.len()).map(|group| self.filled(instance, group, &vec![0.0; self.groups.len()])),
        );
        pages.sort_unstable_by_key(|page| page.iter().collect::<Vec<_>>());
        pages.dedup();
        let mut program = match Prices::new(self.groups.len(), &pages, clock) {
            Some(program) => program,
            None => return Relaxed::OutOfTime(bound),
        };
        loop {
            let prices = program.prices();
            let found = self.worthwhile(instance, &prices, clock);
            let sum: f64 = prices.iter().sum();
            bound = bound.max((sum / found.limit.max(1.0) - EPSILON).ceil() as usize);
            if bound >= best {
                return Relaxed::Beaten;
            }
            if clock.is_over() {
                return Relaxed::OutOfTime(bound);
            }
            if found.pages.is_empty() {
                break;
            }
            for page in found.pages {
                pages.push(page);
                columns.push(self.tiles_of(&page));
                program = match program.with(&page, clock) {
                    Some(program) => program,
                    None => return Relaxed::OutOfTime(bound),
                };
            }
        }
        match self.shares(&pages, clock) {
            None => Relaxed::OutOfTime(bound),
            Some(shares) => self.conclude(instance, &pages, &shares, bound),
        }
    }

    /// Pages worth more than 1: quick ones, or else the best one.
    fn worthwhile(&self, instance: &Instance, prices: &[f64], clock: &Clock) -> super::pricing::Priced {
        let worth = |page: &Symbols| page.iter().map(|group| prices[group]).sum::<f64>();
        let starts = 0..self.groups.len();
        let mut quick: Vec<(f64, Symbols)> = starts
            .filter(|group| prices[*group] > EPSILON)
            .map(|group| self.filled(instance, group, prices))
            .map(|page| (worth(&page), page))
            .filter(|(worth, _)| *worth > 1.0 + EPSILON)
            .collect();
        quick.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        quick.dedup_by(|a, b| a.1 == b.1);
        quick.truncate(8);
        if !quick.is_empty() {
            let pages = quick.into_iter().map(|(_, page)| page).collect();
            return super::pricing::Priced { limit: f64::INFINITY, pages };
        }
        let mut found = price(instance, &self.groups, prices, 1.0 + EPSILON, clock);
        // The last ones are worth most.
        found.pages = found.pages.split_off(found.pages.len().saturating_sub(4));
        let fill = |page: Symbols| self.topped(instance, page, prices);
        found.pages = found.pages.into_iter().map(fill).collect();
        found
    }

    /// A page with `group` on it, filled with what is worth most for its room.
    fn filled(&self, instance: &Instance, group: usize, prices: &[f64]) -> Symbols {
        self.topped(instance, [group].into_iter().collect(), prices)
    }

    fn topped(&self, instance: &Instance, mut page: Symbols, prices: &[f64]) -> Symbols {
        let union = |page: &Symbols| page.iter().fold(Symbols::EMPTY, |all, g| all | self.groups[g].symbols);
        let mut covered = union(&page);
        let mut foes = page.iter().fold(Symbols::EMPTY, |all, group| all | self.groups[group].foes);
        loop {
            let mut next = None;
            for (at, group) in self.groups.iter().enumerate() {
                let all = covered | group.symbols;
                if page.contains(at) || foes.contains(at) || !instance.fits(&all) {
                    continue;
                }
                let room = instance.weight(&(group.symbols - covered)) as f64 + 0.01;
                let rate = (prices[at] + 1e-3) / room;
                if next.is_none_or(|(best, _)| rate > best) {
                    next = Some((rate, at));
                }
            }
            let Some((_, at)) = next else { return page };
            page.insert(at);
            covered |= self.groups[at].symbols;
            foes |= self.groups[at].foes;
        }
    }

    /// A known page in this node's groups: those that are on it whole, as far as they stand each other.
    fn page_of(&self, instance: &Instance, tiles: &Symbols) -> Option<Symbols> {
        let (mut page, mut foes) = (Symbols::EMPTY, Symbols::EMPTY);
        for (at, group) in self.groups.iter().enumerate() {
            if group.tiles.is_subset(tiles) && !foes.contains(at) {
                page.insert(at);
                foes |= group.foes;
            }
        }
        (!page.is_empty()).then(|| self.topped(instance, page, &vec![0.0; self.groups.len()]))
    }

    fn tiles_of(&self, page: &Symbols) -> Symbols {
        page.iter().fold(Symbols::EMPTY, |all, group| all | self.groups[group].tiles)
    }

    /// How much of each page a solution of the relaxation takes.
    fn shares(&self, pages: &[Symbols], clock: &Clock) -> Option<Vec<f64>> {
        let mut program = Problem::new(OptimizationDirection::Minimize);
        program.set_time_limit(remaining(clock));
        let variables: Vec<Variable> = pages.iter().map(|_| program.add_var(1.0, (0.0, 1.0))).collect();
        for group in 0..self.groups.len() {
            let on = pages.iter().zip(&variables).filter(|(page, _)| page.contains(group));
            let row: Vec<(Variable, f64)> = on.map(|(_, variable)| (*variable, 1.0)).collect();
            program.add_constraint(&row, ComparisonOp::Ge, 1.0);
        }
        let solution = program.solve().ok()?.into_solution().ok()?;
        Some(variables.iter().map(|variable| solution.var_value(*variable)).collect())
    }

    /// A solution, if all shares are whole; else the pair whose company is nearest to half.
    fn conclude(&self, instance: &Instance, pages: &[Symbols], shares: &[f64], bound: usize) -> Relaxed {
        let used: Vec<(Symbols, f64)> =
            pages.iter().copied().zip(shares.iter().copied()).filter(|(_, share)| *share > EPSILON).collect();
        if used.iter().all(|(_, share)| *share > 1.0 - EPSILON) {
            let sets: Vec<Symbols> = used
                .iter()
                .map(|(page, _)| {
                    page.iter().fold(Symbols::EMPTY, |all, group| all | self.groups[group].symbols)
                })
                .collect();
            return Relaxed::Whole(Solution::of_sets(instance, &sets));
        }
        let mut best = None;
        for a in 0..self.groups.len() {
            for b in 0..a {
                let both = used.iter().filter(|(page, _)| page.contains(a) && page.contains(b));
                let company: f64 = both.map(|(_, share)| share).sum();
                let distance = (company - 0.5).abs();
                let apart_already = self.groups[a].foes.contains(b);
                if company > EPSILON && !apart_already && best.is_none_or(|(least, _)| distance < least) {
                    best = Some((distance, (a, b)));
                }
            }
        }
        match best {
            Some((_, pair)) => Relaxed::Split { bound, pair },
            None => Relaxed::Impossible,
        }
    }
}

/// The dual program: prices of groups, as high as they can be such that no known page is worth more than 1.
struct Prices {
    variables: Vec<Variable>,
    solution: microlp::Solution,
}

impl Prices {
    fn new(groups: usize, pages: &[Symbols], clock: &Clock) -> Option<Prices> {
        let mut program = Problem::new(OptimizationDirection::Maximize);
        program.set_time_limit(remaining(clock));
        let variables: Vec<Variable> = (0..groups).map(|_| program.add_var(1.0, (0.0, 1.0))).collect();
        for page in pages {
            let row: Vec<(Variable, f64)> = page.iter().map(|group| (variables[group], 1.0)).collect();
            program.add_constraint(&row, ComparisonOp::Le, 1.0);
        }
        let solution = program.solve().ok()?.into_solution().ok()?;
        Some(Prices { variables, solution })
    }

    fn with(self, page: &Symbols, clock: &Clock) -> Option<Prices> {
        if Instant::now() >= clock.begun + clock.effort.time {
            return None;
        }
        let row: Vec<(Variable, f64)> = page.iter().map(|group| (self.variables[group], 1.0)).collect();
        let outcome = self.solution.add_constraint(&row, ComparisonOp::Le, 1.0).ok()?;
        Some(Prices { solution: outcome.into_solution().ok()?, ..self })
    }

    fn prices(&self) -> Vec<f64> {
        self.variables.iter().map(|variable| self.solution.var_value(*variable).max(0.0)).collect()
    }
}

/// What is left of the time; never nothing, which would mean no limit to some.
fn remaining(clock: &Clock) -> Duration {
    clock.effort.time.saturating_sub(clock.begun.elapsed()).max(Duration::from_millis(1))
}
