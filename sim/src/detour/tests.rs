use super::*;
use crate::packet::{Packet, PacketKind};
use crate::quantity::MILLISECOND;
use proptest::prelude::*;

fn packet(number: u32, ident: u16) -> Packet {
    let frame = Packet::NO_FRAME;
    Packet { flow: 0, number, frame, len: 10, ident, route: 0, hop: 0, kind: PacketKind::Data, made: false }
}

fn numbers(merged: Merged) -> Vec<u32> {
    match merged {
        Merged::On(packets) => packets.iter().map(|packet| packet.number).collect(),
        Merged::Held | Merged::Copy => Vec::new(),
    }
}

#[test]
fn one_copy_of_each_goes_on_in_order() {
    let mut merge = Merge::new(100);
    assert_eq!(merge.take(packet(110, 2), 0), Merged::Held);
    assert_eq!(merge.due(MILLISECOND), Some(MILLISECOND));
    assert_eq!(numbers(merge.take(packet(100, 1), 5)), [100, 110]);
    assert_eq!(merge.take(packet(100, 1), 6), Merged::Copy);
    assert_eq!(merge.take(packet(110, 2), 6), Merged::Copy);
    assert_eq!(merge.due(MILLISECOND), None);
    // The sender's own retransmission has another identification.
    assert_eq!(numbers(merge.take(packet(100, 7), 7)), [100]);
}

#[test]
fn what_is_missing_is_waited_for_and_then_given_up() {
    let mut merge = Merge::new(0);
    assert_eq!(merge.take(packet(20, 3), 0), Merged::Held);
    assert_eq!(merge.take(packet(10, 2), 1), Merged::Held);
    assert_eq!(merge.held(), 2);
    let given: Vec<u32> = merge.give_up().iter().map(|packet| packet.number).collect();
    assert_eq!((given, merge.held(), merge.due(1)), (vec![10, 20], 0, None));
    // What comes late goes on.
    assert_eq!(numbers(merge.take(packet(0, 1), 9)), [0]);
}

proptest! {
    /// Two copies of everything in any order: each goes on once, none is lost, and in order as long as nothing is given up.
    #[test]
    fn a_merge_point_loses_nothing(
        order in Just((0..60u32).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let mut merge = Merge::new(0);
        let mut on = Vec::new();
        for n in order {
            // Numbers 0 to 29 twice.
            on.extend(numbers(merge.take(packet(n % 30 * 10, (n % 30) as u16), 0)));
        }
        prop_assert_eq!(merge.held(), 0);
        prop_assert_eq!(on, (0..30).map(|n| n * 10).collect::<Vec<u32>>());
    }
}
