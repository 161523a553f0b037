//! What the rules are asked of a packet, and which packets they are not asked about.

use super::config::{Fragments, Malformed, Plan};
use super::rules::Action;
use super::{FRAGMENTS_JUDGED, LATER_FRAGMENT, MALFORMED_JUDGED, NON_IP, OWN_REASONS, TINY_FRAGMENT};
use engine::{Cx, Reason};
use tables::classifier::{Key, Keys};
use wire::protocol::{ether_type, ip};
use wire::{Headers, UsualIpv4};

/// What becomes of a packet before any rule is asked.
pub(super) enum Fate {
    /// The rules decide, by the key that was added.
    Rules,
    /// It goes on.
    Pass,
    /// It ends.
    Drop(Reason),
}

/// Judges a packet by what needs no rule; else adds its key, for which there is room.
#[inline(always)]
pub(super) fn of_packet(plan: &Plan, headers: Headers, frame: &[u8], to: &mut Keys, cx: &mut Cx<'_>) -> Fate {
    if let Some(packet) = headers.usual_ipv4(frame) {
        of_usual(packet, to);
        return Fate::Rules;
    }
    of_unusual(plan, &headers, frame, to, cx)
}

/// Adds the key of a usual packet, for which there is room.
#[inline(always)]
pub(super) fn of_usual(packet: UsualIpv4<'_>, to: &mut Keys) {
    to.push_ipv4(packet.addresses(), packet.ports(), packet.protocol(), packet.tcp_flags());
}

/// Any packet.
fn of_unusual(plan: &Plan, headers: &Headers, frame: &[u8], to: &mut Keys, cx: &mut Cx<'_>) -> Fate {
    let judged = headers.is_ip() && headers.malformed().is_none() && !headers.is_later_fragment();
    if !judged && let Some(fate) = without_rules(plan, headers, frame, cx) {
        return fate;
    }
    to.push(&key(headers, frame));
    Fate::Rules
}

fn key(headers: &Headers, frame: &[u8]) -> Key {
    let ports = headers.ports(frame);
    let protocol = headers.protocol().unwrap_or(0);
    let (source, destination, ether_type) = match headers.ipv4_addresses(frame) {
        Some((source, destination)) => (u128::from(source), u128::from(destination), ether_type::IPV4),
        None => {
            let (source, destination) = headers.ipv6_addresses(frame).unwrap_or_default();
            (source, destination, ether_type::IPV6)
        }
    };
    let tcp_flags = headers.tcp_flags(frame);
    let (source_port, destination_port) = ports.unwrap_or_default();
    let icmp = if ports.is_none() { headers.icmp_type_code(frame) } else { None };
    Key {
        source,
        destination,
        source_port,
        destination_port,
        ether_type,
        vlan: headers.vlan().unwrap_or(Key::UNTAGGED),
        icmp: icmp.map_or(0, |(kind, code)| u16::from_be_bytes([kind, code])),
        protocol,
        tag: 0,
        tcp_flags: tcp_flags.unwrap_or(0),
        // A TCP header that is cut off after the ports has flags that nobody knows: no rule may guess them.
        has_ports: ports.is_some() && (protocol != ip::TCP || tcp_flags.is_some()),
        has_icmp: icmp.is_some(),
    }
}

/// Packets that are not IP, broken or later fragments; `None` when the rules are to decide.
#[cold]
fn without_rules(plan: &Plan, headers: &Headers, frame: &[u8], cx: &mut Cx<'_>) -> Option<Fate> {
    if let Some(malformed) = headers.malformed() {
        if plan.malformed == Malformed::Drop {
            return Some(Fate::Drop(Reason::new(OWN_REASONS.len() as u8 + malformed as u8 - 1)));
        }
        cx.count(MALFORMED_JUDGED, 1);
    }
    if !headers.is_ip() {
        return Some(if plan.non_ip == Action::Allow { Fate::Pass } else { Fate::Drop(NON_IP) });
    }
    if headers.is_later_fragment() {
        if plan.fragments == Fragments::Drop {
            return Some(Fate::Drop(LATER_FRAGMENT));
        }
        // RFC 1858 section 3.2.1 and RFC 3128: it would overwrite the flags that the rules were asked about.
        if headers.protocol() == Some(ip::TCP) && headers.fragment_offset(frame) == Some(8) {
            return Some(Fate::Drop(TINY_FRAGMENT));
        }
        cx.count(FRAGMENTS_JUDGED, 1);
    }
    None
}
