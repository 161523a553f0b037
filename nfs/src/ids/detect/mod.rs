//! Finding what rules look for: candidates by patterns, then every test of a rule.

mod compiled;
mod headers;
mod index;
mod lane;
mod messages;
mod needle;
mod number;
mod patterns;
mod payload;
mod regexes;
mod rule;
mod sieve;
mod subject;

pub(super) use compiled::{Compiled, Lasting, Rules};
pub(super) use index::{Index, Kind};
pub(super) use messages::buffers;
pub(super) use patterns::{Candidate, Searcher};
pub(super) use payload::{Bytes, Evaluator};
pub(super) use rule::matches;
pub(super) use subject::{Asked, Numbers, Subject};
