//! What a rule asks, and what it is asked of a packet.

/// Ether type of IPv4.
pub(super) const IPV4: u16 = 0x0800;
/// Ether type of IPv6.
pub(super) const IPV6: u16 = 0x86dd;
/// Protocol number of TCP.
pub(super) const TCP: u8 = 6;
/// Protocol numbers of ICMP and ICMPv6.
pub(super) const ICMP: [u8; 2] = [1, 58];

/// The fields of one packet that rules look at, in host order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Source address; IPv4 in the lowest 32 bits. Only read when `ether_type` is IPv4 or IPv6.
    pub source: u128,
    /// Destination address, like `source`.
    pub destination: u128,
    /// Source port; only read with `has_ports`.
    pub source_port: u16,
    /// Destination port; only read with `has_ports`.
    pub destination_port: u16,
    /// Ether type after VLAN tags.
    pub ether_type: u16,
    /// VLAN identifier of the outer tag, or [`Key::UNTAGGED`].
    pub vlan: u16,
    /// ICMP or ICMPv6 type in the upper, code in the lower byte; only read with `has_icmp`.
    pub icmp: u16,
    /// Protocol number of the transport header, 0 without IP.
    pub protocol: u8,
    /// What whoever asks knows of the packet besides its headers, such as the state of its connection.
    pub tag: u8,
    /// TCP flags, FIN being the lowest bit; only read with `has_ports` and protocol TCP.
    pub tcp_flags: u8,
    /// The transport header is there and has ports: not so in later fragments, ICMP and truncated packets.
    pub has_ports: bool,
    /// The ICMP or ICMPv6 header is there.
    pub has_icmp: bool,
}

impl Key {
    /// `vlan` of a frame without a tag.
    pub const UNTAGGED: u16 = 0xffff;

    /// An untagged IPv4 packet with ports.
    pub fn ipv4(
        source: u32,
        destination: u32,
        protocol: u8,
        source_port: u16,
        destination_port: u16,
    ) -> Self {
        let ether_type = IPV4;
        let (source, destination) = (source.into(), destination.into());
        Self { source, destination, protocol, source_port, destination_port, ether_type, ..Self::default() }
    }

    /// An untagged IPv6 packet with ports.
    pub fn ipv6(
        source: u128,
        destination: u128,
        protocol: u8,
        source_port: u16,
        destination_port: u16,
    ) -> Self {
        let ether_type = IPV6;
        Self { source, destination, protocol, source_port, destination_port, ether_type, ..Self::default() }
    }

    /// The packet is IPv4.
    #[inline]
    pub fn is_ipv4(&self) -> bool {
        self.ether_type == IPV4
    }

    /// The packet is IPv6.
    #[inline]
    pub fn is_ipv6(&self) -> bool {
        self.ether_type == IPV6
    }
}

impl Default for Key {
    /// Without a VLAN tag, everything else zero, with ports and without ICMP.
    fn default() -> Self {
        Self {
            source: 0,
            destination: 0,
            source_port: 0,
            destination_port: 0,
            ether_type: 0,
            vlan: Self::UNTAGGED,
            icmp: 0,
            protocol: 0,
            tag: 0,
            tcp_flags: 0,
            has_ports: true,
            has_icmp: false,
        }
    }
}

/// A prefix of IPv4 or IPv6 addresses. Bits of the network after the length are ignored; a length above that of
/// an address means all of its bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Prefix {
    /// IPv4 network in host order, and length up to 32.
    V4(u32, u8),
    /// IPv6 network in host order, and length up to 128.
    V6(u128, u8),
}

/// Ports or similar numbers, both ends included; empty when `low > high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PortRange {
    /// First.
    pub low: u16,
    /// Last.
    pub high: u16,
}

impl PortRange {
    /// Every port, and packets without ports.
    pub const ANY: Self = Self { low: 0, high: u16::MAX };

    /// Just one.
    pub const fn one(port: u16) -> Self {
        Self { low: port, high: port }
    }
}

/// A value and which of its bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Masked {
    /// The bits wanted; those outside the mask are ignored.
    pub value: u8,
    /// The bits that count.
    pub mask: u8,
}

impl Masked {
    /// Every value.
    pub const ANY: Self = Self { value: 0, mask: 0 };

    /// Just one.
    pub const fn exactly(value: u8) -> Self {
        Self { value, mask: 0xff }
    }

    /// Whether `value` has the bits wanted.
    pub const fn matches(self, value: u8) -> bool {
        (value ^ self.value) & self.mask == 0
    }
}

/// VLAN tags wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum VlanMatch {
    /// With any tag or none.
    #[default]
    Any,
    /// Without a tag.
    Untagged,
    /// With an identifier from the first to the last, both included.
    Range(u16, u16),
}

/// A rule: a packet matches when every field does. The default matches all packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// Ether type after VLAN tags.
    pub ether_type: Option<u16>,
    /// Source address; also that the packet is of the prefix's family.
    pub source: Option<Prefix>,
    /// Destination address; also that the packet is of the prefix's family.
    pub destination: Option<Prefix>,
    /// Source port; unless [`PortRange::ANY`], also that there are ports.
    pub source_port: PortRange,
    /// Destination port; unless [`PortRange::ANY`], also that there are ports.
    pub destination_port: PortRange,
    /// Protocol number.
    pub protocol: Masked,
    /// TCP flags; unless the mask is 0, also that the packet is TCP and has its header.
    pub tcp_flags: Masked,
    /// VLAN tag.
    pub vlan: VlanMatch,
    /// ICMP or ICMPv6 type and, if given, code; also that the packet is one of those and has its header.
    pub icmp: Option<(u8, Option<u8>)>,
    /// What whoever asks says of the packet. Where it is one bit of several, a value of 0 and a mask of the bits that
    /// are not wanted is a set.
    pub tag: Masked,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            ether_type: None,
            source: None,
            destination: None,
            source_port: PortRange::ANY,
            destination_port: PortRange::ANY,
            protocol: Masked::ANY,
            tcp_flags: Masked::ANY,
            vlan: VlanMatch::Any,
            icmp: None,
            tag: Masked::ANY,
        }
    }
}

impl Rule {
    /// Whether a packet matches: the definition that [`Classifier`](super::Classifier) is fast at.
    pub fn matches(&self, key: &Key) -> bool {
        let address = |wanted: Option<Prefix>, address: u128| match wanted {
            None => true,
            Some(Prefix::V4(network, length)) => {
                let differs = u128::from(network) ^ u128::from(address as u32);
                key.is_ipv4() && differs >> (32 - length.min(32)) == 0
            }
            Some(Prefix::V6(network, length)) => {
                let shift = 128 - u32::from(length.min(128));
                key.is_ipv6() && (network ^ address).checked_shr(shift).unwrap_or(0) == 0
            }
        };
        let port = |wanted: PortRange, port: u16| {
            wanted == PortRange::ANY || key.has_ports && (wanted.low..=wanted.high).contains(&port)
        };
        let flags = |wanted: Masked| {
            wanted.mask == 0 || key.protocol == TCP && key.has_ports && wanted.matches(key.tcp_flags)
        };
        let icmp = |wanted: Option<(u8, Option<u8>)>| {
            wanted.is_none_or(|(kind, code)| {
                let [key_kind, key_code] = key.icmp.to_be_bytes();
                let known = key.has_icmp && ICMP.contains(&key.protocol);
                known && kind == key_kind && code.is_none_or(|code| code == key_code)
            })
        };
        self.ether_type.is_none_or(|wanted| wanted == key.ether_type)
            && address(self.source, key.source)
            && address(self.destination, key.destination)
            && port(self.source_port, key.source_port)
            && port(self.destination_port, key.destination_port)
            && self.protocol.matches(key.protocol)
            && flags(self.tcp_flags)
            && match self.vlan {
                VlanMatch::Any => true,
                VlanMatch::Untagged => key.vlan > 4095,
                VlanMatch::Range(low, high) => key.vlan < 4096 && (low..=high).contains(&key.vlan),
            }
            && icmp(self.icmp)
            && self.tag.matches(key.tag)
    }
}
