//! The fields of a key and what rules want of each.
use super::class::Span;
use super::keys::{ABSENT, Column, Keys, UNTAGGED};
use super::rule::{ICMP, PortRange, Prefix, Rule, TCP, VlanMatch};

/// Fields that rules can use: two addresses and the numbers.
pub(super) const FIELDS: usize = 2 + Number::ALL.len();
/// A field that is a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    SourcePort,
    DestinationPort,
    Protocol,
    TcpFlags,
    Vlan,
    EtherType,
    Icmp,
    Tag,
}

impl Number {
    pub(super) const ALL: [Self; 8] = [
        Self::SourcePort,
        Self::DestinationPort,
        Self::Protocol,
        Self::TcpFlags,
        Self::Vlan,
        Self::EtherType,
        Self::Icmp,
        Self::Tag,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::SourcePort => "source port",
            Self::DestinationPort => "destination port",
            Self::Protocol => "protocol",
            Self::TcpFlags => "tcp flags",
            Self::Vlan => "vlan",
            Self::EtherType => "ether type",
            Self::Icmp => "icmp",
            Self::Tag => "tag",
        }
    }

    /// One more than the largest number.
    pub(super) fn domain(self) -> u32 {
        match self {
            Self::SourcePort | Self::DestinationPort | Self::Icmp => ABSENT + 1,
            Self::EtherType => 1 << 16,
            Self::Vlan => UNTAGGED + 1,
            Self::Protocol | Self::TcpFlags | Self::Tag => 256,
        }
    }

    /// One byte, wanted by value and mask; else wanted from a first to a last.
    pub(super) fn is_byte(self) -> bool {
        matches!(self, Self::Protocol | Self::TcpFlags | Self::Tag)
    }

    /// Every rule matches whatever the number is.
    pub(super) fn is_unused(self, rules: &[Rule]) -> bool {
        if self.is_byte() {
            return rules.iter().all(|rule| self.bytes(rule) == [u64::MAX; 4]);
        }
        rules.iter().all(|rule| self.span(rule) == Span(0, self.domain() - 1))
    }

    /// The number in each key of a burst.
    #[inline]
    pub(super) fn column(self, keys: &Keys) -> Column {
        match self {
            Self::SourcePort => keys.source_port,
            Self::DestinationPort => keys.destination_port,
            Self::Protocol => keys.kind.map(|kind| kind >> 8 & 0xff),
            Self::TcpFlags => keys.kind.map(|kind| kind & 0xff),
            Self::Vlan => keys.vlan,
            Self::EtherType => keys.kind.map(|kind| kind >> 16),
            Self::Icmp => keys.icmp,
            Self::Tag => keys.tag,
        }
    }

    /// What a rule wants of a field that is not one byte.
    pub(super) fn span(self, rule: &Rule) -> Span {
        let ports = |range: PortRange| match range {
            // Flags are only known where ports are.
            PortRange::ANY if rule.tcp_flags.mask != 0 => Span(0, ABSENT - 1),
            PortRange::ANY => Span(0, ABSENT),
            range => Span(range.low.into(), range.high.into()),
        };
        match self {
            Self::SourcePort => ports(rule.source_port),
            Self::DestinationPort => ports(rule.destination_port),
            Self::Vlan => match rule.vlan {
                VlanMatch::Any => Span(0, UNTAGGED),
                VlanMatch::Untagged => Span(UNTAGGED, UNTAGGED),
                VlanMatch::Range(low, high) => Span(low.into(), u32::from(high).min(UNTAGGED - 1)),
            },
            Self::EtherType => rule.ether_type.map_or(Span(0, ABSENT - 1), |t| Span(t.into(), t.into())),
            Self::Icmp => rule.icmp.map_or(Span(0, ABSENT), |(kind, code)| {
                let at = |code| u32::from(u16::from_be_bytes([kind, code]));
                Span(at(code.unwrap_or(0)), at(code.unwrap_or(u8::MAX)))
            }),
            Self::Protocol | Self::TcpFlags | Self::Tag => Span(0, 255),
        }
    }

    /// What a rule wants of a field that is one byte: one bit per value.
    pub(super) fn bytes(self, rule: &Rule) -> [u64; 4] {
        let protocol = |value: u8| {
            rule.protocol.matches(value)
                && (rule.tcp_flags.mask == 0 || value == TCP)
                && (rule.icmp.is_none() || ICMP.contains(&value))
        };
        let mut wanted = [0; 4];
        for value in 0..=u8::MAX {
            let matches = match self {
                Self::Protocol => protocol(value),
                Self::Tag => rule.tag.matches(value),
                _ => rule.tcp_flags.matches(value),
            };
            wanted[usize::from(value) / 64] |= u64::from(matches) << (value % 64);
        }
        wanted
    }
}

/// One of the two addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Source,
    Destination,
}

/// The prefixes that rules want of an address, each with the rule's number.
pub(super) struct Prefixes {
    pub(super) v4: Vec<(u32, u32, u8)>,
    pub(super) v6: Vec<(u32, u128, u8)>,
    /// Rules that take any address, or none.
    pub(super) anywhere: Vec<u32>,
}

impl End {
    pub(super) const ALL: [Self; 2] = [Self::Source, Self::Destination];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Source => "source address",
            Self::Destination => "destination address",
        }
    }

    /// `None` when every rule takes any address.
    pub(super) fn prefixes(self, rules: &[Rule]) -> Option<Prefixes> {
        let mut prefixes = Prefixes { v4: vec![], v6: vec![], anywhere: vec![] };
        for (number, rule) in (0..).zip(rules) {
            match if self == Self::Source { rule.source } else { rule.destination } {
                None => prefixes.anywhere.push(number),
                Some(Prefix::V4(network, length)) => prefixes.v4.push((number, network, length.min(32))),
                Some(Prefix::V6(network, length)) => prefixes.v6.push((number, network, length.min(128))),
            }
        }
        (prefixes.anywhere.len() < rules.len()).then_some(prefixes)
    }
}

/// What a field of a [`Classifier`](super::Classifier) takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldStats {
    /// Which field.
    pub name: &'static str,
    /// Number of classes; in a set of up to 32 rules, which has none, of different values wanted.
    pub classes: usize,
    /// Memory in bytes.
    pub bytes: usize,
}
