//! What is to be packed.

use super::Symbols;

/// Tiles, the weights of their symbols, and what a page holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Instance {
    capacity: u64,
    weights: Vec<u64>,
    tiles: Vec<Symbols>,
    /// All weights are 1: a set weighs what it counts.
    plain: bool,
}

/// Why there is no solution, or no instance.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InstanceError {
    /// A tile does not fit on an empty page.
    #[error("tile {tile} weighs {weight}, a page holds {capacity}")]
    Heavy {
        /// Its index.
        tile: usize,
        /// What its symbols weigh.
        weight: u64,
        /// What a page holds.
        capacity: u64,
    },
    /// A tile has a symbol without a weight.
    #[error("tile {tile} has symbol {symbol}, there are {symbols}")]
    Unknown {
        /// Index of the tile.
        tile: usize,
        /// The symbol.
        symbol: usize,
        /// How many there are.
        symbols: usize,
    },
    /// More than a [`Symbols`] holds.
    #[error("{0} symbols are more than {limit}", limit = Symbols::LIMIT)]
    Symbols(usize),
    /// More than solvers are made for.
    #[error("{0} tiles are more than {limit}", limit = Instance::MOST_TILES)]
    Tiles(usize),
}

impl Instance {
    /// Most tiles of an instance.
    pub const MOST_TILES: usize = 4096;

    /// An instance; `weights[s]` is what symbol `s` weighs.
    ///
    /// # Errors
    /// A tile that fits no page, a symbol without a weight, more symbols or tiles than the limits.
    pub fn new(capacity: u64, weights: Vec<u64>, tiles: &[Vec<usize>]) -> Result<Self, InstanceError> {
        if weights.len() > Symbols::LIMIT {
            return Err(InstanceError::Symbols(weights.len()));
        }
        if tiles.len() > Self::MOST_TILES {
            return Err(InstanceError::Tiles(tiles.len()));
        }
        let symbols = weights.len();
        for (tile, list) in tiles.iter().enumerate() {
            if let Some(&symbol) = list.iter().find(|symbol| **symbol >= symbols) {
                return Err(InstanceError::Unknown { tile, symbol, symbols });
            }
        }
        let tiles = tiles.iter().map(|tile| tile.iter().copied().collect()).collect();
        let plain = weights.iter().all(|weight| *weight == 1);
        let instance = Instance { capacity, weights, tiles, plain };
        for (tile, set) in instance.tiles.iter().enumerate() {
            let weight = instance.weight(set);
            if weight > capacity {
                return Err(InstanceError::Heavy { tile, weight, capacity });
            }
        }
        Ok(instance)
    }

    /// What a page holds.
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// The tiles.
    pub fn tiles(&self) -> &[Symbols] {
        &self.tiles
    }

    /// What each symbol weighs.
    pub fn weights(&self) -> &[u64] {
        &self.weights
    }

    /// What these symbols weigh together.
    #[inline]
    pub fn weight(&self, symbols: &Symbols) -> u64 {
        if self.plain {
            return symbols.len() as u64;
        }
        symbols.iter().fold(0, |sum, symbol| sum.saturating_add(self.weights[symbol]))
    }

    /// Whether these symbols fit on one page.
    #[inline]
    pub fn fits(&self, symbols: &Symbols) -> bool {
        self.weight(symbols) <= self.capacity
    }

    /// The instance without tiles that lie inside others, and the index here of each tile there.
    pub(super) fn without_inner_tiles(&self) -> (Instance, Vec<usize>) {
        let outer = |&at: &usize| {
            let tile = &self.tiles[at];
            let holds = |(other, set): (usize, &Symbols)| {
                // Of equal tiles the first one stays.
                other != at && tile.is_subset(set) && (tile != set || other < at)
            };
            !self.tiles.iter().enumerate().any(holds)
        };
        let kept: Vec<usize> = (0..self.tiles.len()).filter(outer).collect();
        let tiles = kept.iter().map(|at| self.tiles[*at]).collect();
        (Instance { tiles, weights: self.weights.clone(), ..*self }, kept)
    }

    /// A lower bound that takes no time: all symbols by weight, and tiles no two of which fit on one page.
    pub fn lower_bound(&self) -> usize {
        if self.tiles.is_empty() {
            return 0;
        }
        let all = self.tiles.iter().fold(Symbols::EMPTY, |all, tile| all | *tile);
        let by_weight = self.weight(&all).div_ceil(self.capacity.max(1)) as usize;
        by_weight.max(self.strangers().len()).max(1)
    }

    /// Tiles no two of which fit on one page, found greedily from several starts.
    fn strangers(&self) -> Vec<usize> {
        let count = self.tiles.len();
        let fits = |a: usize, b: usize| self.fits(&(self.tiles[a] | self.tiles[b]));
        let mut foes = vec![vec![]; count];
        for a in 0..count {
            for b in 0..a {
                if !fits(a, b) {
                    foes[a].push(b);
                    foes[b].push(a);
                }
            }
        }
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by_key(|tile| std::cmp::Reverse(foes[*tile].len()));
        let mut best = Vec::new();
        for start in 0..count.min(64) {
            let mut group = vec![order[start]];
            for tile in order.iter().filter(|tile| **tile != order[start]) {
                if group.iter().all(|other| !fits(*other, *tile)) {
                    group.push(*tile);
                }
            }
            if group.len() > best.len() {
                best = group;
            }
        }
        best
    }
}
