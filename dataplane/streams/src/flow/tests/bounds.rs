//! Memory: per direction, and over all flows.

use super::*;
use crate::pool::CHUNK;

#[test]
fn a_segment_too_far_ahead_is_not_held() {
    let mut rig = Rig::open(Config { mode: Mode::Arrival, window: 100, ..Config::default() });
    assert!(rig.client(90, "0123456789").streamed);
    assert!(!rig.client(91, "0123456789").streamed);
    assert_eq!(rig.out.events, [(Toward::Server, Event::BeyondWindow)]);
}

#[test]
fn no_more_segments_are_held_than_configured() {
    let mut rig = Rig::open(Config { mode: Mode::Arrival, segments: 3, ..Config::default() });
    let streamed = [10, 20, 30, 40].map(|place| rig.client(place, "x").streamed);
    assert_eq!(streamed, [true, true, true, false]);
    assert_eq!(rig.out.events, [(Toward::Server, Event::NoRoom)]);
    assert!(rig.client(0, "0123456789").streamed, "what is next needs no room");
}

#[test]
fn the_direction_that_least_recently_got_bytes_gives_way() {
    let config = Config { gap_segments: 1, ..Config::default() };
    let mut pool = Pool::new(2 * CHUNK);
    let mut flows: Vec<(Flow, Out)> = (0..3).map(|_| (Flow::new(), Out::default())).collect();
    let isns = [100, 200];
    for (flow, out) in &mut flows {
        for sent in [
            Sent::data(From::Client, -1, "").flags(SYN),
            Sent::data(From::Server, -1, "").flags(SYN | ACK),
            Sent::data(From::Client, 0, "held"),
        ] {
            send(flow, &config, &mut pool, isns, &sent, out);
        }
    }
    assert_eq!((pool.used(), pool.evictions(), pool.holders()), (pool.capacity(), 1, 2));
    for (flow, out) in &mut flows {
        send(flow, &config, &mut pool, isns, &Sent::ack(From::Server, 0, 4), out);
    }
    let texts: Vec<_> = flows.iter().map(|(_, out)| out.text(Toward::Server)).collect();
    assert_eq!(texts, ["", "held", "held"]);
    let events: Vec<_> = flows[0].1.events.iter().map(|&(_, event)| event).collect();
    assert_eq!(events, [Event::Evicted, Event::Gap]);
    assert_eq!(flows[0].1.gaps, [(Toward::Server, 0, 4)]);
    assert_eq!(pool.used(), 0);
}

#[test]
fn what_no_eviction_makes_room_for_is_not_held() {
    let mut rig = Rig::open(Config { keep: false, ..Config::default() });
    rig.pool = Pool::new(CHUNK);
    assert!(rig.client(0, "fits").streamed);
    assert!(!rig.send(&Sent::data(From::Client, 4, vec![b'x'; CHUNK])).streamed);
    assert_eq!(rig.out.events, [(Toward::Server, Event::NoRoom)]);
    rig.server_acks(4);
    assert_eq!(rig.out.text(Toward::Server), "fits");
}

#[test]
fn bytes_that_are_kept_for_comparison_give_way_without_harm() {
    let mut rig = Rig::open(Config { mode: Mode::Arrival, ..Config::default() });
    rig.pool = Pool::new(CHUNK);
    for place in 0..8 {
        rig.send(&Sent::data(From::Client, place * 1000, vec![b'x'; 1000]));
    }
    assert_eq!((rig.out.to_server.len(), rig.out.events.len()), (8000, 0));
}

#[test]
fn bytes_are_kept_no_longer_than_a_window_if_nothing_is_acknowledged() {
    let mut rig = Rig::new(Config {
        mode: Mode::Arrival,
        midstream: true,
        window: 4096,
        depth: 0,
        ..Config::default()
    });
    for place in 0..100 {
        rig.send(&Sent::data(From::Client, place * 1000, vec![b'x'; 1000]));
    }
    assert_eq!(rig.out.to_server.len(), 100_000);
    assert!(rig.pool.most_used() <= 4096 + 2 * CHUNK, "{} bytes", rig.pool.most_used());
}

#[test]
fn what_is_next_may_be_longer_than_the_window() {
    let mut rig = Rig::open(Config { mode: Mode::Arrival, window: 3, ..Config::default() });
    assert!(rig.client(0, "hello").streamed);
    assert!(!rig.client(6, "world").streamed);
}

#[test]
fn no_more_is_handed_out_than_wanted() {
    for mode in [Mode::Arrival, Mode::Acknowledged] {
        let mut rig = Rig::open(Config { mode, depth: 6, ..Config::default() });
        rig.client(0, "hello");
        rig.client(5, "world");
        rig.server_acks(10);
        assert!(!rig.client(10, "more").streamed);
        rig.server_acks(14);
        assert_eq!(rig.out.text(Toward::Server), "hellow", "{mode:?}");
        assert_eq!(rig.out.events, [(Toward::Server, Event::Depth)]);
        assert_eq!(rig.pool.used(), 0);
        // It still ends where it ends.
        rig.send(&Sent::data(From::Client, 14, "").flags(FIN_ACK));
        rig.server_acks(15);
        assert_eq!(rig.out.ends, [Toward::Server]);
    }
}

#[test]
fn a_flow_that_is_released_holds_nothing() {
    let mut rig = Rig::open(Config::default());
    rig.client(10, "held");
    assert!(rig.flow.holds(&rig.pool));
    rig.flow.release(&mut rig.pool);
    assert_eq!((rig.pool.used(), rig.pool.holders(), rig.flow.holds(&rig.pool)), (0, 0, false));
}

#[test]
fn a_flow_is_small() {
    assert!(size_of::<Flow>() <= 512, "{}", size_of::<Flow>());
}
