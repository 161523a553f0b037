use super::*;

const FRAME: [u8; 16] = [0x02, 0, 0, 0, 0, 0x0b, 0x02, 0, 0, 0, 0, 0x0a, 0x08, 0x00, 0xaa, 0xbb];

#[test]
fn reads_addresses_type_and_payload() {
    let frame = Frame::new_checked(FRAME).unwrap();
    assert_eq!(frame.dst().to_string(), "02:00:00:00:00:0b");
    assert_eq!(frame.src().to_string(), "02:00:00:00:00:0a");
    assert_eq!(frame.ether_type(), 0x0800);
    assert_eq!(frame.payload(), [0xaa, 0xbb]);
}

#[test]
fn swaps_addresses_in_place() {
    let mut bytes = FRAME;
    Frame::new_checked(&mut bytes[..]).unwrap().swap_addresses();
    assert_eq!(bytes[..6], FRAME[6..12]);
    assert_eq!(bytes[6..12], FRAME[..6]);
    assert_eq!(bytes[12..], FRAME[12..]);
}

#[test]
fn writes_what_it_reads() {
    let mut frame = Frame::new_checked([0; 15]).unwrap();
    frame.set_dst(Mac([1, 2, 3, 4, 5, 6]));
    frame.set_src(Mac([7, 8, 9, 10, 11, 12]));
    frame.set_ether_type(0x86dd);
    frame.payload_mut()[0] = 0xff;
    assert_eq!(frame.into_inner(), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x86, 0xdd, 0xff]);
}

#[test]
fn thirteen_bytes_are_no_frame() {
    assert_eq!(Frame::new_checked(&FRAME[..13]).unwrap_err(), Malformed::EthernetTruncated);
}
