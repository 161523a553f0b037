//! Rates as they are written in a configuration: `"10mbit"`, and what they mean for time and for workers.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// Bits per second, from 1 to [`Rate::MOST`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Rate(u64);

/// Unit and its bits per second, the largest first.
const UNITS: [(&str, u64); 4] = [("gbit", 1_000_000_000), ("mbit", 1_000_000), ("kbit", 1_000), ("bit", 1)];

impl Rate {
    /// The largest rate: 1 Tbit/s.
    pub const MOST: u64 = 1_000_000_000_000;

    /// So many bits per second; `None` for none at all and for more than [`Rate::MOST`].
    pub fn new(bits_per_second: u64) -> Option<Rate> {
        (1..=Rate::MOST).contains(&bits_per_second).then_some(Rate(bits_per_second))
    }

    /// Bits per second.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// What worker `index` of `count` has of a budget that all workers share: equal whole parts, and of what is left
    /// over one unit each for the first ones, so that all parts together are the budget.
    pub fn part(budget: u64, index: usize, count: usize) -> u64 {
        let (index, count) = (index as u64, count.max(1) as u64);
        budget / count + u64::from(index < budget % count)
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Rate, String> {
        let wrong =
            || format!("'{text}' is no rate: write a number and bit, kbit, mbit or gbit, like \"10mbit\"");
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let bits = number.checked_mul(*scale).ok_or_else(wrong)?;
        Rate::new(bits).ok_or_else(|| format!("'{text}' is not from 1bit to 1000gbit per second"))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fitting = UNITS.iter().find(|(_, scale)| self.0.is_multiple_of(*scale));
        let (unit, scale) = fitting.unwrap_or(&("bit", 1));
        write!(f, "{}{unit}", self.0 / scale)
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Rate, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Rate {
    fn schema_name() -> Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[0-9]+(bit|kbit|mbit|gbit)$",
            "description": "Bits per second: 64kbit, 10mbit, 1gbit.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_a_unit_is_a_rate() {
        for (text, bits) in
            [("1bit", 1), ("64kbit", 64_000), ("10mbit", 10_000_000), ("1000gbit", 1_000_000_000_000)]
        {
            let rate: Rate = text.parse().expect(text);
            assert_eq!(rate.bits(), bits);
            assert_eq!(rate.to_string().parse(), Ok(rate), "{rate}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in ["", "10", "mbit", "-1mbit", "1.5mbit", "10 mbit", "10mb", "99999999999999999999bit"] {
            assert!(text.parse::<Rate>().expect_err(text).contains("\"10mbit\""));
        }
        for text in ["0mbit", "1001gbit"] {
            assert!(text.parse::<Rate>().expect_err(text).contains("1000gbit"));
        }
    }

    #[test]
    fn the_parts_of_a_budget_differ_by_one_at_most_and_are_the_budget_together() {
        for (budget, count) in [(10, 1), (10, 3), (11, 4), (2, 3), (1_000_000_007, 7)] {
            let parts: Vec<u64> = (0..count).map(|index| Rate::part(budget, index, count)).collect();
            assert_eq!(parts.iter().sum::<u64>(), budget);
            assert!(parts[0] - parts[count - 1] <= 1, "{parts:?}");
            assert!(parts.is_sorted_by(|a, b| a >= b), "{parts:?}");
        }
    }
}
