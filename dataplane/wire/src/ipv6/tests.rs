use super::*;
use crate::protocol::ip;

/// From 2001:db8::1 to 2001:db8::2: hop-by-hop options, fragment header, then 4 bytes of UDP.
const PACKET: [u8; 60] = [
    0x6b, 0x91, 0x23, 0x45, 0, 20, 0, 64, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x20, 1,
    0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 44, 0, 1, 4, 0, 0, 0, 0, 17, 0, 0, 1, 0xde, 0xad, 0xbe,
    0xef, 0x03, 0xe8, 0, 53,
];

#[test]
fn reads_every_field() {
    let packet = Packet::new_checked(PACKET).unwrap();
    assert_eq!((packet.traffic_class(), packet.dscp(), packet.ecn()), (0xb9, 46, 1));
    assert_eq!(packet.flow_label(), 0x12345);
    assert_eq!((packet.payload_len(), packet.next_header(), packet.hop_limit()), (20, 0, 64));
    assert_eq!(packet.src(), 0x2001_0db8 << 96 | 1);
    assert_eq!(packet.dst(), 0x2001_0db8 << 96 | 2);
    assert_eq!(packet.payload(), &PACKET[40..]);
}

#[test]
fn parts_of_the_first_word_do_not_touch_each_other() {
    let mut packet = Packet::new_checked(PACKET).unwrap();
    packet.set_dscp(0);
    assert_eq!((packet.dscp(), packet.ecn(), packet.flow_label()), (0, 1, 0x12345));
    packet.set_flow_label(0xfff_ffff);
    packet.set_traffic_class(0xb9);
    assert_eq!(packet.first_word(), 0x6b9f_ffff);
}

#[test]
fn hop_limit_goes_down_to_one() {
    let mut packet = Packet::new_checked(PACKET).unwrap();
    packet.set_hop_limit(2);
    assert!(packet.decrement_hop_limit());
    assert!(!packet.decrement_hop_limit());
    assert_eq!(packet.hop_limit(), 1);
}

#[test]
fn walks_extension_headers_to_the_upper_layer() {
    let packet = Packet::new_checked(PACKET).unwrap();
    let walked: Vec<_> = packet.extensions().collect();
    assert_eq!(
        walked,
        [
            Extension { kind: ip::HOP_BY_HOP, next: ip::FRAGMENT, offset: 40, len: 8 },
            Extension { kind: ip::FRAGMENT, next: ip::UDP, offset: 48, len: 8 },
        ]
    );
    assert_eq!(packet.upper_layer(), (ip::UDP, 56));
    assert_eq!(fragment_header_offset(&PACKET, 0), Some(48));
}

#[test]
fn nothing_after_a_later_fragment_is_a_header() {
    let mut bytes = PACKET;
    bytes[48] = ip::DESTINATION_OPTIONS;
    bytes[50..52].copy_from_slice(&[0, 8]);
    assert_eq!(extensions(&bytes, 0).count(), 2);
}

#[test]
fn a_cut_extension_ends_the_walk() {
    let mut bytes = PACKET;
    bytes[49 - 8] = 9;
    assert_eq!(extensions(&bytes, 0).count(), 0);
    assert_eq!(extensions(&PACKET[..55], 0).count(), 1);
    assert_eq!(extensions(&PACKET[..39], 0).count(), 0);
    assert_eq!(extensions(&PACKET, usize::MAX).count(), 0);
}

#[test]
fn length_units_differ_by_header() {
    assert_eq!(extension_len(ip::ROUTING, 2), 24);
    assert_eq!(extension_len(ip::FRAGMENT, 77), 8);
    assert_eq!(extension_len(ip::AH, 4), 24);
}

#[test]
fn refuses_what_is_no_header() {
    assert_eq!(Packet::new_checked(&PACKET[..39]).unwrap_err(), Malformed::Ipv6Truncated);
    let mut bytes = PACKET;
    bytes[0] = 0x45;
    assert_eq!(Packet::new_checked(bytes).unwrap_err(), Malformed::Ipv6BadVersion);
}
