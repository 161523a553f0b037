//! Safe types on Hyperscan: a [`Database`] of patterns, compiled once, and a [`Scanner`] per thread that looks for all
//! of them at once in blocks of bytes.
//!
//! The rules that make them safe:
//!
//! - **A scratch space fits its databases**: a [`Scanner`] is made for a list of databases, keeps them, and scans by
//!   no others.
//! - **A scratch space serves one scan at a time**: a scan borrows the scanner mutably.
//! - **No panic crosses C**: one in a callback is caught, ends the scan, and goes on in the caller.
//!
//! A scan allocates nothing, and its time is bounded by what it scans: expressions are automata without backtracking.

mod database;
mod error;
#[allow(unreachable_pub)]
mod raw;
mod scanner;
#[cfg(test)]
mod tests;

pub use database::{Case, Database, Expression, Literal};
pub use error::Error;
pub use scanner::{Match, Scanner};
