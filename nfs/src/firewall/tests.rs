use super::config::Config;
use super::*;
use engine::{Cursor, Record, Selector};
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
fn mistakes_in_rules_are_told_with_their_place() {
    let error = Plan::new(&config(&["allow tcp", "deny tcp form any"]), &Site::default())
        .map(|_| ())
        .expect_err("form");
    assert_eq!(error.key.as_deref(), Some("rules"));
    assert_eq!(error.message, "rule 2, column 10: 'form' is not understood here");
    assert_eq!(error.help.as_deref(), Some("did you mean 'from'?"));

    let missing = Config { rules: Source::File("no such file.rules".to_owned()), ..config(&[]) };
    let error = Plan::new(&missing, &Site::default()).map(|_| ()).expect_err("missing");
    assert!(error.message.contains("cannot read no such file.rules"), "{error}");
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
