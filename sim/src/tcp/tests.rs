use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;

const RTT: Picos = MILLISECOND;

fn all(sender: &mut Sender, now: Picos) -> Vec<Segment> {
    std::iter::from_fn(|| sender.send(now)).collect()
}

#[test]
fn the_window_doubles_with_every_round_trip() {
    let tcp = Tcp { window: 1_000_000, ..Tcp::default() };
    let mut sender = Sender::new(tcp, 1_000_000);
    let mut receiver = Receiver::default();
    let mut rounds = Vec::new();
    let mut now = 0;
    while !sender.is_done() {
        let segments = all(&mut sender, now);
        rounds.push(segments.len());
        now += RTT;
        for segment in segments {
            let ack = receiver.take(segment.from, segment.len);
            assert_eq!(sender.acknowledge(ack, now), None);
        }
    }
    assert_eq!(rounds, [10, 20, 40, 80, 160, 320, 55]);
    assert_eq!(sender.round_trip(), RTT);
}

#[test]
fn three_duplicates_send_the_lost_segment_again_and_halve_the_window() {
    let mut sender = Sender::new(Tcp::default(), 100_000);
    let first = all(&mut sender, 0);
    assert_eq!(first.len(), 10);
    // The first is lost; nine duplicates come.
    assert_eq!(sender.acknowledge(0, RTT), None);
    assert_eq!(all(&mut sender, RTT).len(), 1, "limited transmit");
    assert_eq!(sender.acknowledge(0, RTT), None);
    assert_eq!(all(&mut sender, RTT).len(), 1, "limited transmit");
    let again = sender.acknowledge(0, RTT).expect("fast retransmit");
    assert_eq!((again.from, again.len, again.again), (0, MSS, true));
    assert_eq!(sender.window(), 6 * MSS + 3 * MSS);
    for _ in 3..9 {
        assert_eq!(sender.acknowledge(0, RTT), None);
    }
    // All twelve are there now.
    assert_eq!(sender.acknowledge(12 * MSS, 2 * RTT), None);
    assert!(sender.window() <= 6 * MSS, "{}", sender.window());
}

#[test]
fn a_timeout_starts_again_with_one_segment_and_doubles() {
    let tcp = Tcp::default();
    let mut sender = Sender::new(tcp, 100_000);
    all(&mut sender, 0);
    assert!(!sender.expire(tcp.least_timeout - 1));
    assert!(sender.expire(tcp.least_timeout));
    let again = all(&mut sender, tcp.least_timeout);
    assert_eq!(again, [Segment { from: 0, len: MSS, again: true }]);
    assert_eq!(sender.deadline(), Some(3 * tcp.least_timeout));
}

#[test]
fn what_comes_too_early_is_kept() {
    let mut receiver = Receiver::default();
    for (from, len, ack) in [(10, 5, 0), (20, 5, 0), (14, 3, 0), (0, 10, 17), (17, 3, 25), (3, 4, 25)] {
        assert_eq!(receiver.take(from, len), ack, "{from}+{len}");
    }
}

proptest! {
    /// Whatever a network loses and delays, the flow arrives whole, and what is in flight stays within the window.
    #[test]
    fn a_flow_arrives_whole(
        size in 1u32..300_000,
        fates in proptest::collection::vec(0u8..20, 1..200),
    ) {
        let mut sender = Sender::new(Tcp::default(), size);
        let mut receiver = Receiver::default();
        let mut fates = fates.into_iter().chain(std::iter::repeat(19));
        let mut queue: VecDeque<Segment> = VecDeque::new();
        let mut now = 0;
        for _ in 0..100_000 {
            if sender.is_done() {
                break;
            }
            queue.extend(all(&mut sender, now));
            now += RTT / 10;
            match queue.pop_front() {
                Some(segment) => match fates.next() {
                    Some(0..3) => {}
                    Some(3) => queue.push_back(segment),
                    _ => {
                        let ack = receiver.take(segment.from, segment.len);
                        queue.extend(sender.acknowledge(ack, now));
                    }
                },
                None => {
                    now = now.max(sender.deadline().expect("a timer while bytes are out"));
                    prop_assert!(sender.expire(now));
                }
            }
        }
        prop_assert!(sender.is_done());
        prop_assert_eq!(receiver.next(), size);
    }

    /// Segments in any order, in any pieces, more than once.
    #[test]
    fn pieces_in_any_order_are_one_flow(
        pieces in Just((0..40u32).collect::<Vec<_>>()).prop_shuffle(),
        more in proptest::collection::vec((0u32..400, 0u32..60), 0..20),
    ) {
        let mut receiver = Receiver::default();
        for (from, len) in more {
            receiver.take(from, len.min(400 - from));
        }
        for piece in pieces {
            receiver.take(piece * 10, 10);
        }
        prop_assert_eq!(receiver.next(), 400);
    }
}
