//! Counters: written by one worker, read by anyone at any time.

use crate::latency::Histogram;
use crate::layout::Layout;
use crate::verdict::Reason;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A counter with one writer. Readers see it move; nobody waits for anybody.
#[derive(Default, Debug)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Only the owning worker does; a plain load and store, without a locked instruction.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// Sets it.
    #[inline]
    pub fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }

    /// Its value now.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Cycles of the bursts that were measured (one in 16), and how many packets were in them.
#[derive(Default, Debug)]
pub struct Cycles {
    /// TSC cycles.
    pub cycles: Counter,
    /// Packets.
    pub packets: Counter,
}

impl Cycles {
    #[inline]
    pub(crate) fn add(&self, cycles: u64, packets: usize) {
        self.cycles.add(cycles);
        self.packets.add(packets as u64);
    }
}

/// The account of one NF on one worker.
#[derive(Debug)]
pub struct NodeStats {
    /// Packets that it was given.
    pub packets: Counter,
    /// Packets that it dropped, by reason: its own reasons, then the engine's
    /// ([`Reason::ENGINE_NAMES`]).
    pub drops: Box<[Counter]>,
    own_reasons: usize,
    /// Packets that it consumed.
    pub absorbed: Counter,
    /// Packets that it created and emitted.
    pub created: Counter,
    /// Packets that it took to hold.
    pub taken: Counter,
    /// Packets that it held and gave back or dropped.
    pub released: Counter,
    /// Events that found no room.
    pub events_lost: Counter,
    /// Changes of replicated state that found no room on the way to another worker.
    pub updates_lost: Counter,
    /// Panics that were caught.
    pub panics: Counter,
    /// The NF's own counters, in the order of its `COUNTERS`.
    pub own: Box<[Counter]>,
    /// Measured cycles.
    pub cycles: Cycles,
}

impl NodeStats {
    /// For an NF with so many drop reasons and counters of its own.
    pub fn new(reasons: usize, counters: usize) -> Self {
        NodeStats {
            packets: Counter::default(),
            drops: (0..reasons + Reason::ENGINE_NAMES.len()).map(|_| Counter::default()).collect(),
            own_reasons: reasons,
            absorbed: Counter::default(),
            created: Counter::default(),
            taken: Counter::default(),
            released: Counter::default(),
            events_lost: Counter::default(),
            updates_lost: Counter::default(),
            panics: Counter::default(),
            own: (0..counters).map(|_| Counter::default()).collect(),
            cycles: Cycles::default(),
        }
    }

    /// Counts `n` drops.
    #[inline]
    pub(crate) fn drop(&self, reason: Reason, n: u64) {
        let slot = reason.slot(self.own_reasons).min(self.drops.len() - 1);
        self.drops[slot].add(n);
    }

    /// Packets taken and not given back in this account. An NF that stands in several chains may give back in
    /// one what it took in another.
    pub fn held(&self) -> u64 {
        self.taken.get().saturating_sub(self.released.get())
    }
}

/// The account of one port on one worker.
#[derive(Default, Debug)]
pub(crate) struct PortCounters {
    pub received: Counter,
    pub received_bytes: Counter,
    pub sent: Counter,
    pub sent_bytes: Counter,
    /// Dropped: no chain of the port takes the packet.
    pub no_chain: Counter,
    /// Dropped: the transmit queue was full for too long.
    pub tx_full: Counter,
    /// Dropped: the device can never send such a packet (too short, too many segments).
    pub tx_refused: Counter,
    /// Dropped: the ring to the worker that owns the packet's flow was full.
    pub ring_full: Counter,
    /// Dropped: the capture could not be written.
    pub write_error: Counter,
}

impl PortCounters {
    /// The drop counters with their names.
    pub(crate) fn drops(&self) -> [(&'static str, &Counter); 5] {
        [
            ("no_chain", &self.no_chain),
            ("tx_full", &self.tx_full),
            ("tx_refused", &self.tx_refused),
            ("ring_full", &self.ring_full),
            ("write_error", &self.write_error),
        ]
    }
}

/// Mirrors and merges of the bursts that were measured, in TSC cycles.
#[derive(Default)]
pub(crate) struct ForkStats {
    pub forks: Counter,
    pub packets: Counter,
    pub copies: Counter,
    pub mirror: Counter,
    pub handoff: Counter,
    pub wait: Counter,
    pub merge: Counter,
}

/// The account of one chain on one worker.
pub(crate) struct ChainStats {
    pub packets: Counter,
    pub bytes: Counter,
    pub cycles: Cycles,
    pub fork: ForkStats,
    pub latency: Histogram,
    /// By position in the path.
    pub nodes: Vec<NodeStats>,
}

/// All counters of one worker in one generation.
pub(crate) struct WorkerStats {
    pub ports: Vec<PortCounters>,
    pub chains: Vec<ChainStats>,
}

impl WorkerStats {
    /// The accounts of an NF, one for each chain that it is in.
    pub(crate) fn nodes<'a>(&'a self, layout: &'a Layout, nf: usize) -> impl Iterator<Item = &'a NodeStats> {
        let places = layout.chains.iter().zip(&self.chains);
        places.flat_map(move |(chain, stats)| {
            chain.path.iter().zip(&stats.nodes).filter(move |(index, _)| **index == nf).map(|(_, node)| node)
        })
    }

    /// Packets that an NF holds. A packet may be taken in one chain and given back by a timer in another's
    /// name, so only the sum over the chains means something.
    pub(crate) fn held(&self, layout: &Layout, nf: usize) -> u64 {
        let (taken, released) = self.nodes(layout, nf).fold((0, 0), |(taken, released), node| {
            (taken + node.taken.get(), released + node.released.get())
        });
        u64::saturating_sub(taken, released)
    }

    /// Ends the account of what an NF held but for `kept` packets: they were dropped.
    pub(crate) fn drop_held(&self, layout: &Layout, nf: usize, kept: u64, reason: Reason) {
        let held = self.held(layout, nf).saturating_sub(kept);
        if let Some(node) = self.nodes(layout, nf).next() {
            node.released.add(held);
            node.drop(reason, held);
        }
    }

    /// What an NF holds goes along to another generation's account.
    pub(crate) fn hand_held_to(
        &self,
        layout: &Layout,
        nf: usize,
        next: &WorkerStats,
        heir: (&Layout, usize),
    ) {
        let held = self.held(layout, nf);
        let next = next.nodes(heir.0, heir.1).next();
        if let (Some(node), Some(next)) = (self.nodes(layout, nf).next(), next) {
            node.released.add(held);
            next.taken.add(held);
        }
    }

    pub(crate) fn new(layout: &Layout) -> Self {
        let node = |nf: &usize| {
            let prepared = &layout.nfs[*nf].prepared;
            NodeStats::new(prepared.drops().len(), prepared.counters().len())
        };
        WorkerStats {
            ports: layout.ports.iter().map(|_| PortCounters::default()).collect(),
            chains: layout
                .chains
                .iter()
                .map(|chain| ChainStats {
                    packets: Counter::default(),
                    bytes: Counter::default(),
                    cycles: Cycles::default(),
                    fork: ForkStats::default(),
                    latency: Histogram::new(),
                    nodes: chain.path.iter().map(node).collect(),
                })
                .collect(),
        }
    }
}
