use super::*;

#[test]
fn a_number_and_a_unit_is_a_length_of_time() {
    for (text, millis) in [("250ms", 250), ("0s", 0), ("300s", 300_000), ("5m", 300_000), ("1h", 3_600_000)] {
        assert_eq!(text.parse::<Span>().map(|span| span.0.as_millis()), Ok(millis), "{text}");
    }
}

#[test]
fn everything_else_is_refused_with_an_example() {
    for text in ["", "s", "300", "-1s", "1.5s", "3 s", "1y", "99999999999999999999s", "18446744073709551615d"]
    {
        let error = text.parse::<Span>().expect_err(text);
        assert!(error.contains("\"300s\""), "{error}");
    }
}

#[test]
fn is_written_in_the_largest_unit_that_fits() {
    for (millis, text) in [(0, "0s"), (1, "1ms"), (1_500, "1500ms"), (300_000, "5m"), (86_400_000, "1d")] {
        assert_eq!(Span(Duration::from_millis(millis)).to_string(), text);
    }
}
