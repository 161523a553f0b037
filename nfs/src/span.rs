//! Lengths of time as they are written in a configuration: `"300s"`, `"5m"`, `"250ms"`.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A length of time: a whole number and a unit, `ms`, `s`, `m`, `h` or `d`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Span(pub Duration);

/// Unit and its milliseconds, the largest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Span {
    /// So many seconds.
    pub const fn seconds(seconds: u64) -> Span {
        Span(Duration::from_secs(seconds))
    }

    /// In nanoseconds; what does not fit is the largest number.
    pub fn as_nanos(self) -> u64 {
        u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX)
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Span, String> {
        let wrong =
            || format!("'{text}' is no length of time: write a number and ms, s, m, h or d, like \"300s\"");
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let millis = number.checked_mul(*scale).ok_or_else(wrong)?;
        Ok(Span(Duration::from_millis(millis)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let fitting = UNITS.iter().find(|(_, scale)| millis >= *scale && millis % scale == 0);
        let (unit, scale) = fitting.unwrap_or(&("s", 1_000));
        write!(f, "{}{unit}", millis / scale)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[0-9]+(ms|s|m|h|d)$",
            "description": "A length of time: 250ms, 300s, 5m, 1h, 7d.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_a_unit_is_a_length_of_time() {
        for (text, millis) in
            [("250ms", 250), ("0s", 0), ("300s", 300_000), ("5m", 300_000), ("1h", 3_600_000)]
        {
            assert_eq!(text.parse::<Span>().map(|span| span.0.as_millis()), Ok(millis), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused_with_an_example() {
        for text in
            ["", "s", "300", "-1s", "1.5s", "3 s", "1y", "99999999999999999999s", "18446744073709551615d"]
        {
            let error = text.parse::<Span>().expect_err(text);
            assert!(error.contains("\"300s\""), "{error}");
        }
    }

    #[test]
    fn is_written_in_the_largest_unit_that_fits() {
        for (millis, text) in [(0, "0s"), (1, "1ms"), (1_500, "1500ms"), (300_000, "5m"), (86_400_000, "1d")]
        {
            assert_eq!(Span(Duration::from_millis(millis)).to_string(), text);
        }
    }
}
