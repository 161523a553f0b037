//! Pages, and the check that they are right.

use super::{Instance, Symbols};
use serde::Serialize;

/// For each page the indices of its tiles.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Solution {
    /// The pages; none is empty.
    pub pages: Vec<Vec<usize>>,
}

/// What is wrong with a solution.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Fault {
    /// A tile is on no page.
    #[error("tile {0} is on no page")]
    Missing(usize),
    /// A tile is on two pages, or twice on one.
    #[error("tile {0} is there twice")]
    Twice(usize),
    /// There is no such tile.
    #[error("there is no tile {0}")]
    Unknown(usize),
    /// A page is overfull.
    #[error("page {page} weighs {weight}, it holds {capacity}")]
    Overfull {
        /// Its index.
        page: usize,
        /// What its symbols weigh.
        weight: u64,
        /// What it holds.
        capacity: u64,
    },
    /// A page without tiles.
    #[error("page {0} is empty")]
    Empty(usize),
}

impl Solution {
    /// How many pages there are.
    pub fn len(&self) -> usize {
        self.pages.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// The symbols of each page.
    pub fn symbols(&self, instance: &Instance) -> Vec<Symbols> {
        let union = |page: &Vec<usize>| page.iter().fold(Symbols::EMPTY, |all, t| all | instance.tiles()[*t]);
        self.pages.iter().map(union).collect()
    }

    /// Checks it: each tile on one page, no page overfull.
    ///
    /// # Errors
    /// The first fault found.
    pub fn check(&self, instance: &Instance) -> Result<(), Fault> {
        let mut seen = vec![false; instance.tiles().len()];
        for (number, page) in self.pages.iter().enumerate() {
            let mut union = Symbols::EMPTY;
            for &tile in page {
                match seen.get_mut(tile) {
                    None => return Err(Fault::Unknown(tile)),
                    Some(true) => return Err(Fault::Twice(tile)),
                    Some(seen) => *seen = true,
                }
                union |= instance.tiles()[tile];
            }
            let (weight, capacity) = (instance.weight(&union), instance.capacity());
            if weight > capacity {
                return Err(Fault::Overfull { page: number, weight, capacity });
            }
            if page.is_empty() {
                return Err(Fault::Empty(number));
            }
        }
        match seen.iter().position(|seen| !seen) {
            Some(tile) => Err(Fault::Missing(tile)),
            None => Ok(()),
        }
    }

    /// The pages of groups of symbols: each tile goes onto the first page that has all of its symbols.
    pub(super) fn of_sets(instance: &Instance, sets: &[Symbols]) -> Solution {
        let mut pages = vec![Vec::new(); sets.len()];
        for (tile, symbols) in instance.tiles().iter().enumerate() {
            if let Some(page) = sets.iter().position(|set| symbols.is_subset(set)) {
                pages[page].push(tile);
            }
        }
        pages.retain(|page| !page.is_empty());
        Solution { pages }
    }

    /// The solution for `whole`, of which this one packs only the tiles `kept`: the others lie inside those.
    pub(super) fn spread(self, whole: &Instance, kept: &[usize]) -> Solution {
        let pages = self.pages.iter().map(|page| page.iter().map(|tile| kept[*tile]).collect()).collect();
        let sets = Solution { pages }.symbols(whole);
        Solution::of_sets(whole, &sets)
    }
}
