//! Application parsers for inspection: HTTP/1, TLS hellos and DNS, into the buffers that rules name.
//!
//! A [`Conversation`] is one flow's: it finds out which protocol the bytes are, by their content, and parses them
//! as they come, in pieces of any size and in either direction. Whenever a side of a [`Transaction`] has got further
//! ([`Progress`]) the [`Sink`] sees it, with all its buffers so far. Memory per conversation is bounded by [`Limits`];
//! no input makes anything panic.
#![forbid(unsafe_code)]

mod buffer;
mod conversation;
mod transaction;

pub use buffer::Buffer;
pub use conversation::{Conversation, Event, Limits, Protocol, Sink};
pub use transaction::{DnsFields, Progress, Transaction};
