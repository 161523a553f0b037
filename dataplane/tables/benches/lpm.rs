//! Longest-prefix match of 4 096 destinations that have a route, in bursts of 32, among 1 000 and a million routes.
//! Prints memory and the time to compile first.
use std::hint::black_box;
use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tables::lpm::{Address, Fib, Routes};

mod random;
use random::Random;

const BURST: usize = 32;

fn compiled<A: Address>(count: u32, mut route: impl FnMut() -> (A, u8)) -> (Routes<A>, Fib<A>) {
    let mut routes = Routes::new();
    for value in 0..count {
        let (network, length) = route();
        routes.insert(network, length, value).expect("a route");
    }
    let start = Instant::now();
    let fib = routes.compile();
    println!(
        "{} routes of {} bits: {} bytes, compiled in {:?}",
        routes.len(),
        A::BITS,
        fib.bytes(),
        start.elapsed()
    );
    (routes, fib)
}

fn benchmark(c: &mut Criterion) {
    for count in [1_000, 1_000_000] {
        let mut group = c.benchmark_group(format!("lpm/{count}"));
        group.throughput(Throughput::Elements(BURST as u64));
        let mut random = Random(3);
        // Lengths as in the global table: most /24, the rest /16 to /23.
        let (routes, fib) = compiled::<u32>(count, || {
            let length = if random.word() % 5 < 3 { 24 } else { 16 + random.word() % 8 };
            (random.word() % 0xdfff_ffff, length as u8)
        });
        let networks: Vec<u32> = routes.iter().map(|route| route.0).collect();
        let mut within = || networks[random.word() as usize % networks.len()];
        let addresses: Vec<u32> = (0..4096).map(|_| within() | 1).collect();
        let (mut at, mut out) = (0, [None; BURST]);
        group.bench_function("ipv4", |b| {
            b.iter(|| {
                at = (at + BURST) % 4096;
                fib.lookup_bulk(&addresses[at..at + BURST], &mut out);
                black_box(&out);
            });
        });
        let global = |random: &mut Random| 0x2 << 124 | u128::from(random.long()) << 60;
        let (routes, fib) =
            compiled::<u128>(count, || (global(&mut random), 32 + (random.word() % 5 * 4) as u8));
        let networks: Vec<u128> = routes.iter().map(|route| route.0).collect();
        let mut within = || networks[random.word() as usize % networks.len()];
        let addresses: Vec<u128> = (0..4096).map(|_| within() | 1).collect();
        group.bench_function("ipv6", |b| {
            b.iter(|| {
                at = (at + BURST) % 4096;
                fib.lookup_bulk(&addresses[at..at + BURST], &mut out);
                black_box(&out);
            });
        });
    }
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
