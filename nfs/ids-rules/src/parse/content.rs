//! `content` and its modifiers, `pcre`, `isdataat`, `bsize`.

use super::{Builder, Opt, Span, number::number};
use crate::{
    buffer::Buffer,
    payload::{Content, FastPattern, IsDataAt, Test, Value},
    pcre,
    refusal::Refusal,
};

/// The longest content, in bytes.
const LONGEST: usize = 8192;

/// The furthest that `distance` and `within` reach: 1 MiB, as in Suricata.
const FURTHEST: i64 = 1 << 20;

impl Builder<'_> {
    /// Takes the option if it is a content, one of its modifiers, or another test of bytes without numbers.
    pub(super) fn content(&mut self, option: Opt<'_>) -> Result<bool, Refusal> {
        match option.name {
            "content" | "uricontent" => {
                let content = content(option)?;
                if option.name == "uricontent" {
                    self.add_to(option, Buffer::HttpUri, content)?;
                } else {
                    self.push(Test::Content(content));
                }
            }
            "nocase" => {
                option.bare()?;
                let content = self.last_content(option)?;
                if std::mem::replace(&mut content.nocase, true) {
                    return Err(option.conflict("given twice"));
                }
            }
            // Bytes are never decoded before they are looked at.
            "rawbytes" => {
                option.bare()?;
                self.last_content(option)?;
            }
            "offset" | "depth" | "distance" | "within" => self.position(option)?,
            "startswith" => {
                option.bare()?;
                let content = self.last_content(option)?;
                if content.offset.is_some() || content.depth.is_some() || content.is_relative() {
                    return Err(option.conflict("does not go with offset, depth, distance or within"));
                }
                content.offset = Some(Value::Given(0));
                content.depth = Some(Value::Given(content.pattern.len() as i64));
            }
            "endswith" => {
                option.bare()?;
                self.last_content(option)?.endswith = true;
            }
            "fast_pattern" => self.fast_pattern(option)?,
            "pcre" => self.pcre(option)?,
            "isdataat" => {
                let test = self.is_data_at(option)?;
                self.push(Test::IsDataAt(test));
            }
            "bsize" => {
                let size = number(option.name, option.need()?, u64::MAX)?;
                if self.sticky.is_none() {
                    return Err(option.conflict("needs a buffer before it"));
                }
                self.push(Test::BufferSize(size));
            }
            "absent" => {
                let or_else = match option.value.map(|value| value.bytes) {
                    None | Some(b"") => false,
                    Some(b"or_else") => true,
                    _ => return Err(option.bad("takes nothing or or_else")),
                };
                if self.sticky.as_ref().is_none_or(|sticky| sticky.buffer.application().is_none()) {
                    return Err(option.conflict("needs a buffer of an application before it"));
                }
                self.push(Test::Absent { or_else });
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn position(&mut self, option: Opt<'_>) -> Result<(), Refusal> {
        let limit = if matches!(option.name, "offset" | "depth") { 65_535 } else { FURTHEST };
        let value = self.value(option.name, option.need()?.unquoted().trim(), limit)?;
        let content = self.last_content(option)?;
        let length = content.pattern.len() as i64;
        let absolute = matches!(option.name, "offset" | "depth");
        if absolute && content.is_relative() {
            return Err(option.conflict("does not go with distance or within"));
        }
        if !absolute && (content.offset.is_some() || content.depth.is_some()) {
            return Err(option.conflict("does not go with offset or depth"));
        }
        if let Value::Given(number) = value {
            match option.name {
                "offset" if number < 0 => return Err(option.bad("must not be negative")),
                "depth" | "within" if number < length => {
                    let message = format!("{number} bytes do not hold the {length} of the content");
                    return Err(option.bad(message));
                }
                _ => {}
            }
        }
        let field = match option.name {
            "offset" => &mut content.offset,
            "depth" => &mut content.depth,
            "distance" => &mut content.distance,
            _ => &mut content.within,
        };
        match field.replace(value) {
            None => Ok(()),
            Some(_) => Err(option.conflict("given twice")),
        }
    }

    fn fast_pattern(&mut self, option: Opt<'_>) -> Result<(), Refusal> {
        let pattern = match option.value.filter(|value| !value.is_empty()) {
            None => FastPattern::Whole,
            Some(value) if value.bytes == b"only" => FastPattern::Only,
            Some(value) => {
                let Some((offset, length)) = value.cut(b',') else {
                    return Err(option.bad("takes nothing, only, or an offset and a length"));
                };
                let offset = offset.number(option.name, 65_535)? as u16;
                let length = length.number(option.name, 65_535)? as u16;
                FastPattern::Chop { offset, length }
            }
        };
        if self.rule.contents().any(|(_, content)| content.fast_pattern.is_some()) {
            return Err(option.conflict("given twice in one rule"));
        }
        let content = self.last_content(option)?;
        let positioned = content.offset.is_some() || content.depth.is_some() || content.is_relative();
        match pattern {
            FastPattern::Only if content.negated || positioned => {
                Err(option.conflict("only does not go with a negation or a position"))
            }
            FastPattern::Whole | FastPattern::Chop { .. } if content.negated && positioned => {
                Err(option.conflict("a negated content with a position cannot be sought first"))
            }
            FastPattern::Chop { offset, length }
                if length == 0 || usize::from(offset) + usize::from(length) > content.pattern.len() =>
            {
                Err(option.bad("the part is not within the content"))
            }
            _ => {
                content.fast_pattern = Some(pattern);
                Ok(())
            }
        }
    }

    fn pcre(&mut self, option: Opt<'_>) -> Result<(), Refusal> {
        let (pcre, buffer) = pcre::parse(option.need()?)?;
        match (buffer, &self.sticky) {
            (None, _) => self.push(Test::Pcre(pcre)),
            (Some(buffer), None) => {
                let group = self.group_of(buffer, Vec::new(), false);
                (self.last, self.recent) = (None, buffer);
                self.rule.buffers[group].tests.push(Test::Pcre(pcre));
            }
            (Some(buffer), Some(sticky)) if sticky.buffer == buffer => self.push(Test::Pcre(pcre)),
            (Some(buffer), Some(sticky)) => {
                let message =
                    format!("its flag says {}, but {} is chosen", buffer.name(), sticky.buffer.name());
                return Err(option.conflict(message));
            }
        }
        Ok(())
    }

    fn is_data_at(&self, option: Opt<'_>) -> Result<IsDataAt, Refusal> {
        let value = option.need()?.unquoted();
        let (value, negated) = match value.trim().strip(b"!") {
            Some(rest) => (rest, true),
            None => (value.trim(), false),
        };
        let mut parts = value.list();
        let position = parts.next().unwrap_or(value);
        let position = self.value(option.name, position, 65_535)?;
        if matches!(position, Value::Given(number) if number < 0) {
            return Err(option.bad("must not be negative"));
        }
        let mut relative = false;
        for word in parts {
            match word.bytes {
                b"relative" => relative = true,
                b"rawbytes" => {}
                _ => {
                    return Err(word
                        .bad(option.name, format!("\"{}\" is neither relative nor rawbytes", word.text())));
                }
            }
        }
        Ok(IsDataAt { position, relative, negated })
    }

    /// Puts a content into a buffer that is not the chosen one.
    pub(super) fn add_to(
        &mut self,
        option: Opt<'_>,
        buffer: Buffer,
        content: Content,
    ) -> Result<(), Refusal> {
        if self.sticky.is_some() {
            return Err(option.conflict("does not go with a buffer that was chosen before it"));
        }
        let group = self.group_of(buffer, Vec::new(), false);
        self.rule.buffers[group].tests.push(Test::Content(content));
        (self.last, self.recent) = (Some(super::Place(group)), buffer);
        Ok(())
    }
}

/// `"..."` or `!"..."`.
fn content(option: Opt<'_>) -> Result<Content, Refusal> {
    let value = option.need()?;
    let (value, negated) = match value.strip(b"!") {
        Some(rest) => (rest, true),
        None => (value, false),
    };
    let (inner, quoted) = match value.bytes {
        [b'"', .., b'"'] if value.bytes.len() >= 2 => (value.unquoted(), true),
        _ => (value, false),
    };
    if !quoted {
        return Err(value.bad(option.name, "must be in double quotes"));
    }
    let pattern = pattern(option.name, inner)?;
    if pattern.is_empty() || pattern.len() > LONGEST {
        return Err(value.bad(option.name, format!("must have 1 to {LONGEST} bytes")));
    }
    Ok(Content {
        pattern: pattern.into(),
        negated,
        nocase: false,
        offset: None,
        depth: None,
        distance: None,
        within: None,
        endswith: false,
        fast_pattern: None,
    })
}

/// The bytes that a content's text stands for.
pub(super) fn pattern(keyword: &str, span: Span<'_>) -> Result<Vec<u8>, Refusal> {
    let mut out = Vec::with_capacity(span.bytes.len());
    let mut at = 0;
    while let Some(&byte) = span.bytes.get(at) {
        match byte {
            b'|' => {
                let rest = span.skip(at + 1);
                let Some(end) = rest.bytes.iter().position(|&b| b == b'|') else {
                    return Err(span.skip(at).bad(keyword, "a | is not closed"));
                };
                hexadecimal(keyword, rest.take(end), &mut out)?;
                at += end + 2;
            }
            b'\\' => match span.bytes.get(at + 1) {
                Some(&next @ (b';' | b'"' | b'\\' | b':')) => {
                    out.push(next);
                    at += 2;
                }
                _ => return Err(span.skip(at).bad(keyword, "a backslash goes before \\, \", ; or : only")),
            },
            b'"' => return Err(span.skip(at).bad(keyword, "a \" needs a backslash before it")),
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    Ok(out)
}

/// Pairs of hexadecimal digits, with blanks anywhere between them.
fn hexadecimal(keyword: &str, span: Span<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let mut half = None;
    for (at, &byte) in span.bytes.iter().enumerate() {
        if byte.is_ascii_whitespace() {
            continue;
        }
        let digit = char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let digit =
            digit.ok_or_else(|| span.skip(at).bad(keyword, "between | are hexadecimal digits only"))?;
        match half.take() {
            None => half = Some(digit),
            Some(high) => out.push(high << 4 | digit),
        }
    }
    match half {
        None => Ok(()),
        Some(_) => Err(span.bad(keyword, "an odd number of hexadecimal digits")),
    }
}
