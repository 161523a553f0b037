use super::forward::{End, rewrite};
use super::*;
use serde_json::json;
use std::net::IpAddr;
use wire::builder::Builder;

fn config(more: Value) -> Config {
    let mut config = json!({ "services": [{
        "address": "192.0.2.1", "port": 80, "mode": "nat",
        "backends": [{ "name": "a", "address": "10.0.0.1" }, { "name": "b", "address": "10.0.0.2" }],
    }], "table_size": 251, "connections": 64 });
    for (key, value) in more.as_object().expect("an object") {
        config[key.as_str()] = value.clone();
    }
    serde_json::from_value(config).expect("the shape is right")
}

fn lb() -> Lb {
    let plan = Lb::prepare(&config(json!({})), &Site::default()).expect("good");
    Lb::instance(&Arc::new(plan), &WorkerSite { index: 0, count: 1, seed: 1 })
}

fn places(lb: &mut Lb) -> Vec<u64> {
    let shown = lb.answer("show", &Value::Null).expect("always");
    let backends = shown[0]["backends"].as_array().expect("back-ends").clone();
    backends.iter().map(|backend| backend["places"].as_u64().expect("a number")).collect()
}

#[test]
fn mistakes_are_told_with_their_key() {
    let service = |more: Value| {
        let mut service = json!({ "address": "192.0.2.1", "port": 80, "mode": "nat",
                                  "backends": [{ "name": "a", "address": "10.0.0.1" }] });
        for (key, value) in more.as_object().expect("an object") {
            service[key.as_str()] = value.clone();
        }
        service
    };
    let named = |names: [&str; 2]| {
        let backend = |name| json!({ "name": name, "address": "10.0.0.1" });
        json!({ "backends": names.map(backend) })
    };
    for (more, key) in [
        (json!({ "table_size": 65536 }), "table_size"),
        (json!({ "connections": 0 }), "connections"),
        (json!({ "idle_timeout": "0s" }), "idle_timeout"),
        (json!({ "clients_mac": "nobody" }), "clients_mac"),
        (json!({ "services": [] }), "services"),
        (json!({ "services": [service(json!({})), service(json!({}))] }), "services"),
        (json!({ "services": [service(json!({ "backends": [] }))] }), "services"),
        (json!({ "services": [service(named(["a", "a"]))] }), "services"),
        (json!({ "services": [service(named(["a", "b"]))] }), "services"),
        (json!({ "services": [service(json!({ "mode": "mac" }))] }), "services"),
        (json!({ "services": [service(json!({ "mode": "ipip" }))] }), "services"),
        (json!({ "services": [service(json!({ "address": "2001:db8::1" }))] }), "services"),
    ] {
        let error = Lb::prepare(&config(more.clone()), &Site::default()).map(|_| ()).expect_err("refused");
        assert_eq!(error.key.as_deref(), Some(key), "{more}");
    }
}

#[test]
fn health_and_weight_move_places() {
    let mut lb = lb();
    let even = places(&mut lb);
    assert!(even.iter().all(|places| (125..=126).contains(places)), "{even:?}");
    lb.answer("set", &json!({ "backend": "a", "weight": 3 })).expect("known");
    let weighted = places(&mut lb);
    assert!(weighted[0] > 180 && weighted.iter().sum::<u64>() == 251, "{weighted:?}");
    lb.answer("set", &json!({ "backend": "192.0.2.1:80/b", "health": "drain" })).expect("known");
    assert_eq!(places(&mut lb), [251, 0]);
    lb.answer("set", &json!({ "backend": "a", "health": "down" })).expect("known");
    assert_eq!(places(&mut lb), [0, 0]);
    assert_eq!(lb.choose(0, 7), None);
    for wrong in [json!({ "backend": "c" }), json!({ "backend": "a", "weight": 101 }), json!({})] {
        assert!(matches!(lb.answer("set", &wrong), Err(CommandError::Arguments(_))), "{wrong}");
    }
}

#[test]
fn draining_back_ends_keep_what_they_have() {
    let mut lb = lb();
    assert!(lb.stays(0, false) && lb.stays(0, true));
    lb.answer("set", &json!({ "backend": "a", "health": "drain" })).expect("known");
    assert!(lb.stays(0, false) && !lb.stays(0, true));
    lb.answer("set", &json!({ "backend": "a", "health": "down" })).expect("known");
    assert!(!lb.stays(0, false));
}

#[test]
fn what_was_said_of_back_ends_leaves_and_enters() {
    use engine::{Cursor, Selector};
    let mut old = lb();
    old.answer("set", &json!({ "backend": "b", "health": "down", "weight": 5 })).expect("known");
    let (mut records, mut cursor) = (Vec::new(), Some(Cursor::default()));
    while let Some(from) = cursor {
        cursor = old.export(from, &Selector::default(), &mut records);
    }
    assert_eq!(records.len(), 1, "what is as configured has nothing to tell");
    let mut new = lb();
    new.import(&records).expect("its own records");
    assert_eq!(new.standings, old.standings);
    assert_eq!(places(&mut new), [251, 0]);
    let mut adopted = lb();
    adopted.inherit(&old);
    assert_eq!(adopted.standings, new.standings);
}

#[test]
fn rewritten_packets_have_right_checksums() {
    let host = |text: &str| -> IpAddr { text.parse().expect("an address") };
    let v4 = || Builder::ethernet([2; 6], [4; 6]).vlan(5).ipv4([198, 51, 100, 7], [192, 0, 2, 1]);
    let v6 = || Builder::ethernet([2; 6], [4; 6]).ipv6([1; 16], [2; 16]);
    for (frame, to) in [
        (v4().tcp(1000, 80).payload_len(33).build(), host("10.0.0.1")),
        (v4().udp(1000, 80).payload_len(33).build(), host("10.0.0.1")),
        (v6().tcp(1000, 80).payload_len(33).build(), host("2001:db8::1")),
        (v6().udp(1000, 80).payload_len(33).build(), host("2001:db8::1")),
    ] {
        for end in [End::Source, End::Destination] {
            let mut frame = frame.clone();
            let headers = wire::parse(&frame);
            rewrite(&mut frame, &headers, end, to, 8080);
            let (source, destination) = headers.addresses(&frame).expect("IP");
            let (sport, dport) = headers.ports(&frame).expect("ports");
            let changed = if end == End::Source { (source, sport) } else { (destination, dport) };
            assert_eq!(changed, (to, 8080));
            let l4 = headers.l4_offset().expect("a transport header");
            let len = (frame.len() - l4) as u32;
            let pseudo = match (source, destination) {
                (IpAddr::V4(a), IpAddr::V4(b)) => {
                    let header =
                        wire::ipv4::Packet::new_checked(&frame[headers.l3_offset()..]).expect("IPv4");
                    assert!(header.checksum_is_valid());
                    wire::checksum::Sum::pseudo_v4(a.into(), b.into(), headers.protocol().expect("IP"), len)
                }
                (IpAddr::V6(a), IpAddr::V6(b)) => {
                    wire::checksum::Sum::pseudo_v6(a.into(), b.into(), headers.protocol().expect("IP"), len)
                }
                _ => unreachable!("both ends have one version"),
            };
            assert!(pseudo.bytes(&frame[l4..]).is_valid());
        }
    }
    // UDP without a checksum stays without.
    let mut frame = v4().udp(1000, 80).no_udp_checksum().payload_len(33).build();
    let headers = wire::parse(&frame);
    rewrite(&mut frame, &headers, End::Destination, host("10.0.0.1"), 8080);
    let l4 = headers.l4_offset().expect("UDP");
    assert_eq!(frame[l4 + 6..l4 + 8], [0, 0]);
}

fn instance(services: Value) -> Lb {
    let plan = Lb::prepare(&config(json!({ "services": services })), &Site::default()).expect("good");
    Lb::instance(&Arc::new(plan), &WorkerSite { index: 0, count: 1, seed: 1 })
}

/// A service of each protocol on one address and port, whose back-ends have the same names.
fn dns() -> Lb {
    let service = |protocol, net| {
        let backend = |name, host| json!({ "name": name, "address": format!("10.0.{net}.{host}") });
        json!({ "address": "192.0.2.1", "port": 53, "protocol": protocol, "mode": "nat",
                "backends": [backend("a", 1), backend("b", 2)] })
    };
    instance(json!([service("tcp", 0), service("udp", 1)]))
}

fn key(sport: u16, proto: u8) -> FlowKey {
    let host = |last| u32::from(Ipv4Addr::new(192, 0, 2, last));
    FlowKey::V4(FlowKey4 { src: host(77), dst: host(1), sport, dport: 53, proto })
}

fn know(lb: &mut Lb, key: FlowKey, backend: u16) {
    lb.take_in(key, Connection { last: Time::from_nanos(7), backend });
}

/// Names of the back-ends of all connections, and clients' ports.
fn known(lb: &mut Lb) -> Vec<(u64, String)> {
    let answer = lb.answer("connections", &json!({})).expect("always");
    let mut known: Vec<(u64, String)> = answer["connections"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|shown| {
            let port =
                shown["client"].as_str().expect("a text").split_once(':').expect("a port").1.to_owned();
            (port.parse().expect("a number"), shown["backend"].as_str().expect("a name").to_owned())
        })
        .collect();
    known.sort();
    known
}

#[test]
fn a_tcp_and_a_udp_service_may_share_a_port() {
    use engine::{Cursor, Record, Selector};
    let mut old = dns();
    know(&mut old, key(1, 6), 1);
    know(&mut old, key(2, 17), 2);
    old.answer("set", &json!({ "backend": "udp 192.0.2.1:53/b", "health": "down" })).expect("known");
    assert_eq!(
        old.answer("set", &json!({ "backend": "192.0.2.1:53/a", "weight": 1 })).expect("known"),
        json!({ "set": ["tcp 192.0.2.1:53/a", "udp 192.0.2.1:53/a"] })
    );
    let expected = [(1, "tcp 192.0.2.1:53/b".to_owned()), (2, "udp 192.0.2.1:53/a".to_owned())];
    let (mut records, mut cursor) = (Vec::new(), Some(Cursor::default()));
    while let Some(from) = cursor {
        cursor = old.export(from, &Selector::default(), &mut records);
    }
    let mut new = dns();
    new.import(&records).expect("its own records");
    let mut adopted = dns();
    adopted.inherit(&old);
    for lb in [&mut new, &mut adopted] {
        assert_eq!(known(lb), expected);
        assert_eq!(lb.standings, old.standings);
    }
    // The protocol of an old record's connection tells which back-end is meant; a back-end alone may not.
    let v1 = |records: &[Record]| {
        let mut records = records.to_vec();
        for record in &mut records {
            record.version = 1;
            let part = if record.kind == "backend" { &mut record.key } else { &mut record.value };
            let name = part["backend"].as_str().expect("a name").split_once(' ').expect("a protocol").1;
            part["backend"] = json!(name.to_owned());
        }
        records
    };
    let (of_backends, of_connections): (Vec<Record>, Vec<Record>) =
        records.into_iter().partition(|record| record.kind == "backend");
    let mut new = dns();
    new.import(&v1(&of_connections)).expect("told by endpoint");
    assert_eq!(known(&mut new), expected);
    let error = new.import(&v1(&of_backends)).expect_err("one of two").to_string();
    assert!(error.contains("192.0.2.1:53/b"), "{error}");
    // A connection to one service is no other service's.
    let mut foreign = of_connections;
    foreign[0].key["dport"] = json!(54);
    let error = dns().import(&foreign).expect_err("nobody's").to_string();
    assert!(error.contains("192.0.2.1:54"), "{error}");
}

#[test]
fn connections_go_to_a_worker_with_other_numbers() {
    let mut old = dns();
    know(&mut old, key(1, 6), 1);
    know(&mut old, key(2, 17), 2);
    know(&mut old, key(3, 17), 3);
    old.answer("set", &json!({ "backend": "udp 192.0.2.1:53/a", "health": "drain" })).expect("known");
    // Only UDP is left, with one back-end that is new and first, and without one.
    let mut new = instance(json!([{ "address": "192.0.2.1", "port": 53, "protocol": "udp", "mode": "nat",
        "backends": [{ "name": "z", "address": "10.0.1.9" }, { "name": "a", "address": "10.0.1.1" }] }]));
    for (_, part) in old.split(&|_| 1) {
        new.join(part);
    }
    assert_eq!(known(&mut new), [(2, "udp 192.0.2.1:53/a".to_owned())]);
    assert_eq!(
        new.standings.iter().map(|standing| standing.health).collect::<Vec<_>>(),
        [Health::Up, Health::Drain]
    );
    assert_eq!(known(&mut old), []);
}
