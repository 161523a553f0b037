//! Durations as people write them: `10s`, `500ms`, `2m`, `1h`.

use std::time::Duration;

#[cfg(test)]
mod tests;

/// The units, with their length in nanoseconds.
const UNITS: [(&str, u64); 6] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads a number and a unit (`ns`, `us`, `ms`, `s`, `m`, `h`); decimals are allowed: `1.5s`.
///
/// # Errors
/// What is wrong, and what would be right.
pub fn parse(text: &str) -> Result<Duration, String> {
    let refuse = |what: &str| {
        format!("{what} in '{text}': write a number and a unit, as in \"500ms\", \"10s\", \"2m\"")
    };
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &text[digits.len()..];
    let Some((_, scale)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(refuse(if unit.is_empty() { "no unit" } else { "unknown unit" }));
    };
    if let Ok(whole) = digits.parse::<u64>() {
        return whole.checked_mul(*scale).map(Duration::from_nanos).ok_or_else(|| refuse("too long a time"));
    }
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let number = digits.parse::<f64>().ok().filter(|_| plain).ok_or_else(|| refuse("no number"))?;
    Duration::try_from_secs_f64(number * (*scale as f64) / 1e9).map_err(|_| refuse("too long a time"))
}

/// Writes a duration as [`parse`] reads it, in the largest unit that divides it.
pub fn format(duration: Duration) -> String {
    let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let (name, scale) = UNITS
        .iter()
        .rev()
        .find(|(_, scale)| nanos % scale == 0 && nanos >= *scale)
        .unwrap_or(&("s", 1_000_000_000));
    format!("{}{name}", nanos / scale)
}
