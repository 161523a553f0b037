//! Bursts for two at once: references and copies of whole bursts, and their end.

mod setup;

use dpdk::{BURST, Mbuf, Mbufs, Pool};
use setup::{bytes, eal, packet, pool};

fn contents(number: usize, length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 7 + number) as u8).collect()
}

fn burst(pool: &Pool, lengths: &[usize]) -> Mbufs {
    let mut burst = Mbufs::new();
    for (number, &length) in lengths.iter().enumerate() {
        burst.push(packet(pool, &contents(number, length))).unwrap();
    }
    burst
}

#[test]
fn a_shared_burst_is_whole_again_once_its_twin_is_back() {
    let pool = pool(&eal(), 255);
    for lengths in [&[60; BURST][..], &[1500, 60, 9000, 256, 257], &[14]] {
        let mut own = burst(&pool, lengths);
        let before = pool.in_use();
        let was_plain = own.is_plain();
        let mut twin = Mbufs::new();
        own.share(&mut twin);
        assert_eq!((twin.len(), pool.in_use()), (own.len(), before), "no mbuf is used for it");
        assert!(!own.is_plain() && !twin.is_plain());
        assert!(own.iter().zip(twin.iter()).all(|(a, b)| bytes(a) == bytes(b) && !a.is_exclusive()));
        own.reunite(&mut twin);
        assert!(twin.is_empty() && own.iter().all(Mbuf::is_exclusive));
        assert_eq!(own.is_plain(), was_plain);
        drop((own, twin));
        assert_eq!(pool.in_use(), 0);
    }
}

#[test]
fn a_twin_that_lost_or_replaced_packets_leaves_no_reference() {
    let pool = pool(&eal(), 255);
    let mut own = burst(&pool, &[100; 8]);
    let (mut twin, mut third) = (Mbufs::new(), Mbufs::new());
    own.share(&mut twin);
    own.share(&mut third);
    // Dropped, copied by who writes to it, out of order, and one that is none of them.
    drop(twin.take(1));
    twin.data_mut(3).unwrap().unwrap().fill(0xee);
    let moved = twin.take(5).unwrap();
    twin.compact();
    twin.push(moved).unwrap();
    twin.push(packet(&pool, &[1; 60])).unwrap();
    drop(own.take(6));
    own.reunite(&mut twin);
    assert!(own.iter().all(|mbuf| !mbuf.is_exclusive()), "the third one still refers to all");
    assert_eq!(bytes(own.get(3).unwrap()), contents(3, 100));
    own.compact();
    own.reunite(&mut third);
    assert!(own.iter().all(Mbuf::is_exclusive) && own.is_plain());
    assert_eq!(pool.in_use() as usize, own.len());
}

#[test]
fn fronts_of_a_burst_are_copied_at_once() {
    let pool = pool(&eal(), 255);
    for lengths in [&[60; BURST][..], &[1500; BURST], &[60, 1500, 256, 257, 255], &[9000, 60, 3000], &[0, 60]]
    {
        let mut own = burst(&pool, lengths);
        let before = pool.in_use();
        let mut copies = Mbufs::new();
        copies.push(packet(&pool, &[9; 60])).unwrap();
        assert!(own.copy_fronts(256, &mut copies));
        assert_eq!(copies.len(), lengths.len(), "what was there before is gone");
        for (i, &length) in lengths.iter().enumerate() {
            assert_eq!(bytes(copies.get(i).unwrap()), contents(i, length));
            assert_eq!(copies.data(i).len(), length.min(256), "{length}");
            copies.data_mut(i).unwrap().unwrap().fill(0xee);
            assert_eq!(bytes(own.get(i).unwrap()), contents(i, length), "{length}: the front is a copy");
            assert_eq!(
                bytes(copies.get(i).unwrap())[length.min(256)..],
                contents(i, length)[length.min(256)..]
            );
        }
        copies.clear();
        assert_eq!(pool.in_use(), before);
        assert!(own.iter().all(Mbuf::is_exclusive));
    }
}

#[test]
fn fronts_that_find_too_few_mbufs_leave_none_behind() {
    let pool = pool(&eal(), 63);
    for lengths in [&[1500; BURST][..], &[60, 1500, 9000, 60, 9000, 9000, 9000]] {
        let mut own = burst(&pool, lengths);
        let before = pool.in_use();
        let mut held: Vec<_> = std::iter::from_fn(|| pool.alloc()).collect();
        held.truncate(held.len().saturating_sub(lengths.len()));
        let mut copies = Mbufs::new();
        assert!(!own.copy_fronts(256, &mut copies));
        assert!(copies.is_empty() && copies.get(0).is_none());
        drop(held);
        assert_eq!(pool.in_use(), before);
        assert!(own.iter().all(Mbuf::is_exclusive));
    }
}
