//! Bursts: order, holes, room.

mod setup;

use dpdk::{BURST, Mbufs};
use setup::{eal, numbered, numbers, packet, pool};

#[test]
fn a_burst_takes_thirty_two_and_gives_the_next_one_back() {
    let pool = pool(&eal(), 63);
    let mut burst = numbered(&pool, 32);
    assert!(burst.is_full());
    let extra = burst.push(pool.alloc().unwrap()).unwrap_err();
    assert_eq!(extra.len(), 0);
    assert_eq!(numbers(&burst), (0..32).collect::<Vec<_>>());
    drop(extra);
    drop(burst);
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn holes_stay_until_the_burst_is_compacted() {
    let pool = pool(&eal(), 63);
    let mut burst = numbered(&pool, 6);
    for i in [0, 3, 5] {
        assert_eq!(burst.take(i).unwrap().data()[0], i as u8);
    }
    assert!(burst.take(3).is_none() && burst.get(3).is_none() && burst.get_mut(0).is_none());
    assert_eq!((burst.len(), numbers(&burst)), (6, vec![1, 2, 4]));
    burst.compact();
    assert_eq!((burst.len(), numbers(&burst)), (3, vec![1, 2, 4]));
    for mbuf in burst.iter_mut() {
        mbuf.data_mut().unwrap()[0] += 10;
    }
    assert_eq!(numbers(&burst), [11, 12, 14]);
}

#[test]
fn appending_moves_what_fits_and_keeps_the_rest() {
    let pool = pool(&eal(), 127);
    let (mut to, mut from) = (numbered(&pool, 30), numbered(&pool, 5));
    from.take(0);
    assert_eq!(to.append(&mut from), 2);
    assert_eq!((to.len(), &numbers(&to)[30..]), (BURST, &[1, 2][..]));
    assert_eq!((from.len(), numbers(&from)), (2, vec![3, 4]));
    assert_eq!(to.append(&mut from), 0);
}

#[test]
fn splitting_by_a_mask_keeps_the_order_on_both_sides() {
    let pool = pool(&eal(), 127);
    let (mut burst, mut picked) = (numbered(&pool, 32), numbered(&pool, 1));
    burst.take(2);
    burst.split_mask(1 << 31 | 0b1110, &mut picked);
    assert_eq!(numbers(&picked), [0, 1, 3, 31]);
    assert_eq!(burst.len(), 28);
    assert_eq!(&numbers(&burst)[..3], [0, 4, 5]);
    let mut full = numbered(&pool, 31);
    burst.split_mask(0b11, &mut full);
    assert_eq!((full.len(), numbers(&burst)[0]), (32, 4), "what finds no room stays");
}

#[test]
fn draining_gives_all_in_order_and_frees_what_is_not_taken() {
    let pool = pool(&eal(), 63);
    let mut burst = numbered(&pool, 8);
    burst.take(1);
    let taken: Vec<_> = burst.drain().take(3).collect();
    assert_eq!(taken.iter().map(|mbuf| mbuf.data()[0]).collect::<Vec<_>>(), [0, 2, 3]);
    assert!(burst.is_empty());
    assert_eq!(pool.in_use(), 3);
    let mut empty = Mbufs::default();
    empty.clear();
    assert_eq!(empty.drain().count(), 0);
}

#[test]
fn shared_packets_in_a_burst_lose_one_reference_each() {
    let pool = pool(&eal(), 63);
    let mut burst = numbered(&pool, 4);
    let twins: Vec<_> = burst.iter_mut().map(|mbuf| mbuf.share()).collect();
    burst.clear();
    assert_eq!(pool.in_use(), 4);
    assert!(twins.iter().all(|twin| twin.is_exclusive()));
    drop(twins);
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn a_burst_knows_as_long_as_it_can_that_its_packets_are_plain() {
    let pool = pool(&eal(), 63);
    let of = |lengths: &[usize]| {
        let mut burst = Mbufs::new();
        for &length in lengths {
            burst.push(packet(&pool, &vec![7; length])).unwrap();
        }
        burst
    };
    let mut burst = of(&[60, 14, 1500]);
    assert!(burst.is_plain() && burst.as_slice().is_some_and(|packets| packets.len() == 3));
    burst.data_mut(0).unwrap().unwrap()[0] = 1;
    assert!(burst.is_plain(), "writing to bytes changes nothing of that");
    let taken = burst.take(1);
    assert!(!burst.is_plain() && burst.as_slice().is_none(), "a hole");
    burst.compact();
    assert!(burst.is_plain());
    let twin = burst.get_mut(0).unwrap().share();
    assert!(!burst.is_plain(), "shared");
    let mut other = of(&[60]);
    assert_eq!(other.append(&mut burst), 2);
    assert!(!other.is_plain());
    drop((taken, twin));
    burst.push(packet(&pool, &[7; 60])).unwrap();
    assert!(burst.is_plain(), "what is gone says nothing of those that come");
    other.clear();
    burst.split_mask(1, &mut other);
    assert!(other.is_plain());
    assert!(!of(&[13]).is_plain(), "shorter than an Ethernet header");
    assert!(!of(&[60, 5000]).is_plain(), "several segments");
}
