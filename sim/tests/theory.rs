//! The simulator against what theory says of cases that it can say something of.

use sim::config::Experiment;
use sim::network::{Network, Setting};
use sim::quantity::{MICROSECOND, MILLISECOND, Picos, SECOND};
use sim::report::Report;
use sim::run::Simulation;
use sim::topology::{Cable, Shape, Topology};
use sim::traffic::Arrival;
use std::path::Path;

const RATE: u64 = 10_000_000_000;

fn topology(hosts_per_leaf: u32, leaves: u32, spines: u32, queue: u64) -> Topology {
    let cable = Cable { rate: "10gbit".parse().expect("a rate"), delay: 5 * MICROSECOND, queue };
    let host_queue = 100_000_000;
    let shape =
        Shape { hosts_per_leaf, leaves, spines, extensions: vec![], edge: cable, host_queue, fabric: cable };
    Topology::new(shape).expect("a network")
}

fn setting(topology: &Topology, window: u32) -> Setting<'_> {
    let tcp = sim::tcp::Tcp { window, ..sim::tcp::Tcp::default() };
    let nfs = (&[][..], None);
    Setting {
        topology,
        tcp,
        deadline: None,
        changes: &[],
        smart: None,
        nfs,
        tick: MILLISECOND,
        end: 100 * SECOND,
        seed: 1,
    }
}

fn flow(from: u32, to: u32, bytes: u32) -> Arrival {
    Arrival { at: 0, from, to, bytes, priority: false }
}

/// How long each flow took.
fn times(topology: &Topology, window: u32, flows: Vec<Arrival>) -> Vec<Picos> {
    let mut network = Network::new(setting(topology, window), flows.into_iter());
    network.run();
    let account = network.account();
    assert!(account.balances() && account.bytes_balance(), "{account:?}");
    assert_eq!((account.in_flight, account.held), (0, 0));
    network.flows().iter().map(|flow| flow.arrived.expect("arrived")).collect()
}

/// One frame of a segment of `len` bytes on a link.
fn frame(len: u64) -> Picos {
    (len + 78) * 8 * SECOND / RATE
}

#[test]
fn a_segment_takes_its_time_on_each_link() {
    let topology = topology(1, 2, 1, 1_000_000);
    assert_eq!(times(&topology, 1_000_000, vec![flow(0, 1, 1460)]), [4 * (frame(1460) + 5 * MICROSECOND)]);
    // Ten segments follow each other without a gap: the initial window.
    let ten = 10 * frame(1460) + 3 * frame(1460) + 20 * MICROSECOND;
    assert_eq!(times(&topology, 1_000_000, vec![flow(0, 1, 14_600)]), [ten]);
    // The last one is shorter.
    let two = frame(1460) + 4 * frame(540) + 20 * MICROSECOND;
    let wait_for_full = 3 * (frame(1460) - frame(540));
    assert_eq!(times(&topology, 1_000_000, vec![flow(0, 1, 2000)]), [two + wait_for_full]);
}

#[test]
fn a_long_flow_has_the_link_to_itself() {
    let topology = topology(1, 2, 1, 10_000_000);
    let bytes = 100_000_000;
    let took = times(&topology, 1_000_000, vec![flow(0, 1, bytes)])[0];
    let goodput = f64::from(bytes) * 8.0 / (took as f64 / SECOND as f64);
    let most = RATE as f64 * 1460.0 / 1538.0;
    assert!(goodput < most && goodput > 0.99 * most, "{goodput} of {most}");
}

#[test]
fn a_window_and_a_round_trip_bound_the_rate() {
    let topology = topology(1, 2, 1, 10_000_000);
    let bytes = 20_000_000;
    let window = 10 * 1460;
    let took = times(&topology, window, vec![flow(0, 1, bytes)])[0];
    // A round trip: data there, an acknowledgement of 84 bytes back; the window is sent at once, then its end waits.
    let round = 4 * frame(1460) + 4 * (84 * 8 * SECOND / RATE) + 40 * MICROSECOND;
    let expected = u64::from(bytes / window) * round;
    assert!(took.abs_diff(expected) < expected / 100, "{took} {expected}");
}

#[test]
fn slow_start_doubles_until_the_link_is_full() {
    let topology = topology(1, 2, 1, 10_000_000);
    // 10 + 20 + 40 + 80 segments: the fourth window begins after three round trips.
    let bytes = 150 * 1460;
    let took = times(&topology, 1_000_000, vec![flow(0, 1, bytes)])[0];
    let (full, ack) = (frame(1460), 84 * 8 * SECOND / RATE);
    let round = 4 * full + 4 * ack + 40 * MICROSECOND;
    // Three windows are shorter than the round trip, and each begins a round trip after the one before it. The fourth is
    // longer, and its packets leave as acknowledgements of the third come: in pairs, as fast as the link is.
    assert!(20 * full < round && 40 * full > round);
    let expected = 2 * round + (40 + 80) * full + 3 * full + 20 * MICROSECOND;
    assert!(took.abs_diff(expected) < 2 * full, "{took} {expected}");
}

#[test]
fn two_long_flows_share_a_link() {
    // Two hosts of one leaf to two of another, over one spine; the queue holds a bandwidth-delay product.
    // Hosts' links are faster, so that all waiting is where the two meet.
    let shape = topology(2, 2, 1, 100_000).shape().clone();
    let edge = Cable { rate: "40gbit".parse().expect("a rate"), ..shape.edge };
    let topology = Topology::new(Shape { edge, ..shape }).expect("a network");
    let bytes = 200_000_000;
    let took = times(&topology, 1_000_000, vec![flow(0, 2, bytes), flow(1, 3, bytes)]);
    let (first, last) = (took[0].min(took[1]), took[0].max(took[1]));
    // Both together need twice the time of one; NewReno shares evenly in the long run.
    let alone = u64::from(bytes / 1460) * frame(1460);
    assert!(last > 2 * alone && last < 23 * alone / 10, "{last} {alone}");
    assert!(first > 16 * alone / 10, "{first} {alone}");
}

#[test]
fn a_queue_before_a_link_is_that_of_theory() {
    // Many hosts send single segments at random over one link to the other leaf: arrivals are nearly Poisson, and all
    // packets are of one size. Hosts' own links are ten times as fast, so that waiting is there alone.
    for load in [0.3, 0.5, 0.7] {
        let text = format!(
            "patience = \"100ms\"\n[topology]\nhosts_per_leaf = 50\nleaves = 2\nspines = 1\n\
             edge = {{ rate = \"100gbit\", delay = \"1us\", queue = \"10MB\" }}\n\
             fabric = {{ rate = \"10gbit\", delay = \"1us\", queue = \"10MB\" }}\n\
             [traffic]\nload = {load}\nsize = \"1460B\"\nduration = \"100ms\"\n"
        );
        let report = run(&text, 1);
        let class = &report.classes[0];
        // Alone: two fast links, two slow ones, four delays. M/D/1: the wait is ρ/(2(1-ρ)) services before the first
        // slow link; behind it packets come apart. The acknowledgements, 84 of 1538 bytes, are load too.
        let service = frame(1460) as f64;
        let alone = 2.0 * service + 0.2 * service + 4.0 * MICROSECOND as f64;
        let rho = load * (1.0 + 84.0 / 1538.0);
        let wait = rho / (2.0 * (1.0 - rho)) * service;
        let mean = class.completion_ns.mean as f64 * 1000.0;
        let measured = mean - alone;
        assert!((measured / wait - 1.0).abs() < 0.1, "load {load}: waited {measured}, theory {wait}");
        assert_eq!(report.account.dropped, 0);
    }
}

#[test]
fn equal_paths_carry_equal_shares_and_both_directions_take_one() {
    let text = "patience = \"100ms\"\n[topology]\nhosts_per_leaf = 8\nleaves = 4\nspines = 8\n\
         edge = { rate = \"10gbit\", delay = \"1us\", queue = \"10MB\" }\n\
         fabric = { rate = \"10gbit\", delay = \"1us\", queue = \"10MB\" }\n\
         [traffic]\nload = 0.3\nsize = \"1460B\"\nduration = \"4ms\"\n";
    let experiment = Experiment::parse(text, Path::new("")).expect("good");
    let topology = &experiment.topology;
    let sizes = experiment.sizes.as_ref().expect("sizes");
    let arrivals =
        sim::traffic::Traffic::new(topology, sizes, (0.3, Default::default()), 0.0, 20 * MILLISECOND, 1);
    let mut network = Network::new(setting(topology, 1_000_000), arrivals);
    network.run();
    let mut by_way = [0u64; 8];
    for flow in network.flows() {
        by_way[flow.ways[0] as usize] += 1;
    }
    let flows = network.flows().len() as f64;
    // Chi-squared with 7 degrees of freedom: below 24.3 in 999 of 1000 cases.
    let even = flows / 8.0;
    let chi: f64 = by_way.iter().map(|&n| (n as f64 - even) * (n as f64 - even) / even).sum();
    assert!(flows > 10_000.0 && chi < 24.3, "{by_way:?}: {chi}");
    // Each data packet has one acknowledgement on the same cable in the other direction.
    for cable in network.links().chunks(2) {
        assert_eq!(cable[0].count.packets, cable[1].count.packets);
    }
}

fn run(text: &str, seed: u64) -> Report {
    let experiment = Experiment::parse(text, Path::new("")).expect("good");
    let simulation = Simulation::new(&experiment, &engine::Registry::new(), Path::new("")).expect("no NFs");
    simulation.run(experiment.loads()[0], seed, None).expect("no NFs")
}
