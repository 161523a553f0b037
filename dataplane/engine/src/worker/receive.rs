//! Where packets come from: queues, captures, and rings from other workers.

use super::{TICK, Trace, Worker};
use crate::burst::Burst;
use crate::graph::Graph;
use crate::inbox::Signals;
use crate::note::{Next, Note};
use crate::source::Source;
use crate::time::Time;
use std::num::NonZeroU64;
use std::sync::atomic::Ordering::Release;
use std::time::Duration;

impl Worker {
    /// Receives from every queue; of the captures, from the one whose next packet is the earliest.
    pub(super) fn poll_sources(&mut self, graph: &mut Graph, burst: &mut Burst, tsc: u64) -> usize {
        let mut work = 0;
        let mut earliest: Option<(Time, usize)> = None;
        for index in 0..graph.rx.len() {
            let rx = &mut graph.rx[index];
            let received = match &mut rx.source {
                Source::Queue(queue) => burst.receive(queue, graph.layout.looks[rx.port]),
                Source::Capture(capture) => {
                    if let Some(time) = capture.next_time()
                        && earliest.is_none_or(|(soonest, _)| time < soonest)
                    {
                        earliest = Some((time, index));
                    }
                    continue;
                }
            };
            if received > 0 {
                let port = rx.port;
                work += received;
                self.accept(graph, port, burst, self.now, tsc);
            }
        }
        if let Some((_, index)) = earliest
            && let Source::Capture(capture) = &mut graph.rx[index].source
            && let Some(time) = capture.receive(&mut burst.mbufs)
        {
            if graph.layout.replay && time > self.now {
                self.now = time;
                // Timers that are due before these packets run before them.
                if self.now >= graph.ticked + TICK {
                    graph.ticked = self.now;
                    self.tick(graph);
                }
            }
            let port = graph.rx[index].port;
            burst.begin();
            work += burst.len();
            if graph.layout.replay {
                self.note_sequence(burst);
                // Its own time, even where the capture runs backwards and the clock stays.
                self.accept(graph, port, burst, time, tsc);
            } else {
                self.accept(graph, port, burst, self.now, tsc);
            }
        }
        work
    }

    /// Counts a burst in and sends it on its way.
    #[inline]
    fn accept(&mut self, graph: &mut Graph, port: usize, burst: &mut Burst, arrival: Time, tsc: u64) {
        let bytes = burst.total_bytes();
        let counters = &graph.stats.ports[port];
        counters.received.add(burst.len() as u64);
        counters.received_bytes.add(bytes);
        self.dispatch(graph, port, burst, bytes, Trace { arrival, started: NonZeroU64::new(tsc) });
    }

    /// Takes a burst from a ring, and carries on with each packet where the sender left off.
    pub(super) fn poll_ring(
        &mut self,
        graph: &mut Graph,
        index: usize,
        burst: &mut Burst,
        signals: &Signals,
        tsc: u64,
    ) -> usize {
        let received = graph.rings_in[index].receive(&mut burst.mbufs);
        if received == 0 {
            return 0;
        }
        burst.begin();
        let mut group = self.borrow_burst();
        while !burst.is_empty() {
            let Some(first) = burst.mbufs.get(0).map(Note::read) else { break };
            let same = (0..burst.len()).take_while(|&i| {
                burst.mbufs.get(i).map(Note::read).is_some_and(|note| {
                    note.next == first.next
                        && note.chain == first.chain
                        && note.generation == first.generation
                        && (!graph.layout.replay || note.arrival == first.arrival)
                })
            });
            let mask = crate::burst::low_bits(same.count());
            burst.split(mask, &mut group);
            self.carry_on(graph, first, &mut group, tsc);
            group.clear();
        }
        self.return_burst(group);
        burst.clear();
        // Only now, so that whoever adds up the counters never sees a packet in neither. And before they balance, what
        // this round may still have in hand makes it restless again.
        self.flush_rings(graph);
        if !self.receiving {
            signals.quiet.store(false, Release);
        }
        Signals::bump(&signals.ring_done, received as u64);
        received
    }

    /// Remembers the place of a burst in the input.
    fn note_sequence(&mut self, burst: &Burst) {
        if let Some(last) = burst.mbufs.iter().last() {
            self.sequence = Note::read(last).sequence;
        }
    }

    fn carry_on(&mut self, graph: &mut Graph, note: Note, burst: &mut Burst, tsc: u64) {
        if graph.layout.replay {
            self.note_sequence(burst);
        }
        if graph.layout.replay && note.arrival > self.now {
            self.now = note.arrival;
            if self.now >= graph.ticked + TICK {
                graph.ticked = self.now;
                self.tick(graph);
            }
        }
        let waited = if graph.layout.replay { Duration::ZERO } else { self.now.since(note.arrival) };
        let cycles =
            u64::try_from(waited.as_nanos() * u128::from(dpdk::tsc_hz()) / 1_000_000_000).unwrap_or(0);
        let chain = usize::from(note.chain);
        if note.generation != graph.layout.generation || chain >= graph.layout.chains.len() {
            // Cannot happen while rings are drained before a swap; counted, should it ever.
            graph.stats.ports[0].ring_full.add(burst.len() as u64);
            return;
        }
        let trace = Trace { arrival: note.arrival, started: NonZeroU64::new(tsc.saturating_sub(cycles)) };
        let trace = graph.sample(chain, trace);
        match note.next {
            Next::Stage(stage) => {
                let first = graph.layout.chains[chain].stages[usize::from(stage)].positions.start;
                self.run_stage(graph, chain, usize::from(stage), first, burst, trace);
            }
            Next::Again(position) => self.run_from(graph, chain, usize::from(position), burst, trace),
            Next::Port(port) => self.transmit(graph, chain, usize::from(port), burst, trace),
        }
        self.run_pending(graph, trace);
    }
}
