//! A burst on its way through a chain: select, call each NF, settle its verdicts, transmit.

use super::{Trace, Worker};
use crate::burst::Burst;
use crate::cx::{Cx, OUTBOX, Way};
use crate::graph::{Graph, Notice};
use crate::inbox::{Fall, Report, Why};
use crate::layout::Select;
use crate::nf::Nf;
use crate::note::{Next, Note};
use crate::packet::{Origin, Packet};
use crate::plan::OnPanic;
use crate::sink::Tx;
use crate::stats::NodeStats;
use crate::verdict::{Reason, Verdict};
use dpdk::Mbuf;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tables::expression::Quick;

/// Packets that NFs emitted and that are yet to be carried on, in order.
pub(super) struct Pending(VecDeque<(Place, Mbuf)>);

/// Where a packet goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    chain: usize,
    /// Of the NF that it leaves, or meets again.
    position: usize,
    way: Way,
}

impl Pending {
    /// For what a timer leaves, and for what one burst of that leads to.
    pub(super) fn new() -> Self {
        Pending(VecDeque::with_capacity(2 * OUTBOX))
    }
}

impl Worker {
    /// Finds the chain of each packet and sends it through. The burst comes back empty.
    #[inline]
    pub(super) fn dispatch(
        &mut self,
        graph: &mut Graph,
        port: usize,
        burst: &mut Burst,
        bytes: u64,
        trace: Trace,
    ) {
        let chains = graph.layout.by_port[port].len();
        let mut bytes = Some(bytes);
        for nth in 0..chains {
            let index = graph.layout.by_port[port][nth];
            let mask = self.select(graph, index, burst);
            if mask == 0 {
                continue;
            }
            if mask == crate::burst::low_bits(burst.len()) {
                self.enter(graph, index, burst, bytes, trace);
                burst.clear();
                return;
            }
            bytes = None;
            let mut chosen = self.borrow_burst();
            burst.split(mask, &mut chosen);
            self.enter(graph, index, &mut chosen, None, trace);
            chosen.clear();
            self.return_burst(chosen);
        }
        graph.stats.ports[port].no_chain.add(burst.len() as u64);
        burst.clear();
    }

    /// Which packets take the chain.
    #[inline]
    fn select(&self, graph: &Graph, chain: usize, burst: &mut Burst) -> u32 {
        let chain = &graph.layout.chains[chain];
        match chain.select {
            Select::All => crate::burst::low_bits(burst.len()),
            Select::Ip if burst.ipv4 => crate::burst::low_bits(burst.len()),
            Select::Ip => (0..burst.len()).fold(0, |mask, i| {
                let is_ip = Quick::Ip.matches(burst.bytes(i));
                mask | u32::from(is_ip) << i
            }),
            Select::Expression => (0..burst.len()).fold(0, |mask, i| {
                let headers = burst.headers(i);
                mask | u32::from(chain.matcher.matches(burst.bytes(i), &headers)) << i
            }),
        }
    }

    /// A burst enters its chain.
    fn enter(
        &mut self,
        graph: &mut Graph,
        chain: usize,
        burst: &mut Burst,
        bytes: Option<u64>,
        trace: Trace,
    ) {
        let trace = graph.sample(chain, trace);
        let stats = &graph.stats.chains[chain];
        let packets = burst.len();
        stats.packets.add(packets as u64);
        stats.bytes.add(bytes.unwrap_or_else(|| burst.total_bytes()));
        self.hand_over(graph, chain, 0, burst, trace);
        self.run_pending(graph, trace);
        if let Some(started) = trace.started {
            graph.stats.chains[chain].cycles.add(dpdk::tsc().saturating_sub(started.get()), packets);
        }
    }

    /// Runs the NFs of a stage from a position on, and what comes after the stage.
    pub(super) fn run_stage(
        &mut self,
        graph: &mut Graph,
        chain: usize,
        stage: usize,
        first: usize,
        burst: &mut Burst,
        trace: Trace,
    ) {
        let here = &graph.layout.chains[chain];
        let (start, end) = (here.stages[stage].positions.start, here.stages[stage].positions.end);
        if !here.steps.is_empty() && first == start && stage < here.steps.len() {
            self.run_steps(graph, chain, stage, burst, trace);
            return;
        }
        for position in first..end {
            if burst.is_empty() {
                return;
            }
            self.call(graph, chain, position, burst, trace);
        }
        if burst.is_empty() {
            return;
        }
        if stage + 1 < graph.layout.chains[chain].stages.len() {
            self.hand_over(graph, chain, stage + 1, burst, trace);
        } else {
            let port = graph.layout.chains[chain].to[0];
            self.transmit(graph, chain, port, burst, trace);
        }
    }

    /// Calls one NF with a burst and carries out its verdicts; what stays in the burst goes on.
    #[inline]
    pub(super) fn call(
        &mut self,
        graph: &mut Graph,
        chain: usize,
        position: usize,
        burst: &mut Burst,
        trace: Trace,
    ) {
        let nf = graph.layout.chains[chain].path[position];
        let stats = &graph.stats.chains[chain].nodes[position];
        let packets = burst.len();
        stats.packets.add(packets as u64);
        let Some(instance) = &mut graph.instances[nf] else {
            if graph.layout.nfs[nf].on_panic == OnPanic::Drop {
                stats.drop(Reason::POISONED, packets as u64);
                burst.clear();
            }
            return;
        };
        let id = graph.layout.chains[chain].id;
        burst.chain = id;
        let mut cx = Cx {
            // In a replay a fragment that had to wait for its first still has its own time.
            now: if graph.layout.replay { trace.arrival } else { self.now },
            worker: self.index,
            workers: graph.layout.workers,
            chain: id,
            pool: &graph.pool,
            stats,
            outbox: &mut self.outbox,
        };
        let before = trace.started.map(|_| dpdk::tsc());
        let outcome = catch_unwind(AssertUnwindSafe(|| instance.process(burst, &mut cx)));
        if let Some(before) = before {
            stats.cycles.add(dpdk::tsc().saturating_sub(before), packets);
        }
        if outcome.is_err() {
            let lost = burst.mbufs.iter().count();
            stats.taken.add((burst.len() - lost) as u64);
            stats.drop(Reason::PANIC, lost as u64);
            burst.clear();
            self.poison(graph, nf, Some((chain, position)));
            return;
        }
        if burst.exceptions != 0 {
            self.settle(graph, chain, position, burst, trace);
        }
        if !self.outbox.is_empty() {
            self.carry_out(graph, nf, Some((chain, position, burst)));
        }
    }

    /// Carries out the verdicts of a mixed burst; what is forwarded stays.
    fn settle(&mut self, graph: &mut Graph, chain: usize, position: usize, burst: &mut Burst, trace: Trace) {
        let stats = &graph.stats.chains[chain].nodes[position];
        let (mut gone, mut gated) = (0u32, 0u32);
        let mut rest = burst.exceptions & crate::burst::low_bits(burst.len());
        while rest != 0 {
            let i = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            match burst.verdict(i) {
                Verdict::Forward => {}
                Verdict::Drop(reason) => {
                    stats.drop(reason, 1);
                    gone |= 1 << i;
                }
                Verdict::Absorb => {
                    stats.absorbed.add(1);
                    gone |= 1 << i;
                }
                Verdict::Taken => {
                    stats.taken.add(1);
                    gone |= 1 << i;
                }
                Verdict::Gate(_) => gated |= 1 << i,
            }
        }
        // Gates are read before anything moves, as moving forgets verdicts.
        let gates: [u8; crate::BURST] = std::array::from_fn(|i| match burst.verdict(i % crate::BURST) {
            Verdict::Gate(gate) => gate,
            _ => 0,
        });
        if gated != 0 {
            self.send_gated(graph, chain, position, burst, gated, &gates, trace);
            // What was sent left holes behind the same indices.
            gone |= gated;
        }
        if gone == crate::burst::low_bits(burst.len()) {
            burst.clear();
        } else {
            let mut ended = self.borrow_burst();
            burst.split(gone, &mut ended);
            ended.clear();
            self.return_burst(ended);
        }
    }

    /// Sends packets out by gates other than the default one, leaving holes in the burst.
    #[expect(clippy::too_many_arguments, reason = "a step of `settle`, apart for its length")]
    fn send_gated(
        &mut self,
        graph: &mut Graph,
        chain: usize,
        position: usize,
        burst: &mut Burst,
        mut gated: u32,
        gates: &[u8; crate::BURST],
        trace: Trace,
    ) {
        let mut leaving = self.borrow_burst();
        while gated != 0 {
            let gate = gates[gated.trailing_zeros() as usize];
            leaving.begin();
            for i in (0..burst.len()).filter(|&i| gated >> i & 1 == 1 && gates[i] == gate) {
                if let Some(mbuf) = burst.mbufs.take(i) {
                    let _ = leaving.push(mbuf);
                }
            }
            gated &= !(0..crate::BURST).filter(|&i| gates[i] == gate).fold(0, |mask, i| mask | 1 << i);
            self.leave(graph, Place { chain, position, way: Way::Gate(gate) }, &mut leaving, trace);
            leaving.clear();
        }
        self.return_burst(leaving);
    }

    /// Packets leave an NF by a gate: to the next NF, or to one of the chain's ports. Or they meet it again.
    fn leave(&mut self, graph: &mut Graph, from: Place, burst: &mut Burst, trace: Trace) {
        let gate = match from.way {
            Way::Gate(gate) => gate,
            Way::Again => return self.meet_again(graph, from.chain, from.position, burst, trace),
            Way::Port(port) if usize::from(port) < graph.tx.len() => {
                return self.transmit(graph, from.chain, usize::from(port), burst, trace);
            }
            Way::Port(_) => u8::MAX,
        };
        let chain = &graph.layout.chains[from.chain];
        let last = from.position + 1 == chain.path.len();
        if gate == 0 {
            let stage = chain.stage_of(from.position);
            self.run_stage(graph, from.chain, stage, from.position + 1, burst, trace);
        } else if let Some(&port) = chain.to.get(usize::from(gate)).filter(|_| last) {
            self.transmit(graph, from.chain, port, burst, trace);
        } else {
            let stats = &graph.stats.chains[from.chain].nodes[from.position];
            stats.drop(Reason::NO_GATE, burst.len() as u64);
            burst.clear();
        }
    }

    /// Runs a chain from an NF on, that one included.
    pub(super) fn run_from(
        &mut self,
        graph: &mut Graph,
        chain: usize,
        position: usize,
        burst: &mut Burst,
        trace: Trace,
    ) {
        let stage = graph.layout.chains[chain].stage_of(position);
        self.run_stage(graph, chain, stage, position, burst, trace);
    }

    /// Calls into an NF that has no burst in hand: timers, drain, replicated state.
    pub(super) fn call_outside(
        &mut self,
        graph: &mut Graph,
        nf: usize,
        call: impl FnOnce(&mut dyn Nf, &mut Cx<'_>),
    ) {
        let Some(instance) = &mut graph.instances[nf] else { return };
        let home = graph.layout.nfs[nf].home;
        let Some(stats) = home_stats(graph.stats.as_ref(), &graph.layout, nf) else { return };
        let mut cx = Cx {
            now: self.now,
            worker: self.index,
            workers: graph.layout.workers,
            chain: graph.layout.chains[home].id,
            pool: &graph.pool,
            stats,
            outbox: &mut self.outbox,
        };
        if catch_unwind(AssertUnwindSafe(|| call(instance.as_mut(), &mut cx))).is_err() {
            self.poison(graph, nf, None);
        } else if !self.outbox.is_empty() {
            self.carry_out(graph, nf, None);
        }
    }

    /// Carries out what an NF left in the outbox. Packets for the default gate of the same chain join the burst
    /// in hand while it has room, so they stay right behind it.
    pub(super) fn carry_out(
        &mut self,
        graph: &mut Graph,
        nf: usize,
        in_hand: Option<(usize, usize, &mut Burst)>,
    ) {
        let generation = graph.layout.generation;
        let (here, mut burst) = match in_hand {
            Some((chain, position, burst)) => (Some((chain, position)), Some(burst)),
            None => (None, None),
        };
        let mut joining = true;
        for (way, packet) in self.outbox.emitted.drain(..) {
            let Packet { mut mbuf, chain, origin } = packet;
            // An NF that gives packets out stands in some chain, or it would not have been called.
            let Some((chain, position)) = graph.layout.place(chain, nf) else { continue };
            if origin == Origin::Created && graph.layout.replay {
                // It takes its place in the output right behind what it was made from.
                Note { sequence: self.sequence, arrival: self.now, ..Note::default() }.write(&mut mbuf);
            }
            let mut refused = Some(mbuf);
            if joining
                && way == Way::Gate(0)
                && here == Some((chain, position))
                && let Some(burst) = &mut burst
                && let Some(mbuf) = refused.take()
            {
                refused = burst.push(mbuf).err();
            }
            let Some(mbuf) = refused else { continue };
            // Once one has had to wait, those behind it wait too.
            joining = false;
            if self.pending.0.len() < self.pending.0.capacity() {
                self.pending.0.push_back((Place { chain, position, way }, mbuf));
            } else {
                graph.stats.chains[chain].nodes[position].drop(Reason::EMIT_OVERFLOW, 1);
            }
        }
        for update in self.outbox.updates.drain(..) {
            let Ok(number) = u16::try_from(nf) else { continue };
            for (worker, sender) in graph.updates_out.iter_mut().enumerate() {
                let Some(sender) = sender else { continue };
                if sender.push(Notice { nf: number, update }).is_err()
                    && let Some(stats) = home_stats(&graph.stats, &graph.layout, nf)
                {
                    stats.updates_lost.add(1);
                }
                self.signals[worker].bell.ring();
            }
        }
        for event in self.outbox.events.drain(..) {
            let report = Report { time: self.now, nf, generation, event };
            if self.outlet.events.try_send(report).is_err()
                && let Some(stats) = home_stats(&graph.stats, &graph.layout, nf)
            {
                stats.events_lost.add(1);
            }
        }
    }

    /// Carries on with every packet that was emitted, burst by burst. What a burst leads to goes before those that
    /// waited behind it, so the queue does not grow by every burst in it.
    pub(super) fn run_pending(&mut self, graph: &mut Graph, trace: Trace) {
        if self.pending.0.is_empty() {
            return;
        }
        let mut burst = self.borrow_burst();
        while let Some(&(place, _)) = self.pending.0.front() {
            burst.begin();
            while burst.len() < crate::BURST
                && self.pending.0.front().is_some_and(|(next, _)| *next == place)
                && let Some((_, mbuf)) = self.pending.0.pop_front()
            {
                let _ = burst.push(mbuf);
            }
            let waiting = self.pending.0.len();
            self.leave(graph, place, &mut burst, trace);
            burst.clear();
            self.pending.0.rotate_left(waiting);
        }
        // The next ones begin at its front again: few packets stay in little memory.
        self.pending.0.clear();
        self.return_burst(burst);
    }

    /// An instance has panicked: it leaves the core, with an account of what it held.
    pub(super) fn poison(&mut self, graph: &mut Graph, nf: usize, at: Option<(usize, usize)>) {
        let instance = graph.instances[nf].take();
        let stats = match at {
            Some((chain, position)) => Some(&graph.stats.chains[chain].nodes[position]),
            None => home_stats(&graph.stats, &graph.layout, nf),
        };
        if let Some(stats) = stats {
            stats.panics.add(1);
        }
        // What it had emitted before it fell is not to be trusted.
        for (_, packet) in self.outbox.emitted.drain(..) {
            if let Some((chain, position)) = graph.layout.place(packet.chain, nf) {
                graph.stats.chains[chain].nodes[position].drop(Reason::PANIC, 1);
            }
        }
        self.outbox.updates.clear();
        self.outbox.events.clear();
        // What it held goes with it.
        graph.stats.drop_held(&graph.layout, nf, 0, Reason::PANIC);
        let generation = graph.layout.generation;
        let fall = Fall { time: self.now, nf, generation, worker: self.index, instance, why: Why::Panic };
        // The supervisor is gone only when the engine ends.
        let _ = self.outlet.panics.send(fall);
    }

    /// Sends a burst out of a port.
    #[inline]
    pub(super) fn transmit(
        &mut self,
        graph: &mut Graph,
        chain: usize,
        port: usize,
        burst: &mut Burst,
        trace: Trace,
    ) {
        let packets = burst.len() as u64;
        match &mut graph.tx[port] {
            Tx::Queue(queue) => {
                let counters = &graph.stats.ports[port];
                counters.sent_bytes.add(burst.total_bytes());
                queue.send(&mut burst.mbufs, counters);
            }
            Tx::Capture(sink) => {
                sink.write(&mut burst.mbufs, trace.arrival, graph.layout.replay, &graph.stats.ports[port]);
            }
            Tx::Via(worker) => {
                let worker = *worker;
                self.note_all(graph, chain, Next::Port(port as u16), burst, trace);
                self.stage_for(graph, worker, port, &mut burst.mbufs);
                return;
            }
            Tx::Unused => {
                graph.stats.ports[port].tx_full.add(packets);
                burst.clear();
                return;
            }
        }
        if let Some(started) = trace.started {
            let cycles = dpdk::tsc().saturating_sub(started.get());
            graph.stats.chains[chain].latency.record(self.clock.nanos(cycles), packets);
        }
    }
}

/// The account of an NF for what happens outside any burst: that of its place in its first chain.
fn home_stats<'a>(
    stats: &'a crate::stats::WorkerStats,
    layout: &'a crate::layout::Layout,
    nf: usize,
) -> Option<&'a NodeStats> {
    stats.nodes(layout, nf).next()
}
