//! From a rule's text to a [`Rule`].

mod buffers;
mod bytes;
mod content;
mod flow;
mod header;
mod meta;
mod number;
mod packet;
mod span;
mod variables;

use std::sync::Arc;

use crate::{
    buffer::Buffer,
    classes::Classes,
    payload::{BufferTests, Content, Test, Transform, Value, Variable},
    refusal::{Kind, Refusal},
    rule::{Meta, Rule},
    vars::Vars,
};
pub(crate) use packet::IP_OPTIONS;
pub(crate) use span::Span;

/// The longest rule, in bytes. Suricata's is 8 192 in older versions.
const LONGEST: usize = 64 * 1024;

/// The most options that a rule may have.
const MOST_OPTIONS: usize = 1024;

/// Reads one rule: from its action to its closing bracket, on one line (see [`load`](crate::load) for files).
///
/// # Errors
/// The first thing that is wrong with it, or not in the subset.
///
/// ```
/// use ids_rules::{classes::Classes, parse, rule::Action, vars::Vars};
///
/// let text = br#"alert tcp $EXTERNAL_NET any -> $HOME_NET 80 (msg:"a"; content:"|0d 0a|x"; sid:1;)"#;
/// let rule = parse::rule(text, &Vars::default(), &Classes::default()).unwrap();
/// assert_eq!(rule.action, Action::Alert);
///
/// let refused = parse::rule(b"alert ip any any -> any any (lua:x.lua; sid:1;)", &Vars::default(), &Classes::default());
/// assert_eq!(refused.unwrap_err().to_string(), "lua: not in the subset");
/// ```
pub fn rule(text: &[u8], vars: &Vars, classes: &Classes) -> Result<Rule, Refusal> {
    let span = Span::new(text).trim();
    if span.bytes.len() > LONGEST {
        return Err(span.refuse("rule", Kind::Syntax, format!("longer than {LONGEST} bytes")));
    }
    let open = opening(span).ok_or_else(|| span.refuse("rule", Kind::Syntax, "no options: ( is missing"))?;
    let header = header::parse(span.take(open).trim(), vars)?;
    let options = span.skip(open + 1);
    let Some(options) = options.bytes.ends_with(b")").then(|| options.take(options.bytes.len() - 1)) else {
        return Err(options.skip(options.bytes.len()).refuse("rule", Kind::Syntax, "no ) at the end"));
    };
    let mut builder = Builder::new(header, vars, classes);
    let mut rest = options.trim();
    let mut count = 0;
    while !rest.is_empty() {
        let end = option_end(rest.bytes)
            .ok_or_else(|| rest.refuse("rule", Kind::Syntax, "the last option has no ; behind it"))?;
        count += 1;
        if count > MOST_OPTIONS {
            return Err(rest.refuse("rule", Kind::Syntax, format!("more than {MOST_OPTIONS} options")));
        }
        let option = rest.take(end).trim();
        if !option.is_empty() {
            builder.option(option)?;
        }
        rest = rest.skip(end + 1).trim();
    }
    builder.finish(span)
}

/// Where the options begin: the first `(` outside of groups.
fn opening(span: Span<'_>) -> Option<usize> {
    span.bytes.iter().position(|&byte| byte == b'(')
}

/// Where an option ends: at the first `;` that has no backslash before it.
fn option_end(bytes: &[u8]) -> Option<usize> {
    (0..bytes.len()).find(|&at| bytes[at] == b';' && (at == 0 || bytes[at - 1] != b'\\'))
}

/// Whether a variable of headers can stand for `value`.
pub(crate) fn check_variable(value: &str, vars: &Vars) -> Result<(), Refusal> {
    let span = Span::new(value.as_bytes()).trim();
    match header::addresses(span, vars, 0) {
        Ok(_) => Ok(()),
        Err(refusal) => header::ports(span, vars, 0).map(|_| ()).map_err(|_| refusal),
    }
}

/// An option, taken apart.
#[derive(Clone, Copy)]
pub(crate) struct Opt<'a> {
    /// Its name in lower case is `name`.
    pub name: &'a str,
    /// The whole option.
    pub span: Span<'a>,
    /// What is behind the colon.
    pub value: Option<Span<'a>>,
}

impl<'a> Opt<'a> {
    /// The value, which must be there.
    pub fn need(self) -> Result<Span<'a>, Refusal> {
        match self.value {
            Some(value) if !value.is_empty() => Ok(value),
            _ => Err(self.span.bad(self.name, "needs a value")),
        }
    }

    /// Nothing behind the name.
    pub fn bare(self) -> Result<(), Refusal> {
        match self.value {
            Some(value) if !value.is_empty() => Err(value.bad(self.name, "takes no value")),
            _ => Ok(()),
        }
    }

    pub fn bad(self, message: impl Into<String>) -> Refusal {
        self.span.bad(self.name, message)
    }

    pub fn conflict(self, message: impl Into<String>) -> Refusal {
        self.span.refuse(self.name, Kind::Conflict, message)
    }

    pub fn unsupported(self, message: impl Into<String>) -> Refusal {
        self.span.refuse(self.name, Kind::Unsupported, message)
    }
}

/// A rule in the making.
pub(crate) struct Builder<'v> {
    classes: &'v Classes,
    pub rule: Rule,
    /// The buffer that a sticky keyword has chosen, and its transforms.
    sticky: Option<Sticky>,
    /// Where the content is that modifiers are about.
    last: Option<Place>,
    /// The buffer of the last test, without a sticky keyword: what `relative` is relative to.
    recent: Buffer,
    priority: Option<u8>,
    class_priority: Option<u8>,
    sid: bool,
}

/// What a sticky keyword chose.
struct Sticky {
    buffer: Buffer,
    transforms: Vec<Transform>,
    /// A group of its own, though others look into the same buffer.
    fresh: bool,
    /// No test has looked into it yet.
    unused: bool,
}

/// Where a content is: index of its group. It is the last test there.
#[derive(Clone, Copy)]
struct Place(usize);

impl<'v> Builder<'v> {
    fn new(header: header::Header, _vars: &Vars, classes: &'v Classes) -> Self {
        let rule = Rule {
            action: header.action,
            protocol: header.protocol,
            source: header.source,
            destination: header.destination,
            both_ways: header.both_ways,
            meta: Meta { gid: 1, priority: 3, message: "".into(), ..Meta::default() },
            flow: Default::default(),
            packet: Vec::new(),
            buffers: Vec::new(),
            variables: Vec::new(),
            dns: Vec::new(),
            application: Vec::new(),
            bits: Vec::new(),
            detection_filter: None,
            threshold: None,
            noalert: false,
        };
        Self {
            classes,
            rule,
            sticky: None,
            last: None,
            recent: Buffer::Payload,
            priority: None,
            class_priority: None,
            sid: false,
        }
    }

    /// Takes one option in.
    fn option(&mut self, span: Span<'_>) -> Result<(), Refusal> {
        let (name, value) = match span.cut(b':') {
            Some((name, value)) => (name, Some(value)),
            None => (span, None),
        };
        let lower = name.text().to_ascii_lowercase();
        let option = Opt { name: &lower, span, value };
        if self.meta(option)? || self.content(option)? || self.bytes(option)? || self.packet(option)? {
            return Ok(());
        }
        if self.flow(option)? || self.buffers(option)? {
            return Ok(());
        }
        let message = if is_name(lower.as_bytes()) { "not in the subset" } else { "no keyword" };
        Err(option.unsupported(message))
    }

    /// Adds a test to the buffer that is chosen. If none is, a number or position relative to the last match belongs
    /// to the buffer of that, which a modifier or a flag may have named: `uricontent:"a"; isdataat:5,relative;`.
    fn push(&mut self, test: Test) {
        let follows = !matches!(test, Test::Content(_) | Test::Pcre(_)) && test.is_relative();
        let group = match self.sticky {
            None if follows => self.group_of(self.recent, Vec::new(), false),
            _ => self.group(),
        };
        self.recent = self.rule.buffers[group].buffer;
        self.last = matches!(test, Test::Content(_)).then_some(Place(group));
        self.rule.buffers[group].tests.push(test);
    }

    /// The group of the buffer that is chosen.
    fn group(&mut self) -> usize {
        let (buffer, transforms, fresh) = match &mut self.sticky {
            Some(sticky) => {
                sticky.unused = false;
                (sticky.buffer, sticky.transforms.clone(), std::mem::take(&mut sticky.fresh))
            }
            None => (Buffer::Payload, Vec::new(), false),
        };
        self.group_of(buffer, transforms, fresh)
    }

    /// The last group of a buffer, or a new one.
    fn group_of(&mut self, buffer: Buffer, transforms: Vec<Transform>, fresh: bool) -> usize {
        let same = |group: &BufferTests| group.buffer == buffer && group.transforms == transforms;
        match self.rule.buffers.iter().rposition(same) {
            Some(at) if !fresh => at,
            _ => {
                self.rule.buffers.push(BufferTests { buffer, transforms, tests: Vec::new() });
                self.rule.buffers.len() - 1
            }
        }
    }

    /// The content that a modifier is about.
    fn last_content(&mut self, option: Opt<'_>) -> Result<&mut Content, Refusal> {
        let missing = || option.conflict("there is no content before it");
        let Place(group) = self.last.ok_or_else(missing)?;
        match self.rule.buffers.get_mut(group).and_then(|group| group.tests.last_mut()) {
            Some(Test::Content(content)) => Ok(content),
            _ => Err(missing()),
        }
    }

    /// A number, or the name of a variable that is defined already.
    fn value(&self, keyword: &str, span: Span<'_>, limit: i64) -> Result<Value, Refusal> {
        match span.signed(keyword, limit) {
            Ok(number) => Ok(Value::Given(number)),
            Err(refusal) => match self.variable(span) {
                Some(variable) => Ok(Value::Of(variable)),
                None if is_name(span.bytes) && !span.bytes[0].is_ascii_digit() => {
                    Err(span.bad(keyword, format!("no variable \"{}\" before it", span.text())))
                }
                None => Err(refusal),
            },
        }
    }

    fn variable(&self, span: Span<'_>) -> Option<Variable> {
        let at = self.rule.variables.iter().position(|name| name.as_bytes() == span.bytes)?;
        u8::try_from(at).ok().map(Variable)
    }

    /// Defines a variable.
    fn define(&mut self, keyword: &str, span: Span<'_>) -> Result<Variable, Refusal> {
        if !is_name(span.bytes) || span.bytes[0].is_ascii_digit() {
            return Err(span.bad(keyword, format!("\"{}\" is no name of a variable", span.text())));
        }
        if self.variable(span).is_some() {
            return Err(span.refuse(
                keyword,
                Kind::Conflict,
                format!("variable \"{}\" is defined twice", span.text()),
            ));
        }
        let variable = u8::try_from(self.rule.variables.len()).ok().filter(|&variable| variable < 64);
        let variable = variable.ok_or_else(|| span.bad(keyword, "more than 64 variables"))?;
        self.rule.variables.push(span.text().into());
        Ok(Variable(variable))
    }
}

/// Letters, digits, `_`, `-` and `.`, at least one.
fn is_name(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

/// Bytes of a rule as text for people: bytes that are no UTF-8 are replaced.
fn text(bytes: &[u8]) -> Arc<str> {
    String::from_utf8_lossy(bytes).into()
}

#[cfg(test)]
mod tests;
