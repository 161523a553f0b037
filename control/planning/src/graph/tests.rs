//! The thesis' figure, its counter-example, and what holds for every graph.

use super::*;
use crate::pagination::{Effort, Solver};
use proptest::prelude::*;
use std::time::Duration;

const QUICK: Effort = Effort { time: Duration::from_millis(400), seed: 1 };

/// Fig. 6.6: ten NFs, in an order in which they may stand in the chain.
const FIGURE: [usize; 10] = [1, 2, 3, 4, 7, 5, 6, 9, 8, 10];

fn figure(delay_of: impl Fn(usize) -> u64) -> Dag {
    let at = |nf: usize| FIGURE.iter().position(|other| *other == nf).unwrap();
    let mut edges = Vec::new();
    for nf in [2, 3, 4, 7] {
        edges.extend([(at(1), at(nf)), (at(nf), at(5))]);
    }
    for nf in [6, 8, 9] {
        edges.extend([(at(5), at(nf)), (at(nf), at(10))]);
    }
    Dag::new(FIGURE.iter().map(|nf| delay_of(*nf)).collect(), &edges).unwrap()
}

fn spec_delay(nf: usize) -> u64 {
    [10, 50, 30, 20, 20, 5, 60, 50, 5, 10][nf - 1]
}

fn numbers(nfs: &[usize]) -> Vec<usize> {
    nfs.iter().map(|nf| FIGURE[*nf]).collect()
}

#[test]
fn the_critical_path_of_the_figure_is_found_with_its_times() {
    let critical = figure(spec_delay).critical();
    assert_eq!(numbers(&critical.path), [1, 7, 5, 8, 10]);
    assert_eq!(critical.length, 150);
    let three = critical.times[FIGURE.iter().position(|nf| *nf == 3).unwrap()];
    assert_eq!([three.earliest_start, three.earliest_finish], [10, 40]);
    assert_eq!([three.latest_start, three.latest_finish], [40, 70]);
}

/// The figure's chains: the critical path, and those that fit one bin.
fn chains() -> Vec<Vec<usize>> {
    let numbered = [[1, 7, 5, 8, 10], [1, 2, 5, 6, 10], [1, 3, 5, 9, 10], [1, 4, 5, 6, 10]];
    let at = |nf: usize| FIGURE.iter().position(|other| *other == nf).unwrap();
    numbered.iter().map(|chain| chain.iter().map(|nf| at(*nf)).collect()).collect()
}

#[test]
fn the_figure_packs_into_two_bins() {
    let dag = figure(spec_delay);
    let instance = crate::pagination::Instance::new(150, dag.delays().to_vec(), &chains()).unwrap();
    let outcome = Solver::Exact.solve(&instance, QUICK);
    assert_eq!((outcome.solution.len(), outcome.is_optimal()), (2, true));
    assert!(outcome.solution.symbols(&instance).iter().all(|bin| instance.weight(bin) == 150));
}

#[test]
fn two_bins_of_150_are_190_when_each_nf_runs_once_and_are_split() {
    let dag = figure(spec_delay);
    let names: Vec<String> = FIGURE.iter().map(ToString::to_string).collect();
    // What the bins say before they are split.
    let two = "1 > (2 > 3 > 4 | 7) > 5 > (6 > 9 | 8) > 10";
    let of = |numbers: &[usize]| {
        Segment::series(numbers.iter().map(|nf| Segment::Nf(FIGURE.iter().position(|n| n == nf).unwrap())))
    };
    let joined = Segment::series([
        of(&[1]),
        Segment::parallel([of(&[2, 3, 4]), of(&[7])]),
        of(&[5]),
        Segment::parallel([of(&[6, 9]), of(&[8])]),
        of(&[10]),
    ]);
    assert_eq!(joined.text(&names), two);
    assert_eq!(joined.latency(dag.delays(), Costs::NONE), 190);
    assert_eq!(joined.check(&dag), Ok(()));

    let built = construct_from_paths(&dag, &chains(), 150, Solver::Exact, QUICK).unwrap();
    assert_eq!(built.segment.latency(dag.delays(), Costs::NONE), 150, "{}", built.segment.text(&names));
    assert_eq!((built.segment.operations(), built.splits), (3, 1));
    let points = frontier(&dag, Costs::NONE).unwrap();
    let [fastest, .., last] = &points[..] else { panic!("{points:?}") };
    assert_eq!((fastest.latency, fastest.operations), (150, 3));
    assert_eq!((last.latency, last.operations), (260, 0));
    assert!(points.iter().any(|point| point.latency <= 190 && point.operations == 2));
    assert_eq!(Segment::levels(&dag).operations(), 5);
}

#[test]
fn the_figures_two_chains_suffice_where_the_middle_has_room() {
    // Two small NFs for the large one: what is beside 7 takes no longer than it.
    let dag = figure(|nf| if nf == 2 { 10 } else { spec_delay(nf) });
    let built = construct_from_paths(&dag, &chains(), 150, Solver::Exact, QUICK).unwrap();
    let names: Vec<String> = FIGURE.iter().map(ToString::to_string).collect();
    assert_eq!(built.segment.text(&names), "1 > (2 > 3 > 4 | 7) > 5 > (6 > 9 | 8) > 10");
    assert_eq!(built.segment.latency(dag.delays(), Costs::NONE), 150);
    assert_eq!((built.bins.len(), built.splits, built.segment.operations()), (2, 0, 2));
}

#[test]
fn nfs_that_may_not_be_exchanged_stay_in_order_within_a_branch() {
    // 2 depends on 0; 1 may run beside both. In one branch it may only stand between them.
    let dag = Dag::new(vec![5, 5, 5], &[(0, 2)]).unwrap();
    let one_branch = Segment::series([Segment::Nf(0), Segment::Nf(2), Segment::Nf(1)]);
    assert_eq!(one_branch.check(&dag), Err(SegmentFault::Order(1, 2)));
    assert_eq!(one_branch.check(&dag.with_swaps(&[(1, 2)])), Ok(()));
}

#[test]
fn auto_stays_sequential_where_side_by_side_does_not_pay() {
    let costs = Costs { mirror: 10, handoff: 20, merge: 10 };
    let dag = Dag::new(vec![100, 10, 10], &[]).unwrap();
    let choice = choose(&dag, costs, None, QUICK);
    assert!(!choice.segment.is_parallel());
    assert_eq!(choice.latency, 120);
    assert_eq!(choice.reason, "side by side saves 20 and costs 20: 120 instead of 120");

    let dag = Dag::new(vec![1000, 900, 800], &[]).unwrap();
    let choice = choose(&dag, costs, None, QUICK);
    assert_eq!((choice.segment.operations(), choice.latency), (2, 1040));
    assert_eq!(choice.reason, "1040 instead of 2700: 61.5 % less, with 2 mirror/merge operations");

    let dag = Dag::new(vec![1000, 900], &[(0, 1)]).unwrap();
    assert_eq!(
        choose(&dag, costs, None, QUICK).reason,
        "each NF that takes time must wait for the one before it"
    );
}

#[test]
fn branches_beyond_the_cores_share_one() {
    let six = Segment::parallel((0..6).map(Segment::Nf));
    let delays = [300; 6];
    let names: Vec<String> = (0..6).map(|nf| format!("m{nf}")).collect();
    let text = |cores| six.within(cores, &delays).text(&names);
    assert_eq!(text(1), "m0 > m1 > m2 > m3 > m4 > m5");
    assert_eq!(text(2), "m0 > m2 > m4 | m1 > m3 > m5");
    assert_eq!(text(9), "m0 | m1 | m2 | m3 | m4 | m5");
    let nested = Segment::series([
        Segment::Nf(0),
        Segment::parallel([
            Segment::Nf(3),
            Segment::series([Segment::Nf(1), Segment::parallel([Segment::Nf(2), Segment::Nf(4)])]),
        ]),
    ]);
    assert_eq!(nested.within(2, &[1, 1, 1, 9, 1]).text(&names), "m0 > (m3 | m1 > m2 > m4)");

    // On two cores three take as long as the longer two of them.
    let dag = Dag::new(vec![1000, 900, 800], &[]).unwrap();
    let choice = choose(&dag, Costs::NONE, Some(2), QUICK);
    assert_eq!((choice.segment.operations(), choice.latency), (1, 1700));
}

#[test]
fn edges_that_lead_back_are_refused() {
    assert_eq!(Dag::new(vec![1, 1], &[(1, 0)]), Err(DagError::Edge(1, 0)));
    assert_eq!(Dag::new(vec![1], &[(0, 1)]), Err(DagError::Edge(0, 1)));
}

fn graphs() -> impl Strategy<Value = Dag> {
    (1usize..9).prop_flat_map(|count| {
        let pairs: Vec<(usize, usize)> = (1..count).flat_map(|b| (0..b).map(move |a| (a, b))).collect();
        let most = pairs.len();
        let edges = proptest::sample::subsequence(pairs, 0..=most);
        (proptest::collection::vec(0u64..100, count), edges)
            .prop_map(|(delays, edges)| Dag::new(delays, &edges).unwrap())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn every_plan_keeps_the_order_and_runs_each_nf_once(dag in graphs()) {
        let points = frontier(&dag, Costs::NONE).unwrap();
        let (bound, most) = (dag.critical().length, Segment::levels(&dag).operations());
        for point in &points {
            prop_assert_eq!(point.segment.check(&dag), Ok(()));
            prop_assert_eq!(point.segment.latency(dag.delays(), Costs::NONE), point.latency);
            prop_assert_eq!(point.segment.operations(), point.operations);
        }
        for solver in [Solver::FirstFit, Solver::OverloadRemove, Solver::OverloadRemovePresort] {
            let built = construct(&dag, solver, QUICK);
            prop_assert_eq!(built.segment.check(&dag), Ok(()));
            let latency = built.segment.latency(dag.delays(), Costs::NONE);
            let operations = built.segment.operations();
            prop_assert!(latency >= bound && latency <= dag.sequential());
            prop_assert!(operations <= most);
            // None is better than what is found exactly.
            prop_assert!(points.iter().any(|point| point.latency <= latency && point.operations <= operations));
        }
    }

    #[test]
    fn the_chosen_plan_is_never_slower_than_the_chain(dag in graphs(), each in 0u64..30) {
        let costs = Costs { mirror: each, handoff: 2 * each, merge: each };
        let choice = choose(&dag, costs, None, QUICK);
        prop_assert_eq!(choice.segment.check(&dag), Ok(()));
        prop_assert!(choice.latency <= dag.sequential());
        prop_assert_eq!(choice.segment.latency(dag.delays(), costs), choice.latency);
    }
}
