//! What a worker is told, and what it tells of itself.

use crate::bell::Bell;
use crate::cx::Event;
use crate::graph::Graph;
use crate::nf::Nf;
use crate::time::Time;
use crate::worker::Worker;
use crossbeam::channel::Sender;
use crossbeam::utils::CachePadded;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What a worker is told. It looks between bursts.
pub(crate) enum Message {
    /// Do something quick with what is there.
    Call(Box<dyn FnOnce(&mut Worker) + Send>),
    /// Receive nothing more, let everything on the way leave.
    Quiesce,
    /// Receive again.
    Resume,
    /// Hand the graph back.
    Take(Sender<Box<Graph>>),
    /// Run this graph, receiving.
    Install(Box<Graph>),
    /// Take this graph, which was yours, back: nothing came of it.
    Return(Box<Graph>),
    /// An instance in place of one that is gone, if the generation is still this one and it has not come back.
    Replace { nf: usize, generation: u32, instance: Box<dyn Nf> },
    /// End the thread.
    Exit,
}

/// What a worker and the others share: a few words, each with one writer.
#[derive(Default)]
pub(crate) struct Signals {
    /// There is mail.
    pub mail: CachePadded<AtomicBool>,
    /// Wakes the worker when it sleeps.
    pub bell: CachePadded<Bell>,
    /// Packets put on rings by this worker.
    pub ring_sent: CachePadded<AtomicU64>,
    /// Packets taken from rings by this worker and dealt with, including what they sent on.
    pub ring_done: CachePadded<AtomicU64>,
    /// Nothing is being received, and nothing waits to leave.
    pub quiet: CachePadded<AtomicBool>,
    /// Packets that fragments wait in steering.
    pub waiting: AtomicU64,
    /// Rounds of the loop: its heartbeat.
    pub rounds: CachePadded<AtomicU64>,
    /// Rounds with work.
    pub busy_rounds: AtomicU64,
    /// TSC cycles of rounds with work.
    pub busy_cycles: AtomicU64,
    /// CPU time of the thread in nanoseconds.
    pub cpu_ns: AtomicU64,
    /// Set by the watchdog.
    pub stalled: AtomicBool,
}

impl Signals {
    /// Adds to a word that only the caller's worker writes.
    #[inline]
    pub(crate) fn bump(word: &AtomicU64, n: u64) {
        word.store(word.load(Ordering::Relaxed) + n, Ordering::Release);
    }
}

/// A worker's ways to the supervisor.
#[derive(Clone)]
pub(crate) struct Outlet {
    /// Bounded: what finds no room is counted as lost.
    pub events: Sender<Report>,
    /// Unbounded, as panics are rare and none may be missed.
    pub panics: Sender<Fall>,
}

/// An NF has something to say.
pub(crate) struct Report {
    pub time: Time,
    pub nf: usize,
    pub generation: u32,
    pub event: Event,
}

/// Why an instance is no longer there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Why {
    /// It panicked.
    Panic,
    /// Its branch did not answer in time.
    Silent,
    /// Another one has its place.
    Replaced,
    /// It is there again, as a new one.
    Restarted,
}

/// An instance is no longer there, or there again; it comes along where it can, to be dropped away from the packets.
pub(crate) struct Fall {
    pub time: Time,
    pub nf: usize,
    pub generation: u32,
    pub worker: usize,
    pub instance: Option<Box<dyn Nf>>,
    pub why: Why,
}
