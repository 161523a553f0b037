//! Pools: exhaustion, bulk, and the memory that outlives its handles.

mod setup;

use dpdk::{BURST, DpdkError, Mbufs, Pool};
use setup::{bytes, eal, packet, pool};

#[test]
fn an_exhausted_pool_gives_none_and_recovers() {
    let eal = eal();
    let pool = pool(&eal, 31);
    let held: Vec<_> = std::iter::from_fn(|| pool.alloc()).collect();
    assert_eq!((held.len(), pool.available(), pool.in_use(), pool.size()), (31, 0, 31, 31));
    let mut burst = Mbufs::new();
    assert!(!pool.alloc_bulk(&mut burst, 1));
    assert!(burst.is_empty());
    drop(held);
    assert!(pool.alloc_bulk(&mut burst, 31));
    assert_eq!((burst.len(), pool.available()), (31, 0));
    assert!(!pool.alloc_bulk(&mut burst, 2), "no room for two");
    burst.clear();
    assert_eq!(pool.available(), 31);
    assert!(!pool.alloc_bulk(&mut burst, BURST + 1));
    assert!(pool.alloc_bulk(&mut burst, 0));
}

#[test]
fn everything_that_needs_an_mbuf_fails_softly_without_one() {
    let eal = eal();
    let pool = pool(&eal, 2);
    let mut one = packet(&pool, &[1; 100]);
    let mut twin = one.share();
    let _last = pool.alloc().unwrap();
    assert!(twin.copy().is_none() && !twin.make_exclusive() && twin.data_mut().is_none());
    assert!(twin.segments_mut().is_none() && twin.append(1).is_none() && twin.prepend(1).is_none());
    assert!(!twin.trim_front(1) && !twin.truncate(1) && !twin.fill(&[2; 10]));
    assert!(!twin.set_meta([1, 2, 3]) && !twin.set_port(1));
    drop(twin);
    assert!(one.append(2000).is_none(), "a second segment is needed");
    assert!(!one.fill(&[2; 5000]), "two more are needed");
    assert_eq!(bytes(&one), [1; 100], "nothing has changed");
    assert!(one.append(100).is_some());
}

#[test]
fn pools_that_cannot_be_are_refused_with_words() {
    let eal = eal();
    for (count, room) in [(0, 2048), (10, 0), (10, u16::MAX)] {
        let error = Pool::new(&eal, "none", count, 0, room, None).unwrap_err();
        assert!(matches!(error, DpdkError::InvalidArgument(_)), "{error}");
    }
    let error = Pool::new(&eal, "huge", 10_000_000, 0, 2048, None).unwrap_err();
    assert!(matches!(error, DpdkError::OutOfMemory { .. }), "{error}");
    assert!(error.to_string().contains("huge"), "{error}");
}

#[test]
fn a_pool_without_handles_lives_until_its_last_mbuf_is_back() {
    let eal = eal();
    let pool = pool(&eal, 63);
    let mut one = packet(&pool, &[7; 200]);
    let twin = one.share();
    drop(pool);
    assert_eq!(Pool::sweep(), 1, "its mbuf is out");
    let copy = twin.copy().expect("a retired pool still serves its own mbufs");
    drop(one);
    drop(twin);
    assert_eq!(Pool::sweep(), 1, "a copy is out");
    assert_eq!(bytes(&copy), [7; 200]);
    drop(copy);
    assert_eq!(Pool::sweep(), 0);
}

#[test]
fn retired_pools_give_their_memory_back() {
    let eal = eal();
    // Each takes about 50 of the 128 MB.
    for round in 0..10 {
        let pool = Pool::new(&eal, "big", 20_000, 256, 2048, None).unwrap_or_else(|e| panic!("{round}: {e}"));
        let last = pool.alloc();
        drop(pool);
        drop(last);
    }
}

#[test]
fn a_pool_is_not_freed_under_threads_that_still_put_mbufs_back() {
    let eal = eal();
    for _ in 0..30 {
        let pool = Pool::new(&eal, "busy", 1023, 64, 256, None).unwrap();
        let start = std::sync::Barrier::new(3);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let _guard = eal.register_thread().unwrap();
                    let mut bursts: Vec<Mbufs> = (0..8).map(|_| Mbufs::new()).collect();
                    for burst in &mut bursts {
                        assert!(pool.alloc_bulk(burst, 32));
                    }
                    start.wait();
                    for mut burst in bursts {
                        for i in 0..4 {
                            let copy = burst.get(i).and_then(|mbuf| mbuf.copy());
                            drop(copy);
                            drop(burst.take(i));
                        }
                        burst.clear();
                    }
                });
            }
            start.wait();
            drop(pool.clone());
            for _ in 0..20 {
                Pool::sweep();
            }
        });
        drop(pool);
        assert_eq!(Pool::sweep(), 0);
    }
}

#[test]
fn mbufs_go_back_from_threads_that_outlive_every_handle() {
    let eal = eal();
    for _ in 0..30 {
        let pool = Pool::new(&eal, "left", 511, 64, 256, None).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                let mut burst = Mbufs::new();
                assert!(pool.alloc_bulk(&mut burst, 32));
                let eal = &eal;
                scope.spawn(move || {
                    let _guard = eal.register_thread().unwrap();
                    for i in 0..32 {
                        drop(burst.get(i).and_then(|mbuf| mbuf.copy()));
                        drop(burst.take(i));
                    }
                });
            }
            drop(pool);
            while Pool::sweep() > 0 {
                std::thread::yield_now();
            }
        });
    }
}
