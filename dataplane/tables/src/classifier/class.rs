//! Equivalence classes: values of a field that the same rules match, and for each class those rules as bits.
use std::collections::HashMap;

use crate::lpm::{Address, Routes};

/// How the rules of one class are laid out, the same for all fields of a classifier.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// Words of the rules' bits, one bit per rule.
    pub(super) words: usize,
    /// Words of the summary before them, one bit per word.
    pub(super) summary: usize,
    /// Largest number of classes per field.
    limit: usize,
}

impl Layout {
    /// For `rules` rules, with fields of about `budget` bytes.
    pub(super) fn new(rules: usize, budget: usize) -> Self {
        let words = rules.div_ceil(64).max(1);
        let summary = words.div_ceil(64);
        // A field of one byte has 256 classes at most, and the tables of the others hold 16-bit classes.
        let limit = (budget / ((words + summary) * 8)).clamp(257, usize::from(u16::MAX));
        Self { words, summary, limit }
    }

    /// Words of one class: the summary, then the rules.
    pub(super) fn record(self) -> usize {
        self.summary + self.words
    }
}

/// The classes of a field: their records one after the other.
pub(super) struct Classes {
    layout: Layout,
    pub(super) records: Vec<u64>,
    known: HashMap<Box<[u64]>, u32>,
}

impl Classes {
    pub(super) fn new(layout: Layout) -> Self {
        Self { layout, records: vec![], known: HashMap::new() }
    }

    /// Number of classes.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// The class of the values that just these rules match.
    pub(super) fn of_rules(&mut self, rules: &[u32]) -> u32 {
        let mut matching = Bits::none(self.layout);
        matching.add(rules.iter().copied());
        self.of(&matching)
    }

    /// The class of the values that these rules match; the same for the same rules.
    fn of(&mut self, rules: &Bits) -> u32 {
        if let Some(&class) = self.known.get(&*rules.0) {
            return class;
        }
        let class = self.known.len() as u32;
        let first = self.records.len();
        self.records.resize(first + self.layout.summary, 0);
        for (i, &word) in rules.0.iter().enumerate() {
            if word != 0 {
                self.records[first + i / 64] |= 1 << (i % 64);
            }
            self.records.push(word);
        }
        self.known.insert(rules.0.clone(), class);
        class
    }
}

/// A set of rules.
#[derive(Clone)]
pub(super) struct Bits(Box<[u64]>);

impl Bits {
    fn none(layout: Layout) -> Self {
        Self(vec![0; layout.words].into())
    }

    fn flip(&mut self, rule: u32) {
        self.0[rule as usize / 64] ^= 1 << (rule % 64);
    }

    fn add(&mut self, rules: impl IntoIterator<Item = u32>) {
        for rule in rules {
            self.0[rule as usize / 64] |= 1 << (rule % 64);
        }
    }
}

/// Numbers that a rule wants in a field, first to last; empty when the first is above the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span(pub(super) u32, pub(super) u32);

/// The class of each number below `domain`, given what each rule wants; and whether some rule now matches more.
///
/// Too many classes are made fewer by widening the spans to multiples of a power of two.
pub(super) fn of_spans(classes: &mut Classes, spans: &[Span], domain: u32) -> (Box<[u16]>, bool) {
    let mut spans = spans.to_vec();
    let mut widened = false;
    for shift in 1.. {
        let mut edges: Vec<u32> = spans.iter().filter(|s| s.0 <= s.1).flat_map(|s| [s.0, s.1 + 1]).collect();
        edges.sort_unstable();
        edges.dedup();
        if edges.len() < classes.layout.limit {
            break;
        }
        widened = true;
        for span in spans.iter_mut().filter(|span| span.0 <= span.1) {
            *span = Span(span.0 >> shift << shift, (span.1 | ((1 << shift) - 1)).min(domain - 1));
        }
    }
    let mut edges: Vec<(u32, u32)> = (0..)
        .zip(&spans)
        .filter(|(_, span)| span.0 <= span.1)
        .flat_map(|(rule, span)| [(span.0, rule), (span.1 + 1, rule)])
        .collect();
    edges.sort_unstable();
    let mut table = Vec::with_capacity(domain as usize);
    let mut matching = Bits::none(classes.layout);
    for edge in edges.chunk_by(|a, b| a.0 == b.0) {
        let at = edge[0].0.min(domain) as usize;
        if at > table.len() {
            let class = classes.of(&matching) as u16;
            table.resize(at, class);
        }
        for &(_, rule) in edge {
            matching.flip(rule);
        }
    }
    if table.len() < domain as usize {
        let class = classes.of(&matching) as u16;
        table.resize(domain as usize, class);
    }
    (table.into(), widened)
}

/// The class of each byte; `wanted` says for each rule which bytes it matches, one bit per value.
pub(super) fn of_bytes(classes: &mut Classes, wanted: &[[u64; 4]]) -> Box<[u16]> {
    let mut rules: HashMap<[u64; 4], Vec<u32>> = HashMap::new();
    for (rule, &values) in (0..).zip(wanted) {
        rules.entry(values).or_default().push(rule);
    }
    let mut table = Vec::with_capacity(256);
    for value in 0..256 {
        let mut matching = Bits::none(classes.layout);
        for (_, rules) in rules.iter().filter(|(values, _)| values[value / 64] >> (value % 64) & 1 == 1) {
            matching.add(rules.iter().copied());
        }
        table.push(classes.of(&matching) as u16);
    }
    table.into()
}

/// The class of each address of a family, given each rule's prefix and the rules that match any address; and
/// whether some rule now matches more.
///
/// The class of an address follows from its longest prefix. Too many are made fewer by cutting the longest.
pub(super) fn of_prefixes<A: Address>(
    classes: &mut Classes,
    prefixes: &[(u32, A, u8)],
    anywhere: &[u32],
) -> (Routes<A>, bool) {
    let mut cut = A::BITS;
    let distinct = loop {
        let mut by_prefix: HashMap<(A, u8), Vec<u32>> = HashMap::new();
        for &(rule, network, length) in prefixes {
            let length = length.min(cut);
            by_prefix.entry((network.prefix(length), length)).or_default().push(rule);
        }
        if by_prefix.len() < classes.layout.limit {
            break by_prefix;
        }
        cut -= 1;
    };
    let widened = prefixes.iter().any(|prefix| prefix.2 > cut);
    let mut sorted: Vec<((A, u8), Vec<u32>)> = distinct.into_iter().collect();
    sorted.sort_unstable_by_key(|(prefix, _)| *prefix);
    let mut everywhere = Bits::none(classes.layout);
    everywhere.add(anywhere.iter().copied());
    let mut routes = Routes::new();
    // The prefixes around the one in hand, outermost first, each with the rules it matches.
    let mut around: Vec<(A, u8, Bits)> = vec![];
    // These cannot fail: lengths were cut to an address, and there are fewer than 2^16 classes.
    let _ = routes.insert(A::ZERO, 0, classes.of(&everywhere));
    for ((network, length), rules) in sorted {
        while around.last().is_some_and(|&(outer, outer_length, _)| network.prefix(outer_length) != outer) {
            around.pop();
        }
        let mut matching = around.last().map_or(&everywhere, |(_, _, bits)| bits).clone();
        matching.add(rules);
        let _ = routes.insert(network, length, classes.of(&matching));
        around.push((network, length, matching));
    }
    (routes, widened)
}
