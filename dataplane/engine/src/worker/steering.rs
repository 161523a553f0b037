//! Handing packets over to the worker that must meet them.

use super::{Trace, Worker};
use crate::burst::Burst;
use crate::fragments::Waiting;
use crate::graph::Graph;
use crate::note::{Next, Note};
use crate::steer::{self, Route};

impl Worker {
    /// A burst is to begin a stage: what must meet this worker does so at once, the rest goes over rings.
    #[inline]
    pub(super) fn hand_over(
        &mut self,
        graph: &mut Graph,
        chain: usize,
        stage: usize,
        burst: &mut Burst,
        trace: Trace,
    ) {
        if graph.layout.workers > 1 && !graph.layout.chains[chain].stages[stage].rule.is_any() {
            self.scatter(graph, chain, stage, Next::Stage(stage as u16), burst, trace);
        }
        if !burst.is_empty() {
            let first = graph.layout.chains[chain].stages[stage].positions.start;
            self.run_stage(graph, chain, stage, first, burst, trace);
        }
    }

    /// Packets meet an NF once more: here, or on the worker that owns them now.
    pub(super) fn meet_again(
        &mut self,
        graph: &mut Graph,
        chain: usize,
        position: usize,
        burst: &mut Burst,
        trace: Trace,
    ) {
        let stage = graph.layout.chains[chain].stage_of(position);
        if graph.layout.workers > 1 {
            self.scatter(graph, chain, stage, Next::Again(position as u16), burst, trace);
        }
        if !burst.is_empty() {
            self.run_stage(graph, chain, stage, position, burst, trace);
        }
    }

    /// Sends to other workers what belongs to them by the rule of a stage, to go on there at `next`; what stays in the
    /// burst belongs here.
    fn scatter(
        &mut self,
        graph: &mut Graph,
        chain: usize,
        stage: usize,
        next: Next,
        burst: &mut Burst,
        trace: Trace,
    ) {
        let mut owners = [0u16; crate::BURST];
        let (mut leaving, mut waiting) = (0u32, 0u32);
        let layout = graph.layout.clone();
        let rule = &layout.chains[chain].stages[stage].rule;
        for (i, owner) in owners.iter_mut().enumerate().take(burst.len()) {
            let headers = burst.headers(i);
            let frame = burst.bytes(i);
            match steer::route(&layout, rule, self.index, &headers, frame, &mut graph.fragments, self.now) {
                Route::Worker(worker) if worker == self.index => {}
                Route::Worker(worker) => {
                    *owner = worker as u16;
                    leaving |= 1 << i;
                }
                // The NF has seen it before: it is where its first is.
                Route::Wait(_) if matches!(next, Next::Again(_)) => {}
                Route::Wait(_) => waiting |= 1 << i,
            }
        }
        if leaving | waiting == 0 {
            return;
        }
        for i in 0..burst.len() {
            if waiting >> i & 1 == 1 {
                self.let_wait(graph, chain, stage, burst, i);
            }
        }
        let mut group = self.borrow_burst();
        let port = graph.layout.chains[chain].to[0];
        for worker in 0..graph.layout.workers {
            group.begin();
            for i in (0..burst.len()).filter(|&i| leaving >> i & 1 == 1 && usize::from(owners[i]) == worker) {
                if let Some(mbuf) = burst.mbufs.take(i) {
                    let _ = group.push(mbuf);
                }
            }
            if !group.is_empty() {
                self.note_all(graph, chain, next, &mut group, trace);
                self.stage_for(graph, worker, port, &mut group.mbufs);
            }
        }
        // The holes go; what is known of the others' headers stays.
        group.begin();
        burst.split(leaving | waiting, &mut group);
        group.clear();
        self.return_burst(group);
    }

    /// Writes into each packet where it goes on.
    pub(super) fn note_all(&self, graph: &Graph, chain: usize, next: Next, burst: &mut Burst, trace: Trace) {
        for mbuf in burst.mbufs.iter_mut() {
            let note = Note::read(mbuf);
            let note = Note {
                arrival: trace.arrival,
                generation: graph.layout.generation,
                chain: chain as u16,
                next,
                ..note
            };
            note.write(mbuf);
        }
    }

    fn let_wait(&mut self, graph: &mut Graph, chain: usize, stage: usize, burst: &mut Burst, i: usize) {
        let headers = burst.headers(i);
        let Some(key) = wire::FragmentKey::from_packet(&headers, burst.bytes(i)) else { return };
        let Some(mbuf) = burst.mbufs.take(i) else { return };
        let waiting = Waiting { key, mbuf, chain, stage, since: self.now };
        if let Err(refused) = graph.fragments.wait(waiting) {
            // No room: it goes without its first, by the datagram's own hash.
            self.send_on(graph, refused, None);
        }
    }

    /// Sends fragments on whose first has come, or that have waited long enough.
    pub(super) fn release_fragments(&mut self, graph: &mut Graph) {
        while let Some((fragment, hash)) = graph.fragments.ready(self.now) {
            let trace = Trace::unmeasured(fragment.since);
            self.send_on(graph, fragment, hash);
            self.run_pending(graph, trace);
        }
    }

    /// Sends all fragments on: the engine is stopping.
    pub(super) fn give_up_fragments(&mut self, graph: &mut Graph) {
        while let Some(fragment) = graph.fragments.give_up() {
            let trace = Trace::unmeasured(fragment.since);
            self.send_on(graph, fragment, None);
            self.run_pending(graph, trace);
        }
    }

    /// Sends one fragment to the worker of `hash`, or of its datagram where no hash is known. What NFs emit for it is
    /// the caller's to carry on.
    fn send_on(&mut self, graph: &mut Graph, fragment: Waiting, hash: Option<u32>) {
        let Waiting { key, mbuf, chain, stage, since } = fragment;
        let worker = graph.layout.owner(hash.unwrap_or_else(|| key.hash_with(graph.layout.seed)));
        let mut burst = self.borrow_burst();
        burst.begin();
        let _ = burst.push(mbuf);
        let trace = Trace::unmeasured(since);
        if worker == self.index {
            let first = graph.layout.chains[chain].stages[stage].positions.start;
            self.run_stage(graph, chain, stage, first, &mut burst, trace);
        } else {
            let port = graph.layout.chains[chain].to[0];
            self.note_all(graph, chain, Next::Stage(stage as u16), &mut burst, trace);
            self.stage_for(graph, worker, port, &mut burst.mbufs);
        }
        burst.clear();
        self.return_burst(burst);
    }
}
