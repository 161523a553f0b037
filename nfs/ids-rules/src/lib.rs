//! The rule language of the NF `ids`: the subset of Suricata's that `docs/ids-rules.md` states.
//!
//! [`load`](load::load) reads rule files into a [`RuleSet`](load::RuleSet); every rule in it is a
//! [`Rule`](rule::Rule), in which variables are expanded, legacy modifiers are resolved to the buffers that they
//! mean, and every part says what it demands of a packet or stream. Whatever is not in the subset is refused by
//! name, with file, line and column.
//! [`bits`] and [`threshold`] are the state that rules share, with bounds.
#![forbid(unsafe_code)]

pub mod bits;
mod bounded;
pub mod buffer;
pub mod classes;
pub mod fast_pattern;
pub mod inspect;
pub mod load;
pub mod needs;
pub mod number;
pub mod order;
pub mod packet;
pub mod parse;
pub mod payload;
pub mod pcre;
mod print;
pub mod refusal;
pub mod rule;
pub mod sets;
pub mod threshold;
pub mod vars;
