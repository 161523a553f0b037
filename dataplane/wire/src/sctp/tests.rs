use super::*;

#[test]
fn reads_the_common_header() {
    let packet = Packet::new_checked([0x0b, 0x59, 0x0b, 0x80, 0, 0, 0x0e, 0x50, 1, 2, 3, 4, 9]).unwrap();
    assert_eq!((packet.src_port(), packet.dst_port()), (2905, 2944));
    assert_eq!(packet.verification_tag(), 0xe50);
    assert_eq!(packet.checksum(), 0x0403_0201);
    assert_eq!(packet.payload(), [9]);
}

/// RFC 3720 appendix B.4 lists the CRC32c of 32 zeros as `aa 36 91 8a`.
#[test]
fn checksum_of_zeros_is_that_of_the_rfc() {
    let mut packet = Packet::new_checked([0; 32]).unwrap();
    packet.fill_checksum();
    assert_eq!(packet.into_inner()[8..12], [0xaa, 0x36, 0x91, 0x8a]);
    assert!(packet.checksum_is_valid());
    packet.set_verification_tag(1);
    assert!(!packet.checksum_is_valid());
}

#[test]
fn eleven_bytes_are_no_header() {
    assert_eq!(Packet::new_checked([0; 11]).unwrap_err(), Malformed::SctpTruncated);
}
