//! A map of bounded size: the oldest entry gives way.

use ahash::RandomState;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

pub(super) struct Bounded<K, V> {
    entries: HashMap<K, (V, u64), RandomState>,
    /// Keys in the order in which they came, with the number of their coming: of what was removed since, another one.
    order: VecDeque<(K, u64)>,
    capacity: usize,
    comings: u64,
    pub evicted: u64,
}

impl<K: Copy + Eq + Hash + Ord, V> Bounded<K, V> {
    pub(super) fn new(capacity: usize, seed: u64) -> Bounded<K, V> {
        let hasher = RandomState::with_seeds(seed, !seed, seed.rotate_left(32), 1);
        Bounded {
            entries: HashMap::with_hasher(hasher),
            order: VecDeque::new(),
            capacity: capacity.max(1),
            comings: 0,
            evicted: 0,
        }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(value, _)| value)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).map(|(value, _)| value)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        if let Some(known) = self.get_mut(&key) {
            *known = value;
            return;
        }
        self.make_room();
        self.comings += 1;
        self.order.push_back((key, self.comings));
        self.entries.insert(key, (value, self.comings));
    }

    /// The value of a key, or a new one.
    pub(super) fn get_or_insert(&mut self, key: K, new: impl FnOnce() -> V) -> &mut V {
        if !self.entries.contains_key(&key) {
            self.make_room();
            self.comings += 1;
            self.order.push_back((key, self.comings));
        }
        let coming = self.comings;
        &mut self.entries.entry(key).or_insert_with(|| (new(), coming)).0
    }

    fn make_room(&mut self) {
        while self.entries.len() >= self.capacity {
            let Some((oldest, coming)) = self.order.pop_front() else { return };
            if self.entries.get(&oldest).is_some_and(|(_, came)| *came == coming) {
                self.entries.remove(&oldest);
                self.evicted += 1;
            }
        }
        // Of what was removed in other ways only so much stays listed.
        if self.order.len() > 2 * self.capacity {
            let entries = &self.entries;
            self.order.retain(|(key, coming)| entries.get(key).is_some_and(|(_, came)| came == coming));
        }
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        self.entries.remove(key).map(|(value, _)| value)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// All entries, the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.order.iter().filter_map(|(key, coming)| {
            let (value, came) = self.entries.get(key)?;
            (came == coming).then_some((key, value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_gives_way() {
        let mut map = Bounded::new(3, 1);
        (0..5).for_each(|key| map.insert(key, key * 10));
        assert_eq!(map.iter().collect::<Vec<_>>(), [(&2, &20), (&3, &30), (&4, &40)]);
        assert_eq!(map.evicted, 2);
        map.insert(2, 21);
        assert_eq!((map.get(&2), map.len(), map.evicted), (Some(&21), 3, 2));
    }

    #[test]
    fn what_comes_and_goes_leaves_nothing_behind() {
        let mut map = Bounded::new(4, 1);
        for round in 0..1000 {
            map.insert(7, round);
            assert_eq!(map.remove(&7), Some(round));
        }
        assert_eq!((map.len(), map.evicted), (0, 0));
        assert!(map.order.len() <= 8);
        map.insert(7, 1);
        assert_eq!(map.iter().count(), 1);
    }
}
