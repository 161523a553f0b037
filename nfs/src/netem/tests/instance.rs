//! Configuration, commands and state of an instance.

use super::super::*;
use crate::{Rate, Span};
use engine::{Affinity, Cursor, Record, Selector, StateError};
use serde_json::json;
use wire::{Field, Fields};

fn site(name: &str) -> Site {
    Site { name: name.to_owned(), workers: 1, ..Site::default() }
}

fn instance(config: &Config) -> Netem {
    let plan = Netem::prepare(config, &site("bad")).expect("a good configuration");
    Netem::instance(&Arc::new(plan), &WorkerSite { index: 0, count: 1, seed: 1 })
}

fn lossy() -> Config {
    Config { loss: 5.0, delay: Span::seconds(1), ..Config::default() }
}

fn exported(netem: &Netem) -> Vec<Record> {
    let mut records = Vec::new();
    assert_eq!(netem.export(Cursor::default(), &Selector::default(), &mut records), None);
    records
}

#[test]
fn configurations_that_cannot_be_are_refused_at_their_key() {
    let channel = GilbertElliott { to_bad: 1.0, to_good: 101.0, loss_in_bad: 100.0, loss_in_good: 0.0 };
    let good = GilbertElliott { to_good: 10.0, ..channel.clone() };
    for (config, key, words) in [
        (Config { loss: 100.5, ..Config::default() }, "loss", "'loss' is 100.5"),
        (Config { loss: f64::NAN, ..Config::default() }, "loss", "NaN"),
        (Config { delay_correlation: -1.0, ..Config::default() }, "delay_correlation", "is -1"),
        (
            Config { gilbert_elliott: Some(channel), ..Config::default() },
            "gilbert_elliott",
            "'to_good' is 101",
        ),
        (Config { gilbert_elliott: Some(good), ..lossy() }, "loss", "both say"),
        (Config { reorder: 10.0, ..Config::default() }, "reorder", "without a delay"),
        (Config { reorder: 10.0, in_order: true, ..lossy() }, "in_order", "keeps packets from overtaking"),
        (Config { gap: 0, ..Config::default() }, "gap", "'gap' is 0"),
        (Config { limit: 0, ..Config::default() }, "limit", "not from 1"),
        (Config { delay: Span::seconds(3601), ..Config::default() }, "delay", "more than an hour"),
    ] {
        let error = Netem::prepare(&config, &site("bad")).err().expect(words);
        assert_eq!(error.key.as_deref(), Some(key));
        assert!(error.message.contains(words), "{error}");
    }
}

#[test]
fn effects_are_those_of_what_is_switched_on() {
    let effects = |config: Config| instance(&config).settings.effects();
    let nothing = effects(Config::default());
    assert_eq!(nothing, Effects { state: engine::StateKind::Learns, ..Effects::NONE });
    let lossy = effects(Config { loss: 1.0, ..Config::default() });
    assert!(lossy.may_drop && !lossy.holds && lossy.reads.is_empty());
    let twice = effects(Config { duplicate: 1.0, ..Config::default() });
    assert!(twice.may_create && !twice.may_drop);
    let corrupt = effects(Config { corrupt: 1.0, ..Config::default() });
    assert_eq!((corrupt.reads, corrupt.writes), (Fields::of(&[Field::Length]), Fields::ALL));
    let link = effects(Config { rate: Rate::new(1000), ..Config::default() });
    assert!(link.holds && link.may_drop && link.affinity == Affinity::One);
}

#[test]
fn settings_change_while_it_runs_as_far_as_the_plan_allows() {
    let mut netem = instance(&lossy());
    let said = netem.answer("set", &json!({"loss": 50, "delay": "20ms"})).expect("loss and delay are on");
    assert_eq!((&said["settings"]["loss"], &said["settings"]["delay"]), (&json!(50.0), &json!("20ms")));
    assert_eq!(netem.settings.delay, 20e6);
    for (changes, words) in [
        (json!({"duplicate": 1}), "duplication: only what"),
        (json!({"corrupt": 1}), "corruption: only what"),
        (json!({"rate": "1mbit"}), "the rate: only what"),
        (json!({"limit": 5}), "limit cannot change"),
        (json!({"loss": 101}), "'loss' is 101"),
    ] {
        let error = netem.answer("set", &changes).expect_err(words);
        assert!(matches!(&error, CommandError::Failed(said) if said.contains(words)), "{error}");
    }
    let unknown = netem.answer("set", &json!({"los": 1})).expect_err("no such key");
    assert!(matches!(&unknown, CommandError::Arguments(said) if said.contains("los")), "{unknown}");
    assert_eq!(netem.answer("show", &json!({})).expect("shown")["settings"]["loss"], 50.0);
    netem.answer("reset", &json!({})).expect("reset");
    assert_eq!(netem.settings, netem.plan.settings);
}

#[test]
fn changed_settings_leave_and_enter_with_the_channel() {
    let mut netem = instance(&lossy());
    assert_eq!(exported(&netem).len(), 1);
    netem.answer("set", &json!({"loss": 50})).expect("loss is on");
    for _ in 0..100 {
        netem.channel.judge(&netem.settings, 100);
    }
    let records = exported(&netem);
    assert_eq!(records.len(), 2);
    let mut other = instance(&lossy());
    other.import(&records).expect("good records");
    assert_eq!((&other.settings, &other.channel), (&netem.settings, &netem.channel));
    // What this plan has not switched on cannot be in force, and nothing of it is taken in.
    let mut untouched = instance(&lossy());
    let before = untouched.channel.clone();
    let mut foreign = records;
    foreign[1].value["corrupt"] = json!(1.0);
    let refused = untouched.import(&foreign).expect_err("corruption is off");
    assert!(matches!(refused, StateError::Malformed { .. }), "{refused}");
    assert_eq!((&untouched.channel, &untouched.settings), (&before, &untouched.plan.settings));
}

#[test]
fn records_of_another_worker_change_nothing() {
    let mut netem = instance(&lossy());
    let mut records = exported(&netem);
    records[0].key = json!({ "worker": 1 });
    records[0].value["bad"] = json!(true);
    netem.import(&records).expect("good records");
    assert!(!netem.channel.bad);
}

#[test]
fn two_networks_and_two_workers_do_not_lose_the_same_packets() {
    let channel = |name: &str, seed: u64| {
        let plan = Netem::prepare(&lossy(), &site(name)).expect("a good configuration");
        Netem::instance(&Arc::new(plan), &WorkerSite { index: 0, count: 1, seed }).channel
    };
    assert_eq!(channel("there", 1), channel("there", 1));
    assert_ne!(channel("there", 1), channel("back", 1));
    assert_ne!(channel("there", 1), channel("there", 2));
}
