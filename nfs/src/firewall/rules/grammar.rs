//! The firewall's own rule format: `allow tcp from 10.0.0.0/8 to any port 80,443 flags syn/syn,ack vlan 5`.

use super::text::{Word, Words, suggestion};
use super::{Action, MAX_TERMS, Rule, RulesError, STATES};
use tables::classifier::{Masked, PortRange, Prefix, Rule as Term, VlanMatch};
use wire::protocol::{ether_type, ip};

/// Names of IP protocols.
const PROTOCOLS: [(&str, u8); 15] = [
    ("tcp", ip::TCP),
    ("udp", ip::UDP),
    ("icmp", ip::ICMP),
    ("icmp6", ip::ICMPV6),
    ("sctp", ip::SCTP),
    ("dccp", ip::DCCP),
    ("udplite", ip::UDP_LITE),
    ("gre", ip::GRE),
    ("esp", ip::ESP),
    ("ah", ip::AH),
    ("igmp", 2),
    ("ipip", ip::IPV4),
    ("ospf", 89),
    ("pim", 103),
    ("vrrp", 112),
];
const WITH_PORTS: [u8; 5] = [ip::TCP, ip::UDP, ip::SCTP, ip::DCCP, ip::UDP_LITE];
/// TCP flags (RFC 9293 section 3.1), the lowest bit first.
const FLAGS: [&str; 8] = ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"];
const ICMP_TYPES: [(&str, u8); 5] =
    [("echo-reply", 0), ("unreachable", 3), ("redirect", 5), ("echo-request", 8), ("time-exceeded", 11)];
const ICMP6_TYPES: [(&str, u8); 9] = [
    ("unreachable", 1),
    ("packet-too-big", 2),
    ("time-exceeded", 3),
    ("echo-request", 128),
    ("echo-reply", 129),
    ("router-solicitation", 133),
    ("router-advertisement", 134),
    ("neighbor-solicitation", 135),
    ("neighbor-advertisement", 136),
];
const CLAUSES: [&str; 6] = ["from", "to", "flags", "type", "vlan", "ct"];
const SHAPE: &str = "allow|deny [PROTOCOLS] [from ADDRESSES [port PORTS]] [to ADDRESSES [port PORTS]] \
                     [flags SET/MASK] [type TYPES] [vlan IDS] [ct state STATES]";

/// A line; `None` when it is empty or only a comment.
pub(super) fn rule(line: u32, text: &str) -> Result<Option<Rule>, RulesError> {
    let mut words = Words::new(line, text);
    let Some(first) = words.next() else { return Ok(None) };
    let action = match first.text {
        "allow" => Action::Allow,
        "deny" => Action::Deny,
        "pass" | "accept" | "permit" => return Err(unknown_action(&words, first, "write 'allow'")),
        "drop" | "block" | "reject" => return Err(unknown_action(&words, first, "write 'deny'")),
        _ => return Err(unknown_action(&words, first, &format!("a rule is: {SHAPE}"))),
    };
    let clauses = Clauses::read(&mut words)?;
    let terms = clauses.terms(&words, first)?;
    let text = text.split('#').next().unwrap_or_default().trim().to_owned();
    Ok(Some(Rule { line, action: Some(action), text, terms }))
}

fn unknown_action(words: &Words<'_>, word: Word<'_>, help: &str) -> RulesError {
    words.error(word, format!("'{}' is no action", word.text), help)
}

/// What a rule asks, each a list of alternatives.
struct Clauses {
    ether_type: Option<u16>,
    protocols: Vec<Masked>,
    sources: Vec<Option<Prefix>>,
    source_ports: Vec<PortRange>,
    destinations: Vec<Option<Prefix>>,
    destination_ports: Vec<PortRange>,
    flags: Masked,
    types: Vec<Option<(u8, Option<u8>)>>,
    vlans: Vec<VlanMatch>,
    states: Masked,
}

impl Clauses {
    fn read(words: &mut Words<'_>) -> Result<Clauses, RulesError> {
        let mut clauses = Clauses {
            ether_type: None,
            protocols: vec![Masked::ANY],
            sources: vec![None],
            source_ports: vec![PortRange::ANY],
            destinations: vec![None],
            destination_ports: vec![PortRange::ANY],
            flags: Masked::ANY,
            types: vec![None],
            vlans: vec![VlanMatch::Any],
            states: Masked::ANY,
        };
        let mut protocols = Vec::new();
        if words.peek().is_some_and(|word| !CLAUSES.contains(&word.text)) {
            protocols = clauses.protocols(words)?;
        }
        let mut seen: Vec<&str> = Vec::new();
        while let Some(word) = words.next() {
            if seen.contains(&word.text) {
                let message = format!("'{}' is there twice", word.text);
                return Err(words.error(word, message, "a rule says each thing once; lists take commas"));
            }
            match word.text {
                "from" => {
                    clauses.sources = addresses(words)?;
                    clauses.source_ports = ports(words, &protocols)?;
                }
                "to" => {
                    clauses.destinations = addresses(words)?;
                    clauses.destination_ports = ports(words, &protocols)?;
                }
                "flags" => clauses.flags = flags(words, word, &protocols)?,
                "type" => clauses.types = types(words, word, &protocols)?,
                "vlan" => clauses.vlans = vlans(words)?,
                "ct" => clauses.states = states(words, word)?,
                "port" => {
                    let message = "'port' does not follow an address";
                    return Err(words.error(word, message, "write 'from any port 53' or 'to any port 53'"));
                }
                other => {
                    let message = format!("'{other}' is not understood here");
                    return Err(words.error(word, message, suggestion(other, &CLAUSES)));
                }
            }
            seen.push(word.text);
        }
        Ok(clauses)
    }

    /// Protocols by name or number; returns the numbers, none for any.
    fn protocols(&mut self, words: &mut Words<'_>) -> Result<Vec<u8>, RulesError> {
        let list = words.list("a protocol", "allow tcp,udp")?;
        let mut numbers = Vec::new();
        for word in &list {
            let family = match word.text {
                "ip" | "any" => None,
                "ip4" => Some(ether_type::IPV4),
                "ip6" => Some(ether_type::IPV6),
                name => {
                    numbers.push(protocol(words, *word, name)?);
                    continue;
                }
            };
            if list.len() > 1 {
                let message = format!("'{}' is not one protocol, and cannot be in a list", word.text);
                return Err(words.error(*word, message, "write it alone, or leave it out"));
            }
            self.ether_type = family;
        }
        if !numbers.is_empty() {
            self.protocols = numbers.iter().map(|&number| Masked::exactly(number)).collect();
        }
        Ok(numbers)
    }

    /// The rule written out: one term for each combination of alternatives.
    fn terms(&self, words: &Words<'_>, first: Word<'_>) -> Result<Vec<Term>, RulesError> {
        let lists = [
            self.protocols.len(),
            self.sources.len(),
            self.source_ports.len(),
            self.destinations.len(),
            self.destination_ports.len(),
            self.types.len(),
            self.vlans.len(),
        ];
        let combinations = lists.iter().try_fold(1usize, |product, &len| product.checked_mul(len));
        if combinations.is_none_or(|n| n > MAX_TERMS) {
            let message = format!("the lists of this rule stand for more than {MAX_TERMS} rules");
            return Err(words.error(first, message, "split it into several lines with shorter lists"));
        }
        let common =
            Term { ether_type: self.ether_type, tcp_flags: self.flags, tag: self.states, ..Term::default() };
        let mut terms = vec![common];
        terms = product(&terms, &self.protocols, |term, &protocol| term.protocol = protocol);
        terms = product(&terms, &self.sources, |term, &source| term.source = source);
        terms = product(&terms, &self.destinations, |term, &destination| term.destination = destination);
        terms = product(&terms, &self.source_ports, |term, &port| term.source_port = port);
        terms = product(&terms, &self.destination_ports, |term, &port| term.destination_port = port);
        terms = product(&terms, &self.types, |term, &icmp| term.icmp = icmp);
        terms = product(&terms, &self.vlans, |term, &vlan| term.vlan = vlan);
        // Lists may mix families; what mixes them within one packet never matches.
        terms.retain(families_agree);
        if terms.is_empty() {
            let message = "no packet can match: its addresses would be of different IP versions";
            return Err(words.error(first, message, "write IPv4 and IPv6 rules on lines of their own"));
        }
        Ok(terms)
    }
}

fn product<A>(terms: &[Term], alternatives: &[A], set: impl Fn(&mut Term, &A)) -> Vec<Term> {
    let with = |term: &Term, alternative: &A| {
        let mut term = *term;
        set(&mut term, alternative);
        term
    };
    terms
        .iter()
        .flat_map(|term| alternatives.iter().map(move |a| (term, a)))
        .map(|(t, a)| with(t, a))
        .collect()
}

fn families_agree(term: &Term) -> bool {
    let family = |prefix: Prefix| match prefix {
        Prefix::V4(..) => ether_type::IPV4,
        Prefix::V6(..) => ether_type::IPV6,
    };
    let mut wanted =
        [term.source.map(family), term.destination.map(family), term.ether_type].into_iter().flatten();
    let first = wanted.next();
    wanted.all(|other| Some(other) == first)
}

fn protocol(words: &Words<'_>, word: Word<'_>, name: &str) -> Result<u8, RulesError> {
    if let Some((_, number)) = PROTOCOLS.iter().find(|(known, _)| *known == name) {
        return Ok(*number);
    }
    decimal(name).ok_or_else(|| {
        let mut known: Vec<&str> = ["ip", "ip4", "ip6", "any"].into();
        known.extend(PROTOCOLS.iter().map(|(name, _)| *name));
        known.extend(CLAUSES);
        let message = format!("unknown protocol '{name}'");
        words.error(word, message, format!("{}, or a number up to 255", suggestion(name, &known)))
    })
}

fn addresses(words: &mut Words<'_>) -> Result<Vec<Option<Prefix>>, RulesError> {
    let list = words.list("an address", "from 10.0.0.0/8,2001:db8::/32")?;
    if let [Word { text: "any", .. }] = list[..] {
        return Ok(vec![None]);
    }
    list.iter().map(|&word| address(words, word).map(Some)).collect()
}

fn address(words: &Words<'_>, word: Word<'_>) -> Result<Prefix, RulesError> {
    match word.text.parse::<wire::Prefix>() {
        Ok(wire::Prefix::V4(prefix)) => Ok(Prefix::V4(prefix.address(), prefix.len())),
        Ok(wire::Prefix::V6(prefix)) => Ok(Prefix::V6(prefix.address(), prefix.len())),
        Err(error) => {
            let help = match error {
                _ if word.text == "any" => "'any' stands alone, not in a list".to_owned(),
                wire::ParsePrefixError::HostBits => network_of(word.text),
                _ => "like 10.0.0.0/8, 192.0.2.1, 2001:db8::/32 or any".to_owned(),
            };
            Err(words.error(word, format!("'{}' is no address: {error}", word.text), help))
        }
    }
}

/// What someone who wrote `10.0.0.1/8` may have meant.
fn network_of(text: &str) -> String {
    let (address, len) = text.split_once('/').unwrap_or((text, ""));
    let network = match (address.parse::<std::net::IpAddr>(), len.parse::<u8>()) {
        (Ok(std::net::IpAddr::V4(v4)), Ok(len)) => wire::Prefix4::new(v4.into(), len).to_string(),
        (Ok(std::net::IpAddr::V6(v6)), Ok(len)) => wire::Prefix6::new(v6.into(), len).to_string(),
        _ => return "like 10.0.0.0/8".to_owned(),
    };
    format!("write {network} for the network, or {address} for the host")
}

/// `port 80,443,8000-8080`, or nothing for any.
fn ports(words: &mut Words<'_>, protocols: &[u8]) -> Result<Vec<PortRange>, RulesError> {
    let Some(word) = words.peek().filter(|word| word.text == "port") else { return Ok(vec![PortRange::ANY]) };
    words.next();
    if let Some(number) = protocols.iter().find(|number| !WITH_PORTS.contains(number)) {
        let message = format!("protocol {} has no ports", name_of(*number));
        return Err(words.error(word, message, "ports go with tcp, udp, sctp, dccp and udplite"));
    }
    let list = words.list("a port", "port 80,443,8000-8080")?;
    if let [Word { text: "any", .. }] = list[..] {
        return Ok(vec![PortRange::ANY]);
    }
    list.iter()
        .map(|&word| range(words, word, "port", u16::MAX).map(|(low, high)| PortRange { low, high }))
        .collect()
}

fn name_of(protocol: u8) -> String {
    let known = PROTOCOLS.iter().find(|(_, number)| *number == protocol);
    known.map_or_else(|| protocol.to_string(), |(name, _)| (*name).to_owned())
}

fn range(words: &Words<'_>, word: Word<'_>, what: &str, most: u16) -> Result<(u16, u16), RulesError> {
    let (low, high) = word.text.split_once('-').unwrap_or((word.text, word.text));
    match (decimal::<u16>(low), decimal::<u16>(high)) {
        (Some(low), Some(high)) if low <= high && high <= most => Ok((low, high)),
        (Some(low), Some(high)) if high <= most && low <= most => {
            let message = format!("the range '{}' is empty", word.text);
            Err(words.error(word, message, format!("the smaller number comes first: {high}-{low}")))
        }
        _ => {
            let message = format!("'{}' is no {what}", word.text);
            Err(words.error(word, message, format!("a number up to {most}, or a range like 8-{most}")))
        }
    }
}

/// Digits only: `parse` would take a plus sign.
pub(super) fn decimal<N: std::str::FromStr>(text: &str) -> Option<N> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// `syn/syn,ack`: of the flags after the slash, exactly those before it are set. Without a slash: these are set,
/// the others do not matter.
fn flags(words: &mut Words<'_>, clause: Word<'_>, protocols: &[u8]) -> Result<Masked, RulesError> {
    const EXAMPLE: &str = "flags syn/syn,ack";
    if !protocols.is_empty() && *protocols != [ip::TCP] {
        return Err(words.error(
            clause,
            "only tcp has flags",
            format!("write 'tcp' as the protocol: tcp … {EXAMPLE}"),
        ));
    }
    let list = words.list("TCP flags", EXAMPLE)?;
    let (mut set, mut mask, mut slash) = (0, 0, false);
    for &word in &list {
        let mut parts = word.text.split('/');
        for part in
            [parts.next(), parts.next()].into_iter().flatten().enumerate().map(|(i, part)| (i > 0, part))
        {
            let (after, name) = part;
            if after && slash {
                return Err(words.error(word, "a second slash", format!("like: {EXAMPLE}")));
            }
            slash |= after;
            let bits = flag(words, word, name)?;
            if slash { mask |= bits } else { set |= bits }
        }
        if parts.next().is_some() {
            return Err(words.error(word, "a second slash", format!("like: {EXAMPLE}")));
        }
    }
    if !slash {
        mask = set;
    }
    if mask == 0 {
        return Err(words.error(
            clause,
            "no flag is looked at",
            "leave 'flags' out, or name flags after the slash",
        ));
    }
    if set & !mask != 0 {
        let missing: Vec<&str> =
            (0..8).filter(|bit| set & !mask & 1 << bit != 0).map(|bit| FLAGS[bit]).collect();
        let message = format!("{} is to be set, but not looked at", missing.join(","));
        return Err(words.error(
            list[0],
            message,
            "name after the slash all flags that matter, also the set ones",
        ));
    }
    Ok(Masked { value: set, mask })
}

fn flag(words: &Words<'_>, word: Word<'_>, name: &str) -> Result<u8, RulesError> {
    match FLAGS.iter().position(|known| *known == name) {
        Some(bit) => Ok(1 << bit),
        None if name == "none" => Ok(0),
        None if name == "all" => Ok(0xff),
        None => {
            let known: Vec<&str> = FLAGS.into_iter().chain(["none", "all"]).collect();
            Err(words.error(word, format!("unknown TCP flag '{name}'"), suggestion(name, &known)))
        }
    }
}

/// `type echo-request,3/4`: names or numbers, a code after the slash.
#[allow(clippy::type_complexity, reason = "type and code, as the classifier has them")]
fn types(
    words: &mut Words<'_>,
    clause: Word<'_>,
    protocols: &[u8],
) -> Result<Vec<Option<(u8, Option<u8>)>>, RulesError> {
    let known: &[(&str, u8)] = match protocols {
        [ip::ICMP] => &ICMP_TYPES,
        [ip::ICMPV6] => &ICMP6_TYPES,
        _ => {
            let help = "write one of them as the protocol: icmp … type echo-request";
            return Err(words.error(clause, "only icmp and icmp6 have types", help));
        }
    };
    let list = words.list("an ICMP type", "type echo-request,3/4")?;
    list.iter()
        .map(|&word| {
            let (kind, code) = match word.text.split_once('/') {
                Some((kind, code)) => (kind, Some(code)),
                None => (word.text, None),
            };
            let named = known.iter().find(|(name, _)| *name == kind).map(|(_, number)| *number);
            let number = named.or_else(|| decimal(kind)).ok_or_else(|| {
                let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
                let help = format!("{}, or a number up to 255", suggestion(kind, &names));
                words.error(word, format!("unknown ICMP type '{kind}'"), help)
            })?;
            let code = match code.map(|code| decimal::<u8>(code).ok_or(code)) {
                Some(Err(code)) => {
                    return Err(words.error(word, format!("'{code}' is no ICMP code"), "a number up to 255"));
                }
                Some(Ok(code)) => Some(code),
                None => None,
            };
            Ok(Some((number, code)))
        })
        .collect()
}

/// `vlan 5,100-199`, `vlan none`.
fn vlans(words: &mut Words<'_>) -> Result<Vec<VlanMatch>, RulesError> {
    let list = words.list("a VLAN", "vlan 5,100-199")?;
    list.iter()
        .map(|&word| match word.text {
            "any" => Ok(VlanMatch::Any),
            "none" => Ok(VlanMatch::Untagged),
            _ => range(words, word, "VLAN identifier", 4095).map(|(low, high)| VlanMatch::Range(low, high)),
        })
        .collect()
}

/// `ct state established,related`, as nftables writes it. One term is enough for any set of states, see [`STATES`].
fn states(words: &mut Words<'_>, clause: Word<'_>) -> Result<Masked, RulesError> {
    const EXAMPLE: &str = "ct state established,related";
    if !words.eat("state") {
        let message = "of a connection only its state can be asked";
        return Err(words.error(clause, message, format!("write '{EXAMPLE}'")));
    }
    let mut wanted = 0;
    for word in words.list("a state of connections", EXAMPLE)? {
        match STATES.iter().position(|known| *known == word.text) {
            Some(bit) => wanted |= 1 << bit,
            None => {
                let message = format!("unknown state '{}'", word.text);
                return Err(words.error(word, message, suggestion(word.text, &STATES)));
            }
        }
    }
    Ok(Masked { value: 0, mask: !wanted })
}
