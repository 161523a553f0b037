//! A flow table of a million flows: bursts of 32 looked up, one by one and in bulk, and flows coming and going.
//! Prints the memory per flow first.
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tables::flow_table::{Eviction, FlowTable};

mod random;
use random::Random;

/// An IPv4 five-tuple, padded.
type Key = [u32; 4];
/// Packets, bytes, first and last seen.
type Value = [u64; 4];

const BURST: usize = 32;

fn hash(key: &Key) -> u32 {
    let mixed =
        key.iter().fold(0u64, |hash, &word| (hash ^ u64::from(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    (mixed >> 32) as u32
}

fn keys(count: usize) -> (Vec<Key>, Vec<u32>) {
    let mut random = Random(1);
    let keys: Vec<Key> = (0..count).map(|_| [random.word(), random.word(), random.word(), 17]).collect();
    let hashes = keys.iter().map(hash).collect();
    (keys, hashes)
}

fn filled(keys: &[Key], hashes: &[u32], capacity: usize) -> FlowTable<Key, Value> {
    let mut table = FlowTable::with_capacity(capacity, 7).expiring(1_000_000, 0);
    for (key, &hash) in keys.iter().zip(hashes) {
        table.insert(*key, hash, [0; 4]).expect("room for all");
    }
    table
}

fn benchmark(c: &mut Criterion) {
    for flows in [4_096, 1_000_000] {
        let (keys, hashes) = keys(2 * flows);
        let mut table = filled(&keys[..flows], &hashes[..flows], flows);
        println!("{flows} flows: {} bytes per flow", table.bytes_per_entry());
        let mut group = c.benchmark_group(format!("flow_table/{flows}"));
        group.throughput(Throughput::Elements(BURST as u64));
        let mut random = Random(2);
        // Flows in random order, so that every look-up misses the cache when the table is large.
        let order: Vec<usize> = (0..1 << 20).map(|_| random.word() as usize % flows).collect();
        let order_keys: Vec<Key> = order.iter().map(|&i| keys[i]).collect();
        let order_hashes: Vec<u32> = order.iter().map(|&i| hashes[i]).collect();
        let mut at = 0;
        let mut next = || {
            at = (at + BURST) % order.len();
            at..at + BURST
        };
        group.bench_function("find", |b| {
            b.iter(|| {
                let burst = next();
                for (key, &hash) in order_keys[burst.clone()].iter().zip(&order_hashes[burst]) {
                    black_box(table.find(key, hash));
                }
            });
        });
        let mut out = [None; BURST];
        group.bench_function("lookup_bulk", |b| {
            b.iter(|| {
                let burst = next();
                table.lookup_bulk(&order_keys[burst.clone()], &order_hashes[burst], &mut out);
                black_box(&out);
            });
        });
        group.bench_function("lookup_bulk, count and touch", |b| {
            let mut now = 0;
            b.iter(|| {
                let burst = next();
                now += 1_000;
                table.lookup_bulk(&order_keys[burst.clone()], &order_hashes[burst], &mut out);
                for id in out.into_iter().flatten() {
                    if let Some(value) = table.value_mut(id) {
                        value[0] += 1;
                        value[1] += 64;
                    }
                    table.touch(id, now + 30_000_000_000);
                }
            });
        });
        let mut missing = 0;
        group.bench_function("lookup_bulk, absent", |b| {
            b.iter(|| {
                missing = (missing + BURST) % (flows - BURST);
                let burst = flows + missing..flows + missing + BURST;
                table.lookup_bulk(&keys[burst.clone()], &hashes[burst], &mut out);
                black_box(&out);
            });
        });
        drop(table);
        let mut table = FlowTable::with_capacity(flows, 7).evicting(Eviction::Oldest);
        let mut at = 0;
        group.bench_function("insert, the oldest evicted", |b| {
            b.iter(|| {
                for _ in 0..BURST {
                    at = (at + 1) % keys.len();
                    black_box(table.insert(keys[at], hashes[at], [0u64; 4]).is_ok());
                }
            });
        });
        group.bench_function("insert and remove", |b| {
            let mut table = filled(&keys[..flows / 2], &hashes[..flows / 2], flows);
            let mut at = 0;
            b.iter(|| {
                at = (at + BURST) % (flows / 2 - BURST);
                let burst = flows + at..flows + at + BURST;
                for i in burst.clone() {
                    black_box(table.insert(keys[i], hashes[i], [0; 4]).is_ok());
                }
                for i in burst {
                    black_box(table.remove(&keys[i], hashes[i]));
                }
            });
        });
    }
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
