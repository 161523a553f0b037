//! The fields of a packet, as sets: what an NF declares that it reads and writes.

mod mask;
#[cfg(test)]
mod tests;

use std::fmt;

pub use mask::mask;

/// One field of a packet. Every byte of every frame belongs to at least one ([`mask`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Field {
    /// Source MAC address.
    EthSrc,
    /// Destination MAC address.
    EthDst,
    /// EtherType after the VLAN tags (or the 802.3 length).
    EtherType,
    /// VLAN tags: identifiers and tag types.
    Vlan,
    /// Priority and drop-eligible bits of the VLAN tags.
    VlanPriority,
    /// All of an ARP message.
    Arp,
    /// Version of the IP header (4 bits).
    IpVersion,
    /// IP source address.
    IpSrc,
    /// IP destination address.
    IpDst,
    /// TTL or hop limit.
    IpTtl,
    /// DSCP (6 bits).
    IpDscp,
    /// ECN (2 bits).
    IpEcn,
    /// Identification, in IPv6 that of the fragment header.
    IpId,
    /// Fragment flags and offset; in IPv6 all of the fragment header but next header and identification.
    IpFragment,
    /// Protocol or next header, also those in extension headers.
    IpProto,
    /// IPv4 total length, IPv6 payload length.
    IpLength,
    /// IPv4 header checksum.
    IpChecksum,
    /// IPv4 options and the header length; IPv6 extension headers.
    IpOptions,
    /// IPv6 flow label (20 bits).
    Ipv6FlowLabel,
    /// Source port.
    Sport,
    /// Destination port.
    Dport,
    /// UDP length.
    L4Length,
    /// Checksum of TCP, UDP, ICMP, ICMPv6 or SCTP.
    L4Checksum,
    /// TCP sequence number.
    TcpSeq,
    /// TCP acknowledgement number.
    TcpAck,
    /// TCP flags and the reserved bits before them (12 bits).
    TcpFlags,
    /// TCP window.
    TcpWindow,
    /// TCP urgent pointer.
    TcpUrgent,
    /// TCP options and the data offset (4 bits).
    TcpOptions,
    /// ICMP type and code.
    IcmpType,
    /// Second word of the ICMP header: identifier and sequence number, MTU, pointer.
    IcmpRest,
    /// VXLAN network identifier; its bytes are of [`Payload`](Field::Payload) too.
    VxlanVni,
    /// MPLS label stack.
    MplsLabel,
    /// Everything after the headers that are known, padding too.
    Payload,
    /// The packet's length: no bytes of its own.
    Length,
}

impl Field {
    /// Every field, in order of its number.
    pub const ALL: [Field; 35] = {
        use Field::*;
        [
            EthSrc,
            EthDst,
            EtherType,
            Vlan,
            VlanPriority,
            Arp,
            IpVersion,
            IpSrc,
            IpDst,
            IpTtl,
            IpDscp,
            IpEcn,
            IpId,
            IpFragment,
            IpProto,
            IpLength,
            IpChecksum,
            IpOptions,
            Ipv6FlowLabel,
            Sport,
            Dport,
            L4Length,
            L4Checksum,
            TcpSeq,
            TcpAck,
            TcpFlags,
            TcpWindow,
            TcpUrgent,
            TcpOptions,
            IcmpType,
            IcmpRest,
            VxlanVni,
            MplsLabel,
            Payload,
            Length,
        ]
    };

    /// The name in snake case, as in declarations and reports.
    pub const fn name(self) -> &'static str {
        use Field::*;
        match self {
            EthSrc => "eth_src",
            EthDst => "eth_dst",
            EtherType => "ether_type",
            Vlan => "vlan",
            VlanPriority => "vlan_priority",
            Arp => "arp",
            IpVersion => "ip_version",
            IpSrc => "ip_src",
            IpDst => "ip_dst",
            IpTtl => "ip_ttl",
            IpDscp => "ip_dscp",
            IpEcn => "ip_ecn",
            IpId => "ip_id",
            IpFragment => "ip_fragment",
            IpProto => "ip_proto",
            IpLength => "ip_length",
            IpChecksum => "ip_checksum",
            IpOptions => "ip_options",
            Ipv6FlowLabel => "ipv6_flow_label",
            Sport => "sport",
            Dport => "dport",
            L4Length => "l4_length",
            L4Checksum => "l4_checksum",
            TcpSeq => "tcp_seq",
            TcpAck => "tcp_ack",
            TcpFlags => "tcp_flags",
            TcpWindow => "tcp_window",
            TcpUrgent => "tcp_urgent",
            TcpOptions => "tcp_options",
            IcmpType => "icmp_type",
            IcmpRest => "icmp_rest",
            VxlanVni => "vxlan_vni",
            MplsLabel => "mpls_label",
            Payload => "payload",
            Length => "length",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of [`Field`]s.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Fields(u64);

impl Fields {
    /// No field.
    pub const EMPTY: Fields = Fields(0);
    /// Every field.
    pub const ALL: Fields = Fields::of(&Field::ALL);
    /// Those that say where others are.
    pub const STRUCTURE: Fields = Fields::of(&[
        Field::EtherType,
        Field::Vlan,
        Field::IpVersion,
        Field::IpFragment,
        Field::IpProto,
        Field::IpLength,
        Field::IpOptions,
        Field::L4Length,
        Field::TcpOptions,
    ]);

    /// The set of these fields.
    pub const fn of(fields: &[Field]) -> Fields {
        let mut bits = 0;
        let mut i = 0;
        while i < fields.len() {
            bits |= 1 << fields[i] as u8;
            i += 1;
        }
        Fields(bits)
    }

    /// What is in either.
    #[must_use]
    pub const fn union(self, other: Fields) -> Fields {
        Fields(self.0 | other.0)
    }

    /// What is in both.
    #[must_use]
    pub const fn intersection(self, other: Fields) -> Fields {
        Fields(self.0 & other.0)
    }

    /// What is here and not in `other`.
    #[must_use]
    pub const fn without(self, other: Fields) -> Fields {
        Fields(self.0 & !other.0)
    }

    /// This set and one more field.
    #[must_use]
    pub const fn with(self, field: Field) -> Fields {
        Fields(self.0 | 1 << field as u8)
    }

    /// Whether `field` is in the set.
    pub const fn contains(self, field: Field) -> bool {
        self.0 & 1 << field as u8 != 0
    }

    /// Whether all of `other` is in the set.
    pub const fn includes(self, other: Fields) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether the sets have a field in common.
    pub const fn intersects(self, other: Fields) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether no field is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The fields, in order.
    pub fn iter(self) -> impl Iterator<Item = Field> {
        Field::ALL.into_iter().filter(move |&field| self.contains(field))
    }
}

impl FromIterator<Field> for Fields {
    fn from_iter<I: IntoIterator<Item = Field>>(fields: I) -> Fields {
        fields.into_iter().fold(Fields::EMPTY, Fields::with)
    }
}

impl std::ops::BitOr for Fields {
    type Output = Fields;

    fn bitor(self, other: Fields) -> Fields {
        self.union(other)
    }
}

/// Names joined by a comma and a space; `none` for the empty set.
impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        for (i, field) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            f.write_str(field.name())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
