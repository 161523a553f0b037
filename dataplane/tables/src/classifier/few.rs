//! Up to 32 rules: each is compared with the packets of a burst, eight at a time in a vector register. That takes no
//! table, misses no cache, and as long whatever the packets are.
use super::NONE;
use super::field::{FieldStats, Number};
use super::keys::{BURST, Column, Keys, kind};
use super::rule::{ICMP, IPV4, IPV6, Masked, Prefix, Rule, TCP};
use wide::u32x8;

/// Most rules that fit.
pub(super) const MOST: usize = 32;
/// Packets compared at once.
const LANES: usize = 8;

/// One lane per packet of a burst.
type Lanes = [u32x8; BURST / LANES];

/// What a condition is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    Source,
    Destination,
    Kind,
    SourcePort,
    DestinationPort,
    Vlan,
    Icmp,
    Tag,
}

/// What a rule asks of one field.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Condition {
    /// The bits of the mask are those of the value.
    Bits(About, Masked32),
    /// One of two.
    Either(About, Masked32, Masked32),
    /// From `first` on, `more` further numbers.
    Range { about: About, first: u32, more: u32 },
    /// An IPv6 address: source 0, destination 1; and how many of its lowest bits do not count.
    Wide { end: usize, network: u128, shift: u32 },
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Masked32 {
    value: u32,
    mask: u32,
}

impl Masked32 {
    const ANY: Self = Self { value: 0, mask: 0 };

    /// What both want; `None` when nothing can be both.
    fn and(self, other: Self) -> Option<Self> {
        let differs = (self.value ^ other.value) & self.mask & other.mask;
        let value = self.value & self.mask | other.value & other.mask;
        (differs == 0).then_some(Self { value, mask: self.mask | other.mask })
    }
}

/// A rule that some packet can match.
struct Entry {
    number: u32,
    conditions: Box<[Condition]>,
}

pub(super) struct Few {
    /// The last one first, so that what is found later takes precedence.
    entries: Box<[Entry]>,
}

impl Few {
    /// At most [`MOST`] rules.
    pub(super) fn build(rules: &[Rule]) -> Self {
        let entry = |(number, rule)| conditions(rule).map(|conditions| Entry { number, conditions });
        let mut entries: Vec<Entry> = (0..).zip(rules).filter_map(entry).collect();
        entries.reverse();
        Self { entries: entries.into() }
    }

    /// The first match of each key of a burst.
    pub(super) fn classify(&self, keys: &Keys, out: &mut [u32; BURST]) {
        let mut found = [u32x8::splat(NONE); BURST / LANES];
        for entry in &self.entries {
            let mut matching = [u32x8::splat(u32::MAX); BURST / LANES];
            for condition in &entry.conditions {
                condition.narrow(keys, &mut matching);
            }
            let number = u32x8::splat(entry.number);
            for (found, matching) in found.iter_mut().zip(matching) {
                *found = matching.select(number, *found);
            }
        }
        for (out, found) in out.chunks_exact_mut(LANES).zip(found) {
            out.copy_from_slice(&found.to_array());
        }
    }

    pub(super) fn stats(&self) -> impl Iterator<Item = FieldStats> + '_ {
        let fields = [
            ("source address", About::Source),
            ("destination address", About::Destination),
            ("ether type, protocol, tcp flags", About::Kind),
            (Number::SourcePort.name(), About::SourcePort),
            (Number::DestinationPort.name(), About::DestinationPort),
            (Number::Vlan.name(), About::Vlan),
            (Number::Icmp.name(), About::Icmp),
            (Number::Tag.name(), About::Tag),
        ];
        fields.into_iter().filter_map(|(name, about)| {
            let mut wanted: Vec<Condition> = vec![];
            let all = self.entries.iter().flat_map(|entry| &entry.conditions);
            let here: Vec<_> = all.filter(|condition| condition.about() == about).collect();
            for &condition in &here {
                if !wanted.contains(condition) {
                    wanted.push(*condition);
                }
            }
            let bytes = here.len() * size_of::<Condition>();
            (!here.is_empty()).then_some(FieldStats { name, classes: wanted.len(), bytes })
        })
    }
}

/// What a rule asks; `None` when no packet can match.
fn conditions(rule: &Rule) -> Option<Box<[Condition]>> {
    let mut conditions = vec![];
    let of_kind = |ether_type: Option<u16>, protocol: Masked, flags: Masked| Masked32 {
        value: kind(ether_type.unwrap_or(0), protocol.value, flags.value),
        mask: kind(ether_type.map_or(0, |_| u16::MAX), protocol.mask, flags.mask),
    };
    let protocol = |number| of_kind(None, Masked::exactly(number), Masked::ANY);
    let mut wanted = of_kind(rule.ether_type, rule.protocol, rule.tcp_flags);
    if rule.tcp_flags.mask != 0 {
        wanted = wanted.and(protocol(TCP))?;
    }
    for (end, about, prefix) in [(0, About::Source, rule.source), (1, About::Destination, rule.destination)] {
        let ether_type = match prefix {
            None => continue,
            Some(Prefix::V4(network, length)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0);
                conditions.push(Condition::Bits(about, Masked32 { value: network & mask, mask }));
                IPV4
            }
            Some(Prefix::V6(network, length)) => {
                let shift = 128 - u32::from(length.min(128));
                conditions.push(Condition::Wide { end, network, shift });
                IPV6
            }
        };
        wanted = wanted.and(of_kind(Some(ether_type), Masked::ANY, Masked::ANY))?;
    }
    let kinds = match rule.icmp {
        None => [Some(wanted), None],
        Some(_) => ICMP.map(|number| wanted.and(protocol(number))),
    };
    match kinds {
        [None, None] => return None,
        [Some(one), None] | [None, Some(one)] if one == Masked32::ANY => {}
        [Some(one), None] | [None, Some(one)] => conditions.push(Condition::Bits(About::Kind, one)),
        [Some(one), Some(other)] => conditions.push(Condition::Either(About::Kind, one, other)),
    }
    if rule.tag.mask != 0 {
        let (value, mask) = (rule.tag.value & rule.tag.mask, rule.tag.mask);
        let wanted = Masked32 { value: value.into(), mask: mask.into() };
        conditions.push(Condition::Bits(About::Tag, wanted));
    }
    for (number, about) in [
        (Number::SourcePort, About::SourcePort),
        (Number::DestinationPort, About::DestinationPort),
        (Number::Vlan, About::Vlan),
        (Number::Icmp, About::Icmp),
    ] {
        let span = number.span(rule);
        if span.0 > span.1 {
            return None;
        }
        if span.1 - span.0 < number.domain() - 1 {
            conditions.push(Condition::Range { about, first: span.0, more: span.1 - span.0 });
        }
    }
    Some(conditions.into())
}

impl Condition {
    fn about(&self) -> About {
        match *self {
            Self::Bits(about, _) | Self::Either(about, ..) | Self::Range { about, .. } => about,
            Self::Wide { end: 0, .. } => About::Source,
            Self::Wide { .. } => About::Destination,
        }
    }

    /// Of the packets in `matching` (all bits of their lane set) leaves those that meet the condition.
    #[inline(always)]
    fn narrow(&self, keys: &Keys, matching: &mut Lanes) {
        let meets = |value: u32x8, Masked32 { value: wanted, mask }: Masked32| {
            ((value ^ u32x8::splat(wanted)) & u32x8::splat(mask)).simd_eq(u32x8::splat(0))
        };
        match *self {
            Self::Bits(about, wanted) => {
                each(about.column(keys), matching, |value| meets(value, wanted));
            }
            Self::Either(about, one, other) => {
                each(about.column(keys), matching, |value| meets(value, one) | meets(value, other));
            }
            Self::Range { about, first, more } => {
                let (first, more) = (u32x8::splat(first), u32x8::splat(more));
                each(about.column(keys), matching, |value| {
                    let above = value - first;
                    above.min(more).simd_eq(above)
                });
            }
            Self::Wide { end, network, shift } => {
                let met: Column = std::array::from_fn(|i| {
                    let differs = (keys.wide[i][end] ^ network).checked_shr(shift).unwrap_or(0);
                    if keys.v6 >> i & 1 == 1 && differs == 0 { u32::MAX } else { 0 }
                });
                each(&met, matching, |met| met);
            }
        }
    }
}

/// Narrows each lane by what `meets` says of its value.
#[inline(always)]
fn each(column: &Column, matching: &mut Lanes, meets: impl Fn(u32x8) -> u32x8) {
    for (matching, values) in matching.iter_mut().zip(column.as_chunks().0) {
        *matching &= meets(u32x8::new(*values));
    }
}

impl About {
    #[inline(always)]
    fn column(self, keys: &Keys) -> &Column {
        match self {
            Self::Source => &keys.source,
            Self::Destination => &keys.destination,
            Self::Kind => &keys.kind,
            Self::SourcePort => &keys.source_port,
            Self::DestinationPort => &keys.destination_port,
            Self::Vlan => &keys.vlan,
            Self::Icmp => &keys.icmp,
            Self::Tag => &keys.tag,
        }
    }
}
