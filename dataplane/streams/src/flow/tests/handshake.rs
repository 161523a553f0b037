//! How connections begin.

use super::*;
use crate::State;

fn midstream() -> Config {
    Config { midstream: true, mode: Mode::Arrival, ..Config::default() }
}

#[test]
fn three_segments_establish() {
    let mut rig = Rig::arrival();
    let syn = rig.send(&Sent::data(From::Client, -1, "").flags(SYN));
    assert_eq!((syn.toward, syn.state, syn.established()), (Toward::Server, State::SynSent, false));
    let answer = rig.send(&Sent::data(From::Server, -1, "").flags(SYN | ACK));
    assert_eq!((answer.toward, answer.state), (Toward::Client, State::SynReceived));
    let ack = rig.client(0, "");
    assert!(ack.established() && ack.taken);
    assert!(rig.client(0, "hello").streamed);
    assert_eq!(rig.out.text(Toward::Server), "hello");
    assert_eq!(rig.out.events, []);
}

#[test]
fn data_without_a_handshake_is_no_stream() {
    let mut rig = Rig::arrival();
    let outcome = rig.client(0, "hello");
    assert_eq!((outcome.taken, outcome.streamed, outcome.state), (false, false, State::None));
    assert_eq!(rig.out, Out::default());
}

#[test]
fn a_connection_is_picked_up_in_its_middle_if_so_configured() {
    let mut rig = Rig::new(midstream());
    assert!(rig.send(&Sent { ack: 50, ..Sent::data(From::Client, 100, "hello ") }).established());
    rig.send(&Sent { ack: 106, ..Sent::data(From::Server, 50, "world") });
    rig.client(106, "again");
    assert_eq!(
        (rig.out.text(Toward::Server), rig.out.text(Toward::Client)),
        ("hello again".into(), "world".into())
    );
    assert_eq!(rig.out.events[0], (Toward::Server, Event::Midstream));
}

#[test]
fn a_connection_picked_up_at_syn_ack_has_its_receiver_as_client() {
    let mut rig = Rig::new(midstream());
    let outcome = rig.send(&Sent::data(From::Server, -1, "").flags(SYN | ACK));
    assert_eq!(outcome.toward, Toward::Client);
    assert!(rig.client(0, "hello").established());
    assert_eq!(rig.out.text(Toward::Server), "hello");
}

#[test]
fn who_is_client_can_be_corrected() {
    let mut rig = Rig::new(midstream());
    assert_eq!(rig.send(&Sent::data(From::Server, 0, "HTTP/1.1 200 OK")).toward, Toward::Server);
    rig.flow.turn();
    assert_eq!(rig.send(&Sent::data(From::Server, 15, "\r\n")).toward, Toward::Client);
}

#[test]
fn both_ends_may_begin() {
    // Four-way split handshake: SYN, SYN, SYN with ACK from the client, ACK from the server.
    let mut rig = Rig::arrival();
    rig.send(&Sent::data(From::Client, -1, "").flags(SYN));
    rig.send(&Sent::data(From::Server, -1, "").flags(SYN));
    rig.send(&Sent::data(From::Client, -1, "").flags(SYN | ACK));
    assert!(rig.send(&Sent::data(From::Server, 0, "")).established());
    let data = rig.client(0, "EVIL");
    assert_eq!((data.toward, data.streamed), (Toward::Server, true));
    assert_eq!(rig.out.text(Toward::Server), "EVIL");
    assert_eq!(rig.out.events, [(Toward::Client, Event::SplitHandshake)]);
    // Simultaneous open: both answer with SYN and ACK.
    let mut rig = Rig::arrival();
    for (from, flags) in
        [(From::Client, SYN), (From::Server, SYN), (From::Client, SYN | ACK), (From::Server, SYN | ACK)]
    {
        rig.send(&Sent::data(from, -1, "").flags(flags));
    }
    assert!(rig.client(0, "hello").established());
    assert_eq!(rig.out.text(Toward::Server), "hello");
}

#[test]
fn the_syn_that_is_answered_counts() {
    for answered in [1000, 7000] {
        let mut rig = Rig::arrival();
        for isn in [1000, 7000] {
            rig.isns[0] = isn;
            rig.send(&Sent::data(From::Client, -1, "").flags(SYN));
        }
        assert!(rig.out.saw(Event::OtherSyn));
        rig.isns[0] = answered;
        rig.send(&Sent::data(From::Server, -1, "").flags(SYN | ACK));
        rig.client(0, "hello");
        assert_eq!(rig.out.text(Toward::Server), "hello", "answered: {answered}");
    }
}

#[test]
fn the_answer_that_is_acknowledged_counts() {
    for acknowledged in [3000, 9000] {
        let mut rig = Rig::arrival();
        rig.send(&Sent::data(From::Client, -1, "").flags(SYN));
        for isn in [3000, 9000] {
            rig.isns[1] = isn;
            rig.send(&Sent::data(From::Server, -1, "").flags(SYN | ACK));
        }
        rig.isns[1] = acknowledged;
        assert!(rig.client(0, "hello").established());
        rig.send(&Sent::data(From::Server, 0, "world"));
        assert_eq!(rig.out.text(Toward::Client), "world", "acknowledged: {acknowledged}");
    }
}

#[test]
fn an_answer_to_another_syn_is_ignored() {
    let mut rig = Rig::arrival();
    rig.send(&Sent::data(From::Client, -1, "").flags(SYN));
    let outcome = rig.send(&Sent { ack: 5, ..Sent::data(From::Server, -1, "").flags(SYN | ACK) });
    assert!(!outcome.taken);
    assert_eq!(rig.out.events, [(Toward::Client, Event::BadSynAck)]);
    assert!(!rig.client(0, "hello").established());
}

#[test]
fn fast_open_data_counts_when_it_is_acknowledged() {
    let mut rig = Rig::arrival();
    let outcome = rig.send(&Sent::data(From::Client, -1, "GET").flags(SYN));
    assert!(outcome.streamed);
    assert_eq!(rig.out.text(Toward::Server), "");
    rig.send(&Sent { ack: 3, ..Sent::data(From::Server, -1, "").flags(SYN | ACK) });
    assert_eq!(rig.out.text(Toward::Server), "GET");
    // The server answers before the client's acknowledgement.
    rig.send(&Sent { ack: 3, ..Sent::data(From::Server, 0, "Hello!") });
    rig.send(&Sent { ack: 6, ..Sent::data(From::Client, 3, " / ") });
    assert_eq!(
        (rig.out.text(Toward::Server), rig.out.text(Toward::Client)),
        ("GET / ".into(), "Hello!".into())
    );
    assert_eq!(rig.out.events, [(Toward::Server, Event::SynData)]);
}

#[test]
fn syn_data_that_is_not_acknowledged_gives_way() {
    for mode in [Mode::Arrival, Mode::Acknowledged] {
        let mut rig = Rig::new(Config { mode, ..Config::default() });
        rig.send(&Sent::data(From::Client, -1, "decoy").flags(SYN));
        rig.send(&Sent::data(From::Server, -1, "").flags(SYN | ACK));
        rig.client(0, "");
        rig.client(0, "EVIL");
        rig.server_acks(4);
        assert_eq!(rig.out.text(Toward::Server), "EVIL", "{mode:?}");
    }
}

#[test]
fn a_syn_in_an_open_connection_changes_nothing_until_it_is_answered() {
    let mut rig = Rig::open(midstream());
    rig.client(0, "one ");
    let real = rig.isns[0];
    rig.isns[0] = 77;
    assert!(!rig.send(&Sent::data(From::Client, -1, "decoy").flags(SYN)).taken);
    rig.isns[0] = real;
    rig.client(4, "two");
    assert_eq!(rig.out.text(Toward::Server), "one two");
    assert_eq!(rig.out.events, [(Toward::Server, Event::UnexpectedSyn)]);
    // The end of the old connection was not seen: the server's answer shows that there is a new one.
    rig.isns = [77, 88];
    rig.send(&Sent::data(From::Server, -1, "").flags(SYN | ACK));
    rig.client(0, "three");
    assert_eq!(rig.out.text(Toward::Server), "three");
}

#[test]
fn a_missing_answer_is_made_up_for_midstream() {
    let mut rig = Rig::new(midstream());
    rig.send(&Sent::data(From::Client, -1, "").flags(SYN));
    assert!(rig.client(0, "hello").established());
    assert_eq!(rig.out.text(Toward::Server), "hello");
    let mut rig = Rig::arrival();
    rig.send(&Sent::data(From::Client, -1, "").flags(SYN));
    assert!(!rig.client(0, "hello").established());
}

#[test]
fn a_refused_syn_closes() {
    let mut rig = Rig::arrival();
    rig.send(&Sent::data(From::Client, -1, "").flags(SYN));
    assert!(!rig.send(&Sent { ack: 3, ..Sent::data(From::Server, -1, "").flags(RST_ACK) }).taken);
    let outcome = rig.send(&Sent::data(From::Server, -1, "").flags(RST_ACK));
    assert_eq!((outcome.taken, outcome.state), (true, State::Closed));
}
