//! One flow's application protocol: found by its content, then parsed.

#[cfg(test)]
pub(crate) mod tests;

use crate::dns::{self, Dns};
use crate::http::{self, Http};
use crate::tls::{self, Tls};
use crate::transaction::index;
use crate::{Limits, Protocol, Sink};
use serde::{Deserialize, Serialize};
use streams::{Toward, hex};

/// Bytes of a direction from which its protocol is told at the latest.
const TELLING: usize = 32;

/// The application protocol of one flow, and what is needed to go on with its next bytes.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conversation {
    /// The protocol that the port stands for.
    hint: Option<Protocol>,
    /// Whether the flow was picked up in its middle, so that its directions may be wrong.
    may_turn: bool,
    parser: Parser,
}

/// What the bytes are.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Parser {
    /// Not known yet.
    Open([Start; 2]),
    Http(Box<Http>),
    Tls(Box<Tls>),
    Dns(Box<Dns>),
    /// None that is parsed.
    Other,
}

/// The first bytes of a direction.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Start {
    #[serde(with = "hex")]
    bytes: Vec<u8>,
    /// They are of no protocol that is parsed.
    other: bool,
}

impl Default for Parser {
    fn default() -> Parser {
        Parser::Open(Default::default())
    }
}

impl Conversation {
    /// One of which nothing was seen. `hint` is the protocol that the flow's port stands for, if any: it decides only
    /// where content does not (DNS over TCP). `picked_up`: the flow has no handshake, so its directions are a guess.
    pub fn new(hint: Option<Protocol>, picked_up: bool) -> Conversation {
        Conversation { hint, may_turn: picked_up, parser: Parser::default() }
    }

    /// The next bytes of a stream.
    pub fn data(&mut self, limits: &Limits, toward: Toward, bytes: &[u8], sink: &mut impl Sink) {
        match &mut self.parser {
            Parser::Open(_) => self.tell(limits, toward, bytes, sink),
            Parser::Http(http) => http.data(limits, toward, bytes, sink),
            Parser::Tls(tls) => tls.data(limits, toward, bytes, sink),
            Parser::Dns(dns) => dns.data(limits, toward, bytes, sink),
            Parser::Other => {}
        }
    }

    /// Bytes of a stream that never came.
    pub fn gap(&mut self, _limits: &Limits, toward: Toward, len: u64, sink: &mut impl Sink) {
        match &mut self.parser {
            Parser::Open(starts) => {
                starts[index(toward)] = Start { bytes: Vec::new(), other: true };
                self.close_if_other();
            }
            Parser::Http(http) => http.gap(toward, len, sink),
            Parser::Tls(tls) => tls.gap(toward, sink),
            Parser::Dns(dns) => dns.gap(toward, sink),
            Parser::Other => {}
        }
    }

    /// A stream's end: what came of a transaction is all of it.
    pub fn end(&mut self, limits: &Limits, toward: Toward, sink: &mut impl Sink) {
        match &mut self.parser {
            Parser::Open(starts) => {
                starts[index(toward)].other = true;
                self.close_if_other();
            }
            Parser::Http(http) => http.end(limits, toward, sink),
            Parser::Tls(tls) => tls.end(toward, sink),
            Parser::Dns(dns) => dns.end(toward),
            Parser::Other => {}
        }
    }

    /// A datagram, which is whole in itself.
    pub fn datagram(&mut self, _limits: &Limits, toward: Toward, bytes: &[u8], sink: &mut impl Sink) {
        if let Parser::Open(_) = self.parser {
            if !dns::detect(bytes) {
                self.parser =
                    if self.hint == Some(Protocol::Dns) { Parser::default() } else { Parser::Other };
                return;
            }
            self.parser = Parser::Dns(Box::default());
            sink.protocol(Protocol::Dns, false);
        }
        if let Parser::Dns(dns) = &mut self.parser {
            dns.message(toward, bytes, sink);
        }
    }

    /// The protocol, once it is known.
    pub fn protocol(&self) -> Option<Protocol> {
        match self.parser {
            Parser::Http(_) => Some(Protocol::Http),
            Parser::Tls(_) => Some(Protocol::Tls),
            Parser::Dns(_) => Some(Protocol::Dns),
            Parser::Open(_) | Parser::Other => None,
        }
    }

    /// Whether it is certain that the protocol is none that is parsed.
    pub fn is_other(&self) -> bool {
        matches!(self.parser, Parser::Other)
    }

    /// Bytes of memory that it holds beyond its own size.
    pub fn held(&self) -> usize {
        match &self.parser {
            Parser::Open(starts) => starts.iter().map(|start| start.bytes.capacity()).sum(),
            Parser::Http(http) => size_of::<Http>() + http.held(),
            Parser::Tls(tls) => size_of::<Tls>() + tls.held(),
            Parser::Dns(dns) => size_of::<Dns>() + dns.held(),
            Parser::Other => 0,
        }
    }

    /// Tries to tell the protocol by what came so far.
    fn tell(&mut self, limits: &Limits, toward: Toward, bytes: &[u8], sink: &mut impl Sink) {
        let (hint, may_turn) = (self.hint, self.may_turn);
        let Parser::Open(starts) = &mut self.parser else { return };
        let start = &mut starts[index(toward)];
        if start.other || bytes.is_empty() {
            return;
        }
        let before = start.bytes.len();
        let more = &bytes[..bytes.len().min(TELLING.saturating_sub(before))];
        start.bytes.extend_from_slice(more);
        match protocol_of(hint, may_turn, toward, &start.bytes) {
            Told::Is(protocol, turned) => {
                let mut starts = std::mem::take(starts);
                starts[index(toward)].bytes.truncate(before);
                self.begin(protocol);
                sink.protocol(protocol, turned);
                for from in [toward.other(), toward] {
                    let to = if turned { from.other() } else { from };
                    self.data(limits, to, &starts[index(from)].bytes, sink);
                }
                let to = if turned { toward.other() } else { toward };
                self.data(limits, to, bytes, sink);
            }
            Told::More if start.bytes.len() < TELLING => {}
            _ => {
                *start = Start { bytes: Vec::new(), other: true };
                self.close_if_other();
            }
        }
    }

    fn begin(&mut self, protocol: Protocol) {
        self.parser = match protocol {
            Protocol::Http => Parser::Http(Box::default()),
            Protocol::Tls => Parser::Tls(Box::default()),
            Protocol::Dns => Parser::Dns(Box::default()),
        };
    }

    /// Nothing is kept any longer once neither direction is of a protocol that is parsed.
    fn close_if_other(&mut self) {
        if let Parser::Open(starts) = &self.parser
            && starts.iter().all(|start| start.other)
        {
            self.parser = Parser::Other;
        }
    }
}

/// What first bytes tell.
enum Told {
    /// The protocol, and whether it goes the other way.
    Is(Protocol, bool),
    /// Too few bytes to say.
    More,
    Nothing,
}

/// What protocol a direction's first bytes are.
fn protocol_of(hint: Option<Protocol>, may_turn: bool, toward: Toward, bytes: &[u8]) -> Told {
    let turned = if may_turn { http::detect(toward.other(), bytes) } else { Some(false) };
    let dns = if hint == Some(Protocol::Dns) { dns::detect_stream(bytes) } else { Some(false) };
    let answers = [
        (http::detect(toward, bytes), Protocol::Http, false),
        (tls::detect(bytes), Protocol::Tls, false),
        (turned, Protocol::Http, true),
        (dns, Protocol::Dns, false),
    ];
    match answers.iter().find(|answer| answer.0 == Some(true)) {
        Some(&(_, protocol, turned)) => Told::Is(protocol, turned),
        None if answers.iter().any(|answer| answer.0.is_none()) => Told::More,
        None => Told::Nothing,
    }
}
