//! Requirements of RFC 5508 (ICMP), by their numbers.

use super::*;
use wire::builder::icmp_error;

const OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
const ROUTER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 9);
const INNER_ROUTER: Ipv4Addr = Ipv4Addr::new(10, 1, 1, 1);

#[test]
fn req_1_queries_are_told_apart_by_identifiers() {
    let mut nat = Bench::one();
    let (here, there) =
        (nat.ping(HOST, WEB, 7).expect("translated"), nat.ping(OTHER, WEB, 7).expect("translated"));
    assert_ne!(source(here), source(there));
    assert_eq!(nat.ping(HOST, DNS, 7).map(source), Ok(source(here)), "whatever the destination");
    for (sent, host) in [(here, HOST), (there, OTHER)] {
        let reply = ipv4(WEB, OUTSIDE).echo_reply(sent.sport, 1).payload(b"x");
        assert_eq!(nat.sends(&reply), Ok(format!("192.0.2.1:7 > {host}:7 1")));
    }
    let nobody = ipv4(WEB, OUTSIDE).echo_reply(1, 1);
    assert_eq!(nat.send(&nobody), Err("not_opening"));
}

#[test]
fn req_2_a_query_session_lasts_a_minute() {
    let mut nat = Bench::one();
    nat.ping(HOST, WEB, 7).expect("translated");
    nat.wait(59);
    assert_eq!(nat.sessions(), 1);
    nat.wait(2);
    assert_eq!(nat.sessions(), 0);
}

#[test]
fn req_3_errors_with_wrong_checksums_are_dropped() {
    let mut nat = Bench::one();
    let out = nat.send(&ipv4(HOST, WEB).udp(4000, 53).payload(b"question")).expect("translated");
    let error = icmp_error(&out, ROUTER.into(), 11, 0, 0).expect("an error");
    // The last byte; the TTL in the IPv4 header inside, and to match the other checksum, its checksum's complement.
    let (mut outer, mut inner) = (error.clone(), error.clone());
    *outer.last_mut().expect("bytes") ^= 1;
    assert_eq!(nat.send_bytes(&outer), Err("icmp_bad_checksum"));
    inner[42 + 8] ^= 1;
    inner[36] ^= 1;
    assert_eq!(nat.send_bytes(&inner), Err("icmp_bad_checksum"));
    assert!(nat.send_bytes(&error).is_ok());
}

#[test]
fn req_4_an_error_of_any_router_finds_the_sender_with_the_packet_as_it_was() {
    for (what, sent) in [
        ("UDP", ipv4(HOST, WEB).ttl(1).udp(4000, 33434).payload(b"where?")),
        (
            "UDP without a checksum",
            ipv4(HOST, WEB).ttl(1).udp(4000, 33434).no_udp_checksum().payload(b"where?"),
        ),
        ("TCP", ipv4(HOST, WEB).ttl(1).tcp(4000, 80).flags(2)),
        ("ICMP", ipv4(HOST, WEB).ttl(1).echo_request(4000, 1).payload(b"where?")),
    ] {
        let mut nat = Bench::one();
        let inside = sent.clone().build();
        let out = nat.send_bytes(&inside).expect("translated");
        let error = icmp_error(&out, ROUTER.into(), 11, 0, 0).expect("an error");
        let back = nat.send_bytes(&error).expect("translated");
        let outer = key(&back);
        assert_eq!((Ipv4Addr::from(outer.src), Ipv4Addr::from(outer.dst)), (ROUTER, HOST), "{what}");
        let (inner, about) = embedded(&back);
        assert_eq!(source(about), (HOST, 4000), "{what}");
        // Byte for byte what the host sent, checksums too.
        let start = inner.l3_offset();
        assert_eq!(back[start..], inside[14..14 + back.len() - start], "{what}");
    }
}

#[test]
fn req_4_an_error_about_nobodys_packet_is_dropped() {
    let mut nat = Bench::one();
    nat.udp((HOST, 4000), (WEB, 53)).expect("translated");
    let foreign = ipv4(OUTSIDE, WEB).udp(9, 53).payload(b"never sent").build();
    let error = icmp_error(&foreign, ROUTER.into(), 3, 3, 0).expect("an error");
    assert_eq!(nat.send_bytes(&error), Err("icmp_unrelated"));
}

#[test]
fn req_5_an_error_from_inside_has_the_outside_address_only() {
    let mut nat = Bench::one();
    let outside = source(nat.udp((HOST, 4000), (WEB, 53)).expect("translated"));
    let answer = ipv4(WEB, outside.0).udp(53, outside.1).payload(b"answer").build();
    let arrived = nat.send_bytes(&answer).expect("translated");
    for router in [HOST, INNER_ROUTER] {
        let error = icmp_error(&arrived, router.into(), 3, 3, 0).expect("an error");
        let out = nat.send_bytes(&error).expect("translated");
        let outer = key(&out);
        assert_eq!((Ipv4Addr::from(outer.src), Ipv4Addr::from(outer.dst)), (OUTSIDE, WEB), "of {router}");
        assert_eq!(destination(embedded(&out).1), outside);
    }
}

#[test]
fn req_6_an_error_does_not_refresh_a_session() {
    let mut nat = Bench::one();
    let out = nat.send(&ipv4(HOST, WEB).udp(4000, 53).payload(b"question")).expect("translated");
    nat.wait(200);
    let error = icmp_error(&out, ROUTER.into(), 3, 3, 0).expect("an error");
    assert!(nat.send_bytes(&error).is_ok());
    nat.wait(101);
    assert_eq!(nat.sessions(), 0);
}

#[test]
fn req_7_errors_and_queries_go_between_inside_hosts_by_their_outside_addresses() {
    let mut nat =
        Bench::new("one_to_one = { \"203.0.113.7\" = \"10.0.0.7\", \"203.0.113.8\" = \"10.0.0.8\" }");
    let (here, there) = (Ipv4Addr::new(203, 0, 113, 7), Ipv4Addr::new(203, 0, 113, 8));
    let arrived = nat.ping(HOST, there, 5).expect("translated");
    assert_eq!((Ipv4Addr::from(arrived.src), Ipv4Addr::from(arrived.dst)), (here, OTHER));
    let sent = nat.send(&ipv4(HOST, there).udp(1, 2).payload(b"question")).expect("translated");
    let error = icmp_error(&sent, OTHER.into(), 3, 3, 0).expect("an error");
    let back = nat.send_bytes(&error).expect("translated");
    let outer = key(&back);
    assert_eq!((Ipv4Addr::from(outer.src), Ipv4Addr::from(outer.dst)), (there, HOST));
    assert_eq!(destination(embedded(&back).1), (there, 2));
}

#[test]
fn req_10_other_messages_are_dropped() {
    let mut nat = Bench::one();
    assert_eq!(nat.send(&ipv4(HOST, WEB).icmp(9, 0, 0)), Err("icmp_other"));
    let out = nat.send(&ipv4(HOST, WEB).udp(4000, 53)).expect("translated");
    let redirect = icmp_error(&out, ROUTER.into(), 5, 1, 0).expect("an error");
    assert_eq!(nat.send_bytes(&redirect), Err("icmp_other"));
}
