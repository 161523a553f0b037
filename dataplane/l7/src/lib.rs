//! Application parsers for inspection: HTTP/1, TLS hellos and DNS, into the buffers that rules name.
//!
//! A [`Conversation`] is one flow's: it finds out which protocol the bytes are, by their content, and parses them
//! as they come, in pieces of any size and in either direction. Whenever a side of a [`Transaction`] has got further
//! ([`Progress`]) the [`Sink`] sees it, with all its buffers so far. Memory per conversation is bounded by [`Limits`]
//! and said by [`Conversation::held`]; no input makes anything panic.
//!
//! ```
//! use l7::{Buffer, Conversation, Limits, Progress, Sink, Transaction};
//! use streams::Toward;
//!
//! struct Uris(Vec<String>);
//!
//! impl Sink for Uris {
//!     fn transaction(&mut self, toward: Toward, transaction: &Transaction) {
//!         if toward == Toward::Server && transaction.progress(toward) == Progress::Head {
//!             let uri = transaction.get(Buffer::HttpUri).unwrap_or_default();
//!             self.0.push(String::from_utf8_lossy(uri).into_owned());
//!         }
//!     }
//! }
//!
//! let (mut conversation, limits, mut uris) = (Conversation::new(None, false), Limits::default(), Uris(Vec::new()));
//! for piece in ["GE", "T /a/../%62 HT", "TP/1.1\r\n", "Host: x\r\n\r\n"] {
//!     conversation.data(&limits, Toward::Server, piece.as_bytes(), &mut uris);
//! }
//! assert_eq!(uris.0, ["/b"]);
//! ```
#![forbid(unsafe_code)]

mod buffer;
mod conversation;
mod dns;
mod http;
mod sink;
mod tls;
mod transaction;

pub use buffer::Buffer;
pub use conversation::Conversation;
pub use sink::{Event, Limits, Protocol, Sink};
pub use transaction::{DnsFields, Progress, Transaction};
