use super::*;

const ECHO: [u8; 13] = [128, 0, 0x12, 0x3d, 0x12, 0x34, 0, 1, b'p', b'i', b'n', b'g', b'!'];

fn pseudo_header() -> Sum {
    Sum::pseudo_v6(0x2001_0db8 << 96 | 1, 0x2001_0db8 << 96 | 2, 58, ECHO.len() as u32)
}

#[test]
fn reads_an_echo_request() {
    let icmp = Packet::new_checked(ECHO).unwrap();
    assert_eq!((icmp.kind(), icmp.code()), (ECHO_REQUEST, 0));
    assert_eq!((icmp.identifier(), icmp.sequence()), (0x1234, 1));
    assert_eq!(icmp.payload(), b"ping!");
    assert!(icmp.checksum_is_valid(pseudo_header()));
    assert!(!icmp.checksum_is_valid(Sum::new()), "the pseudo-header counts");
}

#[test]
fn fills_the_checksum_computed_by_hand() {
    let mut icmp = Packet::new_checked(ECHO).unwrap();
    icmp.set_checksum(0x5555);
    icmp.fill_checksum(pseudo_header());
    assert_eq!(icmp.into_inner(), ECHO);
}

#[test]
fn tells_errors_and_echoes_apart() {
    let errors: Vec<u8> = (0..=255).filter(|&kind| is_error(kind)).collect();
    assert_eq!(errors, [1, 2, 3, 4]);
    let echoes: Vec<u8> = (0..=255).filter(|&kind| is_echo(kind)).collect();
    assert_eq!(echoes, [128, 129]);
}

#[test]
fn seven_bytes_are_no_message() {
    assert_eq!(Packet::new_checked(&ECHO[..7]).unwrap_err(), Malformed::IcmpTruncated);
}
