use super::*;

const REQUEST_BYTES: [u8; 28] =
    [0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2];

#[test]
fn reads_a_request() {
    let arp = Packet::new_checked(REQUEST_BYTES).unwrap();
    assert_eq!(arp.operation(), REQUEST);
    assert_eq!((arp.sender_mac(), arp.sender_ip()), (Mac([2, 0, 0, 0, 0, 1]), 0x0a00_0001));
    assert_eq!((arp.target_mac(), arp.target_ip()), (Mac::ZERO, 0x0a00_0002));
}

#[test]
fn turns_a_request_into_its_reply() {
    let mut arp = Packet::new_checked(REQUEST_BYTES).unwrap();
    let (asker_mac, asker_ip, wanted) = (arp.sender_mac(), arp.sender_ip(), arp.target_ip());
    arp.set_operation(REPLY);
    arp.set_target_mac(asker_mac);
    arp.set_target_ip(asker_ip);
    arp.set_sender_mac(Mac([2, 0, 0, 0, 0, 2]));
    arp.set_sender_ip(wanted);
    let reply = [0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 2, 10, 0, 0, 2, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1];
    assert_eq!(arp.into_inner(), reply);
}

#[test]
fn refuses_what_is_short_or_for_other_networks() {
    assert_eq!(Packet::new_checked(&REQUEST_BYTES[..27]).unwrap_err(), Malformed::ArpTruncated);
    let mut infiniband = REQUEST_BYTES;
    infiniband[1] = 32;
    assert_eq!(Packet::new_checked(infiniband).unwrap_err(), Malformed::ArpBadFormat);
}
