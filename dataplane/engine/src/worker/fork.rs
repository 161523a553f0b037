//! A burst at a fork: mirror, branches at the same time, merge.
//!
//! The worker keeps the burst as it came, gives every branch its own references or copies, runs the first branch itself
//! and waits for the others. So nothing is in flight between two bursts, the order of packets is that of the chain, and
//! each instance sees bursts one after the other as it would without branches.

use super::{Trace, Worker};
use crate::BURST;
use crate::branch::{Branch, End, IN_PLACE};
use crate::burst::Burst;
use crate::graph::Graph;
use crate::inbox::{Fall, Why};
use crate::layout::Layout;
use crate::merge::{FRONT, Front};
use crate::nf::Nf;
use crate::plan::OnPanic;
use crate::segment::{Copies, Fork, Step};
use crate::verdict::{Reason, Verdict};
use std::sync::Arc;

/// What became of each packet at a fork: who ended it first in the chain's order, and how.
struct Fates {
    first: [Option<(usize, Verdict)>; BURST],
    /// Bit i: `first[i]` is there.
    ended: u32,
}

impl Fates {
    fn end(&mut self, End { slot, position, verdict }: End) {
        let known = &mut self.first[usize::from(slot)];
        if known.is_none_or(|(first, _)| position < first) {
            *known = Some((position, verdict));
        }
        self.ended |= 1 << slot;
    }
}

/// A fork of a chain.
struct Place<'a> {
    layout: &'a Layout,
    chain: usize,
    fork: &'a Fork,
}

/// What the ways to other cores and back took, in TSC cycles.
struct Crossing {
    /// There and back, of the branch whose ways took longest.
    handoff: u64,
    /// From the end of the worker's own branch until all others were back.
    wait: u64,
}

/// The TSC, where something is measured.
fn tsc_if(measured: bool) -> u64 {
    if measured { dpdk::tsc() } else { 0 }
}

impl Worker {
    /// Runs a stage that has forks, from its first NF on, and what comes after it.
    pub(super) fn run_steps(
        &mut self,
        graph: &mut Graph,
        chain: usize,
        stage: usize,
        burst: &mut Burst,
        trace: Trace,
    ) {
        let layout = Arc::clone(&graph.layout);
        let steps = &layout.chains[chain].steps;
        for step in &steps[stage] {
            if burst.is_empty() {
                return;
            }
            match step {
                Step::Run(position) => self.call(graph, chain, *position, burst, trace),
                Step::Fork(fork) => {
                    self.fork(graph, &Place { layout: &layout, chain, fork }, burst, trace);
                }
            }
        }
        if burst.is_empty() {
            return;
        }
        if stage + 1 < steps.len() {
            self.hand_over(graph, chain, stage + 1, burst, trace);
        } else {
            self.transmit(graph, chain, layout.chains[chain].to[0], burst, trace);
        }
    }

    fn fork(&mut self, graph: &mut Graph, place: &Place<'_>, burst: &mut Burst, trace: Trace) {
        let Place { layout, chain, fork } = *place;
        let mut branches = std::mem::take(&mut graph.forks[fork.number]);
        let measured = trace.started.is_some();
        let begun = tsc_if(measured);
        if can_run(graph, &branches) && fronts_suffice(fork, burst) && mirror(&mut branches, burst) {
            let mirrored = tsc_if(measured);
            let packets = burst.len();
            let now = if layout.replay { trace.arrival } else { self.now };
            branches.iter_mut().flatten().for_each(|branch| branch.work.begin(now, measured));
            let crossing = self.run_branches(graph, place, &mut branches, burst);
            let back = tsc_if(measured);
            self.merge(graph, place, &mut branches, burst, packets);
            if let Some(crossing) = crossing {
                let stats = &graph.stats.chains[chain].fork;
                stats.forks.add(1);
                stats.packets.add(packets as u64);
                stats.copies.add(packets as u64 * (fork.branches.len() as u64 - 1));
                stats.mirror.add(mirrored.saturating_sub(begun));
                stats.handoff.add(crossing.handoff);
                stats.wait.add(crossing.wait);
                stats.merge.add(dpdk::tsc().saturating_sub(back));
            }
        } else {
            self.in_order(graph, chain, fork, burst, trace);
        }
        graph.forks[fork.number] = branches;
    }

    /// The same NFs on this core alone, in the chain's order.
    fn in_order(&mut self, graph: &mut Graph, chain: usize, fork: &Fork, burst: &mut Burst, trace: Trace) {
        let mut positions: Vec<usize> = fork.branches.iter().flat_map(|b| b.positions.clone()).collect();
        positions.sort_unstable();
        for position in positions {
            if burst.is_empty() {
                return;
            }
            self.call(graph, chain, position, burst, trace);
        }
    }

    /// Has all branches run at the same time. A branch that does not come back leaves its place empty. Of a burst that
    /// is measured, and of which all branches come back from other cores: how long their ways took.
    fn run_branches(
        &mut self,
        graph: &mut Graph,
        place: &Place<'_>,
        branches: &mut [Option<Box<Branch>>],
        burst: &mut Burst,
    ) -> Option<Crossing> {
        let mut away = 0u32;
        for (number, place) in branches.iter_mut().enumerate() {
            let Some(mut branch) = place.take() else { continue };
            for member in &mut branch.work.nfs {
                member.instance = graph.instances[member.nf].take();
            }
            if number == 0 {
                *place = Some(branch);
                continue;
            }
            branch.sent = tsc_if(branch.work.measured);
            match graph.lanes[number - 1].send(branch) {
                Ok(()) => away |= 1 << number,
                // Without room it runs here.
                Err(mut branch) => {
                    branch.run();
                    *place = Some(branch);
                }
            }
        }
        let mut measured = false;
        if let Some(Some(own)) = branches.first_mut() {
            if own.works_in_place() {
                own.work.run(burst)
            } else {
                own.run()
            }
            measured = own.work.measured;
        }
        let patience = place.layout.chains[place.chain].patience;
        let waiting = tsc_if(measured);
        let (mut crossing, mut looked) = (Crossing { handoff: 0, wait: 0 }, waiting);
        let mut known = measured && away != 0;
        for (number, place) in branches.iter_mut().enumerate().filter(|(number, _)| away >> number & 1 == 1) {
            *place = graph.lanes[number - 1].receive(patience);
            match place {
                Some(branch) if measured => {
                    let now = dpdk::tsc();
                    let there = branch.work.began.saturating_sub(branch.sent);
                    let back = now.saturating_sub(branch.work.ended.max(looked));
                    crossing.handoff = crossing.handoff.max(there + back);
                    looked = now;
                }
                Some(_) => {}
                None => known = false,
            }
        }
        crossing.wait = looked.saturating_sub(waiting);
        known.then_some(crossing)
    }

    /// Brings the results into the burst, of which there were so many packets.
    fn merge(
        &mut self,
        graph: &mut Graph,
        place: &Place<'_>,
        branches: &mut [Option<Box<Branch>>],
        burst: &mut Burst,
        packets: usize,
    ) {
        let Place { layout, chain, fork } = *place;
        let mut fates = Fates { first: [None; BURST], ended: 0 };
        for (plan, branch) in fork.branches.iter().zip(branches.iter_mut()) {
            match branch {
                Some(branch) => branch.work.ends.drain(..).for_each(|end| fates.end(end)),
                None => {
                    let passes = fork.harmless && layout.chains[chain].on_timeout == OnPanic::Bypass;
                    self.miss(graph, chain, &plan.positions);
                    if let Some(&position) = plan.positions.first().filter(|_| !passes) {
                        let verdict = Verdict::Drop(Reason::BRANCH_TIMEOUT);
                        (0..packets as u8).for_each(|slot| fates.end(End { slot, position, verdict }));
                    }
                }
            }
        }
        count(graph, place, &fates, packets);
        // What the worker's own branch has dropped is out of the burst already.
        let slots = match branches.first() {
            Some(Some(own)) if own.works_in_place() => own.work.slots,
            _ => IN_PLACE,
        };
        let slots = &slots[..burst.len()];
        write(branches, slots, fates.ended, burst, &mut self.fronts);
        // Somebody who is late has a reference, and there was no mbuf for a copy to write to.
        let position = fork.branches.iter().flat_map(|branch| &branch.positions).copied().max().unwrap_or(0);
        for (i, &slot) in slots.iter().enumerate().filter(|(i, _)| burst.exceptions >> i & 1 == 1) {
            fates.end(End { slot, position, verdict: burst.verdict(i) });
        }
        if fork.reparse {
            (0..burst.len()).for_each(|i| burst.reparse(i));
        }
        if fates.ended != 0 {
            settle(graph, chain, &fates);
            let gone = slots.iter().enumerate().filter(|(_, slot)| fates.ended >> **slot & 1 == 1);
            burst.remove(gone.fold(0, |mask, (i, _)| mask | 1 << i));
        }
        for branch in branches.iter_mut().flatten() {
            self.disband(graph, chain, branch);
        }
    }

    /// A branch has not answered: its NFs are replaced, as those that panic.
    fn miss(&self, graph: &Graph, chain: usize, positions: &[usize]) {
        for &position in positions {
            self.report(
                graph.layout.chains[chain].path[position],
                graph.layout.generation,
                None,
                Why::Silent,
            );
        }
    }

    pub(super) fn report(&self, nf: usize, generation: u32, instance: Option<Box<dyn Nf>>, why: Why) {
        let fall = Fall { time: self.now, nf, generation, worker: self.index, instance, why };
        // The supervisor is gone only when the engine ends.
        let _ = self.outlet.panics.send(fall);
    }

    /// Everybody goes home after a branch.
    fn disband(&mut self, graph: &mut Graph, chain: usize, branch: &mut Branch) {
        branch.burst.clear();
        let work = &mut branch.work;
        for member in &mut work.nfs {
            graph.instances[member.nf] = member.instance.take();
        }
        if let Some(member) = work.fell.take().map(|index| &work.nfs[index]) {
            self.poison(graph, member.nf, Some((chain, member.position)));
        }
        // Events and changes of replicated state: NFs that make packets are in no branch.
        for (index, mut left) in work.left.drain(..) {
            std::mem::swap(&mut self.outbox, &mut left);
            self.carry_out(graph, work.nfs[index].nf, None);
            std::mem::swap(&mut self.outbox, &mut left);
        }
    }

    /// Takes in branches that come back after their time.
    #[inline]
    pub(super) fn take_late(&mut self, graph: &mut Graph) {
        for lane in 0..graph.lanes.len() {
            if let Some(late) = graph.lanes[lane].late() {
                self.take_back(graph, late);
            }
        }
    }

    /// A branch came back after its time: its packets are gone already, its NFs go on where nobody has taken their
    /// place.
    #[cold]
    fn take_back(&mut self, graph: &mut Graph, mut late: Box<Branch>) {
        late.burst.clear();
        let work = &mut late.work;
        work.ends.clear();
        let fell = work.fell.take();
        let mut is_back = vec![false; work.nfs.len()];
        for (index, member) in work.nfs.iter_mut().enumerate() {
            let place = &mut graph.instances[member.nf];
            let instance = member.instance.take();
            if fell == Some(index) {
                graph.stats.chains[work.chain.0].nodes[member.position].panics.add(1);
            }
            if place.is_none() && fell != Some(index) {
                *place = instance;
                is_back[index] = true;
            } else if instance.is_some() {
                self.report(member.nf, graph.layout.generation, instance, Why::Replaced);
            }
        }
        for (index, mut left) in work.left.drain(..).filter(|(index, _)| is_back[*index]) {
            std::mem::swap(&mut self.outbox, &mut left);
            self.carry_out(graph, work.nfs[index].nf, None);
            std::mem::swap(&mut self.outbox, &mut left);
        }
        let (fork, place) = late.place;
        graph.forks[fork][place] = Some(late);
    }
}

/// Whether all branches and their NFs are there.
fn can_run(graph: &Graph, branches: &[Option<Box<Branch>>]) -> bool {
    branches.iter().all(|branch| {
        let is_there = |nf: usize| graph.instances[nf].is_some();
        branch.as_ref().is_some_and(|branch| branch.work.nfs.iter().all(|member| is_there(member.nf)))
    })
}

/// The longest header of a transport protocol that NFs read: that of TCP.
const LONGEST_L4: usize = 60;

/// Whether branches that write to copies of the packets' first bytes find all headers there. Extension headers of IPv6
/// can be longer.
fn fronts_suffice(fork: &Fork, burst: &mut Burst) -> bool {
    if !fork.branches.iter().any(|branch| branch.copies == Copies::Front) || burst.all_usual().is_some() {
        return true;
    }
    (0..burst.len()).all(|i| {
        burst.packet_len(i) <= FRONT || {
            let headers = burst.headers(i);
            let end = headers.l4_offset().or((!headers.is_ipv6()).then(|| headers.l3_offset()));
            end.is_some_and(|end| end + LONGEST_L4 <= FRONT)
        }
    })
}

/// Gives each branch the packets. `false`: there were no mbufs for the copies, and none has any.
fn mirror(branches: &mut [Option<Box<Branch>>], burst: &mut Burst) -> bool {
    let all = branches.iter_mut().flatten().all(|branch| branch.mirror(burst));
    if !all {
        branches.iter_mut().flatten().for_each(|branch| branch.burst.clear());
    }
    all
}

/// Counts the packets that each NF would have been given in the chain's order: those that none before it ended.
fn count(graph: &Graph, place: &Place<'_>, fates: &Fates, packets: usize) {
    for &position in place.fork.branches.iter().flat_map(|branch| &branch.positions) {
        let missed = (0..packets).filter(|&i| fates.first[i].is_some_and(|(first, _)| first < position));
        let missed = if fates.ended == 0 { 0 } else { missed.count() };
        graph.stats.chains[place.chain].nodes[position].packets.add((packets - missed) as u64);
    }
}

/// Accounts for packets that ended.
fn settle(graph: &Graph, chain: usize, fates: &Fates) {
    for (position, verdict) in fates.first.iter().flatten() {
        let stats = &graph.stats.chains[chain].nodes[*position];
        match verdict {
            Verdict::Drop(reason) => stats.drop(*reason, 1),
            Verdict::Absorb => stats.absorbed.add(1),
            Verdict::Taken => stats.taken.add(1),
            Verdict::Gate(_) | Verdict::Forward => stats.drop(Reason::NO_GATE, 1),
        }
    }
}

/// Writes into the burst what branches wrote into their copies of the packets that have not ended. `slots`: the places
/// that its packets had when it was mirrored.
fn write(
    branches: &mut [Option<Box<Branch>>],
    slots: &[u8],
    ended: u32,
    burst: &mut Burst,
    fronts: &mut [Front; BURST],
) {
    // References of those that only read go first: then the burst has its packets for itself again.
    for branch in branches.iter_mut().flatten().filter(|branch| branch.copies == Copies::Nothing) {
        burst.mbufs.reunite(&mut branch.burst.mbufs);
        branch.burst.clear();
    }
    let left =
        || slots.iter().map(|&slot| usize::from(slot)).enumerate().filter(|(_, slot)| ended >> slot & 1 == 0);
    let of = |copies| branches.iter().flatten().filter(move |branch| branch.copies == copies).count();
    let (whole, writers) = (of(Copies::Whole), of(Copies::Front));
    if whole > 0 {
        // It is the only one that writes.
        for (i, slot) in left() {
            for branch in branches.iter_mut().flatten() {
                if let Some(mbuf) = branch.take(slot) {
                    burst.replace(i, mbuf);
                }
            }
        }
    } else if writers > 0 {
        for (i, slot) in left() {
            // Checksums that two have changed need their places to be known.
            let headers = (writers > 1).then(|| burst.headers(i));
            fronts[slot].begin(headers.as_ref());
            for branch in branches.iter().flatten() {
                if let Some(copy) = branch.copy_of(slot) {
                    fronts[slot].add(burst.bytes(i), copy.data());
                }
            }
        }
        // Copies may refer to the rest of their packets, which nobody can write to meanwhile.
        branches.iter_mut().flatten().for_each(|branch| branch.burst.clear());
        for (i, slot) in left() {
            if let Some(bytes) = burst.bytes_mut(i) {
                fronts[slot].apply(bytes);
            }
        }
    }
}
