//! Classes in brackets.

use super::translate::{Piece, Translator, literal};
use crate::refusal::Refusal;

impl Translator<'_> {
    /// A class in brackets, whose `[` is at `at`.
    pub(super) fn class(&mut self, at: usize) -> Result<String, Refusal> {
        self.at = at + 1;
        let mut out = String::from("[");
        if self.peek() == Some(b'^') {
            out.push('^');
            self.at += 1;
        }
        let first = self.at;
        // A range waits for its end: its beginning, and whether the hyphen has come.
        let mut begin: Option<(u8, bool)> = None;
        loop {
            let place = self.at;
            let Some(byte) = self.peek() else { return Err(self.bad(at, "a [ is not closed")) };
            self.at += 1;
            let piece = match byte {
                b']' if place > first => break,
                b'[' if matches!(self.peek(), Some(b':')) && self.posix_end().is_some() => {
                    let end = self.posix_end().unwrap_or(0);
                    let name = String::from_utf8_lossy(&self.rest()[1..end]).into_owned();
                    self.at += end + 2;
                    Piece::Set(
                        posix(&name).ok_or_else(|| self.bad(place, "no class of that name"))?.to_owned(),
                    )
                }
                b'\\' => match self.peek() {
                    Some(b'b') => {
                        self.at += 1;
                        Piece::Byte(8)
                    }
                    Some(b'E') => {
                        self.at += 1;
                        continue;
                    }
                    Some(b'B' | b'N' | b'R' | b'X' | b'p' | b'P' | b'Q') => {
                        return Err(self.bad(place, "an escape that classes do not have here"));
                    }
                    Some(b'k' | b'g') => {
                        return Err(self.bad(place, "an escape that classes do not have here"));
                    }
                    _ => self.class_escape(place)?,
                },
                byte => Piece::Byte(byte),
            };
            match (begin.take(), piece) {
                (None, Piece::Byte(byte)) => begin = Some((byte, false)),
                (Some((low, false)), Piece::Byte(b'-')) if byte == b'-' => begin = Some((low, true)),
                (Some((low, false)), Piece::Byte(next)) => {
                    out.push_str(&literal(low));
                    begin = Some((next, false));
                }
                (Some((low, true)), Piece::Byte(high)) => {
                    if low > high {
                        return Err(self.bad(place, "a range that ends before it begins"));
                    }
                    out.push_str(&format!("{}-{}", literal(low), literal(high)));
                }
                (low, Piece::Set(set)) => {
                    low.into_iter().for_each(|low| push_pending(&mut out, low));
                    out.push_str(&set);
                }
            }
        }
        begin.into_iter().for_each(|low| push_pending(&mut out, low));
        out.push(']');
        Ok(out)
    }

    /// Where the name of a POSIX class ends, from the colon on: at `:]`.
    fn posix_end(&self) -> Option<usize> {
        let end = self.rest().windows(2).skip(1).position(|pair| pair == b":]")? + 1;
        self.rest()[1..end].iter().all(|byte| byte.is_ascii_lowercase() || *byte == b'^').then_some(end)
    }
}

/// A byte that began no range after all, and the hyphen behind it if there was one.
fn push_pending(out: &mut String, (byte, hyphen): (u8, bool)) {
    out.push_str(&literal(byte));
    if hyphen {
        out.push_str("\\-");
    }
}

/// A POSIX class in the engine's syntax.
fn posix(name: &str) -> Option<&'static str> {
    Some(match name {
        "alnum" => "[:alnum:]",
        "alpha" => "[:alpha:]",
        "ascii" => "[:ascii:]",
        "blank" => "[:blank:]",
        "cntrl" => "[:cntrl:]",
        "digit" => "[:digit:]",
        "graph" => "[:graph:]",
        "lower" => "[:lower:]",
        "print" => "[:print:]",
        "punct" => "[:punct:]",
        "space" => "[:space:]",
        "upper" => "[:upper:]",
        "word" => "[:word:]",
        "xdigit" => "[:xdigit:]",
        "^digit" => "[:^digit:]",
        "^space" => "[:^space:]",
        "^alpha" => "[:^alpha:]",
        "^alnum" => "[:^alnum:]",
        _ => return None,
    })
}
