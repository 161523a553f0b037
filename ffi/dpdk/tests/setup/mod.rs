//! What every test here begins with. One process per test (cargo nextest): EAL comes up once in each.

use dpdk::{Eal, EalOptions, Mbuf, Mbufs, Pool};

/// EAL with little memory.
pub fn eal() -> Eal {
    let options = EalOptions { memory_mb: 128, file_prefix: "test".into(), ..EalOptions::default() };
    Eal::init(&options).unwrap_or_else(|error| panic!("{error}"))
}

/// A pool of `count` mbufs of the usual size without thread caches, so that exhaustion is exact.
#[allow(dead_code, reason = "not every test file needs it")]
pub fn pool(eal: &Eal, count: u32) -> Pool {
    Pool::new(eal, "test", count, 0, 2048, None).unwrap_or_else(|error| panic!("{error}"))
}

/// A packet with these bytes.
#[allow(dead_code, reason = "not every test file needs it")]
pub fn packet(pool: &Pool, bytes: &[u8]) -> Mbuf {
    let mut mbuf = pool.alloc().expect("the pool has mbufs");
    assert!(mbuf.fill(bytes));
    mbuf
}

/// All bytes of a packet.
#[allow(dead_code, reason = "not every test file needs it")]
pub fn bytes(mbuf: &Mbuf) -> Vec<u8> {
    mbuf.segments().collect::<Vec<_>>().concat()
}

/// `count` packets of 60 bytes, numbered in their first byte.
#[allow(dead_code, reason = "not every test file needs it")]
pub fn numbered(pool: &Pool, count: u8) -> Mbufs {
    let mut burst = Mbufs::new();
    for number in 0..count {
        burst.push(packet(pool, &[number; 60])).expect("a burst of packets fits into a burst");
    }
    burst
}

/// The first bytes of the packets.
#[allow(dead_code, reason = "not every test file needs it")]
pub fn numbers(burst: &Mbufs) -> Vec<u8> {
    burst.iter().map(|mbuf| mbuf.data()[0]).collect()
}
