//! RFC 7915 sections 4.2 and 5.2: every type and code.

use super::super::icmp::{Message, to_v4, to_v6};
use super::*;

const MTU: Mtu = Mtu { v4: 1500, v6: 1500, fragments: 1280 };

fn message((kind, code, rest): (u8, u8, u32)) -> Message {
    Message { kind, code, rest }
}

fn check(from: (u8, u8, u32), to: Option<(u8, u8, u32)>, translated: Option<Message>) {
    assert_eq!(translated, to.map(message), "{from:?}");
}

#[test]
fn every_icmpv4_error_has_its_counterpart() {
    let none = [4, 14];
    for code in 0..=16 {
        let expected = match code {
            0 | 1 | 5..=8 | 11 | 12 => Some((1, 0, 0)),
            2 => Some((4, 1, 6)),
            3 => Some((1, 4, 0)),
            9 | 10 | 13 | 15 => Some((1, 1, 0)),
            _ => None,
        };
        if !none.contains(&code) {
            check((3, code, 0), expected, to_v6(message((3, code, 0)), 1500, &MTU));
        }
    }
    for (from, to) in [
        ((3, 14, 0), None),
        ((11, 0, 0), Some((3, 0, 0))),
        ((11, 1, 0), Some((3, 1, 0))),
        ((12, 1, 0), None),
        ((12, 2, 2 << 24), Some((4, 0, 4))),
        ((4, 0, 0), None),
        ((5, 1, 0x0a00_0001), None),
        ((13, 0, 0), None),
        ((10, 0, 0), None),
    ] {
        check(from, to, to_v6(message(from), 1500, &MTU));
    }
    // Figure 3.
    let pointers = [
        Some(0),
        Some(1),
        Some(4),
        Some(4),
        None,
        None,
        None,
        None,
        Some(7),
        Some(6),
        None,
        None,
        Some(8),
        Some(8),
        Some(8),
        Some(8),
        Some(24),
        Some(24),
        Some(24),
        Some(24),
        None,
    ];
    for (from, to) in (0u32..).zip(pointers) {
        check((12, 0, from << 24), to.map(|to| (4, 0, to)), to_v6(message((12, 0, from << 24)), 1500, &MTU));
    }
}

#[test]
fn every_icmpv6_error_has_its_counterpart() {
    for (from, to) in [
        ((1, 0, 0), Some((3, 1, 0))),
        ((1, 1, 0), Some((3, 10, 0))),
        ((1, 2, 0), Some((3, 1, 0))),
        ((1, 3, 0), Some((3, 1, 0))),
        ((1, 4, 0), Some((3, 3, 0))),
        ((1, 5, 0), None),
        ((3, 0, 0), Some((11, 0, 0))),
        ((3, 1, 0), Some((11, 1, 0))),
        ((4, 1, 6), Some((3, 2, 0))),
        ((4, 2, 40), None),
        ((133, 0, 0), None),
        ((130, 0, 0), None),
    ] {
        check(from, to, to_v4(message(from), &MTU));
    }
    // Figure 6.
    for (from, to) in (0..=40).map(|from| {
        let to = match from {
            0 => Some(0),
            1 => Some(1),
            4 | 5 => Some(2),
            6 => Some(9),
            7 => Some(8),
            8..=23 => Some(12),
            24..=39 => Some(16),
            _ => None,
        };
        (from, to)
    }) {
        check((4, 0, from), to.map(|to: u32| (12, 0, to << 24)), to_v4(message((4, 0, from)), &MTU));
    }
}

#[test]
fn mtus_are_those_of_the_other_side() {
    for (told, len, mtu, room) in [
        (1400, 1500, MTU, Some(1420)),
        (1500, 1500, MTU, Some(1500)),
        (1500, 1500, Mtu { v6: 1400, ..MTU }, Some(1400)),
        (9000, 9000, Mtu { v6: 9000, ..MTU }, Some(1520)),
        // Below what an IPv6 sender would heed.
        (576, 1500, MTU, Some(1280)),
        // A router that tells none: the next plateau (RFC 1191 section 7.1).
        (0, 1500, MTU, Some(1500)),
        (0, 1492, MTU, Some(1280)),
        (0, 68, MTU, None),
    ] {
        let translated = to_v6(message((3, 4, told)), len, &mtu);
        assert_eq!(translated.map(|message| message.rest), room, "{told} {len}");
    }
    for (told, mtu, room) in [
        (1420, MTU, 1400),
        (1280, MTU, 1260),
        (9000, MTU, 1480),
        (9000, Mtu { v6: 9000, ..MTU }, 1500),
        (10, MTU, 0),
    ] {
        let translated = to_v4(message((2, 0, told)), &mtu).expect("a counterpart");
        assert_eq!((translated.kind, translated.code, translated.rest), (3, 4, room), "{told}");
    }
}
