//! The `[[chain]]` tables: where packets come from, what they pass, where they go.

use super::diagnostic::Diagnostic;
use super::section::{Placed, Section};
use crate::planning::Mode;
use engine::OnPanic;
use std::ops::Range;
use std::time::Duration;
use tables::expression::Expression;

/// One chain as the file has it; names are not looked up yet.
#[derive(Clone)]
pub struct ChainConfig {
    /// Its name.
    pub name: String,
    /// The port where it begins.
    pub from: String,
    /// Which packets take it, as written; empty: all.
    pub matches: String,
    /// The same, understood.
    pub matcher: Expression,
    /// How much of it runs side by side.
    pub parallel: Mode,
    /// How long a worker waits for a branch.
    pub patience: Duration,
    /// What becomes of packets for which a branch does not answer.
    pub on_timeout: OnPanic,
    pub(super) on_timeout_span: Range<usize>,
    pub(super) name_span: Range<usize>,
    pub(super) from_span: Range<usize>,
    pub(super) path: Vec<Placed<String>>,
    pub(super) to: Vec<Placed<String>>,
}

impl ChainConfig {
    /// Names of the NFs, in order.
    pub fn path(&self) -> impl Iterator<Item = &str> {
        self.path.iter().map(|(name, _)| name.as_str())
    }

    /// Names of the ports where it ends, gate by gate.
    pub fn to(&self) -> impl Iterator<Item = &str> {
        self.to.iter().map(|(name, _)| name.as_str())
    }
}

/// How long a worker waits for a branch if nothing is said: far longer than any NF takes for a burst.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// Reads one table. `None` when it cannot be used.
pub(super) fn read(mut section: Section<'_, '_, '_>, source: &str) -> Option<ChainConfig> {
    let name = section.string("name", "\"egress\"");
    let from = section.string("from", "\"lan\"");
    let matcher = match section.value("match") {
        None => Some((String::new(), Expression::all())),
        Some(_) => read_match(&mut section, source),
    };
    let path = section.strings("path", "\"edge\", or path = [\"edge\", \"watch\"]");
    let to = section.strings("to", "\"wan\", or to = [\"wan\", \"dmz\"]");
    let modes = [("off", Mode::Off), ("auto", Mode::Auto), ("max", Mode::Max)];
    let parallel = section.word("parallel", &modes).map_or(Mode::Off, |(mode, _)| mode);
    let patience = section.duration("branch_timeout").map_or(PATIENCE, |(patience, _)| patience);
    let fates = [("drop", OnPanic::Drop), ("pass", OnPanic::Bypass)];
    let (on_timeout, on_timeout_span) =
        section.word("on_branch_timeout", &fates).unwrap_or((OnPanic::Drop, 0..0));
    for (key, absent, help) in [
        ("name", name.is_none() && section.value("name").is_none(), "write name = \"egress\""),
        ("from", from.is_none() && section.value("from").is_none(), "name the port where packets come from"),
        (
            "to",
            to.is_none() && section.value("to").is_none(),
            "name the port where packets go, or a list of ports",
        ),
    ] {
        if absent {
            section.missing(key, help);
        }
    }
    if let Some((ports, span)) = &to
        && ports.is_empty()
    {
        let help = "name the port where packets go, or a list of ports";
        section.report(Diagnostic::error(span.clone(), "'to' is empty").help(help));
    }
    section.finish();
    let ((name, name_span), (from, from_span), (to, _), (matches, matcher)) = (name?, from?, to?, matcher?);
    let path = path.map(|(path, _)| path).unwrap_or_default();
    Some(ChainConfig {
        name,
        from,
        matches,
        matcher,
        parallel,
        patience,
        on_timeout,
        on_timeout_span,
        name_span,
        from_span,
        path,
        to,
    })
}

fn read_match(section: &mut Section<'_, '_, '_>, source: &str) -> Option<(String, Expression)> {
    let (text, span) = section.string("match", "\"ip and tcp\"")?;
    match Expression::parse(&text) {
        Ok(matcher) => Some((text, matcher)),
        Err(error) => {
            let place = place_in_string(source, &span, &text, &error.span).unwrap_or(span);
            let mut diagnostic = Diagnostic::error(place, error.message.clone());
            diagnostic.help = error.help.clone();
            section.report(diagnostic);
            None
        }
    }
}

/// The place in the file of a part of a string value. `None` where escapes make the written string another
/// text than its meaning.
fn place_in_string(
    source: &str,
    value: &Range<usize>,
    text: &str,
    part: &Range<usize>,
) -> Option<Range<usize>> {
    let written = source.get(value.clone())?;
    // One quote, three, or three and the line break that does not count.
    let start = [1, 3, 4, 5].into_iter().find(|&quotes| {
        written.get(quotes..).is_some_and(|rest| {
            rest.starts_with(text) && !rest[text.len()..].contains(|c| c != '"' && c != '\'')
        })
    })?;
    let start = value.start + start;
    Some(start + part.start.min(text.len())..start + part.end.clamp(part.start, text.len().max(part.start)))
}
