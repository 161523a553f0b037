use super::*;
use crate::policy::{Limits, Scope};

const MS: Nanos = 1_000_000;

/// Host 0 on leaf 10, host 1 on leaf 11, spines 20 to 22. The link from node a to node b is a * 100 + b.
struct LeafSpine {
    waiting: BTreeMap<LinkId, Nanos>,
}

fn by(nodes: &[NodeId]) -> Route {
    Route { nodes: nodes.to_vec(), links: nodes.windows(2).map(|pair| pair[0] * 100 + pair[1]).collect() }
}

fn through(spine: NodeId) -> Route {
    by(&[0, 10, spine, 11, 1])
}

impl Network for LeafSpine {
    fn waiting(&self, link: LinkId) -> Nanos {
        self.waiting.get(&link).copied().unwrap_or(0)
    }

    fn routes(&self, from: NodeId, route: &Route) -> Vec<Route> {
        let rest = |whole: Route| {
            let place = whole.nodes.iter().position(|node| *node == from)?;
            Some(Route { nodes: whole.nodes[place..].to_vec(), links: whole.links[place..].to_vec() })
        };
        let mut routes: Vec<Route> = (20..23).filter_map(|spine| rest(through(spine))).collect();
        routes.dedup();
        assert!(routes.iter().any(|other| route.links.ends_with(&other.links)));
        routes
    }
}

fn network(waiting: &[(LinkId, Nanos)]) -> LeafSpine {
    LeafSpine { waiting: waiting.iter().copied().collect() }
}

fn flow(id: FlowId, way: Way, size: Option<u64>) -> Flow {
    let limits = Limits { completion: Some(10 * MS), throughput: None, latency: Some(MS) };
    let policies = vec![Policy { scope: Scope::System, limits, way }];
    Flow { id, route: through(20), policies, size, begun: 0 }
}

const LATE: Measured = Measured { elapsed: 6 * MS, throughput: None, latency: 0 };
const WAITED: Measured = Measured { elapsed: MS, throughput: None, latency: MS };

#[test]
fn nothing_is_done_before_a_threshold_is_met() {
    let network = network(&[(1020, 9 * MS)]);
    let mut enhancer = Enhancer::new(Settings::default());
    assert_eq!(enhancer.begin(flow(1, Way::Clone, None), 0, &network), None);
    let fine = Measured { elapsed: MS, throughput: None, latency: MS / 4 };
    assert_eq!(enhancer.noticed(1, &fine, 1000, MS, &network), None);
    assert_eq!(enhancer.status(1), Some(&Status::Base));
}

#[test]
fn the_node_before_the_link_that_is_to_blame_clones_from_the_current_packet() {
    let mut network = network(&[(1020, MS), (1021, 10)]);
    let mut enhancer = Enhancer::new(Settings::default());
    enhancer.begin(flow(1, Way::Clone, None), 0, &network);
    let detour = enhancer.noticed(1, &WAITED, 50_000, MS, &network).expect("a detour");
    assert_eq!(detour.from, BreakPoint { node: 10, packet: 50_000, blamed: Some(1020) });
    // Spine 21 has a queue already; both meet at the other leaf.
    assert_eq!(detour.to, CloneDest { node: 11, route: by(&[10, 22, 11, 1]) });
    assert_eq!(detour.way, Way::Clone);
    // No link of its second route is to blame: that stays.
    assert_eq!(enhancer.noticed(1, &WAITED, 60_000, 2 * MS, &network), None);
    // Now one is, and the next best is taken.
    network.waiting.insert(2211, MS);
    let next = enhancer.noticed(1, &WAITED, 60_000, 2 * MS, &network).expect("the next");
    assert_eq!(next.from, BreakPoint { node: 10, packet: 60_000, blamed: Some(2211) });
    assert_eq!(next.to.route, by(&[10, 21, 11, 1]));
    assert_eq!(enhancer.received(1, 100_000, 3 * MS), Some(Merged { flow: 1, from: 10, to: 11 }));
    assert_eq!(enhancer.status(1), None);
}

#[test]
fn a_link_behind_the_last_choice_is_avoided_where_there_was_one() {
    // From spine 20 there is one way down: the leaf before it has the choice.
    let network = network(&[(2011, MS)]);
    let mut enhancer = Enhancer::new(Settings::default());
    enhancer.begin(flow(1, Way::Divert, None), 0, &network);
    let detour = enhancer.noticed(1, &WAITED, 0, MS, &network).expect("a detour");
    assert_eq!((detour.from.node, detour.from.blamed, detour.way), (10, Some(2011), Way::Divert));
}

#[test]
fn where_there_is_no_way_round_the_flow_is_left_to_base_routing() {
    // The last link to the host.
    let network = network(&[(1101, MS)]);
    let mut enhancer = Enhancer::new(Settings::default());
    enhancer.begin(flow(1, Way::Clone, None), 0, &network);
    assert_eq!(enhancer.noticed(1, &WAITED, 0, MS, &network), None);
    assert_eq!(enhancer.status(1), Some(&Status::Left));
    assert_eq!(enhancer.received(1, 1000, 2 * MS), None);
}

#[test]
fn without_a_link_to_blame_the_breakpoint_is_estimated() {
    let network = network(&[]);
    let mut enhancer = Enhancer::new(Settings::default());
    // Flows take 1 ns a byte as a rule.
    for _ in 0..10 {
        enhancer.history.add(1_000_000, 1_000_000);
    }
    enhancer.begin(flow(1, Way::Clone, Some(4_000_000)), 0, &network);
    // 2 MB in 6 ms: 2 MB more would take 6 ms, 4 are left, 2 of them spare, at 2 ns lost per byte.
    let detour = enhancer.noticed(1, &LATE, 2_000_000, 6 * MS, &network).expect("a detour");
    // The host has one link; the first node with another way is its leaf.
    assert_eq!(detour.from, BreakPoint { node: 10, packet: 3_000_000, blamed: None });
    assert_eq!(detour.to.node, 11);
    // A short rest goes at once.
    enhancer.begin(flow(3, Way::Clone, Some(2_060_000)), 0, &network);
    let detour = enhancer.noticed(3, &LATE, 2_000_000, 6 * MS, &network).expect("a detour");
    assert_eq!(detour.from.packet, 2_000_000);
    // A flow that is as fast as others has no use for another route.
    enhancer.begin(flow(2, Way::Clone, Some(100_000_000)), 0, &network);
    assert_eq!(enhancer.noticed(2, &LATE, 6_000_000, 6 * MS, &network), None);
}

#[test]
fn flows_that_follow_avoid_the_link_for_a_while() {
    let network = network(&[(1020, MS)]);
    for (way, at_once) in [(Way::Clone, true), (Way::Divert, true), (Way::Replicate, false)] {
        let mut enhancer = Enhancer::new(Settings { follow: 5 * MS, ..Settings::default() });
        assert_eq!(enhancer.begin(flow(1, way, None), 0, &network), None);
        assert_eq!(enhancer.noticed(1, &WAITED, 0, MS, &network).is_some(), at_once, "{way:?}");
        assert_eq!(enhancer.blamed().collect::<Vec<_>>(), [(1020, 6 * MS)]);
        let detour = enhancer.begin(flow(2, way, None), 2 * MS, &network).expect("it follows");
        assert_eq!((detour.from.node, detour.from.packet, detour.way), (10, 0, way));
        assert!(!detour.to.route.links.contains(&1020));
        assert_eq!(enhancer.begin(flow(3, way, None), 6 * MS, &network), None);
    }
}

#[test]
fn more_flows_than_are_kept_are_left_to_base_routing() {
    let network = network(&[(1020, MS)]);
    let mut enhancer = Enhancer::new(Settings { most_flows: 1, ..Settings::default() });
    enhancer.begin(flow(1, Way::Clone, None), 0, &network);
    enhancer.begin(flow(2, Way::Clone, None), 0, &network);
    assert_eq!(enhancer.noticed(2, &WAITED, 0, MS, &network), None);
    assert!(enhancer.noticed(1, &WAITED, 0, MS, &network).is_some());
}

#[test]
fn flows_that_are_sent_away_from_a_link_do_not_all_meet_on_the_next_one() {
    let network = network(&[(1020, MS)]);
    let mut enhancer = Enhancer::new(Settings::default());
    let mut through = BTreeMap::new();
    for id in 0..200 {
        enhancer.begin(flow(id, Way::Divert, None), 0, &network);
        let known = enhancer.status(id).cloned();
        let detour = match known {
            Some(Status::Detoured(detour)) => detour,
            _ => enhancer.noticed(id, &WAITED, 0, MS, &network).expect("a detour"),
        };
        *through.entry(detour.to.route.nodes[1]).or_insert(0) += 1;
    }
    assert_eq!(through.keys().copied().collect::<Vec<_>>(), [21, 22]);
    assert!(through.values().all(|count| (70..130).contains(count)), "{through:?}");
}
