//! The `[nf.NAME]` tables: a kind, what is common to all kinds, and the kind's own keys.

use super::diagnostic::Diagnostic;
use super::nearest;
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
    /// Places of its values by key.
    pub(super) values: BTreeMap<String, Range<usize>>,
}

impl NfConfig {
    /// The place of a key that its kind complains of: `rules`, or the beginning of `static[2].port`.
    pub(super) fn place(&self, key: Option<&str>) -> Range<usize> {
        let top = key.map(|key| key.split(['.', '[']).next().unwrap_or(key));
        top.and_then(|key| self.values.get(key)).unwrap_or(&self.name_span).clone()
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
                .help(nearest::advice(&kind, kinds())),
        );
        return None;
    };

    let mut own = table.clone();
    for key in COMMON {
        own.remove(key);
    }
    refuse_unknown_keys(&title, &mut own, entry, diagnostics);
    let values = own.iter().map(|(key, value)| (key.get_ref().to_string(), value.span())).collect();
    let own = Spanned::new(value.span(), DeValue::Table(own));
    match entry.configure(ValueDeserializer::from(own)) {
        Ok(configured) if diagnostics[before..].iter().all(|d| d.severity != super::Severity::Error) => {
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
        Ok(_) => None,
        Err(error) => {
            // Without a place of its own, or with that of the whole table, the error is about the NF.
            let span = error.span().filter(|span| *span != value.span()).unwrap_or(name_span);
            let message = format!("{} in {title}", error.message());
            diagnostics.push(Diagnostic::error(span, message).help(example(entry)));
            None
        }
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
