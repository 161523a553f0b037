//! The first of many rules that a packet matches, in a time that hardly depends on how many there are.
//!
//! *Bit vectors* (Lakshman and Stiliadis, SIGCOMM 1998) with *aggregation* (Baboescu and Varghese, SIGCOMM 2001).
//! Each field maps a packet's value to a class; a class has one bit per rule that matches in that field; the
//! lowest bit that is set in the classes of all fields is the answer. A summary, one bit per word of 64 rules, is
//! intersected first, so only words that may hold a match are read. Fields that no rule uses cost nothing. Ports
//! and the like find their class in a table of 64 Ki, addresses in a [poptrie](crate::lpm::Fib). Up to 32 rules
//! need no classes: each is compared with eight packets at once.
//!
//! Memory is bounded: classes take at most [`CLASS_BYTES`] per field, or 257 classes when that is more (twice that
//! for addresses, which have two families), plus 128 KiB per table and 120 bytes per prefix. Rule sets that would
//! need more have their ranges widened and their prefixes cut inside the classes, and each candidate is then
//! compared with the rule itself.
mod class;
mod few;
mod field;
mod keys;
mod many;
mod rule;
#[cfg(test)]
mod tests;

use self::few::Few;
pub use self::field::FieldStats;
pub use self::keys::{BURST, Keys};
use self::many::Many;
pub use self::rule::{Key, Masked, PortRange, Prefix, Rule, VlanMatch};

/// Bytes of classes per field above which a classifier trades time for memory.
pub const CLASS_BYTES: usize = 16 << 20;

/// In the output of [`Classifier::classify_bulk`]: no rule matches.
pub const NONE: u32 = u32::MAX;

/// Rules that count.
const MAX_RULES: usize = 1 << 24;

/// A set of rules, compiled; read-only.
pub struct Classifier {
    rules: usize,
    set: Set,
}

enum Set {
    Few(Few),
    Many(Many),
}

/// What a classifier takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Number of rules.
    pub rules: usize,
    /// Memory in bytes.
    pub bytes: usize,
    /// Classes were widened to stay within [`CLASS_BYTES`], so candidates are compared with the rules.
    pub widened: bool,
    /// The fields in use.
    pub fields: Vec<FieldStats>,
}

impl Classifier {
    /// Compiles rules, the first having precedence; only the first 2²⁴ count.
    pub fn build(rules: &[Rule]) -> Self {
        Self::build_within(rules, CLASS_BYTES)
    }

    /// As [`build`](Self::build), with this many bytes per field instead of [`CLASS_BYTES`].
    pub fn build_within(rules: &[Rule], class_bytes: usize) -> Self {
        let rules = &rules[..rules.len().min(MAX_RULES)];
        let set = if rules.len() <= few::MOST {
            Set::Few(Few::build(rules))
        } else {
            Set::Many(Many::build(rules, class_bytes))
        };
        Self { rules: rules.len(), set }
    }

    /// The number, from 0, of the first rule that matches.
    pub fn classify(&self, key: &Key) -> Option<u32> {
        let mut found = [NONE];
        self.classify_bulk(std::slice::from_ref(key), &mut found);
        Some(found[0]).filter(|&rule| rule != NONE)
    }

    /// `out[i]` becomes the number, from 0, of the first rule that key `i` matches, or [`NONE`]. What follows the keys
    /// has no meaning. A full burst costs much less per packet than one alone.
    #[inline]
    pub fn classify_burst(&self, keys: &Keys, out: &mut [u32; BURST]) {
        match &self.set {
            Set::Few(few) => few.classify(keys, out),
            Set::Many(many) => many.classify(keys, out),
        }
    }

    /// [`classify_burst`](Self::classify_burst) for keys one by one; as many as the shorter slice holds.
    pub fn classify_bulk(&self, keys: &[Key], out: &mut [u32]) {
        let mut burst = Keys::new();
        let mut found = [NONE; BURST];
        for (keys, out) in keys.chunks(BURST).zip(out.chunks_mut(BURST)) {
            burst.clear();
            for key in keys {
                burst.push(key);
            }
            self.classify_burst(&burst, &mut found);
            let n = keys.len().min(out.len());
            out[..n].copy_from_slice(&found[..n]);
        }
    }

    /// Classes per field, and bytes.
    pub fn stats(&self) -> Stats {
        let (fields, widened): (Vec<FieldStats>, _) = match &self.set {
            Set::Few(few) => (few.stats().collect(), None),
            Set::Many(many) => (many.stats().collect(), many.widened()),
        };
        let bytes = fields.iter().map(|field| field.bytes).sum::<usize>() + widened.map_or(0, size_of_val);
        Stats { rules: self.rules, bytes: bytes + size_of::<Self>(), widened: widened.is_some(), fields }
    }
}
