//! The `[nf.NAME]` tables: a kind, what is common to all kinds, and the kind's own keys.

use super::diagnostic::Diagnostic;
use super::nearest;
use super::secrets::without_text;
use super::section::Section;
use engine::{Configured, Entry, OnPanic, Registry};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

/// The keys of every NF, whatever its kind.
const COMMON: [&str; 3] = ["kind", "on_panic", "snapshot"];

/// One NF as the file has it.
#[derive(Clone)]
pub struct NfConfig {
    /// Its name.
    pub name: String,
    /// What is known of its kind.
    pub entry: Entry,
    /// Its kind's own configuration.
    pub configured: Arc<dyn Configured>,
    /// What becomes of packets while it is poisoned.
    pub on_panic: OnPanic,
    /// How often its state is saved against a panic.
    pub snapshot: Option<Duration>,
    pub(super) name_span: Range<usize>,
    /// Places of its values by key, and of the items of lists: `rules`, `rules[0]`.
    pub(super) values: BTreeMap<String, Range<usize>>,
}

impl NfConfig {
    /// The place of a key that its kind complains of: `rules`, or the beginning of `static[2].port`.
    pub(super) fn place(&self, key: Option<&str>) -> Range<usize> {
        let mut key = key.unwrap_or_default();
        loop {
            if let Some(place) = self.values.get(key) {
                return place.clone();
            }
            match key.rfind(['.', '[']) {
                Some(end) => key = &key[..end],
                None => return self.name_span.clone(),
            }
        }
    }
}

/// Reads one table. `None` when it cannot be used.
pub(super) fn read(
    name: &str,
    name_span: Range<usize>,
    value: &Spanned<DeValue<'_>>,
    table: &DeTable<'_>,
    registry: &Registry,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<NfConfig> {
    let before = diagnostics.len();
    let title = format!("[nf.{name}]");
    let mut section = Section::new(title.clone(), name_span.clone(), table, diagnostics);
    let kind = section.string("kind", "\"firewall\"");
    let on_panic = section.word("on_panic", &[("drop", OnPanic::Drop), ("bypass", OnPanic::Bypass)]);
    let snapshot = section.duration("snapshot");
    if let Some((period, span)) = &snapshot
        && *period < Duration::from_millis(100)
    {
        section.report(
            Diagnostic::error(span.clone(), "'snapshot' is shorter than 100ms").help("write \"10s\""),
        );
    }
    let kinds = || registry.iter().map(|entry| entry.name);
    let Some((kind, kind_span)) = kind else {
        if section.value("kind").is_none() {
            section.missing("kind", &format!("write kind = \"...\"; {}", nearest::advice("", kinds())));
        }
        return None;
    };
    let Some(entry) = registry.get(&kind) else {
        section.report(
            Diagnostic::error(kind_span, format!("unknown kind '{kind}' of NF"))
                .help(kind_advice(&kind, registry)),
        );
        return None;
    };

    let mut own = table.clone();
    for key in COMMON {
        own.remove(key);
    }
    refuse_unknown_keys(&title, &mut own, entry, diagnostics);
    let values = places(&own);
    let configured = configure(&title, &name_span, value.span(), own, entry, diagnostics)?;
    if diagnostics[before..].iter().any(|d| d.severity == super::Severity::Error) {
        return None;
    }
    Some(NfConfig {
        name: name.to_owned(),
        entry: *entry,
        configured: Arc::from(configured),
        on_panic: on_panic.map(|(policy, _)| policy).unwrap_or_default(),
        snapshot: snapshot.map(|(period, _)| period),
        name_span,
        values,
    })
}

/// Reads the kind's own keys. Reading ends at the first bad value, so that value is set aside and the rest read
/// again, until everything is told.
fn configure(
    title: &str,
    name_span: &Range<usize>,
    span: Range<usize>,
    mut own: DeTable<'_>,
    entry: &Entry,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Box<dyn Configured>> {
    let mut set_aside = false;
    loop {
        let table = Spanned::new(span.clone(), DeValue::Table(own.clone()));
        let error = match entry.configure(ValueDeserializer::from(table)) {
            Ok(configured) => return (!set_aside).then_some(configured),
            Err(error) => error,
        };
        // Without a place of its own, or with that of the whole table, the error is about the NF.
        let place = error.span().filter(|place| *place != span);
        let told = match entry.secrets {
            [] => error.message().to_owned(),
            _ => without_text(error.message()),
        };
        let message = format!("{told} in {title}");
        let inside =
            |value: &Range<usize>, place: &Range<usize>| value.start <= place.start && place.end <= value.end;
        let key = place.as_ref().and_then(|place| {
            let found =
                own.iter().find(|(key, value)| inside(&value.span(), place) || inside(&key.span(), place));
            found.map(|(key, _)| key.get_ref().to_string())
        });
        if !set_aside {
            let place = place.unwrap_or_else(|| name_span.clone());
            diagnostics.push(Diagnostic::error(place, message).help(example(entry)));
        } else if let (Some(place), Some(_)) = (place, &key) {
            diagnostics.push(Diagnostic::error(place, message));
        }
        // That a value is missing which was set aside is no news.
        own.remove(key?.as_str());
        set_aside = true;
    }
}

/// Where the values of a table stand, and the items of its lists.
fn places(table: &DeTable<'_>) -> BTreeMap<String, Range<usize>> {
    let mut places = BTreeMap::new();
    for (key, value) in table.iter() {
        for (i, item) in value.get_ref().as_array().into_iter().flat_map(|items| items.iter()).enumerate() {
            places.insert(format!("{}[{i}]", key.get_ref()), item.span());
        }
        places.insert(key.get_ref().to_string(), value.span());
    }
    places
}

/// What may have been meant by an unknown kind: a name like it, or a kind that says the word of itself.
pub fn kind_advice(kind: &str, registry: &Registry) -> String {
    let names = || registry.iter().map(|entry| entry.name);
    let word = kind.to_lowercase();
    let says_so = |entry: &&Entry| {
        let mut words = entry.summary.split(|c: char| !c.is_alphanumeric());
        word.len() >= 3 && words.any(|said| said.to_lowercase().starts_with(&word))
    };
    match registry.iter().find(says_so) {
        Some(entry) if nearest::nearest(kind, names()).is_none() => {
            let known: Vec<&str> = names().collect();
            format!("did you mean '{}' ({})? known: {}", entry.name, entry.summary, known.join(", "))
        }
        _ => nearest::advice(kind, names()),
    }
}

/// Reports and removes the keys that the kind's schema does not have, where the schema is a closed list.
fn refuse_unknown_keys(title: &str, own: &mut DeTable<'_>, entry: &Entry, diagnostics: &mut Vec<Diagnostic>) {
    let schema = (entry.schema)();
    let schema = schema.as_value();
    let closed = schema.get("additionalProperties") == Some(&serde_json::Value::Bool(false));
    if !closed {
        return;
    }
    let known: Vec<&str> = schema
        .get("properties")
        .and_then(serde_json::Value::as_object)
        .map(|properties| properties.keys().map(String::as_str).chain(COMMON).collect())
        .unwrap_or_else(|| COMMON.to_vec());
    let unknown: Vec<_> =
        own.keys().filter(|key| !known.contains(&key.get_ref().as_ref())).cloned().collect();
    for key in unknown {
        let name = key.get_ref().as_ref();
        own.remove(name);
        let message = format!("unknown key '{name}' in {title}");
        diagnostics
            .push(Diagnostic::error(key.span(), message).help(nearest::advice(name, known.iter().copied())));
    }
}

/// The kind's own example, as advice.
fn example(entry: &Entry) -> String {
    let example = entry.example.trim();
    if example.is_empty() {
        return format!("'{}' needs no keys", entry.name);
    }
    format!("for example:\n    {}", example.replace('\n', "\n    "))
}
