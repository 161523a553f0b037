//! What is done to hide bytes from an inspector: the rows of `docs/evasion.md`. In each, the stream comes out as the
//! receiver reads it.

use super::*;
use crate::{Policy, Urgent};
use wire::tcp::flags::URG;

/// Sends what `segments` says in both modes, acknowledged at the end, and demands that the server's stream is `EVIL`.
fn evil(config: &Config, case: &str, segments: impl Fn(&mut Rig)) -> Vec<Event> {
    let mut events = Vec::new();
    for mode in [Mode::Arrival, Mode::Acknowledged] {
        let mut rig = Rig::open(Config { mode, ..config.clone() });
        segments(&mut rig);
        rig.server_acks(4);
        assert_eq!(rig.out.text(Toward::Server), "EVIL", "{case}, {mode:?}");
        events = rig.out.events.iter().map(|&(_, event)| event).collect();
    }
    events
}

fn data(place: i64, text: &str) -> Sent {
    Sent::data(From::Client, place, text)
}

#[test]
fn tiny_segments() {
    evil(&Config::default(), "one byte each", |rig| {
        for (place, byte) in ["E", "V", "I", "L"].into_iter().enumerate() {
            rig.client(place as i64, byte);
        }
    });
    let few = Config { segments: 2, ..Config::default() };
    evil(&few, "more than are held one by one", |rig| {
        for (place, byte) in ["E", "V", "I", "L"].into_iter().enumerate() {
            rig.client(place as i64, byte);
        }
    });
}

#[test]
fn out_of_order() {
    evil(&Config::default(), "backwards", |rig| {
        for (place, byte) in ["E", "V", "I", "L"].into_iter().enumerate().rev() {
            rig.client(place as i64, byte);
        }
    });
}

#[test]
fn overlaps_by_the_receivers_policy() {
    // A decoy first, then the real byte, to a receiver that takes the last; and the reverse.
    let last = Config { policy: Policy::Last, ..Config::default() };
    let events = evil(&last, "last", |rig| {
        rig.client(1, "xxx");
        rig.client(1, "VIL");
        rig.client(0, "E");
    });
    assert_eq!(events, [Event::Overlap]);
    let first = Config { policy: Policy::First, ..Config::default() };
    evil(&first, "first", |rig| {
        rig.client(1, "VIL");
        rig.client(1, "xxx");
        rig.client(0, "E");
    });
}

#[test]
fn decoys_with_a_low_ttl() {
    let low = |place, text| Sent { ttl: 3, ..data(place, text) };
    let events = evil(&Config::default(), "before", |rig| {
        rig.send(&low(0, "good"));
        rig.client(0, "EVIL");
    });
    assert!(events.contains(&Event::LowTtl));
    evil(&Config::default(), "after", |rig| {
        rig.client(0, "EVIL");
        rig.send(&low(0, "good"));
    });
    evil(&Config::default(), "a reset", |rig| {
        rig.client(0, "EV");
        rig.send(&low(2, "").flags(RST_ACK));
        rig.client(2, "IL");
    });
    evil(&Config::default(), "an end", |rig| {
        rig.client(0, "EV");
        rig.send(&low(2, "").flags(FIN_ACK));
        rig.client(2, "IL");
    });
    // A route that became longer: what is acknowledged was taken.
    evil(&Config::default(), "no decoy", |rig| {
        rig.send(&low(0, "EVIL"));
    });
}

#[test]
fn decoys_beyond_the_window() {
    let events = evil(&Config::default(), "window", |rig| {
        rig.send(&Sent { window: 2, ..Sent::ack(From::Server, 0, 0) });
        rig.flow.halves[0].right = 2;
        rig.client(2, "xx");
        rig.client(0, "EV");
        rig.send(&Sent { window: 100, ..Sent::ack(From::Server, 0, 2) });
        rig.client(2, "IL");
    });
    assert!(events.contains(&Event::OutOfWindow));
}

#[test]
fn decoys_with_old_timestamps() {
    let at = |time, place, text| Sent { timestamp: Some(time), ..data(place, text) };
    let events = evil(&Config::default(), "PAWS", |rig| {
        rig.send(&at(1000, 0, "E"));
        rig.server_acks(1);
        rig.send(&at(1001, 1, "V"));
        rig.server_acks(2);
        rig.send(&at(500, 2, "xx"));
        rig.send(&at(1002, 2, "IL"));
    });
    assert!(events.contains(&Event::OldTimestamp));
}

#[test]
fn decoys_without_or_with_a_bad_acknowledgement() {
    let events = evil(&Config::default(), "no ACK", |rig| {
        rig.send(&data(0, "good").flags(0));
        rig.client(0, "EVIL");
    });
    assert!(events.contains(&Event::BadAck));
    evil(&Config::default(), "an ACK of what was never sent", |rig| {
        rig.send(&Sent { ack: 1_000_000, ..data(0, "good") });
        rig.client(0, "EVIL");
    });
    evil(&Config::default(), "an ACK that is much too old", |rig| {
        rig.send(&Sent { ack: -1_000_000, ..data(0, "good") });
        rig.client(0, "EVIL");
    });
}

#[test]
fn decoy_handshakes() {
    evil(&Config::default(), "a SYN in the connection", |rig| {
        let real = rig.isns[0];
        rig.isns[0] = 4242;
        rig.send(&data(-1, "good").flags(SYN));
        rig.isns[0] = real;
        rig.client(0, "EVIL");
    });
    evil(&Config::default(), "SYN and FIN together", |rig| {
        rig.send(&data(-1, "").flags(SYN | FIN));
        rig.client(0, "EVIL");
    });
}

#[test]
fn decoy_resets_and_ends() {
    evil(&Config::default(), "a RST that is not heeded", |rig| {
        rig.client(0, "EV");
        rig.send(&data(3, "").flags(RST));
        rig.client(2, "IL");
    });
    evil(&Config::default(), "a RST that looks right", |rig| {
        rig.client(0, "EV");
        rig.send(&data(2, "").flags(RST));
        rig.client(2, "IL");
    });
    evil(&Config::default(), "a RST that looks right, and a SYN", |rig| {
        rig.client(0, "EV");
        rig.send(&data(2, "").flags(RST));
        let real = std::mem::replace(&mut rig.isns[0], 4242);
        rig.send(&data(-1, "").flags(SYN));
        rig.isns[0] = real;
        rig.client(2, "IL");
    });
    evil(&Config::default(), "a FIN that did not arrive", |rig| {
        rig.client(0, "EV");
        rig.send(&data(2, "").flags(FIN_ACK));
        rig.client(2, "IL");
    });
}

#[test]
fn urgent_bytes() {
    let urgent = |pointer| Sent { urgent: pointer, ..data(0, "EVxIL").flags(ACK | URG) };
    for mode in [Mode::Arrival, Mode::Acknowledged] {
        let mut rig = Rig::open(Config { mode, ..Config::default() });
        rig.send(&urgent(3));
        rig.server_acks(5);
        assert_eq!(rig.out.text(Toward::Server), "EVIL", "{mode:?}");
        assert_eq!(rig.out.events, [(Toward::Server, Event::Urgent)]);
        let mut rig = Rig::open(Config { mode, urgent: Urgent::Inline, ..Config::default() });
        rig.send(&urgent(3));
        rig.server_acks(5);
        assert_eq!(rig.out.text(Toward::Server), "EVxIL", "{mode:?}");
        // The pointer comes before its byte.
        let mut rig = Rig::open(Config { mode, ..Config::default() });
        rig.send(&Sent { urgent: 3, ..data(0, "EV").flags(ACK | URG) });
        rig.client(2, "xIL");
        rig.server_acks(5);
        assert_eq!(rig.out.text(Toward::Server), "EVIL", "{mode:?}");
    }
}

#[test]
fn a_pointer_of_nothing_marks_the_first_byte_for_linux_only() {
    for (policy, stream) in [(Policy::Linux, "VIL"), (Policy::Bsd, "EVIL")] {
        let mut rig = Rig::open(Config { mode: Mode::Arrival, policy, ..Config::default() });
        rig.send(&data(0, "EVIL").flags(ACK | URG));
        assert_eq!(rig.out.text(Toward::Server), stream);
    }
}

#[test]
fn urgent_bytes_without_end_are_bounded() {
    let mut rig = Rig::open(Config::default());
    for pointer in 1..=6 {
        rig.send(&Sent { urgent: pointer, ..data(0, "abcdef").flags(ACK | URG) });
    }
    rig.server_acks(6);
    assert_eq!(rig.out.text(Toward::Server), "ef");
    assert!(rig.out.saw(Event::ManyUrgent));
}
