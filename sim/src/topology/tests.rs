use super::*;
use crate::quantity::MICROSECOND;
use proptest::prelude::*;
use std::collections::BTreeSet;

pub(crate) fn shape(hosts_per_leaf: u32, leaves: u32, spines: u32, extensions: &[(u32, u32)]) -> Shape {
    let cable = Cable { rate: "10gbit".parse().expect("a rate"), delay: MICROSECOND, queue: 200_000 };
    let extensions = extensions.iter().map(|&(pods, switches)| Extension { pods, switches }).collect();
    Shape { hosts_per_leaf, leaves, spines, extensions, edge: cable, host_queue: 2_000_000, fabric: cable }
}

#[test]
fn a_leaf_spine_network_has_a_thousand_nodes() {
    let topology = Topology::new(shape(24, 39, 12, &[])).expect("a network");
    assert_eq!((topology.hosts(), topology.nodes()), (936, 936 + 39 + 12));
    assert_eq!(topology.ends().len(), 2 * (936 + 39 * 12));
    assert_eq!(topology.role(935), Role::Host);
    assert_eq!(topology.role(936), Role::Switch(1));
    assert_eq!(topology.name(936 + 39), "spine-0");
    assert_eq!(topology.named("spine-11"), Some(986..987));
    assert_eq!(topology.named("spines"), Some(975..987));
    assert_eq!(topology.named("spine-12"), None);
    assert_eq!(topology.named("cores"), None);
}

#[test]
fn paths_are_as_long_as_their_hosts_are_apart() {
    // Two pods of two leaves and two spines; two cores for each place of a spine; then two of that.
    let topology = Topology::new(shape(2, 2, 2, &[(2, 2), (2, 3)])).expect("a network");
    assert_eq!(topology.hosts(), 16);
    for (b, links) in [(1, 2), (2, 4), (4, 6), (8, 8)] {
        assert_eq!(topology.route(0, b, &[1, 1, 2]).links().len(), links, "to host {b}");
    }
}

#[test]
fn a_network_that_is_none_is_refused() {
    let error = |shape| Topology::new(shape).expect_err("no network").to_string();
    assert!(error(shape(0, 2, 2, &[])).starts_with("hosts_per_leaf is 0"));
    assert!(error(shape(1, 1, 1, &[(2, 0)])).starts_with("pods or switches"));
    assert!(error(shape(1, 1, 1, &[(1, 1); 4])).starts_with("6 tiers"));
    assert!(error(shape(u32::MAX, u32::MAX, 2, &[(u32::MAX, u32::MAX); 3])).contains("nodes: a million"));
    assert!(error(shape(1, 10_000, 10_000, &[])).contains("links: four million"));
}

proptest! {
    /// A path leads from link to link to its destination, its reverse is the same path backwards, and different
    /// ways up are different paths.
    #[test]
    fn every_path_leads_there_and_back(
        (hosts, leaves, spines) in (1u32..4, 1u32..4, 1u32..4),
        extensions in proptest::collection::vec((1u32..4, 1u32..4), 0..3),
        (a, b, ways) in (any::<u32>(), any::<u32>(), proptest::collection::vec(0u32..4, 4)),
    ) {
        let topology = Topology::new(shape(hosts, leaves, spines, &extensions)).expect("a network");
        let (a, b) = (a % topology.hosts(), b % topology.hosts());
        let ends = topology.ends();
        let route = topology.route(a, b, &ways);
        let mut at = a;
        for link in route.links() {
            prop_assert_eq!(ends[*link as usize].from, at);
            at = ends[*link as usize].to;
        }
        prop_assert_eq!(at, b);
        let back: Vec<u32> = topology.route(b, a, &ways).links().iter().rev().map(|link| link ^ 1).collect();
        prop_assert_eq!(route.links(), &back[..]);
        let meeting = topology.meeting(a, b);
        let mut all = BTreeSet::new();
        let mut count = 1;
        for tier in 1..meeting {
            count *= topology.ways(tier);
        }
        for mut k in 0..count {
            let ways: Vec<u32> = (1..meeting).map(|tier| {
                let way = k % topology.ways(tier);
                k /= topology.ways(tier);
                way
            }).collect();
            all.insert(topology.route(a, b, &ways).links().to_vec());
        }
        prop_assert_eq!(all.len() as u32, count);
        let ids: BTreeSet<(u32, u32)> = ends.iter().map(|ends| (ends.from, ends.to)).collect();
        prop_assert_eq!(ids.len(), ends.len());
    }
}
