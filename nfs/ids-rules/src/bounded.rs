//! A table of fixed size that forgets in a stated way.

use std::hash::Hash;

use hashbrown::HashMap;

/// How many entries are compared when one has to go.
const COMPARED: usize = 16;

/// A table with at most as many entries as it was made for.
///
/// When it is full and something new comes, the next 16 places in turn are compared, and the entry that would be the
/// first to lose its meaning (the least of what the table's owner calls its end) goes. So which one goes depends on
/// nothing but what has come before; the cost is bounded; and an entry that still means something is forgotten only
/// where 16 of its neighbours do, too.
#[derive(Clone, Debug)]
pub(crate) struct Bounded<K, V> {
    places: HashMap<K, u32, ahash::RandomState>,
    entries: Vec<(K, V)>,
    most: usize,
    hand: usize,
    evicted: u64,
}

impl<K: Copy + Eq + Hash, V> Bounded<K, V> {
    /// A table of at most `most` entries, at least one. Memory is taken as it fills.
    pub fn new(most: usize) -> Self {
        // Fixed seeds would let a sender choose addresses that collide; the order of entries does not depend on them.
        let hasher = ahash::RandomState::new();
        let most = most.clamp(1, u32::MAX as usize);
        Self { places: HashMap::with_hasher(hasher), entries: Vec::new(), most, hand: 0, evicted: 0 }
    }

    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let place = *self.places.get(key)?;
        self.entries.get_mut(place as usize).map(|(_, value)| value)
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        let place = *self.places.get(key)?;
        self.entries.get(place as usize).map(|(_, value)| value)
    }

    /// Puts in what is not there yet; `end` says when an entry loses its meaning.
    pub fn insert(&mut self, key: K, value: V, end: impl Fn(&V) -> u64) {
        if let Some(there) = self.get_mut(&key) {
            *there = value;
            return;
        }
        if self.entries.len() < self.most {
            self.places.insert(key, self.entries.len() as u32);
            self.entries.push((key, value));
            return;
        }
        let candidates = (0..COMPARED.min(self.most)).map(|step| (self.hand + step) % self.most);
        let goes = candidates.min_by_key(|&place| end(&self.entries[place].1)).unwrap_or(0);
        self.hand = (self.hand + COMPARED) % self.most;
        self.places.remove(&self.entries[goes].0);
        self.places.insert(key, goes as u32);
        self.entries[goes] = (key, value);
        self.evicted += 1;
    }

    pub fn remove(&mut self, key: &K) {
        let Some(place) = self.places.remove(key) else { return };
        self.entries.swap_remove(place as usize);
        if let Some((moved, _)) = self.entries.get(place as usize) {
            self.places.insert(*moved, place);
        }
    }

    pub fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        self.entries.retain(|(key, value)| keep(key, value));
        self.places.clear();
        for (place, (key, _)) in self.entries.iter().enumerate() {
            self.places.insert(*key, place as u32);
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &(K, V)> {
        self.entries.iter()
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn evicted(&self) -> u64 {
        self.evicted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_first_goes_and_the_size_stays() {
        let mut table = Bounded::new(4);
        for (key, end) in [(1, 40), (2, 10), (3, 30), (4, 20), (5, 50)] {
            table.insert(key, end, |&end| end);
        }
        assert_eq!((table.len(), table.evicted()), (4, 1));
        assert!(table.get(&2).is_none() && table.get(&5) == Some(&50));
        table.remove(&1);
        assert_eq!(table.get(&5), Some(&50));
        table.insert(6, 5, |&end| end);
        table.insert(7, 60, |&end| end);
        assert!(table.get(&6).is_none(), "6 ended first");
        table.retain(|_, &end| end > 30);
        assert_eq!(table.get(&7), Some(&60));
        assert!(table.get(&3).is_none());
    }
}
