//! Requirements of RFC 4787 (UDP), by their numbers.

use super::*;
use wire::tcp::flags::SYN;

#[test]
fn req_1_mapping_is_endpoint_independent() {
    let mut nat = Bench::one();
    let first = source(nat.udp((HOST, 4000), (WEB, 53)).expect("translated"));
    assert_eq!(source(nat.udp((HOST, 4000), (DNS, 53)).expect("translated")), first);
    assert_eq!(source(nat.udp((HOST, 4000), (WEB, 54)).expect("translated")), first);
    assert_ne!(source(nat.udp((HOST, 4001), (WEB, 53)).expect("translated")), first);
}

#[test]
fn req_2_all_sessions_of_a_host_have_one_address() {
    let mut nat = Bench::new("pool = [\"203.0.113.0/28\"]");
    let mut of_hosts = std::collections::BTreeSet::new();
    for host in 1..=64 {
        let host = Ipv4Addr::new(10, 0, 1, host);
        let mut addresses = vec![
            source(nat.tcp((host, 9), (WEB, 80), SYN).expect("translated")).0,
            source(nat.ping(host, WEB, 7).expect("translated")).0,
        ];
        addresses
            .extend((2000..2020).map(|port| source(nat.udp((host, port), (WEB, 53)).expect("translated")).0));
        addresses.dedup();
        assert_eq!(addresses.len(), 1, "{host}");
        of_hosts.extend(addresses);
    }
    assert!(of_hosts.len() > 8, "all of the pool is used: {of_hosts:?}");
}

#[test]
fn req_3_no_two_endpoints_share_a_port_and_ports_are_in_their_range() {
    let mut nat = Bench::new("pool = [\"203.0.113.1\"]\nports = \"2000-2999\"");
    let mut seen = std::collections::BTreeSet::new();
    for port in 1..=1000 {
        let outside = source(nat.udp((HOST, port), (WEB, 53)).expect("translated"));
        assert!((2000..=2999).contains(&outside.1));
        assert!(seen.insert(outside), "{outside:?} twice");
        nat.udp((WEB, 53), outside).expect("translated");
    }
    assert_eq!(nat.udp((OTHER, 1), (WEB, 53)), Err("ports_exhausted"), "overloading would be wrong");
}

#[test]
fn req_4_an_even_port_stays_even_as_long_as_there_are_such() {
    let mut nat = Bench::new("pool = [\"203.0.113.1\"]\nports = \"2001-2020\"");
    let parity = |nat: &mut Bench, port| source(nat.udp((HOST, port), (WEB, 53)).expect("translated")).1 % 2;
    for port in (4000..4020).step_by(2) {
        assert_eq!(parity(&mut nat, port), 0);
    }
    assert_eq!(parity(&mut nat, 4001), 1);
    assert_eq!(parity(&mut nat, 4100), 1, "the even ones are used up");
}

#[test]
fn req_5_a_mapping_lasts_five_minutes_and_no_longer() {
    let mut nat = Bench::one();
    let sent = nat.udp((HOST, 4000), (WEB, 53)).expect("translated");
    nat.wait(299);
    assert!(nat.udp((WEB, 53), source(sent)).is_ok());
    nat.wait(301);
    assert_eq!(nat.udp((WEB, 53), source(sent)), Err("no_mapping"));
    assert_eq!(nat.sessions(), 0);
}

#[test]
fn req_6_packets_from_inside_refresh_a_mapping() {
    let mut nat = Bench::one();
    let sent = nat.udp((HOST, 4000), (WEB, 53)).expect("translated");
    for _ in 0..10 {
        nat.wait(200);
        assert_eq!(nat.udp((HOST, 4000), (WEB, 53)), Ok(sent));
    }
    assert_eq!(destination(nat.udp((WEB, 53), source(sent)).expect("translated")), (HOST, 4000));
}

#[test]
fn req_8_filtering_is_as_configured() {
    let senders = [(WEB, 53), (WEB, 99), (DNS, 53)];
    for (filtering, accepted) in [
        ("endpoint_independent", [true, true, true]),
        ("address_dependent", [true, true, false]),
        ("address_and_port_dependent", [true, false, false]),
    ] {
        let mut nat = Bench::new(&format!("pool = [\"203.0.113.1\"]\nfiltering = \"{filtering}\""));
        let sent = nat.udp((HOST, 4000), (WEB, 53)).expect("translated");
        for (sender, accepted) in senders.into_iter().zip(accepted) {
            let got = nat.udp(sender, source(sent)).map(destination);
            let expected = if accepted { Ok((HOST, 4000)) } else { Err("filtered") };
            assert_eq!(got, expected, "{filtering} {sender:?}");
        }
    }
}

#[test]
fn req_8_a_remote_address_is_forgotten_with_its_last_session() {
    let mut nat = Bench::one();
    let sent = nat.udp((HOST, 4000), (WEB, 53)).expect("translated");
    nat.wait(200);
    nat.udp((HOST, 4000), (DNS, 53)).expect("translated");
    nat.wait(200);
    assert_eq!(nat.udp((WEB, 99), source(sent)), Err("filtered"), "the session with it is over");
    assert!(nat.udp((DNS, 99), source(sent)).is_ok());
}

#[test]
fn req_9_hairpinned_packets_come_from_the_outside_address_and_port() {
    for filtering in ["endpoint_independent", "address_dependent", "address_and_port_dependent"] {
        let mut nat = Bench::new(&format!("pool = [\"203.0.113.1\"]\nfiltering = \"{filtering}\""));
        let here = source(nat.udp((HOST, 4000), (WEB, 53)).expect("translated"));
        let there = source(nat.udp((OTHER, 5000), (WEB, 53)).expect("translated"));
        // As two applications do that learned of each other's outside endpoints: both send.
        let forth = nat.udp((HOST, 4000), there);
        if filtering == "endpoint_independent" {
            let forth = forth.expect("translated");
            assert_eq!((source(forth), destination(forth)), (here, (OTHER, 5000)));
            let back = nat.udp((OTHER, 5000), here).expect("translated");
            assert_eq!((source(back), destination(back)), (there, (HOST, 4000)));
        } else {
            assert_eq!(forth, Err("filtered"), "nobody inside asked for it: {filtering}");
        }
    }
}

#[test]
fn req_11_the_same_packets_have_the_same_ports_in_any_order() {
    let ends = |ports: &[u16]| {
        let mut nat = Bench::one();
        let mut ends: Vec<_> = ports.iter().map(|&port| nat.udp((HOST, port), (WEB, 53))).collect();
        ends.sort_by_key(|end| end.map(|key| key.sport));
        ends
    };
    assert_eq!(ends(&[1, 2, 3]), ends(&[3, 2, 1]));
}

#[test]
fn req_12_an_icmp_error_does_not_end_a_mapping() {
    let mut nat = Bench::one();
    let sent = ipv4(HOST, WEB).udp(4000, 53).payload(b"question");
    let out = nat.send(&sent).expect("translated");
    let error = wire::builder::icmp_error(&out, WEB.into(), 3, 3, 0).expect("an error");
    assert!(nat.send_bytes(&error).is_ok());
    assert!(nat.udp((WEB, 53), source(key(&out))).is_ok());
}

#[test]
fn req_14_fragments_that_come_in_order_are_translated() {
    let mut nat = Bench::one();
    let datagram = ipv4(HOST, WEB).udp(4000, 53).payload_len(3000).build();
    let out: Vec<Vec<u8>> = wire::builder::fragments(&datagram, 1500, 9)
        .iter()
        .map(|fragment| nat.send_bytes(fragment).expect("translated"))
        .collect();
    let sources: Vec<u32> = out.iter().map(|frame| key(frame).src).collect();
    assert_eq!(sources, [u32::from(Ipv4Addr::new(203, 0, 113, 1)); 3]);
    // Put together, the datagram's checksum is right.
    let payload: Vec<u8> = out.iter().flat_map(|frame| frame[34..].to_vec()).collect();
    let sum = wire::checksum::Sum::pseudo_v4(key(&out[0]).src, WEB.into(), 17, payload.len() as u32);
    assert!(sum.bytes(&payload).is_valid());
}
