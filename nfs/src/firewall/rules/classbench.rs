//! ClassBench filters (Taylor and Turner, *ClassBench: A Packet Classification Benchmark*, INFOCOM 2005):
//! `@src/len dst/len low : high low : high proto/mask [flags/mask]`.
//!
//! The sixth column has the TCP flags, or type and code of ICMP, in the upper and the lower byte.

use super::{Rule, RulesError};
use std::net::Ipv4Addr;
use tables::classifier::{Masked, PortRange, Prefix, Rule as Term};
use wire::protocol::{ether_type, ip};

const SHAPE: &str =
    "a ClassBench filter is: @10.0.0.0/8  192.0.2.0/24  0 : 65535  80 : 80  0x06/0xFF  0x0000/0x0000";

/// A line; `None` when it is empty or a comment.
pub(super) fn rule(line: u32, text: &str) -> Result<Option<Rule>, RulesError> {
    let trimmed = text.trim();
    if trimmed.is_empty() || trimmed.starts_with('#') {
        return Ok(None);
    }
    let mut scan = Scan { line, text, at: 0 };
    scan.sign('@', "'@'")?;
    let source = scan.prefix("the source")?;
    let destination = scan.prefix("the destination")?;
    let source_port = scan.ports("the source port")?;
    let destination_port = scan.ports("the destination port")?;
    let (protocol, mask) = scan.masked("the protocol", 0xff)?;
    let protocol = Masked { value: protocol as u8, mask: mask as u8 };
    let (flags, mask) = if scan.ended() { (0, 0) } else { scan.masked("the flags", 0xffff)? };
    if !scan.ended() {
        return Err(scan.error("one column too many", SHAPE));
    }
    let mut term = Term {
        ether_type: Some(ether_type::IPV4),
        source: Some(source),
        destination: Some(destination),
        source_port,
        destination_port,
        protocol,
        ..Term::default()
    };
    if mask != 0 {
        scan.flags(&mut term, flags, mask)?;
    }
    Ok(Some(Rule { line, action: None, text: trimmed.to_owned(), terms: vec![term] }))
}

/// A line, read from left to right; spaces may stand between all parts.
struct Scan<'a> {
    line: u32,
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    fn rest(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        &self.text[self.at..]
    }

    fn ended(&mut self) -> bool {
        self.rest().is_empty()
    }

    fn error(&self, message: impl Into<String>, help: &str) -> RulesError {
        let column = 1 + self.text[..self.at].chars().count() as u32;
        RulesError::at(self.line, column, message, help)
    }

    fn sign(&mut self, sign: char, what: &str) -> Result<(), RulesError> {
        if !self.rest().starts_with(sign) {
            return Err(self.error(format!("{what} expected"), SHAPE));
        }
        self.at += sign.len_utf8();
        Ok(())
    }

    /// Letters, digits and dots.
    fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let len = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(rest.len());
        &rest[..len]
    }

    fn number(&mut self, what: &str, most: u32) -> Result<u32, RulesError> {
        let word = self.word();
        let value = match word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
            Some(hex) if hex.bytes().all(|b| b.is_ascii_hexdigit()) => u32::from_str_radix(hex, 16).ok(),
            Some(_) => None,
            None => super::grammar::decimal(word),
        };
        match value.filter(|&value| value <= most) {
            Some(value) => {
                self.at += word.len();
                Ok(value)
            }
            None => Err(self.error(format!("{what} is a number up to {most}, not '{word}'"), SHAPE)),
        }
    }

    fn prefix(&mut self, what: &str) -> Result<Prefix, RulesError> {
        let word = self.word();
        let Ok(address) = word.parse::<Ipv4Addr>() else {
            return Err(self.error(format!("{what} is an IPv4 address, not '{word}'"), SHAPE));
        };
        self.at += word.len();
        self.sign('/', &format!("'/' after {what}"))?;
        let len = self.number("the prefix length", 32)? as u8;
        Ok(Prefix::V4(wire::Prefix4::new(address.into(), len).address(), len))
    }

    fn ports(&mut self, what: &str) -> Result<PortRange, RulesError> {
        let low = self.number(what, 0xffff)? as u16;
        self.sign(':', "':' between two ports")?;
        let high = self.number(what, 0xffff)? as u16;
        if low > high {
            return Err(self.error(format!("{what} has an empty range"), "the smaller port comes first"));
        }
        Ok(PortRange { low, high })
    }

    fn masked(&mut self, what: &str, most: u32) -> Result<(u32, u32), RulesError> {
        let value = self.number(what, most)?;
        self.sign('/', &format!("'/' after {what}"))?;
        Ok((value, self.number(&format!("the mask of {what}"), most)?))
    }

    fn flags(&mut self, term: &mut Term, value: u32, mask: u32) -> Result<(), RulesError> {
        let [value, low_value] = (value as u16).to_be_bytes();
        let [mask, low_mask] = (mask as u16).to_be_bytes();
        let only = |number| term.protocol == Masked::exactly(number);
        if only(ip::TCP) && low_mask == 0 {
            term.tcp_flags = Masked { value, mask };
        } else if only(ip::ICMP) && mask == 0xff && matches!(low_mask, 0 | 0xff) {
            term.icmp = Some((value, (low_mask == 0xff).then_some(low_value)));
        } else {
            let help = "TCP flags are in the upper byte; ICMP has mask 0xff00 for the type, 0xffff for type and code";
            return Err(self.error("these flags do not fit the protocol", help));
        }
        Ok(())
    }
}
