//! One way of a connection's bytes: what of them is still looked at.
//!
//! Bytes come in pieces that say nothing of where a pattern begins or ends, so the last ones stay in a window, in which
//! rules are evaluated. Suricata looks at a stream in chunks, and a rule alerts once per chunk; so it does here, though
//! bytes are looked at as soon as they come.

/// Bytes of a stream in which a rule alerts once (Suricata's `toserver-chunk-size`).
const CHUNK: u64 = 2560;
/// Rules that are remembered per way: those whose pattern was found, and those that have matched.
const REMEMBERED: usize = 32;

/// What stays of a stream.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Way {
    /// The last bytes.
    pub window: Vec<u8>,
    /// The stream's bytes before the window.
    pub base: u64,
    /// Where the chunk began.
    pub chunk: u64,
    /// Rules of which a pattern was found, and where it ended; the rest of the rule may be yet to come.
    pub pending: Vec<(u32, u64)>,
    /// Rules that matched, and the place from which on they may match again; [`LATER`]: from the next chunk on.
    pub matched: Vec<(u32, u64)>,
}

/// A place that is not known yet.
const LATER: u64 = u64::MAX;

impl Way {
    /// The place of the next byte.
    pub(super) fn end(&self) -> u64 {
        self.base + self.window.len() as u64
    }

    /// Adds bytes that belong at `offset`. What is missing before them parts them from those before.
    pub(super) fn add(&mut self, offset: u64, bytes: &[u8]) {
        if offset != self.end() {
            self.part(offset);
        }
        self.window.extend_from_slice(bytes);
    }

    /// What comes next does not follow what is here.
    pub(super) fn part(&mut self, next: u64) {
        self.window.clear();
        self.pending.clear();
        self.base = next;
    }

    /// Whether the rule may match now, and where what it may see begins in the window.
    pub(super) fn sight(&self, rule: u32) -> Option<usize> {
        let from = self.matched.iter().find(|(matched, _)| *matched == rule).map_or(0, |(_, from)| *from);
        let skipped = from.saturating_sub(self.base);
        (from != LATER && skipped <= self.window.len() as u64).then_some(skipped as usize)
    }

    /// Bytes of memory that it holds.
    pub(super) fn held(&self) -> usize {
        self.window.capacity()
    }

    /// Gives up what is here.
    pub(super) fn give_up(&mut self) {
        self.part(self.end());
        self.window = Vec::new();
    }

    /// The rule's pattern was found, and nothing came of it yet.
    pub(super) fn wait(&mut self, rule: u32, end: u64) {
        if self.pending.iter().any(|(pending, _)| *pending == rule) {
            return;
        }
        if self.pending.len() == REMEMBERED {
            self.pending.remove(0);
        }
        self.pending.push((rule, end));
    }

    /// The rule matched.
    pub(super) fn note_match(&mut self, rule: u32) {
        self.pending.retain(|(pending, _)| *pending != rule);
        self.matched.retain(|(matched, _)| *matched != rule);
        if self.matched.len() == REMEMBERED {
            self.matched.remove(0);
        }
        self.matched.push((rule, LATER));
    }

    /// Everything in the window was looked at: what is beyond `keep` bytes goes.
    pub(super) fn settle(&mut self, keep: usize) {
        let end = self.end();
        if end - self.chunk >= CHUNK {
            self.chunk = end;
            for (_, from) in &mut self.matched {
                *from = (*from).min(end);
            }
        }
        let surplus = self.window.len().saturating_sub(keep);
        // Moving what stays costs as much as there is: not for every piece.
        if surplus > keep || surplus > 0 && keep == 0 {
            self.window.drain(..surplus);
            self.window.shrink_to(2 * keep);
            self.base += surplus as u64;
        }
        let base = self.base;
        self.pending.retain(|(_, end)| *end > base);
    }
}

/// Bytes as hexadecimal digits.
pub(super) mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::borrow::Cow;

    const DIGITS: &[u8; 16] = b"0123456789abcdef";

    pub(in crate::ids) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        let digit = |value: u8| char::from(DIGITS[usize::from(value & 15)]);
        to.serialize_str(&bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect::<String>())
    }

    pub(in crate::ids) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = Cow::<'de, str>::deserialize(from)?;
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let pair = |pair: &[u8]| match pair {
            [high, low] => Some((digit(*high)? << 4 | digit(*low)?) as u8),
            _ => None,
        };
        let bytes = text.as_bytes().chunks(2).map(pair).collect::<Option<_>>();
        bytes.ok_or_else(|| D::Error::custom("no pairs of hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_has_the_last_bytes_of_a_stream() {
        let mut way = Way::default();
        for byte in 0..200u8 {
            way.add(byte.into(), &[byte]);
            way.settle(8);
        }
        assert_eq!(way.end(), 200);
        assert!((8..=17).contains(&way.window.len()));
        assert_eq!(way.window.last(), Some(&199));
        way.add(300, b"after a gap");
        assert_eq!((way.base, &way.window[..]), (300, &b"after a gap"[..]));
    }

    #[test]
    fn a_rule_matches_once_in_a_chunk() {
        let mut way = Way::default();
        way.add(0, b"match");
        assert_eq!(way.sight(7), Some(0));
        way.note_match(7);
        way.settle(8192);
        assert_eq!((way.sight(7), way.sight(8)), (None, Some(0)));
        way.add(5, &[0; CHUNK as usize]);
        assert_eq!(way.sight(7), None);
        way.settle(8192);
        assert_eq!(way.sight(7), Some(5 + CHUNK as usize));
    }

    #[test]
    fn a_pattern_that_left_the_window_waits_for_nothing_more() {
        let mut way = Way::default();
        way.add(0, b"pattern");
        way.wait(3, 7);
        way.wait(3, 7);
        way.settle(8);
        assert_eq!(way.pending, [(3, 7)]);
        way.add(7, &[0; 64]);
        way.settle(8);
        assert_eq!(way.pending, []);
    }
}
