//! What a rule has to be shown: packets, streams or messages of an application.

use crate::{
    buffer::Application,
    packet::PacketTest,
    payload::Test,
    rule::{Protocol, Rule, StreamOnly},
};

/// When a rule is looked at, and what it is shown.
///
/// Found as Suricata's documentation of rule types describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Inspect {
    /// No ports, no tests but changes of bits, no negated address: the first packet of each direction of a flow, or
    /// every packet where there is no flow. (Suricata's `ip_only`.)
    FirstPackets,
    /// Each packet: its headers, and its own payload. (`pkt`)
    Packets,
    /// Each packet's own payload, and the stream of TCP; one match of either is enough. (`pkt_stream`)
    PacketsAndStream,
    /// The stream of TCP. A TCP packet that no stream took (no connection, not established, refused by the stream
    /// engine) is looked at alone, unless the rule says `tcp-stream` or `only_stream`; so is every packet of other
    /// protocols. (`stream`)
    Stream,
    /// Once per direction of a flow, as soon as its application is known: the protocol of the rule's header, or what
    /// `app-layer-protocol` says. (`pd_only`; and `app_layer`, which Suricata looks at for every packet that moves
    /// the application on.)
    Detection(Option<Application>),
    /// Each message of an application, when its buffers are complete or have grown. (`app_tx`)
    Messages(Application),
}

impl Rule {
    /// When it is looked at, and what it is shown.
    pub fn inspect(&self) -> Inspect {
        if let Some(application) = self.message_application() {
            return Inspect::Messages(application);
        }
        if self.is_about_addresses_only() {
            return Inspect::FirstPackets;
        }
        if self.needs_packets() {
            return Inspect::Packets;
        }
        if self.protocol == Protocol::TcpStream || self.flow.stream == Some(StreamOnly::Only) {
            return Inspect::Stream;
        }
        if let Some(payload) = self.payload() {
            let absolute = payload.tests.iter().any(|test| {
                matches!(test, Test::Content(content) if content.offset.is_some() || content.depth.is_some())
            });
            return match (self.protocol.may_be_tcp(), absolute) {
                (false, _) => Inspect::Packets,
                (true, true) => Inspect::PacketsAndStream,
                (true, false) => Inspect::Stream,
            };
        }
        let changing = self.flow.state.is_some() || self.bits.iter().any(|bit| bit.command.is_demand());
        if !changing && self.packet.is_empty() {
            if let Protocol::Application(application) = self.protocol {
                return Inspect::Detection(Some(application));
            }
            if !self.application.is_empty() {
                return Inspect::Detection(None);
            }
        }
        Inspect::Packets
    }

    /// The application whose messages its buffers or numbers are of.
    fn message_application(&self) -> Option<Application> {
        let of_buffers = self.buffers.iter().find_map(|group| group.buffer.application());
        of_buffers.or((!self.dns.is_empty()).then_some(Application::Dns))
    }

    /// Whether something in it is only of single packets.
    fn needs_packets(&self) -> bool {
        self.protocol == Protocol::TcpPacket
            || self.flow.stream == Some(StreamOnly::No)
            || self.packet.iter().any(|test| !matches!(test, PacketTest::StreamSize(_)))
            || self.buffers.iter().any(|group| group.buffer.is_packet_header())
    }

    fn is_about_addresses_only(&self) -> bool {
        self.packet.is_empty()
            && self.buffers.is_empty()
            && self.application.is_empty()
            && !matches!(self.protocol, Protocol::Application(_))
            && self.flow == Default::default()
            && self.source.ports.is_any()
            && self.destination.ports.is_any()
            && !self.source.negated
            && !self.destination.negated
            && self.bits.iter().all(|bit| !bit.command.is_demand())
    }
}

impl Protocol {
    /// Whether TCP is, or is among, what it is about.
    pub fn may_be_tcp(self) -> bool {
        match self {
            Self::Ip | Self::Ipv4 | Self::Ipv6 | Self::Tcp | Self::TcpPacket | Self::TcpStream => true,
            Self::Udp | Self::Icmp | Self::Icmpv4 | Self::Icmpv6 | Self::Sctp => false,
            Self::Application(_) => true,
        }
    }
}
