//! A chain side by side does what it does in order: the same packets come out, byte for byte and in the same order, and
//! every NF has the same state. For the chains of the examples and for random ones, on every capture there is.
//!
//! `scripts/equivalence` runs it in full; as a test it takes a sample.

mod equivalence;
mod rig;

use control::Config;
use control::planning::Mode;
use engine::{Engine, EngineError, Record, Selector, StateError};
use equivalence::random::Random;
use equivalence::{captures, library};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// Chains of a sample, where nobody asks for more.
const SAMPLE: u64 = 8;
/// One chain in so many has two threads that run branches, also where there are fewer cores than that takes: it is slow
/// there. The others have one.
const TWO_HELPERS: usize = 16;
/// How long a capture may take on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(1200);
/// Chains are of so many NFs.
const LENGTHS: std::ops::RangeInclusive<u64> = 2..=8;

/// What came of a chain.
#[derive(PartialEq)]
struct Outcome {
    output: Vec<u8>,
    state: BTreeMap<String, Vec<Record>>,
    /// By NF: packets that it was given, and those that it dropped, by reason.
    counts: BTreeMap<String, (u64, BTreeMap<String, u64>)>,
}

/// Plays a capture through a chain.
struct Player {
    eal: dpdk::Eal,
    registry: engine::Registry,
    folder: rig::Folder,
    /// How many comparisons there were.
    compared: Cell<usize>,
}

impl Player {
    fn new() -> Player {
        let options = dpdk::EalOptions { memory_mb: 512, ..dpdk::EalOptions::default() };
        Player {
            eal: dpdk::Eal::init(&options).expect("DPDK starts without hugepages"),
            registry: nfs::registry(),
            folder: rig::Folder::new("equivalence"),
            compared: Cell::new(0),
        }
    }

    /// What comes of it, and whether anything ran side by side.
    fn play(&self, config: &Config, chain: &str, mode: Mode, input: &Path) -> (Outcome, bool) {
        let mut config = config.clone();
        config.chains.iter_mut().for_each(|chain| chain.parallel = mode);
        config.engine.helpers = Some(if self.compared.get() % TWO_HELPERS == 1 { 2 } else { 1 });
        let output = self.folder.path("output.pcap");
        let replay = config.replay(Some(chain), input, &output).expect("a plan");
        let side_by_side = replay.plan.chains[0].parallel.is_some();
        let names: Vec<String> = replay.plan.nfs.iter().map(|nf| nf.name.clone()).collect();
        let engine = Engine::start(&self.eal, replay.plan).expect("start");
        let begun = Instant::now();
        while !engine.exhausted() {
            assert!(begun.elapsed() < PATIENCE, "the capture is not played after {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
        let end = engine.stop().expect("stop");
        assert!(end.packets.balanced(), "{:?}", end.packets);
        let export = |name: &String| match engine.export(name, &Selector::default()) {
            Err(EngineError::State { source: StateError::Unsupported, .. }) => Vec::new(),
            other => other.expect("its state"),
        };
        let state = names.iter().map(|name| (name.clone(), export(name))).collect();
        let nfs = &end.chains[chain].nfs;
        let counts = nfs.iter().map(|(name, nf)| (name.clone(), (nf.packets, nf.dropped.clone()))).collect();
        let output = std::fs::read(&output).expect("the output");
        (Outcome { output, state, counts }, side_by_side)
    }

    /// Fails where the two ways differ. Whether anything ran side by side.
    fn compare(&self, config: &Config, chain: &str, input: &Path, what: &str) -> bool {
        let (in_order, _) = self.play(config, chain, Mode::Off, input);
        let (side, is_side) = self.play(config, chain, Mode::Max, input);
        if in_order != side {
            let (again, _) = self.play(config, chain, Mode::Off, input);
            assert!(again == in_order, "{what} differs from itself in order: it says nothing");
        }
        let names = || in_order.state.keys().filter(|name| in_order.state[*name] != side.state[*name]);
        assert_eq!(names().collect::<Vec<_>>(), [""; 0], "{what}: their states differ");
        assert_eq!(in_order.counts, side.counts, "{what}: what they were given and dropped");
        assert!(in_order.output == side.output, "{what}: the packets differ");
        self.compared.update(|compared| compared + 1);
        is_side
    }
}

fn number(variable: &str, absent: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(absent)
}

#[test]
fn chains_of_the_examples_do_the_same_side_by_side() {
    let player = Player::new();
    let all = captures::all_in_one(&player.eal, &player.folder);
    let mut compared = 0;
    for file in equivalence::examples() {
        // Which cores a worker has does not matter, and one may not be there.
        let text =
            std::fs::read_to_string(&file).expect("an example").replace("cores = [2, 3]", "cores = [0]");
        let folder = file.parent().expect("a folder");
        let config = Config::parse_for_replay(&text, "example.toml", folder, &player.registry)
            .unwrap_or_else(|errors| panic!("{errors}"));
        for chain in config.chains.iter().map(|chain| chain.name.clone()) {
            let what = format!("{}, chain {chain}", file.display());
            if library::is_by_chance(&config) {
                continue;
            }
            player.compare(&config, &chain, &all, &what);
            compared += 1;
        }
    }
    assert!(compared >= 20, "{compared} chains");
}

#[test]
fn random_chains_do_the_same_side_by_side() {
    let player = Player::new();
    let all = captures::all_in_one(&player.eal, &player.folder);
    let (first, chains) = (number("BRAID_EQUIVALENCE_SEED", 1), number("BRAID_EQUIVALENCE_CHAINS", SAMPLE));
    let mut side_by_side = 0;
    for seed in first..first + chains {
        let mut random = Random(seed);
        let length = LENGTHS.start() + random.below(LENGTHS.end() - LENGTHS.start() + 1);
        let (text, names) = library::chain(&mut random, length);
        let config = Config::parse(&text, "random.toml", Path::new("."), &player.registry)
            .unwrap_or_else(|errors| panic!("seed {seed}: {errors}\n{text}"));
        let what = format!("seed {seed}: {}", names.join(" > "));
        let side = player.compare(&config, "chain", &all, &what);
        side_by_side += u64::from(side);
        println!("{what}: the same{}", if side { ", side by side" } else { "" });
    }
    println!("{side_by_side} of {chains} chains have something side by side");
    assert!(side_by_side * 10 >= chains, "hardly any chain ran side by side: nothing was compared");
}
