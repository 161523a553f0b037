//! Any calls on a timer wheel, with any jumps of the clock: no timer fires early, late, twice or never.
#![no_main]

use std::collections::HashMap;

use libfuzzer_sys::fuzz_target;
use tables::timer_wheel::TimerWheel;

fuzz_target!(|input: (u8, Vec<(u8, u8, u64)>)| {
    let (tick, calls) = input;
    let tick = u64::from(tick).max(1);
    let mut wheel = TimerWheel::new(256, tick, 0);
    // The tick before which a timer must not fire, and that by which it has to.
    let mut model: HashMap<u32, (u64, u64)> = HashMap::new();
    let mut now = 0u64;
    for (call, timer, number) in calls {
        let timer = u32::from(timer);
        // Near as often as far.
        let number = number >> (call >> 2);
        match call % 4 {
            0 | 1 => {
                let deadline = now.saturating_add(number);
                let due = deadline.div_ceil(tick);
                assert!(wheel.arm(timer, deadline));
                model.insert(timer, (due, due.max(now / tick + 1)));
            }
            2 => assert_eq!(wheel.cancel(timer), model.remove(&timer).is_some()),
            _ => {
                now = now.saturating_add(number).min(u64::MAX / 2);
                let mut budget = usize::from(call) + 1;
                while let Some(timer) = wheel.next_expired(now, &mut budget) {
                    assert!(model.remove(&timer).expect("armed").0 <= now / tick);
                }
                if budget > 0 {
                    assert!(model.values().all(|&(_, latest)| latest > now / tick));
                }
            }
        }
        assert_eq!(wheel.armed(), model.len());
    }
});
