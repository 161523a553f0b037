//! How connections end.

use super::*;
use crate::{Policy, State};

#[test]
fn both_directions_end_when_their_fins_are_acknowledged() {
    for mode in [Mode::Arrival, Mode::Acknowledged] {
        let mut rig = Rig::open(Config { mode, ..Config::default() });
        rig.send(&Sent::data(From::Client, 0, "bye").flags(FIN_ACK));
        assert_eq!(rig.flow.state(), State::Closing);
        rig.server_acks(4);
        assert_eq!(
            (rig.out.text(Toward::Server).as_str(), &rig.out.ends[..]),
            ("bye", &[Toward::Server][..])
        );
        rig.send(&Sent { ack: 4, ..Sent::data(From::Server, 0, "bye") });
        rig.send(&Sent { ack: 4, ..Sent::data(From::Server, 3, "").flags(FIN_ACK) });
        rig.send(&Sent::ack(From::Client, 4, 4));
        assert_eq!(rig.out.ends, [Toward::Server, Toward::Client]);
        assert_eq!((rig.flow.state(), rig.out.text(Toward::Client)), (State::Closed, "bye".into()));
        assert_eq!(rig.out.events, []);
        rig.finish();
        assert_eq!(rig.out.ends.len(), 2);
    }
}

#[test]
fn a_direction_ends_only_when_all_of_it_came_out() {
    let mut rig = Rig::open(Config { gap_segments: 2, ..Config::default() });
    rig.send(&Sent::data(From::Client, 4, "data").flags(FIN_ACK));
    rig.server_acks(9);
    assert_eq!(rig.out.ends, []);
    rig.server_acks(9);
    assert_eq!(rig.out.ends, [Toward::Server]);
    assert_eq!((rig.out.text(Toward::Server), rig.out.gaps.len()), ("data".into(), 1));
}

#[test]
fn a_new_connection_may_follow_on_the_same_ports() {
    // The server's number may be the same again.
    for server in [60, 0xffff_fff8] {
        let mut rig = Rig::open(Config { mode: Mode::Arrival, ..Config::default() });
        rig.send(&Sent::data(From::Client, 0, "one").flags(RST_ACK));
        assert!(!rig.flow.is_over(), "the server may not have heeded it");
        rig.client(0, "one");
        rig.isns = [50, server];
        rig.handshake();
        assert_eq!(rig.out, Out::default());
        rig.client(0, "two");
        assert_eq!(rig.out.text(Toward::Server), "two");
    }
}

#[test]
fn a_refused_connection_may_be_tried_again_with_the_same_number() {
    let mut rig = Rig::arrival();
    rig.send(&Sent::data(From::Client, -1, "").flags(SYN));
    rig.send(&Sent::data(From::Server, -1, "").flags(RST_ACK));
    rig.handshake();
    rig.client(0, "two");
    assert_eq!(rig.out.text(Toward::Server), "two");
}

#[test]
fn a_reset_counts_where_the_receiver_expects_the_next_byte() {
    let mut rig = Rig::open(Config::default());
    rig.client(0, "hello");
    for place in [-1, 3, 6, 70_000] {
        assert!(!rig.send(&Sent::data(From::Client, place, "").flags(RST)).taken, "{place}");
    }
    assert_eq!(rig.out.events, [(Toward::Server, Event::BadReset); 4]);
    assert_eq!(rig.flow.state(), State::Established);
    assert!(rig.send(&Sent::data(From::Client, 5, "").flags(RST)).taken);
    assert_eq!(rig.flow.state(), State::Closed);
}

#[test]
fn some_systems_take_a_reset_anywhere_in_their_window() {
    for (policy, taken) in
        [(Policy::Bsd, false), (Policy::First, false), (Policy::Linux, true), (Policy::Solaris, true)]
    {
        let mut rig = Rig::open(Config { policy, ..Config::default() });
        rig.client(0, "hello");
        rig.server_acks(5);
        assert_eq!(rig.send(&Sent::data(From::Client, 100, "").flags(RST)).taken, taken, "{policy:?}");
    }
}

#[test]
fn data_with_a_reset_is_no_stream_but_its_acknowledgement_counts() {
    let mut rig = Rig::open(Config::default());
    rig.send(&Sent::data(From::Server, 0, "Please Let Me In!"));
    let reset = rig.send(&Sent { ack: 17, ..Sent::data(From::Client, 0, "Access Denied").flags(RST_ACK) });
    assert_eq!((reset.taken, reset.streamed, reset.state), (true, false, State::Closed));
    rig.finish();
    assert_eq!(
        (rig.out.text(Toward::Client), rig.out.text(Toward::Server)),
        ("Please Let Me In!".into(), "".into())
    );
    assert_eq!(rig.out.events, [(Toward::Server, Event::ResetData)]);
}

#[test]
fn data_after_a_reset_is_still_looked_at() {
    let mut rig = Rig::open(Config { mode: Mode::Arrival, ..Config::default() });
    rig.send(&Sent::data(From::Client, 0, "").flags(RST));
    assert!(rig.client(0, "EVIL").streamed);
    assert_eq!(rig.out.text(Toward::Server), "EVIL");
    assert_eq!(rig.out.events, [(Toward::Server, Event::DataAfterReset)]);
}

#[test]
fn a_fin_that_was_not_acknowledged_is_void_when_data_goes_on() {
    for mode in [Mode::Arrival, Mode::Acknowledged] {
        let mut rig = Rig::open(Config { mode, ..Config::default() });
        rig.send(&Sent::data(From::Client, 0, "EV").flags(FIN_ACK));
        rig.client(2, "IL");
        rig.server_acks(4);
        assert_eq!(rig.out.text(Toward::Server), "EVIL", "{mode:?}");
        assert_eq!(rig.out.events, [(Toward::Server, Event::DataAfterFin)]);
    }
}

#[test]
fn nothing_follows_an_acknowledged_fin() {
    let mut rig = Rig::open(Config { mode: Mode::Arrival, ..Config::default() });
    rig.send(&Sent::data(From::Client, 0, "end").flags(FIN_ACK));
    rig.server_acks(4);
    assert!(!rig.client(3, "more").streamed);
    assert_eq!(rig.out.text(Toward::Server), "end");
    assert_eq!(rig.out.events, [(Toward::Server, Event::DataAfterFin)]);
}

#[test]
fn a_fin_before_what_was_sent_is_ignored() {
    let mut rig = Rig::open(Config { mode: Mode::Arrival, ..Config::default() });
    rig.client(0, "hello");
    rig.send(&Sent::data(From::Client, 3, "").flags(FIN_ACK));
    assert_eq!(
        (rig.out.events.as_slice(), rig.flow.state()),
        (&[(Toward::Server, Event::OtherFin)][..], State::Established)
    );
}
