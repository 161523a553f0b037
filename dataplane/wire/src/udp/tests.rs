use super::*;

/// From port 1000 to 53, `hey`, then one byte of padding.
const DATAGRAM: [u8; 12] = [0x03, 0xe8, 0, 53, 0, 11, 0, 0, b'h', b'e', b'y', 0xff];

#[test]
fn length_rules_the_payload() {
    let mut udp = Packet::new_checked(DATAGRAM).unwrap();
    assert_eq!((udp.src_port(), udp.dst_port(), udp.length()), (1000, 53, 11));
    assert_eq!(udp.payload(), b"hey");
    udp.set_length(100);
    assert_eq!(udp.payload(), b"hey\xff");
    udp.payload_mut()[0] = b'H';
    assert_eq!(udp.payload(), b"Hey\xff");
}

#[test]
fn checksums_are_those_computed_by_hand() {
    let v4 = Sum::pseudo_v4(0x0a00_0001, 0x0a00_0002, 17, 11);
    let v6 = Sum::pseudo_v6(0x2001_0db8 << 96 | 1, 0x2001_0db8 << 96 | 2, 17, 11);
    for (pseudo, expected) in [(v4, 0x0653), (v6, 0xbee0)] {
        let mut udp = Packet::new_checked(DATAGRAM).unwrap();
        udp.fill_checksum(pseudo);
        assert_eq!(udp.checksum(), expected);
        assert!(udp.checksum_is_valid(pseudo));
        udp.set_checksum(expected + 1);
        assert!(!udp.checksum_is_valid(pseudo));
    }
}

#[test]
fn none_is_valid_and_zero_is_sent_as_ones() {
    let mut udp = Packet::new_checked(DATAGRAM).unwrap();
    assert!(udp.checksum_is_valid(Sum::new()));
    // What remains to the sum of all ones is taken up by the source port.
    udp.fill_checksum(Sum::new());
    udp.set_src_port(1000 + udp.checksum());
    udp.fill_checksum(Sum::new());
    assert_eq!(udp.checksum(), 0xffff);
    assert!(udp.checksum_is_valid(Sum::new()));
}

#[test]
fn refuses_what_is_no_header() {
    assert_eq!(Packet::new_checked(&DATAGRAM[..7]).unwrap_err(), Malformed::UdpTruncated);
    let mut bytes = DATAGRAM;
    bytes[5] = 7;
    assert_eq!(Packet::new_checked(bytes).unwrap_err(), Malformed::UdpBadLength);
}
