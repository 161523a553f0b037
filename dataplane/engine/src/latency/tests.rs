use super::*;

#[test]
fn every_value_lies_within_three_percent_of_its_bucket() {
    for value in [0, 1, 31, 32, 33, 63, 64, 1000, 123_456, 1 << 40, u64::MAX / 3, u64::MAX] {
        let top = upper(bucket(value));
        assert!(top >= value, "{value} above the top of its bucket, {top}");
        assert!((top - value) as f64 <= value as f64 / 32.0 + 1.0, "{value} is far from {top}");
        assert!(bucket(value) < BUCKETS);
    }
}

#[test]
fn percentiles_come_from_the_counts() {
    let histogram = Histogram::new();
    for value in 1..=1000 {
        histogram.record(value * 100, 1);
    }
    let mut sum = LatencySum::default();
    sum.add(&histogram);
    let found = sum.percentiles().expect("something was recorded");
    assert!((50_000..=52_000).contains(&found.p50), "{found:?}");
    assert!((99_000..=100_000).contains(&found.p99), "{found:?}");
    assert_eq!(found.max, 100_000);
}

#[test]
fn nothing_recorded_has_no_percentiles() {
    assert_eq!(LatencySum::default().percentiles(), None);
}
