//! SMART in a network one cable of which gets slow while flows are under way.

use sim::config::Experiment;
use sim::report::{Class, Report};
use sim::run::Simulation;
use std::path::Path;

const DEGRADED: &str = r#"
[deadline]
base = "4ms"
rate = "1gbit"
[topology]
hosts_per_leaf = 8
leaves = 3
spines = 4
edge = { rate = "10gbit", delay = "1us", queue = "200kB" }
fabric = { rate = "10gbit", delay = "1us", queue = "200kB" }
[traffic]
load = 0.4
size = "300kB"
duration = "40ms"
priority = 0.2
[tcp]
least_timeout = "1ms"
[[fault]]
between = ["leaf-0", "spine-1"]
rate = 0.05
from = "3ms"
[smart]
ways = ["clone", "divert", "replicate"]
latency = "1ms"
reaction = "100us"
follow = "40ms"
hold = "1ms"
"#;

/// The run without SMART, and one for each way.
fn runs(text: &str) -> Vec<Report> {
    let experiment = Experiment::parse(text, Path::new("")).expect("good");
    let simulation = Simulation::new(&experiment, &engine::Registry::new(), Path::new("")).expect("no NFs");
    let reports = experiment.terms().into_iter().map(|terms| simulation.run(0.4, 1, terms).expect("no NFs"));
    reports.collect()
}

fn priority(report: &Report) -> &Class {
    report.classes.iter().find(|class| class.class == "priority").expect("priority flows")
}

#[test]
fn flows_that_would_be_late_come_in_time_by_another_route() {
    let reports = runs(DEGRADED);
    let ways: Vec<&str> = reports.iter().map(|report| report.way).collect();
    assert_eq!(ways, ["base", "clone", "divert", "replicate"]);
    let [base, clone, divert, replicate] = [0, 1, 2, 3].map(|n| priority(&reports[n]));
    assert!(base.violations >= 10, "{base:?}");
    for (class, most) in
        [(clone, base.violations / 4), (divert, base.violations / 4), (replicate, base.violations - 1)]
    {
        assert!(class.violations <= most, "{class:?}\n{base:?}");
        assert_eq!(class.completed, class.flows);
    }
    assert!(clone.cloned > 0 && clone.cloned < clone.packets / 4 && clone.diverted == 0, "{clone:?}");
    assert!(divert.diverted > 0 && divert.cloned == 0, "{divert:?}");
    // Only flows that follow are replicated: those are on two routes from their first packet on.
    // Every late flow is either late in both runs, or newly so.
    let beside = reports[1].clone().beside(&reports[0]);
    let kept =
        beside.outcomes.iter().zip(&reports[0].outcomes).filter(|(a, b)| a.violated && b.violated).count();
    assert_eq!(beside.newly_missed, Some(clone.violations - kept as u64));
    let told = |n: usize| reports[n].smart.expect("SMART did something");
    assert!(told(1).detours > 0 && told(1).following > 0, "{:?}", told(1));
    assert!(told(3).following > 0 && replicate.cloned > 0, "{:?}", told(3));
    assert_eq!(reports[0].smart, None);
}

#[test]
fn no_packet_is_lost_from_the_account_of_two_routes() {
    for report in runs(DEGRADED) {
        assert!(report.account.balances(), "{}: {:?}", report.way, report.account);
        assert_eq!((report.account.held, report.account.in_flight), (0, 0), "{}", report.way);
        // Of each packet one copy arrives.
        if report.way == "clone" {
            assert!(report.account.made > 0 && report.account.absorbed > 0, "{:?}", report.account);
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_result_with_smart_too() {
    let json = |reports: &[Report]| serde_json::to_string(reports).expect("JSON");
    assert_eq!(json(&runs(DEGRADED)), json(&runs(DEGRADED)));
}

#[test]
fn where_nothing_is_wrong_nothing_is_done() {
    let fine = DEGRADED.replace("rate = 0.05", "rate = 1.0").replace("load = 0.4", "load = 0.1");
    let reports = runs(&fine.replace("size = \"300kB\"", "size = \"20kB\""));
    let base = &reports[0];
    for report in &reports[1..] {
        assert_eq!(
            (report.smart.map(|smart| smart.noticed), &report.classes),
            (Some(0), &base.classes),
            "{}",
            report.way
        );
    }
}

#[test]
fn a_soft_limit_is_a_share() {
    let text = DEGRADED.replace("latency = \"1ms\"", "soft = 1.5");
    let error = Experiment::parse(&text, Path::new("")).err().map(|error| error.to_string());
    assert!(error.is_some_and(|said| said.starts_with("smart.soft: write a share")));
}
