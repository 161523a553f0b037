//! The header of a rule: action, protocol, addresses, ports, direction.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::span::Span;
use crate::{
    buffer::Application,
    refusal::{Kind, Refusal},
    rule::{Action, Endpoint, Protocol},
    sets::{AddressSet, PortSet},
    vars::Vars,
};

/// How deep groups and variables may be nested.
const DEEPEST: usize = 16;

/// A header.
pub(crate) struct Header {
    pub action: Action,
    pub protocol: Protocol,
    pub source: Endpoint,
    pub destination: Endpoint,
    pub both_ways: bool,
}

/// Reads `alert tcp any any -> any any`.
pub(crate) fn parse(span: Span<'_>, vars: &Vars) -> Result<Header, Refusal> {
    let words = words(span)?;
    let [action, protocol, from, from_ports, direction, to, to_ports] = words[..] else {
        let message = format!("a header has seven parts, this one has {}", words.len());
        return Err(span.refuse("rule", Kind::Syntax, message));
    };
    let both_ways = match direction.bytes {
        b"->" => false,
        b"<>" => true,
        _ => return Err(direction.bad("direction", format!("\"{}\" is neither -> nor <>", direction.text()))),
    };
    Ok(Header {
        action: action_of(action)?,
        protocol: protocol_of(protocol)?,
        source: endpoint(from, from_ports, vars)?,
        destination: endpoint(to, to_ports, vars)?,
        both_ways,
    })
}

/// The parts between blanks; blanks within a group do not count.
fn words(span: Span<'_>) -> Result<Vec<Span<'_>>, Refusal> {
    let (mut words, mut begin, mut depth) = (Vec::new(), None, 0_usize);
    for (at, &byte) in span.bytes.iter().enumerate() {
        match byte {
            b'[' => depth += 1,
            b']' => {
                depth = depth
                    .checked_sub(1)
                    .ok_or_else(|| span.skip(at).refuse("rule", Kind::Syntax, "] without ["))?;
            }
            _ => {}
        }
        match begin {
            Some(from) if byte.is_ascii_whitespace() && depth == 0 => {
                words.push(span.take(at).skip(from));
                begin = None;
            }
            None if !byte.is_ascii_whitespace() => begin = Some(at),
            _ => {}
        }
    }
    if depth > 0 {
        return Err(span.refuse("rule", Kind::Syntax, "a [ is not closed"));
    }
    words.extend(begin.map(|from| span.skip(from)));
    Ok(words)
}

fn action_of(span: Span<'_>) -> Result<Action, Refusal> {
    let lower = span.text().to_ascii_lowercase();
    Ok(match lower.as_str() {
        "alert" => Action::Alert,
        "drop" => Action::Drop,
        "pass" => Action::Pass,
        "reject" | "rejectsrc" | "rejectdst" | "rejectboth" | "config" | "log" | "activate" | "dynamic"
        | "sdrop" => {
            let message = format!("\"{lower}\" is not in the subset: alert, drop and pass are");
            return Err(span.refuse("action", Kind::Unsupported, message));
        }
        _ => return Err(span.bad("action", format!("\"{lower}\" is no action: alert, drop and pass are"))),
    })
}

fn protocol_of(span: Span<'_>) -> Result<Protocol, Refusal> {
    let lower = span.text().to_ascii_lowercase();
    Ok(match lower.as_str() {
        "ip" | "any" => Protocol::Ip,
        "ipv4" | "ip4" => Protocol::Ipv4,
        "ipv6" | "ip6" => Protocol::Ipv6,
        "tcp" => Protocol::Tcp,
        "tcp-pkt" => Protocol::TcpPacket,
        "tcp-stream" => Protocol::TcpStream,
        "udp" => Protocol::Udp,
        "icmp" => Protocol::Icmp,
        "icmpv4" => Protocol::Icmpv4,
        "icmpv6" => Protocol::Icmpv6,
        "sctp" => Protocol::Sctp,
        "http" | "http1" => Protocol::Application(Application::Http),
        "tls" | "ssl" => Protocol::Application(Application::Tls),
        "dns" => Protocol::Application(Application::Dns),
        _ => {
            return Err(span.refuse(
                "protocol",
                Kind::Unsupported,
                format!("\"{lower}\" is not in the subset"),
            ));
        }
    })
}

fn endpoint(from: Span<'_>, from_ports: Span<'_>, vars: &Vars) -> Result<Endpoint, Refusal> {
    let (addresses, negated) = addresses(from, vars, 0)?;
    let ports = ports(from_ports, vars, 0)?;
    Ok(Endpoint { addresses, negated, ports })
}

/// What addresses and ports have in common.
trait Set: Sized {
    const WHAT: &'static str;
    fn none() -> Self;
    fn any() -> Self;
    fn is_none(&self) -> bool;
    fn union(&self, other: &Self) -> Self;
    fn without(&self, other: &Self) -> Self;
    fn complement(&self) -> Self;
    fn one(span: Span<'_>) -> Result<Self, Refusal>;
}

/// A set as a rule writes it, and whether a negation is in it. It is never empty.
fn set<S: Set>(span: Span<'_>, vars: &Vars, depth: usize) -> Result<(S, bool), Refusal> {
    let (found, negated) = maybe_empty::<S>(span, vars, depth)?;
    if found.is_none() {
        return Err(span.bad(S::WHAT, format!("no {} is left", S::WHAT)));
    }
    Ok((found, negated))
}

fn maybe_empty<S: Set>(span: Span<'_>, vars: &Vars, depth: usize) -> Result<(S, bool), Refusal> {
    if depth > DEEPEST {
        return Err(span.bad(S::WHAT, format!("groups or variables nested deeper than {DEEPEST}")));
    }
    let span = span.trim();
    if span.is_empty() {
        return Err(span.bad(S::WHAT, "empty"));
    }
    if let Some(list) = split_group(span)? {
        let (mut with, mut without) = (None::<S>, None::<S>);
        let mut negated = false;
        for item in list {
            let (side, inner) = match item.strip(b"!") {
                Some(inner) => (&mut without, inner),
                None => (&mut with, item),
            };
            negated |= item.bytes.starts_with(b"!");
            let (more, inner_negated) = set::<S>(inner, vars, depth + 1)?;
            negated |= inner_negated;
            *side = Some(side.as_ref().unwrap_or(&S::none()).union(&more));
        }
        let with = with.unwrap_or_else(S::any);
        return Ok((without.map_or(with.union(&S::none()), |without| with.without(&without)), negated));
    }
    if let Some(inner) = span.strip(b"!") {
        let (inner, _) = set::<S>(inner, vars, depth + 1)?;
        return Ok((inner.complement(), true));
    }
    if let Some(name) = span.strip(b"$") {
        let Some(value) = vars.get(&name.text()) else {
            return Err(span.bad(S::WHAT, format!("there is no variable {}", span.text())));
        };
        let inside = Span { bytes: value.as_bytes(), at: 0 };
        return set::<S>(inside, vars, depth + 1).map_err(|mut refusal| {
            refusal.column = span.at + 1;
            refusal.message = format!("in {}: {}", span.text(), refusal.message);
            refusal
        });
    }
    if span.bytes.eq_ignore_ascii_case(b"any") {
        return Ok((S::any(), false));
    }
    S::one(span).map(|set| (set, false))
}

/// The items of a group, or of a list without brackets; nothing if it is neither.
fn split_group(span: Span<'_>) -> Result<Option<Vec<Span<'_>>>, Refusal> {
    let unbalanced = || span.refuse("rule", Kind::Syntax, "[ and ] do not pair up");
    let (mut depth, mut commas, mut closed_at) = (0_usize, Vec::new(), None);
    let bracketed = span.bytes.starts_with(b"[");
    for (at, &byte) in span.bytes.iter().enumerate() {
        match byte {
            b'[' => depth += 1,
            b']' => {
                depth = depth.checked_sub(1).ok_or_else(unbalanced)?;
                if depth == 0 && closed_at.is_none() {
                    closed_at = Some(at);
                }
            }
            b',' => commas.push((at, depth)),
            _ => {}
        }
    }
    if depth > 0 {
        return Err(unbalanced());
    }
    let whole = bracketed && closed_at == Some(span.bytes.len() - 1);
    let level = usize::from(whole);
    let inner = if whole { span.take(span.bytes.len() - 1).skip(1) } else { span };
    let cuts: Vec<usize> =
        commas.iter().filter(|&&(_, depth)| depth == level).map(|&(at, _)| at - level).collect();
    if !whole && cuts.is_empty() {
        return Ok(None);
    }
    let mut items = Vec::with_capacity(cuts.len() + 1);
    let mut from = 0;
    for cut in cuts {
        items.push(inner.take(cut).skip(from).trim());
        from = cut + 1;
    }
    items.push(inner.skip(from).trim());
    Ok(Some(items))
}

/// Addresses, and whether a negation is among them.
pub(crate) fn addresses(span: Span<'_>, vars: &Vars, depth: usize) -> Result<(AddressSet, bool), Refusal> {
    set(span, vars, depth)
}

/// Ports.
pub(crate) fn ports(span: Span<'_>, vars: &Vars, depth: usize) -> Result<PortSet, Refusal> {
    set(span, vars, depth).map(|(set, _)| set)
}

macro_rules! delegate {
    ($set:ty) => {
        fn none() -> Self {
            <$set>::none()
        }
        fn any() -> Self {
            <$set>::any()
        }
        fn is_none(&self) -> bool {
            <$set>::is_none(self)
        }
        fn union(&self, other: &Self) -> Self {
            <$set>::union(self, other)
        }
        fn without(&self, other: &Self) -> Self {
            <$set>::without(self, other)
        }
        fn complement(&self) -> Self {
            <$set>::complement(self)
        }
    };
}

impl Set for AddressSet {
    const WHAT: &'static str = "address";
    delegate!(AddressSet);

    fn one(span: Span<'_>) -> Result<Self, Refusal> {
        let text = span.text();
        let bad =
            || span.bad("address", format!("\"{text}\" is no address, network, range, group or variable"));
        if let Some((low, high)) = text.split_once('-') {
            let (low, high) = (low.trim(), high.trim());
            if let (Ok(low), Ok(high)) = (low.parse::<Ipv4Addr>(), high.parse::<Ipv4Addr>()) {
                let (low, high) = (low.to_bits(), high.to_bits());
                return if low <= high { Ok(Self::v4(low, high)) } else { Err(bad()) };
            }
            let (low, high): (Ipv6Addr, Ipv6Addr) =
                (low.parse().map_err(|_| bad())?, high.parse().map_err(|_| bad())?);
            let (low, high) = (low.to_bits(), high.to_bits());
            return if low <= high { Ok(Self::v6(low, high)) } else { Err(bad()) };
        }
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address.trim(), Some(length.trim())),
            None => (&*text, None),
        };
        if let Ok(address) = address.parse::<Ipv4Addr>() {
            let mask = match length {
                None => u32::MAX,
                Some(length) => match (length.parse::<u32>(), length.parse::<Ipv4Addr>()) {
                    (Ok(length @ 0..=32), _) => u32::MAX.checked_shl(32 - length).unwrap_or(0),
                    (_, Ok(mask))
                        if mask.to_bits().leading_ones() + mask.to_bits().trailing_zeros() >= 32 =>
                    {
                        mask.to_bits()
                    }
                    _ => return Err(bad()),
                },
            };
            let low = address.to_bits() & mask;
            return Ok(Self::v4(low, low | !mask));
        }
        let address: Ipv6Addr = address.parse().map_err(|_| bad())?;
        let length = match length {
            None => 128,
            Some(length) => length.parse::<u32>().ok().filter(|&length| length <= 128).ok_or_else(bad)?,
        };
        let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
        let low = address.to_bits() & mask;
        Ok(Self::v6(low, low | !mask))
    }
}

impl Set for PortSet {
    const WHAT: &'static str = "port";
    delegate!(PortSet);

    fn one(span: Span<'_>) -> Result<Self, Refusal> {
        let port = |span: Span<'_>| -> Result<u16, Refusal> {
            let number =
                std::str::from_utf8(span.bytes).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
            number.and_then(|text| text.parse().ok()).ok_or_else(|| {
                span.bad("port", format!("\"{}\" is no port, range, group or variable", span.text()))
            })
        };
        let (low, high) = match span.cut(b':') {
            None => {
                let port = port(span)?;
                (port, port)
            }
            Some((low, high)) if low.is_empty() && high.is_empty() => {
                return Err(span.bad("port", "an empty range"));
            }
            Some((low, high)) if low.is_empty() => (0, port(high)?),
            Some((low, high)) if high.is_empty() => (port(low)?, u16::MAX),
            Some((low, high)) => (port(low)?, port(high)?),
        };
        if low > high {
            return Err(span.bad("port", "the range ends before it begins"));
        }
        Ok(Self::range(low, high))
    }
}
