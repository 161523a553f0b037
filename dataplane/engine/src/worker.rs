//! The worker: one thread, one core, run to completion.
//!
//! A round takes a burst from every queue and every ring that leads here, and runs each through its chain until
//! it leaves, moves to another worker or ends. Between rounds it looks at its mail, runs timers once a
//! millisecond, and naps when it may and there is nothing to do.

use crate::BURST;
use crate::burst::Burst;
use crate::clock::Clock;
use crate::cx::Outbox;
use crate::graph::{Graph, Notice};
use crate::inbox::{Message, Outlet, Signals, Why};
use crate::merge::Front;
use crate::nf::Nf;
use crate::plan::Idle;
use crate::sink::{self, Tx};
use crate::time::Time;
use crossbeam::channel::{Receiver, TryRecvError};
use dpdk::Mbufs;
use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

mod chain;
mod fork;
mod receive;
mod rest;
mod steering;

/// Timers run this often, in the engine's time.
const TICK: Duration = Duration::from_millis(1);
/// Packets that may be on rings at once in a replay, so that rings never overflow and nothing is lost.
const REPLAY_WINDOW: u64 = 1024;

/// A worker's thread-local world.
pub(crate) struct Worker {
    pub(crate) index: usize,
    pub(crate) clock: Clock,
    rest: rest::Rest,
    inbox: Receiver<Message>,
    /// Of all workers, by number: its own only, until a graph is installed.
    signals: Arc<[Arc<Signals>]>,
    own: Arc<Signals>,
    outlet: Outlet,
    pub(crate) graph: Option<Box<Graph>>,
    receiving: bool,
    /// TSC when it was last told to stop receiving.
    quiesced: u64,
    /// The clock: in a replay, the latest packet time so far.
    pub(crate) now: Time,
    /// In a replay: the place in the input of the packets in hand, which is that of packets made from them.
    sequence: u64,
    /// Packets could not leave in the latest round.
    waiting: bool,
    /// TSC when the latest round began, if there was work in it.
    busy_since: Option<u64>,
    next_cpu_reading: Time,
    /// Of packets that NFs emitted, to be carried on.
    pending: chain::Pending,
    pub(crate) outbox: Outbox,
    /// What is merged of the packets in hand.
    fronts: Box<[Front; BURST]>,
    spare: Vec<Box<Burst>>,
}

/// What is known of a burst on its way: when it began, if it is measured. Two words, so that calls pass it in registers.
#[derive(Clone, Copy)]
pub(crate) struct Trace {
    /// When its packets were received.
    pub arrival: Time,
    /// TSC at receive, if this burst is one that is measured.
    pub started: Option<NonZeroU64>,
}

impl Trace {
    /// Not measured.
    fn unmeasured(arrival: Time) -> Trace {
        Trace { arrival, started: None }
    }
}

impl Worker {
    pub(crate) fn new(
        index: usize,
        clock: Clock,
        idle: Idle,
        inbox: Receiver<Message>,
        own: Arc<Signals>,
        outlet: Outlet,
    ) -> Worker {
        Worker {
            index,
            clock,
            rest: rest::Rest::new(idle),
            inbox,
            signals: Arc::new([]),
            own,
            outlet,
            graph: None,
            receiving: false,
            quiesced: 0,
            now: Time::ZERO,
            sequence: 0,
            waiting: false,
            busy_since: None,
            next_cpu_reading: Time::ZERO,
            pending: chain::Pending::new(),
            outbox: Outbox::new(),
            fronts: Box::new([const { Front::new() }; BURST]),
            spare: (0..16).map(|_| Box::new(Burst::new())).collect(),
        }
    }

    /// The loop; returns on [`Message::Exit`], or when control is gone.
    pub(crate) fn run(mut self) {
        let signals = self.own.clone();
        loop {
            if signals.mail.load(Relaxed) && !self.read_mail(&signals) {
                return;
            }
            let Some(mut graph) = self.graph.take() else {
                // Without a graph there is nothing to poll: wait for the next message.
                let Ok(message) = self.inbox.recv() else { return };
                if self.handle(message, &signals) {
                    continue;
                }
                return;
            };
            let work = self.round(&mut graph, &signals);
            Signals::bump(&signals.rounds, 1);
            if work > 0 {
                Signals::bump(&signals.busy_rounds, 1);
                self.rest.worked(&signals.bell);
            } else {
                self.rest(&graph, &signals.bell);
            }
            self.graph = Some(graph);
        }
    }

    fn read_mail(&mut self, signals: &Signals) -> bool {
        signals.mail.store(false, Release);
        // Messages find everybody at home who can be.
        if let Some(mut graph) = self.graph.take() {
            self.take_late(&mut graph);
            self.graph = Some(graph);
        }
        loop {
            match self.inbox.try_recv() {
                Ok(message) => {
                    if !self.handle(message, signals) {
                        return false;
                    }
                }
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    /// Asks an NF something between bursts; `None` when it is down, or falls over the question.
    pub(crate) fn with_nf<T>(&mut self, nf: usize, question: impl FnOnce(&mut dyn Nf) -> T) -> Option<T> {
        let mut graph = self.graph.take()?;
        let answer = match graph.instances.get_mut(nf) {
            Some(Some(instance)) => match catch_unwind(AssertUnwindSafe(|| question(instance.as_mut()))) {
                Ok(answer) => Some(answer),
                Err(_) => {
                    self.poison(&mut graph, nf, None);
                    None
                }
            },
            _ => None,
        };
        self.graph = Some(graph);
        answer
    }

    /// Does what it is told; `false` to end.
    fn handle(&mut self, message: Message, signals: &Signals) -> bool {
        match message {
            Message::Call(call) => call(self),
            Message::Quiesce => {
                self.receiving = false;
                self.quiesced = dpdk::tsc();
            }
            Message::Resume => {
                signals.quiet.store(false, Release);
                self.receiving = true;
            }
            Message::Take(reply) => {
                if let Some(graph) = self.graph.take() {
                    // The other side has given up waiting: the graph stays.
                    if let Err(refused) = reply.send(graph) {
                        self.graph = Some(refused.into_inner());
                    }
                }
            }
            Message::Install(graph) => {
                for burst in &mut self.spare {
                    burst.ports = graph.ports.clone();
                }
                self.signals = graph.signals.clone();
                // Rings are empty between graphs; with other workers gone, old sums would no longer balance.
                signals.ring_sent.store(0, Release);
                signals.ring_done.store(0, Release);
                signals.quiet.store(false, Release);
                self.receiving = true;
                self.graph = Some(graph);
            }
            Message::Return(graph) => self.graph = Some(graph),
            Message::Replace { nf, generation, instance } => {
                let graph = self.graph.as_mut().filter(|graph| graph.layout.generation == generation);
                let (instance, why) = match graph.and_then(|graph| graph.instances.get_mut(nf)) {
                    Some(place @ None) => {
                        *place = Some(instance);
                        (None, Why::Restarted)
                    }
                    // Who was late is back.
                    _ => (Some(instance), Why::Replaced),
                };
                self.report(nf, generation, instance, why);
            }
            Message::Exit => return false,
        }
        true
    }

    /// One round. Returns how many packets there were to work on.
    fn round(&mut self, graph: &mut Graph, signals: &Signals) -> usize {
        let tsc = dpdk::tsc();
        if let Some(began) = self.busy_since {
            Signals::bump(&signals.busy_cycles, tsc.saturating_sub(began));
        }
        if !graph.layout.replay {
            self.now = self.clock.at(tsc);
        }
        self.take_late(graph);
        let mut work = 0;
        let mut burst = self.borrow_burst();
        for index in 0..graph.rings_in.len() {
            work += self.poll_ring(graph, index, &mut burst, signals, tsc);
        }
        if self.receiving {
            if self.may_receive(graph) {
                work += self.poll_sources(graph, &mut burst, tsc);
            }
            let before_tick = graph.ticked;
            if self.now >= before_tick + TICK {
                graph.ticked = self.now;
                self.tick(graph);
            }
        }
        self.return_burst(burst);
        for index in 0..graph.updates_in.len() {
            self.take_updates(graph, index);
        }
        // What NFs gave out on hearing them.
        self.run_pending(graph, Trace::unmeasured(self.now));
        if !graph.fragments.is_idle() {
            if self.receiving {
                self.release_fragments(graph);
            } else {
                self.give_up_fragments(graph);
            }
        }
        let mut waiting = self.flush(graph, signals);
        if !self.receiving {
            if waiting > 0 && sink::is_stuck(tsc.saturating_sub(self.quiesced)) {
                sink::give_up(&mut graph.tx, &graph.stats.ports);
                waiting = self.flush(graph, signals);
            }
            signals.quiet.store(waiting == 0, Release);
        }
        self.waiting = waiting > 0;
        if self.now >= self.next_cpu_reading || graph.layout.replay {
            self.next_cpu_reading = self.now + TICK;
            if !graph.layout.replay || work == 0 {
                signals.cpu_ns.store(thread_cpu_ns(), Relaxed);
            }
        }
        self.busy_since = (work > 0).then_some(tsc);
        work
    }

    /// Whether the rings have room for what a burst may send over them.
    #[inline]
    fn may_receive(&self, graph: &Graph) -> bool {
        if graph.rings_in.is_empty() {
            return true;
        }
        if graph.layout.replay {
            // `done` first: reading it late could only make it look fuller than it is.
            let done: u64 = self.signals.iter().map(|signals| signals.ring_done.load(Acquire)).sum();
            let sent: u64 = self.signals.iter().map(|signals| signals.ring_sent.load(Acquire)).sum();
            return sent.saturating_sub(done) < REPLAY_WINDOW;
        }
        // Half of each ring is left to packets that are already between stages, which cannot wait.
        graph
            .rings_out
            .iter()
            .flatten()
            .all(|ring| ring.staged.is_empty() && ring.sender.free() > crate::graph::RING as usize / 2)
    }

    /// Sends what waits. Returns how many packets could not go yet.
    fn flush(&mut self, graph: &mut Graph, signals: &Signals) -> usize {
        let mut waiting = graph.fragments.waiting();
        waiting += graph.updates_in.iter().map(rtrb::Consumer::slots).sum::<usize>();
        signals.waiting.store(waiting as u64, Relaxed);
        for (port, tx) in graph.tx.iter_mut().enumerate() {
            if let Tx::Queue(queue) = tx {
                waiting += queue.flush(&graph.stats.ports[port]);
            }
        }
        waiting + self.flush_rings(graph)
    }

    /// Sends what is staged for other workers. Returns how many packets could not go yet.
    fn flush_rings(&mut self, graph: &mut Graph) -> usize {
        let mut waiting = 0;
        for (worker, ring) in graph.rings_out.iter_mut().enumerate() {
            let Some(ring) = ring else { continue };
            if !ring.staged.is_empty() {
                self.push_ring(worker, ring);
                waiting += ring.staged.len();
            }
        }
        waiting
    }

    /// Puts on a ring what it takes.
    fn push_ring(&self, worker: usize, ring: &mut crate::graph::RingOut) {
        let staged = ring.staged.len();
        // Counted before it can be seen on the other side.
        Signals::bump(&self.own.ring_sent, staged as u64);
        let sent = ring.sender.send(&mut ring.staged);
        if sent < staged {
            let word = &self.own.ring_sent;
            word.store(word.load(Relaxed) - (staged - sent) as u64, Release);
        }
        self.signals[worker].bell.ring();
    }

    /// Runs the timers of every NF.
    fn tick(&mut self, graph: &mut Graph) {
        for nf in 0..graph.instances.len() {
            self.call_outside(graph, nf, |nf, cx| nf.tick(cx));
            self.run_pending(graph, Trace::unmeasured(self.now));
        }
    }

    /// Lets every NF give back what it holds.
    pub(crate) fn drain(&mut self) {
        let Some(mut graph) = self.graph.take() else { return };
        for nf in 0..graph.instances.len() {
            self.call_outside(&mut graph, nf, |nf, cx| nf.drain(cx));
            self.run_pending(&mut graph, Trace::unmeasured(self.now));
        }
        self.give_up_fragments(&mut graph);
        let signals = self.own.clone();
        self.flush(&mut graph, &signals);
        self.graph = Some(graph);
    }

    /// Gives up on packets that a device no longer takes.
    pub(crate) fn give_up(&mut self) {
        if let Some(graph) = &mut self.graph {
            sink::give_up(&mut graph.tx, &graph.stats.ports);
        }
    }

    fn take_updates(&mut self, graph: &mut Graph, index: usize) {
        for _ in 0..BURST {
            let Ok(Notice { nf, update }) = graph.updates_in[index].pop() else { return };
            self.call_outside(graph, usize::from(nf), |nf, cx| nf.replicate(&update, cx));
        }
    }

    fn borrow_burst(&mut self) -> Box<Burst> {
        self.spare.pop().unwrap_or_else(|| Box::new(Burst::new()))
    }

    fn return_burst(&mut self, burst: Box<Burst>) {
        self.spare.push(burst);
    }

    /// Puts packets into the stage for another worker, sending when it is full. What the ring cannot take is
    /// counted as dropped.
    fn stage_for(&self, graph: &mut Graph, worker: usize, port: usize, mbufs: &mut Mbufs) {
        let Some(ring) = &mut graph.rings_out[worker] else { return };
        while !mbufs.is_empty() {
            if ring.staged.append(mbufs) == 0 && !mbufs.is_empty() {
                self.push_ring(worker, ring);
                if ring.staged.is_full() {
                    graph.stats.ports[port].ring_full.add(mbufs.len() as u64);
                    mbufs.clear();
                }
            }
        }
    }
}

/// CPU time that the calling thread has used, in nanoseconds.
fn thread_cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}
