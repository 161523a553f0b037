//! SMART in the network, as a model: what nodes notice, what the controller decides, flows on two routes, merge points.
//!
//! The decisions are those of the crate `smart`. A node notices that a packet of a priority flow meets a soft limit; after
//! the time that the controller and the rules take, the flow has its detour. Packets of the model stand for those of the
//! NFs: no frame is built.

mod merge;
#[cfg(test)]
mod tests;

pub use merge::{Merge, Merged};

use crate::flow::Flow;
use crate::packet::Packet;
use crate::quantity::{NANOSECOND, Picos};
use crate::topology::{LinkId, MOST_TIERS, NodeId, Topology};
use smart::enhancer::{self, Detour, Enhancer, Settings};
use smart::policy::{Limits, Measured, Policy, Scope, Soft, Threshold, Way};
use std::collections::BTreeMap;

/// What SMART does in a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Terms {
    /// What is done for flows.
    pub way: Way,
    /// Soft limits.
    pub soft: Soft,
    /// The longest time that a packet may wait before one link; `None` for any.
    pub latency: Option<Picos>,
    /// From the notice to the rule.
    pub reaction: Picos,
    /// How long a link that was to blame is avoided by flows that begin.
    pub follow: Picos,
    /// How long a merge point waits for what is missing.
    pub hold: Picos,
}

/// A flow's detour, as its nodes have it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Beside its own route, or instead.
    pub way: Way,
    /// The node where it leaves.
    pub from: NodeId,
    /// The first byte that does.
    pub packet: u32,
    /// The number of its other route.
    pub route: u8,
    /// The node where both meet.
    pub to: NodeId,
    /// What that node knows.
    pub merge: Merge,
}

/// What a node noticed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Notice {
    measured: Measured,
    sent: u64,
    link: LinkId,
}

/// The controller and what nodes told it.
#[derive(Clone, Debug)]
pub struct Smart {
    /// What it does.
    pub terms: Terms,
    enhancer: Enhancer,
    notices: BTreeMap<u32, Notice>,
    /// How long packets waited before a link when that was told last.
    waited: BTreeMap<LinkId, u64>,
    /// Flows that got a detour while they were under way, and from their begin on.
    pub detours: [u64; 2],
    /// Notices that came.
    pub noticed: u64,
    /// Packets of flows on two routes that were not sent where they would have waited: see [`Smart::yields`].
    pub yielded: u64,
}

/// What the controller knows of the network.
struct View<'a> {
    topology: &'a Topology,
    waited: &'a BTreeMap<LinkId, u64>,
}

impl enhancer::Network for View<'_> {
    fn waiting(&self, link: LinkId) -> u64 {
        self.waited.get(&link).copied().unwrap_or(0)
    }

    fn routes(&self, from: NodeId, route: &enhancer::Route) -> Vec<enhancer::Route> {
        let (Some(a), Some(b)) = (route.nodes.first(), route.nodes.last()) else { return Vec::new() };
        let Some(place) = route.nodes.iter().position(|node| *node == from) else { return Vec::new() };
        let all = all_ways(self.topology, *a, *b).map(|ways| route_of(self.topology, *a, *b, &ways));
        let through = all.filter(|other| other.nodes.get(..=place) == route.nodes.get(..=place));
        let rest = |other: enhancer::Route| enhancer::Route {
            nodes: other.nodes[place..].to_vec(),
            links: other.links[place..].to_vec(),
        };
        through.map(rest).collect()
    }
}

/// All ways up between two hosts.
fn all_ways(topology: &Topology, a: NodeId, b: NodeId) -> impl Iterator<Item = Vec<u32>> + use<> {
    let counts: Vec<u32> = (1..topology.meeting(a, b)).map(|tier| topology.ways(tier)).collect();
    let all: u32 = counts.iter().product();
    (0..all).map(move |mut number| {
        let digit = |count: &u32| {
            let way = number % count;
            number /= count;
            way
        };
        counts.iter().map(digit).collect()
    })
}

fn route_of(topology: &Topology, a: NodeId, b: NodeId, ways: &[u32]) -> enhancer::Route {
    let links = topology.route(a, b, ways).links().to_vec();
    let mut nodes = Vec::with_capacity(2 * MOST_TIERS + 1);
    nodes.push(a);
    nodes.extend(links.iter().map(|link| topology.ends()[*link as usize].to));
    enhancer::Route { nodes, links }
}

impl Smart {
    /// A controller that knows nothing yet.
    pub fn new(terms: Terms) -> Smart {
        let settings =
            Settings { soft: terms.soft, follow: terms.follow / NANOSECOND, ..Settings::default() };
        Smart {
            terms,
            enhancer: Enhancer::new(settings),
            notices: BTreeMap::new(),
            waited: BTreeMap::new(),
            detours: [0; 2],
            noticed: 0,
            yielded: 0,
        }
    }

    fn limits(&self, flow: &Flow) -> Limits {
        Limits {
            completion: (flow.limit < Picos::MAX).then_some(flow.limit / NANOSECOND),
            throughput: None,
            latency: self.terms.latency.map(|latency| latency / NANOSECOND),
        }
    }

    /// A priority flow begins.
    pub fn begin(&mut self, number: u32, flow: &mut Flow, now: Picos, topology: &Topology) {
        let limits = self.limits(flow);
        let told = enhancer::Flow {
            id: number.into(),
            route: route_of(topology, flow.arrival.from, flow.arrival.to, &flow.ways),
            policies: vec![Policy { scope: Scope::System, limits, way: self.terms.way }],
            size: Some(flow.arrival.bytes.into()),
            begun: now / NANOSECOND,
        };
        let view = View { topology, waited: &self.waited };
        if let Some(detour) = self.enhancer.begin(told, now / NANOSECOND, &view) {
            self.detours[1] += 1;
            self.set(flow, &detour, topology);
        }
    }

    /// A packet of a flow is about to wait so long before a link. Whether the controller is to hear of it: once per flow,
    /// and again if it waits on its second route.
    pub fn notice(
        &mut self,
        number: u32,
        flow: &Flow,
        (link, waits): (LinkId, Picos),
        sent: u32,
        now: Picos,
    ) -> bool {
        let waits = waits / NANOSECOND;
        let already = flow.plan.is_some() && self.waited.get(&link).is_some_and(|told| *told > 0);
        if already || self.notices.contains_key(&number) || (flow.plan.is_none() && flow.noticed) {
            return false;
        }
        let elapsed = (now - flow.arrival.at) / NANOSECOND;
        let measured = Measured { elapsed, throughput: None, latency: waits };
        match self.limits(flow).threshold(self.terms.soft, &measured) {
            Some(Threshold::Latency) => {}
            Some(_) if flow.plan.is_none() => {}
            _ => return false,
        }
        self.noticed += 1;
        self.notices.insert(number, Notice { measured, sent: sent.into(), link });
        true
    }

    /// Whether a packet on its flow's first route, of which a copy is under way on the second, is not worth to wait for:
    /// where others wait as long as the soft limit, it would only be in their way. Its flow hears of no loss there and
    /// would never slow down.
    pub fn yields(&self, plan: &Plan, packet: &Packet, waits: Picos) -> bool {
        let copied = plan.way != Way::Divert && packet.route == 0 && packet.number >= plan.packet;
        copied && self.terms.latency.is_some_and(|latency| waits >= self.terms.soft.of(latency))
    }

    /// The controller has heard of a flow.
    pub fn decide(&mut self, number: u32, flow: &mut Flow, now: Picos, topology: &Topology) {
        let Some(Notice { measured, sent, link }) = self.notices.remove(&number) else { return };
        self.waited.insert(link, measured.latency);
        let view = View { topology, waited: &self.waited };
        let detour = self.enhancer.noticed(number.into(), &measured, sent, now / NANOSECOND, &view);
        if let Some(detour) = detour {
            self.detours[0] += 1;
            self.set(flow, &detour, topology);
        }
    }

    /// All of a flow is there.
    pub fn end(&mut self, number: u32, flow: &Flow, now: Picos) {
        self.enhancer.received(number.into(), flow.arrival.bytes.into(), now / NANOSECOND);
    }

    fn set(&self, flow: &mut Flow, detour: &Detour, topology: &Topology) {
        let (a, b) = (flow.arrival.from, flow.arrival.to);
        let same = |ways: &Vec<u32>| {
            let route = topology.route(a, b, ways);
            // Up to the breakpoint it is the flow's own.
            let shared = route.links().len() - detour.to.route.links.len();
            route.links().ends_with(&detour.to.route.links)
                && route.links()[..shared] == flow.routes[0].links()[..shared]
        };
        let found = all_ways(topology, a, b).find(same);
        let Some(route) = found.and_then(|ways| flow.route_by(&ways, topology)) else { return };
        // What is acknowledged has passed; the node sees the acknowledgements too. After a second detour it goes on with
        // what it knows.
        let merge = flow.plan.take().map_or_else(|| Merge::new(flow.receiver.next()), |plan| plan.merge);
        flow.plan = Some(Box::new(Plan {
            way: detour.way,
            from: detour.from.node,
            packet: u32::try_from(detour.from.packet).unwrap_or(u32::MAX),
            route,
            to: detour.to.node,
            merge,
        }));
    }
}
