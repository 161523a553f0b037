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

contract!(mac_swap, l2fwd, firewall, monitor, nat);

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
fn a_translator_keeps_the_contract_however_it_is_configured() {
    for config in [
        "pool = [\"203.0.113.0/29\"]\nfiltering = \"endpoint_independent\"\nuntranslated = \"pass\"",
        "pool = [\"203.0.113.0/29\"]\nfiltering = \"address_and_port_dependent\"\npooling = \"arbitrary\"",
        "one_to_one = { \"203.0.113.7\" = \"10.0.0.7\", \"203.0.113.8\" = \"10.0.0.8\" }",
        // What the other side of the traffic sends goes to outside addresses.
        "inside = [\"192.0.2.0/24\"]\npool = [\"203.0.113.1\"]\none_to_one = { \"10.0.0.7\" = \"192.0.2.7\" }",
        "inside = [\"192.0.2.0/24\"]\nforward = { \"tcp 10.0.0.7:80\" = \"192.0.2.7:80\" }\npool = [\"10.0.0.0/27\"]",
    ] {
        let inside = if config.starts_with("inside") { "" } else { "inside = [\"10.0.0.0/8\"]\n" };
        check("nat", &format!("{inside}{config}"));
    }
}
