//! RFC 6146 section 3.5: bindings, sessions and who may send.

use super::*;
use wire::tcp::flags::{FIN, RST};

#[test]
fn a_binding_is_the_same_for_all_destinations_and_ends_with_its_last_session() {
    let mut nat = Bench::one();
    let port = nat.udp((HOST, 4000), (WEB.0, 53)).expect("translated");
    assert_eq!(nat.udp((HOST, 4000), (DNS.0, 123)), Ok(port));
    assert_ne!(nat.udp((OTHER, 4000), (WEB.0, 53)), Ok(port));
    assert_eq!(nat.sessions(), 3);
    assert_eq!(nat.nat.translator.bib.len(), 2);
    nat.wait(299);
    assert_eq!(nat.udp_back((DNS.1, 123), port), Ok((address(HOST), 4000)));
    nat.wait(299);
    assert_eq!((nat.sessions(), nat.nat.translator.bib.len()), (1, 1), "UDP_DEFAULT is five minutes");
    nat.wait(2);
    assert_eq!((nat.sessions(), nat.nat.translator.bib.len()), (0, 0));
    assert_eq!(nat.udp_back((DNS.1, 123), port), Err("no_mapping"));
    assert_eq!(nat.udp((HOST, 4000), (WEB.0, 53)), Ok(port), "who comes back has the same");
}

#[test]
fn ports_are_even_or_odd_as_the_hosts_are_and_a_host_has_one_address() {
    let mut nat = Bench::new("pool = [\"203.0.113.0/28\"]");
    let mut addresses = std::collections::BTreeSet::new();
    for port in 1000..1100 {
        let key = nat.sent_as_v4(&ipv6(HOST, WEB.0).udp(port, 53)).expect("translated");
        assert_eq!(key.sport % 2, port % 2);
        addresses.insert(key.src);
    }
    assert_eq!(addresses.len(), 1);
}

#[test]
fn filtering_is_as_configured() {
    for (filtering, stranger) in
        [("endpoint_independent", Ok((address(HOST), 4000))), ("address_dependent", Err("filtered"))]
    {
        let mut nat = Bench::new(&format!("pool = [\"203.0.113.1\"]\nfiltering = \"{filtering}\""));
        let port = nat.udp((HOST, 4000), (WEB.0, 53)).expect("translated");
        assert_eq!(
            nat.udp_back((WEB.1, 9999), port),
            Ok((address(HOST), 4000)),
            "another port of a known address"
        );
        assert_eq!(nat.udp_back((DNS.1, 53), port), stranger);
        let open = nat.tcp((HOST, 4000), (WEB.0, 80), SYN).expect("translated");
        assert_eq!(nat.tcp_back((DNS.1, 80), open, SYN), stranger);
        assert_eq!(nat.tcp_back((DNS.1, 80), open, ACK), stranger);
    }
}

#[test]
fn a_tcp_connection_lives_as_long_as_it_may() {
    let mut nat = Bench::one();
    assert_eq!(nat.tcp((HOST, 4000), (WEB.0, 80), ACK), Err("not_opening"));
    let port = nat.tcp((HOST, 4000), (WEB.0, 80), SYN).expect("translated");
    nat.wait(239);
    assert_eq!(nat.sessions(), 1);
    assert!(nat.tcp_back((WEB.1, 80), port, SYN | ACK).is_ok());
    nat.wait(7439);
    assert_eq!(nat.sessions(), 1, "TCP_EST is two hours and four minutes");
    nat.tcp((HOST, 4000), (WEB.0, 80), FIN | ACK).expect("translated");
    nat.tcp_back((WEB.1, 80), port, FIN | ACK).expect("translated");
    nat.wait(200);
    nat.tcp((HOST, 4000), (WEB.0, 80), ACK).expect("translated");
    nat.wait(41);
    assert_eq!(nat.sessions(), 0, "TCP_TRANS is four minutes from the second FIN");
    let port = nat.tcp((HOST, 4000), (WEB.0, 80), SYN).expect("translated");
    nat.tcp_back((WEB.1, 80), port, SYN | ACK).expect("translated");
    nat.tcp_back((WEB.1, 80), port, RST).expect("translated");
    nat.wait(200);
    nat.tcp((HOST, 4000), (WEB.0, 80), ACK).expect("the reset was forged");
    nat.wait(3600);
    assert_eq!(nat.sessions(), 1);
}

#[test]
fn what_belongs_to_no_session_follows_the_binding_and_changes_nothing() {
    let mut nat = Bench::one();
    let port = nat.tcp((HOST, 4000), (WEB.0, 80), SYN).expect("translated");
    assert_eq!(nat.tcp((HOST, 4000), (DNS.0, 80), RST), Ok(port));
    assert_eq!(nat.tcp_back((WEB.1, 81), port, ACK), Ok((address(HOST), 4000)));
    assert_eq!(nat.sessions(), 1);
}

#[test]
fn static_bindings_let_everybody_in_and_never_end() {
    let mut nat = Bench::new("forward = { \"tcp 203.0.113.1:8080\" = \"[2001:db8::7]:80\" }");
    assert_eq!(nat.tcp_back((WEB.1, 1000), 8080, SYN), Ok((address(HOST), 80)));
    assert_eq!(nat.tcp((HOST, 80), (WEB.0, 1000), SYN | ACK), Ok(8080));
    assert_eq!(nat.tcp_back((WEB.1, 1000), 8080, ACK), Ok((address(HOST), 80)));
    assert_eq!(nat.tcp((HOST, 80), (DNS.0, 443), SYN), Ok(8080), "what it sends itself comes from there too");
    assert_eq!(nat.tcp_back((WEB.1, 1000), 8081, SYN), Err("no_mapping"));
    nat.wait(9000);
    assert_eq!((nat.sessions(), nat.nat.translator.bib.len()), (0, 0));
    assert_eq!(nat.tcp_back((WEB.1, 1000), 8080, SYN), Ok((address(HOST), 80)));
    assert_eq!(nat.udp((HOST, 80), (WEB.0, 53)), Err("ports_exhausted"), "there is no pool");
}

#[test]
fn hosts_meet_by_their_ipv4_endpoints() {
    let mut nat = Bench::new("pool = [\"203.0.113.1\"]\nfiltering = \"endpoint_independent\"");
    let server = nat.udp((OTHER, 5000), (WEB.0, 53)).expect("translated");
    let pool = "2001:db8:64::203.0.113.1";
    let asked = nat.sent_as_v6(&ipv6(HOST, pool).udp(4000, server)).expect("hairpinned");
    assert_eq!((Ipv6Addr::from(asked.src), Ipv6Addr::from(asked.dst)), (address(pool), address(OTHER)));
    assert_eq!(asked.dport, 5000);
    let answered = nat.sent_as_v6(&ipv6(OTHER, pool).udp(5000, asked.sport)).expect("hairpinned");
    assert_eq!((Ipv6Addr::from(answered.src), Ipv6Addr::from(answered.dst)), (address(pool), address(HOST)));
    assert_eq!((answered.sport, answered.dport), (server, 4000));
    assert_eq!(nat.sessions(), 3);
}

#[test]
fn what_cannot_be_translated_is_named() {
    let mut nat = Bench::new("pool = [\"203.0.113.1\"]\nicmp_from = [\"2001:db8::64\"]");
    for (frame, reason) in [
        (ipv6(HOST, OTHER).udp(1, 2), "untranslated"),
        (ipv6(WEB.0, DNS.0).udp(1, 2), "bad_source"),
        (ipv6("fe80::1", WEB.0).udp(1, 2), "bad_source"),
        (ipv6("ff02::1", WEB.0).udp(1, 2), "bad_source"),
        (ipv6(HOST, "2001:db8:64::224.0.0.1").udp(1, 2), "not_global"),
        (ipv6(HOST, WEB.0).sctp(1, 2, 3), "unsupported_protocol"),
        (ipv6(HOST, WEB.0).authentication(9, 1).udp(1, 2), "unsupported_protocol"),
        (ipv6(HOST, WEB.0).ttl(1).udp(1, 2), "ttl_expired"),
        (ipv6(HOST, WEB.0).extension(43, &[0, 1, 0, 0, 0, 0]).udp(1, 2), "source_route"),
        (ipv6(HOST, WEB.0).echo_reply(1, 1), "not_opening"),
        (ipv6(HOST, WEB.0).icmp(133, 0, 0), "icmp_other"),
        (ipv6(HOST, WEB.0).ipv6_fragment(0, true, 1).echo_request(1, 1), "icmp_fragment"),
        (ipv4(WEB.1, DNS.1).udp(1, 2), "untranslated"),
        (ipv4(Ipv4Addr::new(224, 0, 0, 1), POOL).udp(1, 2), "not_global"),
        (ipv4(WEB.1, POOL).protocol(47), "unsupported_protocol"),
        (ipv4(WEB.1, POOL).ttl(1).udp(1, 2), "ttl_expired"),
        (ipv4(WEB.1, POOL).ip_options(&[131, 7, 4, 10, 0, 0, 1, 0]).udp(1, 2), "source_route"),
        (ipv4(WEB.1, POOL).icmp(13, 0, 0), "icmp_other"),
    ] {
        assert_eq!(nat.send(&frame), Err(reason), "{frame:?}");
    }
    // A route that was gone all the way is no matter.
    let gone = ipv4(WEB.1, POOL).ip_options(&[131, 7, 8, 10, 0, 0, 1, 0]).udp(1, 2);
    assert_eq!(nat.send(&gone), Err("no_mapping"));
}

/// What follows the IPv4 address in the destination means nothing, but counts in checksums.
#[test]
fn the_suffix_of_a_destination_is_in_the_checksum() {
    let plan =
        toml::from_str("prefix = \"2001:db8:64::/48\"\npool = [\"203.0.113.1\"]").expect("a configuration");
    let plan = Arc::new(Plan::new(&plan).expect("a good one"));
    let nat = Nat64::instance(&plan, &WorkerSite { index: 0, count: 1, seed: 7 });
    let mut bench = Bench { nat, now: Time::from_nanos(1_700_000_000_000_000_000) };
    for to in ["2001:db8:64:c000:2:100::", "2001:db8:64:c000:2:100::5", "2001:db8:64:c000:2:100::5"] {
        let frame = ipv6(HOST, to).udp(4000, 53).payload(b"x").build();
        let headers = wire::parse(&frame);
        let from = FlowKey::from_packet(&headers, &frame).expect("a flow");
        let turn = bench.nat.translator.judge(&headers, &frame, bench.now);
        let Ok((_, turn)) = turn else { panic!("{to} is not translated") };
        let expected = packet::change(&from, &turn.to);
        assert_eq!(turn.delta.update([0x12, 0x34]), expected.update([0x12, 0x34]), "{to}");
    }
}

#[test]
fn what_is_for_nobody_behind_the_translator_leaves_no_trace() {
    let mut bench = Bench::one();
    for port in 1..50 {
        let sent = bench.send(&ipv6(HOST, "2001:db8:64::cb00:7101").udp(port, 9).payload(b"x"));
        assert_eq!(sent, Err("no_mapping"));
    }
    assert_eq!(bench.sessions(), 0);
}

/// RFC 6146 does not think of ports that are used again before the old connection has run out.
#[test]
fn another_connection_with_the_same_ports_is_not_cut() {
    let mut bench = Bench::one();
    let port = bench.tcp((HOST, 4000), (WEB.0, 80), SYN).expect("to open");
    bench.tcp_back((WEB.1, 80), port, SYN | ACK).expect("an answer");
    bench.tcp((HOST, 4000), (WEB.0, 80), FIN | ACK).expect("an end");
    bench.tcp_back((WEB.1, 80), port, FIN | ACK).expect("the other end");
    bench.wait(61);
    assert_eq!(bench.tcp((HOST, 4000), (WEB.0, 80), SYN), Ok(port));
    bench.tcp_back((WEB.1, 80), port, SYN | ACK).expect("an answer");
    for _ in 0..30 {
        bench.wait(10);
        bench.tcp((HOST, 4000), (WEB.0, 80), ACK).expect("to go on");
        bench.tcp_back((WEB.1, 80), port, ACK).expect("to go on");
    }
}
