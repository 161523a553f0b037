//! A case file, read.

use crate::language::packet;
use std::collections::BTreeMap;
use std::time::Duration;

/// A case file: one NF, one configuration, rows of packets and what becomes of them.
#[derive(Debug, Default, PartialEq)]
pub(super) struct CaseFile {
    pub nf: String,
    pub config: String,
    /// Files that the configuration names, by name.
    pub files: BTreeMap<String, String>,
    pub rows: Vec<Row>,
}

/// One row: a story of its own, on the state that the rows before it left.
#[derive(Debug, PartialEq)]
pub(super) struct Row {
    pub line: usize,
    pub title: String,
    pub steps: Vec<Step>,
}

#[derive(Debug, PartialEq)]
pub(super) struct Step {
    pub line: usize,
    pub what: What,
}

#[derive(Debug, PartialEq)]
pub(super) enum What {
    /// A packet comes in by a port.
    In {
        port: String,
        bytes: Vec<u8>,
    },
    /// The fate of the packet before.
    Forward(Option<Vec<u8>>),
    Gate(u8, Option<Vec<u8>>),
    Drop(String),
    Absorb,
    Taken,
    /// The NF itself sends a packet, after the packets of the row so far.
    Emit(u8, Vec<u8>),
    /// The same out of a port.
    Transmit(String, Vec<u8>),
    /// Time passes, and timers run.
    After(Duration),
    /// So many records of a kind are in the state.
    Count(String, usize),
    /// A record of a kind whose key and value contain these members.
    Holds(String, serde_json::Value),
    /// A counter stands at a number.
    Counter(String, u64),
}

/// The port of a packet that names none.
pub(super) const FIRST_PORT: &str = "lan";

/// Reads a case file.
///
/// # Errors
/// The line, and what is wrong with it.
pub(super) fn parse(text: &str) -> Result<CaseFile, String> {
    let mut file = CaseFile::default();
    let mut lets: Vec<(String, String)> = Vec::new();
    let mut section = Section::Head;
    for (i, line) in text.lines().enumerate() {
        let number = i + 1;
        let at = |error: String| format!("line {number}: {error}");
        if let Some(directive) = line.strip_prefix('%') {
            section = open(directive, number, &mut file, &mut lets).map_err(at)?;
            continue;
        }
        match &section {
            Section::Config => push(&mut file.config, line),
            Section::File(name) => push(file.files.entry(name.clone()).or_default(), line),
            Section::Row => {
                let line = substitute(strip_comment(line).trim(), &lets);
                if !line.is_empty() {
                    let what = step(&line).map_err(at)?;
                    let row = file.rows.last_mut().ok_or_else(|| at("a step before any %row".to_owned()))?;
                    row.steps.push(Step { line: number, what });
                }
            }
            // Prose: what the file is about.
            Section::Head => {}
        }
    }
    match (file.nf.is_empty(), file.rows.is_empty()) {
        (true, _) => Err("there is no %nf line".to_owned()),
        (_, true) => Err("there is no %row".to_owned()),
        _ => Ok(file),
    }
}

enum Section {
    Head,
    Config,
    File(String),
    Row,
}

fn open(
    directive: &str,
    line: usize,
    file: &mut CaseFile,
    lets: &mut Vec<(String, String)>,
) -> Result<Section, String> {
    let (name, rest) = directive.split_once(char::is_whitespace).unwrap_or((directive, ""));
    let rest = rest.trim();
    match (name, rest.is_empty()) {
        ("nf", false) => {
            file.nf = rest.to_owned();
            Ok(Section::Head)
        }
        ("config", true) => Ok(Section::Config),
        ("file", false) => Ok(Section::File(rest.to_owned())),
        ("let", false) => {
            let (name, value) = rest.split_once('=').ok_or("expected: %let NAME = VALUE")?;
            lets.push((format!("${}", name.trim()), value.trim().to_owned()));
            // Longer names first, so that $lan10 is not $lan1 and a 0.
            lets.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
            Ok(Section::Head)
        }
        ("row", false) => {
            file.rows.push(Row { line, title: rest.to_owned(), steps: Vec::new() });
            Ok(Section::Row)
        }
        _ => Err(format!(
            "'%{directive}': expected %nf NAME, %config, %file NAME, %let NAME = VALUE or %row TITLE"
        )),
    }
}

fn push(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// A comment starts with `#`, but not in quotes.
fn strip_comment(line: &str) -> &str {
    let mut quoted = false;
    let end = line.find(|letter| {
        quoted ^= letter == '"';
        letter == '#' && !quoted
    });
    end.map_or(line, |end| &line[..end])
}

fn substitute(line: &str, lets: &[(String, String)]) -> String {
    lets.iter().fold(line.to_owned(), |line, (name, value)| line.replace(name, value))
}

fn step(line: &str) -> Result<What, String> {
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    let bytes = |text: &str| packet(text).map_err(|error| error.to_string());
    let optional = |text: &str| if text.is_empty() { Ok(None) } else { bytes(text).map(Some) };
    match (name, rest) {
        ("in", rest) => {
            let (port, text) = match rest.strip_prefix('@') {
                Some(rest) => rest.split_once(char::is_whitespace).ok_or("a packet after the port")?,
                None => (FIRST_PORT, rest),
            };
            Ok(What::In { port: port.to_owned(), bytes: bytes(text)? })
        }
        ("forward", rest) => Ok(What::Forward(optional(rest)?)),
        ("gate", rest) => {
            let (gate, rest) = number_and_rest(rest)?;
            Ok(What::Gate(gate, optional(rest)?))
        }
        ("emit", rest) => match rest.strip_prefix('@') {
            Some(rest) => {
                let (port, text) = rest.split_once(char::is_whitespace).ok_or("a packet after the port")?;
                Ok(What::Transmit(port.to_owned(), bytes(text)?))
            }
            None => {
                let (gate, rest) = number_and_rest(rest)?;
                Ok(What::Emit(gate, bytes(rest)?))
            }
        },
        ("drop", reason) if !reason.is_empty() => Ok(What::Drop(reason.to_owned())),
        ("absorb", "") => Ok(What::Absorb),
        ("taken", "") => Ok(What::Taken),
        ("after", rest) => duration(rest).map(What::After),
        ("state", rest) => {
            let (kind, rest) =
                rest.split_once(char::is_whitespace).ok_or("expected: state KIND COUNT|{…}")?;
            let rest = rest.trim();
            match rest.parse() {
                Ok(count) => Ok(What::Count(kind.to_owned(), count)),
                Err(_) => {
                    let members = serde_json::from_str(rest).map_err(|error| error.to_string())?;
                    Ok(What::Holds(kind.to_owned(), members))
                }
            }
        }
        ("counter", rest) => {
            let (name, rest) = rest.split_once(char::is_whitespace).ok_or("expected: counter NAME NUMBER")?;
            let number = rest.trim().parse().map_err(|_| format!("'{rest}' is no number"))?;
            Ok(What::Counter(name.to_owned(), number))
        }
        _ => Err(format!(
            "'{line}': expected in, forward, gate, drop, absorb, taken, emit, after, state or counter"
        )),
    }
}

fn number_and_rest(text: &str) -> Result<(u8, &str), String> {
    let (number, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let number = number.parse().map_err(|_| format!("'{number}' is no gate"))?;
    Ok((number, rest.trim()))
}

/// `5s`, `200ms`, `10us`.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    let number: u64 = digits.parse().map_err(|_| format!("'{text}' is no time such as 5s or 200ms"))?;
    match &text[digits.len()..] {
        "s" => Ok(Duration::from_secs(number)),
        "ms" => Ok(Duration::from_millis(number)),
        "us" => Ok(Duration::from_micros(number)),
        _ => Err(format!("'{text}' is no time such as 5s or 200ms")),
    }
}
