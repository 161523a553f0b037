//! Algorithms 1 and 2: the Enhancer.
//!
//! `SMARTRoute` is a loop over the life of a flow. Here it is a state per flow, and what happens to the flow moves it on:
//!
//! | Algorithm 1 | here |
//! |---|---|
//! | 3 `BaseRoutingAlgorithm` | the route that [`Enhancer::begin`] is told |
//! | 4 `isThresholdMet` | [`Enhancer::noticed`]: a node reports, and [`crate::policy::Limits::threshold`] is asked |
//! | 5 `markBreakPoint` (Algorithm 2) | [`mark_break_point`] |
//! | 6 `findCloneDest` | [`find_clone_dest`] |
//! | 7 `cloneFlow` | [`clone_flow`]: the rule for the node |
//! | 8 `status.update` | [`Status::Detoured`] |
//! | 9, 10 `allReceived`, `mergeFlows` | [`Enhancer::received`], [`merge_flows`]: the rules are taken back |

mod algorithms;
#[cfg(test)]
mod tests;

pub use algorithms::{Facts, clone_flow, find_clone_dest, mark_break_point, merge_flows};

use crate::Nanos;
use crate::history::History;
use crate::policy::{Measured, Policy, Soft, Way, compromise};
use std::collections::BTreeMap;

/// A node, by the network's own number.
pub type NodeId = u32;
/// A one-way link, by the network's own number.
pub type LinkId = u32;
/// A flow, by any number that is its own while it lives.
pub type FlowId = u64;

/// A way through the network: `links[i]` leads from `nodes[i]` to `nodes[i + 1]`.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Route {
    /// Its nodes, first and last included.
    pub nodes: Vec<NodeId>,
    /// Its links, one fewer.
    pub links: Vec<LinkId>,
}

/// What a controller knows of its network.
pub trait Network {
    /// How long a packet waits before a link; what nobody reported is 0. A link that is down: the largest number.
    fn waiting(&self, link: LinkId) -> Nanos;

    /// All routes from a node that lies on `route` to its end, the rest of `route` itself among them.
    fn routes(&self, from: NodeId, route: &Route) -> Vec<Route>;
}

/// A flow as the Enhancer is told of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flow {
    /// Its number.
    pub id: FlowId,
    /// Where base routing sends it.
    pub route: Route,
    /// All policies that apply to it.
    pub policies: Vec<Policy>,
    /// Its bytes, if its tenant has said.
    pub size: Option<u64>,
    /// When it began.
    pub begun: Nanos,
}

/// From where on a flow gets another route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BreakPoint {
    /// The node that sends it there.
    pub node: NodeId,
    /// The first byte of the flow that goes there.
    pub packet: u64,
    /// The link that is to blame, if one is.
    pub blamed: Option<LinkId>,
}

/// Where the two meet again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CloneDest {
    /// The node.
    pub node: NodeId,
    /// The other route, from the breakpoint's node to the flow's end.
    pub route: Route,
}

/// The rules for a flow with two routes: what the node of its breakpoint and that of its clone destination are told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Detour {
    /// The flow.
    pub flow: FlowId,
    /// Whether the flow goes the other way too, or instead.
    pub way: Way,
    /// From where on.
    pub from: BreakPoint,
    /// To where, and how.
    pub to: CloneDest,
}

/// A rule that has done its work: both nodes forget the flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Merged {
    /// The flow.
    pub flow: FlowId,
    /// The node of its breakpoint.
    pub from: NodeId,
    /// Its clone destination.
    pub to: NodeId,
}

/// How a flow stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Status {
    /// On the route of base routing.
    Base,
    /// On two routes, or on another one.
    Detoured(Detour),
    /// A threshold was met, and no other route could help.
    Left,
}

/// What can be set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Soft limits.
    pub soft: Soft,
    /// How long a link that was to blame is avoided by flows that begin.
    pub follow: Nanos,
    /// Tenths of standard deviations on top of the mean pace that the break policy counts with.
    pub margin: u32,
    /// Flows that are kept at once; more are left to base routing.
    pub most_flows: usize,
}

impl Default for Settings {
    fn default() -> Self {
        let soft = Soft::new(500).unwrap_or(Soft::ALL);
        Settings { soft, follow: 100_000_000, margin: 10, most_flows: 100_000 }
    }
}

/// A flow and how it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Known {
    flow: Flow,
    policy: Option<Policy>,
    status: Status,
}

/// The Enhancer: all flows that have priority, and which links were to blame.
#[derive(Clone, Debug)]
pub struct Enhancer {
    settings: Settings,
    flows: BTreeMap<FlowId, Known>,
    /// Until when links are avoided.
    blamed: BTreeMap<LinkId, Nanos>,
    /// Flows that have ended.
    pub history: History,
}

impl Enhancer {
    /// An Enhancer that knows nothing yet.
    pub fn new(settings: Settings) -> Enhancer {
        Enhancer { settings, flows: BTreeMap::new(), blamed: BTreeMap::new(), history: History::default() }
    }

    /// A priority flow begins. If a link of its route is to blame for others, it gets another route from its first packet
    /// on: in place of its own if its policy diverts, beside it if it clones or replicates.
    pub fn begin(&mut self, flow: Flow, now: Nanos, network: &impl Network) -> Option<Detour> {
        if self.flows.len() >= self.settings.most_flows && !self.flows.contains_key(&flow.id) {
            return None;
        }
        self.blamed.retain(|_, until| *until > now);
        let policy = compromise(&flow.policies);
        let blamed = flow.route.links.iter().copied().find(|link| self.blamed.contains_key(link));
        let detour = blamed.zip(policy).and_then(|(blamed, policy)| {
            let from = BreakPoint { packet: 0, ..algorithms::before(&flow.route, blamed, 0, network)? };
            let to = find_clone_dest(
                flow.id,
                &flow.route,
                &from,
                |link| self.blamed.contains_key(&link),
                network,
            )?;
            Some(clone_flow(flow.id, policy.way, from, to))
        });
        let status = detour.clone().map_or(Status::Base, Status::Detoured);
        self.flows.insert(flow.id, Known { flow, policy, status });
        detour
    }

    /// A node reports how a flow fares, of which `sent` bytes have passed. The rules to set, if a threshold is met and
    /// another route can help. A flow that has one already gets the next if a link of that one is to blame.
    pub fn noticed(
        &mut self,
        flow: FlowId,
        measured: &Measured,
        sent: u64,
        now: Nanos,
        network: &impl Network,
    ) -> Option<Detour> {
        let known = self.flows.get_mut(&flow)?;
        let policy = known.policy?;
        policy.limits.threshold(self.settings.soft, measured)?;
        let from = match &known.status {
            Status::Base => {
                let Settings { soft, margin, .. } = self.settings;
                let facts = Facts { measured, sent, soft, margin, history: &self.history };
                mark_break_point(&known.flow, &policy, &facts, network)
            }
            Status::Detoured(detour) => {
                let too_long = policy.limits.latency.map_or(Nanos::MAX, |limit| self.settings.soft.of(limit));
                let links = &detour.to.route.links;
                let blamed = links.iter().copied().find(|link| network.waiting(*link) >= too_long)?;
                Some(BreakPoint { node: detour.from.node, packet: sent, blamed: Some(blamed) })
            }
            Status::Left => return None,
        };
        if let Some(link) = from.and_then(|from| from.blamed) {
            self.blamed.insert(link, now.saturating_add(self.settings.follow));
        }
        // Replicating is for flows that follow: this one has begun already.
        let begun = known.status == Status::Base;
        let from = from.filter(|_| policy.way != Way::Replicate || !begun);
        let avoided = |link| self.blamed.get(&link).is_some_and(|until| *until > now);
        let to = from.and_then(|from| find_clone_dest(flow, &known.flow.route, &from, avoided, network));
        let detour = from.zip(to).map(|(from, to)| clone_flow(flow, policy.way, from, to));
        match &detour {
            Some(detour) => known.status = Status::Detoured(detour.clone()),
            None if begun => known.status = Status::Left,
            None => {}
        }
        detour
    }

    /// All packets of a flow have come to its clone destination or its end: what was set is taken back. What it took
    /// says something of the network if it kept its route.
    pub fn received(&mut self, flow: FlowId, bytes: u64, now: Nanos) -> Option<Merged> {
        let known = self.flows.remove(&flow)?;
        match known.status {
            Status::Detoured(detour) => Some(merge_flows(&detour)),
            Status::Base | Status::Left => {
                self.history.add(bytes, now.saturating_sub(known.flow.begun));
                None
            }
        }
    }

    /// How a flow stands.
    pub fn status(&self, flow: FlowId) -> Option<&Status> {
        self.flows.get(&flow).map(|known| &known.status)
    }

    /// Links that are to blame, and until when they are avoided.
    pub fn blamed(&self) -> impl Iterator<Item = (LinkId, Nanos)> {
        self.blamed.iter().map(|(link, until)| (*link, *until))
    }
}
