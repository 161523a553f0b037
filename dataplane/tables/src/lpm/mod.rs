//! Longest-prefix match for IPv4 (`u32`) and IPv6 (`u128`), addresses in host order.
//!
//! [`Routes`] is what control edits: an ordered map. [`Fib`] is what workers read, made from it in one go and
//! shared by `Arc`: a *poptrie* (Asai and Ohara, SIGCOMM 2015), the first 16 bits by direct index, then nodes of
//! six bits, each two bitmaps and two offsets. A level costs two dependent loads, and a million routes a few tens
//! of megabytes whatever they are: every route adds at most one node per six bits of its length. Routes of IPv4 may be
//! a [`Flat`] table instead, which is faster, and larger where prefixes are long ([`Fib4`]).
//!
//! ```
//! let mut routes = tables::lpm::Routes::<u32>::new();
//! routes.insert(0x0a00_0000, 8, 1)?;
//! routes.insert(0x0a01_0000, 16, 2)?;
//! let fib = routes.compile();
//! assert_eq!(fib.lookup(0x0a01_0203), Some(2));
//! assert_eq!(fib.lookup(0x0a02_0203), Some(1));
//! assert_eq!(fib.lookup(0x0b00_0000), None);
//! # Ok::<(), tables::lpm::RouteError>(())
//! ```
mod fib;
mod flat;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::Hash;

pub use self::fib::{Fib, NONE};
pub use self::flat::{Fib4, Flat};

/// Largest value that a route may carry: the top bit is the trie's own.
pub const MAX_VALUE: u32 = 0x7fff_fffe;

/// An address as a number in host order: `u32` for IPv4, `u128` for IPv6.
pub trait Address: Copy + Ord + Hash + Debug + Send + Sync + 'static {
    /// The address of all zeros.
    const ZERO: Self;

    /// Bits of an address, 32 or 128.
    const BITS: u8;

    /// `count` (at most 32) bits from bit `from` on, counted from the most significant; beyond the end there are
    /// zeros.
    fn bits(self, from: u8, count: u8) -> u32;

    /// The first `length` bits, the rest zero.
    fn prefix(self, length: u8) -> Self;
}

impl Address for u32 {
    const ZERO: Self = 0;
    const BITS: u8 = 32;

    #[inline]
    fn bits(self, from: u8, count: u8) -> u32 {
        let rest = self.checked_shl(from.into()).unwrap_or(0);
        rest.checked_shr(32 - u32::from(count)).unwrap_or(0)
    }

    fn prefix(self, length: u8) -> Self {
        self & Self::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0)
    }
}

impl Address for u128 {
    const ZERO: Self = 0;
    const BITS: u8 = 128;

    #[inline]
    fn bits(self, from: u8, count: u8) -> u32 {
        let rest = self.checked_shl(from.into()).unwrap_or(0);
        rest.checked_shr(128 - u32::from(count)).unwrap_or(0) as u32
    }

    fn prefix(self, length: u8) -> Self {
        self & Self::MAX.checked_shl(128 - u32::from(length.min(128))).unwrap_or(0)
    }
}

/// A route that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// The prefix is longer than an address.
    #[error("prefix length {length} is more than the {bits} bits of an address")]
    TooLong {
        /// The length given.
        length: u8,
        /// Bits of an address.
        bits: u8,
    },
    /// The value is above [`MAX_VALUE`].
    #[error("value {0} is more than {MAX_VALUE}")]
    ValueTooLarge(u32),
}

/// A set of routes, to edit; off the fast path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes<A: Ord> {
    /// By network address, then by length: a prefix comes right before what it contains.
    values: BTreeMap<(A, u8), u32>,
}

impl<A: Address> Routes<A> {
    /// No routes.
    pub fn new() -> Self {
        Self { values: BTreeMap::new() }
    }

    /// Number of routes.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// True without routes.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Routes the first `length` bits of `network` to `value`; bits after them are ignored. Returns the value that
    /// the prefix had.
    ///
    /// # Errors
    /// A length above [`Address::BITS`], a value above [`MAX_VALUE`].
    pub fn insert(&mut self, network: A, length: u8, value: u32) -> Result<Option<u32>, RouteError> {
        if length > A::BITS {
            return Err(RouteError::TooLong { length, bits: A::BITS });
        }
        if value > MAX_VALUE {
            return Err(RouteError::ValueTooLarge(value));
        }
        Ok(self.values.insert((network.prefix(length), length), value))
    }

    /// Removes a route; returns its value.
    pub fn remove(&mut self, network: A, length: u8) -> Option<u32> {
        self.values.remove(&(network.prefix(length), length))
    }

    /// The value of exactly this prefix.
    pub fn get(&self, network: A, length: u8) -> Option<u32> {
        self.values.get(&(network.prefix(length), length)).copied()
    }

    /// The value of the longest prefix of `address`: one map look-up per bit of address, for control only.
    pub fn lookup(&self, address: A) -> Option<u32> {
        (0..=A::BITS).rev().find_map(|length| self.get(address, length))
    }

    /// Network, length and value of every route, by network, then by length.
    pub fn iter(&self) -> impl Iterator<Item = (A, u8, u32)> + '_ {
        self.values.iter().map(|(&(network, length), &value)| (network, length, value))
    }

    /// The table for the fast path.
    pub fn compile(&self) -> Fib<A> {
        let routes: Vec<_> = self.iter().collect();
        Fib::build(&routes)
    }
}

impl Routes<u32> {
    /// The faster and larger table for the fast path; `None` when it would take more than `bytes` bytes.
    pub fn flatten(&self, bytes: usize) -> Option<Flat> {
        Flat::build(self.iter(), bytes)
    }

    /// The faster table if it takes at most `bytes` bytes, else the smaller one.
    pub fn compile_within(&self, bytes: usize) -> Fib4 {
        self.flatten(bytes).map_or_else(|| Fib4::Trie(self.compile()), Fib4::Flat)
    }
}
