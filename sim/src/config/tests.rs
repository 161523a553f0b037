use super::*;
use crate::quantity::MILLISECOND;

const GOOD: &str = r#"
seeds = [1, 2]
patience = "100ms"
deadline = { base = "2ms", rate = "1gbit" }

[topology]
hosts_per_leaf = 2
leaves = 2
spines = 2
edge = { rate = "10gbit", delay = "1us", queue = "200kB" }
fabric = { rate = "10gbit", delay = "1us", queue = "200kB" }

[traffic]
load = [0.3, 0.6]
size = "100kB"
duration = "10ms"
priority = 0.1

[[fault]]
between = ["spine-1", "leaf-0"]
rate = 0.1
from = "1ms"
until = "2ms"

[[flow]]
from = "host-3"
to = "host-0"
size = "1MB"
at = "20ms"
"#;

fn parse(text: &str) -> Result<Experiment, String> {
    Experiment::parse(text, Path::new("")).map_err(|error| error.to_string())
}

#[test]
fn a_file_says_what_is_simulated() {
    let experiment = parse(GOOD).expect("good");
    assert_eq!(experiment.topology.nodes(), 4 + 2 + 2);
    assert_eq!(experiment.loads(), [0.3, 0.6]);
    assert_eq!(experiment.times(), (10 * MILLISECOND, 120 * MILLISECOND));
    // Both ways of the cable get slow and fast again.
    let changes = experiment.changes(1).expect("a cable");
    let told: Vec<(u64, u32, f64)> = changes.iter().map(|c| (c.at / MILLISECOND, c.link, c.rate)).collect();
    assert_eq!(told, [(1, 10, 0.1), (1, 11, 0.1), (2, 10, 1.0), (2, 11, 1.0)]);
}

#[test]
fn what_is_wrong_is_named() {
    for (from, to, says) in [
        ("load = [0.3, 0.6]", "load = 3", "traffic.load: write shares"),
        ("size = \"100kB\"\n", "", "traffic: write either sizes"),
        ("size = \"100kB\"", "sizes = \"no-such.csv\"", "cannot read no-such.csv"),
        ("priority = 0.1", "priority = 2", "traffic.priority: write a share"),
        ("\"leaf-0\"]", "\"leaf-7\"]", "fault: 'spine-1' or 'leaf-7' is no node"),
        ("\"leaf-0\"]", "\"host-0\"]", "fault: no cable is between these nodes"),
        ("rate = 0.1", "rate = 0", "fault: write a rate above 0"),
        ("host-3", "leaf-1", "flow: 'leaf-1' is no host"),
        ("host-3", "host-0", "flow: a host sends nothing to itself"),
        ("spines = 2", "spines = 0", "topology: spines is 0"),
    ] {
        let error = parse(&GOOD.replace(from, to)).err().unwrap_or_default();
        assert!(error.starts_with(says), "{from} -> {to}: {error}");
    }
    for (from, to, says) in [
        ("1us", "1 us", "'1 us' is no length of time"),
        ("leaves", "leafs", "unknown field `leafs`"),
        ("10gbit", "10gb", "'10gb' is no rate"),
    ] {
        let error = parse(&GOOD.replace(from, to)).err().unwrap_or_default();
        assert!(error.contains(says), "{from} -> {to}: {error}");
    }
}

#[test]
fn drawn_cables_are_as_many_as_said_and_others_for_another_seed() {
    let text =
        GOOD.replace("between = [\"spine-1\", \"leaf-0\"]", "share = 0.5").replace("until = \"2ms\"\n", "");
    let experiment = parse(&text).expect("good");
    let links = |seed| -> Vec<u32> {
        experiment.changes(seed).expect("cables").iter().map(|change| change.link).collect()
    };
    assert_eq!(links(1).len(), 4);
    assert_eq!(links(1), links(1));
    assert!((2..10).any(|seed| links(seed) != links(1)));
}
