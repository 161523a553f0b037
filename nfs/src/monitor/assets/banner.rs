//! Services by what they say: signatures in the language of PRADS, `service,v/product/version/info/,pattern`.
//!
//! All patterns of a file run over a payload at once, in time proportional to its length (no backtracking: references
//! back and looking around are refused). Of those that match the first of the file counts; it then runs by itself for
//! its groups.

use regex_automata::meta::{Cache, Config, Regex};
use regex_automata::util::syntax;
use regex_automata::{Input, MatchKind, PatternSet, meta};

/// Bytes of a payload that are looked at.
pub(super) const LOOKED_AT: usize = 1460;
/// Characters of what is kept of a banner.
const MOST_SAID: usize = 200;
/// Signatures in one file.
const MOST: usize = 4096;
/// Memory of one compiled pattern, and of all together.
const ONE: usize = 1 << 20;
const ALL: usize = 32 << 20;
/// Memory of states that are made while matching, per worker.
const LAZY: usize = 4 << 20;
/// Groups whose text a template can name: $0 to $9.
const GROUPS: usize = 10;

/// One line of a file.
struct Signature {
    service: Box<str>,
    product: Box<str>,
    version: Box<str>,
    info: Box<str>,
    pattern: Regex,
}

/// The signatures of a file.
pub(in crate::monitor) struct Banners {
    signatures: Vec<Signature>,
    all: Regex,
}

/// What matching needs to be able to write to: one for each worker.
pub(in crate::monitor) struct Scratch {
    all: Cache,
    /// By signature, made when it first matches.
    each: Vec<Option<Cache>>,
    matched: PatternSet,
}

/// What was made of a banner.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::monitor) struct Said {
    pub service: String,
    pub what: String,
}

impl Banners {
    /// Reads a file's text. Lines that are no signatures are told by number, with what is wrong.
    pub(in crate::monitor) fn parse(text: &str) -> (Option<Banners>, Vec<(usize, String)>) {
        let (mut signatures, mut patterns, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim_end_matches('\r');
            if text.trim().is_empty() || text.starts_with('#') {
                continue;
            }
            match signature(text) {
                _ if signatures.len() == MOST => {
                    wrong.push((line, format!("there are more signatures than {MOST}")));
                    break;
                }
                Ok((signature, pattern)) => {
                    signatures.push(signature);
                    patterns.push(pattern);
                }
                Err(what) => wrong.push((line, what)),
            }
        }
        if patterns.is_empty() {
            return (None, wrong);
        }
        match compile(
            Config::new().nfa_size_limit(Some(ALL)).hybrid_cache_capacity(LAZY).match_kind(MatchKind::All),
        )
        .build_many(&patterns)
        {
            Ok(all) => (Some(Banners { signatures, all }), wrong),
            Err(error) => {
                wrong.push((
                    1,
                    format!("all of them together are too much: {}", first_line(&error.to_string())),
                ));
                (None, wrong)
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.signatures.len()
    }

    pub(in crate::monitor) fn scratch(&self) -> Scratch {
        Scratch {
            all: self.all.create_cache(),
            each: self.signatures.iter().map(|_| None).collect(),
            matched: PatternSet::new(self.all.pattern_len()),
        }
    }

    /// What the first signature that matches makes of a payload.
    pub(in crate::monitor) fn find(&self, scratch: &mut Scratch, payload: &[u8]) -> Option<Said> {
        let input = Input::new(&payload[..payload.len().min(LOOKED_AT)]);
        let Scratch { all, each, matched } = scratch;
        matched.clear();
        // Patterns that match anywhere, as a search for the leftmost would hide those behind it.
        self.all.which_overlapping_matches_with(all, &input, matched);
        let first = matched.iter().next()?.as_usize();
        let (signature, cache) = (self.signatures.get(first)?, each.get_mut(first)?);
        let cache = cache.get_or_insert_with(|| signature.pattern.create_cache());
        let mut slots = [None; 2 * GROUPS];
        let groups = signature.pattern.group_info().slot_len().min(slots.len());
        signature.pattern.search_slots_with(cache, &input, &mut slots[..groups]);
        let group = |n: usize| {
            let (start, end) = (slots.get(2 * n).copied()??, slots.get(2 * n + 1).copied()??);
            input.haystack().get(start.get()..end.get())
        };
        Some(signature.say(group))
    }
}

impl Signature {
    /// `product version (info)`, with the groups of the match in the places of `$1` and so on.
    fn say<'a>(&self, group: impl Fn(usize) -> Option<&'a [u8]>) -> Said {
        let fill = |template: &str| {
            let mut filled = String::new();
            let mut rest = template.chars().peekable();
            while let Some(c) = rest.next() {
                let n = rest.peek().and_then(|digit| digit.to_digit(10)).filter(|_| c == '$');
                let Some(n) = n else {
                    filled.push(c);
                    continue;
                };
                rest.next();
                let text = group(n as usize).unwrap_or_default();
                filled.extend(text.iter().take(MOST_SAID).map(|byte| printable(*byte)));
            }
            filled
        };
        let mut what = fill(&self.product);
        let (version, info) = (fill(&self.version), fill(&self.info));
        if !version.is_empty() {
            what = format!("{what} {version}");
        }
        if !info.is_empty() {
            what = format!("{what} ({info})");
        }
        if let Some((end, _)) = what.char_indices().nth(MOST_SAID) {
            what.truncate(end);
        }
        Said { service: self.service.to_string(), what }
    }
}

/// What a host says of itself may hold anything; in reports it is plain text.
fn printable(byte: u8) -> char {
    if byte.is_ascii_graphic() || byte == b' ' { char::from(byte) } else { '.' }
}

fn compile(config: Config) -> meta::Builder {
    let mut builder = Regex::builder();
    // Bytes, not characters.
    builder.configure(config.utf8_empty(false));
    builder.syntax(syntax::Config::new().unicode(false).utf8(false).nest_limit(64));
    builder
}

fn signature(text: &str) -> Result<(Signature, String), String> {
    let mut fields = text.splitn(3, ',');
    let (Some(service), Some(template), Some(pattern)) = (fields.next(), fields.next(), fields.next()) else {
        return Err("a signature has three fields, separated by commas".to_owned());
    };
    if service.len() > MOST_SAID {
        return Err(format!("the name of the service is longer than {MOST_SAID} bytes"));
    }
    let mut template = template.strip_prefix('v').unwrap_or_default().chars();
    let separator = template.next().ok_or("the second field begins with v/")?;
    let mut parts = template.as_str().split(separator).map(Box::from);
    let mut part = || parts.next().unwrap_or_default();
    let (product, version, info) = (part(), part(), part());
    let config = Config::new().nfa_size_limit(Some(ONE)).hybrid(false);
    let pattern = without_octal(pattern);
    let compiled = compile(config).build(&pattern);
    let compiled = compiled.map_err(|error| format!("the pattern is not understood: {}", reason(&error)))?;
    let signature = Signature { service: service.into(), product, version, info, pattern: compiled };
    Ok((signature, pattern))
}

/// `\0`, `\01` and `\012` of Perl as `\x00` and so on. A number without a zero in front refers back, and is refused.
fn without_octal(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        out.push(c);
        if c != '\\' {
            continue;
        }
        if rest.next_if_eq(&'0').is_none() {
            out.extend(rest.next());
            continue;
        }
        let digits = (0..2).map_while(|_| rest.next_if(|digit| ('0'..='7').contains(digit)));
        let byte = digits.fold(0, |byte, digit| byte * 8 + digit.to_digit(8).unwrap_or(0));
        out.push_str(&format!("x{byte:02x}"));
    }
    out
}

/// Why a pattern cannot be had, without the picture of it.
fn reason(error: &meta::BuildError) -> String {
    match error.syntax_error() {
        Some(error) => {
            error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
        }
        None => first_line(&error.to_string()),
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}
