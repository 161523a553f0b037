//! The dataplane: ports, steering, workers, bursts, the contract of an NF, hot swap, statistics.
//!
//! It knows no NF and no policy. A network function implements [`Nf`] (an instance, on one worker) and
//! [`Kind`] (what is true of all its instances), and becomes known by one line in a [`Registry`].
#![forbid(unsafe_code)]
#![allow(
    clippy::vec_box,
    reason = "graphs, bursts and queues are large and change hands: they move by pointer"
)]

mod bell;
mod branch;
mod burst;
mod clock;
mod crew;
mod cx;
mod device;
mod effects;
mod engine;
mod error;
mod fragments;
mod graph;
mod inbox;
mod lane;
mod latency;
mod layout;
mod merge;
mod nf;
mod note;
mod packet;
mod plan;
mod registry;
mod rewire;
mod segment;
mod sink;
mod site;
mod snapshot;
mod source;
mod stand;
mod state;
mod stats;
mod steer;
mod supervisor;
mod time;
mod totals;
mod verdict;
mod worker;

pub use burst::Burst;
pub use cx::{Cx, Event};
pub use dpdk::Flaw;
pub use effects::{Affinity, Effects, StateKind};
pub use engine::{Applied, Engine, NfInfo};
pub use error::EngineError;
pub use layout::BUCKETS;
pub use nf::{Command, CommandError, Door, Doorway, Gates, Kind, Nf, Ownership, Part, Update};
pub use packet::{ChainId, Packet};
pub use plan::{Buffers, ChainPlan, Device, Idle, NfPlan, OnPanic, Parallel, Plan, PortPlan};
pub use registry::{Configured, Entry, Prepared, Registry};
pub use segment::Segment;
pub use site::{ConfigError, Site, WorkerSite};
pub use snapshot::{
    ChainSnapshot, Drops, ForkSnapshot, Latency, Measured, NfSnapshot, Packets, PortSnapshot, Snapshot,
    WorkerSnapshot,
};
pub use stand::{Emitted, Exhausted, Fate, Input, Packing, Round, Stand, StandPools};
pub use state::{Cursor, PAGE, Record, Role, Scope, Selector, State, StateError};
pub use stats::{Counter, Cycles, NodeStats};
pub use supervisor::EngineEvent;
pub use time::Time;
pub use verdict::{Reason, Verdict};

/// How many packets a burst can have.
pub const BURST: usize = dpdk::BURST;
