//! TCP stream reassembly for inspection: both directions of a connection, in bounded memory, by a stated policy.
//!
//! A worker has one [`Config`], one [`Pool`] with all the bytes that its flows hold, and a [`Flow`] for each connection,
//! a small value in whatever table the caller keeps. Each segment goes to [`Flow::segment`]; what is next of the two
//! streams comes out at a [`Sink`] at once, as slices of the packet itself or of the pool:
//!
//! ```
//! use streams::{Config, Event, Flow, Pool, Segment, Sink, Toward};
//!
//! #[derive(Default)]
//! struct Seen(Vec<u8>);
//!
//! impl Sink for Seen {
//!     fn data(&mut self, _: Toward, _: u64, bytes: &[u8]) {
//!         self.0.extend_from_slice(bytes);
//!     }
//!     fn gap(&mut self, _: Toward, _: u64, _: u64) {}
//!     fn end(&mut self, _: Toward) {}
//! }
//! # fn each_segment() -> Vec<Segment<'static>> { Vec::new() }
//!
//! let (config, mut pool) = (Config::default(), Pool::new(1 << 20));
//! let (mut flow, mut seen) = (Flow::new(), Seen::default());
//! for segment in each_segment() {
//!     let outcome = flow.segment(&config, &mut pool, &segment, &mut seen);
//!     let _to_server_and_established = (outcome.toward == Toward::Server, outcome.established());
//! }
//! flow.finish(&config, &mut pool, &mut seen);
//! ```
//!
//! The segments' checksums are the caller's business, and so are fragments and the lifetime of flows: before a flow is
//! forgotten it wants [`Flow::finish`] or [`Flow::release`]; if it gets neither, its bytes go when room is needed.
//! Nothing here allocates per segment, and no input makes anything panic.
#![forbid(unsafe_code)]

mod config;
mod datagrams;
mod flow;
pub mod hex;
mod output;
mod pool;
mod segment;

pub use config::{Config, Mode, Policy, Urgent};
pub use datagrams::Datagrams;
pub use flow::{BadRecord, Flow, FlowRecord};
pub use output::{Event, Outcome, Sink, State, Toward};
pub use pool::Pool;
pub use segment::Segment;
