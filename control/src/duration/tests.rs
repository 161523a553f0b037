use super::*;

#[test]
fn a_number_and_a_unit_is_a_duration() {
    for (text, nanos) in [
        ("10s", 10_000_000_000),
        ("500ms", 500_000_000),
        ("2m", 120_000_000_000),
        ("1.5s", 1_500_000_000),
        ("0s", 0),
    ] {
        assert_eq!(parse(text), Ok(Duration::from_nanos(nanos)), "{text}");
    }
}

#[test]
fn what_is_not_a_duration_is_refused_with_an_example() {
    for text in
        ["", "10", "s", "10 s", "-1s", "ten s", "10d", "1e9s", "infs", "nans", "99999999999999h", "1..2s"]
    {
        let error = parse(text).expect_err(text);
        assert!(error.contains("\"10s\""), "{text}: {error}");
    }
}

#[test]
fn a_written_duration_reads_back() {
    for nanos in [0, 1, 1_500, 60_000_000_000, 90_000_000_000, 3_600_000_000_000] {
        let duration = Duration::from_nanos(nanos);
        assert_eq!(parse(&format(duration)), Ok(duration), "{nanos}");
    }
}
