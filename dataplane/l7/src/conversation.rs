//! One flow's application protocol.

use crate::Transaction;
use serde::{Deserialize, Serialize};
use streams::Toward;

/// An application protocol that is parsed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// HTTP/0.9 to 1.1.
    Http,
    /// TLS and SSL 3.
    Tls,
    /// DNS over UDP or TCP.
    Dns,
}

/// What a conversation may hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes of a request's or response's first line and headers together.
    pub head: usize,
    /// Bytes of each body that are kept for buffers; the rest is counted only.
    pub body: usize,
    /// HTTP requests waiting for their response.
    pub transactions: usize,
    /// Bytes of a TLS handshake, certificates included, or of a DNS message.
    pub message: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { head: 16 << 10, body: 16 << 10, transactions: 16, message: 32 << 10 }
    }
}

/// What takes transactions.
pub trait Sink {
    /// The flow's protocol was found. `turned`: the bytes go the other way than the flow's directions say (a connection
    /// picked up in its middle): the conversation has turned itself, the flow wants to be turned too.
    fn protocol(&mut self, protocol: Protocol, turned: bool) {
        let _ = (protocol, turned);
    }

    /// What goes this way in the transaction has reached a further [`Progress`](crate::Progress).
    fn transaction(&mut self, toward: Toward, transaction: &Transaction);

    /// Something odd in what goes this way.
    fn event(&mut self, toward: Toward, event: Event) {
        let _ = (toward, event);
    }
}

/// An oddity, for counters and alerts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The bytes do not have the form of their protocol: the rest of this direction is not parsed.
    Malformed,
    /// A head or message larger than may be held: the rest of this direction is not parsed.
    TooLong,
    /// More requests wait for responses than may be held: the oldest is given up.
    TooMany,
    /// Bytes of the stream are missing: the rest of this direction is not parsed, unless they were of a body.
    Gap,
}

/// The application protocol of one flow: what is needed to go on with its next bytes.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Conversation {}

impl Conversation {
    /// One of which nothing was seen.
    pub fn new() -> Conversation {
        Conversation::default()
    }

    /// The next bytes of a stream.
    pub fn data(&mut self, _limits: &Limits, _toward: Toward, _bytes: &[u8], _sink: &mut impl Sink) {}

    /// Bytes of a stream that never came.
    pub fn gap(&mut self, _limits: &Limits, _toward: Toward, _len: u64, _sink: &mut impl Sink) {}

    /// A stream's end.
    pub fn end(&mut self, _limits: &Limits, _toward: Toward, _sink: &mut impl Sink) {}

    /// A datagram, which is whole in itself.
    pub fn datagram(&mut self, _limits: &Limits, _toward: Toward, _bytes: &[u8], _sink: &mut impl Sink) {}

    /// The protocol, once it is known.
    pub fn protocol(&self) -> Option<Protocol> {
        None
    }

    /// Bytes of memory that it holds beyond its own size.
    pub fn held(&self) -> usize {
        0
    }
}
