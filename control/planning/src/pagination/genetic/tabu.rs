//! A tabu search for a solution with a given number of pages, over partial solutions: no page is ever overfull, some
//! tiles are on none. A move puts a tile on a page and takes off what then has no room (Blöchliger and Zufferey,
//! "A graph coloring heuristic using partial solutions and a reactive tabu scheme", for another grouping problem).

use crate::pagination::{Clock, Instance, Random, Solution, Symbols};

/// Pages, and the tiles that are on none.
#[derive(Clone)]
pub(super) struct Partial {
    pub(super) pages: Vec<Page>,
    pub(super) homeless: Vec<usize>,
}

/// The tiles of a page and their union.
#[derive(Clone, Default)]
pub(super) struct Page {
    pub(super) tiles: Vec<usize>,
    pub(super) symbols: Symbols,
}

impl Page {
    pub(super) fn put(&mut self, instance: &Instance, tile: usize) {
        self.tiles.push(tile);
        self.symbols |= instance.tiles()[tile];
    }

    fn take(&mut self, instance: &Instance, off: &[usize]) {
        self.tiles.retain(|tile| !off.contains(tile));
        self.symbols = self.tiles.iter().fold(Symbols::EMPTY, |all, tile| all | instance.tiles()[*tile]);
    }
}

impl Partial {
    /// A whole solution with its pages, when no tile is homeless.
    pub(super) fn solution(&self) -> Option<Solution> {
        let pages = self.pages.iter().map(|page| page.tiles.clone()).filter(|page| !page.is_empty());
        self.homeless.is_empty().then(|| Solution { pages: pages.collect() })
    }
}

/// The search, with what it has learnt of the tiles.
pub(super) struct Search<'a> {
    instance: &'a Instance,
    clock: &'a Clock,
    /// How often each tile had no room: what is hard to place is not taken off for what is easy.
    trouble: Vec<f64>,
    /// Per tile and page the step until which the tile may not return.
    barred: Vec<u64>,
    step: u64,
}

/// At most this many homeless tiles are tried in a step.
const TRIED: usize = 4;

impl<'a> Search<'a> {
    pub(super) fn new(instance: &'a Instance, clock: &'a Clock) -> Self {
        let tiles = instance.tiles().len();
        Search { instance, clock, trouble: vec![1.0; tiles], barred: Vec::new(), step: 0 }
    }

    /// Looks for a place for every homeless tile, and gives the partial solution that had the fewest of them. It ends
    /// after `patience` steps in a row without an improvement.
    pub(super) fn improve(&mut self, mut now: Partial, patience: u64, random: &mut Random) -> Partial {
        let pages = now.pages.len();
        self.barred.clear();
        self.barred.resize(self.instance.tiles().len() * pages, 0);
        self.step = 0;
        let mut best = now.clone();
        let mut last_gain = 0;
        while !now.homeless.is_empty() && self.step - last_gain < patience {
            self.step += 1;
            if self.step.is_multiple_of(64) && self.clock.is_over() {
                break;
            }
            self.move_one(&mut now, best.homeless.len(), random);
            if now.homeless.len() < best.homeless.len() {
                best.clone_from(&now);
                last_gain = self.step;
            }
        }
        best
    }

    /// The cheapest move of some homeless tile.
    fn move_one(&mut self, now: &mut Partial, record: usize, random: &mut Random) {
        let count = now.homeless.len();
        for at in 0..count.min(TRIED) {
            let other = at + random.below(count - at);
            now.homeless.swap(at, other);
        }
        let pages = now.pages.len();
        let mut best: Option<(f64, usize, usize)> = None;
        let mut off = Vec::new();
        let mut best_off = Vec::new();
        let mut ties = 1;
        for at in 0..count.min(TRIED) {
            let tile = now.homeless[at];
            for page in 0..pages {
                off.clear();
                let limit = best.map_or(f64::INFINITY, |best| best.0) + self.trouble[tile];
                let Some(cost) = self.price(&now.pages[page], tile, limit, &mut off) else { continue };
                let is_barred = self.barred[tile * pages + page] > self.step;
                if is_barred && count - 1 + off.len() >= record {
                    continue;
                }
                let cost = cost - self.trouble[tile];
                let is_better = match best {
                    Some((least, ..)) if cost > least => false,
                    Some((least, ..)) if cost == least => {
                        ties += 1;
                        random.below(ties) == 0
                    }
                    _ => {
                        ties = 1;
                        true
                    }
                };
                if is_better {
                    best = Some((cost, at, page));
                    std::mem::swap(&mut off, &mut best_off);
                }
            }
        }
        let Some((_, at, page)) = best else { return };
        let tile = now.homeless.swap_remove(at);
        if !best_off.is_empty() {
            now.pages[page].take(self.instance, &best_off);
            self.trouble[tile] += 0.05;
        }
        now.pages[page].put(self.instance, tile);
        let tenure = 4 + random.below(8) as u64 + now.homeless.len() as u64;
        for &tile in &best_off {
            self.barred[tile * pages + page] = self.step + tenure;
        }
        now.homeless.append(&mut best_off);
    }

    /// What it costs to put `tile` on `page`: the trouble of the tiles that have to go, which `off` then names. `None`
    /// when that is more than `limit`.
    fn price(&self, page: &Page, tile: usize, limit: f64, off: &mut Vec<usize>) -> Option<f64> {
        let tiles = self.instance.tiles();
        let new = tiles[tile];
        let mut weight = self.instance.weight(&(page.symbols | new));
        let mut cost = 0.0;
        while weight > self.instance.capacity() {
            let excess = weight - self.instance.capacity();
            // Symbols that only one of the tiles has go with it.
            let (mut once, mut twice) = (new, new);
            for &other in page.tiles.iter().filter(|other| !off.contains(other)) {
                twice |= once & tiles[other];
                once |= tiles[other];
            }
            let alone = once - twice;
            let mut choice = None;
            for &other in page.tiles.iter().filter(|other| !off.contains(other)) {
                let own = self.instance.weight(&(tiles[other] & alone));
                // What frees enough goes for its trouble alone; else the least trouble for what it frees. Where nothing
                // is freed by one, what has least in common with the rest goes first.
                let freed = own.min(excess) as f64 + 0.1 / (1.0 + (tiles[other] & twice).len() as f64);
                let rate = self.trouble[other] / freed;
                if choice.is_none_or(|(least, _, _)| rate < least) {
                    choice = Some((rate, other, own));
                }
            }
            let (_, other, own) = choice?;
            off.push(other);
            cost += self.trouble[other];
            if cost > limit {
                return None;
            }
            weight -= own;
        }
        // One that went may have room again: the last ones often freed enough alone.
        if off.len() > 1 {
            let kept = page.tiles.iter().filter(|other| !off.contains(other));
            let mut union = kept.fold(new, |all, other| all | tiles[*other]);
            let mut at = 0;
            while at < off.len() {
                if self.instance.fits(&(union | tiles[off[at]])) {
                    union |= tiles[off[at]];
                    cost -= self.trouble[off.remove(at)];
                } else {
                    at += 1;
                }
            }
        }
        Some(cost)
    }
}
