use super::*;
use proptest::prelude::*;

#[test]
fn a_flow_is_taken_to_be_like_those_that_were_longer() {
    let mut history = History::default();
    assert_eq!(history.remaining(5_000), 5_000);
    for (bytes, count) in [(1_000, 90), (100_000, 9), (1_000_000, 1)] {
        for _ in 0..count {
            history.add(bytes, bytes);
        }
    }
    assert_eq!(history.remaining(10), (90_000 + 900_000 + 1_000_000) / 100 - 10);
    // Who has sent 5 kB is none of the many short ones.
    assert_eq!(history.remaining(5_000), 190_000 - 5_000);
    assert_eq!(history.remaining(200_000), 800_000);
    assert_eq!(history.remaining(u64::MAX), u64::MAX);
}

#[test]
fn a_margin_is_so_many_standard_deviations() {
    let mut pace = Pace::default();
    assert_eq!(pace.with_margin(0), None);
    // 1 and 3 microseconds per kilobyte: mean 2, deviation 1.
    pace.add(1_000, 1_000);
    pace.add(1_000, 3_000);
    assert_eq!((pace.with_margin(0), pace.with_margin(20)), (Some(2_000), Some(4_000)));
    pace.add(0, u64::MAX);
    assert!(pace.with_margin(10).is_some());
}

#[test]
fn short_flows_say_nothing_of_the_pace_of_long_ones() {
    let mut history = History::default();
    history.add(100, 10_000);
    assert_eq!(history.pace(1_000_000).with_margin(0), Some(100_000));
    history.add(1_000_000, 2_000_000);
    history.add(5_000_000, 20_000_000);
    assert_eq!(history.pace(1_000_000).with_margin(0), Some(3_000));
    assert_eq!(history.pace(10).count(), 3);
}

#[test]
fn the_breakpoint_is_the_last_packet_from_which_the_rest_still_comes_in_time() {
    let standing = Standing { remaining: 1_000_000, left: 1_000_000, here: 2_000, there: 500 };
    // Half a millisecond there; the other half is spare, at 1.5 µs lost per kilobyte sent here.
    assert_eq!(break_after(standing), Some(333_333));
    assert_eq!(break_after(Standing { left: 2_000_000, ..standing }), Some(1_000_000));
    assert_eq!(break_after(Standing { left: 100_000, ..standing }), Some(0));
    assert_eq!(break_after(Standing { there: 2_000, ..standing }), None);
}

proptest! {
    /// From the breakpoint on there is time; a kilobyte later there is none.
    #[test]
    fn no_later_packet_would_do(
        remaining in 1u64..10_000_000,
        left in 1u64..100_000_000,
        here in 1u64..100_000,
        there in 1u64..100_000,
    ) {
        let takes = |bytes: u64| (bytes as f64 * here as f64 + (remaining - bytes) as f64 * there as f64) / 1000.0;
        match break_after(Standing { remaining, left, here, there }) {
            None => prop_assert!(there >= here),
            Some(bytes) if bytes == remaining => prop_assert!(remaining as f64 * here as f64 / 1000.0 <= left as f64 + 2.0),
            Some(0) => prop_assert!(takes(0) + 2.0 * here as f64 >= left as f64),
            Some(bytes) => {
                prop_assert!(takes(bytes) <= left as f64 + 2.0);
                prop_assert!(takes((bytes + 1000).min(remaining)) + 2.0 >= left as f64);
            }
        }
    }
}
