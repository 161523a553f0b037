use super::config::Config;
use super::*;
use crate::conntrack::Tracking;
use engine::{Affinity, Cursor, Record, Selector, StateKind};
use serde_json::json;
use wire::{Field, Fields};

fn config(rules: &[&str]) -> Config {
    let lines = rules.iter().map(|rule| (*rule).to_owned()).collect();
    let mut config: Config = serde_json::from_value(json!({ "rules": [] })).expect("the least there is");
    config.rules = Source::Inline(lines);
    config
}

fn firewall(rules: &[&str]) -> Firewall {
    let plan = Firewall::prepare(&config(rules), &Site::default()).expect("good rules");
    Firewall::instance(&Arc::new(plan), &WorkerSite { index: 0, count: 1, seed: 1 })
}

fn reads(rules: &[&str]) -> Fields {
    Plan::new(&config(rules), &Site::default()).expect("good rules").effects.reads
}

#[test]
fn it_reads_only_what_the_rules_ask_for() {
    let asked = Fields::of(&[
        Field::IpSrc,
        Field::IpDst,
        Field::Sport,
        Field::Dport,
        Field::TcpFlags,
        Field::IcmpType,
    ]);
    for (rule, fields) in [
        ("deny ip", &[][..]),
        ("deny from 10.0.0.0/8", &[Field::IpSrc]),
        ("deny tcp to ::1 port 80", &[Field::IpDst, Field::Dport]),
        ("deny tcp from any port 1-9 flags syn", &[Field::Sport, Field::TcpFlags]),
        ("deny icmp type 8", &[Field::IcmpType]),
    ] {
        assert_eq!(reads(&[rule]).intersection(asked), Fields::of(fields), "{rule}");
    }
}

#[test]
fn only_rules_that_ask_for_a_state_make_it_track_connections() {
    let of = |rule: &str| Plan::new(&config(&[rule]), &Site::default()).expect("a good rule").effects;
    let (without, with) = (of("allow tcp"), of("allow tcp ct state new"));
    assert_eq!((without.state, without.affinity), (StateKind::Report, Affinity::Any));
    assert_eq!((with.state, with.affinity), (StateKind::Learns, Affinity::Flow));
    assert!(with.reads.includes(without.reads) && with.reads.includes(conntrack::READS));
    assert!(firewall(&["allow tcp"]).tracking.is_none());
    assert!(firewall(&["allow ct state new,established,related,invalid,untracked"]).tracking.is_some());

    let tracking = Some(Tracking::default());
    let superfluous = Config { tracking: tracking.clone(), ..config(&["allow tcp"]) };
    let error = Plan::new(&superfluous, &Site::default()).map(|_| ()).expect_err("superfluous");
    assert_eq!(error.key.as_deref(), Some("tracking"));
    assert!(error.message.contains("no rule asks"), "{error}");
    let impossible = Some(Tracking { capacity: 0, ..Tracking::default() });
    let error = Config { tracking: impossible, ..config(&["allow ct state new"]) };
    assert!(Plan::new(&error, &Site::default()).is_err(), "a capacity of nothing");
}

#[test]
fn commands_about_connections_need_rules_that_ask_for_them() {
    let mut without = firewall(&["allow tcp"]);
    let mut with = firewall(&["allow ct state established", "allow ct state new"]);
    for command in ["connections", "occupancy", "forget"] {
        assert!(matches!(without.answer(command, &Value::Null), Err(CommandError::Failed(_))), "{command}");
        assert!(with.answer(command, &Value::Null).is_ok(), "{command}");
    }
}

#[test]
fn records_of_connections_are_let_go_when_no_rule_asks_for_them() {
    let record = |kind: &str, value: Value| Record {
        kind: kind.to_owned(),
        version: 1,
        role: engine::Role::Supporting,
        scope: engine::Scope::Flow,
        key: json!({ "rule": 0, "text": "allow tcp" }),
        value,
    };
    let mut without = firewall(&["allow tcp"]);
    let records = [
        record("connection", json!({})),
        record("datagram", json!({})),
        record("rule_hits", json!({ "packets": 7 })),
    ];
    without.import(&records).expect("what it knows of");
    assert_eq!(*without.hits, [7]);
    let unknown = without.import(&[record("session", json!({}))]);
    assert!(matches!(unknown, Err(engine::StateError::UnknownKind(_))), "{unknown:?}");
    let mut with = firewall(&["allow ct state new"]);
    assert!(with.import(&records[..1]).is_err(), "broken");
}

#[test]
fn mistakes_in_rules_are_told_with_their_place() {
    let error = Plan::new(&config(&["allow tcp", "deny tcp form any"]), &Site::default())
        .map(|_| ())
        .expect_err("form");
    assert_eq!(error.key.as_deref(), Some("rules[1]"));
    assert_eq!(error.message, "rule 2, column 10: 'form' is not understood here");
    assert_eq!(error.help.as_deref(), Some("did you mean 'from'?"));
    assert_eq!(error.also, []);

    let many = Plan::new(&config(&["nonsense"; 12]), &Site::default()).map(|_| ()).expect_err("nonsense");
    assert_eq!(many.also.len(), 10, "nine more, and how many are left");
    assert_eq!(many.also[9].message, "2 more rules of the list are wrong");

    let missing = Config { rules: Source::File("no such file.rules".to_owned()), ..config(&[]) };
    let error = Plan::new(&missing, &Site::default()).map(|_| ()).expect_err("missing");
    assert!(error.message.contains("cannot read no such file.rules"), "{error}");
}

#[test]
fn a_firewall_that_denies_nothing_is_remarked_on() {
    let remarks = |rules: &[&str], default| {
        let config = Config { default, ..config(rules) };
        Firewall::remarks(&Plan::new(&config, &Site::default()).expect("good")).len()
    };
    assert_eq!(remarks(&[], Policy::Allow), 1);
    assert_eq!(remarks(&[], Policy::Deny), 0);
    assert_eq!(remarks(&["allow ip"], Policy::Allow), 0, "it counts");
}

#[test]
fn classbench_filters_allow_unless_told_otherwise_and_other_rules_have_their_own_action() {
    let filter = "@10.0.0.0/8 0.0.0.0/0 0 : 65535 0 : 65535 0x06/0xFF";
    let without = Plan::new(&config(&[filter]), &Site::default()).map(|plan| plan.terms[0]);
    assert_eq!(without, Ok((0, Action::Allow)));
    let with = Config { classbench_action: Some(Policy::Deny), ..config(&[filter]) };
    assert_eq!(Plan::new(&with, &Site::default()).map(|plan| plan.terms[0]), Ok((0, Action::Deny)));
    let superfluous = Config { classbench_action: Some(Policy::Deny), ..config(&["allow ip"]) };
    let error = Plan::new(&superfluous, &Site::default()).map(|_| ()).expect_err("superfluous");
    assert_eq!(error.key.as_deref(), Some("classbench_action"));
}

#[test]
fn every_malformed_reason_has_its_name() {
    for malformed in wire::Malformed::ALL {
        assert_eq!(REASONS[OWN_REASONS.len() + malformed as usize - 1], malformed.name());
    }
}

fn hits(firewall: &Firewall) -> Vec<Record> {
    let mut records = Vec::new();
    assert_eq!(firewall.export(Cursor::default(), &Selector::default(), &mut records), None);
    records
}

#[test]
fn counters_go_along_with_the_text_of_their_rules() {
    let mut old = firewall(&["allow tcp", "allow udp", "deny ip"]);
    old.hits = [3, 0, 5].into();
    let records = hits(&old);
    assert_eq!(records.len(), 2, "rules that never matched have nothing to tell");

    let mut imported = firewall(&["deny ip", "allow tcp"]);
    imported.import(&records).expect("its own records");
    assert_eq!(*imported.hits, [5, 3]);

    let mut adopted = firewall(&["allow icmp", "allow tcp"]);
    adopted.inherit(old);
    assert_eq!(*adopted.hits, [0, 3]);
}

#[test]
fn records_beyond_what_can_be_counted_on_are_refused() {
    let mut firewall = firewall(&["allow tcp", "allow tcp"]);
    firewall.hits = [1, 0].into();
    let mut record = hits(&firewall).remove(0);
    record.value = json!({"packets": u64::MAX});
    let error = firewall.import(std::slice::from_ref(&record)).expect_err("more than there may be");
    assert!(error.to_string().contains("packets is"), "{error}");
    record.value = json!({"packets": 1u64 << 63});
    firewall.import(&[record.clone(), record]).expect("as much as there may be");
    assert_eq!(*firewall.hits, [1 << 63, 0], "there is room to count on");
    firewall.hits[1] = 1 << 63;
    let mut new = self::firewall(&["allow tcp"]);
    new.inherit(firewall);
    assert_eq!(*new.hits, [1 << 63]);
}

#[test]
fn the_top_rules_are_those_of_a_sort() {
    let rules: Vec<String> = (0..500).map(|port| format!("allow tcp to any port {port}")).collect();
    let mut firewall = firewall(&rules.iter().map(String::as_str).collect::<Vec<_>>());
    for (rule, hits) in (0u64..).zip(&mut firewall.hits) {
        *hits = rule * 7919 % 101;
    }
    let mut sorted: Vec<usize> = (0..500).filter(|&rule| firewall.hits[rule] > 0).collect();
    sorted.sort_by_key(|&rule| std::cmp::Reverse(firewall.hits[rule]));
    for count in [0, 1, 10, 256] {
        let top = firewall.answer("top", &json!({ "count": count })).expect("an answer");
        let rules: Vec<Value> = sorted[..count].iter().map(|&rule| json!(rule)).collect();
        let top: Vec<Value> =
            top.as_array().expect("a list").iter().map(|shown| shown["rule"].clone()).collect();
        assert_eq!(top, rules);
    }
}

#[test]
fn rules_that_are_neither_path_nor_list_are_told_what_they_should_be() {
    for (rules, words) in [
        (json!(5), "integer `5`, expected the path of a rule file, or a list of rules"),
        (json!({"file": "x"}), "map, expected the path of a rule file, or a list of rules"),
        (json!(["allow tcp", 5]), "integer `5`, expected a string"),
    ] {
        let error = serde_json::from_value::<Config>(json!({ "rules": rules })).expect_err(words);
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn commands_show_and_reset_the_counters() {
    let mut firewall = firewall(&["allow tcp,udp", "deny ip"]);
    firewall.hits = [3, 5].into();
    let shown = firewall.answer("rules", &Value::Null).expect("always");
    assert_eq!(shown["of"], 2);
    assert_eq!(shown["rules"][1]["packets"], 5);
    assert_eq!(shown["rules"][0]["action"], "allow");
    let top = firewall.answer("top", &json!({"count": 1})).expect("always");
    assert_eq!(top[0]["text"], "deny ip");
    firewall.answer("reset", &Value::Null).expect("always");
    assert_eq!(*firewall.hits, [0, 0]);
    assert!(matches!(firewall.answer("rules", &json!({"form": 1})), Err(CommandError::Arguments(_))));
}
