//! What an NF may use besides the burst: the time, new packets, its counters, events, its peers.

use crate::nf::Update;
use crate::note::Note;
use crate::packet::{Origin, Packet};
use crate::stats::NodeStats;
use crate::time::Time;
use crate::verdict::Reason;
use dpdk::{BURST, Pool};

/// Gates are numbered by one byte.
const MAX_GATES: usize = 1 << u8::BITS;
/// How many packets an NF may emit between two settlements: a burst flooded to every gate that there may be.
pub(crate) const OUTBOX: usize = BURST * MAX_GATES;
/// How many updates and events an NF may leave per burst; more are counted and dropped.
const NOTICES: usize = BURST;

/// The context of a call into an NF.
pub struct Cx<'a> {
    pub(crate) now: Time,
    pub(crate) worker: usize,
    pub(crate) workers: usize,
    /// The identifier of the chain in which new packets start.
    pub(crate) chain: u32,
    pub(crate) pool: &'a Pool,
    pub(crate) stats: &'a NodeStats,
    pub(crate) outbox: &'a mut Outbox,
}

/// What an NF leaves for the engine to carry on. A worker's own takes all memory at creation.
pub(crate) struct Outbox {
    /// Packets, and where they go on.
    pub emitted: Vec<(Way, Packet)>,
    /// Changes of replicated state.
    pub updates: Vec<Update>,
    /// Events for subscribers of the control socket.
    pub events: Vec<Event>,
}

/// Where a packet goes on that an NF gives out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// Out by that gate.
    Gate(u8),
    /// To the same NF once more.
    Again,
    /// Out of the port of that number, past the rest of the chain.
    Port(u16),
}

impl Outbox {
    pub(crate) fn new() -> Self {
        Outbox {
            emitted: Vec::with_capacity(OUTBOX),
            updates: Vec::with_capacity(NOTICES),
            events: Vec::with_capacity(NOTICES),
        }
    }

    /// Without memory of its own: for NFs that leave nothing as a rule.
    pub(crate) fn narrow() -> Self {
        Outbox { emitted: Vec::new(), updates: Vec::new(), events: Vec::new() }
    }

    /// Whether there is nothing to carry on.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.emitted.is_empty() && self.updates.is_empty() && self.events.is_empty()
    }
}

/// Something that happened in an NF and that someone may want to hear of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// What happened, in snake case: `table_full`, `mac_moved`.
    pub name: &'static str,
    /// A number that belongs to it, whose meaning goes with the name.
    pub value: u64,
}

impl Cx<'_> {
    /// The time of the packets in hand; outside a burst, the time now.
    #[inline]
    pub fn now(&self) -> Time {
        self.now
    }

    /// The number of this worker, from 0.
    #[inline]
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// How many workers there are.
    #[inline]
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// A new, empty packet; `None` when the pool is empty.
    pub fn new_packet(&mut self) -> Option<Packet> {
        let mut mbuf = self.pool.alloc()?;
        // What the buffer's last packet left there.
        Note::default().write(&mut mbuf);
        Some(Packet { mbuf, origin: Origin::Created, chain: self.chain })
    }

    /// Sends a held or a new packet out by a gate, behind the packets of the burst.
    ///
    /// Only so many packets can wait to leave (a burst for each of 256 gates); one more ends as
    /// [`Reason::EMIT_OVERFLOW`].
    pub fn emit(&mut self, gate: u8, packet: Packet) {
        self.send(Way::Gate(gate), packet);
    }

    /// Gives a held packet to the same NF once more, behind the packets of the burst, on the worker that owns it now:
    /// after a change of the packet by which it belongs to another worker, or because what it waited for has come.
    /// A later fragment whose first is not known stays on this worker.
    ///
    /// There is room as for [`Cx::emit`]. An NF that never stops giving the same packet keeps its worker from all
    /// others.
    pub fn again(&mut self, packet: Packet) {
        self.send(Way::Again, packet);
    }

    /// Sends a held or a new packet out of a port, past what else stands in the chain: for an NF that lives behind ports
    /// ([`crate::Kind::doors`]). `port` is a number that [`crate::Site::port`] gave.
    ///
    /// There is room as for [`Cx::emit`]. To a port that is not there it ends as [`Reason::NO_GATE`].
    pub fn transmit(&mut self, port: u16, packet: Packet) {
        self.send(Way::Port(port), packet);
    }

    fn send(&mut self, way: Way, packet: Packet) {
        match packet.origin {
            Origin::Held => self.stats.released.add(1),
            Origin::Created => self.stats.created.add(1),
        }
        if self.outbox.emitted.len() < OUTBOX {
            self.outbox.emitted.push((way, packet));
        } else {
            self.stats.drop(Reason::EMIT_OVERFLOW, 1);
        }
    }

    /// How many more packets [`Cx::emit`], [`Cx::again`] and [`Cx::transmit`] can carry now.
    pub fn emit_room(&self) -> usize {
        OUTBOX - self.outbox.emitted.len()
    }

    /// Ends a held packet, counted under `reason`. A new packet that was never sent just vanishes.
    pub fn discard(&mut self, packet: Packet, reason: Reason) {
        if packet.origin == Origin::Held {
            self.stats.released.add(1);
            self.stats.drop(reason, 1);
        }
    }

    /// Ends a held packet as consumed by the NF. A new packet that was never sent just vanishes.
    pub fn absorb(&mut self, packet: Packet) {
        if packet.origin == Origin::Held {
            self.stats.released.add(1);
            self.stats.absorbed.add(1);
        }
    }

    /// Tells the same NF's instances on the other workers of a change of replicated state. It reaches them
    /// soon, in order. `false` when too many changes came at once; the NF then tells it again later.
    #[must_use]
    pub fn broadcast(&mut self, update: Update) -> bool {
        if self.workers == 1 {
            return true;
        }
        let room = self.outbox.updates.len() < NOTICES;
        if room {
            self.outbox.updates.push(update);
        }
        room
    }

    /// Reports an event; beyond a bounded number per burst it is counted as lost.
    pub fn event(&mut self, name: &'static str, value: u64) {
        if self.outbox.events.len() < NOTICES {
            self.outbox.events.push(Event { name, value });
        } else {
            self.stats.events_lost.add(1);
        }
    }

    /// Adds to one of the NF's own counters, an index into its `COUNTERS`.
    #[inline]
    pub fn count(&mut self, counter: usize, n: u64) {
        if let Some(counter) = self.stats.own.get(counter) {
            counter.add(n);
        }
    }
}
