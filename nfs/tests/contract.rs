//! Every NF of the registry does what it declares, and what its packet cases say.

use harness::{Rule, Trial};
use std::path::PathBuf;

fn clean(kind: &str, rule: Rule) {
    let registry = nfs::registry();
    let entry = registry.get(kind).expect(kind);
    Trial::example(entry).check_rule(rule).assert_clean();
}

/// One test for each NF and rule, so that a failure names both.
macro_rules! contract {
    ($($kind:ident),*) => {$(
        mod $kind {
            use super::*;

            #[test]
            fn contract() {
                for rule in Rule::ALL {
                    clean(stringify!($kind), rule);
                }
            }

            #[test]
            fn cases() {
                let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(stringify!($kind));
                harness::run_case_folder(&nfs::registry(), &folder).unwrap_or_else(|error| panic!("{error}"));
            }
        }
    )*};
}

contract!(mac_swap, l2fwd, firewall, monitor, netem, shaper);

fn check(kind: &str, config: &str) {
    let registry = nfs::registry();
    let mut trial = Trial::example(registry.get(kind).expect(kind));
    trial.config = config.to_owned();
    trial.check().assert_clean();
}

#[test]
fn a_switch_that_knows_vlans_keeps_the_contract() {
    check(
        "l2fwd",
        "vlan_aware = true\nunknown = \"drop\"\ntable = { \"02:00:00:00:00:02 vlan 5\" = \"wan\" }",
    );
}

#[test]
fn a_switch_that_learns_nothing_keeps_the_contract() {
    check("l2fwd", "learn = false\ntable = { \"02:00:00:00:00:02\" = \"wan\" }");
}

#[test]
fn a_firewall_that_reads_one_field_keeps_the_contract() {
    for rule in ["deny from 10.0.0.0/9", "deny to any port 0-1000", "deny tcp flags syn", "deny vlan 0-100"] {
        for malformed in ["drop", "pass"] {
            check(
                "firewall",
                &format!("rules = [\"{rule}\"]\ndefault = \"allow\"\nmalformed = \"{malformed}\""),
            );
        }
    }
}

/// All rules but that of state: which of its flows a full table gives up depends on the order in which they came, and
/// an import has another.
#[test]
fn a_monitor_that_is_full_keeps_the_contract() {
    let registry = nfs::registry();
    let mut trial = Trial::example(registry.get("monitor").expect("registered"));
    trial.config = "capacity = 16".to_owned();
    for rule in Rule::ALL.into_iter().filter(|rule| *rule != Rule::State) {
        trial.check_rule(rule).assert_clean();
    }
}

#[test]
fn bad_networks_of_every_kind_keep_the_contract() {
    for config in [
        "",
        "loss = 30\nloss_correlation = 40",
        "duplicate = 20\nduplicate_correlation = 10",
        "corrupt = 50",
        "corrupt = 10\nduplicate = 10\ndelay = \"3ms\"",
        "delay = \"10ms\"\njitter = \"10ms\"\ndistribution = \"pareto\"\nreorder = 10\ngap = 3",
        "delay = \"10ms\"\njitter = \"4ms\"\ndistribution = \"normal\"\ndelay_correlation = 25\nin_order = true",
        "gilbert_elliott = { to_bad = 5, to_good = 20, loss_in_good = 1 }\nrate = \"100mbit\"\noverhead = 24",
    ] {
        check("netem", config);
    }
}

/// All rules but that of state: packets that are held do not leave with it, and so make room.
#[test]
fn a_bad_network_that_is_full_keeps_the_contract() {
    let registry = nfs::registry();
    let mut trial = Trial::example(registry.get("netem").expect("registered"));
    trial.config = "delay = \"1s\"\nlimit = 5".to_owned();
    for rule in Rule::ALL.into_iter().filter(|rule| *rule != Rule::State) {
        trial.check_rule(rule).assert_clean();
    }
}

#[test]
fn shapers_that_hold_nothing_keep_the_contract() {
    for config in [
        "",
        "rate = \"1mbit\"\ndefault = \"a\"\nclass = [{ name = \"a\", queue = 0 }]",
        "class = [{ name = \"a\", match = \"tcp.flags has syn or icmp.type == 8 or vlan.id == 5\", mark = \"ef\" }]",
        "class = [{ name = \"a\", dscp = [0, \"ef\"], mark = 7 }]",
        "class = [{ name = \"a\", match = \"frame.len > 500\", rate = \"1mbit\", queue = 0 }]",
        "class = [{ name = \"a\", match = \"not ip.src in 10.0.0.0/9\", police = { cir = \"100kbit\", \
         cbs = 5000, ebs = 5000, yellow = \"af12\" } }]",
        "default = \"a\"\nclass = [{ name = \"a\", police = { cir = \"100kbit\", cbs = 5000, pir = \"1mbit\", \
         pbs = 9000, color_aware = true, green = \"af11\", yellow = \"af12\", red = \"af13\" } }]",
    ] {
        check("shaper", config);
    }
}

/// All rules but that of state: packets that wait do not leave with it, and so make room.
#[test]
fn a_shaper_with_a_backlog_keeps_the_contract() {
    let registry = nfs::registry();
    let mut trial = Trial::example(registry.get("shaper").expect("registered"));
    trial.config = "rate = \"2mbit\"\ndefault = \"rest\"\nclass = [\n\
        { name = \"office\", rate = \"1mbit\", ceil = \"2mbit\" },\n\
        { name = \"voice\", parent = \"office\", match = \"udp\", rate = \"100kbit\", mark = \"ef\", queue = 50 },\n\
        { name = \"data\", parent = \"office\", match = \"tcp\", ceil = \"2mbit\", priority = 1, queue = 50 },\n\
        { name = \"rest\", rate = \"500kbit\", ceil = \"2mbit\", priority = 1, queue = 50 },\n]"
        .to_owned();
    for rule in Rule::ALL.into_iter().filter(|rule| *rule != Rule::State) {
        trial.check_rule(rule).assert_clean();
    }
}
