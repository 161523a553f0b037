use super::*;
use wire::builder::{self, Builder};
use wire::parse;

const NOW: Time = Time::from_nanos(1_000_000_000);

fn whole(six: bool, length: usize) -> Vec<u8> {
    let link = Builder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let payload: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
    let ip = if six {
        link.ipv6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], [0x2001, 0xdb8, 0, 0, 0, 0, 0, 2])
    } else {
        link.ipv4([10, 0, 0, 1], [10, 0, 0, 2])
    };
    ip.udp(1000, 2000).payload(&payload).build()
}

fn give(defrag: &mut Defrag, frame: &[u8]) -> Option<Vec<u8>> {
    match defrag.take(&parse(frame), frame, Fields::ALL, NOW) {
        Taken::Whole(packet) => Some(packet),
        Taken::InPieces => None,
        Taken::Dropped => panic!("nothing was dropped"),
    }
}

/// The data of a datagram that was put together, without the IP header.
fn data(packet: &[u8]) -> Vec<u8> {
    let headers = wire::parse_ip(packet, 0, packet.len());
    assert_eq!(headers.malformed(), None);
    assert!(!headers.is_fragment());
    packet[headers.l4_offset().expect("UDP")..].to_vec()
}

fn data_of(frame: &[u8]) -> Vec<u8> {
    frame[parse(frame).l4_offset().expect("UDP")..].to_vec()
}

#[test]
fn fragments_make_the_datagram_in_whatever_order_they_come() {
    for six in [false, true] {
        let whole = whole(six, 3000);
        let mut pieces = builder::fragments(&whole, 1280, 7);
        for turn in 0..pieces.len() {
            let mut defrag = Defrag::default();
            pieces.rotate_left(1);
            let (last, before) = pieces.split_last().expect("pieces");
            for piece in before {
                assert_eq!(give(&mut defrag, piece), None, "turn {turn}");
                assert_eq!(give(&mut defrag, piece), None, "twice is as good as once");
            }
            let packet = give(&mut defrag, last).expect("it is whole");
            assert_eq!(data(&packet), data_of(&whole));
            assert_eq!((defrag.len(), defrag.bytes, defrag.reassembled), (0, 0, 1));
        }
    }
}

#[test]
fn where_fragments_overlap_the_earlier_counts_unless_the_later_begins_before_it() {
    let piece = |offset: u16, more: bool, fill: u8| {
        Builder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
            .ipv4([10, 0, 0, 1], [10, 0, 0, 2])
            .protocol(17)
            .id(9)
            .fragment(offset, more)
            .payload(&[fill; 16])
            .build()
    };
    let mut defrag = Defrag::default();
    assert_eq!(give(&mut defrag, &piece(8, true, 1)), None);
    assert_eq!(give(&mut defrag, &piece(16, false, 2)), None);
    let packet = give(&mut defrag, &piece(0, true, 3)).expect("it is whole");
    assert_eq!(packet[20..], [vec![3; 16], vec![1; 8], vec![2; 8]].concat());
}

#[test]
fn what_stays_in_pieces_goes_after_a_while_or_for_want_of_room() {
    let mut defrag = Defrag::default();
    for id in 0..3 * DATAGRAMS as u32 {
        let first = &builder::fragments(&whole(true, 3000), 1280, id)[0];
        assert_eq!(give(&mut defrag, first), None);
        assert!(defrag.len() <= DATAGRAMS && defrag.bytes <= BYTES);
    }
    assert_eq!(defrag.given_up, 2 * DATAGRAMS as u64);
    let late = &builder::fragments(&whole(false, 3000), 1280, 1)[0];
    let later = NOW + PATIENCE + Duration::from_secs(1);
    assert_eq!(defrag.take(&parse(late), late, Fields::ALL, later), Taken::InPieces);
    assert_eq!(defrag.len(), 1);
}

/// Datagrams that come to be whole leave nothing behind, also while one that does not is waited for.
#[test]
fn what_was_whole_is_not_remembered() {
    let mut defrag = Defrag::default();
    assert_eq!(give(&mut defrag, &builder::fragments(&whole(false, 3000), 1280, 1)[0]), None);
    for id in 0..10_000 {
        let pieces = builder::fragments(&whole(true, 1500), 1280, id);
        let packets = pieces.iter().filter_map(|piece| give(&mut defrag, piece)).count();
        assert_eq!(packets, 1);
    }
    assert_eq!((defrag.len(), defrag.reassembled, defrag.given_up), (1, 10_000, 0));
    assert!(defrag.order.len() <= 2 * DATAGRAMS, "{}", defrag.order.len());
}

#[test]
fn what_fragments_that_overlap_hold_is_counted_right() {
    let piece = |offset: u16, length: usize| {
        Builder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
            .ipv4([10, 0, 0, 1], [10, 0, 0, 2])
            .protocol(17)
            .id(9)
            .fragment(offset, true)
            .payload(&vec![7; length])
            .build()
    };
    let mut defrag = Defrag::default();
    for (offset, length) in [(8, 800), (58, 800), (0, 1400)] {
        assert_eq!(give(&mut defrag, &piece(offset, length)), None);
    }
    assert_eq!(defrag.bytes, 1400, "the last one has all of the others");
    assert!(defrag.forget_oldest());
    assert_eq!(defrag.bytes, 0);
}

#[test]
fn of_a_datagram_that_was_dropped_no_fragment_goes_on() {
    let pieces = builder::fragments(&whole(false, 2000), 1280, 5);
    let mut defrag = Defrag::default();
    assert_eq!(give(&mut defrag, &pieces[0]), None);
    assert!(give(&mut defrag, &pieces[1]).is_some());
    defrag.condemn(&parse(&pieces[1]), &pieces[1], NOW);
    let mut again = |piece: &[u8], now| defrag.take(&parse(piece), piece, Fields::ALL, now);
    assert_eq!(again(&pieces[1], NOW), Taken::Dropped);
    assert_eq!(again(&pieces[0], NOW + PATIENCE), Taken::Dropped);
    assert_eq!(again(&pieces[1], NOW + PATIENCE + Duration::from_secs(1)), Taken::InPieces);
    assert_eq!(defrag.given_up, 0);
}
