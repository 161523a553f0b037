//! Which content of a rule selects it: the one that a search for all rules' contents at once looks for.

use crate::{
    buffer::Buffer,
    payload::{Content, FastPattern, Test},
    rule::Rule,
};

/// The content that must be there for a rule to match, and is searched for first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selector<'a> {
    /// Where it is sought. With transforms of that group, in the bytes after them.
    pub buffer: Buffer,
    /// Index of its group in [`Rule::buffers`].
    pub group: usize,
    /// Index of it in its group's tests.
    pub test: usize,
    /// The bytes to seek: all of the content, or the part that `fast_pattern:o,l` chose.
    pub pattern: &'a [u8],
    /// ASCII letters match either case.
    pub nocase: bool,
}

impl Rule {
    /// The content that selects the rule: the one with `fast_pattern`, else the best of its longest and most varied
    /// ones; nothing if it has none that must be there.
    ///
    /// As in Suricata, contents of an application's buffers go before those of the payload, and these before those
    /// of packet headers; among them counts what [`strength`] says, and the first of equals. A content that nobody
    /// marked is not chosen if it is negated, or in a group that also holds where its buffer is `absent`.
    pub fn selector(&self) -> Option<Selector<'_>> {
        let contents = self.buffers.iter().enumerate().flat_map(|(group, tests)| {
            let usable = !tests.tests.iter().any(|test| matches!(test, Test::Absent { .. }));
            let all = tests.tests.iter().enumerate();
            all.filter_map(move |(test, content)| match content {
                Test::Content(content) if usable && !content.negated => {
                    Some((tests.buffer, group, test, content))
                }
                _ => None,
            })
        });
        let rank = |buffer: Buffer| match buffer {
            Buffer::Payload => 1,
            buffer if buffer.is_packet_header() => 0,
            _ => 2,
        };
        let key = |&(buffer, group, test, content): &(Buffer, usize, usize, &Content)| {
            let first = (std::cmp::Reverse(group), std::cmp::Reverse(test));
            (content.fast_pattern.is_some(), rank(buffer), strength(chosen(content)), first)
        };
        let (buffer, group, test, content) = contents.max_by_key(key)?;
        Some(Selector { buffer, group, test, pattern: chosen(content), nocase: content.nocase })
    }
}

/// The bytes of a content that are sought first.
fn chosen(content: &Content) -> &[u8] {
    match content.fast_pattern {
        Some(FastPattern::Chop { offset, length }) => {
            let (from, length) = (usize::from(offset), usize::from(length));
            content.pattern.get(from..from + length).unwrap_or(&content.pattern)
        }
        _ => &content.pattern,
    }
}

/// How much a content tells: the sum of what its different bytes tell, each counted once, and a little for each
/// further byte. Letters tell less than other printable bytes, and these less than the rest; 0, 1 and 255, of which
/// binary protocols are full, tell least.
pub fn strength(pattern: &[u8]) -> u32 {
    let mut seen = [false; 256];
    pattern.iter().fold(0, |sum, &byte| {
        let again = std::mem::replace(&mut seen[usize::from(byte)], true);
        sum + match byte {
            _ if again => 1,
            b'a'..=b'z' | b'A'..=b'Z' => 3,
            0 | 1 | 0xff => 2,
            0x20..=0x7e => 4,
            _ => 6,
        }
    })
}

#[cfg(test)]
mod tests {
    use crate::{classes::Classes, parse, vars::Vars};

    #[test]
    fn the_marked_or_the_most_telling_content_selects() {
        for (options, wanted) in [
            ("content:\"aaaaaa\"; content:\"abcd\";", Some("abcd")),
            ("content:\"abcd\"; content:!\"abcdefgh\";", Some("abcd")),
            ("content:\"abcd\"; content:\"ab\"; fast_pattern;", Some("ab")),
            ("content:\"abcdef\"; fast_pattern:2,3;", Some("cde")),
            ("content:\"abcdef\"; content:\"xy\"; http_uri;", Some("xy")),
            ("content:\"ab\"; content:\"ba\";", Some("ab")),
            ("tcp.hdr; content:\"longlong\"; pkt_data; content:\"ab\";", Some("ab")),
            ("http.referer; absent:or_else; content:\"abc\";", None),
            ("dsize:3;", None),
        ] {
            let text = format!("alert tcp any any -> any any ({options} sid:1;)");
            let rule = parse::rule(text.as_bytes(), &Vars::default(), &Classes::default()).unwrap();
            let selector = rule.selector().map(|selector| selector.pattern);
            assert_eq!(selector, wanted.map(str::as_bytes), "{options}");
        }
    }
}
