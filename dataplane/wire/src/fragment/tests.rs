use super::*;

#[test]
fn reads_offset_flag_and_identification() {
    let fragment = Packet::new_checked([17, 0, 0x05, 0xa9, 0xde, 0xad, 0xbe, 0xef, 1, 2]).unwrap();
    assert_eq!((fragment.next_header(), fragment.offset()), (17, 1448));
    assert!(fragment.more_fragments() && !fragment.is_atomic());
    assert_eq!(fragment.id(), 0xdead_beef);
    assert_eq!(fragment.payload(), [1, 2]);
}

#[test]
fn offset_zero_without_more_is_atomic() {
    assert!(Packet::new_checked([17, 0, 0, 6, 0, 0, 0, 1]).unwrap().is_atomic());
}

#[test]
fn seven_bytes_are_no_header() {
    assert_eq!(Packet::new_checked([0; 7]).unwrap_err(), Malformed::Ipv6ExtensionTruncated);
}
