//! A rule, resolved: what it looks for, in whose traffic, and what it says when it is found.

use std::sync::Arc;

use crate::{
    bits::BitTest,
    buffer::{Application, Buffer},
    packet::PacketTest,
    payload::{BufferTests, Test},
    sets::{AddressSet, PortSet},
    threshold::{Filter, Threshold},
};

/// One rule. It matches if its header does, and every one of its tests.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// What is done when it matches.
    pub action: Action,
    /// Whose traffic.
    pub protocol: Protocol,
    /// The left side: addresses and ports.
    pub source: Endpoint,
    /// The right side.
    pub destination: Endpoint,
    /// `<>`: the sides may also be the other way round.
    pub both_ways: bool,
    /// What an alert says.
    pub meta: Meta,
    /// `flow`.
    pub flow: FlowTest,
    /// Demands on packet headers, in the order of the rule.
    pub packet: Vec<PacketTest>,
    /// Demands on bytes: groups in the order in which the rule first names their buffers.
    pub buffers: Vec<BufferTests>,
    /// Names of the variables of `byte_extract` and `byte_math`, by number.
    pub variables: Vec<Arc<str>>,
    /// Numbers of DNS messages: `dns.opcode`, `dns.rcode`, `dns.rrtype`.
    pub dns: Vec<DnsTest>,
    /// `app-layer-protocol`: what the connection's protocol has been found to be.
    pub application: Vec<ApplicationTest>,
    /// `flowbits`, `hostbits`, `xbits`: demands are part of the match; changes are made, in order, when the rule has
    /// matched, before the next rule is looked at.
    pub bits: Vec<BitTest>,
    /// `detection_filter`: the rule matches only beyond a rate.
    pub detection_filter: Option<Filter>,
    /// `threshold`: alerts of matches are thinned out; what else a match does is done nevertheless.
    pub threshold: Option<Threshold>,
    /// `noalert`, `flowbits:noalert` and the like: a match alerts nobody.
    pub noalert: bool,
}

/// What is done when a rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// `pass`: the packet (of a rule that inspects streams or applications: the rest of the flow) is inspected no
    /// further and not dropped; no alert. Rules that pass are looked at first.
    Pass,
    /// `drop`: alert; in mode `drop` the packet is dropped, and the rest of its flow for rules that inspect streams
    /// or applications.
    Drop,
    /// `alert`.
    Alert,
}

/// Whose traffic a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// `ip`, `any`: every IP packet.
    Ip,
    /// `ipv4`, `ip4`.
    Ipv4,
    /// `ipv6`, `ip6`.
    Ipv6,
    /// `tcp`: stream, packets or both, by [`Inspect`](crate::inspect::Inspect).
    Tcp,
    /// `tcp-pkt`: packets only.
    TcpPacket,
    /// `tcp-stream`: the stream only.
    TcpStream,
    /// `udp`.
    Udp,
    /// `icmp`: of both families.
    Icmp,
    /// `icmpv4`.
    Icmpv4,
    /// `icmpv6`.
    Icmpv6,
    /// `sctp`.
    Sctp,
    /// `http`, `http1`, `tls`, `ssl`, `dns`: connections and datagrams found to be of that protocol.
    Application(Application),
}

/// One side of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Addresses.
    pub addresses: AddressSet,
    /// Whether the rule wrote a negation among them, itself or by a variable: a rule of addresses only is then
    /// looked at for every packet.
    pub negated: bool,
    /// Ports.
    pub ports: PortSet,
}

/// What identifies and describes a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// `sid`: unique among the rules with the same `gid`.
    pub sid: u32,
    /// `gid`, 1 if not given.
    pub gid: u32,
    /// `rev`, 0 if not given.
    pub rev: u32,
    /// `msg`, empty if not given.
    pub message: Arc<str>,
    /// `classtype` and its description: `alert.category`.
    pub class: Option<Class>,
    /// `priority`, else that of the class, else 3: `alert.severity`. 1 is the gravest.
    pub priority: u8,
    /// `reference`: kind and identifier.
    pub references: Vec<(Arc<str>, Arc<str>)>,
    /// `metadata`: key and value.
    pub metadata: Vec<(Arc<str>, Arc<str>)>,
    /// `target`: which side is the victim.
    pub target: Option<Target>,
}

/// A class of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// Its short name, as in `classtype`.
    pub name: Arc<str>,
    /// What alerts call it.
    pub description: Arc<str>,
}

/// Which side of a packet that matches is the victim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// `src_ip`.
    Source,
    /// `dest_ip`.
    Destination,
}

/// `flow`. Nothing given: no demand, also on packets without a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FlowTest {
    /// `to_server`, `from_client`; `to_client`, `from_server`.
    pub direction: Option<FlowDirection>,
    /// `established`, `not_established`; `stateless` demands nothing and is `None`.
    pub state: Option<FlowState>,
    /// `only_stream`, `no_stream`.
    pub stream: Option<StreamOnly>,
    /// `only_frag`, `no_frag`.
    pub fragments: Option<Fragments>,
}

/// Which way a packet goes: the client is who sent the flow's first packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlowDirection {
    /// From the client.
    ToServer,
    /// From the server.
    ToClient,
}

/// Whether a connection is established.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlowState {
    /// TCP: the handshake is complete. Other protocols: both sides have sent.
    Established,
    /// The opposite.
    NotEstablished,
}

/// `only_stream` and `no_stream`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StreamOnly {
    /// Matches reassembled stream data only.
    Only,
    /// Matches packets only, never reassembled data.
    No,
}

/// `only_frag` and `no_frag`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fragments {
    /// Only datagrams that were reassembled from fragments.
    Only,
    /// Only datagrams that were not.
    No,
}

/// A number of a DNS message. Every demand of a rule must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DnsTest {
    /// `dns.opcode`.
    Opcode(crate::number::Number),
    /// `dns.rcode`.
    Rcode(crate::number::Number),
    /// `dns.rrtype`: of a question, or of an answer in a response.
    RecordType(crate::number::Number),
}

/// `app-layer-protocol:[!]name`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ApplicationTest {
    /// The protocol; `None` for `unknown`: detection has ended without any.
    pub application: Option<Application>,
    /// `!`: it is known and another (or, of `unknown`, any).
    pub negated: bool,
}

impl Rule {
    /// The tests on payload, if there are any.
    pub fn payload(&self) -> Option<&BufferTests> {
        self.buffers.iter().find(|group| group.buffer == Buffer::Payload)
    }

    /// Whether a content or any other payload keyword is among its tests, in whatever buffer.
    pub fn looks_at_bytes(&self) -> bool {
        self.buffers.iter().any(|group| !group.tests.is_empty())
    }

    /// Every content with the buffer that it is sought in.
    pub fn contents(&self) -> impl Iterator<Item = (Buffer, &crate::payload::Content)> {
        self.buffers.iter().flat_map(|group| {
            group.tests.iter().filter_map(|test| match test {
                Test::Content(content) => Some((group.buffer, content)),
                _ => None,
            })
        })
    }
}
