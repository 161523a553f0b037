//! When there is not enough of something.

use super::*;
use wire::tcp::flags::{ACK, SYN};

#[test]
fn a_flood_of_connections_ends_no_established_one_and_makes_room_for_new_ones() {
    let mut nat = Bench::new("pool = [\"203.0.113.1\"]\ncapacity = 64");
    let mut open = Vec::new();
    for port in 0..32 {
        let outside = source(nat.tcp((HOST, 1000 + port), (WEB, 80), SYN).expect("translated"));
        nat.tcp((WEB, 80), outside, SYN | ACK).expect("translated");
        open.push((1000 + port, outside));
    }
    for port in 0..10_000 {
        nat.tcp((OTHER, port), (DNS, 80), SYN).expect("the oldest without an answer gives way");
    }
    assert_eq!(nat.sessions(), 64);
    assert_eq!(nat.nat.translator.turnover.evicted, 10_000 - 32);
    for (inside, outside) in open {
        assert_eq!(destination(nat.tcp((WEB, 80), outside, ACK).expect("established")), (HOST, inside));
    }
    // Somebody honest gets through as well, if the answer comes soon.
    let outside = source(nat.tcp((HOST, 5), (WEB, 80), SYN).expect("translated"));
    assert!(nat.tcp((WEB, 80), outside, SYN | ACK).is_ok());
}

#[test]
fn a_table_full_of_established_connections_refuses_and_recovers() {
    let mut nat = Bench::new("pool = [\"203.0.113.1\"]\ncapacity = 16");
    for port in 0..16 {
        let outside = source(nat.tcp((HOST, 1000 + port), (WEB, 80), SYN).expect("translated"));
        nat.tcp((WEB, 80), outside, SYN | ACK).expect("translated");
    }
    assert_eq!(nat.tcp((OTHER, 1), (WEB, 80), SYN), Err("sessions_exhausted"));
    assert_eq!(nat.nat.translator.mappings.len(), 16, "no mapping is left over from it");
    assert_eq!(nat.nat.translator.turnover.no_place, 1);
    nat.wait(3 * 3600);
    assert_eq!(nat.sessions(), 0);
    assert!(nat.tcp((OTHER, 1), (WEB, 80), SYN).is_ok());
}

#[test]
fn ports_run_out_and_come_back() {
    let mut nat = Bench::new("pool = [\"203.0.113.1\"]\nports = \"2000-2009\"");
    let open = |nat: &mut Bench, port| {
        let sent = nat.udp((HOST, port), (WEB, 53))?;
        nat.udp((WEB, 53), source(sent))
    };
    for port in 0..10 {
        assert!(open(&mut nat, 1000 + port).is_ok());
    }
    assert_eq!(open(&mut nat, 2000), Err("ports_exhausted"));
    assert_eq!(nat.nat.translator.turnover.no_port, 1);
    assert!(open(&mut nat, 1003).is_ok(), "who has a port keeps it");
    nat.wait(301);
    assert_eq!(nat.nat.translator.mappings.ports_in_use(0), [0; 3]);
    assert!(open(&mut nat, 2000).is_ok());
}

#[test]
fn without_answers_the_oldest_gives_its_port_to_the_newest() {
    let mut nat = Bench::new("pool = [\"203.0.113.1\"]\nports = \"2000-2003\"");
    for port in 0..100 {
        assert!(nat.udp((HOST, 1000 + port), (WEB, 53)).is_ok());
    }
    assert_eq!((nat.sessions(), nat.nat.translator.mappings.len()), (4, 4));
}

#[test]
fn sessions_of_another_protocol_do_not_stand_in_the_way_of_a_port() {
    let mut nat = Bench::new("pool = [\"203.0.113.1\"]\nports = \"2000-2000\"");
    // Many wait for longer, with the only port of their protocol.
    for port in 0..1000 {
        assert!(nat.udp((HOST, 4000), (WEB, port)).is_ok());
    }
    assert!(nat.tcp((HOST, 1), (WEB, 80), SYN).is_ok());
    assert!(nat.tcp((HOST, 2), (WEB, 80), SYN).is_ok(), "the other gives its port");
    assert_eq!((nat.sessions(), nat.nat.translator.turnover.evicted), (1001, 1));
}

#[test]
fn the_oldest_of_any_protocol_gives_its_place() {
    let mut nat = Bench::new("pool = [\"203.0.113.1\"]\ncapacity = 3");
    let second = |nat: &mut Bench| nat.now = nat.now + Duration::from_secs(1);
    nat.tcp((HOST, 1), (WEB, 80), SYN).expect("translated");
    second(&mut nat);
    nat.udp((HOST, 2), (WEB, 53)).expect("translated");
    second(&mut nat);
    nat.ping(HOST, WEB, 3).expect("translated");
    let known = |nat: &Bench| {
        let mut all: Vec<u8> =
            nat.nat.translator.sessions.all().iter().map(|known| known.key.protocol()).collect();
        all.sort_unstable();
        all
    };
    for left in [[1, 17, 17], [1, 17, 17]] {
        second(&mut nat);
        nat.udp((OTHER, 9), (DNS, 53)).expect("translated");
        assert_eq!(known(&nat), left);
    }
    nat.udp((OTHER, 10), (DNS, 53)).expect("translated");
    nat.udp((OTHER, 11), (DNS, 53)).expect("translated");
    assert_eq!(known(&nat), [17; 3]);
}

#[test]
fn a_host_may_have_another_address_where_its_own_has_no_ports() {
    let pool = "pool = [\"203.0.113.0/30\"]\nports = \"2000-2001\"";
    let count = |pooling: &str| {
        let mut nat = Bench::new(&format!("{pool}\npooling = \"{pooling}\""));
        let open = |port| {
            let sent = nat.udp((HOST, port), (WEB, 53)).ok()?;
            nat.udp((WEB, 53), source(sent)).ok()
        };
        (1000..1020).filter_map(open).count()
    };
    assert_eq!((count("paired"), count("arbitrary")), (2, 8));
}

#[test]
fn strangers_cannot_take_more_than_there_is() {
    let mut nat = Bench::new("pool = [\"203.0.113.1\"]\ncapacity = 64\nfiltering = \"endpoint_independent\"");
    let outside = source(nat.udp((HOST, 4000), (WEB, 53)).expect("translated"));
    nat.udp((WEB, 53), outside).expect("translated");
    for port in 0..10_000 {
        let _ = nat.udp((DNS, port), outside);
    }
    assert!(nat.sessions() <= 64);
    assert!(nat.udp((WEB, 53), outside).is_ok(), "what is answered stays");
}

#[test]
fn everything_that_ends_gives_everything_back() {
    let mut nat = Bench::new("pool = [\"203.0.113.0/30\"]\ncapacity = 4096");
    for round in 0..3 {
        for port in 0..2000 {
            nat.udp((HOST, port), (WEB, 53)).expect("translated");
            nat.tcp((OTHER, port), (WEB, 80), SYN).expect("translated");
        }
        nat.wait(400);
        assert_eq!((nat.sessions(), nat.nat.translator.mappings.len()), (0, 0), "round {round}");
        assert!((0..4).all(|address| nat.nat.translator.mappings.ports_in_use(address) == [0; 3]));
    }
}

#[test]
fn a_direction_of_a_session_is_one_cache_line() {
    let nat = Bench::one();
    let bytes = nat.nat.translator.sessions.bytes_per_session();
    assert!(bytes <= 2 * (64 + 4 + 11) + 72 + 4 + 24, "{bytes}");
}
