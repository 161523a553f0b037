//! The `match` language of chains: `ip.dst in 10.0.0.0/8 and tcp`.
//!
//! ```text
//! expression = term { ("or" | "||") term }
//! term       = factor { ("and" | "&&") factor }
//! factor     = ("not" | "!") factor | "(" expression ")" | predicate | comparison
//! comparison = field ("==" | "!=" | "<" | "<=" | ">" | ">=") value
//!            | field ["not"] "in" (value | range | "{" value-or-range { "," value-or-range } "}")
//!            | "tcp.flags" "has" (flag | "{" flag { "," flag } "}")
//! range      = value ".." value | value "-" value          (both ends included)
//! ```
//!
//! Predicates: `all` (or `any`), `ip`, `ip4` (`ipv4`), `ip6` (`ipv6`), `tcp`, `udp`, `sctp`, `icmp`, `icmp6`
//! (`icmpv6`), `arp`, `vlan`, `mpls`, `fragment`. Those of protocols hold in later fragments too, which have no
//! ports. Fields: `ip.src`, `ip.dst`, `ip.addr` (either), `ip.proto`, `ip.ttl`, `ip.dscp`; `sport`, `dport`,
//! `port` (either), also as `tcp.sport` and so on for `tcp`, `udp` and `sctp`; `tcp.flags`; `icmp.type`,
//! `icmp.code` (also of ICMPv6); `vlan.id` (outer tag); `eth.src`, `eth.dst`, `eth.addr`, `eth.type` (after
//! tags); `frame.len`.
//!
//! A comparison with a field that the packet does not have is false, with `!=` and `not in` as well; with a field
//! that there are two of (`port`), `!=` and `not in` mean neither.
mod advice;
mod compare;
mod field;
mod lexer;
mod parser;
mod program;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use wire::{Fields, Headers};

use self::compare::Comparison;
use self::field::Predicate;
use self::program::Program;

/// Longest text that is parsed, in bytes.
pub const MAX_LENGTH: usize = 1 << 16;
/// Parentheses and negations inside each other, at most.
pub const MAX_DEPTH: usize = 64;

/// What a text means, with constants folded and nested sums and products flattened.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Constant(bool),
    Not(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
    Is(Predicate),
    Compare(Comparison),
}

/// An expression, compiled; read-only.
#[derive(Clone, Debug)]
pub struct Expression {
    root: Node,
    program: Program,
}

/// Why a text is no expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    /// The bytes of the text that are wrong; empty at its end when something is missing there.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What would be right, where that is known.
    pub help: Option<String>,
}

/// An expression that needs no more than the first bytes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quick {
    /// Every frame.
    All,
    /// IPv4 or IPv6.
    Ip,
}

impl Quick {
    /// Whether the frame matches: what [`Expression::matches`] says after parsing it.
    #[inline]
    pub fn matches(self, frame: &[u8]) -> bool {
        match (self, frame.get(12..14)) {
            (Self::All, _) => true,
            (Self::Ip, Some([0x08, 0x00] | [0x86, 0xdd])) => true,
            (Self::Ip, Some([0x08, 0x06])) => false,
            (Self::Ip, _) => Predicate::Ip.holds(&wire::parse(frame)),
        }
    }
}

impl Expression {
    /// The expression that every packet matches.
    pub fn all() -> Self {
        Self::new(Node::Constant(true))
    }

    /// Compiles a text.
    ///
    /// # Errors
    /// What is wrong with it, where, and what would be right.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        parser::parse(text).map(Self::new)
    }

    fn new(root: Node) -> Self {
        let program = Program::of(&root);
        Self { root, program }
    }

    /// Whether a frame matches, given its headers. Never panics, whatever the bytes and the headers.
    #[inline]
    pub fn matches(&self, frame: &[u8], headers: &Headers) -> bool {
        self.matches_with_len(frame, frame.len(), headers)
    }

    /// As [`matches`](Self::matches) for a frame of `length` bytes, of which `frame` are the first.
    #[inline]
    pub fn matches_with_len(&self, frame: &[u8], length: usize, headers: &Headers) -> bool {
        self.program.run(frame, length, headers)
    }

    /// Every packet matches, and that needs no look at it.
    pub fn is_always(&self) -> bool {
        self.root == Node::Constant(true)
    }

    /// The fields of a packet on which the answer depends, those by which headers are found among them: what an NF
    /// that asks declares to read.
    pub fn reads(&self) -> Fields {
        self.root.reads()
    }

    /// The form that needs no parsed headers, for the expressions that have one.
    pub fn quick(&self) -> Option<Quick> {
        match self.root {
            Node::Constant(true) => Some(Quick::All),
            Node::Is(Predicate::Ip) => Some(Quick::Ip),
            _ => None,
        }
    }
}

impl FromStr for Expression {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

impl PartialEq for Expression {
    /// The same meaning, written in the same order.
    fn eq(&self, other: &Self) -> bool {
        self.root == other.root
    }
}

impl Eq for Expression {}

impl fmt::Display for Expression {
    /// The canonical text: parsed, it gives the same expression.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.root.fmt(f)
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, nodes: &[Node], word: &str| {
            for (i, node) in nodes.iter().enumerate() {
                if i > 0 {
                    write!(f, " {word} ")?;
                }
                // Of the two only a sum inside a product needs parentheses.
                match node {
                    Node::Or(_) => write!(f, "({node})")?,
                    node => write!(f, "{node}")?,
                }
            }
            Ok(())
        };
        match self {
            Self::Constant(true) => f.write_str("all"),
            Self::Constant(false) => f.write_str("not all"),
            Self::Not(inner) => match **inner {
                Self::And(_) | Self::Or(_) => write!(f, "not ({inner})"),
                _ => write!(f, "not {inner}"),
            },
            Self::And(nodes) => list(f, nodes, "and"),
            Self::Or(nodes) => list(f, nodes, "or"),
            Self::Is(predicate) => f.write_str(predicate.name()),
            Self::Compare(comparison) => comparison.fmt(f),
        }
    }
}

impl Node {
    fn reads(&self) -> Fields {
        match self {
            Self::Constant(_) => Fields::EMPTY,
            Self::Not(inner) => inner.reads(),
            Self::And(nodes) | Self::Or(nodes) => {
                nodes.iter().fold(Fields::EMPTY, |fields, node| fields.union(node.reads()))
            }
            Self::Is(predicate) => predicate.reads(),
            Self::Compare(comparison) => comparison.field.reads(),
        }
    }

    fn not(self) -> Self {
        match self {
            Self::Constant(value) => Self::Constant(!value),
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    /// All of `nodes` when `all`, else any of them.
    fn join(nodes: Vec<Node>, all: bool) -> Self {
        let mut flat = Vec::with_capacity(nodes.len());
        for node in nodes {
            match node {
                Self::Constant(value) if value == all => {}
                Self::Constant(_) => return node,
                Self::And(inner) if all => flat.extend(inner),
                Self::Or(inner) if !all => flat.extend(inner),
                node => flat.push(node),
            }
        }
        match flat.len() {
            0 => Self::Constant(all),
            1 => flat.remove(0),
            _ if all => Self::And(flat),
            _ => Self::Or(flat),
        }
    }
}
