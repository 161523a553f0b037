//! When there is not enough of something.

use super::*;
use serde_json::json;

#[test]
fn ports_run_out_and_come_back() {
    let mut nat = Bench::new("pool = [\"203.0.113.1\"]\nports = \"2000-2009\"");
    for port in 0..10 {
        assert!(nat.udp((HOST, 1000 + port), (WEB.0, 53)).is_ok());
    }
    assert_eq!(nat.udp((HOST, 2000), (WEB.0, 53)), Err("ports_exhausted"));
    assert_eq!(nat.nat.translator.turnover.no_port, 1);
    assert!(nat.udp((HOST, 1003), (DNS.0, 53)).is_ok(), "who has a port keeps it");
    assert_eq!(nat.nat.translator.bib.ports_in_use(0), [0, 10, 0]);
    nat.wait(301);
    assert_eq!(nat.nat.translator.bib.ports_in_use(0), [0; 3]);
    assert!(nat.udp((HOST, 2000), (WEB.0, 53)).is_ok());
}

#[test]
fn a_full_table_refuses_keeps_what_is_there_and_recovers() {
    let mut nat = Bench::new("pool = [\"203.0.113.1\"]\ncapacity = 64");
    let port = nat.tcp((HOST, 1), (WEB.0, 80), SYN).expect("translated");
    nat.tcp_back((WEB.1, 80), port, SYN | ACK).expect("translated");
    let refused = (0..10_000).filter(|port| nat.tcp((OTHER, *port), (WEB.0, 80), SYN).is_err()).count();
    assert_eq!((refused, nat.sessions()), (10_000 - 63, 64));
    assert_eq!(nat.nat.translator.bib.len(), 64, "no binding is left over from those");
    assert!(nat.tcp_back((WEB.1, 80), port, ACK).is_ok());
    nat.wait(241);
    assert_eq!(nat.sessions(), 1, "the flood is over");
    assert!(nat.tcp((OTHER, 1), (WEB.0, 80), SYN).is_ok());
}

#[test]
fn strangers_cannot_take_more_than_there_is() {
    let mut nat = Bench::new("pool = [\"203.0.113.1\"]\ncapacity = 64\nfiltering = \"endpoint_independent\"");
    let port = nat.udp((HOST, 4000), (WEB.0, 53)).expect("translated");
    for from in 0..10_000 {
        let _ = nat.udp_back((DNS.1, from), port);
    }
    assert_eq!(nat.sessions(), 64);
    assert!(nat.udp_back((WEB.1, 53), port).is_ok());
}

#[test]
fn everything_that_ends_gives_everything_back() {
    let mut nat = Bench::new("pool = [\"203.0.113.0/30\"]\ncapacity = 4096");
    for round in 0..3 {
        for port in 0..2000 {
            nat.udp((HOST, port), (WEB.0, 53)).expect("translated");
            nat.tcp((OTHER, port), (WEB.0, 80), SYN).expect("translated");
        }
        nat.wait(400);
        assert_eq!((nat.sessions(), nat.nat.translator.bib.len()), (0, 0), "round {round}");
        assert!((0..4).all(|address| nat.nat.translator.bib.ports_in_use(address) == [0; 3]));
    }
}

#[test]
fn a_session_takes_as_much_memory_as_the_readme_says() {
    let nat = Bench::one().nat;
    let translator = &nat.translator;
    let bytes = translator.sessions.bytes_per_session() + translator.bib.bytes_per_binding();
    assert!(bytes <= 640, "{bytes}");
}

#[test]
fn a_host_is_forgotten_in_steps_between_which_packets_go_by() {
    let mut nat = Bench::new("pool = [\"203.0.113.1\"]\ncapacity = 65536");
    for port in 0..1000 {
        nat.udp((HOST, port), (WEB.0, 53)).expect("translated");
        nat.udp((OTHER, port), (DNS.0, 53)).expect("translated");
    }
    let mut forget = |address: &str| {
        let mut arguments = json!({ "address": address });
        for step in 1.. {
            match nat.nat.answer("forget", &arguments) {
                Err(CommandError::Unfinished(next)) => arguments = next,
                answer => return (answer.expect("an answer"), step),
            }
        }
        unreachable!("a command ends")
    };
    let (answer, steps) = forget(HOST);
    assert_eq!(answer, json!({ "forgotten": 1000 }));
    assert!(steps >= 65_536 / (16 * engine::PAGE), "{steps}");
    assert_eq!(forget(HOST).0, json!({ "forgotten": 0 }));
    assert_eq!(forget("192.0.2.53").0, json!({ "forgotten": 1000 }));
    assert_eq!(nat.sessions(), 0);
}
