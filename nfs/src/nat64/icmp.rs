//! Types and codes of ICMP errors in one version and the other (RFC 7915 sections 4.2 and 5.2).

use super::config::Mtu;
use wire::{icmp, icmpv6};

/// Type, code and second word of an ICMP error's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Message {
    pub kind: u8,
    pub code: u8,
    pub rest: u32,
}

/// Likely MTUs, the largest first (RFC 1191 section 7.1), for routers that tell none.
const PLATEAUS: [u16; 10] = [32_000, 17_914, 8_166, 4_352, 2_002, 1_492, 1_006, 508, 296, 68];

/// The counterpart in ICMPv6; `None`: there is none. `inner_len`: how long the packet was that it is about, as an IPv4
/// packet.
pub(super) fn to_v6(message: Message, inner_len: usize, mtu: &Mtu) -> Option<Message> {
    let plain = |kind, code| Some(Message { kind, code, rest: 0 });
    match (message.kind, message.code) {
        (icmp::UNREACHABLE, 0 | 1 | 5..=8 | 11 | 12) => plain(icmpv6::UNREACHABLE, 0),
        // Protocol unreachable: the problem is the next header.
        (icmp::UNREACHABLE, 2) => Some(Message { kind: icmpv6::PARAMETER_PROBLEM, code: 1, rest: 6 }),
        (icmp::UNREACHABLE, 3) => plain(icmpv6::UNREACHABLE, 4),
        (icmp::UNREACHABLE, icmp::FRAGMENTATION_NEEDED) => {
            let told = match message.rest as u16 {
                0 => PLATEAUS.into_iter().find(|plateau| usize::from(*plateau) < inner_len)?,
                told => told,
            };
            let room = (u32::from(told) + 20).min(mtu.v6.into()).min(u32::from(mtu.v4) + 20);
            // RFC 7915 section 6: below that, IPv6 senders would do nothing that helps.
            Some(Message { kind: icmpv6::PACKET_TOO_BIG, code: 0, rest: room.max(1280) })
        }
        (icmp::UNREACHABLE, 9 | 10 | 13 | 15) => plain(icmpv6::UNREACHABLE, 1),
        (icmp::TIME_EXCEEDED, code) => plain(icmpv6::TIME_EXCEEDED, code),
        (icmp::PARAMETER_PROBLEM, 0 | 2) => {
            // Figure 3.
            let pointer = match message.rest >> 24 {
                same @ 0..=1 => same,
                2 | 3 => 4,
                8 => 7,
                9 => 6,
                12..=15 => 8,
                16..=19 => 24,
                _ => return None,
            };
            Some(Message { kind: icmpv6::PARAMETER_PROBLEM, code: 0, rest: pointer })
        }
        _ => None,
    }
}

/// The counterpart in ICMP; `None`: there is none.
pub(super) fn to_v4(message: Message, mtu: &Mtu) -> Option<Message> {
    let plain = |kind, code| Some(Message { kind, code, rest: 0 });
    match (message.kind, message.code) {
        (icmpv6::UNREACHABLE, 0 | 2 | 3) => plain(icmp::UNREACHABLE, 1),
        (icmpv6::UNREACHABLE, 1) => plain(icmp::UNREACHABLE, 10),
        (icmpv6::UNREACHABLE, 4) => plain(icmp::UNREACHABLE, 3),
        (icmpv6::PACKET_TOO_BIG, _) => {
            let room = message.rest.saturating_sub(20).min(mtu.v4.into()).min(u32::from(mtu.v6) - 20);
            Some(Message { kind: icmp::UNREACHABLE, code: icmp::FRAGMENTATION_NEEDED, rest: room })
        }
        (icmpv6::TIME_EXCEEDED, code) => plain(icmp::TIME_EXCEEDED, code),
        (icmpv6::PARAMETER_PROBLEM, 0) => {
            // Figure 6.
            let pointer = match message.rest {
                same @ 0..=1 => same,
                4 | 5 => 2,
                6 => 9,
                7 => 8,
                8..=23 => 12,
                24..=39 => 16,
                _ => return None,
            };
            Some(Message { kind: icmp::PARAMETER_PROBLEM, code: 0, rest: pointer << 24 })
        }
        (icmpv6::PARAMETER_PROBLEM, 1) => plain(icmp::UNREACHABLE, 2),
        _ => None,
    }
}

/// How many bytes of an error are of the packet that it is about, where that is said (RFC 4884): extensions follow.
pub(super) fn quoted(message: Message, is_v6: bool) -> Option<usize> {
    let len = match (is_v6, message.kind) {
        (true, icmpv6::UNREACHABLE | icmpv6::TIME_EXCEEDED) => (message.rest >> 24) as usize * 8,
        (false, icmp::UNREACHABLE | icmp::TIME_EXCEEDED | icmp::PARAMETER_PROBLEM) => {
            (message.rest >> 16 & 0xff) as usize * 4
        }
        _ => 0,
    };
    (len > 0).then_some(len)
}

/// Units in which that is said, and where: for a message that can have extensions.
pub(super) fn quotation_unit(message: Message, is_v6: bool) -> Option<(usize, u32)> {
    match (is_v6, message.kind, message.code) {
        (true, icmpv6::UNREACHABLE | icmpv6::TIME_EXCEEDED, _) => Some((8, 24)),
        (false, icmp::UNREACHABLE, icmp::FRAGMENTATION_NEEDED) => None,
        (false, icmp::UNREACHABLE | icmp::TIME_EXCEEDED, _) => Some((4, 16)),
        _ => None,
    }
}
