//! What can be wrong with a packet's headers.

use std::fmt;

/// The first thing found wrong in a packet; its [`name`](Malformed::name) is used as a drop reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Malformed {
    /// Fewer than 14 bytes.
    EthernetTruncated = 1,
    /// A VLAN tag is cut off.
    VlanTruncated,
    /// More than [`crate::headers::MAX_VLANS`] tags.
    TooManyVlans,
    /// ARP for IPv4 over Ethernet needs 28 bytes.
    ArpTruncated,
    /// ARP for something else than IPv4 over Ethernet.
    ArpBadFormat,
    /// The PPPoE session or PPP header is cut off.
    PppoeTruncated,
    /// PPPoE version, type or code is not that of a session (RFC 2516 section 4).
    PppoeBadHeader,
    /// The label stack has no bottom within the frame.
    MplsTruncated,
    /// The IPv4 header or its options are cut off.
    Ipv4Truncated,
    /// EtherType says IPv4, the version field does not.
    Ipv4BadVersion,
    /// Header length under 20 bytes.
    Ipv4BadHeaderLength,
    /// Total length smaller than the header.
    Ipv4BadTotalLength,
    /// Total length exceeds the frame: the end was lost, or never captured.
    Ipv4PayloadTruncated,
    /// An IPv4 option has a length under 2, or past the header.
    Ipv4BadOption,
    /// The IPv6 header is cut off.
    Ipv6Truncated,
    /// EtherType says IPv6, the version field does not.
    Ipv6BadVersion,
    /// Payload length exceeds the frame: the end was lost, or never captured.
    Ipv6PayloadTruncated,
    /// An extension header runs past the payload or the frame.
    Ipv6ExtensionTruncated,
    /// More than [`crate::headers::MAX_EXTENSIONS`] extension headers.
    TooManyExtensions,
    /// The TCP header or its options are cut off.
    TcpTruncated,
    /// TCP data offset under 20 bytes, or past the end of the IP packet.
    TcpBadDataOffset,
    /// A TCP option has a length under 2, wrong for its kind, or past the header.
    TcpBadOption,
    /// The UDP header is cut off.
    UdpTruncated,
    /// UDP length under 8 bytes, or more than the IP packet holds.
    UdpBadLength,
    /// Fewer than 8 bytes of ICMP or ICMPv6.
    IcmpTruncated,
    /// Fewer than 12 bytes of SCTP.
    SctpTruncated,
    /// The VXLAN header is cut off.
    VxlanTruncated,
    /// VXLAN without the flag that says the VNI is valid (RFC 7348 section 5).
    VxlanBadFlags,
}

impl Malformed {
    /// Every variant, in order of its number.
    pub const ALL: [Malformed; 28] = {
        use Malformed::*;
        [
            EthernetTruncated,
            VlanTruncated,
            TooManyVlans,
            ArpTruncated,
            ArpBadFormat,
            PppoeTruncated,
            PppoeBadHeader,
            MplsTruncated,
            Ipv4Truncated,
            Ipv4BadVersion,
            Ipv4BadHeaderLength,
            Ipv4BadTotalLength,
            Ipv4PayloadTruncated,
            Ipv4BadOption,
            Ipv6Truncated,
            Ipv6BadVersion,
            Ipv6PayloadTruncated,
            Ipv6ExtensionTruncated,
            TooManyExtensions,
            TcpTruncated,
            TcpBadDataOffset,
            TcpBadOption,
            UdpTruncated,
            UdpBadLength,
            IcmpTruncated,
            SctpTruncated,
            VxlanTruncated,
            VxlanBadFlags,
        ]
    };

    /// The variant of this number: what [`Headers`](crate::Headers) keep of it.
    #[inline]
    pub(super) fn from_number(number: u8) -> Option<Malformed> {
        Malformed::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }

    /// The name in snake case, as it appears in counters.
    pub const fn name(self) -> &'static str {
        use Malformed::*;
        match self {
            EthernetTruncated => "ethernet_truncated",
            VlanTruncated => "vlan_truncated",
            TooManyVlans => "too_many_vlans",
            ArpTruncated => "arp_truncated",
            ArpBadFormat => "arp_bad_format",
            PppoeTruncated => "pppoe_truncated",
            PppoeBadHeader => "pppoe_bad_header",
            MplsTruncated => "mpls_truncated",
            Ipv4Truncated => "ipv4_truncated",
            Ipv4BadVersion => "ipv4_bad_version",
            Ipv4BadHeaderLength => "ipv4_bad_header_length",
            Ipv4BadTotalLength => "ipv4_bad_total_length",
            Ipv4PayloadTruncated => "ipv4_payload_truncated",
            Ipv4BadOption => "ipv4_bad_option",
            Ipv6Truncated => "ipv6_truncated",
            Ipv6BadVersion => "ipv6_bad_version",
            Ipv6PayloadTruncated => "ipv6_payload_truncated",
            Ipv6ExtensionTruncated => "ipv6_extension_truncated",
            TooManyExtensions => "too_many_extensions",
            TcpTruncated => "tcp_truncated",
            TcpBadDataOffset => "tcp_bad_data_offset",
            TcpBadOption => "tcp_bad_option",
            UdpTruncated => "udp_truncated",
            UdpBadLength => "udp_bad_length",
            IcmpTruncated => "icmp_truncated",
            SctpTruncated => "sctp_truncated",
            VxlanTruncated => "vxlan_truncated",
            VxlanBadFlags => "vxlan_bad_flags",
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::error::Error for Malformed {}
