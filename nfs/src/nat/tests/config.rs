//! Configurations, commands and records that are not as they should be; changes of configuration.

use super::*;
use engine::StateError;
use serde_json::json;
use wire::tcp::flags::{ACK, SYN};

#[test]
fn configurations_that_cannot_be_are_refused_at_their_key() {
    for (more, key, words) in [
        ("", "pool", "no outside address"),
        ("pool = [\"203.0.113.1\"]\ncapacity = 0", "capacity", "0 sessions"),
        ("pool = [\"10.0.0.1\"]", "pool", "inside address"),
        ("pool = [\"203.0.113\"]", "pool", "no IPv4 address"),
        ("pool = [\"203.0.113.9-203.0.113.1\"]", "pool", "ends before"),
        ("pool = [\"203.0.113.0/33\"]", "pool", "203.0.113.0/33"),
        ("pool = [\"203.0.0.0/16\"]", "pool", "more than"),
        ("pool = [\"203.0.113.1\", \"203.0.113.0/30\"]", "pool", "twice"),
        ("pool = [\"224.0.0.1\"]", "pool", "not the address of a host"),
        ("pool = [\"203.0.113.1\"]\nports = \"9-1\"", "ports", "no range"),
        ("pool = [\"203.0.113.1\"]\nports = \"0-9\"", "ports", "no range"),
        ("pool = [\"203.0.113.1\"]\ntimeouts = { udp = \"0s\" }", "timeouts", "at once"),
        (
            "pool = [\"203.0.113.1\"]\none_to_one = { \"203.0.113.1\" = \"10.0.0.1\" }",
            "one_to_one",
            "in the pool",
        ),
        (
            "one_to_one = { \"203.0.113.1\" = \"10.0.0.1\", \"203.0.113.2\" = \"10.0.0.1\" }",
            "one_to_one",
            "two outside",
        ),
        ("forward = { \"sctp 203.0.113.1:80\" = \"10.0.0.1:80\" }", "forward", "tcp or udp"),
        ("forward = { \"tcp 203.0.113.1\" = \"10.0.0.1:80\" }", "forward", "with a port"),
        ("forward = { \"tcp 203.0.113.1:80\" = \"10.0.0.1:0\" }", "forward", "with a port"),
    ] {
        let error = plan(more).err().unwrap_or_else(|| panic!("accepted: {more}"));
        assert_eq!(error.key.as_deref(), Some(key), "{more}");
        assert!(error.message.contains(words), "{more}: {error}");
    }
}

#[test]
fn a_pool_is_of_addresses_prefixes_and_ranges() {
    let plan = plan("pool = [\"203.0.113.1\", \"198.51.100.4/31\", \"192.0.2.7-192.0.2.8\"]").expect("good");
    let shown: Vec<String> = plan.pool.iter().map(|&address| Ipv4Addr::from(address).to_string()).collect();
    assert_eq!(shown, ["203.0.113.1", "198.51.100.4", "198.51.100.5", "192.0.2.7", "192.0.2.8"]);
}

#[test]
fn what_the_next_configuration_has_no_place_for_ends_and_the_rest_stays() {
    let mut old = Bench::new("pool = [\"203.0.113.1\"]\none_to_one = { \"203.0.113.9\" = \"10.0.0.9\" }");
    let kept = source(old.udp((HOST, 4000), (WEB, 53)).expect("translated"));
    old.udp((Ipv4Addr::new(10, 0, 0, 9), 1), (WEB, 53)).expect("translated");
    let mut new = Bench::new("pool = [\"203.0.113.2\", \"203.0.113.1\"]\ncapacity = 100");
    new.now = old.now;
    for outline in old.nat.translator.sessions.all() {
        let _ = new.nat.translator.take_in(&outline);
    }
    assert_eq!(new.sessions(), 1);
    assert_eq!(destination(new.udp((WEB, 53), kept).expect("translated")), (HOST, 4000));
}

#[test]
fn records_of_other_addresses_or_of_taken_endpoints_are_refused_whole() {
    let mut old = Bench::one();
    old.udp((HOST, 4000), (WEB, 53)).expect("translated");
    old.udp((HOST, 4001), (WEB, 53)).expect("translated");
    let good = records(&old.nat);
    assert_eq!(good.len(), 2);
    let mut elsewhere = Bench::new("pool = [\"203.0.113.2\"]");
    assert!(matches!(elsewhere.nat.import(&good), Err(StateError::Malformed { .. })));
    let mut twice = good.clone();
    twice[1].value["sport"] = twice[0].value["sport"].clone();
    let mut fresh = Bench::one();
    assert!(matches!(fresh.nat.import(&twice), Err(StateError::Malformed { .. })));
    assert_eq!((fresh.sessions(), fresh.nat.translator.mappings.len()), (0, 0));
    assert_eq!(fresh.nat.translator.mappings.ports_in_use(0), [0; 3]);
    let mut small = Bench::new("pool = [\"203.0.113.1\"]\ncapacity = 1");
    assert_eq!(small.nat.import(&good), Err(StateError::Full { needed: 2, capacity: 1 }));
    assert_eq!(fresh.nat.import(&good), Ok(()));
    assert_eq!(records(&fresh.nat), good);
}

#[test]
fn a_later_record_of_a_known_session_brings_it_up_to_date() {
    let mut old = Bench::one();
    let outside = source(old.tcp((HOST, 4000), (WEB, 80), SYN).expect("translated"));
    let mut new = Bench::one();
    new.nat.import(&records(&old.nat)).expect("its own records");
    old.wait(100);
    old.tcp((WEB, 80), outside, SYN | ACK).expect("translated");
    new.nat.import(&records(&old.nat)).expect("its own records");
    assert_eq!(records(&new.nat), records(&old.nat));
    new.now = old.now;
    new.wait(3600);
    assert_eq!(new.sessions(), 1, "it is established there, too");
}

#[test]
fn commands_show_mappings_sessions_and_the_pool_and_forget_a_host() {
    let mut nat = Bench::new("pool = [\"203.0.113.1\"]\nports = \"5000-5001\"");
    nat.udp((HOST, 4000), (WEB, 53)).expect("translated");
    nat.udp((HOST, 4000), (DNS, 53)).expect("translated");
    nat.tcp((OTHER, 4001), (WEB, 80), SYN).expect("translated");
    let mut steps = 0;
    let mut ask = |name: &str, mut arguments: Value| {
        loop {
            steps += 1;
            match nat.nat.answer(name, &arguments) {
                Err(CommandError::Unfinished(next)) => arguments = next,
                answer => return answer.expect(name),
            }
        }
    };
    let mappings = ask("mappings", Value::Null);
    assert_eq!(mappings["known"], 2);
    let of_udp =
        json!({ "inside": "10.0.0.7:4000", "outside": "203.0.113.1:5000", "proto": 17, "sessions": 2 });
    assert!(mappings["mappings"].as_array().is_some_and(|all| all.contains(&of_udp)), "{mappings}");
    let sessions = ask("sessions", json!({ "selector": { "protocol": 6 } }));
    assert_eq!(sessions["known"], 3);
    assert_eq!(sessions["sessions"][0]["translated_from"], "203.0.113.1:5001");
    assert_eq!(sessions["sessions"][0]["state"], "opening");
    let used = json!({ "address": "203.0.113.1", "tcp": 1, "udp": 1, "icmp": 0 });
    assert_eq!(ask("pool", json!({})), json!({ "addresses": [used], "known": 1 }));
    assert_eq!(ask("forget", json!({ "address": "10.0.0.7" })), json!({ "forgotten": 2 }));
    assert_eq!(ask("mappings", Value::Null)["known"], 1);
    assert_eq!(steps, 4 + 65_536 / (16 * engine::PAGE), "packets go by between parts of the table");
}
