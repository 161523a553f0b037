//! One way of a connection's bytes: what of them is still looked at.
//!
//! Bytes come in pieces that say nothing of where a pattern begins or ends, so the last ones stay in a window, in which
//! rules are evaluated. Suricata looks at a stream in chunks, and a rule alerts once per chunk; so it does here, though
//! bytes are looked at as soon as they come.
//!
//! Places count the bytes that come out, and those that never came: urgent data, which their receiver leaves out, are not
//! among them, so that a pattern round an urgent byte is one.

/// Bytes of a stream in which a rule alerts once (Suricata's `toserver-chunk-size`).
const CHUNK: u64 = 2560;
/// Rules that are remembered per way: those that have matched, and those whose pattern was found, of which a sender who
/// knows the rules can make many.
const REMEMBERED: usize = 32;
const WAITING: usize = 128;
/// Times that a rule is looked at with every piece that comes after its pattern; from then on, where that is soon enough,
/// when there is an eighth more: otherwise a sender of single bytes could have all of a window looked at for each.
const LOOKS: u32 = 64;

/// What stays of a stream.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Way {
    /// The last bytes.
    pub window: Vec<u8>,
    /// The stream's bytes before the window.
    pub base: u64,
    /// Where the chunk began.
    pub chunk: u64,
    /// Rules of which a pattern was found; the rest of the rule may be yet to come.
    pub pending: Vec<Pending>,
    /// Rules that matched, and the place from which on they may match again; [`LATER`]: from the next chunk on.
    pub matched: Vec<(u32, u64)>,
}

/// A rule of which a pattern was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Pending {
    pub rule: u32,
    /// Where the stream ended when it was first found, and when it was last.
    pub since: u64,
    pub last: u64,
    /// How often the rule was looked at since.
    pub looks: u32,
    /// Where the window has to end for the next look.
    pub next: u64,
}

/// A place that is not known yet.
const LATER: u64 = u64::MAX;

impl Way {
    /// The place of the next byte.
    pub(super) fn end(&self) -> u64 {
        self.base + self.window.len() as u64
    }

    /// Adds the next bytes.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.window.extend_from_slice(bytes);
    }

    /// So many bytes never came: what comes next does not follow what is here.
    pub(super) fn part(&mut self, missing: u64) {
        self.base = self.end() + missing;
        self.window.clear();
        self.pending.clear();
    }

    /// Whether the rule may match now, and where what it may see begins in the window.
    pub(super) fn sight(&self, rule: u32) -> Option<usize> {
        let from = self.matched.iter().find(|(matched, _)| *matched == rule).map_or(0, |(_, from)| *from);
        let skipped = from.saturating_sub(self.base);
        (from != LATER && skipped <= self.window.len() as u64).then_some(skipped as usize)
    }

    /// Bytes of memory that it holds.
    pub(super) fn held(&self) -> usize {
        self.window.capacity() + self.pending.capacity() * size_of::<Pending>()
    }

    /// Gives up what is here.
    pub(super) fn give_up(&mut self) {
        self.part(0);
        self.window = Vec::new();
    }

    /// The rule's pattern was found, and nothing came of it yet.
    pub(super) fn wait(&mut self, rule: u32) {
        let end = self.end();
        if let Some(pending) = self.pending.iter_mut().find(|pending| pending.rule == rule) {
            pending.last = end;
            return;
        }
        if self.pending.len() == WAITING {
            self.pending.remove(0);
        }
        self.pending.push(Pending { rule, since: end, last: end, looks: 0, next: end + 1 });
    }

    /// The rules that wait and are to be looked at now: those that are due, or all that have not seen everything.
    pub(super) fn due(&self, all: bool) -> impl Iterator<Item = u32> {
        let end = self.end();
        let due = move |pending: &&Pending| pending.next <= end || all && pending.looks >= LOOKS;
        self.pending.iter().filter(due).map(|pending| pending.rule)
    }

    /// The rule was looked at again, and nothing came of it yet.
    pub(super) fn note_look(&mut self, rule: u32) {
        let end = self.end();
        if let Some(pending) = self.pending.iter_mut().find(|pending| pending.rule == rule) {
            pending.looks = pending.looks.saturating_add(1);
            let more = if pending.looks < LOOKS { 0 } else { end.saturating_sub(pending.since) / 8 };
            pending.next = end + more + 1;
        }
    }

    /// Whether the first bytes leave the window with the next [`settle`](Self::settle).
    pub(super) fn is_full(&self, keep: usize) -> bool {
        let surplus = self.window.len().saturating_sub(keep);
        // Moving what stays costs as much as there is: not for every piece.
        surplus > keep || surplus > 0 && keep == 0
    }

    /// The rule matched.
    pub(super) fn note_match(&mut self, rule: u32) {
        self.pending.retain(|pending| pending.rule != rule);
        self.matched.retain(|(matched, _)| *matched != rule);
        if self.matched.len() == REMEMBERED {
            self.matched.remove(0);
        }
        self.matched.push((rule, LATER));
    }

    /// Everything in the window was looked at: what is beyond `keep` bytes goes.
    pub(super) fn settle(&mut self, keep: usize) {
        let end = self.end();
        if end.saturating_sub(self.chunk) >= CHUNK {
            self.chunk = end;
            for (_, from) in &mut self.matched {
                *from = (*from).min(end);
            }
        }
        if self.is_full(keep) {
            let surplus = self.window.len() - keep;
            self.window.drain(..surplus);
            self.window.shrink_to(2 * keep);
            self.base += surplus as u64;
        }
        let base = self.base;
        self.pending.retain(|pending| pending.last > base);
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
            way.add(&[byte]);
            way.settle(8);
        }
        assert_eq!(way.end(), 200);
        assert!((8..=17).contains(&way.window.len()));
        assert_eq!(way.window.last(), Some(&199));
        way.part(100);
        way.add(b"after a gap");
        assert_eq!((way.base, &way.window[..]), (300, &b"after a gap"[..]));
    }

    #[test]
    fn a_rule_matches_once_in_a_chunk() {
        let mut way = Way::default();
        way.add(b"match");
        assert_eq!(way.sight(7), Some(0));
        way.note_match(7);
        way.settle(8192);
        assert_eq!((way.sight(7), way.sight(8)), (None, Some(0)));
        way.add(&[0; CHUNK as usize]);
        assert_eq!(way.sight(7), None);
        way.settle(8192);
        assert_eq!(way.sight(7), Some(5 + CHUNK as usize));
    }

    #[test]
    fn a_pattern_that_left_the_window_waits_for_nothing_more() {
        let mut way = Way::default();
        way.add(b"pattern");
        way.wait(3);
        way.wait(3);
        way.settle(8);
        assert_eq!(way.pending.len(), 1);
        way.add(&[0; 64]);
        way.settle(8);
        assert_eq!(way.pending, []);
        // One that is found again waits for as long as that one stays.
        way.wait(4);
        way.add(&[0; 16]);
        way.wait(4);
        way.settle(8);
        assert_eq!(way.pending.len(), 1);
    }
    #[test]
    fn a_rule_that_waits_long_is_looked_at_more_seldom() {
        let mut way = Way::default();
        way.add(b"pattern");
        way.wait(3);
        let mut looks = 0;
        for _ in 0..8192 {
            way.add(b"x");
            if way.due(false).next().is_some() {
                looks += 1;
                way.note_look(3);
            }
            assert!(looks >= LOOKS || way.end() == 7 + u64::from(looks), "at first with every byte");
        }
        assert!((64..128).contains(&looks), "{looks}");
        assert_eq!(way.due(true).collect::<Vec<_>>(), [3], "and once more before it is too late");
    }
}
