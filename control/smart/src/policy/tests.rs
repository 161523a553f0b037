use super::*;
use proptest::prelude::*;

const MS: Nanos = 1_000_000;

fn policy(scope: Scope, completion: u64, throughput: u64, latency: u64, way: Way) -> Policy {
    let some = |value: u64| (value > 0).then_some(value);
    let limits =
        Limits { completion: some(completion), throughput: some(throughput), latency: some(latency) };
    Policy { scope, limits, way }
}

#[test]
fn a_soft_limit_is_met_before_the_hard_one() {
    let limits = Limits { completion: Some(10 * MS), throughput: Some(1000), latency: Some(MS) };
    let soft = Soft::new(500).expect("a share");
    let fine = Measured { elapsed: 5 * MS - 1, throughput: Some(2001), latency: MS / 2 - 1 };
    assert_eq!(limits.threshold(soft, &fine), None);
    for (measured, met) in [
        (Measured { elapsed: 5 * MS, ..fine }, Threshold::Completion),
        (Measured { throughput: Some(2000), ..fine }, Threshold::Throughput),
        (Measured { latency: MS / 2, ..fine }, Threshold::Latency),
        (Measured { elapsed: 9 * MS, latency: MS, ..fine }, Threshold::Latency),
    ] {
        assert_eq!(limits.threshold(soft, &measured), Some(met), "{measured:?}");
    }
    assert_eq!(limits.threshold(soft, &Measured { throughput: None, ..fine }), None);
    assert_eq!(Limits::default().threshold(soft, &Measured { elapsed: u64::MAX, ..fine }), None);
}

#[test]
fn a_share_is_from_a_thousandth_to_all() {
    assert_eq!(Soft::new(0), None);
    assert_eq!(Soft::new(1001), None);
    let all = Soft::new(1000).expect("a share");
    assert_eq!((all.of(u64::MAX), all.above(u64::MAX)), (u64::MAX, u64::MAX));
}

#[test]
fn the_policy_closest_to_the_flow_counts_unless_another_one_asks_for_more_at_no_more_cost() {
    let system = policy(Scope::System, 20 * MS, 0, 0, Way::Divert);
    let tenant = policy(Scope::Tenant(3), 10 * MS, 0, 0, Way::Clone);
    let own = policy(Scope::Flow(9), 0, 1000, 0, Way::Clone);
    // Each of these asks for something that no other one does, or costs less.
    assert_eq!(skyline(&[system, tenant, own]), [system, tenant, own]);
    assert_eq!(compromise(&[system, tenant, own]), Some(own));
    assert_eq!(compromise(&[system, tenant]), Some(tenant));
    // A system that promises more by less dominates.
    let strict = policy(Scope::System, 5 * MS, 2000, MS, Way::Divert);
    assert_eq!(skyline(&[strict, tenant, own]), [strict]);
    assert_eq!(compromise(&[tenant, own, strict]), Some(strict));
    assert_eq!(compromise(&[]), None);
}

proptest! {
    /// What is kept is not dominated; what is not kept is dominated by, or equal to, something kept.
    #[test]
    fn the_skyline_is_all_that_matters(
        drawn in proptest::collection::vec((0u64..4, 0u64..4, 0u64..4, 0u8..3), 0..12),
    ) {
        let ways = [Way::Divert, Way::Clone, Way::Replicate];
        let policies: Vec<Policy> = drawn.iter()
            .map(|&(a, b, c, way)| policy(Scope::System, a, b, c, ways[usize::from(way)]))
            .collect();
        let kept = skyline(&policies);
        prop_assert_eq!(kept.is_empty(), policies.is_empty());
        for a in &kept {
            prop_assert!(!policies.iter().any(|b| b.dominates(a)));
        }
        for a in &policies {
            prop_assert!(kept.iter().any(|b| b == a || b.dominates(a)));
        }
    }
}
