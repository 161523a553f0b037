//! Reading rule files: lines, comments, variables, duplicates, and a report of what was taken.

use std::{collections::BTreeMap, fmt, io, path::Path};

use hashbrown::{HashMap, hash_map::Entry};

use crate::{
    classes::Classes,
    order, parse,
    refusal::{Kind, Refusal},
    rule::Rule,
    vars::Vars,
};

/// The largest rule file, in bytes.
pub const LARGEST_FILE: u64 = 256 << 20;

/// Rules, in the order in which they are looked at, and what became of the files that they come from.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    /// The rules, sorted by [`order::key`].
    pub rules: Vec<Loaded>,
    /// What was taken, and what was not and why.
    pub report: Report,
}

/// A rule and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The rule.
    pub rule: Rule,
    /// Its file: an index into [`Report::files`].
    pub file: usize,
    /// The line on which it begins, from 1.
    pub line: usize,
}

/// What became of the rules of all files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// One per file, in their order.
    pub files: Vec<FileReport>,
}

/// What became of the rules of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileReport {
    /// The file, as it was named.
    pub name: String,
    /// Rules that were taken.
    pub taken: usize,
    /// Rules behind a `#`.
    pub disabled: usize,
    /// Rules that were not taken.
    pub refused: Vec<Refused>,
}

/// A rule that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Line of the trouble, from 1.
    pub line: usize,
    /// Byte in that line, from 1.
    pub column: usize,
    /// What the trouble is.
    pub refusal: Refusal,
}

/// Reads the rules of files.
///
/// # Errors
/// The first file that cannot be read, or is larger than [`LARGEST_FILE`]. A rule that is refused is no error here.
pub fn load<P: AsRef<Path>>(paths: &[P], vars: &Vars, classes: &Classes) -> io::Result<RuleSet> {
    let mut texts = Vec::with_capacity(paths.len());
    for path in paths {
        let path = path.as_ref();
        let explain = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let length = std::fs::metadata(path).map_err(explain)?.len();
        if length > LARGEST_FILE {
            return Err(io::Error::other(format!("{}: larger than {LARGEST_FILE} bytes", path.display())));
        }
        texts.push((path.display().to_string(), std::fs::read(path).map_err(explain)?));
    }
    Ok(from_texts(texts.iter().map(|(name, text)| (name.as_str(), text.as_slice())), vars, classes))
}

/// Reads the rules of texts that are at hand: the name of each, and its bytes.
pub fn from_texts<'a>(
    texts: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    vars: &Vars,
    classes: &Classes,
) -> RuleSet {
    let mut set = RuleSet::default();
    let mut known: HashMap<(u32, u32), usize> = HashMap::new();
    for (file, (name, text)) in texts.into_iter().enumerate() {
        let mut report = FileReport { name: name.to_owned(), ..FileReport::default() };
        for entry in Entries::new(text) {
            if entry.disabled {
                report.disabled += 1;
                continue;
            }
            let refused = |refusal: Refusal| {
                let (line, column) = entry.place(refusal.column);
                Refused { line, column, refusal }
            };
            let rule = match parse::rule(&entry.text, vars, classes) {
                Ok(rule) => rule,
                Err(refusal) => {
                    report.refused.push(refused(refusal));
                    continue;
                }
            };
            let loaded = Loaded { rule, file, line: entry.line };
            let meta = &loaded.rule.meta;
            match known.entry((meta.gid, meta.sid)) {
                Entry::Vacant(place) => {
                    place.insert(set.rules.len());
                    set.rules.push(loaded);
                    report.taken += 1;
                }
                Entry::Occupied(place) => {
                    let older = &mut set.rules[*place.get()];
                    let duplicate = |rev: u32| Refusal {
                        column: 1,
                        keyword: "sid".to_owned(),
                        kind: Kind::Duplicate,
                        message: format!("sid {} is there already, with rev {rev}", meta.sid),
                    };
                    if older.rule.meta.rev >= meta.rev {
                        report.refused.push(refused(duplicate(older.rule.meta.rev)));
                        continue;
                    }
                    let rev = meta.rev;
                    let (older_file, older_line) = (older.file, older.line);
                    let refusal = Refused { line: older_line, column: 1, refusal: duplicate(rev) };
                    *older = loaded;
                    report.taken += 1;
                    let of_older =
                        if older_file == file { &mut report } else { &mut set.report.files[older_file] };
                    of_older.taken -= 1;
                    of_older.refused.push(refusal);
                }
            }
        }
        set.report.files.push(report);
    }
    set.rules.sort_by_cached_key(|loaded| order::key(&loaded.rule));
    set
}

impl Report {
    /// Rules that were taken.
    pub fn taken(&self) -> usize {
        self.files.iter().map(|file| file.taken).sum()
    }

    /// Rules that were not taken.
    pub fn refused(&self) -> usize {
        self.files.iter().map(|file| file.refused.len()).sum()
    }

    /// How many rules were refused for each sort of trouble with each keyword, the most frequent first.
    pub fn reasons(&self) -> Vec<(Kind, &str, usize)> {
        let mut counts = BTreeMap::new();
        for refused in self.files.iter().flat_map(|file| &file.refused) {
            *counts.entry((refused.refusal.kind, refused.refusal.keyword.as_str())).or_insert(0) += 1;
        }
        let mut counts: Vec<_> =
            counts.into_iter().map(|((kind, keyword), count)| (kind, keyword, count)).collect();
        counts.sort_by_key(|&(_, _, count)| std::cmp::Reverse(count));
        counts
    }
}

/// One line per file, then one per reason, then one per refused rule: `file:line:column: keyword: what is wrong`.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for file in &self.files {
            writeln!(
                f,
                "{}: {} taken, {} refused, {} disabled",
                file.name,
                file.taken,
                file.refused.len(),
                file.disabled
            )?;
        }
        for (kind, keyword, count) in self.reasons() {
            writeln!(f, "refused {count}: {keyword} ({kind})")?;
        }
        for file in &self.files {
            for refused in &file.refused {
                writeln!(f, "{}:{}:{}: {}", file.name, refused.line, refused.column, refused.refusal)?;
            }
        }
        Ok(())
    }
}

/// A rule's text in a file.
struct RuleText {
    /// Its bytes, with blanks for the backslashes and line ends that continue it.
    text: Vec<u8>,
    /// The line on which it begins, from 1.
    line: usize,
    /// Where its further lines begin, as offsets into `text`.
    breaks: Vec<usize>,
    /// It is behind a `#`.
    disabled: bool,
}

impl RuleText {
    /// Line and column in the file of a column in the text; both from 1.
    fn place(&self, column: usize) -> (usize, usize) {
        let offset = column.saturating_sub(1);
        let breaks = self.breaks.partition_point(|&begin| begin <= offset);
        let begin = breaks.checked_sub(1).map_or(0, |last| self.breaks[last]);
        (self.line + breaks, offset - begin + 1)
    }
}

/// The rules of a file, enabled and disabled.
struct Entries<'a> {
    rest: &'a [u8],
    line: usize,
}

impl<'a> Entries<'a> {
    fn new(text: &'a [u8]) -> Self {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        Self { rest: text, line: 1 }
    }

    /// The next line, without its end, and whether a backslash continues it.
    fn next_line(&mut self) -> Option<(&'a [u8], bool)> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.iter().position(|&byte| byte == b'\n').unwrap_or(self.rest.len());
        let line = &self.rest[..end];
        self.rest = self.rest.get(end + 1..).unwrap_or_default();
        self.line += 1;
        Some((line, line.trim_ascii_end().ends_with(b"\\")))
    }
}

impl Iterator for Entries<'_> {
    type Item = RuleText;

    fn next(&mut self) -> Option<RuleText> {
        loop {
            let begin = self.line;
            let (line, mut continued) = self.next_line()?;
            let trimmed = line.trim_ascii();
            if trimmed.is_empty() {
                continue;
            }
            if let Some(comment) = trimmed.strip_prefix(b"#") {
                if is_disabled_rule(comment) {
                    while continued && let Some((_, more)) = self.next_line() {
                        continued = more;
                    }
                    return Some(RuleText {
                        text: Vec::new(),
                        line: begin,
                        breaks: Vec::new(),
                        disabled: true,
                    });
                }
                continue;
            }
            let (mut text, mut breaks) = (line.to_vec(), Vec::new());
            while continued {
                let backslash = text.trim_ascii_end().len() - 1;
                text[backslash..].fill(b' ');
                text.push(b' ');
                breaks.push(text.len());
                let Some((more, on)) = self.next_line() else { break };
                text.extend_from_slice(more);
                continued = on;
            }
            return Some(RuleText { text, line: begin, breaks, disabled: false });
        }
    }
}

/// Whether what is behind a `#` looks like a rule.
fn is_disabled_rule(comment: &[u8]) -> bool {
    let comment = comment.trim_ascii_start().trim_ascii_start();
    let actions: [&[u8]; 5] = [b"alert ", b"drop ", b"pass ", b"reject ", b"log "];
    actions.iter().any(|action| comment.starts_with(action)) && comment.contains(&b'(')
}

#[cfg(test)]
mod tests;
