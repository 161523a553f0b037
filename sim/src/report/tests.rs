use super::*;

#[test]
fn percentiles_are_the_smallest_value_that_so_many_do_not_exceed() {
    let hundred: Vec<u64> = (1..=100).collect();
    let spread = spread(&hundred, 50);
    assert_eq!((spread.p50, spread.p90, spread.p99, spread.max), (50, 90, 99, 100));
    let one = super::spread(&[7u64], 7);
    assert_eq!((one.p50, one.p99, one.max), (7, 7, 7));
    assert_eq!(super::spread::<u64>(&[], 0), Spread::default());
}
