use super::*;

const SESSION: [u8; 12] = [0x11, 0, 0x12, 0x34, 0, 4, 0, 0x21, 1, 2, 3, 4];

#[test]
fn length_rules_the_payload() {
    let packet = Packet::new_checked(SESSION).unwrap();
    assert_eq!((packet.session(), packet.length(), packet.protocol()), (0x1234, 4, PPP_IPV4));
    assert_eq!(packet.payload(), [1, 2]);
    let mut lying = SESSION;
    lying[5] = 0;
    assert!(Packet::new_checked(lying).unwrap().payload().is_empty());
    lying[5] = 99;
    assert_eq!(Packet::new_checked(lying).unwrap().payload(), [1, 2, 3, 4]);
}

#[test]
fn refuses_what_is_no_session() {
    assert_eq!(Packet::new_checked(&SESSION[..7]).unwrap_err(), Malformed::PppoeTruncated);
    let mut discovery = SESSION;
    discovery[1] = 9;
    assert_eq!(Packet::new_checked(discovery).unwrap_err(), Malformed::PppoeBadHeader);
}
