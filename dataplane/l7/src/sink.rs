//! What comes out of parsing.

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
    /// Bytes of a TLS handshake message, certificates included, or of a DNS message.
    pub message: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { head: 16 << 10, body: 16 << 10, transactions: 16, message: (64 << 10) + 1 }
    }
}

/// What takes transactions.
pub trait Sink {
    /// The flow's protocol was found. `turned`: the flow, picked up in its middle, goes the other way than its directions
    /// say. The conversation heeds that at once, so the caller gives it the other direction from now on, for the rest of
    /// the segment too, after which it turns the flow ([`streams::Flow::turn`]).
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
    /// A head or message larger than may be held: its beginning is looked at where that is possible, the rest of this
    /// direction is not parsed.
    TooLong,
    /// More requests wait for responses than may be held: the oldest is given up.
    TooMany,
    /// Where a body ends is said in ways that contradict each other: chunks count before the first length.
    Ambiguous,
    /// Bytes of the stream are missing, and not only of a body: the rest of this direction is not parsed.
    Gap,
}

impl Event {
    /// Every event, in the order of their numbers.
    pub const ALL: [Event; 5] =
        [Event::Malformed, Event::TooLong, Event::TooMany, Event::Ambiguous, Event::Gap];

    /// Its name in counters.
    pub fn name(self) -> &'static str {
        match self {
            Event::Malformed => "malformed",
            Event::TooLong => "too_long",
            Event::TooMany => "too_many",
            Event::Ambiguous => "ambiguous",
            Event::Gap => "gap",
        }
    }
}
