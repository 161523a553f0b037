use super::*;
use Affinity::{Any, Flow, Host, One};

fn stage(affinity: Affinity, positions: Range<usize>) -> Stage {
    Stage { rule: affinity.into(), positions }
}

#[test]
fn a_chain_is_cut_where_its_affinity_changes() {
    let rows: [(&[Affinity], Vec<Stage>); 6] = [
        (&[], vec![stage(Any, 0..0)]),
        (&[Any, Any], vec![stage(Any, 0..2)]),
        (&[Any, Flow, Any], vec![stage(Flow, 0..3)]),
        (&[Flow, Flow], vec![stage(Flow, 0..2)]),
        (&[Flow, Any, One, One], vec![stage(Flow, 0..2), stage(One, 2..4)]),
        (&[Host, Flow, Host], vec![stage(Host, 0..1), stage(Flow, 1..2), stage(Host, 2..3)]),
    ];
    for (path, expected) in rows {
        assert_eq!(stages(path.iter().map(|&affinity| affinity.into())), expected, "{path:?}");
    }
}

fn counts(buckets: &[u16; BUCKETS], workers: usize) -> Vec<usize> {
    (0..workers).map(|w| buckets.iter().filter(|&&b| usize::from(b) == w).count()).collect()
}

#[test]
fn buckets_are_spread_evenly() {
    for workers in [1, 2, 3, 7, 64] {
        let counts = counts(&spread(None, workers), workers);
        let (least, most) = (counts.iter().min(), counts.iter().max());
        assert_eq!(counts.iter().sum::<usize>(), BUCKETS);
        assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1), "{workers}: {counts:?}");
    }
}

#[test]
fn another_worker_takes_only_its_share() {
    let two = spread(None, 2);
    let three = spread(Some(&two), 3);
    let moved = two.iter().zip(three.iter()).filter(|(a, b)| a != b).count();
    assert_eq!(moved, counts(&three, 3)[2], "only what the third worker owns has moved");
    let back = spread(Some(&three), 2);
    let moved_back = three.iter().zip(back.iter()).filter(|(a, b)| a != b).count();
    assert_eq!(moved_back, counts(&three, 3)[2], "only what the third worker owned has moved");
}

#[test]
fn what_is_known_of_hashes_holds_while_nothing_that_hashes_changes() {
    let layout = |workers, hashing, rule: Affinity| {
        let plan = plan(workers, 1);
        let chain = Chain {
            name: "chain".to_owned(),
            id: 0,
            matcher: Expression::parse("all").expect("an expression"),
            select: Select::All,
            path: vec![0],
            stages: vec![stage(rule, 0..1)],
            steps: Vec::new(),
            patience: 0,
            on_timeout: OnPanic::Drop,
            to: vec![0],
        };
        Layout { chains: vec![chain], ..Layout::compile(&plan, 1, hashing, None) }
    };
    let before = layout(2, Hashing::Mixed, Flow);
    assert!(layout(2, Hashing::Mixed, Flow).hashes_as(&before));
    assert!(layout(3, Hashing::Mixed, Flow).hashes_as(&before), "another owner of the same hash");
    assert!(!layout(2, Hashing::Toeplitz, Flow).hashes_as(&before));
    assert!(!layout(2, Hashing::Mixed, Host).hashes_as(&before));
    assert!(layout(1, Hashing::Mixed, Host).hashes_as(&before), "one worker owns all");
    assert!(Layout { chains: Vec::new(), ..layout(2, Hashing::Mixed, Host) }.hashes_as(&before));
}

fn plan(workers: usize, seed: u64) -> Plan {
    Plan {
        cores: vec![0; workers],
        helpers: Vec::new(),
        idle: crate::plan::Idle::Adaptive,
        buffers: crate::plan::Buffers::default(),
        ports: Vec::new(),
        nfs: Vec::new(),
        chains: Vec::new(),
        seed,
    }
}

#[test]
fn another_seed_in_the_plan_does_not_part_flows_from_their_state() {
    let first = Layout::compile(&plan(2, 1), 1, Hashing::Mixed, None);
    let next = Layout::compile(&plan(2, 2), 2, Hashing::Mixed, Some(&first));
    assert_eq!((first.seed, next.seed), (1, 1));
}
