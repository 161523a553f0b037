//! What a new instance takes over from the one before it.

use super::super::ipfix::EndReason;
use super::super::record::Endings;
use super::super::state::parse;
use super::super::{COUNTERS, Config, Monitor};
use super::monitor;
use crate::outlet::Outlet;
use engine::{Record, Role, Scope, State, Time};
use serde_json::json;
use std::net::Ipv4Addr;
use wire::Mac;
use wire::builder::Builder;

/// Of `count` flows one UDP packet each, and an ARP frame.
fn feed(monitor: &mut Monitor, count: u8) {
    let ethernet = || Builder::ethernet(Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
    let mut frames: Vec<Vec<u8>> = (0..count)
        .map(|last| {
            ethernet().ipv4(Ipv4Addr::new(10, 0, 0, last), Ipv4Addr::new(10, 0, 1, 1)).udp(1, 2).build()
        })
        .collect();
    let mut arp = vec![0xff; 60];
    arp[12..14].copy_from_slice(&[0x08, 0x06]);
    frames.push(arp);
    for frame in &frames {
        let now = Time::from_nanos(1);
        monitor.accounts.stage(0, &wire::parse_with_len(frame, frame.len()), frame, now);
        monitor.accounts.settle(now, &mut monitor.exits);
    }
}

/// What each counter has in all after what these instances told.
fn told(monitors: &mut [&mut Monitor]) -> Vec<(&'static str, u64)> {
    let mut totals = [0; COUNTERS.len()];
    for monitor in monitors {
        for (total, new) in totals.iter_mut().zip(monitor.news()) {
            *total += new;
        }
    }
    COUNTERS.into_iter().zip(totals).filter(|(_, total)| *total > 0).collect()
}

fn a_flow() -> Record {
    Record {
        kind: "flow".to_owned(),
        version: 1,
        role: Role::Reporting,
        scope: Scope::Flow,
        key: json!({"src": "10.0.0.1", "sport": 1, "dst": "10.0.1.1", "dport": 2, "proto": 17}),
        value: json!({
            "packets": 1, "bytes": 28, "packets_back": 0, "bytes_back": 0, "tcp_flags": 0, "tcp_flags_back": 0,
            "first": 1, "last": 1, "seq": null, "seq_back": null,
        }),
    }
}

#[test]
fn flows_that_were_lost_stay_counted_once() {
    let ended = parse(&a_flow()).expect("a record");
    for capacity in [Config::default().capacity, 16] {
        let mut old = monitor(&Config::default());
        old.exits.report = Outlet::blocked();
        (0..3).for_each(|_| old.exits.ended(ended.key, &ended.flow, EndReason::Ended));
        assert_eq!(told(&mut [&mut old]), [("flows_lost", 3)]);
        let mut new = monitor(&Config { capacity, ..Config::default() });
        new.exits.report = Outlet::blocked();
        new.inherit(old);
        assert_eq!(told(&mut [&mut new]), [], "nothing is new");
        new.exits.ended(ended.key, &ended.flow, EndReason::Ended);
        assert_eq!(told(&mut [&mut new]), [("flows_lost", 1)]);
    }
}

#[test]
fn totals_stay_where_the_tables_get_another_shape() {
    let mut old = monitor(&Config::default());
    feed(&mut old, 20);
    let mut first = old.news().to_vec();
    let mut new = monitor(&Config { capacity: 64, ..Config::default() });
    let protocols = old.answer("protocols", &json!({}));
    new.inherit(old);
    assert_eq!(new.answer("protocols", &json!({})), protocols);
    assert_eq!(told(&mut [&mut new]), [], "nothing is told twice");
    feed(&mut new, 20);
    for (total, new) in first.iter_mut().zip(new.news()) {
        *total += new;
    }
    let named = |name: &str| COUNTERS.iter().position(|counter| *counter == name).map(|i| first[i]);
    assert_eq!((named("udp"), named("arp"), named("flows_opened")), (Some(40), Some(2), Some(20)));
    let shown = new.answer("protocols", &json!({})).expect("an answer");
    assert_eq!(shown, json!([{ "proto": 17, "packets": 40, "bytes": 40 * 28 }]));
}

#[test]
fn records_beyond_what_can_be_counted_on_are_refused() {
    for member in ["packets", "bytes", "packets_back", "bytes_back"] {
        let mut most = a_flow();
        most.value[member] = json!(1u64 << 63);
        let mut monitor = monitor(&Config::default());
        // Twice, as the second is joined with the first.
        monitor.import(&[most.clone(), most.clone()]).expect("as much as there may be");
        feed(&mut monitor, 2);
        let mut over = a_flow();
        over.value[member] = json!((1u64 << 63) + 1);
        let error = monitor.import(&[over]).expect_err(member);
        assert!(error.to_string().contains(member), "{error}");
    }
    let ended = parse(&a_flow()).expect("a record");
    let mut monitor = monitor(&Config::default());
    monitor.exits.ended(ended.key, &ended.flow, EndReason::Ended);
    assert_eq!(monitor.exits.report.lost(), 0, "nobody wants it");
}
