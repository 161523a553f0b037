//! Rule files: what is allowed and what is not, in order; the first rule that matches decides.
//!
//! Two formats, told apart by the first line that says something: the rules described in the firewall's README,
//! one a line ([`parse`]), or ClassBench filters, whose lines begin with `@`.

mod classbench;
mod grammar;
mod header;
#[cfg(test)]
mod tests;
mod text;

pub use header::{Header, HeaderMatcher, parse_trace};

use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

/// Rules of one file, with all they stand for written out, are at most this many.
pub const MAX_TERMS: usize = 1 << 20;
/// A rule file is at most this many bytes long.
pub const MAX_BYTES: u64 = 256 << 20;
/// Of the mistakes in a rule file, at most this many are told.
pub const MAX_ERRORS: usize = 10;

/// States of connections by which `ct state` asks for them. A packet's tag in the classifier is a bit, the lowest for
/// the first of these; a rule takes the tags that have none of the bits that it does not want. So a set of states is one
/// comparison, however many they are, and the rules are asked once for all of them.
pub const STATES: [&str; 5] = ["new", "established", "related", "invalid", "untracked"];

/// What becomes of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// It goes on.
    Allow,
    /// It is dropped.
    Deny,
}

/// In which of the two formats rules were written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Lines that begin with `allow` or `deny`.
    Braid,
    /// Lines that begin with `@`. They have no action: whoever uses them supplies it.
    ClassBench,
}

/// A line of a rule file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Its line in the file, from 1.
    pub line: u32,
    /// What becomes of the packets that match; `None` in ClassBench files.
    pub action: Option<Action>,
    /// As it was written, spaces at both ends removed.
    pub text: String,
    /// What it matches: packets that match any of these.
    pub terms: Vec<tables::classifier::Rule>,
}

/// Rules in order; the first that matches decides.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuleSet {
    /// How they were written.
    pub format: Format,
    /// The rules; a rule's number is its place here.
    pub rules: Vec<Rule>,
}

impl RuleSet {
    /// Whether a rule asks for the state of connections.
    pub fn ask_states(&self) -> bool {
        self.rules.iter().flat_map(|rule| &rule.terms).any(|term| term.tag.mask != 0)
    }
}

/// All that is wrong with a rule file, a mistake per line.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub struct RulesErrors {
    /// The first [`MAX_ERRORS`] mistakes, in the order of the file; at least one.
    pub errors: Vec<RulesError>,
    /// How many more lines are wrong.
    pub more: usize,
}

impl RulesErrors {
    fn add(&mut self, error: RulesError) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(error);
        } else {
            self.more += 1;
        }
    }
}

impl From<RulesError> for RulesErrors {
    fn from(error: RulesError) -> Self {
        RulesErrors { errors: vec![error], more: 0 }
    }
}

impl fmt::Display for RulesErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.errors.iter().enumerate() {
            write!(f, "{}{error}", if i > 0 { "\n" } else { "" })?;
        }
        if self.more > 0 { write!(f, "\nand {} more", self.more) } else { Ok(()) }
    }
}

/// What is wrong with a rule file, where, and what would be right.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub struct RulesError {
    /// Line, from 1; 0 when the file could not be read at all.
    pub line: u32,
    /// Column, from 1, counted in characters.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

impl fmt::Display for RulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "{}:{}: ", self.line, self.column)?;
        }
        f.write_str(&self.message)
    }
}

impl RulesError {
    fn at(line: u32, column: u32, message: impl Into<String>, help: impl Into<String>) -> Self {
        RulesError { line, column, message: message.into(), help: Some(help.into()) }
    }

    fn of_file(message: String) -> Self {
        RulesError { line: 0, column: 0, message, help: None }
    }
}

/// Reads a line, given its number; `None` when it is empty or only a comment.
type ParseLine = fn(u32, &str) -> Result<Option<Rule>, RulesError>;

/// Parses the text of a rule file, in either format.
///
/// # Errors
/// The lines that are no rules.
pub fn parse(text: &str) -> Result<RuleSet, RulesErrors> {
    let says_something = |line: &&str| !line.is_empty() && !line.starts_with('#');
    let first = text.lines().map(str::trim).find(says_something);
    let (format, rule): (Format, ParseLine) = if first.is_some_and(|line| line.starts_with('@')) {
        (Format::ClassBench, classbench::rule)
    } else {
        (Format::Braid, grammar::rule)
    };
    let (mut rules, mut terms) = (Vec::new(), 0);
    let mut wrong = RulesErrors { errors: Vec::new(), more: 0 };
    for (number, line) in (1u32..).zip(text.lines()) {
        match rule(number, line) {
            Ok(None) => {}
            Ok(Some(rule)) => {
                terms += rule.terms.len();
                if terms > MAX_TERMS {
                    let message =
                        format!("the lists of the rules up to here stand for more than {MAX_TERMS} rules");
                    wrong.add(RulesError::at(number, 1, message, "split the rules over several firewalls"));
                    break;
                }
                rules.push(rule);
            }
            Err(error) => wrong.add(error),
        }
    }
    if wrong.errors.is_empty() { Ok(RuleSet { format, rules }) } else { Err(wrong) }
}

/// Reads a rule file, in either format.
///
/// # Errors
/// A file that cannot be read (with line 0), or the lines that are no rules.
pub fn parse_file(path: &Path) -> Result<RuleSet, RulesErrors> {
    let bytes = read_file(path, MAX_BYTES)
        .map_err(|error| RulesError::of_file(format!("cannot read {}: {error}", path.display())))?;
    match String::from_utf8(bytes) {
        Ok(text) => parse(&text),
        Err(e) => {
            let valid = &e.as_bytes()[..e.utf8_error().valid_up_to()];
            let line = 1 + valid.iter().filter(|&&byte| byte == b'\n').count();
            let column = 1 + valid.iter().rev().take_while(|&&byte| byte != b'\n').count();
            let (line, column) = (u32::try_from(line), u32::try_from(column));
            let (line, column) = (line.unwrap_or(u32::MAX), column.unwrap_or(u32::MAX));
            Err(RulesError::at(line, column, "not text", "a rule file is written in UTF-8").into())
        }
    }
}

/// The bytes of a regular file with at most `longest` of them. Others are not even opened: a pipe may never end, or
/// never begin.
fn read_file(path: &Path, longest: u64) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    // Not by the length that the file claims, which may be out of date and is 0 in /proc.
    fs::File::open(path)?.take(longest + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > longest {
        return Err(io::Error::other(format!(
            "it is longer than the {longest} bytes that a rule file may have"
        )));
    }
    Ok(bytes)
}
