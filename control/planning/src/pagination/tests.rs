//! Small instances by hand and by chance, and the benchmark where it is there.

use super::*;
use proptest::prelude::*;
use std::path::Path;

const QUICK: Effort = Effort { time: Duration::from_millis(300), seed: 1 };

fn unit(capacity: u64, symbols: usize, tiles: &[&[usize]]) -> Instance {
    let tiles: Vec<Vec<usize>> = tiles.iter().map(|tile| tile.to_vec()).collect();
    Instance::new(capacity, vec![1; symbols], &tiles).unwrap()
}

#[test]
fn shared_symbols_count_once_on_a_page() {
    let instance = unit(4, 5, &[&[0, 1, 2], &[1, 2, 3], &[0, 3], &[4]]);
    for solver in Solver::ALL {
        let outcome = solver.solve(&instance, QUICK);
        assert_eq!(outcome.solution.check(&instance), Ok(()), "{}", solver.name());
        assert_eq!(outcome.solution.len(), 2, "{}", solver.name());
    }
}

#[test]
fn nothing_to_pack_needs_no_page() {
    let instance = unit(3, 0, &[]);
    for solver in Solver::ALL {
        let outcome = solver.solve(&instance, QUICK);
        assert_eq!((outcome.solution.len(), outcome.is_optimal()), (0, true), "{}", solver.name());
    }
}

#[test]
fn overload_and_remove_finds_what_first_fit_does_not() {
    // First Fit puts the second tile beside the first one, where it shares nothing.
    let instance = unit(4, 8, &[&[0, 1], &[4, 5], &[0, 1, 2, 3], &[4, 5, 6, 7]]);
    let (small, _) = instance.without_inner_tiles();
    assert_eq!(small.tiles().len(), 2);
    let instance = unit(4, 8, &[&[0, 1], &[4, 5], &[0, 2, 3], &[4, 6, 7]]);
    assert_eq!(Solver::FirstFit.solve(&instance, QUICK).solution.len(), 3);
    assert_eq!(Solver::OverloadRemove.solve(&instance, QUICK).solution.len(), 2);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let refused = |capacity, weights: &[u64], tiles: &[Vec<usize>]| {
        Instance::new(capacity, weights.to_vec(), tiles).unwrap_err().to_string()
    };
    assert_eq!(refused(3, &[2, 2], &[vec![0, 1]]), "tile 0 weighs 4, a page holds 3");
    assert_eq!(refused(3, &[1], &[vec![0], vec![1]]), "tile 1 has symbol 1, there are 1");
    assert_eq!(refused(3, &[1; 300], &[]), "300 symbols are more than 256");
    assert!(benchmark::read("[{\"capacity\": 1}]").unwrap_err().to_string().starts_with("no benchmark file"));
    let heavy = benchmark::read("[{\"capacity\": 1, \"tiles\": [[7, -9]]}]").unwrap_err();
    assert_eq!(heavy.to_string(), "instance 0: tile 0 weighs 2, a page holds 1");
}

#[test]
fn the_checker_finds_every_fault() {
    let instance = unit(2, 3, &[&[0, 1], &[1, 2]]);
    let check = |pages: &[&[usize]]| {
        Solution { pages: pages.iter().map(|page| page.to_vec()).collect() }.check(&instance)
    };
    assert_eq!(check(&[&[0], &[1]]), Ok(()));
    assert_eq!(check(&[&[0, 1]]), Err(Fault::Overfull { page: 0, weight: 3, capacity: 2 }));
    assert_eq!(check(&[&[0]]), Err(Fault::Missing(1)));
    assert_eq!(check(&[&[0], &[0], &[1]]), Err(Fault::Twice(0)));
    assert_eq!(check(&[&[0], &[1], &[]]), Err(Fault::Empty(2)));
    assert_eq!(check(&[&[0], &[1, 2]]), Err(Fault::Unknown(2)));
}

/// The least number of pages, by trying every way to share the tiles out.
fn by_hand(instance: &Instance) -> usize {
    fn place(instance: &Instance, at: usize, pages: &mut Vec<Symbols>, best: &mut usize) {
        let Some(tile) = instance.tiles().get(at).copied() else {
            *best = pages.len().min(*best);
            return;
        };
        for page in 0..pages.len() {
            let before = pages[page];
            if instance.fits(&(before | tile)) {
                pages[page] = before | tile;
                place(instance, at + 1, pages, best);
                pages[page] = before;
            }
        }
        if pages.len() + 1 < *best {
            pages.push(tile);
            place(instance, at + 1, pages, best);
            pages.pop();
        }
    }
    let mut best = usize::MAX;
    place(instance, 0, &mut Vec::new(), &mut best);
    best
}

fn instances() -> impl Strategy<Value = Instance> {
    let tile = proptest::collection::vec(0usize..9, 1..4);
    let weights = proptest::collection::vec(1u64..5, 9);
    (weights, proptest::collection::vec(tile, 1..9), 12u64..20)
        .prop_map(|(weights, tiles, capacity)| Instance::new(capacity, weights, &tiles).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_exact_solver_finds_the_optimum_and_no_bound_is_above_it(instance in instances()) {
        let optimum = by_hand(&instance);
        for solver in Solver::ALL {
            let outcome = solver.solve(&instance, QUICK);
            prop_assert_eq!(outcome.solution.check(&instance), Ok(()));
            prop_assert!(outcome.lower_bound <= optimum && outcome.solution.len() >= optimum);
            if solver == Solver::Exact {
                prop_assert_eq!((outcome.solution.len(), outcome.lower_bound), (optimum, optimum));
            }
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_pages() {
    let Some(problems) = file("C015_A020_T020_P00.json") else { return };
    let solve = |solver: Solver| {
        solver.solve(&problems[1].instance, Effort { time: Duration::from_secs(60), seed: 7 })
    };
    for solver in [Solver::GeneticStandard, Solver::OverloadRemove] {
        assert_eq!(solve(solver).solution, solve(solver).solution);
    }
}

#[test]
fn known_optima_are_found_and_proved() {
    let Some(problems) = file("C015_A020_T020_P00.json") else { return };
    for (number, problem) in problems.iter().enumerate() {
        let outcome =
            Solver::Exact.solve(&problem.instance, Effort { time: Duration::from_secs(20), seed: 1 });
        assert_eq!(outcome.solution.check(&problem.instance), Ok(()));
        assert_eq!((Some(outcome.solution.len()), outcome.is_optimal()), (problem.optimum, true), "{number}");
    }
}

fn file(name: &str) -> Option<Vec<benchmark::Problem>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/pagination/dev/gauss");
    let Ok(text) = std::fs::read_to_string(Path::new(folder).join(name)) else {
        println!("skipped: no {folder}");
        return None;
    };
    Some(benchmark::read(&text).unwrap())
}
