use super::*;

/// Label 16 with class 5 and TTL 64, then label 0xfffff at the bottom with TTL 1, then two bytes.
const STACK: [u8; 10] = [0x00, 0x01, 0x0a, 64, 0xff, 0xff, 0xf1, 1, 0x45, 0];

#[test]
fn walks_the_stack_to_its_bottom() {
    let packet = Packet::new_checked(STACK).unwrap();
    let entries: Vec<_> = packet.entries().collect();
    assert_eq!(
        entries,
        [
            Entry { label: 16, class: 5, bottom: false, ttl: 64 },
            Entry { label: 0xf_ffff, class: 0, bottom: true, ttl: 1 },
        ]
    );
    assert_eq!((packet.depth(), packet.payload()), (2, &STACK[8..]));
    for (i, entry) in entries.into_iter().enumerate() {
        assert_eq!(u32::from(entry).to_be_bytes(), STACK[4 * i..4 * i + 4]);
    }
}

#[test]
fn swapping_the_outermost_label_keeps_the_stack() {
    let mut bytes = STACK;
    let mut packet = Packet::new_checked(&mut bytes[..]).unwrap();
    packet.set_outermost(Entry { label: 17, class: 5, bottom: true, ttl: 63 });
    assert_eq!(packet.depth(), 2);
    assert_eq!(bytes[..4], [0x00, 0x01, 0x1a, 63]);
}

#[test]
fn a_stack_without_bottom_is_cut() {
    assert_eq!(Packet::new_checked(&STACK[..7]).unwrap_err(), Malformed::MplsTruncated);
    assert_eq!(stack_len(&STACK), Some(8));
    assert_eq!(stack_len(&[]), None);
}
