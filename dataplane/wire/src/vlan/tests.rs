use super::*;

const TAG: [u8; 6] = [0xb0, 0x05, 0x08, 0x00, 0x45, 0x00];

#[test]
fn reads_the_parts_of_the_control_information() {
    let tag = Packet::new_checked(TAG).unwrap();
    assert_eq!((tag.id(), tag.priority(), tag.drop_eligible()), (5, 5, true));
    assert_eq!(tag.ether_type(), 0x0800);
    assert_eq!(tag.payload(), [0x45, 0x00]);
}

#[test]
fn setting_one_part_leaves_the_others() {
    let mut tag = Packet::new_checked(TAG).unwrap();
    tag.set_id(0xfabc);
    assert_eq!(tag.into_inner()[..2], [0xba, 0xbc]);
    tag.set_priority(2);
    assert_eq!((tag.id(), tag.priority(), tag.drop_eligible()), (0xabc, 2, true));
}

#[test]
fn three_bytes_are_no_tag() {
    assert_eq!(Packet::new_checked(&TAG[..3]).unwrap_err(), Malformed::VlanTruncated);
}
