use super::*;

#[test]
fn the_addresses_change_places_and_keep_their_order() {
    let mut addresses = [1, 2, 3, 4, 5, 6, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6];
    swap(&mut addresses);
    assert_eq!(addresses, [0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn every_byte_moves_by_six_places() {
    for i in 0..12 {
        let mut addresses = [0u8; 12];
        addresses[i] = 0xff;
        swap(&mut addresses);
        assert_eq!(addresses.iter().position(|&byte| byte == 0xff), Some((i + 6) % 12));
    }
}
