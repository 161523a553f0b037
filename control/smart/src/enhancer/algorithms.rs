//! The procedures that Algorithms 1 and 2 call.

use super::{BreakPoint, CloneDest, Detour, Flow, FlowId, LinkId, Merged, Network, NodeId, Route};
use crate::Nanos;
use crate::history::{History, Standing, break_after};
use crate::policy::{Measured, Policy, Soft, Way};

/// Bytes of a rest that is not worth an estimate: some initial windows.
const SHORT: u64 = 64_000;

/// What is known of a flow when its breakpoint is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// How it fares.
    pub measured: &'a Measured,
    /// Bytes of it that have passed.
    pub sent: u64,
    /// Soft limits.
    pub soft: Soft,
    /// Tenths of standard deviations on top of the mean pace.
    pub margin: u32,
    /// Flows that have ended.
    pub history: &'a History,
}

/// Algorithm 2. If a link of the route makes packets wait as long as the soft limit allows, it is to blame: the breakpoint
/// is the last node before it that has a way round it, and the current packet. If none does, many links are a bit full
/// or the flow is just long: the first node with another way, and the packet that the break policy estimates.
///
/// `None` when no node has another way, or no other way is faster.
pub fn mark_break_point(
    flow: &Flow,
    policy: &Policy,
    facts: &Facts<'_>,
    network: &impl Network,
) -> Option<BreakPoint> {
    let Facts { sent, soft, .. } = *facts;
    let too_long = policy.limits.latency.map_or(Nanos::MAX, |limit| soft.of(limit));
    for link in &flow.route.links {
        if network.waiting(*link) >= too_long {
            return before(&flow.route, *link, sent, network);
        }
    }
    let branches = |node: &NodeId| others(*node, &flow.route, network).next().is_some();
    let node = flow.route.nodes.iter().copied().find(branches)?;
    let packet = sent.saturating_add(estimate(flow, policy, facts)?);
    Some(BreakPoint { node, packet, blamed: None })
}

/// The break policy: how many bytes more may go by the flow's own route.
fn estimate(flow: &Flow, policy: &Policy, facts: &Facts<'_>) -> Option<u64> {
    let Facts { measured, sent, margin, history, .. } = *facts;
    let remaining = flow.size.map_or_else(|| history.remaining(sent), |size| size.saturating_sub(sent));
    // A short rest goes at once: what holds it up are losses, which no pace tells, and a second copy costs little.
    if remaining <= SHORT {
        return Some(0);
    }
    let here = (u128::from(measured.elapsed) * 1000).checked_div(u128::from(sent));
    let here = here.map_or(u64::MAX, |pace| u64::try_from(pace).unwrap_or(u64::MAX));
    // Before any flow has ended, the other way is hoped to be free.
    let there = history.pace(remaining).with_margin(margin).unwrap_or(0);
    let left = policy.limits.completion.map_or(0, |limit| limit.saturating_sub(measured.elapsed));
    break_after(Standing { remaining, left, here, there })
}

/// The last node of a route, up to where a link begins, that has a way round the link.
pub(super) fn before(
    route: &Route,
    blamed: LinkId,
    packet: u64,
    network: &impl Network,
) -> Option<BreakPoint> {
    let place = route.links.iter().position(|link| *link == blamed)?;
    let nodes = route.nodes.get(..=place)?;
    let round =
        |node: &&u32| network.routes(**node, route).iter().any(|other| !other.links.contains(&blamed));
    nodes.iter().rev().find(round).map(|node| BreakPoint { node: *node, packet, blamed: Some(blamed) })
}

/// The routes from a node that leave it by another link than the flow's own.
fn others<N: Network>(node: NodeId, route: &Route, network: &N) -> impl Iterator<Item = Route> + use<N> {
    let place = route.nodes.iter().position(|known| *known == node);
    let own = place.and_then(|place| route.links.get(place)).copied();
    let routes = if own.is_some() { network.routes(node, route) } else { Vec::new() };
    routes.into_iter().filter(move |other| other.links.first().copied() != own)
}

/// Where a flow that leaves its route at the breakpoint comes back to it: of all other routes from there the one whose
/// links make packets wait least, without those that are avoided; of equal ones the one that shares fewest links with
/// the flow's own, and of those any, but the same for the same flow: who is sent away from a link must not all meet on
/// the next one. Its clone destination is the first node that is on both.
pub fn find_clone_dest(
    flow: FlowId,
    route: &Route,
    from: &BreakPoint,
    avoided: impl Fn(LinkId) -> bool,
    network: &impl Network,
) -> Option<CloneDest> {
    let place = route.nodes.iter().position(|node| *node == from.node)?;
    let (own_nodes, own_links) = (&route.nodes[place + 1..], route.links.get(place..)?);
    let good = |other: &Route| {
        other.links != own_links
            && !other.links.iter().any(|link| avoided(*link) || from.blamed == Some(*link))
    };
    let others = network.routes(from.node, route).into_iter().filter(good);
    let best = others.min_by_key(|other| {
        let waiting = other.links.iter().fold(0u64, |sum, link| sum.saturating_add(network.waiting(*link)));
        let shared = other.links.iter().filter(|link| own_links.contains(link)).count();
        let any = other.links.iter().fold(flow, |hash, link| mixed(hash ^ u64::from(*link)));
        (waiting, shared, any)
    })?;
    let node = best.nodes.iter().skip(1).copied().find(|node| own_nodes.contains(node))?;
    Some(CloneDest { node, route: best })
}

/// The finalizer of SplitMix64.
fn mixed(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The rules of a clone or a diversion.
pub fn clone_flow(flow: FlowId, way: Way, from: BreakPoint, to: CloneDest) -> Detour {
    Detour { flow, way, from, to }
}

/// The rules to take back once the flow is whole again.
pub fn merge_flows(detour: &Detour) -> Merged {
    Merged { flow: detour.flow, from: detour.from.node, to: detour.to.node }
}
