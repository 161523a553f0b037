use super::*;
use std::net::{Ipv4Addr, Ipv6Addr};

fn host(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn sources_are_one_host_of_each_version() {
    for wrong in [&["192.0.2.1", "192.0.2.2"][..], &["ff02::1"], &["0.0.0.0"]] {
        let wrong: Vec<IpAddr> = wrong.iter().map(|text| host(text)).collect();
        let error = Sources::new(&wrong).expect_err("refused");
        assert_eq!(error.key.as_deref(), Some("icmp_from"));
        assert!(error.help.is_some());
    }
    assert!(!Sources::new(&[]).expect("good").any());
    assert!(Sources::new(&[host("192.0.2.1"), host("::1")]).expect("good").any());
}

#[test]
fn errors_say_what_is_wrong_and_have_right_checksums() {
    for (complaint, v4, v6) in [
        (Complaint::TooLarge(1450), (3, 4, 1450), (2, 0, 1450)),
        (Complaint::TimeExceeded, (11, 0, 0), (3, 0, 0)),
        (Complaint::Unreachable, (3, 1, 0), (1, 3, 0)),
        (Complaint::BadField(24), (12, 0, 24 << 24), (4, 0, 24)),
        (Complaint::SourceRoute(43), (3, 5, 0), (4, 0, 43)),
    ] {
        let mut packet = [7; 128];
        packet[..28].fill(0);
        let (from, to) = (Ipv4Addr::new(10, 0, 0, 254), Ipv4Addr::new(10, 0, 0, 1));
        write_v4(&mut packet, from.into(), to.into(), complaint);
        let header = ipv4::Packet::new_checked(&packet[..]).expect("IPv4");
        assert!(header.checksum_is_valid());
        assert_eq!((header.src(), header.dst(), header.total_len()), (from.into(), to.into(), 128));
        let message = icmp::Packet::new_checked(header.payload()).expect("ICMP");
        assert!(message.checksum_is_valid());
        assert_eq!((message.kind(), message.code(), message.rest()), v4, "{complaint:?}");

        let mut packet = [7; 128];
        packet[..48].fill(0);
        let (from, to) = (Ipv6Addr::LOCALHOST, Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
        write_v6(&mut packet, from.into(), to.into(), complaint);
        let header = ipv6::Packet::new_checked(&packet[..]).expect("IPv6");
        let message = icmpv6::Packet::new_checked(header.payload()).expect("ICMPv6");
        assert!(message.checksum_is_valid(header.pseudo_header(58, 88)));
        assert_eq!((message.kind(), message.code(), message.rest()), v6, "{complaint:?}");
    }
}
