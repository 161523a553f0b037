//! The names of the language: predicates and fields, and where in a packet they are.
use wire::protocol::{ether_type, ip};
use wire::{Fields, Headers};

/// What a packet is or is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Predicate {
    Ip,
    Ipv4,
    Ipv6,
    Tcp,
    Udp,
    Sctp,
    Icmp,
    Icmpv6,
    Arp,
    Vlan,
    Mpls,
    Fragment,
}

/// Names of predicates, the canonical one of each first.
pub(super) const PREDICATES: [(&str, Predicate); 15] = [
    ("ip", Predicate::Ip),
    ("ip4", Predicate::Ipv4),
    ("ipv4", Predicate::Ipv4),
    ("ip6", Predicate::Ipv6),
    ("ipv6", Predicate::Ipv6),
    ("tcp", Predicate::Tcp),
    ("udp", Predicate::Udp),
    ("sctp", Predicate::Sctp),
    ("icmp", Predicate::Icmp),
    ("icmp6", Predicate::Icmpv6),
    ("icmpv6", Predicate::Icmpv6),
    ("arp", Predicate::Arp),
    ("vlan", Predicate::Vlan),
    ("mpls", Predicate::Mpls),
    ("fragment", Predicate::Fragment),
];

/// Where the headers of a packet are depends on these, whatever is asked of them.
const WALK: Fields = Fields::of(&[
    wire::Field::EtherType,
    wire::Field::Vlan,
    wire::Field::IpVersion,
    wire::Field::IpProto,
    wire::Field::IpFragment,
    wire::Field::IpOptions,
    wire::Field::IpLength,
    wire::Field::Length,
]);

impl Predicate {
    /// Nothing is asked but which headers there are.
    pub(super) fn reads(self) -> Fields {
        WALK
    }

    pub(super) fn name(self) -> &'static str {
        PREDICATES.iter().find(|known| known.1 == self).map_or("", |known| known.0)
    }

    #[inline]
    pub(super) fn holds(self, headers: &Headers) -> bool {
        let kind = headers.ether_type();
        match self {
            Self::Ip => headers.is_ip() || kind == ether_type::IPV4 || kind == ether_type::IPV6,
            Self::Ipv4 => headers.is_ipv4() || kind == ether_type::IPV4,
            Self::Ipv6 => headers.is_ipv6() || kind == ether_type::IPV6,
            Self::Tcp => headers.protocol() == Some(ip::TCP),
            Self::Udp => headers.protocol() == Some(ip::UDP),
            Self::Sctp => headers.protocol() == Some(ip::SCTP),
            Self::Icmp => headers.is_ipv4() && headers.protocol() == Some(ip::ICMP),
            Self::Icmpv6 => headers.is_ipv6() && headers.protocol() == Some(ip::ICMPV6),
            Self::Arp => kind == ether_type::ARP,
            Self::Vlan => headers.vlan_count() > 0,
            Self::Mpls => kind == ether_type::MPLS || kind == ether_type::MPLS_UPSTREAM,
            Self::Fragment => headers.is_fragment(),
        }
    }
}

/// Which of two fields of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Source,
    Destination,
    Either,
}

/// A field that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Address(Side),
    Mac(Side),
    /// Of this transport protocol, or of any with ports.
    Port(Side, Option<u8>),
    Protocol,
    Ttl,
    Dscp,
    TcpFlags,
    IcmpType,
    IcmpCode,
    Vlan,
    EtherType,
    Length,
}

pub(super) const FIELDS: [(&str, Field); 27] = [
    ("ip.src", Field::Address(Side::Source)),
    ("ip.dst", Field::Address(Side::Destination)),
    ("ip.addr", Field::Address(Side::Either)),
    ("ip.proto", Field::Protocol),
    ("ip.ttl", Field::Ttl),
    ("ip.dscp", Field::Dscp),
    ("sport", Field::Port(Side::Source, None)),
    ("dport", Field::Port(Side::Destination, None)),
    ("port", Field::Port(Side::Either, None)),
    ("tcp.sport", Field::Port(Side::Source, Some(ip::TCP))),
    ("tcp.dport", Field::Port(Side::Destination, Some(ip::TCP))),
    ("tcp.port", Field::Port(Side::Either, Some(ip::TCP))),
    ("udp.sport", Field::Port(Side::Source, Some(ip::UDP))),
    ("udp.dport", Field::Port(Side::Destination, Some(ip::UDP))),
    ("udp.port", Field::Port(Side::Either, Some(ip::UDP))),
    ("sctp.sport", Field::Port(Side::Source, Some(ip::SCTP))),
    ("sctp.dport", Field::Port(Side::Destination, Some(ip::SCTP))),
    ("sctp.port", Field::Port(Side::Either, Some(ip::SCTP))),
    ("tcp.flags", Field::TcpFlags),
    ("icmp.type", Field::IcmpType),
    ("icmp.code", Field::IcmpCode),
    ("vlan.id", Field::Vlan),
    ("eth.src", Field::Mac(Side::Source)),
    ("eth.dst", Field::Mac(Side::Destination)),
    ("eth.addr", Field::Mac(Side::Either)),
    ("eth.type", Field::EtherType),
    ("frame.len", Field::Length),
];

/// Flags of TCP by name, as bits.
pub(super) const TCP_FLAGS: [(&str, u8); 8] =
    [("fin", 1), ("syn", 2), ("rst", 4), ("psh", 8), ("ack", 16), ("urg", 32), ("ece", 64), ("cwr", 128)];

/// Protocols by name, where a number may stand.
pub(super) const PROTOCOLS: [(&str, u8); 8] = [
    ("tcp", ip::TCP),
    ("udp", ip::UDP),
    ("icmp", ip::ICMP),
    ("icmp6", ip::ICMPV6),
    ("sctp", ip::SCTP),
    ("gre", ip::GRE),
    ("esp", ip::ESP),
    ("ah", ip::AH),
];

impl Field {
    pub(super) fn name(self) -> &'static str {
        FIELDS.iter().find(|known| known.1 == self).map_or("", |known| known.0)
    }

    pub(super) fn reads(self) -> Fields {
        use wire::Field as Part;
        let sides = |side: Side, source: Part, destination: Part| match side {
            Side::Source => Fields::of(&[source]),
            Side::Destination => Fields::of(&[destination]),
            Side::Either => Fields::of(&[source, destination]),
        };
        let (asked, walks) = match self {
            // These are at the start of every frame.
            Self::Mac(side) => (sides(side, Part::EthSrc, Part::EthDst), false),
            Self::Length => (Fields::EMPTY, false),
            Self::Address(side) => (sides(side, Part::IpSrc, Part::IpDst), true),
            Self::Port(side, _) => (sides(side, Part::Sport, Part::Dport), true),
            Self::Ttl => (Fields::of(&[Part::IpTtl]), true),
            Self::Dscp => (Fields::of(&[Part::IpDscp]), true),
            Self::TcpFlags => (Fields::of(&[Part::TcpFlags]), true),
            Self::IcmpType | Self::IcmpCode => (Fields::of(&[Part::IcmpType]), true),
            Self::Protocol | Self::Vlan | Self::EtherType => (Fields::EMPTY, true),
        };
        asked.union(if walks { WALK } else { Fields::of(&[Part::Length]) })
    }

    /// Largest value of a field that is a number.
    pub(super) fn max(self) -> u32 {
        match self {
            Self::Port(..) | Self::EtherType => 0xffff,
            Self::Dscp => 63,
            Self::Vlan => 4095,
            Self::Length | Self::Address(_) | Self::Mac(_) => u32::MAX,
            Self::Protocol | Self::Ttl | Self::TcpFlags | Self::IcmpType | Self::IcmpCode => 255,
        }
    }

    /// The value of a field that is one number.
    #[inline]
    pub(super) fn number(self, frame: &[u8], length: usize, headers: &Headers) -> Option<u32> {
        match self {
            Self::Protocol => headers.protocol().map(u32::from),
            Self::Ttl => headers.ttl(frame).map(u32::from),
            Self::Dscp => headers.traffic_class(frame).map(|class| u32::from(class >> 2)),
            Self::TcpFlags => headers.tcp_flags(frame).map(u32::from),
            Self::IcmpType => headers.icmp_type_code(frame).map(|(kind, _)| kind.into()),
            Self::IcmpCode => headers.icmp_type_code(frame).map(|(_, code)| code.into()),
            Self::Vlan => headers.vlan().map(u32::from),
            // Below 14 bytes there is none.
            Self::EtherType => (frame.len() >= 14).then(|| headers.ether_type().into()),
            Self::Length => Some(u32::try_from(length).unwrap_or(u32::MAX)),
            Self::Address(_) | Self::Mac(_) | Self::Port(..) => None,
        }
    }
}
