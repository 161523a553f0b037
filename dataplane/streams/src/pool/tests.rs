//! The pool by itself.

use super::*;

fn held(from: u64, to: u64) -> Held {
    Held { from, to, doubtful: false }
}

fn read(pool: &Pool, handle: Handle, from: u64, to: u64) -> Vec<u8> {
    pool.bytes(handle, from, to).flat_map(|(_, bytes)| bytes).copied().collect()
}

#[test]
fn bytes_are_found_where_they_were_written_across_chunks() {
    let mut pool = Pool::new(4 * CHUNK);
    let handle = pool.open();
    let text: Vec<u8> = (0..CHUNK + 100).map(|byte| byte as u8).collect();
    let at = 3 * CHUNK as u64 - 50;
    pool.reserve(handle, at, at + text.len() as u64).unwrap();
    pool.write(handle, at, &text);
    assert_eq!(read(&pool, handle, at, at + text.len() as u64), text);
    assert_eq!(pool.used(), 3 * CHUNK);
    pool.discard_before(handle, 3 * CHUNK as u64);
    assert_eq!(pool.used(), 2 * CHUNK);
    pool.reserve(handle, at, at + 1).unwrap();
    assert_eq!(pool.used(), 3 * CHUNK, "before the first block again");
    pool.close(handle);
    assert_eq!((pool.used(), pool.holders(), pool.most_used()), (0, 0, 3 * CHUNK));
    assert!(read(&pool, handle, at, at + 1).is_empty());
}

#[test]
fn segments_are_kept_in_order() {
    let mut pool = Pool::new(CHUNK);
    let handle = pool.open();
    for (from, to) in [(5, 6), (1, 2), (9, 10), (1, 3)] {
        pool.hold(handle, held(from, to)).unwrap();
    }
    let order: Vec<_> = pool.held(handle).map(|held| (held.from, held.to)).collect();
    assert_eq!(order, [(1, 2), (1, 3), (5, 6), (9, 10)]);
    assert_eq!(pool.top(handle), 10);
    assert!(pool.follows_last(handle, &held(10, 12)));
    pool.extend_last(handle, 12);
    pool.drop_first(handle);
    assert_eq!((pool.held(handle).len(), pool.top(handle)), (3, 12));
}

#[test]
fn a_handle_of_before_finds_nothing() {
    let mut pool = Pool::new(CHUNK);
    let old = pool.open();
    pool.close(old);
    let new = pool.open();
    assert_eq!(old.index, new.index);
    assert!(!pool.has(old) && pool.has(new));
    pool.close(old);
    assert_eq!(pool.hold(old, held(0, 1)), Err(NoRoom));
    assert!(pool.has(new));
}

#[test]
fn the_least_recently_used_gives_way_and_segments_are_bounded_too() {
    let mut pool = Pool::new(2 * CHUNK);
    let (first, second, third) = (pool.open(), pool.open(), pool.open());
    pool.reserve(first, 0, 1).unwrap();
    pool.reserve(second, 0, 1).unwrap();
    pool.reserve(first, 0, 2).unwrap();
    pool.reserve(third, 0, 1).unwrap();
    assert_eq!((pool.has(first), pool.has(second), pool.has(third)), (true, false, true));
    assert_eq!(pool.evictions(), 1);
    for from in 0..2 * HELD_PER_CHUNK as u64 {
        pool.hold(first, held(from, from + 1)).unwrap();
    }
    assert!(pool.has(third));
    pool.hold(third, held(0, 1)).unwrap();
    assert!(!pool.has(first));
    for from in 1..2 * HELD_PER_CHUNK as u64 {
        pool.hold(third, held(from, from + 1)).unwrap();
    }
    assert_eq!(pool.hold(third, held(0, 1)), Err(NoRoom));
}
