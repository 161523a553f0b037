//! More than 32 rules: each field finds its class, summaries are intersected, then the words that they point at.
use super::NONE;
use super::class::{self, Classes, Layout};
use super::field::{End, FIELDS, FieldStats, Number, Prefixes};
use super::keys::{BURST, Column, Keys};
use super::rule::{Key, Rule};
use crate::lpm::{Fib, Fib4};

/// The most that a flat table of prefixes may take: what the second-level cache can hold.
const FLAT_BYTES: usize = 2 << 20;

/// How a value finds its class.
enum Lookup {
    /// In a table with as many entries as the field has values.
    Table(Number, Box<[u16]>),
    /// By the longest prefix; `other` is the class of packets that are neither IPv4 nor IPv6.
    Address { end: End, v4: Fib4, v6: Fib<u128>, other: u32 },
}

/// A field that some rule uses.
struct Field {
    lookup: Lookup,
    /// Where the records of its classes begin.
    base: u32,
    classes: usize,
}

pub(super) struct Many {
    layout: Layout,
    fields: Vec<Field>,
    /// The records of all classes of all fields.
    records: Vec<u64>,
    /// The rules themselves, where classes hold rules that may not match, so that candidates have to be compared.
    widened: Option<Box<[Rule]>>,
}

impl Many {
    /// With `budget` bytes of classes per field.
    pub(super) fn build(rules: &[Rule], budget: usize) -> Self {
        let layout = Layout::new(rules.len(), budget);
        let mut widened = false;
        let mut made: Vec<(Lookup, Classes)> = vec![];
        for end in End::ALL {
            if let Some(prefixes) = end.prefixes(rules) {
                made.push(Lookup::of_addresses(end, &prefixes, layout, &mut widened));
            }
        }
        for number in Number::ALL {
            // A field at least, so that an empty intersection is not all rules.
            if !number.is_unused(rules) || made.is_empty() && number == Number::Icmp {
                made.push(Lookup::of_numbers(number, rules, layout, &mut widened));
            }
        }
        let (mut fields, mut records) = (vec![], vec![]);
        for (lookup, classes) in made {
            fields.push(Field { lookup, base: records.len() as u32, classes: classes.len() });
            records.extend(classes.records);
        }
        Self { layout, fields, records, widened: widened.then(|| rules.into()) }
    }

    /// Classes were widened.
    pub(super) fn widened(&self) -> Option<&[Rule]> {
        self.widened.as_deref()
    }

    pub(super) fn stats(&self) -> impl Iterator<Item = FieldStats> + '_ {
        self.fields.iter().map(|field| {
            let (name, bytes) = field.lookup.stats();
            let bytes = bytes + field.classes * self.layout.record() * size_of::<u64>();
            FieldStats { name, classes: field.classes, bytes }
        })
    }

    /// The first match of each key of a burst.
    pub(super) fn classify(&self, keys: &Keys, out: &mut [u32; BURST]) {
        // With the number of fields known, nothing of them needs a loop.
        match self.fields.len() {
            1 => self.classify_by::<1>(keys, out),
            2 => self.classify_by::<2>(keys, out),
            3 => self.classify_by::<3>(keys, out),
            4 => self.classify_by::<4>(keys, out),
            5 => self.classify_by::<5>(keys, out),
            6 => self.classify_by::<6>(keys, out),
            7 => self.classify_by::<7>(keys, out),
            8 => self.classify_by::<8>(keys, out),
            9 => self.classify_by::<9>(keys, out),
            _ => self.classify_by::<FIELDS>(keys, out),
        }
    }

    /// In stages, so that the cache misses of the packets overlap: the classes, the first words of the summaries, the
    /// first words of rules that those point at, and what is left.
    fn classify_by<const N: usize>(&self, keys: &Keys, out: &mut [u32; BURST]) {
        let mut columns = [[0; BURST]; N];
        for (column, field) in columns.iter_mut().zip(&self.fields) {
            field.records(keys, self.layout, column);
        }
        let n = keys.len().min(BURST);
        let mut summaries = [0; BURST];
        for (i, summary) in summaries.iter_mut().enumerate().take(n) {
            *summary = self.intersect(&columns, i, 0);
        }
        for (i, (out, summary)) in out.iter_mut().zip(summaries).enumerate().take(n) {
            let word = summary.trailing_zeros() % 64;
            let first = self.intersect(&columns, i, self.layout.summary as u32 + word);
            *out = if summary != 0 && first != 0 && self.widened.is_none() {
                word * 64 + first.trailing_zeros()
            } else {
                self.search(&keys.get(i), &columns, i, summary).unwrap_or(NONE)
            };
        }
    }

    /// The rules that are in the same word of all classes of packet `i`.
    #[inline(always)]
    fn intersect<const N: usize>(&self, columns: &[Column; N], i: usize, place: u32) -> u64 {
        columns.iter().fold(u64::MAX, |bits, column| {
            bits & self.records.get((column[i] + place) as usize).copied().unwrap_or(0)
        })
    }

    /// The first rule of packet `i`, given the intersection of the first words of its summaries.
    fn search<const N: usize>(
        &self,
        key: &Key,
        columns: &[Column; N],
        i: usize,
        first_summary: u64,
    ) -> Option<u32> {
        let intersect = |place: usize| self.intersect(columns, i, place as u32);
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

impl Lookup {
    fn of_addresses(end: End, prefixes: &Prefixes, layout: Layout, widened: &mut bool) -> (Self, Classes) {
        let mut classes = Classes::new(layout);
        let (v4, v4_widened) = class::of_prefixes(&mut classes, &prefixes.v4, &prefixes.anywhere);
        let (v6, v6_widened) = class::of_prefixes(&mut classes, &prefixes.v6, &prefixes.anywhere);
        let other = classes.of_rules(&prefixes.anywhere);
        *widened |= v4_widened || v6_widened;
        (Self::Address { end, v4: v4.compile_within(FLAT_BYTES), v6: v6.compile(), other }, classes)
    }

    fn of_numbers(number: Number, rules: &[Rule], layout: Layout, widened: &mut bool) -> (Self, Classes) {
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
        (Self::Table(number, table), classes)
    }

    /// The field's name, and its bytes without the records.
    fn stats(&self) -> (&'static str, usize) {
        match self {
            Self::Table(number, table) => (number.name(), size_of_val(&**table)),
            Self::Address { end, v4, v6, .. } => (end.name(), v4.bytes() + v6.bytes()),
        }
    }
}

impl Field {
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
        let record = layout.record() as u32;
        for out in out {
            *out = self.base + *out * record;
        }
    }
}

#[inline]
fn addresses(keys: &Keys, end: End, v4: &Fib4, v6: &Fib<u128>, other: u32, out: &mut Column) {
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
