//! What one worker runs in one generation: its instances, queues and rings. It moves as a whole: control hands
//! it in, and takes it back when the next one comes.

use crate::branch::Branch;
use crate::burst::PortNumbers;
use crate::fragments::Fragments;
use crate::inbox::Signals;
use crate::lane::Lane;
use crate::layout::Layout;
use crate::nf::{Nf, Update};
use crate::sink::Tx;
use crate::source::Rx;
use crate::stats::WorkerStats;
use crate::time::Time;
use crate::worker::Trace;
use dpdk::{Mbufs, Pool, RingReceiver, RingSender};
use std::sync::Arc;

/// Packets that a ring between two workers holds, a power of two.
pub(crate) const RING: u32 = 4096;
/// Changes of replicated state that wait between two workers.
pub(crate) const UPDATES: usize = 1024;

/// One burst in so many is measured.
const SAMPLE: u32 = 16;

/// One worker's part of a generation.
pub(crate) struct Graph {
    pub layout: Arc<Layout>,
    pub stats: Arc<WorkerStats>,
    /// By NF; `None` while it is poisoned.
    pub instances: Vec<Option<Box<dyn Nf>>>,
    pub rx: Vec<Rx>,
    /// By port.
    pub tx: Vec<Tx>,
    /// By worker; `None` for itself.
    pub rings_out: Vec<Option<RingOut>>,
    pub rings_in: Vec<RingReceiver>,
    /// By worker; `None` for itself.
    pub updates_out: Vec<Option<rtrb::Producer<Notice>>>,
    pub updates_in: Vec<rtrb::Consumer<Notice>>,
    /// Of all workers, by number.
    pub signals: Arc<[Arc<Signals>]>,
    /// By chain: its bursts, to measure one in [`SAMPLE`].
    pub bursts: Vec<u32>,
    /// By fork: its branches; `None` while one is away for too long.
    pub forks: Vec<Vec<Option<Box<Branch>>>>,
    /// The worker's helpers.
    pub lanes: Vec<Lane>,
    pub fragments: Fragments,
    pub ports: Arc<PortNumbers>,
    pub pool: Pool,
    /// When ticks ran last.
    pub ticked: Time,
}

impl Graph {
    /// Leaves only one burst in [`SAMPLE`] of each chain to be measured.
    #[inline]
    pub(crate) fn sample(&mut self, chain: usize, trace: Trace) -> Trace {
        let bursts = &mut self.bursts[chain];
        *bursts = bursts.wrapping_add(1);
        Trace { started: trace.started.filter(|_| bursts.is_multiple_of(SAMPLE)), ..trace }
    }
}

/// A change of replicated state on its way to another worker.
#[derive(Clone, Copy)]
pub(crate) struct Notice {
    pub nf: u16,
    pub update: Update,
}

/// The way to another worker: packets gather into a burst before they go over the ring.
pub(crate) struct RingOut {
    pub sender: RingSender,
    pub staged: Mbufs,
}
