use super::*;
use proptest::prelude::*;

const RULE: RuleId = RuleId { gid: 1, sid: 7 };

fn at(seconds: f64) -> Matched {
    from(seconds, 1)
}

fn from(seconds: f64, last: u8) -> Matched {
    let now = (seconds * 1e9) as u64;
    Matched {
        now,
        source: [10, 0, 0, last].into(),
        destination: [10, 0, 1, 1].into(),
        flow: Some(u64::from(last)),
    }
}

fn run(kind: ThresholdKind, count: u32, seconds: u32, times: &[f64]) -> String {
    let mut rates = Rates::new(8);
    let threshold = Threshold { kind, track: Track::Source, count, seconds };
    let outcome = |&time| match rates.threshold(RULE, &threshold, &at(time)) {
        Outcome::Alert => 'A',
        Outcome::Quiet => 'q',
        Outcome::Nothing => '.',
    };
    times.iter().map(outcome).collect()
}

#[test]
fn thresholds_alert_as_their_kind_says() {
    use ThresholdKind::{Backoff, Both, Every, Limit};
    for (kind, count, seconds, times, wanted) in [
        (Limit, 2, 10, &[0., 1., 2., 3., 10., 10.1, 11.][..], "AAqqqAA"),
        (Every, 3, 10, &[0., 1., 2., 3., 4., 5., 6.], "..A..A."),
        (Every, 3, 10, &[0., 1., 11., 12., 13.], "....A"),
        (Every, 1, 10, &[0., 1., 20.], "AAA"),
        (Both, 3, 10, &[0., 1., 2., 3., 4., 11., 12., 13.], "..Aqq..A"),
        (Both, 1, 10, &[0., 1., 10.5], "AqA"),
    ] {
        assert_eq!(run(kind, count, seconds, times), wanted, "{kind:?} count {count}");
    }
    let mut rates = Rates::new(8);
    let backoff = Threshold { kind: Backoff { multiplier: 2 }, track: Track::Flow, count: 3, seconds: 0 };
    let alerts: Vec<u32> =
        (1..=24).filter(|_| rates.threshold(RULE, &backoff, &at(0.)) == Outcome::Alert).collect();
    assert_eq!(alerts, [3, 6, 12, 24]);
}

#[test]
fn a_detection_filter_matches_beyond_its_count() {
    let mut rates = Rates::new(8);
    let filter = Filter { track: Track::Destination, count: 2, seconds: 10 };
    let matches: Vec<bool> = [0., 1., 2., 3., 10., 11., 12., 13.]
        .iter()
        .map(|&time| rates.filter(RULE, &filter, &at(time)))
        .collect();
    assert_eq!(matches, [false, false, true, true, true, false, false, true]);
}

#[test]
fn sources_flows_and_rules_are_counted_apart() {
    let mut rates = Rates::new(8);
    let by = |track| Threshold { kind: ThresholdKind::Limit, track, count: 1, seconds: 60 };
    assert_eq!(rates.threshold(RULE, &by(Track::Source), &from(0., 1)), Outcome::Alert);
    assert_eq!(rates.threshold(RULE, &by(Track::Source), &from(0., 2)), Outcome::Alert);
    assert_eq!(rates.threshold(RULE, &by(Track::Source), &from(0., 1)), Outcome::Quiet);
    assert_eq!(rates.threshold(RuleId { sid: 8, ..RULE }, &by(Track::Rule), &from(0., 1)), Outcome::Alert);
    assert_eq!(rates.threshold(RuleId { sid: 8, ..RULE }, &by(Track::Rule), &from(0., 2)), Outcome::Quiet);
    let no_flow = Matched { flow: None, ..from(0., 1) };
    assert_eq!(rates.threshold(RULE, &by(Track::Flow), &no_flow), Outcome::Nothing);
}

#[test]
fn a_flood_of_sources_stays_within_bounds() {
    let mut rates = Rates::new(100);
    let threshold = Threshold { kind: ThresholdKind::Limit, track: Track::Source, count: 1, seconds: 60 };
    for source in 0..10_000_u32 {
        let matched =
            Matched { source: std::net::Ipv4Addr::from_bits(source).into(), ..at(f64::from(source)) };
        rates.threshold(RULE, &threshold, &matched);
    }
    assert_eq!((rates.len(), rates.evicted()), (100, 9_900));
}

proptest! {
    /// Half-way through, what is remembered goes to another table by way of JSON; the rest goes on as if nothing was.
    #[test]
    fn records_carry_everything(times in prop::collection::vec((0_u32..30, 1_u8..4), 1..60), half in 0_usize..60, count in 1_u32..5) {
        let mut times = times;
        times.sort_unstable();
        let threshold = Threshold { kind: ThresholdKind::Both, track: Track::Source, count, seconds: 7 };
        let filter = Filter { track: Track::Both, count, seconds: 7 };
        let other = RuleId { sid: 9, ..RULE };
        let (mut whole, mut parts) = (Rates::new(64), Rates::new(64));
        for (step, &(time, source)) in times.iter().enumerate() {
            if step == half {
                let records: Vec<Record> = parts.records().collect();
                let text = serde_json::to_string(&records).unwrap();
                parts = Rates::new(64);
                serde_json::from_str::<Vec<Record>>(&text).unwrap().into_iter().for_each(|record| parts.restore(record));
            }
            let matched = from(f64::from(time), source);
            prop_assert_eq!(whole.threshold(RULE, &threshold, &matched), parts.threshold(RULE, &threshold, &matched));
            prop_assert_eq!(whole.filter(other, &filter, &matched), parts.filter(other, &filter, &matched));
        }
    }
}
