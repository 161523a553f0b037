//! Requirements of RFC 5382 (TCP), by their numbers.

use super::*;
use wire::tcp::flags::{ACK, FIN, RST, SYN};

const INSIDE: (Ipv4Addr, u16) = (HOST, 4000);
const SERVER: (Ipv4Addr, u16) = (WEB, 80);
const MINUTE: u64 = 60;

/// Opens a connection; returns its outside endpoint.
fn connect(nat: &mut Bench) -> (Ipv4Addr, u16) {
    let outside = source(nat.tcp(INSIDE, SERVER, SYN).expect("translated"));
    assert_eq!(destination(nat.tcp(SERVER, outside, SYN | ACK).expect("translated")), INSIDE);
    nat.tcp(INSIDE, SERVER, ACK).expect("translated");
    outside
}

#[test]
fn req_1_mapping_is_endpoint_independent() {
    let mut nat = Bench::one();
    let outside = connect(&mut nat);
    assert_eq!(source(nat.tcp(INSIDE, (DNS, 53), SYN).expect("translated")), outside);
}

#[test]
fn req_2_both_ends_may_open_at_once() {
    let mut nat = Bench::one();
    let outside = source(nat.tcp(INSIDE, SERVER, SYN).expect("translated"));
    assert!(nat.tcp(SERVER, outside, SYN).is_ok());
    assert!(nat.tcp(INSIDE, SERVER, SYN | ACK).is_ok());
    assert!(nat.tcp(SERVER, outside, SYN | ACK).is_ok());
    nat.wait(100 * MINUTE);
    assert!(nat.tcp(SERVER, outside, ACK).is_ok(), "it is established");
}

#[test]
fn req_3_filtering_is_as_configured() {
    for (filtering, same_address, other) in [
        ("endpoint_independent", true, true),
        ("address_dependent", true, false),
        ("address_and_port_dependent", false, false),
    ] {
        let mut nat = Bench::new(&format!("pool = [\"203.0.113.1\"]\nfiltering = \"{filtering}\""));
        let outside = connect(&mut nat);
        assert_eq!(nat.tcp((WEB, 99), outside, SYN).is_ok(), same_address, "{filtering}");
        assert_eq!(nat.tcp((DNS, 99), outside, SYN).is_ok(), other, "{filtering}");
        let got = nat.tcp((DNS, 98), outside, ACK);
        assert_eq!(got, Err("not_opening"), "what opens no connection has none: {filtering}");
    }
}

#[test]
fn req_4_an_unsolicited_syn_has_no_answer_and_makes_no_state() {
    let mut nat = Bench::one();
    assert_eq!(nat.tcp(SERVER, (Ipv4Addr::new(203, 0, 113, 1), 2000), SYN), Err("no_mapping"));
    let outside = connect(&mut nat);
    assert_eq!(nat.tcp((DNS, 1), outside, SYN), Err("filtered"));
    assert_eq!(nat.sessions(), 1);
}

#[test]
fn req_5_a_connection_may_be_silent_for_as_long_as_its_state_says() {
    type Step = fn(&mut Bench, (Ipv4Addr, u16));
    let rows: [(&str, Step, u64); 6] = [
        ("established", |_, _| (), 124 * MINUTE),
        ("closing one way", |nat, _| assert!(nat.tcp(INSIDE, SERVER, FIN | ACK).is_ok()), 124 * MINUTE),
        (
            "closed both ways",
            |nat, outside| {
                nat.tcp(INSIDE, SERVER, FIN | ACK).expect("translated");
                nat.tcp(SERVER, outside, FIN | ACK).expect("translated");
                nat.tcp(INSIDE, SERVER, ACK).expect("translated");
            },
            4 * MINUTE,
        ),
        ("reset", |nat, outside| assert!(nat.tcp(SERVER, outside, RST).is_ok()), 4 * MINUTE),
        (
            "reset by a forger, and going on",
            |nat, outside| {
                nat.tcp(SERVER, outside, RST).expect("translated");
                nat.tcp(INSIDE, SERVER, ACK).expect("translated");
            },
            124 * MINUTE,
        ),
        (
            "closed and opened again",
            |nat, outside| {
                nat.tcp(SERVER, outside, RST).expect("translated");
                nat.tcp(INSIDE, SERVER, SYN).expect("translated");
            },
            4 * MINUTE,
        ),
    ];
    for (what, steps, silence) in rows {
        let mut nat = Bench::one();
        let outside = connect(&mut nat);
        steps(&mut nat, outside);
        nat.wait(silence - 1);
        assert_eq!(nat.sessions(), 1, "{what}: too early");
        nat.wait(2);
        assert_eq!(nat.sessions(), 0, "{what}: too late");
    }
}

#[test]
fn req_5_a_connection_that_is_not_answered_ends_after_four_minutes() {
    let mut nat = Bench::one();
    nat.tcp(INSIDE, SERVER, SYN).expect("translated");
    nat.wait(4 * MINUTE - 1);
    assert_eq!(nat.sessions(), 1);
    nat.wait(2);
    assert_eq!(nat.sessions(), 0);
}

#[test]
fn req_5_a_connection_known_from_its_middle_is_taken_up_from_inside_only() {
    let mut nat = Bench::one();
    let outside = source(nat.tcp(INSIDE, SERVER, ACK).expect("translated"));
    assert!(nat.tcp(SERVER, outside, ACK).is_ok());
    nat.wait(100 * MINUTE);
    assert_eq!(nat.sessions(), 1, "it is established");
    assert_eq!(nat.tcp((HOST, 4001), SERVER, RST), Err("not_opening"));
}

#[test]
fn req_7_no_two_endpoints_share_a_port() {
    let mut nat = Bench::new("pool = [\"203.0.113.1\"]\nports = \"2000-2001\"");
    let first = source(nat.tcp((HOST, 1), SERVER, SYN).expect("translated"));
    let second = source(nat.tcp((OTHER, 1), SERVER, SYN).expect("translated"));
    assert_ne!(first, second);
}

#[test]
fn req_8_hairpinned_connections_come_from_the_outside_endpoint() {
    let mut nat =
        Bench::new("pool = [\"203.0.113.1\"]\nforward = { \"tcp 203.0.113.1:80\" = \"10.0.0.8:8080\" }");
    let public = (Ipv4Addr::new(203, 0, 113, 1), 80);
    let forth = nat.tcp(INSIDE, public, SYN).expect("translated");
    assert_eq!(destination(forth), (OTHER, 8080));
    assert_eq!(source(forth).0, public.0);
    let back = nat.tcp((OTHER, 8080), source(forth), SYN | ACK).expect("translated");
    assert_eq!((source(back), destination(back)), (public, INSIDE));
}

#[test]
fn req_9_and_10_an_unreachable_is_translated_and_ends_nothing() {
    let mut nat = Bench::one();
    let out = nat.send(&ipv4(HOST, WEB).tcp(4000, 80).flags(SYN)).expect("translated");
    let error = wire::builder::icmp_error(&out, DNS.into(), 3, 1, 0).expect("an error");
    let back = nat.send_bytes(&error).expect("translated");
    assert_eq!(source(embedded(&back).1), INSIDE);
    assert_eq!(nat.sessions(), 1);
}
