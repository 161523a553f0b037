use super::*;
use engine::Record;
use proptest::prelude::*;
use std::net::Ipv4Addr;

fn address(n: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(n))
}

#[test]
fn numbers_are_within_three_standard_errors() {
    let mut distinct = Distinct::new();
    let mut counted = 0u32;
    for wanted in [1, 10, 100, 1_000, 5_000, 10_000, 20_000, 100_000, 1_000_000] {
        (counted..wanted).for_each(|n| distinct.add(hash_address(address(n))));
        // What comes again changes nothing.
        (0..wanted.min(1000)).for_each(|n| distinct.add(hash_address(address(n))));
        counted = wanted;
        let (estimate, wanted) = (distinct.estimate(), f64::from(wanted));
        let allowed = (3.0 * Distinct::error() * wanted).max(0.5);
        assert!((estimate - wanted).abs() <= allowed, "{estimate} for {wanted}");
    }
}

/// Where the estimator of 2007 changes its formula, at two and a half values per register, it is 2 % too large.
#[test]
fn numbers_have_the_stated_error_everywhere() {
    const RUNS: u32 = 64;
    for wanted in [0, 1, 100, 4_000, 8_000, 10_300, 11_000, 15_000, 40_000] {
        let (mut sum, mut squares) = (0.0, 0.0);
        for run in 0..RUNS {
            let mut distinct = Distinct::new();
            (0..wanted).for_each(|n| distinct.add(hash_address(address(run << 20 | n))));
            let error = distinct.estimate() / f64::from(wanted.max(1)) - f64::from(u8::from(wanted > 0));
            sum += error;
            squares += error * error;
        }
        let (mean, root) = (sum / f64::from(RUNS), (squares / f64::from(RUNS)).sqrt());
        // The mean of 64 runs has an eighth of the standard error; their own is known to 9 %.
        assert!(mean.abs() < 3.0 / 8.0 * Distinct::error(), "{wanted}: {mean}");
        assert!(root < 1.3 * Distinct::error(), "{wanted}: {root}");
    }
}

/// Whatever registers a record has, the estimate is a number.
#[test]
fn registers_at_their_ends_make_numbers() {
    for (text, least) in [("00", 0.0), ("01", 1e3), ("34", 1e18), ("35", 1e19)] {
        let distinct = Distinct::parse(&text.repeat(distinct::REGISTERS)).expect("registers");
        assert!(distinct.estimate() >= least, "{text}: {}", distinct.estimate());
    }
}

#[test]
fn numbers_of_two_halves_joined_are_those_of_the_whole() {
    let [mut one, mut other, mut whole] = [Distinct::new(), Distinct::new(), Distinct::new()];
    for n in 0..50_000 {
        let hash = hash_address(address(n));
        whole.add(hash);
        if n % 3 == 0 { one.add(hash) } else { other.add(hash) }
    }
    one.merge(&other);
    assert_eq!(one, whole);
    assert_eq!(Distinct::parse(&one.text()), Some(whole));
}

#[test]
fn registers_that_cannot_be_are_refused() {
    let good = Distinct::new().text();
    assert!(Distinct::parse(&good).is_some());
    for bad in [&good[2..], &good.replacen("00", "36", 1), &good.replacen("00", "0g", 1), ""] {
        assert!(Distinct::parse(bad).is_none());
    }
}

/// A few hosts move much, many move little: as in networks.
fn traffic() -> impl Iterator<Item = (u32, u64)> {
    (0..200_000u32).map(|n| {
        let host = if n % 4 == 0 { n / 4 % 20 } else { 100 + n.wrapping_mul(2_654_435_761) % 30_000 };
        (host, 40 + u64::from(n % 1400))
    })
}

#[test]
fn an_estimate_is_never_too_small_and_seldom_above_its_bound() {
    let mut heavy = Heavy::new();
    let mut exact = std::collections::HashMap::<u32, u64>::new();
    for (host, bytes) in traffic() {
        heavy.add(host, hash_address(address(host)), bytes);
        *exact.entry(host).or_default() += bytes;
    }
    let bound = heavy::epsilon() * heavy.total() as f64;
    assert_eq!(heavy.total(), exact.values().sum::<u64>());
    let mut above = 0;
    for (host, bytes) in &exact {
        let mut copy = heavy.clone();
        copy.elect([(hash_address(address(*host)), *host)].into_iter());
        let (_, estimate) = copy.largest()[0];
        assert!(estimate >= *bytes, "{estimate} for {bytes}");
        above += usize::from((estimate - bytes) as f64 > bound);
    }
    assert!(above as f64 <= heavy::delta() * exact.len() as f64, "{above} of {}", exact.len());
    // The twenty with most are all there, in front.
    let mut largest: Vec<u32> = heavy.largest().into_iter().take(20).map(|(host, _)| host).collect();
    largest.sort_unstable();
    assert_eq!(largest, (0..20).collect::<Vec<_>>());
}

#[test]
fn rankings_of_two_workers_joined_name_the_largest_of_all() {
    let [mut one, mut other, mut whole] = [Heavy::new(), Heavy::new(), Heavy::new()];
    for (i, (host, bytes)) in traffic().enumerate() {
        let hash = hash_address(address(host));
        whole.add(host, hash, bytes);
        if i % 2 == 0 { one.add(host, hash, bytes) } else { other.add(host, hash, bytes) }
    }
    one.merge(&other);
    assert_eq!(one.total(), whole.total());
    assert_eq!(one.largest()[..20], whole.largest()[..20]);
}

fn all_records(sketches: &Sketches) -> Vec<Record> {
    (0..).map_while(|step| records(sketches, step)).flatten().collect()
}

fn sketches(flows: &[(u32, u32, u16, u32)]) -> Sketches {
    let mut sketches = Sketches::new();
    count(&mut sketches, flows);
    sketches
}

fn count(sketches: &mut Sketches, flows: &[(u32, u32, u16, u32)]) {
    for &(src, dst, dport, bytes) in flows {
        let key = FlowKey::V4(wire::FlowKey4 { src, dst, sport: 9, dport, proto: 6 });
        let (key, direction) = key.canonical();
        let sample = super::super::flow::Sample {
            bytes,
            reverse: direction == wire::Direction::Reverse,
            ..Default::default()
        };
        let mut flow = Flow::new(&sample, engine::Time::ZERO);
        flow.untold = bytes;
        sketches.begun(&key);
        sketches.tell(&key, &mut flow);
    }
}

proptest! {
    #[test]
    fn a_copy_by_records_goes_on_as_the_original(
        before in prop::collection::vec((0u32..60, 0u32..60, 0u16..9, 1u32..100_000), 0..200),
        after in prop::collection::vec((0u32..60, 0u32..60, 0u16..9, 1u32..100_000), 0..200),
    ) {
        let mut original = sketches(&before);
        let records = all_records(&original);
        let mut copy = parse_all(records.iter()).expect("good records").unwrap_or_else(Sketches::new);
        count(&mut original, &after);
        count(&mut copy, &after);
        prop_assert_eq!(all_records(&original), all_records(&copy));
    }
}

#[test]
fn records_that_are_not_sketches_are_refused() {
    let good = all_records(&sketches(&[(1, 2, 3, 4)]));
    assert!(parse_all(good.iter()).expect("good records").is_some());
    for i in 0..good.len() {
        for spoil in [
            |record: &mut Record| record.version = 2,
            |record: &mut Record| record.value = json!({}),
            |record: &mut Record| record.key = json!({ "of": "all" }),
        ] {
            let mut bad = good.clone();
            spoil(&mut bad[i]);
            assert!(parse_all(bad.iter()).is_err(), "{:?}", bad[i]);
        }
    }
    let mut wide = good;
    for record in &mut wide {
        record.value = json!({ "counters": vec![0; 2049] });
    }
    assert!(parse_all(wide.iter().filter(|record| record.kind == "bytes")).is_err());
}
