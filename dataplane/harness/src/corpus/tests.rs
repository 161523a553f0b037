use super::corpus;
use std::collections::BTreeSet;
use wire::Malformed;

#[test]
fn the_same_seed_makes_the_same_traffic() {
    assert_eq!(corpus(1), corpus(1));
    assert_ne!(corpus(1), corpus(2));
}

#[test]
fn it_has_every_protocol_and_every_way_to_be_broken() {
    let frames = corpus(3);
    assert!((1500..4000).contains(&frames.len()), "{}", frames.len());
    let headers: Vec<_> = frames.iter().map(|frame| wire::parse(&frame.bytes)).collect();
    let count =
        |test: &dyn Fn(&wire::Headers) -> bool| headers.iter().filter(|headers| test(headers)).count();
    assert!(count(&wire::Headers::is_ipv4) > 500);
    assert!(count(&wire::Headers::is_ipv6) > 200);
    assert!(count(&wire::Headers::is_tcp) > 500);
    assert!(count(&wire::Headers::is_udp) > 200);
    assert!(count(&wire::Headers::is_fragment) > 20);
    assert!(count(&wire::Headers::is_icmp) > 5);
    assert!(count(&wire::Headers::is_icmpv6) > 5);
    assert!(count(&|headers| headers.vlan_count() > 0) > 100);
    assert!(count(&|headers| headers.malformed().is_none()) > 1000);
    let found: BTreeSet<_> = headers.iter().filter_map(wire::Headers::malformed).collect();
    // Found by the views of those who look so far, not by the parser.
    let left_out = [
        Malformed::ArpBadFormat,
        Malformed::Ipv4BadOption,
        Malformed::TcpBadOption,
        Malformed::MplsTruncated,
        Malformed::VxlanTruncated,
        Malformed::VxlanBadFlags,
    ];
    let missing: Vec<_> =
        Malformed::ALL.into_iter().filter(|kind| !found.contains(kind) && !left_out.contains(kind)).collect();
    assert_eq!(missing, [], "no packet of the corpus is broken in these ways");
    assert!(frames.iter().any(|frame| frame.bytes.len() > 8000));
    assert!((0..14).all(|len| frames.iter().any(|frame| frame.bytes.len() == len)));
}

#[test]
fn both_ports_see_traffic_from_the_same_hosts_only() {
    for frame in corpus(4).iter().filter(|frame| frame.what.starts_with("tcp syn-ack")) {
        assert_eq!(frame.ingress, 1, "{}", frame.what);
    }
}
