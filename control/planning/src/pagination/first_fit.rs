//! First Fit.

use super::{Instance, Solution, Symbols};

/// Each tile, in the order given, onto the first page that has room.
pub(super) fn solve(instance: &Instance) -> Solution {
    in_order(instance, 0..instance.tiles().len())
}

/// Each tile of `order` onto the first page that has room.
pub(super) fn in_order(instance: &Instance, order: impl IntoIterator<Item = usize>) -> Solution {
    let mut sets: Vec<Symbols> = Vec::new();
    let mut pages: Vec<Vec<usize>> = Vec::new();
    for tile in order {
        let symbols = instance.tiles()[tile];
        match sets.iter().position(|set| instance.fits(&(*set | symbols))) {
            Some(page) => {
                sets[page] |= symbols;
                pages[page].push(tile);
            }
            None => {
                sets.push(symbols);
                pages.push(vec![tile]);
            }
        }
    }
    Solution { pages }
}
