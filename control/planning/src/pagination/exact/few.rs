//! Whether a few pages are enough, by trying: for up to five or so that is sooner known than the relaxation's bound is
//! tight.

use crate::pagination::{Clock, Instance, Solution, Symbols};

/// Most pages for which it is tried.
pub(super) const MOST_PAGES: usize = 5;

/// What trying came to.
pub(super) enum Tried {
    /// It is enough.
    Enough(Solution),
    /// It is not.
    TooFew,
    /// Time ran out.
    Unknown,
}

/// Tries all ways to pack the tiles onto `pages` pages: the tile that has the fewest pages to go to is next.
pub(super) fn try_pages(instance: &Instance, pages: usize, clock: &Clock) -> Tried {
    let mut search = Search { instance, clock, steps: 0, stopped: false };
    let mut sets = vec![Symbols::EMPTY; pages];
    let tiles: Vec<Symbols> = instance.tiles().to_vec();
    if search.place(&mut sets, tiles) {
        return Tried::Enough(Solution::of_sets(instance, &sets));
    }
    if search.stopped { Tried::Unknown } else { Tried::TooFew }
}

struct Search<'a> {
    instance: &'a Instance,
    clock: &'a Clock,
    steps: u64,
    stopped: bool,
}

impl Search<'_> {
    fn place(&mut self, sets: &mut [Symbols], mut tiles: Vec<Symbols>) -> bool {
        self.steps += 1;
        self.stopped |= self.steps.is_multiple_of(256) && self.clock.is_over();
        if self.stopped {
            return false;
        }
        // What lies on a page already has its place.
        tiles.retain(|tile| !sets.iter().any(|set| tile.is_subset(set)));
        let mut next: Option<(usize, u64, usize)> = None;
        for (at, tile) in tiles.iter().enumerate() {
            let fitting = sets.iter().filter(|set| self.instance.fits(&(**set | *tile)));
            let (mut ways, mut growth, mut empty) = (0, u64::MAX, false);
            for set in fitting {
                // Empty pages are all alike.
                if set.is_empty() && empty {
                    continue;
                }
                empty |= set.is_empty();
                ways += 1;
                growth = growth.min(self.instance.weight(&(*tile - *set)));
            }
            // Of those with as few ways the one that takes most room.
            let is_next = next.is_none_or(|(least, most, _)| ways < least || ways == least && growth > most);
            if is_next {
                next = Some((ways, growth, at));
            }
            if ways == 0 {
                return false;
            }
        }
        let Some((_, _, at)) = next else { return true };
        let tile = tiles.swap_remove(at);
        let mut ways: Vec<usize> =
            (0..sets.len()).filter(|at| self.instance.fits(&(sets[*at] | tile))).collect();
        ways.sort_by_key(|at| (sets[*at].is_empty(), self.instance.weight(&(tile - sets[*at]))));
        let mut empty = false;
        for at in ways {
            let before = sets[at];
            if before.is_empty() && std::mem::replace(&mut empty, true) {
                continue;
            }
            sets[at] = before | tile;
            if self.place(sets, tiles.clone()) {
                return true;
            }
            sets[at] = before;
        }
        false
    }
}
