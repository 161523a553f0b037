//! Times, rates and sizes as a configuration has them (`"50us"`, `"10gbit"`, `"200kB"`), and as the simulator counts them.

use serde::{Deserialize, Deserializer, de};

#[cfg(test)]
mod tests;

/// A point in simulated time or a length of it, in picoseconds: a byte at 100 Gbit/s takes 80 of them.
pub type Picos = u64;

/// Picoseconds of a second.
pub const SECOND: Picos = 1_000_000_000_000;
/// Picoseconds of a millisecond.
pub const MILLISECOND: Picos = SECOND / 1000;
/// Picoseconds of a microsecond.
pub const MICROSECOND: Picos = MILLISECOND / 1000;
/// Picoseconds of a nanosecond.
pub const NANOSECOND: Picos = MICROSECOND / 1000;

const TIMES: [(&str, u64); 4] = [("ns", NANOSECOND), ("us", MICROSECOND), ("ms", MILLISECOND), ("s", SECOND)];
const RATES: [(&str, u64); 4] = [("bit", 1), ("kbit", 1_000), ("mbit", 1_000_000), ("gbit", 1_000_000_000)];
const SIZES: [(&str, u64); 4] = [("B", 1), ("kB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000)];

/// What was written is no quantity of that sort.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no {sort}: write a number and {units}, like \"{example}\"")]
pub struct NoQuantity {
    text: String,
    sort: &'static str,
    units: &'static str,
    example: &'static str,
}

/// A whole number or one with decimals, times the unit behind it.
fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &text[digits.len()..];
    let (_, scale) = units.iter().find(|(name, _)| *name == unit)?;
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty()
        || decimals.len() > 12
        || !(whole.bytes().chain(decimals.bytes())).all(|b| b.is_ascii_digit())
    {
        return None;
    }
    let mut value = whole.parse::<u64>().ok()?.checked_mul(*scale)?;
    let mut part = *scale;
    for digit in decimals.bytes() {
        part /= 10;
        value = value.checked_add(u64::from(digit - b'0') * part)?;
    }
    Some(value)
}

/// A length of time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Span(pub Picos);

/// Bits per second, at least 1 kbit/s and at most 1 Tbit/s.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Rate(u64);

/// A number of bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Size(pub u64);

impl std::str::FromStr for Span {
    type Err = NoQuantity;

    fn from_str(text: &str) -> Result<Span, NoQuantity> {
        let (sort, units, example) = ("length of time", "ns, us, ms or s", "50us");
        parse(text, &TIMES).map(Span).ok_or(NoQuantity { text: text.to_owned(), sort, units, example })
    }
}

impl std::str::FromStr for Rate {
    type Err = NoQuantity;

    fn from_str(text: &str) -> Result<Rate, NoQuantity> {
        let (sort, units) = ("rate from 1kbit to 1000gbit", "bit, kbit, mbit or gbit");
        let bits = parse(text, &RATES).filter(|bits| (1_000..=1_000_000_000_000).contains(bits));
        bits.map(Rate).ok_or(NoQuantity { text: text.to_owned(), sort, units, example: "10gbit" })
    }
}

impl std::str::FromStr for Size {
    type Err = NoQuantity;

    fn from_str(text: &str) -> Result<Size, NoQuantity> {
        let (sort, units, example) = ("number of bytes", "B, kB, MB or GB", "200kB");
        parse(text, &SIZES).map(Size).ok_or(NoQuantity { text: text.to_owned(), sort, units, example })
    }
}

impl Rate {
    /// Bits per second.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// How long so many bytes take.
    pub const fn time_of(self, bytes: u64) -> Picos {
        ((bytes as u128 * 8 * SECOND as u128) / self.0 as u128) as u64
    }

    /// This rate times `factor`, at least 1 kbit/s.
    pub fn scaled(self, factor: f64) -> Rate {
        Rate(((self.0 as f64 * factor) as u64).clamp(1_000, 1_000_000_000_000))
    }
}

macro_rules! read_from_text {
    ($($type:ty),*) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

read_from_text!(Span, Rate, Size);
