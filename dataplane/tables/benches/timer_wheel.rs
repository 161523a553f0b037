//! A million timers: armed, armed again, cancelled, fired.
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tables::timer_wheel::TimerWheel;

mod random;
use random::Random;

const TIMERS: u32 = 1 << 20;
const MILLISECOND: u64 = 1_000_000;

fn benchmark(c: &mut Criterion) {
    let mut group = c.benchmark_group("timer_wheel");
    group.throughput(Throughput::Elements(32));
    let mut random = Random(7);
    let mut wheel = TimerWheel::new(TIMERS as usize, MILLISECOND, 0);
    // Up to a minute.
    let mut delay = move || u64::from(random.word()) * 14;
    for timer in 0..TIMERS {
        wheel.arm(timer, delay());
    }
    let mut at = 0;
    group.bench_function("arm again", |b| {
        b.iter(|| {
            for _ in 0..32 {
                at = (at + 0x9e37) % TIMERS;
                wheel.arm(at, delay());
            }
        });
    });
    let mut now = 0;
    group.bench_function("advance a millisecond, arm what fired again", |b| {
        b.iter(|| {
            now += MILLISECOND;
            let mut budget = 64;
            while let Some(timer) = wheel.next_expired(now, &mut budget) {
                wheel.arm(black_box(timer), now + delay());
            }
        });
    });
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
