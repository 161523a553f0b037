//! Secrets of a configuration: texts that are shown have none.
//!
//! A text may be no TOML at all, as it is shown where it is refused too. So what is masked is found by its looks: a key
//! that some kind of NF names among its secrets, an equals sign, a value. Every byte of a value becomes an asterisk, so
//! that places in the text stay where they are.

#[cfg(test)]
mod tests;

use engine::Registry;

/// The text with asterisks in place of the values of all secret keys.
pub(super) fn masked(text: &str, registry: &Registry) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for name in registry.iter().flat_map(|entry| entry.secrets) {
        for (at, _) in text.match_indices(*name) {
            let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
            let (before, after) = (&text.as_bytes()[..at], &text.as_bytes()[at + name.len()..]);
            if before.last().is_some_and(is_name) || after.first().is_some_and(is_name) {
                continue;
            }
            if let Some((begin, end)) = value(after) {
                let start = at + name.len();
                bytes[start + begin..start + end].fill(b'*');
            }
        }
    }
    // Whole characters are masked: a value ends at ASCII or with the text.
    String::from_utf8(bytes).unwrap_or_default()
}

/// What is wrong with a value, without the text that stands there: it may be a secret in a wrong place.
pub(super) fn without_text(message: &str) -> String {
    let begin = message.find("string \"").map(|at| at + "string".len());
    let end = message.rfind("\", expected").map(|at| at + 1);
    match (begin, end) {
        (Some(begin), Some(end)) if begin < end => format!("{}{}", &message[..begin], &message[end..]),
        _ => message.to_owned(),
    }
}

/// Where the value is, in what follows a key: without its quotes. `None`: there is no equals sign.
fn value(after: &[u8]) -> Option<(usize, usize)> {
    let blank = |at: usize| after[at..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    // The key's own closing quote.
    let mut at = usize::from(matches!(after.first(), Some(b'"' | b'\'')));
    at += blank(at);
    if after.get(at) != Some(&b'=') {
        return None;
    }
    at += 1;
    at += blank(at);
    let quote = *after.get(at)?;
    let rest = &after[at..];
    if !matches!(quote, b'"' | b'\'') {
        return Some((at, at + ends(rest, |byte| matches!(byte, b',' | b'}' | b']' | b'#' | b'\n'))));
    }
    let begin = if rest.starts_with(&[quote; 3]) { 3 } else { 1 };
    let body = &rest[begin..];
    let end = if begin == 3 {
        body.windows(3).position(|three| three == [quote; 3]).unwrap_or(body.len())
    } else {
        ends(body, |byte| byte == quote || byte == b'\n')
    };
    Some((at + begin, at + begin + end))
}

fn ends(bytes: &[u8], is_end: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|&byte| is_end(byte)).unwrap_or(bytes.len())
}
