use super::*;

fn swapped(frame: &[u8]) -> Vec<u8> {
    let mut bytes = frame.to_vec();
    swap(&mut bytes);
    bytes
}

#[test]
fn the_addresses_change_places_and_keep_their_order_in_frames_of_every_length() {
    let start = [1, 2, 3, 4, 5, 6, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6];
    for length in 12..40 {
        let mut frame = start.to_vec();
        frame.extend((12..length).map(|i| i as u8));
        let mut wanted = frame.clone();
        wanted[..12].rotate_left(6);
        assert_eq!(swapped(&frame), wanted, "{length} bytes");
    }
}

#[test]
fn every_byte_moves_by_six_places() {
    for i in 0..12 {
        let mut frame = [0u8; 64];
        frame[i] = 0xff;
        assert_eq!(swapped(&frame).iter().position(|&byte| byte == 0xff), Some((i + 6) % 12));
    }
}

#[test]
fn a_frame_without_two_addresses_stays_as_it_is() {
    assert_eq!(swapped(&[7; 11]), [7; 11]);
}
