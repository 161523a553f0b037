//! Pricing: the page that is worth most when each tile has a price.

use crate::pagination::{Clock, Instance, Symbols};

/// A tile, or several that stay together, in one node of the search.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// Their symbols.
    pub(super) symbols: Symbols,
    /// Which tiles they are.
    pub(super) tiles: Symbols,
    /// Groups that must not be on the same page.
    pub(super) foes: Symbols,
}

/// What pricing found.
pub(super) struct Priced {
    /// No page is worth more than this.
    pub(super) limit: f64,
    /// Pages, as groups, that are worth more than what was asked for; the best one last.
    pub(super) pages: Vec<Symbols>,
}

/// Nodes of the search for one page, at most.
const MOST_NODES: usize = 2_000_000;

/// Finds pages worth more than `floor` at these prices; which there are, and how much the best one may be worth.
pub(super) fn price(
    instance: &Instance,
    groups: &[Group],
    prices: &[f64],
    floor: f64,
    clock: &Clock,
) -> Priced {
    let mut search = Search {
        instance,
        groups,
        prices,
        best: floor,
        limit: 0.0,
        pages: Vec::new(),
        nodes: 0,
        clock,
        stopped: false,
    };
    let candidates: Vec<usize> = (0..groups.len()).filter(|group| prices[*group] > 1e-9).collect();
    search.visit(Symbols::EMPTY, Symbols::EMPTY, 0.0, candidates);
    Priced { limit: search.best.max(search.limit), pages: search.pages }
}

struct Search<'a> {
    instance: &'a Instance,
    groups: &'a [Group],
    prices: &'a [f64],
    best: f64,
    /// Bound of what was not looked at.
    limit: f64,
    pages: Vec<Symbols>,
    nodes: usize,
    clock: &'a Clock,
    stopped: bool,
}

impl Search<'_> {
    fn visit(&mut self, chosen: Symbols, covered: Symbols, value: f64, candidates: Vec<usize>) {
        self.nodes += 1;
        let (mut chosen, mut value) = (chosen, value);
        let foes = chosen.iter().fold(Symbols::EMPTY, |all, group| all | self.groups[group].foes);
        // What costs no room is taken, unless it shuts something else out.
        let mut rest: Vec<usize> = Vec::with_capacity(candidates.len());
        for &group in &candidates {
            let Group { symbols, foes: its, .. } = &self.groups[group];
            if foes.contains(group) || !self.instance.fits(&(covered | *symbols)) {
                continue;
            }
            if symbols.is_subset(&covered) && its.is_empty() {
                chosen.insert(group);
                value += self.prices[group];
            } else {
                rest.push(group);
            }
        }
        if value > self.best + 1e-9 {
            self.best = value;
            self.pages.push(chosen);
        }
        loop {
            let bound = value + self.bound(covered, &rest);
            if rest.is_empty() || bound <= self.best + 1e-9 {
                return;
            }
            self.stopped |=
                self.nodes >= MOST_NODES || (self.nodes.is_multiple_of(256) && self.clock.is_over());
            if self.stopped {
                self.limit = self.limit.max(bound);
                return;
            }
            // The most worth for the room it takes, with; then without.
            let room =
                |group: usize| self.instance.weight(&(self.groups[group].symbols - covered)).max(1) as f64;
            let rate = |group: usize| self.prices[group] / room(group);
            let at = (0..rest.len()).max_by(|a, b| rate(rest[*a]).total_cmp(&rate(rest[*b]))).unwrap_or(0);
            let group = rest.swap_remove(at);
            let mut with = chosen;
            with.insert(group);
            let more = covered | self.groups[group].symbols;
            self.visit(with, more, value + self.prices[group], rest.clone());
        }
    }

    /// What `rest` adds at the most: each group's price is spread over the symbols that it needs, and the symbols
    /// that are worth most for their weight fill the room, the last one in part.
    fn bound(&self, covered: Symbols, rest: &[usize]) -> f64 {
        let weights = self.instance.weights();
        let mut worth = [0.0; Symbols::LIMIT];
        let mut needed = Symbols::EMPTY;
        let mut free = 0.0;
        let mut sum = 0.0;
        for &group in rest {
            let new = self.groups[group].symbols - covered;
            let weight = self.instance.weight(&new);
            sum += self.prices[group];
            if weight == 0 {
                free += self.prices[group];
                continue;
            }
            needed |= new;
            let rate = self.prices[group] / weight as f64;
            new.iter().for_each(|symbol| worth[symbol] += rate);
        }
        let mut room = self.instance.capacity().saturating_sub(self.instance.weight(&covered));
        if self.instance.weight(&needed) <= room {
            return sum;
        }
        // `worth` is per unit of weight; symbols that weigh nothing add nothing.
        let mut order: Vec<(f64, u64)> =
            needed.iter().map(|symbol| (worth[symbol], weights[symbol])).collect();
        order.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let mut total = free;
        for (rate, weight) in order {
            let taken = weight.min(room);
            total += rate * taken as f64;
            room -= taken;
            if room == 0 {
                break;
            }
        }
        total.min(sum)
    }
}
