//! `pcre`: Perl-compatible expressions, put into the syntax of an engine that takes linear time.
//!
//! What needs a backtracking engine is refused by name: back-references, atomic groups, possessive quantifiers,
//! recursion, conditions, `\K`, `\G`, and assertions that look around. A negative or positive look-behind of one
//! byte at the beginning of an alternative is taken: `(?<![a-z])x` has become `(?:\A|[^a-z])x`, which is found in the
//! same buffers and ends at the same byte.
//!
//! Where the translation differs from PCRE, by a byte at most: `$` without the flags `m` and `E` matches at the end or
//! before a last line feed; here it takes that line feed into the match.

mod class;
mod translate;

use std::sync::Arc;

use regex_automata::{nfa::thompson, util::syntax};

use crate::{
    buffer::Buffer,
    parse::Span,
    payload::{Pcre, PcreFlags},
    refusal::{Kind, Refusal},
};

/// The most memory that one compiled expression may take, in bytes: what it is checked with, and what an engine's own
/// limit should be.
pub const COMPILED_LIMIT: usize = 2 << 20;

/// The longest expression, in bytes.
const LONGEST: usize = 4096;

const KEYWORD: &str = "pcre";

/// Reads what is behind `pcre:`, and the buffer that its flags name.
pub(crate) fn parse(value: Span<'_>) -> Result<(Pcre, Option<Buffer>), Refusal> {
    let (value, negated) = match value.strip(b"!") {
        Some(rest) => (rest, true),
        None => (value, false),
    };
    let value = value.unquoted();
    let bad = |span: Span<'_>, message: &str| span.bad(KEYWORD, message);
    let body = value.strip(b"/").ok_or_else(|| bad(value, "begins with a slash"))?;
    let slash = body
        .bytes
        .iter()
        .rposition(|&byte| byte == b'/')
        .ok_or_else(|| bad(value, "ends with a slash and flags"))?;
    let (pattern, letters) = (body.take(slash), body.skip(slash + 1));
    if pattern.is_empty() || pattern.bytes.len() > LONGEST {
        return Err(pattern.bad(KEYWORD, format!("must have 1 to {LONGEST} bytes")));
    }
    let mut flags = PcreFlags::default();
    let (mut relative, mut buffer) = (false, None);
    for (at, &letter) in letters.bytes.iter().enumerate() {
        let named = match letter {
            b'i' => set(&mut flags.caseless),
            b'm' => set(&mut flags.multiline),
            b's' => set(&mut flags.dotall),
            b'x' => set(&mut flags.extended),
            b'A' => set(&mut flags.anchored),
            b'E' => set(&mut flags.dollar_end_only),
            b'G' => set(&mut flags.ungreedy),
            b'R' => set(&mut relative),
            // Raw bytes are all that there is; limits of matching are not needed in linear time.
            b'B' | b'O' => None,
            b'U' => Some(Buffer::HttpUri),
            b'I' => Some(Buffer::HttpUriRaw),
            b'H' => Some(Buffer::HttpHeader),
            b'D' => Some(Buffer::HttpHeaderRaw),
            b'M' => Some(Buffer::HttpMethod),
            b'C' => Some(Buffer::HttpCookie),
            b'P' => Some(Buffer::HttpRequestBody),
            b'Q' => Some(Buffer::HttpResponseBody),
            b'Y' => Some(Buffer::HttpStatusMessage),
            b'S' => Some(Buffer::HttpStatusCode),
            b'V' => Some(Buffer::HttpUserAgent),
            b'W' => Some(Buffer::HttpHost),
            b'Z' => Some(Buffer::HttpHostRaw),
            b',' => {
                return Err(letters.skip(at).refuse(
                    KEYWORD,
                    Kind::Unsupported,
                    "variables of captures are not in the subset",
                ));
            }
            _ => {
                let message = format!("\"{}\" is no flag", char::from(letter));
                return Err(letters.skip(at).bad(KEYWORD, message));
            }
        };
        if let Some(named) = named
            && buffer.replace(named).is_some_and(|before| before != named)
        {
            return Err(letters.skip(at).refuse(KEYWORD, Kind::Conflict, "two flags name buffers"));
        }
    }
    let regex = translate::translate(pattern, flags)?;
    if compile(&regex).is_err() {
        return Err(pattern.refuse(
            KEYWORD,
            Kind::Unsupported,
            format!("takes more than {COMPILED_LIMIT} bytes compiled, or is no expression"),
        ));
    }
    let pcre =
        Pcre { pattern: printable(pattern.bytes).into(), regex: Arc::from(regex), negated, relative, flags };
    Ok((pcre, buffer))
}

/// Sets a flag; no buffer comes of it.
fn set(flag: &mut bool) -> Option<Buffer> {
    *flag = true;
    None
}

/// An expression as text: bytes beyond ASCII by their number, which a backslash before them already begins.
fn printable(bytes: &[u8]) -> String {
    let (mut out, mut escaped) = (String::with_capacity(bytes.len()), false);
    for &byte in bytes {
        match byte {
            byte if byte.is_ascii() => out.push(char::from(byte)),
            byte if escaped => out.push_str(&format!("x{byte:02x}")),
            byte => out.push_str(&format!("\\x{byte:02x}")),
        }
        escaped = byte == b'\\' && !escaped;
    }
    out
}

/// How the crates `regex` and `regex-automata` have to read [`Pcre::regex`].
pub fn syntax() -> syntax::Config {
    syntax::Config::new().unicode(false).utf8(false).nest_limit(96)
}

/// Compiles an expression, within [`COMPILED_LIMIT`].
fn compile(regex: &str) -> Result<thompson::NFA, Box<thompson::BuildError>> {
    let config = thompson::Config::new()
        .utf8(false)
        .which_captures(thompson::WhichCaptures::Implicit)
        .nfa_size_limit(Some(COMPILED_LIMIT));
    thompson::Compiler::new().syntax(syntax()).configure(config).build(regex).map_err(Box::new)
}

#[cfg(test)]
mod tests;
