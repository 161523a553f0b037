//! A field and the values that are wanted of it.
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use wire::{Headers, Mac};

use super::field::{Field, Side, TCP_FLAGS};

/// Values from the first to the last.
pub(super) type Interval<T> = (T, T);

/// Comparison of a field with values; false when the packet has no such field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Comparison {
    pub(super) field: Field,
    /// None of the values, instead of one of them.
    pub(super) negated: bool,
    pub(super) values: Values,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Values {
    Numbers(Vec<Interval<u32>>),
    Addresses {
        v4: Vec<Interval<u32>>,
        v6: Vec<Interval<u128>>,
    },
    Macs(Vec<Interval<u64>>),
    /// All of these bits.
    Flags(u8),
}

#[inline]
fn any<T: PartialOrd>(values: &[Interval<T>], value: &T) -> bool {
    values.iter().any(|(first, last)| first <= value && value <= last)
}

#[inline]
fn sides<T: PartialOrd>(side: Side, values: &[Interval<T>], (source, destination): (T, T)) -> bool {
    match side {
        Side::Source => any(values, &source),
        Side::Destination => any(values, &destination),
        Side::Either => any(values, &source) || any(values, &destination),
    }
}

impl Comparison {
    #[inline]
    pub(super) fn holds(&self, frame: &[u8], length: usize, headers: &Headers) -> bool {
        self.meets(frame, length, headers).is_some_and(|meets| meets != self.negated)
    }

    /// Whether the field has one of the values; `None` without the field.
    #[inline]
    fn meets(&self, frame: &[u8], length: usize, headers: &Headers) -> Option<bool> {
        match (&self.values, self.field) {
            (Values::Addresses { v4, v6 }, Field::Address(side)) => {
                if let Some(addresses) = headers.ipv4_addresses(frame) {
                    return Some(sides(side, v4, addresses));
                }
                headers.ipv6_addresses(frame).map(|addresses| sides(side, v6, addresses))
            }
            (Values::Macs(values), Field::Mac(side)) => {
                let mac = |at: usize| {
                    let bytes = frame.get(at..at + 6)?;
                    Some(bytes.iter().fold(0, |mac, &byte| mac << 8 | u64::from(byte)))
                };
                Some(sides(side, values, (mac(6)?, mac(0)?)))
            }
            (Values::Numbers(values), Field::Port(side, protocol)) => {
                if protocol.is_some() && headers.protocol() != protocol {
                    return None;
                }
                let (source, destination) = headers.ports(frame)?;
                Some(sides(side, values, (source.into(), destination.into())))
            }
            (Values::Numbers(values), field) => Some(any(values, &field.number(frame, length, headers)?)),
            (Values::Flags(wanted), field) => {
                Some(field.number(frame, length, headers)? & u32::from(*wanted) == u32::from(*wanted))
            }
            (Values::Addresses { .. } | Values::Macs(_), _) => None,
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.field.name();
        let values: Vec<(String, bool)> = match &self.values {
            Values::Flags(wanted) => {
                let flags: Vec<&str> =
                    TCP_FLAGS.iter().filter(|flag| flag.1 & wanted != 0).map(|flag| flag.0).collect();
                return match flags[..] {
                    [one] => write!(f, "{name} has {one}"),
                    _ => write!(f, "{name} has {{{}}}", flags.join(", ")),
                };
            }
            Values::Numbers(values) => {
                let max = self.field.max();
                match values[..] {
                    [(0, last)] if !self.negated && last > 0 && last < max => {
                        return write!(f, "{name} <= {last}");
                    }
                    [(first, last)] if !self.negated && first > 0 && first < max && last == max => {
                        return write!(f, "{name} >= {first}");
                    }
                    _ => {}
                }
                let hex = self.field == Field::EtherType;
                let text = |&number: &u32| if hex { format!("{number:#06x}") } else { number.to_string() };
                values.iter().map(|value| range(value, "..", text)).collect()
            }
            Values::Macs(values) => values.iter().map(|value| range(value, "..", mac)).collect(),
            Values::Addresses { v4, v6 } => {
                let v4 = v4.iter().map(|&(first, last)| {
                    let (wide, last_wide) = (u128::from(first), u128::from(last));
                    addresses(wide, last_wide, 32, |address| Ipv4Addr::from(address as u32).to_string())
                });
                let v6 = v6.iter().map(|&(first, last)| {
                    addresses(first, last, 128, |address| Ipv6Addr::from(address).to_string())
                });
                v4.chain(v6).collect()
            }
        };
        match (&values[..], self.negated) {
            ([(one, true)], false) => write!(f, "{name} == {one}"),
            ([(one, true)], true) => write!(f, "{name} != {one}"),
            (values, negated) => {
                let word = if negated { "not in" } else { "in" };
                match values {
                    [(one, false)] => write!(f, "{name} {word} {one}"),
                    values => {
                        let texts: Vec<&str> = values.iter().map(|(text, _)| text.as_str()).collect();
                        write!(f, "{name} {word} {{{}}}", texts.join(", "))
                    }
                }
            }
        }
    }
}

/// The text of an interval, and whether it is a single value.
fn range<T: PartialEq>(interval: &Interval<T>, between: &str, text: impl Fn(&T) -> String) -> (String, bool) {
    let (first, last) = interval;
    if first == last {
        return (text(first), true);
    }
    (format!("{}{between}{}", text(first), text(last)), false)
}

/// As [`range`] for addresses of this many bits; a prefix where it is one.
fn addresses(first: u128, last: u128, bits: u32, text: impl Fn(u128) -> String) -> (String, bool) {
    let size = last - first;
    let aligned = size & size.wrapping_add(1) == 0 && first & size == 0;
    if size > 0 && aligned {
        return (format!("{}/{}", text(first), bits - size.count_ones()), false);
    }
    range(&(first, last), "-", |&address| text(address))
}

fn mac(mac: &u64) -> String {
    let [_, _, bytes @ ..] = mac.to_be_bytes();
    Mac(bytes).to_string()
}
