use super::*;

#[test]
fn quantities_are_a_number_and_a_unit() {
    assert_eq!("50us".parse(), Ok(Span(50 * MICROSECOND)));
    assert_eq!("0.5ms".parse(), Ok(Span(500 * MICROSECOND)));
    assert_eq!("2s".parse(), Ok(Span(2 * SECOND)));
    assert_eq!("10gbit".parse::<Rate>().map(Rate::bits), Ok(10_000_000_000));
    assert_eq!("2.5gbit".parse::<Rate>().map(Rate::bits), Ok(2_500_000_000));
    assert_eq!("200kB".parse(), Ok(Size(200_000)));
}

#[test]
fn what_is_none_is_refused_with_what_would_be_right() {
    for text in ["", "5", "us", "-1us", "1 us", "1e3us", ".5s", "99999999999999999999s", "1m"] {
        let error = text.parse::<Span>().expect_err(text).to_string();
        assert!(error.contains("like \"50us\""), "{error}");
    }
    assert!("2000gbit".parse::<Rate>().is_err());
    assert!("0gbit".parse::<Rate>().is_err());
    assert!("1kb".parse::<Size>().is_err());
}

#[test]
fn a_byte_at_100_gbit_takes_80_picoseconds() {
    let rate: Rate = "100gbit".parse().expect("a rate");
    assert_eq!(rate.time_of(1), 80);
    assert_eq!(rate.scaled(0.1).time_of(1538), 1538 * 800);
    let slow: Rate = "1kbit".parse().expect("a rate");
    assert_eq!(slow.time_of(1_000_000), 8_000 * SECOND);
}
