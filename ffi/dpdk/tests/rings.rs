//! Rings: order, room, ends that go away.

mod setup;

use dpdk::{DpdkError, Mbufs, Pool, Ring};
use setup::{eal, numbered, numbers, packet, pool};

#[test]
fn packets_come_out_in_order_and_a_full_ring_takes_no_more() {
    let eal = eal();
    let pool = pool(&eal, 255);
    let (mut sender, mut receiver) = Ring::spsc(&eal, "small", 50, None).unwrap();
    assert_eq!((sender.capacity(), sender.free(), receiver.len()), (64, 64, 0));
    let (mut first, mut second, mut third) = (numbered(&pool, 32), numbered(&pool, 30), numbered(&pool, 10));
    third.take(0);
    assert_eq!((sender.send(&mut first), sender.send(&mut second), sender.send(&mut third)), (32, 30, 2));
    assert_eq!(numbers(&third), [3, 4, 5, 6, 7, 8, 9], "the rest stays, without holes");
    assert_eq!((sender.free(), receiver.len(), receiver.is_empty()), (0, 64, false));
    let mut burst = numbered(&pool, 30);
    assert_eq!(receiver.receive(&mut burst), 2, "there is room for two");
    assert_eq!(numbers(&burst)[30..], [0, 1]);
    burst.clear();
    assert_eq!(receiver.receive(&mut burst), 32);
    assert_eq!(numbers(&burst)[..4], [2, 3, 4, 5]);
    assert_eq!(sender.send(&mut third), 7);
}

#[test]
fn packets_left_in_a_ring_are_freed_with_its_last_end() {
    let eal = eal();
    let pool = pool(&eal, 255);
    let (mut sender, mut receiver) = Ring::spsc(&eal, "left", 64, None).unwrap();
    sender.send(&mut numbered(&pool, 20));
    drop(sender);
    let mut burst = numbered(&pool, 29);
    assert_eq!(receiver.receive(&mut burst), 3, "what was sent is still there");
    assert_eq!(pool.in_use(), 49);
    drop(receiver);
    assert_eq!(pool.in_use(), 32);
}

#[test]
fn a_ring_that_cannot_be_is_refused() {
    let eal = eal();
    for (size, memory) in [(usize::MAX, false), ((1 << 24) + 1, false), (1 << 24, true)] {
        let error = Ring::spsc(&eal, "huge", size, None).unwrap_err();
        assert_eq!(matches!(error, DpdkError::OutOfMemory { .. }), memory, "{size}: {error}");
    }
}

#[test]
fn nothing_is_lost_or_reordered_between_two_threads() {
    const PACKETS: u64 = 300_000;
    let eal = eal();
    let pool = Pool::new(&eal, "stream", 1023, 64, 64, None).unwrap();
    let (mut sender, mut receiver) = Ring::spsc(&eal, "stream", 128, None).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _guard = eal.register_thread().unwrap();
            let mut next = 0;
            let mut burst = Mbufs::new();
            while next < PACKETS || !burst.is_empty() {
                // Bursts of all sizes.
                let wanted = (next % 32 + 1).min(PACKETS - next);
                while (burst.len() as u64) < wanted {
                    let Some(mut mbuf) = pool.alloc() else { break };
                    mbuf.append(8).unwrap().copy_from_slice(&next.to_le_bytes());
                    burst.push(mbuf).unwrap();
                    next += 1;
                }
                if sender.send(&mut burst) == 0 {
                    std::thread::yield_now();
                }
            }
        });
        let _guard = eal.register_thread().unwrap();
        let mut expected = 0u64;
        let mut burst = Mbufs::new();
        while expected < PACKETS {
            if receiver.receive(&mut burst) == 0 {
                std::thread::yield_now();
            }
            for mbuf in burst.drain() {
                assert_eq!(mbuf.data(), expected.to_le_bytes());
                expected += 1;
            }
        }
    });
    assert!(receiver.is_empty());
    assert_eq!(pool.in_use(), 0);
    drop(packet(&pool, &[1]));
}
