use super::*;

const ECHO: [u8; 13] = [8, 0, 0xe5, 0xf9, 0x12, 0x34, 0, 1, b'p', b'i', b'n', b'g', b'!'];

#[test]
fn reads_an_echo_request() {
    let icmp = Packet::new_checked(ECHO).unwrap();
    assert_eq!((icmp.kind(), icmp.code()), (ECHO_REQUEST, 0));
    assert_eq!((icmp.identifier(), icmp.sequence(), icmp.rest()), (0x1234, 1, 0x1234_0001));
    assert_eq!(icmp.payload(), b"ping!");
    assert!(icmp.checksum_is_valid());
}

#[test]
fn fills_the_checksum_computed_by_hand() {
    let mut icmp = Packet::new_checked(ECHO).unwrap();
    icmp.set_checksum(0x5555);
    assert!(!icmp.checksum_is_valid());
    icmp.fill_checksum();
    assert_eq!(icmp.into_inner(), ECHO);
}

#[test]
fn tells_errors_and_queries_apart() {
    let errors: Vec<u8> = (0..=255).filter(|&kind| is_error(kind)).collect();
    assert_eq!(errors, [3, 4, 5, 11, 12]);
    let queries: Vec<u8> = (0..=255).filter(|&kind| has_identifier(kind)).collect();
    assert_eq!(queries, [0, 8, 13, 14, 15, 16, 17, 18]);
}

#[test]
fn seven_bytes_are_no_message() {
    assert_eq!(Packet::new_checked(&ECHO[..7]).unwrap_err(), Malformed::IcmpTruncated);
}
