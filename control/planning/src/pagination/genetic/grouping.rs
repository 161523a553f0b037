//! The grouping form: genes are whole pages (Falkenauer 1996). A child takes pages from its parents in turn, each time
//! the one that has most of the tiles which it lacks (Galinier and Hao 1999); a tabu search then finds places for the
//! tiles that are left. The population looks for a solution with one page less than the best one, again and again.

use super::tabu::{Page, Partial, Search};
use crate::pagination::{Clock, Instance, Random, Solution, Symbols, first_fit, overload};

const POPULATION: usize = 8;
/// Children in a row, in units of the population, that find nothing before it gives up.
const FRUITLESS: usize = 25;

/// The best solution found before nothing better was for long.
pub(in crate::pagination) fn solve(instance: &Instance, lower_bound: usize, clock: &Clock) -> Solution {
    let mut best = [
        first_fit::solve(instance),
        overload::solve(instance, false, clock),
        overload::solve(instance, true, clock),
    ]
    .into_iter()
    .min_by_key(Solution::len)
    .unwrap_or_default();
    let mut random = Random::new(clock.effort.seed);
    while best.len() > lower_bound.max(1) && !clock.is_over() {
        match with_pages(instance, best.len() - 1, clock, &mut random) {
            Some(better) => best = better,
            None => break,
        }
    }
    best
}

/// A solution with that many pages.
fn with_pages(instance: &Instance, pages: usize, clock: &Clock, random: &mut Random) -> Option<Solution> {
    let patience = 400 + 20 * instance.tiles().len() as u64;
    let mut search = Search::new(instance, clock);
    let mut population: Vec<Partial> = Vec::new();
    for _ in 0..POPULATION {
        let found = search.improve(grown(instance, pages, random), patience, random);
        if found.homeless.is_empty() {
            return found.solution();
        }
        population.push(found);
        if clock.is_over() {
            return None;
        }
    }
    let mut fruitless = 0;
    while fruitless < FRUITLESS * POPULATION && !clock.is_over() {
        let one = random.below(POPULATION);
        let other = (one + 1 + random.below(POPULATION - 1)) % POPULATION;
        let child = crossed(instance, [&population[one], &population[other]], random);
        let child = search.improve(child, patience, random);
        if child.homeless.is_empty() {
            return child.solution();
        }
        // It takes the place of the worse parent, and of equals too: else all would soon be alike.
        let worse =
            if population[one].homeless.len() > population[other].homeless.len() { one } else { other };
        let gained = child.homeless.len() < population.iter().map(|p| p.homeless.len()).min().unwrap_or(0);
        population[worse] = child;
        fruitless = if gained { 0 } else { fruitless + 1 };
    }
    None
}

/// Each tile in a random order onto the page that grows least by it; what has no room is homeless.
fn grown(instance: &Instance, pages: usize, random: &mut Random) -> Partial {
    let mut order: Vec<usize> = (0..instance.tiles().len()).collect();
    random.shuffle(&mut order);
    let mut partial = Partial { pages: vec![Page::default(); pages], homeless: Vec::new() };
    settle(instance, &mut partial, &order);
    partial
}

/// Puts each of `tiles` onto the page that grows least by it.
fn settle(instance: &Instance, partial: &mut Partial, tiles: &[usize]) {
    for &tile in tiles {
        let symbols = instance.tiles()[tile];
        let growth = |page: &Page| instance.weight(&(symbols - page.symbols));
        let room = |page: &&mut Page| instance.fits(&(page.symbols | symbols));
        match partial.pages.iter_mut().filter(room).min_by_key(|page| growth(page)) {
            Some(page) => page.put(instance, tile),
            None => partial.homeless.push(tile),
        }
    }
}

/// Pages of the parents in turn, the fullest of new tiles first; then what has room.
fn crossed(instance: &Instance, parents: [&Partial; 2], random: &mut Random) -> Partial {
    let tiles = instance.tiles();
    let pages = parents[0].pages.len();
    let mut has = vec![false; tiles.len()];
    let mut child = Partial { pages: Vec::with_capacity(pages), homeless: Vec::new() };
    let first = random.below(2);
    for turn in 0..pages {
        let parent = parents[(first + turn) % 2];
        let new = |page: &&Page| page.tiles.iter().filter(|tile| !has[**tile]).count();
        let Some(page) = parent.pages.iter().max_by_key(new) else { break };
        let taken: Vec<usize> = page.tiles.iter().copied().filter(|tile| !has[*tile]).collect();
        taken.iter().for_each(|tile| has[*tile] = true);
        let symbols = taken.iter().fold(Symbols::EMPTY, |all, tile| all | tiles[*tile]);
        child.pages.push(Page { tiles: taken, symbols });
    }
    let mut left: Vec<usize> = (0..tiles.len()).filter(|tile| !has[*tile]).collect();
    random.shuffle(&mut left);
    settle(instance, &mut child, &left);
    child
}
