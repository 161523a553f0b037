//! A deterministic simulator of leaf-spine networks whose nodes can run the dataplane's own network functions.
//!
//! - [`topology`]: which nodes and links there are, and the paths between hosts.
//! - [`link`]: rate, delay, drop-tail queue, losses. [`tcp`]: the hosts' senders and receivers. [`traffic`] and [`sizes`]:
//!   which flows there are.
//! - [`network`]: the events in their order.
//! - [`nodes`]: the same NF code as in an engine, over real packets, at the nodes that have it.
//! - [`detour`]: SMART, with the decisions of the crate `smart`.
//! - [`config`] is the file of an experiment, [`run`] runs it, [`report`] says what came of it, [`draw`] plots it.
//!
//! The same configuration and seed give the same result byte for byte on every machine: time is in whole picoseconds,
//! chance comes from one generator per purpose, what is drawn needs no function of a C library, and nothing looks at a
//! clock, a thread or the order of a hash table.
#![forbid(unsafe_code)]

pub mod account;
pub mod config;
pub mod detour;
pub mod draw;
pub mod flow;
pub mod link;
pub mod network;
pub mod nodes;
pub mod packet;
pub mod quantity;
pub mod random;
pub mod report;
pub mod run;
pub mod schedule;
pub mod sizes;
pub mod tcp;
pub mod topology;
pub mod traffic;
