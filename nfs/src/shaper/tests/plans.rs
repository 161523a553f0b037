//! Configuration, parts of workers, commands and state.

use super::super::*;
use engine::{Affinity, Cursor, Record, Selector, StateError};
use serde_json::json;
use wire::{Field, Fields};

fn config(text: &str) -> Config {
    serde_json::from_value(toml(text)).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Configurations here are written as JSON with words for keys, to be short.
fn toml(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn site(workers: usize) -> Site {
    Site { name: "uplink".to_owned(), workers, ..Site::default() }
}

fn plan(text: &str, workers: usize) -> Result<Plan, ConfigError> {
    Shaper::prepare(&config(text), &site(workers))
}

fn shaper(text: &str) -> Shaper {
    let plan = plan(text, 1).unwrap_or_else(|error| panic!("{text}: {error}"));
    Shaper::instance(&Arc::new(plan), &WorkerSite { index: 0, count: 1, seed: 1 })
}

const OFFICE: &str = r#"{"rate": "100mbit", "default": "rest", "class": [
    {"name": "office", "rate": "60mbit", "ceil": "80mbit"},
    {"name": "voice", "parent": "office", "dscp": ["ef"], "rate": "10mbit", "ceil": "80mbit"},
    {"name": "data", "parent": "office", "match": "tcp", "rate": "50mbit", "ceil": "80mbit", "priority": 1},
    {"name": "rest", "rate": "40mbit", "ceil": "100mbit", "mark": "le"}]}"#;

#[test]
fn configurations_that_cannot_be_are_refused_with_the_class_at_fault() {
    let one =
        |class: &str| format!(r#"{{"rate": "10mbit", "class": [{{"name": "a", "match": "ip", {class}}}]}}"#);
    for (text, words) in [
        (one(r#""priority": 8"#), "class 'a': priority 8 is not from 0 to 7"),
        (one(r#""rate": "2mbit", "ceil": "1mbit""#), "a ceiling of 1mbit is less than the rate of 2mbit"),
        (
            one(r#""rate": "11mbit""#),
            "the classes of 'all' have 11000000 bit/s together, more than its 10mbit",
        ),
        (one(r#""burst": 5000"#), "means nothing"),
        (one(r#""rate": "10mbit", "burst": 1000"#), "is 1000 bytes; its part of the rate needs 4014"),
        (one(r#""rate": "10mbit", "burst": 999999999"#), "more than 268435456 bytes"),
        (one(r#""quantum": 100"#), "the quantum is not from"),
        (one(r#""queue": 2000000"#), "longer than"),
        (one(r#""parent": "b""#), "there is no class 'b' before it"),
        (one(r#""police": {"cir": "1mbit", "cbs": 2000}"#), "neither 'ebs' alone nor"),
        (
            one(r#""police": {"cir": "1mbit", "cbs": 2000, "ebs": 1, "pir": "2mbit"}"#),
            "neither 'ebs' alone nor",
        ),
        (one(r#""police": {"cir": "2mbit", "cbs": 2000, "pir": "1mbit", "pbs": 9}"#), "'pir' is less"),
        (r#"{"class": [{"name": "a"}]}"#.to_owned(), "nothing comes to it"),
        (r#"{"class": [{"name": "all", "match": "ip"}]}"#.to_owned(), "the name is taken"),
        (r#"{"class": [{"name": "a", "match": "ipp"}]}"#.to_owned(), "'ipp'"),
        (r#"{"default": "x"}"#.to_owned(), "no class 'x' that takes packets"),
        (
            r#"{"class": [{"name": "a", "match": "ip"}, {"name": "b", "parent": "a", "match": "tcp"}]}"#
                .to_owned(),
            "it has classes below it",
        ),
        (r#"{"rate": "10mbit", "burst": 1}"#.to_owned(), "the burst of 'all' is 1 bytes"),
    ] {
        let error = plan(&text, 1).err().unwrap_or_else(|| panic!("{text} is refused"));
        assert!(error.message.contains(words), "{text}: {error}");
    }
    let deep: Vec<String> = (0..9)
        .map(|n| match n {
            0 => r#"{"name": "c0"}"#.to_owned(),
            n => format!(r#"{{"name": "c{n}", "parent": "c{}", "queue": 1}}"#, n - 1),
        })
        .collect();
    let error = plan(&format!(r#"{{"class": [{}]}}"#, deep.join(",")), 1).err().expect("too deep");
    assert!(error.message.contains("classes above it"), "{error}");
    let many: Vec<String> = (0..65).map(|n| format!(r#"{{"name": "c{n}", "match": "ip"}}"#)).collect();
    let error = plan(&format!(r#"{{"class": [{}]}}"#, many.join(",")), 1).err().expect("too many");
    assert!(error.message.contains("65 classes take packets"), "{error}");
}

#[test]
fn the_parts_of_all_workers_are_the_whole_of_every_budget() {
    let text = r#"{"rate": "10000001bit", "burst": 70001, "class": [{"name": "a", "match": "ip", "rate": "3000002bit",
        "burst": 50002, "queue": 11, "police": {"cir": "1000003bit", "cbs": 20001, "pir": "2000001bit", "pbs": 30002}}]}"#;
    for count in [1, 2, 3, 7] {
        let share = |index| Plan::share(&config(text), &WorkerSite { index, count, seed: 1 });
        let shares: Vec<_> = (0..count).map(share).collect();
        let sum = |of: &dyn Fn(&plan::Share) -> u64| shares.iter().map(of).sum::<u64>();
        assert_eq!(sum(&|share| share.classes[0].ceil.expect("a ceiling").rate), 10_000_001);
        assert_eq!(sum(&|share| share.classes[0].ceil.expect("a ceiling").burst), 70_001);
        assert_eq!(sum(&|share| share.classes[1].own.expect("a rate").rate), 3_000_002);
        assert_eq!(sum(&|share| share.classes[1].ceil.expect("a ceiling").burst), 50_002);
        assert_eq!(sum(&|share| share.classes[1].leaf.as_ref().expect("a leaf").queue as u64), 11);
        let meter = |share: &plan::Share| share.meters[0].expect("a meter");
        assert_eq!(sum(&|share| meter(share).committed.rate), 1_000_003);
        assert_eq!(sum(&|share| meter(share).committed.burst), 20_001);
    }
    // Whoever wants one worker to do it all gives it everything.
    let mut whole = config(text);
    whole.one_worker = true;
    let share = Plan::share(&whole, &WorkerSite { index: 2, count: 3, seed: 1 });
    assert_eq!(share.classes[0].ceil.expect("a ceiling").rate, 10_000_001);
    let error = plan(r#"{"rate": "12mbit", "burst": 6001}"#, 3).err().expect("too small in three parts");
    assert!(error.message.contains("is 2000 bytes"), "{error}");
}

#[test]
fn effects_are_those_of_the_classes() {
    let effects = |text: &str| plan(text, 1).unwrap_or_else(|error| panic!("{error}")).effects;
    let nothing = effects("{}");
    assert!(!nothing.may_drop && !nothing.holds && nothing.writes.is_empty());
    let limit = effects(r#"{"rate": "1mbit", "default": "a", "class": [{"name": "a"}]}"#);
    assert!(limit.may_drop && limit.holds && limit.reads == Fields::of(&[Field::Length]));
    let police = effects(r#"{"rate": "1mbit", "default": "a", "class": [{"name": "a", "queue": 0}]}"#);
    assert!(police.may_drop && !police.holds);
    let mark = effects(r#"{"class": [{"name": "a", "match": "udp.dport == 53", "mark": 10}]}"#);
    assert_eq!(mark.writes, Fields::of(&[Field::IpDscp, Field::IpChecksum]));
    assert!(!mark.may_drop && mark.reads.contains(Field::Dport) && !mark.reads.contains(Field::IpDscp));
    let one = effects(r#"{"rate": "1mbit", "one_worker": true}"#);
    assert_eq!((one.affinity, limit.affinity), (Affinity::One, Affinity::Flow));
}

#[test]
fn treatments_and_code_points_are_written_as_they_are_read() {
    for (written, read) in [
        (json!("pass"), Some(Treatment::Pass)),
        (json!("drop"), Some(Treatment::Drop)),
        (json!("af12"), Dscp::new(12).map(Treatment::Mark)),
        (json!("63"), Dscp::new(63).map(Treatment::Mark)),
        (json!("64"), None),
        (json!("af14"), None),
    ] {
        let treatment = serde_json::from_value::<Treatment>(written.clone()).ok();
        assert_eq!(treatment, read, "{written}");
        if let Some(treatment) = treatment {
            let again = serde_json::from_value::<Treatment>(json!(treatment)).ok();
            assert_eq!(again, read, "{written}");
        }
    }
    for (written, number) in
        [(json!(46), Some(46)), (json!("ef"), Some(46)), (json!(64), None), (json!("e"), None)]
    {
        let dscp = serde_json::from_value::<Dscp>(written.clone()).ok().map(Dscp::number);
        assert_eq!(dscp, number, "{written}");
    }
}

fn class<'a>(shown: &'a Value, name: &str) -> &'a Value {
    let classes = shown["classes"].as_array().expect("classes");
    classes.iter().find(|class| class["class"] == name).unwrap_or_else(|| panic!("no {name} in {shown}"))
}

#[test]
fn rates_change_while_it_runs_as_far_as_they_can() {
    let mut shaper = shaper(OFFICE);
    let said =
        shaper.answer("set", &json!({"class": "voice", "rate": "5mbit", "ceil": "20mbit"})).expect("set");
    assert_eq!(
        (&class(&said, "voice")["rate"], &class(&said, "voice")["ceil"]),
        (&json!("5mbit"), &json!("20mbit"))
    );
    shaper.answer("set", &json!({"rate": "200mbit", "burst": 500_000})).expect("the whole");
    let shown = shaper.answer("show", &json!({})).expect("shown");
    assert_eq!((&shown["rate"], &class(&shown, "voice")["packets"]), (&json!("200mbit"), &json!(0)));
    for (change, words) in [
        (json!({"class": "voice", "rate": "61mbit", "ceil": "80mbit"}), "more than its 60mbit"),
        (json!({"class": "voice", "ceil": "1mbit"}), "less than the rate"),
        (json!({"class": "fax", "rate": "1mbit"}), "the classes are: office, voice, data, rest"),
        (json!({"ceil": "1mbit"}), "only a class"),
        (json!({"rate": "0mbit"}), "1000gbit"),
        (json!({"burst": 1}), "needs 51514"),
        (json!({"queue": 1}), "unknown field"),
    ] {
        let before = shaper.config.clone();
        let error = shaper.answer("set", &change).expect_err(words);
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(shaper.config, before);
    }
    shaper.answer("reset", &json!({})).expect("reset");
    assert_eq!(shaper.config, shaper.plan.config);
}

fn exported(shaper: &Shaper) -> Vec<Record> {
    let mut records = Vec::new();
    assert_eq!(shaper.export(Cursor::default(), &Selector::default(), &mut records), None);
    records
}

#[test]
fn budgets_and_changed_rates_leave_and_enter() {
    let mut old = shaper(OFFICE);
    old.fill(Time::from_nanos(1));
    assert_eq!(old.scheduler.admit(0, 1000), Admission::Goes);
    assert_eq!(exported(&old).len(), 5, "the whole and four classes");
    old.answer("set", &json!({"class": "data", "rate": "20mbit"})).expect("set");
    let mut records = exported(&old);
    assert_eq!(records.len(), 6);
    // Whatever their order.
    records.reverse();
    let mut new = shaper(OFFICE);
    new.import(&records).expect("good records");
    assert_eq!(new.config, old.config);
    for number in 0..5 {
        assert_eq!(new.scheduler.tokens(number), old.scheduler.tokens(number));
    }
    for (place, value) in [("own", json!("x")), ("account", json!(3)), ("time", json!(-1))] {
        let mut bad = exported(&old);
        bad[1].value[place] = value;
        assert!(matches!(new.import(&bad), Err(StateError::Malformed { .. })), "{place}");
    }
    let mut foreign = exported(&old);
    foreign[0].value["default"] = json!("voice");
    assert!(matches!(new.import(&foreign), Err(StateError::Malformed { .. })), "no rate is the default");
    let mut unknown = exported(&old);
    unknown[1].key = json!({"worker": 0, "class": "fax"});
    assert!(matches!(new.import(&unknown), Err(StateError::Malformed { .. })));
}

#[test]
fn an_import_of_any_number_is_bounded_by_the_bucket() {
    let mut shaper = shaper(OFFICE);
    for tokens in [i64::MIN, i64::MAX] {
        let mut records = exported(&shaper);
        for record in &mut records {
            record.value["own"] = json!(tokens);
            record.value["ceil"] = json!(tokens);
        }
        shaper.import(&records).expect("numbers");
        shaper.fill(Time::from_nanos(u64::MAX));
        let (own, ceil) = shaper.scheduler.tokens(1);
        assert_eq!((own, ceil), (Some(cost(75_000)), Some(cost(100_000))), "{tokens}");
    }
}
