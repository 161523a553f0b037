use super::*;

#[test]
fn reads_and_writes_the_network_identifier() {
    let mut packet = Packet::new_checked([8, 0, 0, 0, 0x12, 0x34, 0x56, 0, 0xaa]).unwrap();
    assert_eq!(packet.vni(), 0x12_3456);
    packet.set_vni(0xff00_0001);
    packet.payload_mut()[0] = 0xbb;
    assert_eq!(packet.into_inner(), [8, 0, 0, 0, 0, 0, 1, 0, 0xbb]);
}

#[test]
fn makes_a_header_that_it_reads() {
    assert_eq!(header(0x12_3456), [8, 0, 0, 0, 0x12, 0x34, 0x56, 0]);
    assert_eq!(Packet::new_checked(header(77)).unwrap().vni(), 77);
}

#[test]
fn refuses_what_is_no_header() {
    assert_eq!(Packet::new_checked([8, 0, 0, 0, 0, 0, 0]).unwrap_err(), Malformed::VxlanTruncated);
    assert_eq!(Packet::new_checked([0; 8]).unwrap_err(), Malformed::VxlanBadFlags);
}
