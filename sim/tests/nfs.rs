//! The NFs of an engine at nodes of a simulated network.

use sim::config::Experiment;
use sim::report::Report;
use sim::run::Simulation;
use std::path::Path;

const NETWORK: &str = r#"
deadline = { base = "10ms", rate = "1gbit" }
tick = "100us"
[topology]
hosts_per_leaf = 4
leaves = 2
spines = 2
edge = { rate = "10gbit", delay = "1us", queue = "300kB" }
fabric = { rate = "10gbit", delay = "1us", queue = "300kB" }
[traffic]
load = 0.4
size = "60kB"
duration = "4ms"
priority = 0.5
"#;

fn run(nfs: &str) -> Report {
    let text = format!("{NETWORK}{nfs}");
    let experiment = Experiment::parse(&text, Path::new("")).expect("good");
    let simulation = Simulation::new(&experiment, &nfs::registry(), Path::new(""))
        .unwrap_or_else(|error| panic!("{error}"));
    let report = simulation.run(0.4, 1, None).expect("packet memory");
    assert!(report.account.balances(), "{:?}", report.account);
    report
}

fn class<'a>(report: &'a Report, name: &str) -> &'a sim::report::Class {
    report.classes.iter().find(|class| class.class == name).expect("a class")
}

#[test]
fn a_monitor_sees_the_packets_of_priority_flows_and_changes_nothing() {
    let bare = run("");
    let watched = run("[[nf]]\nat = \"leaves\"\nkind = \"monitor\"\n");
    assert_eq!(bare.classes, watched.classes);
    assert_eq!(bare.account, watched.account);
    // Both leaves of its path meet each packet and its acknowledgement, and nothing was lost on the way.
    assert_eq!(bare.account.dropped, 0);
    let count = &watched.nfs[0];
    assert_eq!((count.nodes, count.packets), (2, 4 * class(&bare, "priority").packets));
    assert_eq!(watched.account.strayed, 0);
}

#[test]
fn all_packets_pass_where_that_is_said() {
    let bare = run("");
    let watched = run("[[nf]]\nat = \"leaf-1\"\nkind = \"monitor\"\ntraffic = \"all\"\n");
    assert_eq!(bare.classes, watched.classes);
    assert_eq!(watched.nfs[0].packets, bare.account.sent);
}

#[test]
fn what_a_firewall_denies_does_not_arrive() {
    let rules = "rules = [\"deny tcp to any port 7000\", \"allow ip\"]";
    let report = run(&format!(
        "[[nf]]\nat = \"hosts\"\nkind = \"firewall\"\ntraffic = \"all\"\n[nf.config]\n{rules}\n"
    ));
    let (priority, other) = (class(&report, "priority"), class(&report, "other"));
    assert_eq!((priority.completed, priority.violations), (0, priority.flows));
    assert_eq!(other.completed, other.flows);
    let denied: u64 = report.nfs[0].dropped.values().sum();
    assert_eq!(denied, priority.packets);
    assert_eq!(report.account.dropped_by_nfs, denied);
}

#[test]
fn a_shaper_holds_packets_to_its_rate() {
    let config = "rate = \"200mbit\"\ndefault = \"tenants\"\n[[nf.config.class]]\nname = \"tenants\"\nqueue = 100000\n";
    let report = run(&format!("[[nf]]\nat = \"leaves\"\nkind = \"shaper\"\n[nf.config]\n{config}"));
    let bare = run("");
    let (shaped, free) = (class(&report, "priority"), class(&bare, "priority"));
    assert_eq!(shaped.completed, shaped.flows);
    // Each leaf's part of all packets, data and acknowledgements, at 200 Mbit/s.
    let least = shaped.bytes as f64 * 8.0 / 2.0 / 200e6 * 1e9;
    assert!(report.ended_ns as f64 > least, "{} {least}", report.ended_ns);
    assert!(shaped.completion_ns.p50 > 2 * free.completion_ns.p50);
    assert_eq!(class(&report, "other").completed, class(&bare, "other").completed);
    assert_eq!(report.account.held, 0);
}

#[test]
fn a_bad_link_delays_loses_doubles_and_damages() {
    let config = "delay = \"1ms\"\nloss = 1\nduplicate = 1\ncorrupt = 1\n";
    let report = run(&format!("[[nf]]\nat = \"spines\"\nkind = \"netem\"\n[nf.config]\n{config}"));
    let priority = class(&report, "priority");
    assert_eq!(priority.completed, priority.flows);
    assert!(priority.completion_ns.p50 > 2_000_000, "{:?}", priority.completion_ns);
    let account = report.account;
    assert!(account.made > 0 && account.dropped_by_nfs > 0 && account.damaged > 0, "{account:?}");
    assert!(priority.retransmissions > 0);
    // A flipped bit of an address or a port leads nowhere.
    assert!(account.strayed < account.damaged, "{account:?}");
    assert_eq!(account.held, 0);
}

#[test]
fn a_run_with_nfs_is_the_same_run_twice() {
    let text = "[[nf]]\nat = \"spines\"\nkind = \"netem\"\n[nf.config]\njitter = \"1ms\"\nloss = 2\n";
    let json = |report: &Report| serde_json::to_string(report).expect("JSON");
    assert_eq!(json(&run(text)), json(&run(text)));
}

#[test]
fn what_cannot_be_placed_is_refused() {
    for (nf, says) in [
        ("at = \"leaf-9\"\nkind = \"monitor\"", "no node is named 'leaf-9'"),
        ("at = \"leaves\"\nkind = \"monitr\"", "there is no NF of kind 'monitr'"),
        ("at = \"leaves\"\nkind = \"monitor\"\nconfig = { capacty = 1 }", "monitor at leaves: unknown field"),
        ("at = \"leaves\"\nkind = \"firewall\"\nconfig = { rules = \"none.rules\" }", "firewall at leaves: "),
    ] {
        let text = format!("{NETWORK}[[nf]]\n{nf}\n");
        let experiment = Experiment::parse(&text, Path::new("")).expect("good");
        let refused = Simulation::new(&experiment, &nfs::registry(), Path::new("")).err();
        let said = refused.map(|error| error.to_string()).unwrap_or_default();
        assert!(said.starts_with(says), "{said}");
    }
}
