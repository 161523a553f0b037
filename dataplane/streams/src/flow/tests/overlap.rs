//! Which of two overlapping segments counts.

use super::*;
use crate::Policy;

const POLICIES: [Policy; 6] =
    [Policy::First, Policy::Last, Policy::Bsd, Policy::Linux, Policy::OldLinux, Policy::Solaris];

/// What the later segment does; the segments; the streams of [`POLICIES`].
type Case = (&'static str, &'static [(i64, &'static str)], [&'static str; 6]);

/// Segments `(place, bytes)` and the stream that each policy makes of them, in the order of [`POLICIES`]. After the cases
/// of Novak and Sturges, *Target-Based TCP Stream Reassembly*, section 4: where the later segment (`b`) begins, and where
/// it ends, relative to the earlier one (`a`).
const CASES: [Case; 11] = [
    (
        "begins before, ends within",
        &[(4, "aaaa"), (2, "bbbb")],
        ["bbaaaa", "bbbbaa", "bbbbaa", "bbbbaa", "bbbbaa", "bbaaaa"],
    ),
    (
        "begins before, ends with",
        &[(4, "aaaa"), (2, "bbbbbb")],
        ["bbaaaa", "bbbbbb", "bbbbbb", "bbbbbb", "bbbbbb", "bbbbbb"],
    ),
    (
        "begins before, ends after",
        &[(4, "aaaa"), (2, "bbbbbbbb")],
        ["bbaaaabb", "bbbbbbbb", "bbbbbbbb", "bbbbbbbb", "bbbbbbbb", "bbbbbbbb"],
    ),
    ("begins with, ends within", &[(2, "aaaa"), (2, "bb")], ["aaaa", "bbaa", "aaaa", "aaaa", "aaaa", "aaaa"]),
    ("the same place", &[(2, "aaaa"), (2, "bbbb")], ["aaaa", "bbbb", "aaaa", "aaaa", "bbbb", "bbbb"]),
    (
        "begins with, ends after",
        &[(2, "aaaa"), (2, "bbbbbb")],
        ["aaaabb", "bbbbbb", "aaaabb", "bbbbbb", "bbbbbb", "bbbbbb"],
    ),
    (
        "begins within, ends within",
        &[(2, "aaaaaa"), (4, "bb")],
        ["aaaaaa", "aabbaa", "aaaaaa", "aaaaaa", "aaaaaa", "aaaaaa"],
    ),
    (
        "begins within, ends with",
        &[(2, "aaaaaa"), (4, "bbbb")],
        ["aaaaaa", "aabbbb", "aaaaaa", "aaaaaa", "aaaaaa", "aaaaaa"],
    ),
    (
        "begins within, ends after",
        &[(2, "aaaa"), (4, "bbbb")],
        ["aaaabb", "aabbbb", "aaaabb", "aaaabb", "aaaabb", "aabbbb"],
    ),
    (
        "over two",
        &[(2, "aa"), (6, "cc"), (2, "bbbbbb")],
        ["aabbcc", "bbbbbb", "aabbbb", "bbbbbb", "bbbbbb", "bbbbbb"],
    ),
    (
        "between two",
        &[(2, "aaaa"), (8, "cc"), (4, "bbbbb")],
        ["aaaabbcc", "aabbbbbc", "aaaabbbc", "aaaabbbc", "aaaabbbc", "aabbbbcc"],
    ),
];

#[test]
fn each_policy_chooses_as_its_systems_do() {
    for (name, segments, streams) in CASES {
        for (policy, expected) in POLICIES.into_iter().zip(streams) {
            for mode in [Mode::Arrival, Mode::Acknowledged] {
                let mut rig = Rig::open(Config { mode, policy, ..Config::default() });
                for &(place, text) in segments {
                    rig.client(place, text);
                }
                assert_eq!(rig.out.text(Toward::Server), "");
                assert!(rig.out.saw(Event::Overlap));
                rig.client(0, "..");
                rig.server_acks(2 + expected.len() as i64);
                assert_eq!(
                    rig.out.text(Toward::Server),
                    format!("..{expected}"),
                    "{name}, {policy:?}, {mode:?}"
                );
                assert!(!rig.flow.holds(&rig.pool));
            }
        }
    }
}

#[test]
fn equal_bytes_are_no_oddity() {
    for policy in POLICIES {
        let mut rig = Rig::open(Config { policy, ..Config::default() });
        for (place, text) in [(2, "cdef"), (4, "efgh"), (0, "abcd"), (0, "abcdefgh")] {
            rig.client(place, text);
        }
        rig.server_acks(8);
        assert_eq!(rig.out.text(Toward::Server), "abcdefgh");
        assert_eq!(rig.out.events, []);
    }
}

#[test]
fn bytes_that_were_handed_out_stay() {
    for policy in POLICIES {
        let mut rig = Rig::open(Config { mode: Mode::Arrival, policy, ..Config::default() });
        rig.client(0, "good");
        rig.client(0, "evil more");
        assert_eq!(rig.out.text(Toward::Server), "good more");
        assert_eq!(rig.out.events, [(Toward::Server, Event::Overlap)], "{policy:?}");
    }
}

#[test]
fn a_retransmission_is_compared_until_it_is_acknowledged() {
    let mut rig = Rig::open(Config { mode: Mode::Arrival, ..Config::default() });
    rig.client(0, "good");
    rig.client(0, "gxxd");
    assert_eq!(rig.out.events, [(Toward::Server, Event::Retransmission), (Toward::Server, Event::Overlap)]);
    rig.server_acks(4);
    assert!(!rig.flow.holds(&rig.pool));
    rig.client(0, "gxxd");
    assert_eq!(rig.out.events.len(), 3);
}

#[test]
fn the_part_that_is_next_needs_no_room() {
    let mut rig = Rig::open(Config { mode: Mode::Arrival, keep: false, ..Config::default() });
    rig.client(6, "gh");
    rig.client(0, "abcdefgh");
    assert_eq!(rig.out.text(Toward::Server), "abcdefgh");
    assert_eq!(rig.pool.used(), 0);
}

/// A place that several segments have is compared with what counts there.
#[test]
fn a_difference_is_noticed_wherever_it_is() {
    for (third, differs) in [("aaaaaa", false), ("xaaaaa", true), ("aaxaaa", true), ("aaaaax", true)] {
        let mut rig = Rig::open(Config { mode: Mode::Arrival, ..Config::default() });
        rig.client(2, "aaaa");
        rig.client(3, "aaaaa");
        rig.client(2, third);
        assert_eq!(rig.out.saw(Event::Overlap), differs, "{third}");
    }
}
