//! TCP as senders and receivers of the simulator have it: slow start, congestion avoidance, fast retransmit and NewReno's
//! fast recovery without SACK, limited transmit, retransmission timeouts.
//!
//! After RFC 5681 (congestion control), RFC 6582 (NewReno), RFC 3042 (limited transmit), RFC 6298 (timeouts), RFC 6928
//! (initial window), RFC 3465 (appropriate byte counting, L = 1). Every segment is acknowledged at once. Connections are
//! there already: no handshake, no FIN. Both are state machines without a clock or a network: they say what to send.

mod receiver;
mod sender;
#[cfg(test)]
mod tests;

pub use receiver::Receiver;
pub use sender::{Segment, Sender};

use crate::quantity::{MILLISECOND, Picos, SECOND};

/// Payload of a full segment, in bytes.
pub const MSS: u32 = 1460;

/// What can be set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tcp {
    /// Segments that may be sent at once at the start.
    pub initial_window: u32,
    /// Bytes that a receiver takes beyond what it acknowledged.
    pub window: u32,
    /// The shortest timeout, and the one before anything was measured.
    pub least_timeout: Picos,
    /// The longest timeout.
    pub most_timeout: Picos,
}

impl Default for Tcp {
    fn default() -> Self {
        Tcp { initial_window: 10, window: 256_000, least_timeout: 5 * MILLISECOND, most_timeout: SECOND }
    }
}
