//! Reads one table of the file: every key that is asked for becomes known, every other one is an error.

use super::diagnostic::Diagnostic;
use super::nearest;
use crate::duration;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and its place in the text.
pub(super) type Placed<T> = (T, Range<usize>);

/// One table while it is read.
pub(super) struct Section<'a, 'i, 'd> {
    /// What it is called in messages: `[ports.lan]`.
    name: String,
    /// Where it is.
    pub span: Range<usize>,
    table: &'a DeTable<'i>,
    known: Vec<&'static str>,
    diagnostics: &'d mut Vec<Diagnostic>,
}

impl<'a, 'i, 'd> Section<'a, 'i, 'd> {
    pub fn new(
        name: String,
        span: Range<usize>,
        table: &'a DeTable<'i>,
        diagnostics: &'d mut Vec<Diagnostic>,
    ) -> Self {
        Section { name, span, table, known: Vec::new(), diagnostics }
    }

    pub fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// The value of a key, of whatever type.
    pub fn value(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'i>>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.table.get(key)
    }

    /// Where a key stands in the text, if it does.
    pub fn place(&self, key: &str) -> Option<Range<usize>> {
        self.table.get_key_value(key).map(|(key, _)| key.span())
    }

    /// Says that a key must be there.
    pub fn missing(&mut self, key: &str, help: &str) {
        let message = format!("{} has no '{key}'", self.name);
        self.report(Diagnostic::error(self.span.clone(), message).help(help));
    }

    fn wrong_type(&mut self, key: &str, wanted: &str, found: &Spanned<DeValue<'_>>) {
        let message = format!("'{key}' is {}", type_of(found));
        self.report(Diagnostic::error(found.span(), message).help(format!("write {wanted}")));
    }

    pub fn string(&mut self, key: &'static str, example: &str) -> Option<Placed<String>> {
        let value = self.value(key)?;
        match value.get_ref().as_str() {
            Some(text) => Some((text.to_owned(), value.span())),
            None => {
                self.wrong_type(key, &format!("one string: {key} = {example}"), value);
                None
            }
        }
    }

    pub fn boolean(&mut self, key: &'static str) -> Option<bool> {
        let value = self.value(key)?;
        let boolean = value.get_ref().as_bool();
        if boolean.is_none() {
            self.wrong_type(key, "true or false, without quotes", value);
        }
        boolean
    }

    pub fn integer(&mut self, key: &'static str, range: RangeInclusive<u64>) -> Option<Placed<u64>> {
        let value = self.value(key)?;
        let Some(integer) = value.get_ref().as_integer() else {
            let wanted = format!("a number from {} to {}, without quotes", range.start(), range.end());
            self.wrong_type(key, &wanted, value);
            return None;
        };
        match u64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) if range.contains(&number) => Some((number, value.span())),
            _ => {
                let message = format!("'{key}' is {integer}");
                let help = format!("write a number from {} to {}", range.start(), range.end());
                self.report(Diagnostic::error(value.span(), message).help(help));
                None
            }
        }
    }

    pub fn integers(&mut self, key: &'static str) -> Option<Placed<Vec<Placed<usize>>>> {
        let value = self.value(key)?;
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type(key, &format!("a list of numbers: {key} = [2, 3]"), value);
            return None;
        };
        let mut numbers = Vec::new();
        for item in array.iter() {
            let number =
                item.get_ref().as_integer().and_then(|n| usize::from_str_radix(n.as_str(), n.radix()).ok());
            match number {
                Some(number) => numbers.push((number, item.span())),
                None => self.wrong_type(key, &format!("a list of numbers: {key} = [2, 3]"), item),
            }
        }
        (numbers.len() == array.len()).then(|| (numbers, value.span()))
    }

    /// A list of strings; one string alone counts as a list of one.
    pub fn strings(&mut self, key: &'static str, example: &str) -> Option<Placed<Vec<Placed<String>>>> {
        let value = self.value(key)?;
        let wanted = format!("a name or a list of names: {key} = {example}");
        match value.get_ref() {
            DeValue::String(text) => Some((vec![(text.to_string(), value.span())], value.span())),
            DeValue::Array(array) => {
                let mut strings = Vec::new();
                for item in array.iter() {
                    match item.get_ref().as_str() {
                        Some(text) => strings.push((text.to_owned(), item.span())),
                        None => self.wrong_type(key, &wanted, item),
                    }
                }
                (strings.len() == array.len()).then(|| (strings, value.span()))
            }
            _ => {
                self.wrong_type(key, &wanted, value);
                None
            }
        }
    }

    /// One of a few words.
    pub fn word<T: Copy>(&mut self, key: &'static str, words: &[(&'static str, T)]) -> Option<Placed<T>> {
        let (text, span) = self.string(key, &format!("\"{}\"", words[0].0))?;
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, meaning)) => Some((*meaning, span)),
            None => {
                let help = nearest::advice(&text, words.iter().map(|(word, _)| *word));
                self.report(Diagnostic::error(span, format!("unknown value '{text}' of '{key}'")).help(help));
                None
            }
        }
    }

    /// A number from 0 to 1.
    pub fn share(&mut self, key: &'static str) -> Option<Placed<f64>> {
        let value = self.value(key)?;
        let number = match value.get_ref() {
            DeValue::Float(number) => number.as_str().parse().ok(),
            DeValue::Integer(number) => number.as_str().parse().ok(),
            _ => {
                self.wrong_type(key, "a number from 0 to 1, without quotes", value);
                return None;
            }
        };
        match number.filter(|number| (0.0..=1.0).contains(number)) {
            Some(number) => Some((number, value.span())),
            None => {
                let help = "write a number from 0 to 1";
                self.report(
                    Diagnostic::error(value.span(), format!("'{key}' is not between 0 and 1")).help(help),
                );
                None
            }
        }
    }

    pub fn duration(&mut self, key: &'static str) -> Option<Placed<Duration>> {
        let (text, span) = self.string(key, "\"10s\"")?;
        match duration::parse(&text) {
            Ok(duration) => Some((duration, span)),
            Err(message) => {
                self.report(Diagnostic::error(span, message));
                None
            }
        }
    }

    /// Reports the keys that nobody asked for.
    pub fn finish(self) {
        for (key, _) in self.table.iter() {
            let name = key.get_ref();
            if !self.known.contains(&name.as_ref()) {
                let message = format!("unknown key '{name}' in {}", self.name);
                let help = nearest::advice(name, self.known.iter().copied());
                self.diagnostics.push(Diagnostic::error(key.span(), message).help(help));
            }
        }
    }
}

/// The type of a value, with its article: `an integer`.
pub(super) fn type_of(value: &Spanned<DeValue<'_>>) -> String {
    let kind = value.get_ref().type_str();
    format!("{} {kind}", if kind.starts_with(['a', 'i']) { "an" } else { "a" })
}
