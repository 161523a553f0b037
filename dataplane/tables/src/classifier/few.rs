//! Up to 64 rules: their bits are one word, so a field needs no classes. Addresses and other fields of whole bytes
//! are ternary matches, byte by byte: a table per byte says which rules take its value, and the rules that take
//! all of them match. Ranges are compared one by one, for a whole burst at once in vector registers.
use super::field::{BURST, Column, End, FieldStats, Number, Prefixes};
use super::rule::{Key, Rule};
use super::{NONE, class};

/// Most rules that fit.
pub(super) const MOST: usize = 64;
/// More different ranges than this are looked up in a table instead.
const RANGES: usize = 16;

/// For each value of a byte, the rules that take it.
type ByteTable = [u64; 256];

enum Field {
    Address {
        end: End,
        v4: Box<[ByteTable; 4]>,
        v6: Box<[ByteTable]>,
        other: u64,
    },
    Byte(Number, Box<ByteTable>),
    /// First, last minus first, rules.
    Ranges(Number, Vec<(u32, u32, u64)>),
    /// The class of each number, and the rules of each class.
    Classes(Number, Box<[u16]>, Vec<u64>),
}

pub(super) struct Few {
    fields: Vec<Field>,
    all: u64,
}

impl Few {
    /// At most [`MOST`] rules.
    pub(super) fn build(rules: &[Rule]) -> Self {
        let all = u64::MAX.checked_shr((MOST - rules.len().min(MOST)) as u32).unwrap_or(0);
        let address = |end: End| end.prefixes(rules).map(|prefixes| Field::address(end, &prefixes));
        let number = |number: Number| (!number.is_unused(rules)).then(|| Field::number(number, rules));
        let addresses = End::ALL.into_iter().filter_map(address);
        Self { fields: addresses.chain(Number::ALL.into_iter().filter_map(number)).collect(), all }
    }

    /// The first match of each key of a burst.
    pub(super) fn classify(&self, keys: &[Key], out: &mut [u32]) {
        let mut matching = [self.all; BURST];
        for field in &self.fields {
            field.intersect(keys, &mut matching);
        }
        for (out, matching) in out.iter_mut().zip(matching) {
            *out = if matching == 0 { NONE } else { matching.trailing_zeros() };
        }
    }

    pub(super) fn stats(&self) -> impl Iterator<Item = FieldStats> + '_ {
        self.fields.iter().map(Field::stats)
    }
}

impl Field {
    fn address(end: End, prefixes: &Prefixes) -> Self {
        let other = prefixes.anywhere.iter().fold(0, |bits, rule| bits | 1 << rule);
        let mut v4 = Box::new([[other; 256]; 4]);
        for &(rule, network, length) in &prefixes.v4 {
            take(&mut *v4, rule, &network.to_be_bytes(), length);
        }
        let mut v6 = vec![[other; 256]; if prefixes.v6.is_empty() { 0 } else { 16 }];
        for &(rule, network, length) in &prefixes.v6 {
            take(&mut v6, rule, &network.to_be_bytes(), length);
        }
        Self::Address { end, v4, v6: v6.into(), other }
    }

    fn number(number: Number, rules: &[Rule]) -> Self {
        if number.is_byte() {
            let wanted: Vec<[u64; 4]> = rules.iter().map(|rule| number.bytes(rule)).collect();
            let rules_for = |value: usize| {
                let takes = |wanted: &[u64; 4]| wanted[value / 64] >> (value % 64) & 1;
                wanted.iter().zip(0..).fold(0, |bits, (wanted, rule)| bits | takes(wanted) << rule)
            };
            return Self::Byte(number, Box::new(std::array::from_fn(rules_for)));
        }
        let spans: Vec<_> = rules.iter().map(|rule| number.span(rule)).collect();
        let mut ranges: Vec<(u32, u32, u64)> = vec![];
        for (rule, span) in (0..).zip(&spans).filter(|(_, span)| span.0 <= span.1) {
            let (first, length) = (span.0, span.1 - span.0);
            match ranges.iter_mut().find(|known| (known.0, known.1) == (first, length)) {
                Some(known) => known.2 |= 1u64 << rule,
                None => ranges.push((first, length, 1 << rule)),
            }
        }
        if ranges.len() <= RANGES {
            return Self::Ranges(number, ranges);
        }
        let layout = class::Layout::new(rules.len(), 0);
        let mut classes = class::Classes::new(layout);
        let (table, _) = class::of_spans(&mut classes, &spans, number.domain());
        Self::Classes(number, table, classes.records)
    }

    /// Of the rules in `matching`, one word per key, leaves those that match in this field.
    #[inline]
    fn intersect(&self, keys: &[Key], matching: &mut [u64; BURST]) {
        match self {
            Self::Address { end: End::Source, v4, v6, other } => {
                addresses(keys, |key| key.source, v4, v6, *other, matching);
            }
            Self::Address { end: End::Destination, v4, v6, other } => {
                addresses(keys, |key| key.destination, v4, v6, *other, matching);
            }
            Self::Byte(number, table) => {
                for (matching, value) in matching.iter_mut().zip(number.column(keys)) {
                    *matching &= table[value as usize % 256];
                }
            }
            Self::Ranges(number, ranges) => {
                for (matching, here) in matching.iter_mut().zip(in_ranges(&number.column(keys), ranges)) {
                    *matching &= here;
                }
            }
            Self::Classes(number, table, rules) => {
                for (matching, value) in matching.iter_mut().zip(number.column(keys)) {
                    let class = table.get(value as usize).copied().unwrap_or(0);
                    *matching &= rules.get(usize::from(class)).copied().unwrap_or(0);
                }
            }
        }
    }

    fn stats(&self) -> FieldStats {
        let (name, classes, bytes) = match self {
            Self::Address { end, v4, v6, .. } => {
                let different =
                    |table: &ByteTable| table.windows(2).filter(|pair| pair[0] != pair[1]).count() + 1;
                let classes = v4.iter().chain(&**v6).map(different).sum();
                (end.name(), classes, size_of_val(&**v4) + size_of_val(&**v6))
            }
            Self::Byte(number, table) => {
                let different = table.windows(2).filter(|pair| pair[0] != pair[1]).count() + 1;
                (number.name(), different, size_of_val(&**table))
            }
            Self::Ranges(number, ranges) => (number.name(), ranges.len(), size_of_val(&**ranges)),
            Self::Classes(number, table, rules) => {
                (number.name(), rules.len(), size_of_val(&**table) + size_of_val(&**rules))
            }
        };
        FieldStats { name, classes, bytes }
    }
}

/// Adds a rule to the tables of an address's bytes.
fn take(tables: &mut [ByteTable], rule: u32, network: &[u8], length: u8) {
    for (i, (table, &byte)) in tables.iter_mut().zip(network).enumerate() {
        let bits = usize::from(length).saturating_sub(8 * i).min(8) as u32;
        let mask = 0xffu8.checked_shl(8 - bits).unwrap_or(0);
        for (value, rules) in (0..=u8::MAX).zip(table) {
            if (value ^ byte) & mask == 0 {
                *rules |= 1 << rule;
            }
        }
    }
}

#[inline]
fn addresses(
    keys: &[Key],
    address: impl Fn(&Key) -> u128,
    v4: &[ByteTable; 4],
    v6: &[ByteTable],
    other: u64,
    matching: &mut [u64; BURST],
) {
    for (matching, key) in matching.iter_mut().zip(keys) {
        *matching &= if key.is_ipv4() {
            let [a, b, c, d] = (address(key) as u32).to_be_bytes().map(usize::from);
            v4[0][a] & v4[1][b] & v4[2][c] & v4[3][d]
        } else if key.is_ipv6() && !v6.is_empty() {
            let bytes = address(key).to_be_bytes();
            v6.iter().zip(bytes).fold(u64::MAX, |bits, (table, byte)| bits & table[usize::from(byte)])
        } else {
            other
        };
    }
}

/// For each number the rules whose range it is in.
#[inline]
fn in_ranges(column: &Column, ranges: &[(u32, u32, u64)]) -> [u64; BURST] {
    let mut rules = [0; BURST];
    for &(first, length, wanted_by) in ranges {
        for (rules, &value) in rules.iter_mut().zip(column) {
            *rules |= if value.wrapping_sub(first) <= length { wanted_by } else { 0 };
        }
    }
    rules
}
