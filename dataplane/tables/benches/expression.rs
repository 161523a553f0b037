//! Match expressions on a UDP packet whose headers are known.
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tables::expression::Expression;

/// Ethernet, IPv4 and UDP without payload: 10.0.0.1:1000 to 10.1.2.3:53.
const FRAME: [u8; 42] = [
    2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 1,
    2, 3, 3, 0xe8, 0, 53, 0, 8, 0, 0,
];

fn benchmark(c: &mut Criterion) {
    let headers = wire::parse(&FRAME);
    let mut group = c.benchmark_group("expression");
    for text in ["ip", "ip.dst in 10.0.0.0/8 and udp", "tcp and dport in {80, 443} or udp and port == 53"] {
        let expression = Expression::parse(text).expect("good text");
        assert!(expression.matches(&FRAME, &headers));
        group.bench_function(text, |b| b.iter(|| expression.matches(black_box(&FRAME), black_box(&headers))));
    }
    let quick = Expression::parse("ip").ok().and_then(|ip| ip.quick()).expect("quick");
    group.bench_function("ip, before parsing", |b| b.iter(|| quick.matches(black_box(&FRAME))));
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
