//! Any calls on a small flow table with crowded buckets: it holds what a map holds.
#![no_main]

use std::collections::HashMap;

use libfuzzer_sys::fuzz_target;
use tables::flow_table::{Cursor, Displaced, Eviction, FlowTable, Full};

fuzz_target!(|input: (u8, u64, bool, Vec<(u8, u8, u16)>)| {
    let (capacity, seed, evict, calls) = input;
    let capacity = usize::from(capacity);
    let eviction = if evict { Eviction::Oldest } else { Eviction::Refuse };
    let mut table = FlowTable::with_capacity(capacity, seed).evicting(eviction).expiring(3, 0);
    // Value and deadline.
    let mut model: HashMap<u8, (u16, u64)> = HashMap::new();
    let hash = |key: u8| u32::from(key & 7);
    let mut now = 0;
    for (call, key, number) in calls {
        match call % 5 {
            0 | 1 => match table.insert(key, hash(key), number) {
                Err(Full) => assert!(model.len() == capacity && !model.contains_key(&key)),
                Ok(inserted) => {
                    let deadline = match inserted.displaced {
                        Displaced::Nothing => u64::MAX,
                        Displaced::Value(old) => {
                            assert_eq!(model[&key].0, old);
                            model[&key].1
                        }
                        Displaced::Evicted(_, other, value) => {
                            assert_eq!(model.remove(&other).map(|entry| entry.0), Some(value));
                            u64::MAX
                        }
                    };
                    model.insert(key, (number, deadline));
                }
            },
            2 => assert_eq!(table.remove(&key, hash(key)).map(|e| e.1), model.remove(&key).map(|e| e.0)),
            3 => {
                if let Some(id) = table.find(&key, hash(key)) {
                    let deadline = now + u64::from(number);
                    assert!(table.touch(id, deadline));
                    model.get_mut(&key).expect("both have it").1 = deadline;
                }
            }
            _ => {
                now += u64::from(number) + 3;
                table.expire(now, usize::MAX, |_, key, value| {
                    let (known, deadline) = model.remove(&key).expect("both have it");
                    assert!(known == value && deadline <= now);
                });
                assert!(model.values().all(|entry| entry.1.saturating_add(3) > now));
            }
        }
        assert_eq!(table.len(), model.len());
    }
    let (mut seen, mut cursor) = (0, Some(Cursor::default()));
    while let Some(at) = cursor {
        cursor = table.scan(at, 5, |_, key, value| {
            assert_eq!(model[key].0, *value);
            seen += 1;
        });
    }
    assert_eq!(seen, model.len());
});
