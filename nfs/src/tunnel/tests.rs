use super::*;
use std::net::IpAddr;
use wire::builder::Builder;
use wire::{ipv4, ipv6};

#[test]
fn congestion_marks_come_out_as_rfc_6040_figure_4_says() {
    const NOT: u8 = 0;
    const E0: u8 = 2;
    const E1: u8 = 1;
    const CE: u8 = 3;
    let columns = [NOT, E0, E1, CE];
    for (inner, row) in [
        (NOT, [Some(NOT), Some(NOT), Some(NOT), None]),
        (E0, [Some(E0), Some(E0), Some(E1), Some(CE)]),
        (E1, [Some(E1), Some(E1), Some(E1), Some(CE)]),
        (CE, [Some(CE); 4]),
    ] {
        assert_eq!(columns.map(|outer| ecn::leaving(inner, outer)), row, "inner {inner:02b}");
    }
}

#[test]
fn the_dscp_is_that_of_the_model() {
    let marks = Marks { inner: 46 << 2 | 2, outer: 8 << 2 | 3 };
    assert_eq!(marks.leaving(Kept::Inner), Some(46 << 2 | 3));
    assert_eq!(marks.leaving(Kept::Outer), Some(8 << 2 | 3));
}

fn host(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn outer_headers_say_what_they_are_told_to() {
    let header = Header { class: 0xb9, ttl: 9, protocol: 4, flow_label: 0xffab_cdef, payload: 30 };
    for (local, remote) in [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")] {
        let ends = Ends::new(host(local), host(remote)).expect("one version");
        let mut bytes = vec![0xff; ends.header_len() + 30];
        ends.write(&mut bytes, header);
        if let Ok(packet) = ipv4::Packet::new_checked(&bytes[..]) {
            assert!(packet.checksum_is_valid() && packet.dont_fragment());
            assert_eq!((packet.total_len(), packet.id(), packet.protocol()), (50, 0, 4));
            assert_eq!((packet.traffic_class(), packet.ttl()), (0xb9, 9));
        } else {
            let packet = ipv6::Packet::new_checked(&bytes[..]).expect("IPv6");
            assert_eq!((packet.payload_len(), packet.next_header(), packet.hop_limit()), (30, 4, 9));
            assert_eq!((packet.traffic_class(), packet.flow_label()), (0xb9, 0xb_cdef));
        }
        // The frame that arrives from there has the addresses the other way round.
        let frame = |source: IpAddr, destination: IpAddr| match (source, destination) {
            (IpAddr::V4(a), IpAddr::V4(b)) => Builder::ethernet([2; 6], [4; 6]).ipv4(a, b).build(),
            (IpAddr::V6(a), IpAddr::V6(b)) => Builder::ethernet([2; 6], [4; 6]).ipv6(a, b).build(),
            _ => unreachable!("the rows have one version each"),
        };
        let arrived = frame(host(remote), host(local));
        assert!(ends.sent(&wire::parse(&arrived), &arrived));
        let returned = frame(host(local), host(remote));
        assert!(!ends.sent(&wire::parse(&returned), &returned));
    }
}

#[test]
fn ends_that_make_no_tunnel_are_refused() {
    for (local, remote, key) in [
        ("192.0.2.1", "2001:db8::1", "remote"),
        ("224.0.0.1", "192.0.2.1", "local"),
        ("192.0.2.1", "0.0.0.0", "remote"),
        ("::", "2001:db8::1", "local"),
    ] {
        let error = Ends::new(host(local), host(remote)).expect_err(local);
        assert_eq!(error.key.as_deref(), Some(key), "{local} > {remote}");
        assert!(error.help.is_some());
    }
}

#[test]
fn a_way_is_checked() {
    let refused = |mtu, from: &[&str]| {
        let from: Vec<IpAddr> = from.iter().map(|text| host(text)).collect();
        Way::new(mtu, &from).expect_err("refused").key
    };
    assert_eq!(refused(500, &[]).as_deref(), Some("mtu"));
    assert_eq!(refused(1500, &["192.0.2.1", "192.0.2.2"]).as_deref(), Some("icmp_from"));
    assert_eq!(refused(1500, &["ff02::1"]).as_deref(), Some("icmp_from"));
    assert!(!Way::new(1500, &[]).expect("good").tells());
    assert!(Way::new(1500, &[host("192.0.2.1"), host("::1")]).expect("good").tells());
}

#[test]
fn marks_and_ttl_change_with_the_checksum() {
    let mut frame = Builder::ethernet([2; 6], [4; 6]).ipv4([10, 0, 0, 1], [10, 0, 0, 2]).ttl(9).build();
    mark_inner(&mut frame, 14, 0xb9);
    set_inner_ttl(&mut frame, 14, 5);
    set_inner_ttl(&mut frame, 14, 8);
    let packet = ipv4::Packet::new_checked(&frame[14..]).expect("IPv4");
    assert!(packet.checksum_is_valid());
    assert_eq!((packet.traffic_class(), packet.ttl()), (0xb9, 5));
    // A place without a packet stays as it is.
    let mut short = [0x45; 10];
    mark_inner(&mut short, 4, 1);
    set_inner_ttl(&mut short, 40, 1);
    assert_eq!(short, [0x45; 10]);
}
