use std::collections::BTreeMap;

use proptest::prelude::*;

use super::TimerWheel;

const TICK: u64 = 1_000;

fn fired(wheel: &mut TimerWheel, now: u64, budget: usize) -> Vec<u32> {
    let mut fired = vec![];
    wheel.advance(now, budget, |timer| fired.push(timer));
    fired
}

#[test]
fn a_timer_fires_at_its_deadline_and_not_before() {
    let mut wheel = TimerWheel::new(4, TICK, 0);
    wheel.arm(2, 5_500);
    assert_eq!(wheel.deadline(2), Some(6_000));
    assert_eq!(fired(&mut wheel, 5_999, 9), []);
    assert_eq!(fired(&mut wheel, 6_000, 9), [2]);
    assert_eq!((wheel.armed(), wheel.deadline(2)), (0, None));
}

#[test]
fn a_timer_armed_for_the_past_fires_at_the_next_tick() {
    let mut wheel = TimerWheel::new(1, TICK, 50_000);
    wheel.arm(0, 3);
    assert_eq!(fired(&mut wheel, 50_999, 9), []);
    assert_eq!(fired(&mut wheel, 51_000, 9), [0]);
}

#[test]
fn a_cancelled_timer_does_not_fire_and_a_rearmed_one_fires_once() {
    let mut wheel = TimerWheel::new(2, TICK, 0);
    wheel.arm(0, 3_000);
    wheel.arm(1, 3_000);
    wheel.arm(1, 9_000);
    assert!(wheel.cancel(0));
    assert!(!wheel.cancel(0));
    assert_eq!(fired(&mut wheel, 8_000, 9), []);
    assert_eq!(fired(&mut wheel, 20_000, 9), [1]);
}

#[test]
fn a_jump_over_years_loses_nothing() {
    let mut wheel = TimerWheel::new(64, 1, 0);
    for timer in 0..64 {
        wheel.arm(timer, 1 << timer);
    }
    let far = fired(&mut wheel, u64::MAX, usize::MAX);
    assert_eq!(far, (0..64).collect::<Vec<_>>());
    assert_eq!(wheel.next_event(), None);
}

#[test]
fn the_end_of_time_is_a_deadline_like_any_other() {
    let mut wheel = TimerWheel::new(2, 1, u64::MAX - 1);
    wheel.arm(0, u64::MAX);
    assert_eq!(fired(&mut wheel, u64::MAX, 9), [0]);
    wheel.arm(1, 0);
    assert_eq!(fired(&mut wheel, u64::MAX, 9), [1]);
}

#[test]
fn the_budget_bounds_a_call_and_the_rest_follows() {
    let mut wheel = TimerWheel::new(100, TICK, 0);
    for timer in 0..100 {
        wheel.arm(timer, 7_000);
    }
    let mut seen = vec![];
    for _ in 0..10 {
        let some = fired(&mut wheel, 7_000, 10);
        assert_eq!(some.len(), 10);
        assert_eq!(wheel.next_event(), (seen.len() < 90).then_some(7_000));
        seen.extend(some);
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..100).collect::<Vec<_>>());
}

#[test]
fn a_clock_that_goes_back_changes_nothing() {
    let mut wheel = TimerWheel::new(1, TICK, 90_000);
    wheel.arm(0, 95_000);
    assert_eq!(fired(&mut wheel, 10_000, 9), []);
    assert_eq!(fired(&mut wheel, 95_000, 9), [0]);
}

#[test]
fn timers_that_do_not_exist_are_refused() {
    let mut wheel = TimerWheel::new(1, TICK, 0);
    assert!(!wheel.arm(1, 5));
    assert!(!wheel.cancel(1));
    assert_eq!(wheel.deadline(1), None);
}

#[derive(Clone, Debug)]
enum Step {
    Arm(u32, u64),
    Cancel(u32),
    Advance(u64, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let delay = prop_oneof![0..200u64, 0..100_000u64, any::<u64>().prop_map(|delay| delay >> 8)];
    let jump = prop_oneof![4 => 0..100u64, 2 => 0..10_000u64, 1 => any::<u64>().prop_map(|jump| jump >> 12)];
    let step = prop_oneof![
        4 => (0..24u32, delay).prop_map(|(timer, delay)| Step::Arm(timer, delay)),
        1 => (0..24u32).prop_map(Step::Cancel),
        4 => (jump, 0..6usize).prop_map(|(jump, budget)| Step::Advance(jump, budget)),
    ];
    prop::collection::vec(step, 1..if cfg!(miri) { 40 } else { 80 })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 512 }))]

    /// Against a map from timer to the tick before which it must not fire, and that by which it has to.
    #[test]
    fn as_a_map(steps in steps(), tick in 1..50u64) {
        let mut wheel = TimerWheel::new(24, tick, 0);
        let mut model: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
        let mut now = 0u64;
        for step in steps {
            match step {
                Step::Arm(timer, delay) => {
                    let due = (now + delay).div_ceil(tick);
                    prop_assert!(wheel.arm(timer, now + delay));
                    model.insert(timer, (due, due.max(now / tick + 1)));
                }
                Step::Cancel(timer) => prop_assert_eq!(wheel.cancel(timer), model.remove(&timer).is_some()),
                Step::Advance(jump, budget) => {
                    now += jump;
                    let mut left = budget;
                    while let Some(timer) = wheel.next_expired(now, &mut left) {
                        let due = model.remove(&timer);
                        prop_assert!(due.is_some_and(|(due, _)| due <= now / tick), "early or not armed: {due:?}");
                    }
                    if left > 0 {
                        prop_assert!(model.values().all(|&(_, latest)| latest > now / tick), "late: {model:?}");
                    }
                }
            }
            prop_assert_eq!(wheel.armed(), model.len());
        }
        wheel.advance(u64::MAX, usize::MAX, |timer| assert!(model.remove(&timer).is_some()));
        prop_assert!(model.is_empty(), "lost: {model:?}");
    }

    /// With budget to spare, exactly those due have fired, in the order of their ticks.
    #[test]
    fn everything_due_fires_in_order(delays in prop::collection::vec(1..200_000u64, 1..40), jumps in prop::collection::vec(0..30_000u64, 1..20)) {
        let mut wheel = TimerWheel::new(delays.len(), 1, 0);
        for (timer, &delay) in delays.iter().enumerate() {
            wheel.arm(timer as u32, delay);
        }
        let (mut now, mut before) = (0, 0);
        for jump in jumps {
            now += jump;
            wheel.advance(now, usize::MAX, |timer| {
                let due = delays[timer as usize];
                assert!(before <= due && due <= now);
                before = due;
            });
            prop_assert_eq!(wheel.armed(), delays.iter().filter(|&&delay| delay > now).count());
            let next = delays.iter().copied().filter(|&delay| delay > now).min();
            prop_assert_eq!(wheel.next_event().is_some(), next.is_some());
            prop_assert!(wheel.next_event() <= next);
        }
    }
}
