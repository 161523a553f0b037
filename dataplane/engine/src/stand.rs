//! A test stand: one instance of one NF, outside any worker.
//!
//! It gives the instance bursts of packets in every shape in which a worker may give them (contiguous, in
//! several segments, shared with another reader), keeps the same account as a worker, and tells what became
//! of each packet. The harness is built on it; a test of an NF may use it directly.

use crate::burst::Burst;
use crate::cx::{Cx, Event, Outbox, Way};
use crate::nf::{CommandError, Nf, Part, Update};
use crate::packet::Origin;
use crate::registry::Prepared;
use crate::site::WorkerSite;
use crate::source::PLAN_PORT;
use crate::state::{Cursor, Record, Selector, State, StateError};
use crate::stats::NodeStats;
use crate::time::Time;
use crate::verdict::{Reason, Verdict};
use dpdk::{BURST, DpdkError, Eal, Mbuf, Pool};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use wire::FlowKey;

/// How often in a row an NF may give itself a packet again.
const AGAIN: usize = 8;

/// Packet memory for stands; any number of stands can share it, one after the other or at once.
#[derive(Clone)]
pub struct StandPools {
    /// Holds any packet of ordinary size in one segment.
    wide: Pool,
    /// Holds 256 bytes per segment: the least that an NF may count on in the first one.
    narrow: Pool,
}

impl StandPools {
    /// Memory for `packets` packets in flight at once.
    ///
    /// # Errors
    /// When EAL has not that much memory.
    pub fn new(eal: &Eal, packets: u32) -> Result<Self, DpdkError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        Ok(StandPools {
            wide: Pool::new(eal, &format!("stand_wide_{n}"), packets, 0, 2048, None)?,
            narrow: Pool::new(eal, &format!("stand_narrow_{n}"), packets * 4, 0, 256, None)?,
        })
    }

    /// Buffers that are not back: 0 when every stand is gone and nothing leaked.
    pub fn in_use(&self) -> u32 {
        self.wide.in_use() + self.narrow.in_use()
    }
}

/// How a packet lies in memory when the NF gets it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Packing {
    /// In one segment, as far as it fits into one of 2048 bytes.
    #[default]
    Contiguous,
    /// In segments of 256 bytes.
    Segmented,
}

/// A packet to be given to the NF.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Input<'a> {
    /// The whole frame.
    pub bytes: &'a [u8],
    /// Number of the port by which it comes in.
    pub ingress: u16,
}

/// What became of a packet that was given to the NF.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Left by the default gate with these bytes.
    Forward(Vec<u8>),
    /// Left by that gate with these bytes.
    Gate(u8, Vec<u8>),
    /// Ended under the reason of that name; [`Fate::UNDECLARED`] when there is no such reason.
    Drop(&'static str),
    /// Consumed.
    Absorb,
    /// Taken, to be emitted or discarded later.
    Taken,
    /// The verdict contradicts what was done: the NF took the packet and then gave it another verdict, or
    /// says that it took it and did not.
    Contradiction,
}

impl Fate {
    /// Stands for the name of a drop reason that the NF never declared.
    pub const UNDECLARED: &'static str = "(undeclared reason)";
}

/// A packet that the NF sent out itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Emitted {
    /// Gate by which it left.
    pub gate: u8,
    /// The port by which it left instead.
    pub port: Option<u16>,
    /// The whole frame.
    pub bytes: Vec<u8>,
    /// Whether the NF made it; else it is one that the NF took before.
    pub created: bool,
}

/// What came of one call.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Round {
    /// The fate of each packet, in the order in which they were given.
    pub fates: Vec<Fate>,
    /// Packets that the NF sent itself, in order.
    pub emitted: Vec<Emitted>,
    /// What it reported.
    pub events: Vec<Event>,
    /// What it broadcast to its peers.
    pub updates: Vec<Update>,
    /// For packets that were shared: what the other reader sees after the call.
    pub shared: Vec<Vec<u8>>,
}

/// One instance and its account.
pub struct Stand {
    nf: Box<dyn Nf>,
    worker: WorkerSite,
    names: &'static [&'static str],
    stats: NodeStats,
    pools: StandPools,
    burst: Burst,
    outbox: Outbox,
}

impl Stand {
    /// A stand with a fresh instance.
    pub fn new(pools: &StandPools, prepared: &dyn Prepared, worker: WorkerSite) -> Self {
        Stand {
            nf: prepared.instance(&worker),
            worker,
            names: prepared.drops(),
            stats: NodeStats::new(prepared.drops().len(), prepared.counters().len()),
            pools: pools.clone(),
            burst: Burst::new(),
            outbox: Outbox::new(),
        }
    }

    /// Gives the NF one burst of at most [`crate::BURST`] packets; what is longer is cut off.
    ///
    /// # Errors
    /// When the pools have no room for the packets.
    pub fn run(&mut self, inputs: &[Input<'_>], packing: Packing, now: Time) -> Result<Round, Exhausted> {
        self.offer(inputs, packing, false, now)
    }

    /// The same with packets that another reader holds too: the NF may read them as they lie, and must get
    /// a copy of each that it writes to. [`Round::shared`] has what the other reader sees afterwards.
    ///
    /// # Errors
    /// When the pools have no room for the packets.
    pub fn run_shared(
        &mut self,
        inputs: &[Input<'_>],
        packing: Packing,
        now: Time,
    ) -> Result<Round, Exhausted> {
        self.offer(inputs, packing, true, now)
    }

    fn offer(
        &mut self,
        inputs: &[Input<'_>],
        packing: Packing,
        shared: bool,
        now: Time,
    ) -> Result<Round, Exhausted> {
        self.burst.clear();
        let mut others = Vec::new();
        for input in inputs.iter().take(BURST) {
            let mut mbuf = self.fill(input, packing).ok_or(Exhausted)?;
            if shared {
                others.push(mbuf.share());
            }
            if self.burst.push(mbuf).is_err() {
                return Err(Exhausted);
            }
        }
        self.burst.begin();
        self.stats.packets.add(self.burst.len() as u64);
        let (nf, burst, mut cx) = self.parts(now);
        nf.process(burst, &mut cx);
        let fates = self.settle();
        let mut round = self.collect(now);
        round.fates = fates;
        round.shared = others.iter().map(whole).collect();
        Ok(round)
    }

    /// Runs the NF's timers.
    pub fn tick(&mut self, now: Time) -> Round {
        let (nf, _, mut cx) = self.parts(now);
        nf.tick(&mut cx);
        self.collect(now)
    }

    /// Lets the NF give back what it holds.
    pub fn drain(&mut self, now: Time) -> Round {
        let (nf, _, mut cx) = self.parts(now);
        nf.drain(&mut cx);
        self.collect(now)
    }

    /// Makes the instance take over from that of `old`, with its account of held packets, as a hot swap does.
    pub fn adopt(&mut self, old: Stand, now: Time) -> Round {
        let held = old.stats.taken.get().saturating_sub(old.stats.released.get());
        self.stats.taken.add(held);
        let (nf, _, mut cx) = self.parts(now);
        nf.adopt(old.nf, &mut cx);
        self.collect(now)
    }

    /// Gives the NF a change that a peer broadcast.
    pub fn replicate(&mut self, update: &Update, now: Time) -> Round {
        let (nf, _, mut cx) = self.parts(now);
        nf.replicate(update, &mut cx);
        self.collect(now)
    }

    /// Makes the NF give up the state of flows that belong to other workers now.
    pub fn split(&mut self, owner: &dyn Fn(&FlowKey) -> usize) -> Vec<(usize, Part)> {
        self.nf.split(owner)
    }

    /// Gives the NF what a peer gave up.
    pub fn join(&mut self, part: Part) {
        self.nf.join(part);
    }

    /// The NF's state, if it keeps any.
    pub fn state(&mut self) -> Option<&mut dyn State> {
        self.nf.state()
    }

    /// Every selected record, page by page, in the order of the NF.
    ///
    /// # Errors
    /// [`StateError::Unsupported`] when the NF keeps no state.
    pub fn export(&mut self, selector: &Selector) -> Result<Vec<Record>, StateError> {
        let state = self.nf.state().ok_or(StateError::Unsupported)?;
        let mut records = Vec::new();
        let mut next = Some(Cursor::default());
        // An NF that comes back to a cursor would go round for ever; the harness finds that out.
        let mut seen = BTreeSet::new();
        while let Some(cursor) = next.filter(|cursor| seen.insert(cursor.0)) {
            next = state.export(cursor, selector, &mut records);
        }
        Ok(records)
    }

    /// Asks the NF for one of its commands, until it is done.
    ///
    /// # Errors
    /// As the NF says.
    pub fn command(&mut self, name: &str, arguments: &Value) -> Result<Value, CommandError> {
        let mut answer = self.nf.command(name, arguments);
        while let Err(CommandError::Unfinished(next)) = answer {
            answer = self.nf.command(name, &next);
        }
        answer
    }

    /// The account, as a worker keeps it.
    pub fn stats(&self) -> &NodeStats {
        &self.stats
    }

    fn parts(&mut self, now: Time) -> (&mut dyn Nf, &mut Burst, Cx<'_>) {
        let cx = Cx {
            now,
            worker: self.worker.index,
            workers: self.worker.count,
            chain: 0,
            pool: &self.pools.wide,
            stats: &self.stats,
            outbox: &mut self.outbox,
        };
        (self.nf.as_mut(), &mut self.burst, cx)
    }

    fn fill(&self, input: &Input<'_>, packing: Packing) -> Option<Mbuf> {
        let pool = match packing {
            Packing::Contiguous => &self.pools.wide,
            Packing::Segmented => &self.pools.narrow,
        };
        let mut mbuf = pool.alloc()?;
        mbuf.set_port(input.ingress | PLAN_PORT);
        mbuf.fill(input.bytes).then_some(mbuf)
    }

    /// The fate of each packet of the burst, with the books kept; then the burst is empty.
    fn settle(&mut self) -> Vec<Fate> {
        let mut fates = Vec::with_capacity(self.burst.len());
        for i in 0..self.burst.len() {
            let mbuf = self.burst.mbufs.take(i);
            if mbuf.is_none() {
                self.stats.taken.add(1);
            }
            fates.push(match (self.burst.verdict(i), mbuf) {
                (Verdict::Taken, None) => Fate::Taken,
                (Verdict::Taken, Some(_)) | (_, None) => Fate::Contradiction,
                (Verdict::Forward, Some(mbuf)) => Fate::Forward(whole(&mbuf)),
                (Verdict::Gate(gate), Some(mbuf)) => Fate::Gate(gate, whole(&mbuf)),
                (Verdict::Absorb, Some(_)) => {
                    self.stats.absorbed.add(1);
                    Fate::Absorb
                }
                (Verdict::Drop(reason), Some(_)) => {
                    self.stats.drop(reason, 1);
                    Fate::Drop(self.reason_name(reason))
                }
            });
        }
        self.burst.clear();
        fates
    }

    fn reason_name(&self, reason: Reason) -> &'static str {
        const ENGINE: [Reason; 5] =
            [Reason::PANIC, Reason::POISONED, Reason::NO_MBUFS, Reason::NO_GATE, Reason::EMIT_OVERFLOW];
        match ENGINE.iter().position(|&known| known == reason) {
            Some(i) => Reason::ENGINE_NAMES[i],
            None => self.names.get(reason.number()).copied().unwrap_or(Fate::UNDECLARED),
        }
    }

    /// What the NF left for the engine to carry on. Packets that it wants to see again it sees at once.
    fn collect(&mut self, now: Time) -> Round {
        let mut round = Round::default();
        for _ in 0..=AGAIN {
            round.events.append(&mut self.outbox.events);
            round.updates.append(&mut self.outbox.updates);
            let mut again = Vec::new();
            for (way, packet) in self.outbox.emitted.drain(..) {
                let created = packet.origin == Origin::Created;
                match way {
                    Way::Gate(gate) => {
                        round.emitted.push(Emitted { gate, port: None, bytes: whole(&packet.mbuf), created })
                    }
                    Way::Port(port) => round.emitted.push(Emitted {
                        gate: 0,
                        port: Some(port),
                        bytes: whole(&packet.mbuf),
                        created,
                    }),
                    Way::Again => again.push((packet.mbuf, created)),
                }
            }
            if again.is_empty() {
                break;
            }
            while !again.is_empty() {
                let mut created = Vec::with_capacity(BURST);
                for (mbuf, was_created) in again.drain(..again.len().min(BURST)) {
                    // An empty burst has room for so many.
                    let _ = self.burst.push(mbuf);
                    created.push(was_created);
                }
                self.stats.packets.add(self.burst.len() as u64);
                let (nf, burst, mut cx) = self.parts(now);
                nf.process(burst, &mut cx);
                for (fate, created) in self.settle().into_iter().zip(created) {
                    let (gate, bytes) = match fate {
                        Fate::Forward(bytes) => (0, bytes),
                        Fate::Gate(gate, bytes) => (gate, bytes),
                        Fate::Drop(_) | Fate::Absorb | Fate::Taken | Fate::Contradiction => continue,
                    };
                    round.emitted.push(Emitted { gate, port: None, bytes, created });
                }
            }
        }
        round
    }
}

/// The stand's pools have no room for another packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the test stand's packet pools are empty: more packets are held than they were made for")]
pub struct Exhausted;

fn whole(mbuf: &Mbuf) -> Vec<u8> {
    mbuf.segments().flatten().copied().collect()
}
