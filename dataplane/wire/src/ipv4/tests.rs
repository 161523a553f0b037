use super::*;

/// UDP from 192.168.0.1 to 192.168.0.199, 115 bytes long: its header.
const HEADER: [u8; 20] = [
    0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8, 0x00, 0x01, 0xc0,
    0xa8, 0x00, 0xc7,
];

#[test]
fn reads_every_field() {
    let mut bytes = HEADER.to_vec();
    bytes[1] = 0xb9;
    bytes[6] = 0x20;
    bytes[7] = 0x05;
    let packet = Packet::new_checked(&bytes[..]).unwrap();
    assert_eq!((packet.header_len(), packet.total_len()), (20, 115));
    assert_eq!((packet.dscp(), packet.ecn(), packet.traffic_class()), (46, 1, 0xb9));
    assert_eq!(
        (packet.more_fragments(), packet.dont_fragment(), packet.fragment_offset()),
        (true, false, 40)
    );
    assert_eq!((packet.ttl(), packet.protocol(), packet.checksum()), (64, 17, 0xb861));
    assert_eq!((packet.src(), packet.dst()), (0xc0a8_0001, 0xc0a8_00c7));
}

#[test]
fn checksum_is_that_of_the_example() {
    let mut packet = Packet::new_checked(HEADER).unwrap();
    assert!(packet.checksum_is_valid());
    packet.set_checksum(0);
    assert!(!packet.checksum_is_valid());
    packet.fill_checksum();
    assert_eq!(packet.into_inner(), HEADER);
}

#[test]
fn ttl_goes_down_with_the_checksum_until_one_is_left() {
    let mut packet = Packet::new_checked(HEADER).unwrap();
    for ttl in (1..64).rev() {
        assert!(packet.decrement_ttl());
        assert_eq!(packet.ttl(), ttl);
        assert!(packet.checksum_is_valid(), "with TTL {ttl}");
    }
    let before = packet.into_inner();
    assert!(!packet.decrement_ttl());
    assert_eq!(packet.into_inner(), before);
}

#[test]
fn dscp_and_ecn_do_not_touch_each_other() {
    let mut packet = Packet::new_checked(HEADER).unwrap();
    packet.set_dscp(46);
    packet.set_ecn(3);
    assert_eq!(packet.traffic_class(), 0xbb);
    packet.set_dscp(0);
    assert_eq!(packet.traffic_class(), 3);
}

#[test]
fn total_length_rules_the_payload() {
    let mut bytes = HEADER.to_vec();
    bytes[3] = 22;
    bytes.extend([1, 2, 3, 4]);
    assert_eq!(Packet::new_checked(&bytes[..]).unwrap().payload(), [1, 2]);
    bytes[3] = 200;
    let mut cut = Packet::new_checked(&mut bytes[..]).unwrap();
    assert_eq!(cut.payload(), [1, 2, 3, 4]);
    cut.payload_mut()[0] = 9;
    assert_eq!(cut.payload(), [9, 2, 3, 4]);
}

#[test]
fn refuses_what_is_no_header() {
    let rows: [(&str, usize, u8, u8, Malformed); 5] = [
        ("19 bytes", 19, 0x45, 115, Malformed::Ipv4Truncated),
        ("version 5", 20, 0x55, 115, Malformed::Ipv4BadVersion),
        ("16 bytes of header", 20, 0x44, 115, Malformed::Ipv4BadHeaderLength),
        ("options cut off", 20, 0x46, 115, Malformed::Ipv4Truncated),
        ("total length under the header's", 20, 0x45, 19, Malformed::Ipv4BadTotalLength),
    ];
    for (what, len, first, total, malformed) in rows {
        let mut bytes = HEADER;
        bytes[0] = first;
        bytes[3] = total;
        assert_eq!(Packet::new_checked(&bytes[..len]).unwrap_err(), malformed, "{what}");
    }
}

#[test]
fn walks_options_and_stops_at_a_broken_one() {
    let record_route = IpOption { kind: 7, data: &[4, 0] };
    let source_route = IpOption { kind: 137, data: &[4] };
    type Row<'a> = (&'a str, &'a [u8], Vec<Result<IpOption<'a>, Malformed>>);
    let rows: [Row; 5] = [
        ("none", &[], vec![]),
        ("padding only", &[1, 1, 0, 7], vec![]),
        ("two options", &[7, 4, 4, 0, 1, 137, 3, 4], vec![Ok(record_route), Ok(source_route)]),
        ("length 1", &[7, 1, 0, 0], vec![Err(Malformed::Ipv4BadOption)]),
        ("past the end", &[7, 4, 4, 0, 7, 9, 4, 0], vec![Ok(record_route), Err(Malformed::Ipv4BadOption)]),
    ];
    for (what, bytes, expected) in rows {
        assert_eq!(Options::new(bytes).collect::<Vec<_>>(), expected, "{what}");
    }
    assert!(source_route.is_copied() && source_route.is_source_route());
    assert!(!record_route.is_copied() && !record_route.is_source_route());
}
