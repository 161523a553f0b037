//! Which packets go, and when: a simulation of milliseconds, without packets.

use super::super::bucket::Budget;
use super::super::scheduler::{Admission, ClassSpec, LeafSpec, Refusal, Scheduler};
use engine::Time;
use std::time::Duration;

const START: Time = Time::from_nanos(1_700_000_000_000_000_000);
const MEGA: u64 = 1_000_000;

fn budget(rate: u64) -> Budget {
    Budget { rate, burst: (rate / 800).max(10_000) }
}

fn whole(rate: u64) -> ClassSpec {
    ClassSpec { parent: None, own: None, ceil: Some(budget(rate)), leaf: None }
}

fn inner(parent: usize, own: u64, ceil: u64) -> ClassSpec {
    ClassSpec { parent: Some(parent), own: Some(budget(own)), ceil: Some(budget(ceil)), leaf: None }
}

fn leaf(parent: usize, own: u64, ceil: u64, priority: usize, quantum: u64) -> ClassSpec {
    ClassSpec { leaf: Some(LeafSpec { priority, quantum, queue: 100 }), ..inner(parent, own, ceil) }
}

/// A departure: time in nanoseconds since the start, leaf, bytes.
type Departure = (u64, usize, usize);

/// What comes to a leaf: packets of so many bytes at so many bits per second.
#[derive(Clone, Copy)]
struct Load {
    leaf: usize,
    len: usize,
    rate: u64,
}

/// Runs for so many seconds: packets come evenly, the engine looks once a millisecond.
fn run(specs: &[ClassSpec], loads: &[Load], seconds: u64) -> Vec<Departure> {
    let mut scheduler = Scheduler::new(specs, 0);
    let mut left: Vec<Departure> = Vec::new();
    let mut credit = vec![0u64; loads.len()];
    for milli in 0..seconds * 1000 {
        let nanos = milli * 1_000_000;
        scheduler.fill(START + Duration::from_nanos(nanos));
        while let Some((leaf, len, ())) = scheduler.next() {
            left.push((nanos, leaf, len));
        }
        for (load, credit) in loads.iter().zip(&mut credit) {
            *credit += load.rate / 8000;
            while *credit >= load.len as u64 {
                *credit -= load.len as u64;
                match scheduler.admit(load.leaf, load.len) {
                    Admission::Goes => left.push((nanos, load.leaf, load.len)),
                    Admission::Waits => scheduler.wait(load.leaf, load.len, ()).expect("there is room"),
                    Admission::Refused(_) => {}
                }
            }
        }
    }
    left
}

/// Bits per second of a leaf, or of all.
fn rate(left: &[Departure], leaf: Option<usize>, seconds: u64) -> f64 {
    let mine = left.iter().filter(|(_, of, _)| leaf.is_none_or(|leaf| leaf == *of));
    mine.map(|(_, _, len)| *len as f64 * 8.0).sum::<f64>() / seconds as f64
}

#[track_caller]
fn assert_near(found: f64, wanted: u64, share: f64) {
    assert!((found / wanted as f64 - 1.0).abs() <= share, "{found} bit/s instead of {wanted}");
}

/// In no time, however short or long, more goes than the burst and what the rate gives.
#[track_caller]
fn assert_conforms(left: &[Departure], budget: Budget) {
    // Of bytes that went by a time less what the rate gave by then, the largest rise.
    let (mut gone, mut lowest, mut worst) = (0i128, i128::MAX, 0);
    for &(nanos, _, len) in left {
        let given = i128::from(nanos) * i128::from(budget.rate);
        lowest = lowest.min(gone - given);
        gone += len as i128 * 8_000_000_000;
        worst = worst.max(gone - given - lowest);
    }
    assert!(worst <= i128::from(budget.burst) * 8_000_000_000, "a burst of {} bytes", worst / 8_000_000_000);
}

#[test]
fn the_rate_is_within_one_percent_and_bursts_are_within_the_bucket() {
    for mega in [1, 10, 100, 1000] {
        for len in [60, 700, 1514] {
            let limit = mega * MEGA;
            let specs = [whole(limit), leaf(0, limit / 2, limit, 0, 1514)];
            let left = run(&specs, &[Load { leaf: 0, len, rate: 2 * limit }], 10);
            assert_near(rate(&left, None, 10), limit, 0.01);
            assert_conforms(&left, budget(limit));
        }
    }
}

#[test]
fn below_the_rate_nothing_waits() {
    let left = run(
        &[whole(10 * MEGA), leaf(0, MEGA, 10 * MEGA, 0, 1514)],
        &[Load { leaf: 0, len: 1000, rate: 9 * MEGA }],
        10,
    );
    assert_near(rate(&left, None, 10), 9 * MEGA, 0.001);
}

#[test]
fn everybody_has_what_is_his_and_what_is_left_is_shared_by_quantum() {
    let specs = [
        whole(100 * MEGA),
        leaf(0, 50 * MEGA, 100 * MEGA, 0, 3000),
        leaf(0, 10 * MEGA, 100 * MEGA, 0, 1500),
        leaf(0, 10 * MEGA, 20 * MEGA, 0, 1500),
    ];
    let load = |leaf, rate| Load { leaf, len: 1000, rate };
    let left = run(&specs, &[load(0, 200 * MEGA), load(1, 200 * MEGA), load(2, 200 * MEGA)], 10);
    // 30 are left: at 2 to 1 to 1, of which the third may have no more than 10, that is 13 1/3, 6 2/3 and 10.
    assert_near(rate(&left, None, 10), 100 * MEGA, 0.01);
    assert!(rate(&left, Some(2), 10) <= 20.2e6, "the ceiling holds");
    for (leaf, least) in [(0, 50), (1, 10), (2, 10)] {
        assert!(
            rate(&left, Some(leaf), 10) >= least as f64 * 0.99e6,
            "{leaf}: {}",
            rate(&left, Some(leaf), 10)
        );
    }
    // Of two that are not at their ceilings, the excess is as their quanta.
    let left = run(&specs, &[load(0, 200 * MEGA), load(1, 200 * MEGA)], 10);
    assert_near(rate(&left, Some(0), 10) - 50e6, 2 * 40 * MEGA / 3, 0.03);
    assert_near(rate(&left, Some(1), 10) - 10e6, 40 * MEGA / 3, 0.03);
    // Alone, everything.
    let left = run(&specs, &[load(1, 200 * MEGA)], 10);
    assert_near(rate(&left, Some(1), 10), 100 * MEGA, 0.01);
}

#[test]
fn turns_are_fair_by_bytes_whatever_the_lengths_of_packets() {
    let specs = [whole(20 * MEGA), leaf(0, MEGA, 20 * MEGA, 0, 1514), leaf(0, MEGA, 20 * MEGA, 0, 1514)];
    let loads = [Load { leaf: 0, len: 100, rate: 30 * MEGA }, Load { leaf: 1, len: 1514, rate: 30 * MEGA }];
    let left = run(&specs, &loads, 10);
    assert_near(rate(&left, Some(0), 10), 10 * MEGA, 0.02);
    assert_near(rate(&left, Some(1), 10), 10 * MEGA, 0.02);
}

#[test]
fn a_packet_that_is_longer_than_a_turn_takes_several_turns() {
    let specs = [whole(20 * MEGA), leaf(0, MEGA, 20 * MEGA, 0, 500), leaf(0, MEGA, 20 * MEGA, 0, 500)];
    let loads = [Load { leaf: 0, len: 9000, rate: 30 * MEGA }, Load { leaf: 1, len: 300, rate: 30 * MEGA }];
    let left = run(&specs, &loads, 10);
    assert_near(rate(&left, Some(0), 10), 10 * MEGA, 0.05);
    assert_near(rate(&left, None, 10), 20 * MEGA, 0.01);
}

#[test]
fn the_first_priority_has_all_that_is_left_and_takes_nobodys_own() {
    let specs =
        [whole(100 * MEGA), leaf(0, 10 * MEGA, 100 * MEGA, 0, 1514), leaf(0, 20 * MEGA, 100 * MEGA, 1, 1514)];
    let load = |leaf, rate| Load { leaf, len: 1000, rate };
    let left = run(&specs, &[load(0, 200 * MEGA), load(1, 200 * MEGA)], 10);
    assert_near(rate(&left, Some(0), 10), 80 * MEGA, 0.02);
    assert_near(rate(&left, Some(1), 10), 20 * MEGA, 0.02);
    // What the first does not want the second has.
    let left = run(&specs, &[load(0, 30 * MEGA), load(1, 200 * MEGA)], 10);
    assert_near(rate(&left, Some(0), 10), 30 * MEGA, 0.01);
    assert_near(rate(&left, Some(1), 10), 70 * MEGA, 0.02);
}

#[test]
fn children_borrow_from_their_parent_before_anybody_else() {
    // 60 for the office, of which two desks have 10 each; 40 for the guests.
    let specs = [
        whole(100 * MEGA),
        inner(0, 60 * MEGA, 80 * MEGA),
        leaf(1, 10 * MEGA, 80 * MEGA, 0, 1514),
        leaf(1, 10 * MEGA, 80 * MEGA, 0, 1514),
        leaf(0, 40 * MEGA, 100 * MEGA, 0, 1514),
    ];
    let load = |leaf| Load { leaf, len: 1000, rate: 200 * MEGA };
    let all = run(&specs, &[load(0), load(1), load(2)], 10);
    assert_near(rate(&all, Some(0), 10), 30 * MEGA, 0.03);
    assert_near(rate(&all, Some(1), 10), 30 * MEGA, 0.03);
    assert_near(rate(&all, Some(2), 10), 40 * MEGA, 0.02);
    // Without guests, the office has its ceiling and no more.
    let office = run(&specs, &[load(0), load(1)], 10);
    assert_near(rate(&office, None, 10), 80 * MEGA, 0.01);
    assert_conforms(&office, budget(80 * MEGA));
    // One desk alone borrows what the other leaves, and then from the guests.
    let desk = run(&specs, &[load(1), load(2)], 10);
    assert_near(rate(&desk, Some(1), 10), 60 * MEGA, 0.02);
    assert_near(rate(&desk, Some(2), 10), 40 * MEGA, 0.02);
}

#[test]
fn without_a_queue_what_exceeds_is_refused_and_the_rate_is_the_same() {
    let mut policed = leaf(0, 10 * MEGA, 10 * MEGA, 0, 1514);
    policed.leaf = Some(LeafSpec { priority: 0, quantum: 1514, queue: 0 });
    let specs = [whole(100 * MEGA), policed];
    let left = run(&specs, &[Load { leaf: 0, len: 1000, rate: 30 * MEGA }], 10);
    assert_near(rate(&left, None, 10), 10 * MEGA, 0.01);
    assert_conforms(&left, budget(10 * MEGA));
    let mut scheduler: Scheduler<()> = Scheduler::new(&specs, 0);
    scheduler.fill(START);
    let refused = (0..100).map(|_| scheduler.admit(0, 1000)).find(|admission| *admission != Admission::Goes);
    assert_eq!(refused, Some(Admission::Refused(Refusal::Exceeds)));
}

#[test]
fn queues_are_bounded_and_in_order() {
    let mut scheduler = Scheduler::new(&[whole(MEGA), leaf(0, MEGA / 2, MEGA, 0, 1514)], 0);
    scheduler.fill(START);
    let mut went = 0;
    let mut refusals = 0;
    for number in 0..200 {
        match scheduler.admit(0, 1000) {
            Admission::Goes => went += 1,
            Admission::Waits => scheduler.wait(0, 1000, number).expect("there is room"),
            Admission::Refused(Refusal::Full) => refusals += 1,
            Admission::Refused(other) => panic!("{other:?}"),
        }
    }
    // The bucket is of 10 000 bytes.
    assert_eq!((went, refusals), (10, 90));
    assert_eq!(scheduler.waiting(0), (100, 100_000));
    assert_eq!(scheduler.wait(0, 1000, 7), Err(7));
    scheduler.fill(START + Duration::from_millis(8));
    assert_eq!(scheduler.next(), Some((0, 1000, 10)), "8 ms give 1 000 bytes");
    assert_eq!(scheduler.next(), None);
    let rest: Vec<i32> = std::iter::from_fn(|| scheduler.empty().map(|(_, _, number)| number)).collect();
    assert!(rest == (11..110).collect::<Vec<_>>());
    assert_eq!(scheduler.waiting(0), (0, 0));
}

#[test]
fn what_no_bucket_can_hold_is_refused_at_once() {
    let mut scheduler: Scheduler<()> =
        Scheduler::new(&[whole(16 * MEGA), leaf(0, MEGA, 16 * MEGA, 0, 1514)], 24);
    scheduler.fill(START);
    assert_eq!(scheduler.admit(0, 20_000), Admission::Refused(Refusal::Oversized));
    assert_eq!(scheduler.admit(0, 19_977), Admission::Refused(Refusal::Oversized), "with 24 of overhead");
    assert_eq!(scheduler.admit(0, 19_976), Admission::Goes);
}

#[test]
fn a_rate_changes_while_packets_wait() {
    let specs = |rate| [whole(rate), leaf(0, rate / 2, rate, 0, 1514)];
    let mut scheduler = Scheduler::new(&specs(10 * MEGA), 0);
    let mut bytes = [0; 2];
    for milli in 0..20_000u64 {
        if milli == 10_000 {
            scheduler.retune(&specs(40 * MEGA));
        }
        scheduler.fill(START + Duration::from_millis(milli));
        let sent = &mut bytes[(milli / 10_000) as usize];
        while let Some((_, len, ())) = scheduler.next() {
            *sent += len;
        }
        for _ in 0..10 {
            match scheduler.admit(0, 1000) {
                Admission::Goes => *sent += 1000,
                Admission::Waits => scheduler.wait(0, 1000, ()).expect("there is room"),
                Admission::Refused(_) => {}
            }
        }
    }
    assert_near(bytes[0] as f64 * 0.8, 10 * MEGA, 0.01);
    assert_near(bytes[1] as f64 * 0.8, 40 * MEGA, 0.01);
}
