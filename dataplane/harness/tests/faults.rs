//! Every rule finds what breaks it, and nothing in an NF that is right.

mod odd;

use engine::{Burst, ConfigError, Cx, Kind, Nf, Registry, Site, WorkerSite};
use harness::{Report, Rule, Trial};
use odd::Odd;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

fn trial(fault: &str) -> Trial {
    let registry = Registry::new().with::<Odd>();
    let mut trial = Trial::example(registry.get("odd").expect("it was registered"));
    trial.config = format!("fault = \"{fault}\"");
    trial
}

#[test]
fn a_right_nf_breaks_no_rule() {
    let report = trial("none").check();
    assert!(report.is_clean(), "{report}");
    assert!(report.notes.is_empty(), "{:?}", report.notes);
}

/// The fault breaks the rule, and the message has these words.
fn assert_found(rule: Rule, rows: &[(&str, &str)]) {
    for (fault, words) in rows {
        let report = trial(fault).check_rule(rule);
        assert!(!report.is_clean(), "'{fault}' is not found");
        let text = report.to_string();
        assert!(text.contains(words), "'{fault}' is found, but without '{words}':\n{text}");
        assert!(text.contains("to do: "), "{text}");
    }
}

#[test]
fn packets_that_crash_it_or_get_lost_are_found() {
    assert_found(
        Rule::Packets,
        &[
            ("panics_on_runt", "panicked: index out of bounds"),
            ("loses_packet", "0 were emitted or discarded"),
            ("drains_nothing", "0 were emitted or discarded"),
            ("contradicts", "contradicts what it did"),
        ],
    );
}

#[test]
fn undeclared_effects_are_found() {
    assert_found(
        Rule::Effects,
        &[
            ("writes_eth_src", "it changed eth_src, and declares that it writes: ip_ttl, ip_dscp"),
            ("writes_ecn_bits", "it changed ip_ecn, and"),
            ("drops_undeclared", "it dropped as 'refused'"),
            ("holds_undeclared", "it took a packet"),
            ("creates_undeclared", "it created a packet"),
            ("grows_undeclared", "it changed a packet's length"),
            ("reason_undeclared", "a reason that is not in DROPS"),
            ("gate_undeclared", "it sent to gate 1"),
            ("gate_not_there", "it sent to gate 7 and has 1"),
        ],
    );
}

#[test]
fn a_checksum_that_is_computed_anew_is_no_difference() {
    assert_found(Rule::Adjusts, &[("computes_checksum", "a wrong ip_checksum comes out wrong by 0x0000")]);
}

#[test]
fn undeclared_reads_are_found_by_name() {
    assert_found(
        Rule::Reads,
        &[
            ("reads_ports", "another value in sport"),
            ("reads_length", "another value in length"),
            ("counts_payload", "the exported state is another"),
        ],
    );
}

#[test]
fn a_first_segment_taken_for_the_whole_packet_is_found() {
    assert_found(Rule::Segments, &[("first_segment_only", "ip_ttl")]);
}

#[test]
fn chance_is_found() {
    assert_found(Rule::Determinism, &[("random", "in a second run")]);
}

#[test]
fn state_that_does_not_travel_is_found() {
    assert_found(
        Rule::State,
        &[
            ("no_state", "it declares state, and `state` returns none"),
            ("state_undeclared", "`state` returns some"),
            ("forgets_time", "imported into a fresh instance: the exported state is another"),
            ("keeps_secret", "moved to another instance half way: its verdict is"),
            ("twice", "twice"),
            ("endless", "does not end"),
            ("ignores_selector", "selected by kind 'no_such_kind'"),
            ("adopts_nothing", "adopted half way"),
            ("split_loses", "split between two workers"),
        ],
    );
}

#[test]
fn imports_that_are_too_trusting_are_found() {
    assert_found(
        Rule::State,
        &[
            ("accepts_newer", "of a newer version it says Ok"),
            ("accepts_unknown", "an unknown kind of record it says Ok"),
            ("accepts_malformed", "with the value null it says Ok"),
            ("panics_on_malformed", "panics: not a number"),
            ("imports_half", "has changed the state all the same"),
        ],
    );
}

#[test]
fn a_page_that_is_too_long_is_found() {
    let mut trial = trial("long_page");
    // One packet each from more sources than a page may have.
    trial.frames.extend((0..300u32).map(|i| {
        let packet = format!("eth 2::1 > 2::2 / ipv4 10.1.{}.{} > 10.0.0.1 / udp 1 > 2", i / 256, i % 256);
        let packet = packet.replace("2::", "02:00:00:00:00:0");
        harness::Frame::new("one of many", harness::packet(&packet).expect("a packet"))
    }));
    let text = trial.check_rule(Rule::State).to_string();
    assert!(text.contains("more than 256"), "{text}");
}

#[test]
fn commands_that_lie_or_panic_are_found() {
    assert_found(
        Rule::Commands,
        &[
            ("answers_unknown", "to an unknown command it answers Ok"),
            ("command_panics", "panics: a limit"),
            ("command_missing", "declares the command 'count' and does not know it"),
        ],
    );
}

/// An NF whose constants and configuration are wrong.
struct Careless;

#[derive(Clone, Serialize, Deserialize, schemars::JsonSchema)]
struct CarelessConfig {
    /// Its schema asks for it, the example has it not.
    limit: u8,
}

impl Nf for Careless {
    fn process(&mut self, _burst: &mut Burst, _cx: &mut Cx<'_>) {}
}

impl Kind for Careless {
    const NAME: &'static str = "Careless";
    const SUMMARY: &'static str = "";
    const DROPS: &'static [&'static str] = &["panic", "late", "late"];

    type Config = CarelessConfig;
    type Plan = ();

    fn prepare(_config: &CarelessConfig, _site: &Site) -> Result<(), ConfigError> {
        Ok(())
    }

    fn effects(_plan: &()) -> engine::Effects {
        engine::Effects::NONE
    }

    fn instance(_plan: &Arc<()>, _worker: &WorkerSite) -> Self {
        Careless
    }
}

fn careless(config: &str, rule: Rule) -> Report {
    let registry = Registry::new().with::<Careless>();
    let mut trial = Trial::example(registry.get("Careless").expect("it was registered"));
    trial.config = config.to_owned();
    trial.check_rule(rule)
}

#[test]
fn careless_names_are_found() {
    let text = careless("limit = 1", Rule::Registration).to_string();
    for words in [
        "'Careless' is not in snake case",
        "summary is not one line",
        "'panic' is the engine's own",
        "'late' is there twice",
    ] {
        assert!(text.contains(words), "without '{words}':\n{text}");
    }
}

#[test]
fn a_careless_configuration_is_found() {
    let text = careless("", Rule::Configuration).to_string();
    assert!(text.contains("its configuration is refused"), "{text}");
    assert!(text.contains("its schema refuses its example: config lacks \"limit\""), "{text}");
    let text = careless("limit = 1", Rule::Configuration).to_string();
    assert!(text.contains("the unknown key 'no_such_key' is accepted"), "{text}");
    let text = careless("limit = 300", Rule::Configuration).to_string();
    assert!(text.contains("config.limit is above its maximum"), "{text}");
}
