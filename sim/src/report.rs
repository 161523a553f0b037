//! What came of a run.

use crate::account::Account;
use crate::detour::Smart;
use crate::flow::Flow;
use crate::link::Link;
use crate::nodes::NfCount;
use crate::quantity::{NANOSECOND, Picos};
use crate::topology::{Topology, tier_name};
use serde::Serialize;
use smart::policy::Way;

#[cfg(test)]
mod tests;

/// One run.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// Its load.
    pub load: f64,
    /// What SMART did: `base` (nothing), `clone`, `divert`, `replicate`.
    pub way: &'static str,
    /// SMART's own account, where it did something.
    pub smart: Option<SmartCount>,
    /// Priority flows that missed their deadline here and not in the run without SMART of the same load and seed.
    pub newly_missed: Option<u64>,
    /// The simulated time, in nanoseconds.
    pub ended_ns: u64,
    /// Events that it took.
    pub events: u64,
    /// Flows that came after the warm-up, by class: `priority`, `other`.
    pub classes: Vec<Class>,
    /// Links by tier and direction.
    pub links: Vec<Tier>,
    /// What NFs at nodes did.
    pub nfs: Vec<NfCount>,
    /// Where all packets are, those of the warm-up too.
    pub account: Account,
    /// How each counted flow fared, for plots; not part of the JSON.
    #[serde(skip)]
    pub outcomes: Vec<Outcome>,
}

/// What the controller did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct SmartCount {
    /// Flows that nodes reported.
    pub noticed: u64,
    /// Flows that got a second route while they were under way.
    pub detours: u64,
    /// Flows that got one from their begin on, because of others before them.
    pub following: u64,
    /// Packets that were not sent where they would have waited, as a copy was under way.
    pub yielded: u64,
}

/// How one flow fared.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Outcome {
    /// Its number.
    pub flow: u32,
    /// Whether it has priority.
    pub priority: bool,
    /// Its bytes.
    pub bytes: u32,
    /// How long it took; `None` when it did not end.
    pub took: Option<Picos>,
    /// Against what it would have taken alone.
    pub slowdown: Option<f64>,
    /// Whether it has a deadline and missed it.
    pub violated: bool,
}

/// The flows of one class.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Class {
    /// Its name.
    pub class: &'static str,
    /// How many flows.
    pub flows: u64,
    /// Of these, how many ended.
    pub completed: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Completion times in nanoseconds, from the first byte sent to the last one received.
    pub completion_ns: Spread<u64>,
    /// Completion time against that of the flow alone in the network.
    pub slowdown: Spread<f64>,
    /// Flows that have a deadline.
    pub deadlines: u64,
    /// Of these, how many missed it.
    pub violations: u64,
    /// Data packets that senders sent.
    pub packets: u64,
    /// Of these, those sent again.
    pub retransmissions: u64,
    /// Times that a sender's timer ran out.
    pub timeouts: u64,
    /// Data packets that links dropped or lost.
    pub dropped: u64,
    /// Data packets that were sent on a second route too.
    pub cloned: u64,
    /// Data packets that were sent on another route instead.
    pub diverted: u64,
}

/// Percentiles: the smallest value that so many do not exceed.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Spread<T> {
    /// The arithmetic mean.
    pub mean: T,
    /// Half.
    pub p50: T,
    /// 90 of 100.
    pub p90: T,
    /// 99 of 100.
    pub p99: T,
    /// All.
    pub max: T,
}

/// Links of one tier and direction.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Tier {
    /// From and to: `host-leaf`, `leaf-host`, `leaf-spine`.
    pub links: String,
    /// How many.
    pub count: u64,
    /// The mean share of time in which bits were sent.
    pub mean_load: f64,
    /// The largest such share.
    pub most_load: f64,
    /// The most bytes that ever waited before one.
    pub most_queued: u64,
    /// Packets for which there was no room.
    pub dropped: u64,
}

/// What a report is made of.
pub(crate) struct Ended<'a> {
    pub seed: u64,
    pub load: f64,
    pub smart: Option<&'a Smart>,
    pub now: Picos,
    /// Flows that begin before do not count.
    pub warm_up: Picos,
    pub events: u64,
    pub topology: &'a Topology,
    pub flows: &'a [Flow],
    pub links: &'a [Link],
    pub nfs: Vec<NfCount>,
    pub account: Account,
}

impl Report {
    pub(crate) fn of(ended: Ended<'_>) -> Report {
        let counted = ended.flows.iter().enumerate().filter(|(_, flow)| flow.arrival.at >= ended.warm_up);
        let outcomes: Vec<Outcome> =
            counted.clone().map(|(number, flow)| outcome(number, flow, ended.topology, ended.now)).collect();
        let mut classes = Vec::new();
        for (name, priority) in [("priority", true), ("other", false)] {
            let flows =
                counted.clone().map(|(_, flow)| flow).filter(|flow| flow.arrival.priority == priority);
            let fared: Vec<&Outcome> =
                outcomes.iter().filter(|outcome| outcome.priority == priority).collect();
            if !fared.is_empty() {
                classes.push(class(name, flows, &fared));
            }
        }
        Report {
            seed: ended.seed,
            load: ended.load,
            way: ended.smart.map_or("base", |smart| match smart.terms.way {
                Way::Divert => "divert",
                Way::Clone => "clone",
                Way::Replicate => "replicate",
            }),
            smart: ended.smart.map(|smart| SmartCount {
                noticed: smart.noticed,
                detours: smart.detours[0],
                following: smart.detours[1],
                yielded: smart.yielded,
            }),
            newly_missed: None,
            ended_ns: ended.now / NANOSECOND,
            events: ended.events,
            classes,
            links: tiers(ended.topology, ended.links, ended.now),
            nfs: ended.nfs,
            account: ended.account,
            outcomes,
        }
    }
}

impl Report {
    /// This run beside that without SMART of the same load and seed, which has the same flows.
    #[must_use]
    pub fn beside(mut self, base: &Report) -> Report {
        let pairs = self.outcomes.iter().zip(&base.outcomes);
        let newly = pairs.filter(|(here, there)| here.violated && !there.violated && here.flow == there.flow);
        self.newly_missed = Some(newly.count() as u64);
        self
    }
}

fn outcome(number: usize, flow: &Flow, topology: &Topology, now: Picos) -> Outcome {
    let took = flow.arrived.map(|at| at - flow.arrival.at);
    // A flow that is still under way has missed its deadline once that is past.
    let so_far = took.unwrap_or(now.saturating_sub(flow.arrival.at));
    Outcome {
        flow: number as u32,
        priority: flow.arrival.priority,
        bytes: flow.arrival.bytes,
        took,
        slowdown: took.map(|took| took as f64 / flow.alone(topology).max(1) as f64),
        violated: so_far > flow.limit,
    }
}

fn class<'a>(name: &'static str, flows: impl Iterator<Item = &'a Flow>, fared: &[&Outcome]) -> Class {
    let mut class = Class { class: name, flows: fared.len() as u64, ..Class::default() };
    for flow in flows {
        class.bytes += u64::from(flow.arrival.bytes);
        class.deadlines += u64::from(flow.limit < Picos::MAX);
        class.packets += flow.count.sent;
        class.retransmissions += flow.count.again;
        class.timeouts += u64::from(flow.sender.timeouts());
        class.dropped += flow.count.dropped;
        class.cloned += flow.count.cloned;
        class.diverted += flow.count.diverted;
    }
    let mut times: Vec<u64> = fared.iter().filter_map(|o| o.took).map(|took| took / NANOSECOND).collect();
    let mut slow: Vec<f64> = fared.iter().filter_map(|o| o.slowdown).collect();
    times.sort_unstable();
    slow.sort_unstable_by(f64::total_cmp);
    class.completed = times.len() as u64;
    class.violations = fared.iter().filter(|o| o.violated).count() as u64;
    let mean = times.iter().map(|&t| u128::from(t)).sum::<u128>() / times.len().max(1) as u128;
    class.completion_ns = spread(&times, mean as u64);
    class.slowdown = spread(&slow, slow.iter().sum::<f64>() / slow.len().max(1) as f64);
    class
}

/// The percentiles of sorted values.
fn spread<T: Copy + Default>(sorted: &[T], mean: T) -> Spread<T> {
    let at = |percent: usize| {
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied().unwrap_or_default()
    };
    Spread { mean, p50: at(50), p90: at(90), p99: at(99), max: at(100) }
}

fn tiers(topology: &Topology, links: &[Link], now: Picos) -> Vec<Tier> {
    let name = |tier: usize| if tier == 0 { "host" } else { tier_name(tier as u8) };
    let mut tiers = Vec::new();
    for tier in 0..topology.tiers() {
        for up in [true, false] {
            let these: Vec<&Link> = (0u32..)
                .zip(links)
                .filter(|(id, _)| topology.tier_of(*id) == tier && Topology::is_up(*id) == up)
                .map(|(_, link)| link)
                .collect();
            let load = |link: &&Link| link.count.busy as f64 / now.max(1) as f64;
            let (from, to) = if up { (name(tier), name(tier + 1)) } else { (name(tier + 1), name(tier)) };
            tiers.push(Tier {
                links: format!("{from}-{to}"),
                count: these.len() as u64,
                mean_load: these.iter().map(load).sum::<f64>() / these.len().max(1) as f64,
                most_load: these.iter().map(load).fold(0.0, f64::max),
                most_queued: these.iter().map(|link| link.count.most_queued).max().unwrap_or(0),
                dropped: these.iter().map(|link| link.count.dropped).sum(),
            });
        }
    }
    tiers
}
