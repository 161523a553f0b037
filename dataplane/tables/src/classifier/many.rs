//! More than 64 rules: each field finds its class, summaries are intersected, then the words that they point at.
use super::NONE;
use super::class::{self, Classes, Layout};
use super::field::{End, FIELDS, FieldStats, Number, Prefixes};
use super::keys::{BURST, Column, Keys};
use super::rule::{Key, Rule};
use crate::lpm::Fib;

/// How a value finds its class.
enum Lookup {
    /// In a table with as many entries as the field has values.
    Table(Number, Box<[u16]>),
    /// By the longest prefix; `other` is the class of packets that are neither IPv4 nor IPv6.
    Address { end: End, v4: Fib<u32>, v6: Fib<u128>, other: u32 },
}

/// A field that some rule uses.
struct Field {
    lookup: Lookup,
    /// The records of the classes, one after the other.
    records: Vec<u64>,
    classes: usize,
}

pub(super) struct Many {
    layout: Layout,
    fields: Vec<Field>,
    /// The rules themselves, where classes hold rules that may not match, so that candidates have to be compared.
    widened: Option<Box<[Rule]>>,
}

impl Many {
    /// With `budget` bytes of classes per field.
    pub(super) fn build(rules: &[Rule], budget: usize) -> Self {
        let layout = Layout::new(rules.len(), budget);
        let mut widened = false;
        let mut fields = vec![];
        for end in End::ALL {
            if let Some(prefixes) = end.prefixes(rules) {
                fields.push(Field::address(end, &prefixes, layout, &mut widened));
            }
        }
        for number in Number::ALL {
            // A field at least, so that an empty intersection is not all rules.
            if !number.is_unused(rules) || fields.is_empty() && number == Number::Icmp {
                fields.push(Field::number(number, rules, layout, &mut widened));
            }
        }
        Self { layout, fields, widened: widened.then(|| rules.into()) }
    }

    /// Classes were widened.
    pub(super) fn widened(&self) -> Option<&[Rule]> {
        self.widened.as_deref()
    }

    pub(super) fn stats(&self) -> impl Iterator<Item = FieldStats> + '_ {
        self.fields.iter().map(Field::stats)
    }

    /// The first match of each key of a burst, in stages, so that the cache misses of its packets overlap: the
    /// classes, the first words of the summaries, the first words of rules that those point at, and what is left.
    pub(super) fn classify(&self, keys: &Keys, out: &mut [u32; BURST]) {
        let mut columns = [[0; BURST]; FIELDS];
        let mut summaries = [u64::MAX; BURST];
        for (column, field) in columns.iter_mut().zip(&self.fields) {
            field.records(keys, self.layout, column);
            for (summary, &record) in summaries.iter_mut().zip(&*column) {
                *summary &= field.word(record as usize);
            }
        }
        let mut first = [u64::MAX; BURST];
        let places = summaries.map(|summary| self.layout.summary + (summary.trailing_zeros() % 64) as usize);
        for (column, field) in columns.iter().zip(&self.fields) {
            for ((first, place), &record) in first.iter_mut().zip(places).zip(column) {
                *first &= field.word(record as usize + place);
            }
        }
        for (i, out) in out.iter_mut().enumerate().take(keys.len()) {
            let word = places[i] - self.layout.summary;
            *out = if summaries[i] != 0 && first[i] != 0 && self.widened.is_none() {
                (word * 64) as u32 + first[i].trailing_zeros()
            } else {
                self.search(&keys.get(i), &columns, i, summaries[i]).unwrap_or(NONE)
            };
        }
    }

    /// The first rule of packet `i`, given the intersection of the first words of its summaries.
    fn search(&self, key: &Key, columns: &[Column; FIELDS], i: usize, first_summary: u64) -> Option<u32> {
        let intersect = |place: usize| {
            let fields = self.fields.iter().zip(columns);
            fields.fold(u64::MAX, |bits, (field, column)| bits & field.word(column[i] as usize + place))
        };
        for group in 0..self.layout.summary {
            let mut summary = if group == 0 { first_summary } else { intersect(group) };
            while summary != 0 {
                let word = group * 64 + summary.trailing_zeros() as usize;
                let mut bits = intersect(self.layout.summary + word);
                while bits != 0 {
                    let rule = word * 64 + bits.trailing_zeros() as usize;
                    let rules = self.widened.as_ref();
                    if rules.is_none_or(|rules| rules.get(rule).is_some_and(|rule| rule.matches(key))) {
                        return Some(rule as u32);
                    }
                    bits &= bits - 1;
                }
                summary &= summary - 1;
            }
        }
        None
    }
}

impl Field {
    fn address(end: End, prefixes: &Prefixes, layout: Layout, widened: &mut bool) -> Self {
        let mut classes = Classes::new(layout);
        let (v4, v4_widened) = class::of_prefixes(&mut classes, &prefixes.v4, &prefixes.anywhere);
        let (v6, v6_widened) = class::of_prefixes(&mut classes, &prefixes.v6, &prefixes.anywhere);
        let other = classes.of_rules(&prefixes.anywhere);
        *widened |= v4_widened || v6_widened;
        Self::with(Lookup::Address { end, v4, v6, other }, classes)
    }

    fn number(number: Number, rules: &[Rule], layout: Layout, widened: &mut bool) -> Self {
        let mut classes = Classes::new(layout);
        let table = if number.is_byte() {
            let wanted: Vec<[u64; 4]> = rules.iter().map(|rule| number.bytes(rule)).collect();
            class::of_bytes(&mut classes, &wanted)
        } else {
            let spans: Vec<_> = rules.iter().map(|rule| number.span(rule)).collect();
            let (table, wider) = class::of_spans(&mut classes, &spans, number.domain());
            *widened |= wider;
            table
        };
        Self::with(Lookup::Table(number, table), classes)
    }

    fn with(lookup: Lookup, classes: Classes) -> Self {
        let count = classes.len();
        let mut records = classes.records;
        records.shrink_to_fit();
        Self { lookup, records, classes: count }
    }

    /// The word of the records at this place.
    #[inline]
    fn word(&self, at: usize) -> u64 {
        self.records.get(at).copied().unwrap_or(0)
    }

    /// Where the records of the classes of a burst begin.
    #[inline]
    fn records(&self, keys: &Keys, layout: Layout, out: &mut Column) {
        match &self.lookup {
            Lookup::Table(number, table) => {
                for (out, value) in out.iter_mut().zip(number.column(keys)) {
                    *out = u32::from(table.get(value as usize).copied().unwrap_or(0));
                }
            }
            Lookup::Address { end, v4, v6, other } => addresses(keys, *end, v4, v6, *other, out),
        }
        for out in out {
            *out *= layout.record() as u32;
        }
    }

    fn stats(&self) -> FieldStats {
        let (name, bytes) = match &self.lookup {
            Lookup::Table(number, table) => (number.name(), size_of_val(&**table)),
            Lookup::Address { end, v4, v6, .. } => (end.name(), v4.bytes() + v6.bytes()),
        };
        FieldStats { name, classes: self.classes, bytes: bytes + size_of_val(&*self.records) }
    }
}

#[inline]
fn addresses(keys: &Keys, end: End, v4: &Fib<u32>, v6: &Fib<u128>, other: u32, out: &mut Column) {
    let narrow = if end == End::Source { &keys.source } else { &keys.destination };
    v4.lookup_bulk_or(&narrow[..keys.len()], other, out);
    if keys.are_ipv4() {
        return;
    }
    for (i, out) in out.iter_mut().enumerate().take(keys.len()) {
        if keys.v6 >> i & 1 == 1 {
            *out = v6.lookup(keys.wide[i][usize::from(end == End::Destination)]).unwrap_or(other);
        } else if keys.other >> i & 1 == 1 {
            *out = other;
        }
    }
}
