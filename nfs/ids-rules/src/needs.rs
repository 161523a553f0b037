//! What a rule reads of a packet: what an NF that evaluates it has to declare.

use std::ops::{BitOr, BitOrAssign};

use crate::{
    inspect::Inspect,
    packet::PacketTest,
    rule::{Protocol, Rule},
};

/// Parts of packets that rules read, and whether they need more than one packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Addresses of the IP header.
    pub addresses: bool,
    /// Ports.
    pub ports: bool,
    /// TTL or hop limit.
    pub ttl: bool,
    /// Type of service or traffic class.
    pub tos: bool,
    /// Other fields of the IP header: identification, fragment bits and offset, options, or the whole header.
    pub ip_header: bool,
    /// Flags, sequence numbers, window, options of TCP, or the whole header.
    pub tcp_header: bool,
    /// The rest of the UDP or ICMP header.
    pub other_header: bool,
    /// The length of the payload.
    pub payload_length: bool,
    /// The bytes of the payload.
    pub payload: bool,
    /// Reassembled streams.
    pub streams: bool,
    /// Parsed messages of applications, or what an application is.
    pub applications: bool,
    /// Flows: direction, state, bits, sizes.
    pub flows: bool,
    /// Counts or bits of hosts, or of rules: what flows of different workers would share.
    pub hosts: bool,
}

impl BitOr for Needs {
    type Output = Self;

    fn bitor(mut self, other: Self) -> Self {
        self |= other;
        self
    }
}

impl BitOrAssign for Needs {
    fn bitor_assign(&mut self, other: Self) {
        self.addresses |= other.addresses;
        self.ports |= other.ports;
        self.ttl |= other.ttl;
        self.tos |= other.tos;
        self.ip_header |= other.ip_header;
        self.tcp_header |= other.tcp_header;
        self.other_header |= other.other_header;
        self.payload_length |= other.payload_length;
        self.payload |= other.payload;
        self.streams |= other.streams;
        self.applications |= other.applications;
        self.flows |= other.flows;
        self.hosts |= other.hosts;
    }
}

impl Rule {
    /// What it reads. The protocol of the IP header is always read, and is not in it.
    pub fn needs(&self) -> Needs {
        use crate::{bits::BitOwner, buffer::Buffer, threshold::Track};
        let mut needs = Needs::default();
        for side in [&self.source, &self.destination] {
            needs.addresses |= !side.addresses.is_any();
            needs.ports |= !side.ports.is_any();
        }
        needs.flows |= self.flow != Default::default();
        for bit in &self.bits {
            match bit.owner {
                BitOwner::Flow => needs.flows = true,
                BitOwner::Source | BitOwner::Destination | BitOwner::Pair => needs.hosts = true,
            }
        }
        let tracks = [self.threshold.map(|rate| rate.track), self.detection_filter.map(|rate| rate.track)];
        for track in tracks.into_iter().flatten() {
            match track {
                Track::Flow => needs.flows = true,
                Track::Source | Track::Destination | Track::Both | Track::Rule => needs.hosts = true,
            }
        }
        self.packet.iter().for_each(|test| needs |= of_test(test));
        for group in &self.buffers {
            match group.buffer {
                Buffer::Payload => needs.payload = true,
                Buffer::Ipv4Header | Buffer::Ipv6Header => {
                    (needs.ip_header, needs.ttl, needs.tos, needs.addresses) = (true, true, true, true);
                }
                Buffer::TcpHeader => (needs.tcp_header, needs.ports) = (true, true),
                Buffer::UdpHeader => (needs.other_header, needs.ports) = (true, true),
                Buffer::Icmpv4Header | Buffer::Icmpv6Header => needs.other_header = true,
                _ => needs.applications = true,
            }
        }
        needs.applications |= !self.dns.is_empty()
            || !self.application.is_empty()
            || matches!(self.protocol, Protocol::Application(_));
        match self.inspect() {
            Inspect::FirstPackets => needs.flows = true,
            Inspect::Packets => {}
            Inspect::PacketsAndStream | Inspect::Stream => needs.streams = true,
            Inspect::Detection(_) | Inspect::Messages(_) => needs.applications = true,
        }
        if needs.applications {
            (needs.streams, needs.payload) = (true, true);
        }
        if needs.streams {
            (needs.flows, needs.tcp_header, needs.payload_length) = (true, true, true);
        }
        if needs.flows {
            (needs.addresses, needs.ports, needs.tcp_header) = (true, true, true);
        }
        needs.addresses |= needs.hosts;
        needs
    }
}

fn of_test(test: &PacketTest) -> Needs {
    let mut needs = Needs::default();
    match test {
        PacketTest::Dsize(_) => needs.payload_length = true,
        PacketTest::TcpFlags(_)
        | PacketTest::TcpSeq(_)
        | PacketTest::TcpAck(_)
        | PacketTest::Window(_)
        | PacketTest::TcpMss(_) => needs.tcp_header = true,
        PacketTest::Ttl(_) => needs.ttl = true,
        PacketTest::Tos(_) => needs.tos = true,
        PacketTest::IpId(_)
        | PacketTest::IpOption(_)
        | PacketTest::FragBits(_)
        | PacketTest::FragOffset(_) => {
            needs.ip_header = true;
        }
        PacketTest::IpProto(_) => {}
        PacketTest::SameIp => needs.addresses = true,
        PacketTest::IcmpType(_)
        | PacketTest::IcmpCode(_)
        | PacketTest::IcmpId(_)
        | PacketTest::IcmpSeq(_)
        | PacketTest::Icmpv6Mtu(_) => needs.other_header = true,
        PacketTest::StreamSize(_) => needs.streams = true,
        PacketTest::FlowAge(_) | PacketTest::FlowPackets(_) | PacketTest::FlowBytes(_) => needs.flows = true,
    }
    needs
}

#[cfg(test)]
mod tests {
    use crate::{classes::Classes, parse, vars::Vars};

    #[test]
    fn a_rule_of_packets_reads_only_what_it_names() {
        let of =
            |text: &str| parse::rule(text.as_bytes(), &Vars::default(), &Classes::default()).unwrap().needs();
        let ttl = of("alert udp any any -> any 53 (ttl:1; sid:1;)");
        assert!(ttl.ttl && ttl.ports && !ttl.payload && !ttl.flows && !ttl.addresses && !ttl.ip_header);
        let content = of("alert udp any any -> any any (content:\"x\"; sid:1;)");
        assert!(content.payload && !content.ports && !content.flows);
        let uri = of("alert http any any -> any any (http.uri; content:\"x\"; sid:1;)");
        assert!(uri.applications && uri.streams && uri.flows && uri.payload && !uri.ttl && !uri.hosts);
        let rate = of(
            "alert icmp any any -> any any (itype:8; threshold:type limit,track by_src,count 1,seconds 1; sid:1;)",
        );
        assert!(rate.hosts && rate.other_header && rate.addresses && !rate.flows && !rate.payload);
    }
}
