//! The same seed, the same result; and nothing is lost from the account.

use proptest::prelude::*;
use sim::config::Experiment;
use sim::report::Report;
use sim::run::Simulation;
use std::path::Path;

fn run(text: &str, seed: u64) -> Report {
    let experiment = Experiment::parse(text, Path::new("")).expect("good");
    let simulation = Simulation::new(&experiment, &engine::Registry::new(), Path::new("")).expect("no NFs");
    simulation.run(experiment.loads()[0], seed, None).expect("no NFs")
}

const CONGESTED: &str = r#"
deadline = { base = "1ms", rate = "1gbit" }
patience = "2s"
[topology]
hosts_per_leaf = 8
leaves = 3
spines = 2
extend = [{ pods = 2, switches = 2 }]
edge = { rate = "10gbit", delay = "1us", queue = "100kB" }
fabric = { rate = "10gbit", delay = "1us", queue = "100kB" }
[traffic]
load = 0.9
size = "300kB"
duration = "10ms"
warm_up = "1ms"
priority = 0.2
[[fault]]
share = 0.2
rate = 0.2
loss = 0.001
from = "2ms"
until = "5ms"
"#;

fn json(report: &Report) -> String {
    serde_json::to_string(report).expect("JSON")
}

#[test]
fn the_same_seed_gives_the_same_result_byte_for_byte() {
    let report = run(CONGESTED, 3);
    assert_eq!(json(&report), json(&run(CONGESTED, 3)));
    assert_ne!(json(&report), json(&run(CONGESTED, 4)));
    // It is a run in which something happens.
    let class = &report.classes[0];
    assert_eq!(class.class, "priority");
    assert!(class.retransmissions > 0 && class.violations > 0 && report.account.lost > 0, "{class:?}");
    assert_eq!(class.completed, class.flows);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Every packet and every byte that was sent is delivered, dropped, lost or in flight, whatever the network, also when
    /// the run ends in the middle.
    #[test]
    fn every_byte_is_accounted_for(
        (hosts, leaves, spines) in (1u32..5, 2u32..4, 1u32..4),
        extend in proptest::option::of((1u32..3, 1u32..3)),
        (load, size, queue) in (0.1f64..1.5, 1u32..400_000, 2_000u32..100_000),
        (loss, rate) in (0.0f64..0.2, 0.01f64..1.0),
        patience_us in 1u32..20_000,
        seed in any::<u32>(),
    ) {
        let extend = extend.map_or(String::new(), |(pods, switches)| {
            format!("extend = [{{ pods = {pods}, switches = {switches} }}]")
        });
        let text = format!(
            "patience = \"{patience_us}us\"\n[topology]\nhosts_per_leaf = {hosts}\nleaves = {leaves}\n\
             spines = {spines}\n{extend}\nhost_queue = \"50kB\"\n\
             edge = {{ rate = \"1gbit\", delay = \"1us\", queue = \"{queue}B\" }}\n\
             fabric = {{ rate = \"1gbit\", delay = \"2us\", queue = \"{queue}B\" }}\n\
             [traffic]\nload = {load}\nsize = \"{size}B\"\nduration = \"5ms\"\n\
             [[fault]]\nshare = 0.5\nrate = {rate}\nloss = {loss}\nfrom = \"1ms\"\nuntil = \"3ms\"\n"
        );
        let report = run(&text, u64::from(seed));
        prop_assert!(report.account.balances(), "{:?}", report.account);
        prop_assert!(report.account.bytes_balance(), "{:?}", report.account);
        if report.classes.iter().all(|class| class.completed == class.flows) {
            let bytes: u64 = report.classes.iter().map(|class| class.bytes).sum();
            prop_assert!(report.account.delivered_bytes >= bytes);
        }
    }
}
