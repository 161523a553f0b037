//! What of packets an ids depends on, by its rules.

use super::detect::Rules;
use wire::{Field, Fields};

/// By these fields packets are found to be of a flow, whole, and of a length; fragments are put together by them whatever
/// the rules are.
const ALWAYS: Fields = Fields::of(&[
    Field::EtherType,
    Field::Vlan,
    Field::IpVersion,
    Field::IpSrc,
    Field::IpDst,
    Field::IpId,
    Field::IpFragment,
    Field::IpProto,
    Field::IpLength,
    Field::IpOptions,
    Field::Sport,
    Field::Dport,
    Field::L4Length,
    // Where the payload begins.
    Field::TcpOptions,
    Field::IcmpType,
    // An echo's identifier is part of its flow's key.
    Field::IcmpRest,
    Field::Payload,
    Field::Length,
]);

/// What streams are put together by.
const STREAMS: Fields = Fields::of(&[
    Field::IpTtl,
    Field::TcpSeq,
    Field::TcpAck,
    Field::TcpFlags,
    Field::TcpWindow,
    Field::TcpUrgent,
    Field::TcpOptions,
]);

/// TCP's fields, and IP's, that rules can ask for by themselves or as a whole header.
const TCP_HEADER: Fields = STREAMS.without(Fields::of(&[Field::IpTtl]));
const IP_HEADER: Fields =
    Fields::of(&[Field::IpTtl, Field::IpDscp, Field::IpEcn, Field::IpChecksum, Field::Ipv6FlowLabel]);

/// What these rules make an ids read. `flows`: whether those of TCP, and of others, are known.
pub(super) fn of(rules: &Rules, flows: [bool; 2], checksums: bool) -> Fields {
    let mut reads = ALWAYS;
    let [tcp, _] = flows;
    if tcp {
        reads = reads.union(STREAMS);
        if checksums {
            // Whether that of IP is right depends on all of its header.
            let whole = Fields::of(&[Field::L4Checksum, Field::IpChecksum, Field::IpDscp, Field::IpEcn]);
            reads = reads.union(whole);
        }
    }
    for rule in &rules.all {
        let needs = rule.rule.needs();
        if needs.ttl {
            reads = reads.with(Field::IpTtl);
        }
        if needs.tos {
            reads = reads.with(Field::IpDscp).with(Field::IpEcn);
        }
        if needs.ip_header {
            reads = reads.union(IP_HEADER);
        }
        if needs.other_header {
            reads = reads.with(Field::L4Checksum);
        }
        // A rule about flows of others than TCP needs nothing of it.
        if needs.tcp_header && (!needs.flows || rule.rule.protocol.may_be_tcp()) {
            reads = reads.union(TCP_HEADER);
        }
        let whole = rule.rule.buffers.iter().any(|group| group.buffer.is_packet_header());
        if whole {
            reads = reads.union(TCP_HEADER).union(IP_HEADER).with(Field::L4Checksum);
        }
    }
    reads
}
