//! Whether a rule's tests on some bytes hold, as `ids_rules::payload` says it.

use super::needle::Needle;
use super::number::read;
use super::regexes::{Caches, Expression, Regexes};
use ids_rules::payload::{
    BufferTests, ByteJump, ByteTest, Content, IsDataAt, JumpFrom, Pcre, Test, Transform, Value, masked,
};
use regex_automata::meta::BuildError;

/// Attempts at finding something that the tests on one buffer may take together, as in Suricata.
const ATTEMPTS: u32 = 3000;
/// Bytes that the expressions among them may read together: each one reads a buffer once in linear time, but where a
/// relative test follows, it is tried from place after place. The largest window is read once in any case.
const READ: usize = 1 << 20;

/// [`BufferTests`], ready.
pub(in crate::ids) struct Group {
    pub tests: BufferTests,
    checks: Vec<Check>,
}

/// A test, with what it is done by.
enum Check {
    Content(Content, Needle),
    Pcre(Pcre, usize),
    Other(Test),
}

impl Group {
    /// # Errors
    /// An expression that is none.
    pub(in crate::ids) fn of(tests: &BufferTests, regexes: &mut Regexes) -> Result<Group, Box<BuildError>> {
        let check = |test: &Test| match test {
            Test::Content(content) => Ok(Check::Content(content.clone(), Needle::of(content))),
            Test::Pcre(pcre) => Ok(Check::Pcre(pcre.clone(), regexes.number(&pcre.regex)?)),
            other => Ok(Check::Other(other.clone())),
        };
        let checks = tests.tests.iter().map(check).collect::<Result<_, Box<BuildError>>>()?;
        Ok(Group { tests: tests.clone(), checks })
    }
}

impl Check {
    fn is_relative(&self) -> bool {
        match self {
            Check::Content(content, _) => content.is_relative(),
            Check::Pcre(pcre, _) => pcre.relative,
            Check::Other(test) => test.is_relative(),
        }
    }
}

/// What is looked into: all of a buffer, or a part of a stream.
#[derive(Clone, Copy)]
pub(in crate::ids) struct Bytes<'a> {
    pub bytes: &'a [u8],
    /// Bytes of the stream before it.
    pub base: u64,
}

impl<'a> From<&'a [u8]> for Bytes<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Bytes { bytes, base: 0 }
    }
}

/// What a worker needs for evaluating rules.
pub(in crate::ids) struct Evaluator {
    caches: Caches,
    /// Values of the rule's variables.
    variables: Vec<u64>,
    /// A buffer whose bytes are changed before they are looked at.
    changed: [Vec<u8>; 2],
}

impl Evaluator {
    /// For so many expressions.
    pub(in crate::ids) fn new(regexes: usize) -> Evaluator {
        Evaluator { caches: Caches::new(regexes), variables: Vec::new(), changed: Default::default() }
    }

    /// Begins with a rule of so many variables.
    pub(in crate::ids) fn begin(&mut self, variables: usize) {
        self.variables.clear();
        self.variables.resize(variables, 0);
    }

    /// Whether the group's tests hold of the bytes.
    pub(in crate::ids) fn holds(&mut self, group: &Group, regexes: &[Expression], bytes: Bytes<'_>) -> bool {
        if group.tests.transforms.is_empty() {
            return self.walk(&group.checks, regexes, bytes);
        }
        let [mut from, mut to] = std::mem::take(&mut self.changed);
        from.clear();
        from.extend_from_slice(bytes.bytes);
        for transform in &group.tests.transforms {
            to.clear();
            apply(transform, &from, &mut to);
            std::mem::swap(&mut from, &mut to);
        }
        let holds = self.walk(&group.checks, regexes, Bytes { bytes: &from, base: bytes.base });
        self.changed = [from, to];
        holds
    }

    fn walk(&mut self, checks: &[Check], regexes: &[Expression], bytes: Bytes<'_>) -> bool {
        let variables = std::mem::take(&mut self.variables);
        let mut walk =
            Walk { bytes, regexes, caches: &mut self.caches, variables, left: ATTEMPTS, unread: READ };
        let holds = walk.rest(checks, 0);
        self.variables = walk.variables;
        holds
    }
}

/// One way after another through a group's tests.
struct Walk<'a> {
    bytes: Bytes<'a>,
    regexes: &'a [Expression],
    caches: &'a mut Caches,
    variables: Vec<u64>,
    left: u32,
    unread: usize,
}

impl Walk<'_> {
    /// Whether there is a way through the rest of the tests from `cursor`.
    fn rest(&mut self, checks: &[Check], cursor: usize) -> bool {
        let Some((check, rest)) = checks.split_first() else { return true };
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        let again = rest.first().is_some_and(Check::is_relative);
        match check {
            Check::Content(content, needle) => self.content(content, needle, rest, cursor, again),
            Check::Pcre(pcre, number) => self.pcre(pcre, *number, rest, cursor, again),
            Check::Other(test) => match self.other(test, cursor) {
                Some(cursor) => self.rest(rest, cursor),
                None => false,
            },
        }
    }

    fn content(
        &mut self,
        content: &Content,
        needle: &Needle,
        rest: &[Check],
        cursor: usize,
        again: bool,
    ) -> bool {
        let window = self.window(content, cursor);
        if content.negated {
            let found = window.is_some_and(|(from, to)| self.find(content, needle, from, to).is_some());
            return !found && self.rest(rest, cursor);
        }
        let Some((mut from, to)) = window else { return false };
        while let Some(at) = self.find(content, needle, from, to) {
            if self.rest(rest, at + needle.len()) {
                return true;
            }
            if !again || self.left == 0 {
                return false;
            }
            from = at + 1;
        }
        false
    }

    fn find(&mut self, content: &Content, needle: &Needle, from: usize, to: usize) -> Option<usize> {
        let bytes = self.bytes.bytes;
        if content.endswith {
            let at = bytes.len().checked_sub(needle.len())?;
            return (to == bytes.len() && from <= at && needle.is(&bytes[at..])).then_some(at);
        }
        needle.find(bytes.get(from..to)?).map(|at| from + at)
    }

    /// Where a content is sought: `from..to`. `None` where there is no such place.
    fn window(&self, content: &Content, cursor: usize) -> Option<(usize, usize)> {
        let n = self.bytes.bytes.len() as i64;
        let cursor = cursor as i64;
        let base = i64::try_from(self.bytes.base).unwrap_or(i64::MAX);
        let value = |value: &Option<Value>| match value {
            Some(value) => self.value(*value).map(Some),
            None => Some(None),
        };
        let (offset, depth) = (value(&content.offset)?, value(&content.depth)?);
        let (distance, within) = (value(&content.distance)?, value(&content.within)?);
        let (from, to) = if content.is_relative() {
            let start = cursor.saturating_add(distance.unwrap_or(0));
            (start.max(0), within.map_or(n, |within| start.saturating_add(within)))
        } else {
            let from = offset.unwrap_or(0);
            let to = depth.map_or(i64::MAX, |depth| from.saturating_add(depth));
            (from.saturating_sub(base).max(0), to.saturating_sub(base))
        };
        let to = to.min(n);
        (0 <= from && from <= to).then_some((from as usize, to as usize))
    }

    fn pcre(&mut self, pcre: &Pcre, number: usize, rest: &[Check], cursor: usize, again: bool) -> bool {
        let skipped = if pcre.relative { cursor } else { 0 };
        let Some(bytes) = self.bytes.bytes.get(skipped..) else {
            return pcre.negated && self.rest(rest, cursor);
        };
        let mut from = 0;
        if pcre.negated {
            return self.search(number, bytes, from).is_none() && self.left > 0 && self.rest(rest, cursor);
        }
        while let Some((start, end)) = self.search(number, bytes, from) {
            if self.rest(rest, skipped + end) {
                return true;
            }
            if !again || self.left == 0 {
                return false;
            }
            from = start + 1;
        }
        false
    }

    /// Where an expression is found next. Where too much was read there is an end to all of it.
    fn search(&mut self, number: usize, bytes: &[u8], from: usize) -> Option<(usize, usize)> {
        if self.unread == 0 {
            self.left = 0;
            return None;
        }
        self.caches.find(self.regexes, number, bytes, from, &mut self.unread)
    }

    /// The new cursor, if the test holds.
    fn other(&mut self, test: &Test, cursor: usize) -> Option<usize> {
        let bytes = self.bytes.bytes;
        let start = |relative: bool| if relative { cursor as i64 } else { 0 };
        match test {
            Test::IsDataAt(test) => (self.is_data_at(test, cursor)? != test.negated).then_some(cursor),
            Test::BufferSize(number) => number.matches(bytes.len() as u64).then_some(cursor),
            Test::ByteTest(test) => self.byte_test(test, cursor)?.then_some(cursor),
            Test::ByteJump(test) => self.byte_jump(test, cursor),
            Test::ByteExtract(test) => {
                let at = start(test.relative).checked_add(test.offset)?;
                let number = masked(read(bytes, at, test.bytes.into(), test.encoding)?, test.mask);
                let number = number.wrapping_mul(test.multiplier.into());
                let number = test.align.map_or(number, |to| aligned(number, to.into()));
                *self.variables.get_mut(usize::from(test.variable.0))? = number;
                usize::try_from(at).ok()?.checked_add(test.bytes.into())
            }
            Test::ByteMath(test) => {
                let at = start(test.relative).checked_add(test.offset)?;
                let count = usize::try_from(self.value(test.bytes)?).ok()?;
                let number = masked(read(bytes, at, count, test.encoding)?, test.mask);
                let number = test.operation.apply(number, self.unsigned(test.operand)?)?;
                *self.variables.get_mut(usize::from(test.variable.0))? = number;
                usize::try_from(at).ok()?.checked_add(count)
            }
            // It is there.
            Test::Absent { or_else } => or_else.then_some(cursor),
            Test::Content(_) | Test::Pcre(_) => None,
        }
    }

    fn is_data_at(&self, test: &IsDataAt, cursor: usize) -> Option<bool> {
        let n = self.bytes.bytes.len() as i64;
        let position = self.value(test.position)?;
        Some(if test.relative { (cursor as i64).saturating_add(position) <= n } else { position < n })
    }

    fn byte_test(&self, test: &ByteTest, cursor: usize) -> Option<bool> {
        let start = if test.relative { cursor as i64 } else { 0 };
        let at = start.checked_add(self.value(test.offset)?)?;
        let count = usize::try_from(self.value(test.bytes)?).ok()?;
        let number = masked(read(self.bytes.bytes, at, count, test.encoding)?, test.mask);
        Some(test.operator.holds(number, self.unsigned(test.value)?) != test.negated)
    }

    fn byte_jump(&self, test: &ByteJump, cursor: usize) -> Option<usize> {
        let n = self.bytes.bytes.len();
        let start = if test.relative { cursor as i64 } else { 0 };
        let at = start.checked_add(self.value(test.offset)?)?;
        let count = usize::try_from(self.value(test.bytes)?).ok()?;
        let number = if count == 0 { 0 } else { read(self.bytes.bytes, at, count, test.encoding)? };
        let number = masked(number, test.mask).wrapping_mul(test.multiplier.into());
        let number = if test.align { aligned(number, 4) } else { number };
        let from = match test.from {
            JumpFrom::Here => at.checked_add(count as i64)?,
            JumpFrom::Beginning => 0,
            JumpFrom::End => n as i64,
        };
        let to = from.checked_add(i64::try_from(number).ok()?)?.checked_add(self.value(test.post_offset)?)?;
        usize::try_from(to).ok().filter(|to| *to <= n)
    }

    /// A number that says where something is, or how much.
    fn value(&self, value: Value) -> Option<i64> {
        match value {
            Value::Given(number) => Some(number),
            Value::Of(variable) => {
                let number = *self.variables.get(usize::from(variable.0))?;
                i32::try_from(number).ok().map(i64::from)
            }
        }
    }

    /// A number to compare or calculate with.
    fn unsigned(&self, value: Value) -> Option<u64> {
        match value {
            Value::Given(number) => Some(number as u64),
            Value::Of(variable) => self.variables.get(usize::from(variable.0)).copied(),
        }
    }
}

fn aligned(number: u64, to: u64) -> u64 {
    number.checked_next_multiple_of(to.max(1)).unwrap_or(u64::MAX)
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

fn apply(transform: &Transform, from: &[u8], to: &mut Vec<u8>) {
    match transform {
        Transform::ToLowercase => to.extend(from.iter().map(u8::to_ascii_lowercase)),
        Transform::ToUppercase => to.extend(from.iter().map(u8::to_ascii_uppercase)),
        Transform::StripWhitespace => to.extend(from.iter().filter(|byte| !is_space(**byte))),
        Transform::CompressWhitespace => {
            let mut before = false;
            for &byte in from {
                let space = is_space(byte);
                if !(space && before) {
                    to.push(byte);
                }
                before = space;
            }
        }
        Transform::DotPrefix => {
            to.push(b'.');
            to.extend_from_slice(from);
        }
        Transform::UrlDecode => url_decode(from, to),
        Transform::Xor(key) => {
            to.extend(from.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        }
    }
}

fn url_decode(mut from: &[u8], to: &mut Vec<u8>) {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    while let Some((&byte, rest)) = from.split_first() {
        from = rest;
        match (byte, rest) {
            (b'%', [high, low, after @ ..]) if digit(*high).is_some() && digit(*low).is_some() => {
                let value = digit(*high).unwrap_or(0) << 4 | digit(*low).unwrap_or(0);
                to.push(value as u8);
                from = after;
            }
            (b'+', _) => to.push(b' '),
            _ => to.push(byte),
        }
    }
}

#[cfg(test)]
mod tests;
