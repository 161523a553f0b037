use super::throughput::{Capacities, Network};
use super::*;
use crate::pagination::Random;
use std::time::Duration;

fn effort(seed: u64) -> Effort {
    Effort { time: Duration::from_secs(10), seed }
}

fn servers(n: usize, cpu: f64, memory: f64) -> Vec<Server> {
    (0..n).map(|k| Server { name: format!("s{k}"), cpu, memory }).collect()
}

fn alike(n: usize, delay: f64) -> Vec<Vec<f64>> {
    (0..n).map(|a| (0..n).map(|b| if a == b { 0.0 } else { delay }).collect()).collect()
}

fn nf(name: &str, rate: f64, cpu: f64, on: Option<usize>) -> Nf {
    Nf { name: name.to_owned(), rate, cpu, memory: 1.0, on: on.map(|k| vec![k]) }
}

fn small() -> Problem {
    Problem {
        servers: servers(2, 2.0, 16.0),
        delay: alike(2, 10.0),
        nfs: vec![nf("a", 100.0, 1.0, None), nf("b", 60.0, 1.0, None), nf("c", 100.0, 1.0, None)],
        chains: vec![Chain::sequence("all", 100.0, vec![0, 1, 2])],
    }
}

#[test]
fn instances_are_rounded_up() {
    let mut problem = small();
    assert_eq!((0..3).map(|i| problem.instances(i)).collect::<Vec<_>>(), [1, 2, 1]);
    problem.chains[0].rate = 300.0;
    assert_eq!((0..3).map(|i| problem.instances(i)).collect::<Vec<_>>(), [3, 5, 3], "300 / 100 is 3, not 4");
    // As 0.3 / 0.1, which is a little more than 3 in binary.
    problem.nfs[0].rate = 0.1;
    problem.chains[0].rate = 0.1 + 0.2;
    assert_eq!(problem.instances(0), 3);
}

/// A sum that is too much by its last bits fits, and if the integer program should not think so, the heuristic has shown it.
#[test]
fn what_just_fits_is_placed() {
    for more in [0.0, 1e-10, 9e-10] {
        let mut problem = small();
        problem.servers[0].cpu = 1.0;
        problem.servers[1].cpu = 3.0;
        problem.nfs[0].cpu = 1.0 + more;
        problem.nfs[0].on = Some(vec![0]);
        let placement = Solver::Exact.solve(&problem, effort(1)).expect("there is one");
        placement.check(&problem).expect("good");
    }
}

#[test]
fn the_integer_program_cuts_where_least_flows() {
    // Four cores for a, b, b, c. One instance of b takes 60 at most, so at least 40 cross, and a with one b on one
    // server and the other b with c on the other one crosses 40 from a to b, and 60 from b to c: 100 in all. Both b on
    // one server with neither a nor c is 200.
    let problem = small();
    let best = Solver::Exact.solve(&problem, effort(1)).expect("a placement");
    best.check(&problem).expect("good");
    assert!(!best.out_of_time && best.gap() == 0.0);
    assert!((best.cost - 1000.0).abs() < 1e-6, "{}", best.cost);
    let greedy = Solver::Greedy.solve(&problem, effort(1)).expect("a placement");
    greedy.check(&problem).expect("good");
    assert!(greedy.cost >= best.cost - 1e-6);
}

#[test]
fn pins_hold_and_nothing_crosses_without_need() {
    let mut problem = small();
    problem.servers = servers(3, 4.0, 16.0);
    problem.delay = alike(3, 10.0);
    for solver in [Solver::Exact, Solver::Greedy] {
        let placement = solver.solve(&problem, effort(1)).expect("a placement");
        assert_eq!((placement.cost, placement.crossing()), (0.0, 0.0), "{}", solver.name());
    }
    problem.nfs[0].on = Some(vec![2]);
    problem.nfs[2].on = Some(vec![1]);
    for solver in Solver::ALL {
        let placement = solver.solve(&problem, effort(3)).expect("a placement");
        placement.check(&problem).expect("good");
        assert_eq!((placement.at[0][2], placement.at[2][1]), (1, 1), "{}", solver.name());
        assert!(placement.cost >= 1000.0 - 1e-6, "{}: {}", solver.name(), placement.cost);
    }
}

#[test]
fn a_mirror_sends_everything_to_each_branch() {
    // a to b and c at once, then d: the branches' merge is where the packets are.
    let problem = Problem {
        servers: servers(2, 2.0, 16.0),
        delay: alike(2, 1.0),
        nfs: ["a", "b", "c", "d"].map(|name| nf(name, 100.0, 1.0, None)).to_vec(),
        chains: vec![Chain {
            name: "diamond".to_owned(),
            rate: 100.0,
            nfs: vec![0, 1, 2, 3],
            pairs: vec![(0, 1), (0, 2), (1, 3), (2, 3)],
        }],
    };
    let best = Solver::Exact.solve(&problem, effort(1)).expect("a placement");
    best.check(&problem).expect("good");
    assert!((best.cost - 200.0).abs() < 1e-6, "two of the four pairs cross: {}", best.cost);
}

#[test]
fn what_cannot_be_placed_is_said() {
    let mut problem = small();
    problem.servers[1].cpu = 1.0;
    assert_eq!(Solver::Exact.solve(&problem, effort(1)), Err(Unplaced::Impossible));
    let said = Solver::Greedy.solve(&problem, effort(1)).expect_err("no room").to_string();
    assert!(said.contains("no server that it may run on has room for"), "{said}");
    problem.nfs[0].on = Some(vec![7]);
    let said = Solver::Exact.solve(&problem, effort(1)).expect_err("no such server").to_string();
    assert_eq!(said, "NF a may run on no server that is there");
    problem.nfs[0] = nf("a", 0.0, 1.0, None);
    assert!(matches!(Solver::Random.solve(&problem, effort(1)), Err(Unplaced::Malformed(_))));
}

/// A small case: two to three servers with unlike delays, two to four NFs, one or two chains.
fn case(random: &mut Random) -> Problem {
    let n = 2 + random.below(2);
    let mut delay = alike(n, 0.0);
    for (a, b) in (0..n).flat_map(|a| (0..a).map(move |b| (a, b))) {
        let between = 1.0 + random.below(20) as f64;
        (delay[a][b], delay[b][a]) = (between, between);
    }
    let m = 2 + random.below(3);
    let mut nfs: Vec<Nf> =
        (0..m).map(|i| nf(&format!("nf{i}"), 50.0 + random.below(100) as f64, 1.0, None)).collect();
    if random.below(2) == 0 {
        nfs[0].on = Some(vec![random.below(n)]);
    }
    let chains = (0..1 + random.below(2))
        .map(|c| {
            let mut order: Vec<usize> = (0..m).collect();
            random.shuffle(&mut order);
            order.truncate(2 + random.below(m - 1));
            Chain::sequence(format!("c{c}"), 20.0 + random.below(120) as f64, order)
        })
        .collect();
    Problem { servers: servers(n, 3.0, 8.0), delay, nfs, chains }
}

#[test]
fn the_heuristic_is_near_the_optimum_of_small_cases() {
    let mut random = Random::new(42);
    let (mut solved, mut same, mut best, mut greedy, mut by_chance) = (0, 0, 0.0, 0.0, 0.0);
    for seed in 0..120 {
        let problem = case(&mut random);
        let exact = match Solver::Exact.solve(&problem, effort(seed)) {
            Ok(exact) => exact,
            Err(Unplaced::Impossible) => {
                assert!(Solver::Greedy.solve(&problem, effort(seed)).is_err(), "{problem:?}");
                continue;
            }
            Err(other) => panic!("{other}: {problem:?}"),
        };
        exact.check(&problem).expect("good");
        assert!(!exact.out_of_time && exact.gap() == 0.0, "{problem:?}");
        // The heuristic may fail where there is a placement: bins are filled as they come.
        let (Ok(heuristic), Ok(chance)) =
            (Solver::Greedy.solve(&problem, effort(seed)), Solver::Random.solve(&problem, effort(seed)))
        else {
            continue;
        };
        heuristic.check(&problem).expect("good");
        assert!(heuristic.cost >= exact.cost - 1e-6 * exact.cost.max(1.0), "{problem:?}");
        solved += 1;
        same += u32::from(heuristic.cost <= exact.cost * (1.0 + 1e-6) + 1e-6);
        best += exact.cost;
        greedy += heuristic.cost;
        by_chance += chance.cost;
    }
    println!("{solved} cases, {same} as good; cost: {best:.0}, greedy {greedy:.0}, random {by_chance:.0}");
    assert!(solved >= 60, "{solved}");
    assert!(best > 0.0 && greedy < 0.7 * by_chance, "{best} {greedy} {by_chance}");
}

fn network(placement: Vec<(usize, usize)>) -> Network {
    let capacities = Capacities {
        link: 10e9,
        cycles: 8e9,
        core: 2e9,
        frame: 672.0,
        tunnel: 400.0,
        port: 50.0,
        encap: 50.0,
        decap: 80.0,
    };
    Network {
        servers: 4,
        capacities,
        nfs: vec![50.0, 40.0, 25.0],
        instances: placement,
        chains: vec![vec![0, 1, 2], vec![0, 1], vec![0, 2], vec![1, 2]],
    }
}

#[test]
fn flows_that_stay_on_a_server_fill_its_link_and_no_other() {
    let network = network((0..4).flat_map(|server| (0..3).map(move |nf| (nf, server))).collect());
    let best = network.best(500).expect("a spread");
    assert_eq!(best.len(), 2000);
    let servers = |path: &throughput::Path| -> Vec<usize> {
        path.instances.iter().map(|instance| network.instances[*instance].1).collect()
    };
    assert!(best.iter().all(|path| servers(path).windows(2).all(|pair| pair[0] == pair[1])));
    let carried = network.carried(&best);
    let lines = 4.0 * 10e9 / 672.0;
    assert!((carried.equal / lines - 1.0).abs() < 0.01, "{carried:?} of {lines}");
    let random = network.carried(&network.random(500, 1));
    let worst = network.carried(&network.worst(500, 1));
    assert!(random.fair >= random.equal && worst.fair < random.fair && random.fair < carried.equal / 1.74);
}

#[test]
fn no_spread_carries_more_than_the_best_one() {
    let mut random = Random::new(7);
    for seed in 0..10 {
        let instances = (0..12).map(|instance| (instance % 3, random.below(4))).collect();
        let network = network(instances);
        let best = network.carried(&network.best(500).expect("a spread")).equal;
        for other in [network.random(500, seed), network.worst(500, seed)] {
            assert!(network.carried(&other).equal <= best * 1.02, "{seed}: whole flows cost a little");
        }
    }
}
