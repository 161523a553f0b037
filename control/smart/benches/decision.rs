//! How long a decision takes, in a leaf-spine network as wide as the experiment's.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use smart::Nanos;
use smart::enhancer::{Enhancer, Flow, LinkId, Network, NodeId, Route, Settings};
use smart::policy::{Limits, Measured, Policy, Scope, Way};
use std::hint::black_box;

const SPINES: u32 = 12;
const MS: Nanos = 1_000_000;

struct LeafSpine;

fn through(spine: u32) -> Route {
    let nodes = vec![0, 1000, 2000 + spine, 1001, 1];
    let links = vec![0, 100 + spine, 200 + spine, 1];
    Route { nodes, links }
}

impl Network for LeafSpine {
    fn waiting(&self, link: LinkId) -> Nanos {
        if link == 203 { MS } else { Nanos::from(link % 7) }
    }

    fn routes(&self, from: NodeId, route: &Route) -> Vec<Route> {
        let Some(place) = route.nodes.iter().position(|node| *node == from) else { return Vec::new() };
        let whole = (0..SPINES).map(through);
        let same = whole.filter(|other| other.nodes[place] == from);
        same.map(|other| Route { nodes: other.nodes[place..].to_vec(), links: other.links[place..].to_vec() })
            .collect()
    }
}

fn flow(id: u64) -> Flow {
    let limits = Limits { completion: Some(10 * MS), throughput: None, latency: Some(MS) };
    let own = Limits { completion: Some(5 * MS), ..limits };
    let policies = vec![
        Policy { scope: Scope::System, limits, way: Way::Divert },
        Policy { scope: Scope::Tenant(1), limits: own, way: Way::Clone },
    ];
    Flow { id, route: through(3), policies, size: None, begun: 0 }
}

fn decisions(criterion: &mut Criterion) {
    let mut enhancer = Enhancer::new(Settings::default());
    for id in 0..10_000 {
        enhancer.begin(flow(id), 0, &LeafSpine);
    }
    let waited = Measured { elapsed: MS, throughput: None, latency: MS };
    criterion.bench_function("a notice to its detour, among 10 000 flows", |bencher| {
        bencher.iter_batched_ref(
            || enhancer.clone(),
            |enhancer| black_box(enhancer.noticed(5_000, &waited, 50_000, MS, &LeafSpine)),
            BatchSize::LargeInput,
        );
    });
    let mut warned = enhancer.clone();
    warned.noticed(1, &waited, 0, MS, &LeafSpine);
    criterion.bench_function("a flow that follows", |bencher| {
        bencher.iter_batched_ref(
            || (warned.clone(), flow(20_000)),
            |(enhancer, flow)| black_box(enhancer.begin(flow.clone(), 2 * MS, &LeafSpine)),
            BatchSize::LargeInput,
        );
    });
}

criterion_group!(benches, decisions);
criterion_main!(benches);
