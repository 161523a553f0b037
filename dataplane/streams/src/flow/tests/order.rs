//! Segments in and out of order, gaps, both modes.

use super::*;

#[test]
fn on_arrival_bytes_come_out_when_they_are_next() {
    let mut rig = Rig::open(Config { mode: Mode::Arrival, ..Config::default() });
    rig.client(5, "world");
    assert_eq!(rig.out.text(Toward::Server), "");
    rig.client(0, "hello");
    assert_eq!(rig.out.text(Toward::Server), "helloworld");
    assert_eq!(rig.out.events, []);
}

#[test]
fn bytes_come_out_when_they_are_acknowledged() {
    let mut rig = Rig::open(Config::default());
    rig.client(0, "hello");
    rig.client(5, "world");
    assert_eq!(rig.out.text(Toward::Server), "");
    rig.server_acks(7);
    assert_eq!(rig.out.text(Toward::Server), "hellowo");
    rig.server_acks(10);
    assert_eq!(rig.out.text(Toward::Server), "helloworld");
    assert!(!rig.flow.holds(&rig.pool));
    assert_eq!((rig.pool.used(), rig.pool.holders()), (0, 0));
}

#[test]
fn nothing_is_copied_that_comes_in_order_and_is_not_to_be_kept() {
    let mut rig = Rig::open(Config { mode: Mode::Arrival, keep: false, ..Config::default() });
    for place in 0..10 {
        rig.client(place * 5, "hello");
    }
    assert_eq!((rig.out.to_server.len(), rig.pool.most_used()), (50, 0));
}

#[test]
fn sequence_numbers_wrap() {
    let mut rig = Rig::open(Config { mode: Mode::Arrival, ..Config::default() });
    // The server's first byte is 7 before the wrap.
    for (place, text) in [(10, "klmno"), (0, "abcde"), (5, "fghij")] {
        rig.send(&Sent::data(From::Server, place, text));
    }
    assert_eq!(rig.out.text(Toward::Client), "abcdefghijklmno");
}

#[test]
fn retransmissions_come_out_once() {
    for mode in [Mode::Arrival, Mode::Acknowledged] {
        let mut rig = Rig::open(Config { mode, ..Config::default() });
        rig.client(0, "hello");
        rig.client(0, "hello");
        rig.client(3, "lo wor");
        rig.server_acks(9);
        rig.client(0, "hello world");
        rig.server_acks(11);
        assert_eq!(rig.out.text(Toward::Server), "hello world", "{mode:?}");
        assert!(!rig.out.saw(Event::Overlap));
    }
}

#[test]
fn what_was_acknowledged_but_never_came_is_skipped() {
    let config = Config { gap_segments: 3, ..Config::default() };
    for mode in [Mode::Arrival, Mode::Acknowledged] {
        let mut rig = Rig::open(Config { mode, ..config.clone() });
        rig.client(0, "VERY");
        rig.client(8, "DATA");
        rig.server_acks(12);
        assert_eq!(rig.out.text(Toward::Server), "VERY", "{mode:?}");
        rig.server_acks(12);
        rig.server_acks(12);
        assert_eq!(rig.out.text(Toward::Server), "VERYDATA", "{mode:?}");
        assert_eq!(rig.out.gaps, [(Toward::Server, 4, 4)]);
        assert_eq!(rig.out.events, [(Toward::Server, Event::Gap)]);
    }
}

#[test]
fn what_comes_late_fills_its_gap() {
    let mut rig = Rig::open(Config { gap_segments: 3, ..Config::default() });
    rig.client(0, "VERY");
    rig.client(8, "DATA");
    rig.server_acks(12);
    rig.client(4, "GOOD");
    assert_eq!(rig.out.text(Toward::Server), "VERYGOODDATA");
    assert_eq!(rig.out.gaps, []);
}

#[test]
fn many_bytes_acknowledged_beyond_a_gap_skip_it_at_once() {
    let mut rig = Rig::open(Config { gap_bytes: 10, gap_segments: 1000, ..Config::default() });
    rig.client(4, "abcdefgh");
    rig.server_acks(9);
    assert_eq!(rig.out.text(Toward::Server), "");
    rig.server_acks(12);
    assert_eq!((rig.out.text(Toward::Server), rig.out.gaps.len()), ("abcdefgh".into(), 1));
}

#[test]
fn a_flow_that_is_over_hands_out_what_it_holds() {
    for mode in [Mode::Arrival, Mode::Acknowledged] {
        let mut rig = Rig::open(Config { mode, ..Config::default() });
        rig.client(0, "VERY");
        rig.client(8, "DATA");
        rig.finish();
        assert_eq!(rig.out.text(Toward::Server), "VERYDATA", "{mode:?}");
        assert_eq!(rig.out.gaps, [(Toward::Server, 4, 4)]);
        assert_eq!(rig.out.ends, [Toward::Server, Toward::Client]);
    }
}

#[test]
fn a_direction_that_is_never_acknowledged_comes_out_when_its_window_is_full() {
    let config = Config { midstream: true, window: 20, ..Config::default() };
    let mut rig = Rig::new(config);
    for place in 0..4 {
        rig.client(place * 10, "0123456789");
    }
    assert_eq!(rig.out.to_server.len(), 20);
    rig.finish();
    assert_eq!(rig.out.to_server.len(), 40);
}

#[test]
fn keep_alives_are_no_data() {
    for mode in [Mode::Arrival, Mode::Acknowledged] {
        let mut rig = Rig::open(Config { mode, ..Config::default() });
        rig.client(0, "hello");
        rig.server_acks(5);
        rig.client(4, "\0");
        rig.client(5, "!");
        rig.server_acks(6);
        assert_eq!(rig.out.text(Toward::Server), "hello!");
        assert_eq!(rig.out.events, [(Toward::Server, Event::KeepAlive)]);
    }
}
