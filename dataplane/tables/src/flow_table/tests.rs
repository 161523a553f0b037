use std::collections::HashMap;

use proptest::prelude::*;

use super::{Cursor, Displaced, EntryId, Eviction, FlowTable, Full};

/// A hash that many keys share, so buckets overflow.
fn crowded(key: u32) -> u32 {
    key % 3
}

#[test]
fn what_is_inserted_is_found_until_it_is_removed() {
    let mut table = FlowTable::with_capacity(100, 7);
    for key in 0..100u32 {
        let inserted = table.insert(key, crowded(key), key * 2).unwrap();
        assert_eq!(inserted.displaced, Displaced::Nothing);
    }
    assert_eq!(table.insert(100, crowded(100), 0), Err(Full));
    for key in 0..100 {
        assert_eq!(table.get(&key, crowded(key)), Some(&(key * 2)));
    }
    for key in (0..100).step_by(2) {
        assert_eq!(table.remove(&key, crowded(key)), Some((key, key * 2)));
    }
    assert_eq!(table.len(), 50);
    for key in 0..100 {
        assert_eq!(table.get(&key, crowded(key)).is_some(), key % 2 == 1);
    }
}

#[test]
fn a_second_value_for_a_key_displaces_the_first() {
    let mut table = FlowTable::with_capacity(1, 0);
    let first = table.insert('a', 1, 10).unwrap();
    let second = table.insert('a', 1, 20).unwrap();
    assert_eq!((second.id, second.displaced), (first.id, Displaced::Value(10)));
    assert_eq!(table.len(), 1);
}

#[test]
fn an_identifier_outlives_its_entry_and_finds_nothing() {
    let mut table = FlowTable::with_capacity(1, 0);
    let old = table.insert('a', 1, 10).unwrap().id;
    assert_eq!(table.remove_entry(old), Some(('a', 10)));
    let new = table.insert('b', 1, 20).unwrap().id;
    assert_eq!((old.index(), new.index()), (0, 0));
    assert_eq!(table.entry(old), None);
    assert_eq!(table.value_mut(old), None);
    assert!(!table.touch(old, 5));
    assert_eq!(table.remove_entry(old), None);
    assert_eq!(table.entry(new), Some((&'b', &20)));
}

#[test]
fn a_full_table_evicts_an_entry_that_was_not_touched() {
    let mut table = FlowTable::with_capacity(4, 0).evicting(Eviction::Oldest);
    let ids: Vec<EntryId> = (0..4u32).map(|key| table.insert(key, key, ()).unwrap().id).collect();
    // All are new, so the hand spares each once and takes the first.
    assert_eq!(table.insert(4, 4, ()).unwrap().displaced, Displaced::Evicted(ids[0], 0, ()));
    table.touch(ids[1], 0);
    assert_eq!(table.insert(5, 5, ()).unwrap().displaced, Displaced::Evicted(ids[2], 2, ()));
    assert_eq!(table.len(), 4);
    assert!(table.get(&1, 1).is_some());
}

#[test]
fn a_table_without_room_refuses_under_every_policy() {
    for eviction in [Eviction::Refuse, Eviction::Oldest] {
        let mut table = FlowTable::with_capacity(0, 0).evicting(eviction).expiring(1, 0);
        assert_eq!(table.insert(1, 1, ()), Err(Full));
        assert_eq!(table.get(&1, 1), None);
        let mut out = [None];
        table.lookup_bulk(&[1], &[1], &mut out);
        assert_eq!((out, table.expire(9, 9, |_, _, _| ())), ([None], 0));
        assert_eq!(table.scan(Cursor::default(), 4, |_, _, _| ()), None);
    }
}

#[test]
fn an_entry_touched_again_stays_until_its_last_deadline() {
    let mut table = FlowTable::with_capacity(4, 0).expiring(10, 0);
    let id = table.insert('a', 1, ()).unwrap().id;
    table.touch(id, 100);
    table.touch(id, 250);
    assert_eq!(table.expire(200, 9, |_, _, _| ()), 0);
    let mut gone = vec![];
    assert_eq!(table.expire(250, 9, |id, key, ()| gone.push((id, key))), 1);
    assert_eq!(gone, [(id, 'a')]);
    assert!(table.is_empty());
}

#[test]
fn a_deadline_may_be_brought_forward_and_none_means_never() {
    let mut table = FlowTable::with_capacity(4, 0).expiring(1, 0);
    let early = table.insert('a', 1, ()).unwrap().id;
    table.insert('b', 2, ()).unwrap();
    table.touch(early, 1_000_000);
    table.touch(early, 50);
    assert_eq!(table.next_expiry(), Some(50));
    assert_eq!(table.expire(50, 9, |_, _, _| ()), 1);
    assert_eq!(table.expire(u64::MAX, 9, |_, _, _| ()), 0);
    assert!(table.get(&'b', 2).is_some());
}

#[test]
fn an_evicted_entry_takes_its_timer_along() {
    let mut table = FlowTable::with_capacity(1, 0).evicting(Eviction::Oldest).expiring(1, 0);
    let first = table.insert('a', 1, ()).unwrap().id;
    table.touch(first, 50);
    table.insert('b', 2, ()).unwrap();
    assert_eq!(table.expire(1_000, 9, |_, _, _| ()), 0);
    assert!(table.get(&'b', 2).is_some());
}

#[test]
fn bulk_finds_what_one_by_one_finds() {
    let count: u32 = if cfg!(miri) { 40 } else { 200 };
    let mut table = FlowTable::with_capacity(count as usize, 3);
    for key in 0..count {
        table.insert(key, crowded(key), key).unwrap();
    }
    let keys: Vec<u32> = (count / 2..count / 2 + count).collect();
    let hashes: Vec<u32> = keys.iter().copied().map(crowded).collect();
    let mut out = vec![None; keys.len()];
    table.lookup_bulk(&keys, &hashes, &mut out);
    for (i, &key) in keys.iter().enumerate() {
        assert_eq!(out[i], table.find(&key, hashes[i]));
        assert_eq!(out[i].is_some(), key < count);
    }
}

#[test]
fn a_walk_through_a_sparse_table_looks_at_a_bounded_number_of_places() {
    let count: u32 = if cfg!(miri) { 200 } else { 1_000 };
    let mut table = FlowTable::with_capacity(count as usize, 0);
    let ids: Vec<EntryId> = (0..count).map(|key| table.insert(key, key, ()).unwrap().id).collect();
    for id in &ids[..ids.len() - 1] {
        table.remove_entry(*id);
    }
    let (mut calls, mut cursor, mut seen) = (0, Some(Cursor::default()), vec![]);
    while let Some(at) = cursor {
        cursor = table.scan(at, 4, |_, &key, ()| seen.push(key));
        calls += 1;
    }
    assert_eq!((calls, seen), (count.div_ceil(4 * 16), vec![count - 1]));
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u16),
    Remove(u16),
    Touch(u16, u64),
    Expire(u64),
    Bulk(Vec<u16>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (0..60u16).prop_map(Step::Insert),
        2 => (0..60u16).prop_map(Step::Remove),
        2 => (0..60u16, 0..500u64).prop_map(|(key, delay)| Step::Touch(key, delay)),
        1 => (0..100u64).prop_map(Step::Expire),
        1 => prop::collection::vec(0..60u16, 0..70).prop_map(Step::Bulk),
    ];
    prop::collection::vec(step, 1..if cfg!(miri) { 50 } else { 200 })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 256 }))]

    /// Against a hash map, with hashes from all different to all the same.
    #[test]
    fn as_a_map(steps in steps(), shift in 0..7u32, seed in any::<u64>(), evict in any::<bool>(), capacity in 1..40usize) {
        let hash = |key: u16| u32::from(key) >> shift;
        let eviction = if evict { Eviction::Oldest } else { Eviction::Refuse };
        let mut table = FlowTable::with_capacity(capacity, seed).evicting(eviction).expiring(1, 0);
        // The number of the insertion, and the deadline.
        let mut model: HashMap<u16, (usize, u64)> = HashMap::new();
        let mut now = 0;
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Insert(key) => match table.insert(key, hash(key), number) {
                    Err(Full) => prop_assert!(!evict && model.len() == capacity && !model.contains_key(&key)),
                    Ok(inserted) => {
                        let deadline = match inserted.displaced {
                            Displaced::Nothing => {
                                prop_assert!(model.len() < capacity && !model.contains_key(&key));
                                u64::MAX
                            }
                            Displaced::Value(old) => {
                                let (known, deadline) = model[&key];
                                prop_assert_eq!(known, old);
                                deadline
                            }
                            Displaced::Evicted(_, other, value) => {
                                prop_assert!(evict && model.len() == capacity);
                                prop_assert_eq!(model.remove(&other).map(|entry| entry.0), Some(value));
                                u64::MAX
                            }
                        };
                        model.insert(key, (number, deadline));
                    }
                },
                Step::Remove(key) => {
                    let removed = table.remove(&key, hash(key));
                    prop_assert_eq!(removed, model.remove(&key).map(|entry| (key, entry.0)));
                }
                Step::Touch(key, delay) => {
                    if let Some(id) = table.find(&key, hash(key)) {
                        prop_assert!(table.touch(id, now + delay));
                        model.get_mut(&key).unwrap().1 = now + delay;
                    }
                }
                Step::Expire(jump) => {
                    now += jump + 1;
                    table.expire(now, usize::MAX, |_, key, value| {
                        let (known, deadline) = model.remove(&key).unwrap();
                        assert_eq!(known, value);
                        assert!(deadline <= now);
                    });
                    prop_assert!(model.values().all(|entry| entry.1 > now));
                }
                Step::Bulk(keys) => {
                    let hashes: Vec<u32> = keys.iter().map(|&key| hash(key)).collect();
                    let mut out = vec![None; keys.len()];
                    table.lookup_bulk(&keys, &hashes, &mut out);
                    for (key, id) in keys.iter().zip(out) {
                        let value = id.and_then(|id| table.entry(id)).map(|(_, &value)| value);
                        prop_assert_eq!(value, model.get(key).map(|entry| entry.0));
                    }
                }
            }
            prop_assert_eq!(table.len(), model.len());
        }
        for key in 0..60 {
            prop_assert_eq!(table.get(&key, hash(key)).copied(), model.get(&key).map(|entry| entry.0));
        }
    }

    /// A walk with insertions and removals in between sees every entry that stays, once.
    #[test]
    fn a_walk_skips_no_entry_that_stays(
        changes in prop::collection::vec((any::<bool>(), 100..160u16), 0..120),
        count in 1..20usize,
    ) {
        let mut table = FlowTable::with_capacity(128, 1);
        for key in 0..160u16 {
            if key % 5 < 2 || key >= 130 {
                table.insert(key, key.into(), ()).unwrap();
            }
        }
        let stays: Vec<u16> = (0..100).filter(|key| key % 5 < 2).collect();
        let mut changes = changes.into_iter();
        let (mut seen, mut cursor) = (vec![], Some(Cursor::default()));
        while let Some(at) = cursor {
            cursor = table.scan(at, count, |_, &key, ()| seen.push(key));
            for (insert, key) in changes.by_ref().take(7) {
                if insert {
                    _ = table.insert(key, key.into(), ());
                } else {
                    table.remove(&key, key.into());
                }
            }
        }
        seen.retain(|&key| key < 100);
        seen.sort_unstable();
        prop_assert_eq!(seen, stays);
    }
}

#[test]
fn the_deadline_last_given_can_be_read_back() {
    let mut table: FlowTable<u32, u32> = FlowTable::with_capacity(4, 0);
    let id = table.insert(7, 7, 1).expect("room").id;
    assert_eq!(table.deadline(id), Some(u64::MAX));
    table.touch(id, 99);
    assert_eq!(table.deadline(id), Some(99));
    table.remove_entry(id);
    assert_eq!(table.deadline(id), None);
}

#[test]
fn an_entry_of_36_bytes_is_one_cache_line() {
    let table: FlowTable<[u32; 4], ([u32; 4], std::num::NonZeroU32)> = FlowTable::with_capacity(6000, 0);
    assert_eq!(table.bytes_per_entry(), 64 + size_of::<u32>() + 11);
}
