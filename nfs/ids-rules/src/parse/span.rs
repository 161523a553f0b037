//! A piece of a rule's text that knows where it is.

use crate::refusal::{Kind, Refusal};

/// A piece of a rule: bytes, and where they begin (from 0).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
}

impl<'a> Span<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub fn is_empty(self) -> bool {
        self.bytes.is_empty()
    }

    /// From `from` on.
    pub fn skip(self, from: usize) -> Self {
        let from = from.min(self.bytes.len());
        Self { bytes: &self.bytes[from..], at: self.at + from }
    }

    /// The first `length` bytes.
    pub fn take(self, length: usize) -> Self {
        Self { bytes: &self.bytes[..length.min(self.bytes.len())], at: self.at }
    }

    /// Without blanks at both ends.
    pub fn trim(self) -> Self {
        let front = self.bytes.len() - self.bytes.trim_ascii_start().len();
        Self { bytes: self.bytes.trim_ascii(), at: self.at + front }
    }

    /// As text for comparing and for messages: bytes beyond ASCII are replaced.
    pub fn text(self) -> std::borrow::Cow<'a, str> {
        String::from_utf8_lossy(self.bytes)
    }

    /// What is before and after the first `byte`, both trimmed.
    pub fn cut(self, byte: u8) -> Option<(Self, Self)> {
        let at = self.bytes.iter().position(|&b| b == byte)?;
        Some((self.take(at).trim(), self.skip(at + 1).trim()))
    }

    /// The parts between commas, trimmed.
    pub fn list(self) -> impl Iterator<Item = Self> {
        self.split(|b| b == b',')
    }

    /// The parts between bytes that `is` takes, trimmed.
    pub fn split(self, is: impl Fn(u8) -> bool) -> impl Iterator<Item = Self> {
        let mut rest = Some(self);
        std::iter::from_fn(move || {
            let span = rest?;
            match span.bytes.iter().position(|&b| is(b)) {
                Some(at) => {
                    rest = Some(span.skip(at + 1));
                    Some(span.take(at).trim())
                }
                None => {
                    rest = None;
                    Some(span.trim())
                }
            }
        })
    }

    /// Without `prefix`, trimmed, if it begins with that.
    pub fn strip(self, prefix: &[u8]) -> Option<Self> {
        self.bytes.starts_with(prefix).then(|| self.skip(prefix.len()).trim())
    }

    /// Without the double quotes round it; as it is if there are none.
    pub fn unquoted(self) -> Self {
        match self.bytes {
            [b'"', .., b'"'] if self.bytes.len() >= 2 => self.take(self.bytes.len() - 1).skip(1),
            _ => self,
        }
    }

    pub fn refuse(self, keyword: &str, kind: Kind, message: impl Into<String>) -> Refusal {
        Refusal { column: self.at + 1, keyword: keyword.to_owned(), kind, message: message.into() }
    }

    /// A refusal of a value.
    pub fn bad(self, keyword: &str, message: impl Into<String>) -> Refusal {
        self.refuse(keyword, Kind::Value, message)
    }

    /// A number, decimal or hexadecimal with `0x`, of at most `max`.
    pub fn number(self, keyword: &str, max: u64) -> Result<u64, Refusal> {
        let value = digits(self.bytes)
            .ok_or_else(|| self.bad(keyword, format!("\"{}\" is no number", self.text())))?;
        if value > max {
            return Err(self.bad(keyword, format!("{value} is more than {max}")));
        }
        Ok(value)
    }

    /// A number with an optional sign.
    pub fn signed(self, keyword: &str, limit: i64) -> Result<i64, Refusal> {
        let (negative, rest) = match self.bytes.first() {
            Some(b'-') => (true, self.skip(1)),
            Some(b'+') => (false, self.skip(1)),
            _ => (false, self),
        };
        let value = rest.number(keyword, limit.unsigned_abs())?;
        let value = i64::try_from(value).unwrap_or(limit);
        Ok(if negative { -value } else { value })
    }
}

/// A number in decimal or, after `0x`, hexadecimal digits, with nothing else around it.
pub(crate) fn digits(bytes: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (text, base) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(text) => (text, 16),
        None => (text, 10),
    };
    if text.is_empty() || text.starts_with(['+', '-']) {
        return None;
    }
    u64::from_str_radix(text, base).ok()
}
