//! Comparisons of whole numbers: `10`, `!10`, `>=0x0a`, `10<>20`, `10-20`, `&0xc0=0x80`.

use super::span::{Span, digits};
use crate::{number::Number, refusal::Refusal};

/// Reads a comparison with numbers of at most `max`.
pub(crate) fn number(keyword: &str, span: Span<'_>, max: u64) -> Result<Number, Refusal> {
    let span = span.unquoted().trim();
    let one = |span: Span<'_>| value(keyword, span.trim(), max);
    if let Some(masked) = span.strip(b"&") {
        let (mask, wanted, negated) = match find(masked.bytes, b"!=") {
            Some(at) => (masked.take(at), masked.skip(at + 2), true),
            None => match find(masked.bytes, b"=") {
                Some(at) => (masked.take(at), masked.skip(at + 1), false),
                None => return Err(span.bad(keyword, "a mask needs = or != and a value after it")),
            },
        };
        let (mask, wanted) = (one(mask)?, one(wanted)?);
        if mask & wanted != wanted {
            return Err(span.bad(keyword, "never holds: the value has bits that the mask has not"));
        }
        return Ok(if negated { Number::NotMasked(mask, wanted) } else { Number::Masked(mask, wanted) });
    }
    let range = |span: Span<'_>| -> Option<(usize, usize)> {
        find(span.bytes, b"<>").filter(|&at| at > 0).map(|at| (at, at + 2)).or_else(|| {
            span.bytes.iter().position(|&b| b == b'-').filter(|&at| at > 0).map(|at| (at, at + 1))
        })
    };
    let (negated, inner) = match span.strip(b"!") {
        Some(rest) if range(rest).is_some() => (true, rest),
        _ => (false, span),
    };
    if let Some((at, after)) = range(inner) {
        let (low, high) = (one(inner.take(at))?, one(inner.skip(after))?);
        if low >= high || high - low < 2 {
            return Err(span.bad(keyword, "never holds: ranges leave out both of their ends"));
        }
        return Ok(if negated { Number::NotBetween(low, high) } else { Number::Between(low, high) });
    }
    type Make = fn(u64) -> Number;
    let prefixes: [(&[u8], Make); 7] = [
        (b"!=", Number::NotEqual),
        (b"!", Number::NotEqual),
        (b">=", Number::AtLeast),
        (b"<=", Number::AtMost),
        (b">", Number::More),
        (b"<", Number::Less),
        (b"=", Number::Equal),
    ];
    for (prefix, make) in prefixes {
        if let Some(rest) = span.strip(prefix) {
            return one(rest).map(make);
        }
    }
    one(span).map(Number::Equal)
}

/// A number with an optional unit.
fn value(keyword: &str, span: Span<'_>, max: u64) -> Result<u64, Refusal> {
    let lower = span.bytes.to_ascii_lowercase();
    for (unit, factor) in [
        ("kib", 1 << 10),
        ("mib", 1 << 20),
        ("gib", 1 << 30),
        ("kb", 1 << 10),
        ("mb", 1 << 20),
        ("gb", 1 << 30),
    ] {
        if let Some(number) = lower.strip_suffix(unit.as_bytes())
            && !lower.starts_with(b"0x")
            && let Some(number) = digits(number.trim_ascii())
        {
            return number
                .checked_mul(factor)
                .filter(|&number| number <= max)
                .ok_or_else(|| span.bad(keyword, format!("\"{}\" is more than {max}", span.text())));
        }
    }
    span.number(keyword, max)
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
