//! Whether a rule matches: all of its demands, the cheapest first.

use super::compiled::{Compiled, Rules};
use super::headers;
use super::messages::buffers;
use super::payload::{Evaluator, Group};
use super::subject::{Asked, Subject};
use ids_rules::buffer::{Application, Buffer};
use ids_rules::payload::Test;
use ids_rules::rule::{
    ApplicationTest, DnsTest, Endpoint, FlowDirection, FlowState, FlowTest, Fragments, Protocol, StreamOnly,
};
use l7::DnsFields;
use streams::Toward;
use wire::protocol::ip;

/// Whether the rule matches.
pub(in crate::ids) fn matches(
    rules: &Rules,
    rule: &Compiled,
    subject: &Subject<'_>,
    asked: &impl Asked,
    evaluator: &mut Evaluator,
) -> bool {
    is_about(rule, subject)
        && flow(&rule.rule.flow, subject)
        && rule.rule.packet.iter().all(|test| headers::holds(test, subject.packet, subject.numbers))
        && rule.rule.application.iter().all(|test| application(test, subject))
        && dns(&rule.rule.dns, subject)
        && rule.bits.iter().all(|bit| asked.holds(bit))
        && bytes(rules, rule, subject, evaluator)
}

/// Protocol, addresses and ports.
fn is_about(rule: &Compiled, subject: &Subject<'_>) -> bool {
    let protocol = subject.key.protocol();
    let v4 = subject.key.source().is_ipv4();
    let right = match rule.rule.protocol {
        Protocol::Ip => true,
        Protocol::Ipv4 => v4,
        Protocol::Ipv6 => !v4,
        Protocol::Tcp | Protocol::TcpStream => protocol == ip::TCP,
        Protocol::TcpPacket => protocol == ip::TCP && !subject.is_stream,
        Protocol::Udp => protocol == ip::UDP,
        Protocol::Icmp => matches!(protocol, ip::ICMP | ip::ICMPV6),
        Protocol::Icmpv4 => protocol == ip::ICMP,
        Protocol::Icmpv6 => protocol == ip::ICMPV6,
        Protocol::Sctp => protocol == ip::SCTP,
        Protocol::Application(wanted) => subject.application == Some(protocol_of(wanted)),
    };
    let (source, destination) = (subject.key.source(), subject.key.destination());
    let is = |end: &Endpoint, address, port: Option<u16>| {
        end.addresses.contains(address) && port.map_or(end.ports.is_any(), |port| end.ports.contains(port))
    };
    let (sport, dport) = subject.ports.unzip();
    let (from, to) = (&rule.rule.source, &rule.rule.destination);
    right
        && (is(from, source, sport) && is(to, destination, dport)
            || rule.rule.both_ways && is(to, source, sport) && is(from, destination, dport))
}

pub(super) fn protocol_of(application: Application) -> l7::Protocol {
    match application {
        Application::Http => l7::Protocol::Http,
        Application::Tls => l7::Protocol::Tls,
        Application::Dns => l7::Protocol::Dns,
    }
}

fn flow(test: &FlowTest, subject: &Subject<'_>) -> bool {
    let direction = test.direction.is_none_or(|direction| match direction {
        FlowDirection::ToServer => subject.toward == Some(Toward::Server),
        FlowDirection::ToClient => subject.toward == Some(Toward::Client),
    });
    let state = test.state.is_none_or(|state| subject.established == (state == FlowState::Established));
    let stream = test.stream.is_none_or(|stream| subject.is_stream == (stream == StreamOnly::Only));
    let fragments =
        test.fragments.is_none_or(|fragments| subject.reassembled == (fragments == Fragments::Only));
    direction && state && stream && fragments
}

fn application(test: &ApplicationTest, subject: &Subject<'_>) -> bool {
    (subject.application == test.application.map(protocol_of)) != test.negated
}

fn dns(tests: &[DnsTest], subject: &Subject<'_>) -> bool {
    if tests.is_empty() {
        return true;
    }
    let Some(fields) = subject.message.and_then(|message| message.dns()) else { return false };
    let DnsFields { opcode, rcode, rrtype, .. } = fields;
    tests.iter().all(|test| match test {
        DnsTest::Opcode(number) => number.matches(opcode.into()),
        DnsTest::Rcode(number) => number.matches(rcode.into()),
        DnsTest::RecordType(number) => rrtype.is_some_and(|kind| number.matches(kind.into())),
    })
}

fn bytes(rules: &Rules, rule: &Compiled, subject: &Subject<'_>, evaluator: &mut Evaluator) -> bool {
    if rule.groups.is_empty() {
        return true;
    }
    evaluator.begin(rule.rule.variables.len());
    rule.groups.iter().all(|group| holds(rules, group, subject, evaluator))
}

fn holds(rules: &Rules, group: &Group, subject: &Subject<'_>, evaluator: &mut Evaluator) -> bool {
    let buffer = group.tests.buffer;
    if buffer == Buffer::Payload {
        return subject.payload.is_some_and(|payload| evaluator.holds(group, &rules.regexes, payload));
    }
    let absent = group.tests.tests.iter().any(|test| matches!(test, Test::Absent { .. }));
    if buffer.is_packet_header() {
        let header = subject.packet.and_then(|packet| packet.header(buffer));
        return header.map_or(absent, |header| evaluator.holds(group, &rules.regexes, header.into()));
    }
    let (Some(message), Some(toward)) = (subject.message, subject.toward) else { return false };
    let mut all = buffers(message, buffer, toward).peekable();
    if all.peek().is_none() {
        return absent;
    }
    all.any(|bytes| evaluator.holds(group, &rules.regexes, bytes.into()))
}
