//! Rules for packets by themselves: which can be used so, and what of packets they depend on.

use super::detect::Rules;
use ids_rules::buffer::Buffer;
use ids_rules::inspect::Inspect;
use ids_rules::load::{Refused, RuleSet};
use ids_rules::packet::PacketTest;
use ids_rules::refusal::{Kind, Refusal};
use ids_rules::rule::{Protocol, Rule};
use wire::{Field, Fields};

/// By these fields packets are found to be good, and headers and payloads in them.
const SHAPE: Fields = Fields::STRUCTURE.with(Field::Length);

/// What an alert tells.
const TOLD: Fields =
    Fields::of(&[Field::IpSrc, Field::IpDst, Field::Sport, Field::Dport, Field::IcmpType, Field::IcmpRest]);

/// All that is in headers.
const HEADERS: Fields = Fields::of(&[
    Field::IpSrc,
    Field::IpDst,
    Field::IpTtl,
    Field::IpDscp,
    Field::IpEcn,
    Field::IpId,
    Field::IpChecksum,
    Field::Ipv6FlowLabel,
    Field::Sport,
    Field::Dport,
    Field::L4Checksum,
    Field::TcpSeq,
    Field::TcpAck,
    Field::TcpFlags,
    Field::TcpWindow,
    Field::TcpUrgent,
    Field::IcmpType,
    Field::IcmpRest,
]);

/// Takes out rules that need more than one packet, and says so in the report.
pub(super) fn sort_out(set: &mut RuleSet) {
    let files = &mut set.report.files;
    set.rules.retain(|loaded| {
        let Some(keyword) = needs_others(&loaded.rule) else { return true };
        let message = "with scope = \"packets\" nothing is known but the packet".to_owned();
        let refusal = Refusal { column: 1, keyword: keyword.to_owned(), kind: Kind::Conflict, message };
        if let Some(file) = files.get_mut(loaded.file) {
            file.taken -= 1;
            file.refused.push(Refused { line: loaded.line, column: 1, refusal });
        }
        false
    });
    for file in files {
        file.refused.sort_by_key(|refused| (refused.line, refused.column));
    }
}

/// What of a rule needs more than the packet in hand.
fn needs_others(rule: &Rule) -> Option<&'static str> {
    if matches!(rule.protocol, Protocol::Application(_) | Protocol::TcpStream) {
        return Some("protocol");
    }
    if rule.flow != Default::default() {
        return Some("flow");
    }
    if !rule.bits.is_empty() {
        return Some("bits");
    }
    if rule.detection_filter.is_some() {
        return Some("detection_filter");
    }
    if rule.threshold.is_some() {
        return Some("threshold");
    }
    if matches!(rule.inspect(), Inspect::Detection(_) | Inspect::Messages(_)) {
        return Some("application");
    }
    rule.packet.iter().find_map(|test| match test {
        PacketTest::StreamSize(_) => Some("stream_size"),
        PacketTest::FlowAge(_) => Some("flow.age"),
        PacketTest::FlowPackets(_) => Some("flow.pkts"),
        PacketTest::FlowBytes(_) => Some("flow.bytes"),
        _ => None,
    })
}

/// What these rules make an ids read. `tells`: alerts are written down.
pub(super) fn reads(rules: &Rules, tells: bool) -> Fields {
    let told = if tells { TOLD } else { Fields::EMPTY };
    rules.all.iter().fold(SHAPE | told, |reads, rule| reads | of_rule(&rule.rule))
}

fn of_rule(rule: &Rule) -> Fields {
    let mut reads = Fields::EMPTY;
    for (side, address, port) in
        [(&rule.source, Field::IpSrc, Field::Sport), (&rule.destination, Field::IpDst, Field::Dport)]
    {
        for (asked, field, other) in [
            (!side.addresses.is_any(), address, [Field::IpSrc, Field::IpDst]),
            (!side.ports.is_any(), port, [Field::Sport, Field::Dport]),
        ] {
            if asked {
                reads = reads.with(field);
            }
            if asked && rule.both_ways {
                reads = reads | Fields::of(&other);
            }
        }
    }
    for test in &rule.packet {
        reads = reads | of_test(test);
    }
    for group in &rule.buffers {
        if group.buffer == Buffer::Payload {
            reads = reads.with(Field::Payload);
            // Of protocols with ports whose headers are not known, these are the first bytes.
            if matches!(rule.protocol, Protocol::Ip | Protocol::Ipv4 | Protocol::Ipv6) {
                reads = reads.with(Field::Sport).with(Field::Dport);
            }
        } else if group.buffer.is_packet_header() {
            reads = reads | HEADERS;
        }
    }
    reads
}

fn of_test(test: &PacketTest) -> Fields {
    match test {
        PacketTest::TcpFlags(_) => Fields::of(&[Field::TcpFlags]),
        PacketTest::TcpSeq(_) => Fields::of(&[Field::TcpSeq]),
        PacketTest::TcpAck(_) => Fields::of(&[Field::TcpAck]),
        PacketTest::Window(_) => Fields::of(&[Field::TcpWindow]),
        PacketTest::Ttl(_) => Fields::of(&[Field::IpTtl]),
        PacketTest::Tos(_) => Fields::of(&[Field::IpDscp, Field::IpEcn]),
        PacketTest::IpId(_) => Fields::of(&[Field::IpId]),
        PacketTest::SameIp => Fields::of(&[Field::IpSrc, Field::IpDst]),
        PacketTest::IcmpType(_) | PacketTest::IcmpCode(_) => Fields::of(&[Field::IcmpType]),
        PacketTest::IcmpId(_) | PacketTest::IcmpSeq(_) | PacketTest::Icmpv6Mtu(_) => {
            Fields::of(&[Field::IcmpType, Field::IcmpRest])
        }
        // By what headers are found by; and what needs more than a packet is in no rule.
        PacketTest::Dsize(_)
        | PacketTest::TcpMss(_)
        | PacketTest::IpOption(_)
        | PacketTest::FragBits(_)
        | PacketTest::FragOffset(_)
        | PacketTest::IpProto(_)
        | PacketTest::StreamSize(_)
        | PacketTest::FlowAge(_)
        | PacketTest::FlowPackets(_)
        | PacketTest::FlowBytes(_) => Fields::EMPTY,
    }
}
