//! ClassBench header traces: which rule does a header match first?

use super::{RuleSet, RulesError};
use tables::classifier::{Classifier, Key, Masked, Rule as Term, VlanMatch};

const SHAPE: &str =
    "a header is: source destination source-port destination-port protocol [flags] [rule], in decimal";

/// What a line of a header trace says of an IPv4 packet. Numbers in host order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Header {
    /// Source address.
    pub source: u32,
    /// Destination address.
    pub destination: u32,
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// IP protocol.
    pub protocol: u8,
}

impl Header {
    /// Every header has ports here, whatever its protocol: that is how ClassBench counts.
    fn key(&self) -> Key {
        Key::ipv4(self.source, self.destination, self.protocol, self.source_port, self.destination_port)
    }
}

/// Parses a header trace: one header a line, five decimal columns; up to two more (flags, and the number of the
/// rule that the header was made from) are allowed and ignored.
///
/// # Errors
/// The first line that is no header.
pub fn parse_trace(text: &str) -> Result<Vec<Header>, RulesError> {
    let mut headers = Vec::new();
    for (number, line) in (1u32..).zip(text.lines()) {
        if !line.trim().is_empty() {
            headers.push(header(number, line)?);
        }
    }
    Ok(headers)
}

fn header(number: u32, line: &str) -> Result<Header, RulesError> {
    let mut columns = [0u32; 5];
    let mut words = super::text::Words::new(number, line);
    for (i, column) in columns.iter_mut().enumerate() {
        let most = [u32::MAX, u32::MAX, 0xffff, 0xffff, 0xff][i];
        let Some(word) = words.next() else {
            let end = 1 + line.chars().count() as u32;
            return Err(words.error_at(end, format!("column {} of 5 is missing", i + 1), SHAPE));
        };
        *column = super::grammar::decimal(word.text).filter(|&value| value <= most).ok_or_else(|| {
            words.error(word, format!("'{}' is no decimal number up to {most}", word.text), SHAPE)
        })?;
    }
    for word in words.by_ref().take(2) {
        if !word.text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(words.error(word, format!("'{}' is no decimal number", word.text), SHAPE));
        }
    }
    if let Some(word) = words.next() {
        return Err(words.error(word, "one column too many", SHAPE));
    }
    let [source, destination, source_port, destination_port, protocol] = columns;
    Ok(Header {
        source,
        destination,
        source_port: source_port as u16,
        destination_port: destination_port as u16,
        protocol: protocol as u8,
    })
}

/// Only what a header trace has is compared: addresses, ports, protocol.
fn without_flags(term: &Term) -> Term {
    Term { tcp_flags: Masked::ANY, icmp: None, vlan: VlanMatch::Any, tag: Masked::ANY, ..*term }
}

impl RuleSet {
    /// Number, from 0, of the first rule that the header matches. Flags, ICMP types, VLANs and states of
    /// the rules are not looked at: the header has none. One rule after the other: for many headers see [`HeaderMatcher`].
    pub fn first_match_of_header(&self, header: &Header) -> Option<usize> {
        let key = header.key();
        self.rules.iter().position(|rule| rule.terms.iter().any(|term| without_flags(term).matches(&key)))
    }
}

/// The rules compiled, for long traces: the same answers as [`RuleSet::first_match_of_header`].
pub struct HeaderMatcher {
    classifier: Classifier,
    /// Number of the rule that a term belongs to.
    rules: Vec<usize>,
}

impl HeaderMatcher {
    /// Compiles the rules.
    pub fn new(rules: &RuleSet) -> HeaderMatcher {
        let terms =
            || rules.rules.iter().enumerate().flat_map(|(n, rule)| rule.terms.iter().map(move |t| (n, t)));
        let compiled: Vec<Term> = terms().map(|(_, term)| without_flags(term)).collect();
        HeaderMatcher { classifier: Classifier::build(&compiled), rules: terms().map(|(n, _)| n).collect() }
    }

    /// Number, from 0, of the first rule that the header matches.
    pub fn first_match(&self, header: &Header) -> Option<usize> {
        let term = self.classifier.classify(&header.key())?;
        self.rules.get(term as usize).copied()
    }
}
