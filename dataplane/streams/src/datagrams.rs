//! What `flow:established` and a direction mean where there is no connection.

use crate::{Outcome, State, Toward};
use serde::{Deserialize, Serialize};
use wire::flow::Direction;

/// An exchange of datagrams (UDP, ICMP, …): who began it and whether it was answered, which rules call `established`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Datagrams {
    /// Whether the first datagram went from the key's larger end; nothing before it.
    first_reverse: Option<bool>,
    answered: bool,
}

impl Datagrams {
    /// Takes note of a datagram.
    pub fn see(&mut self, direction: Direction) -> Outcome {
        let reverse = direction == Direction::Reverse;
        let first = *self.first_reverse.get_or_insert(reverse);
        self.answered |= reverse != first;
        Outcome {
            toward: if reverse == first { Toward::Server } else { Toward::Client },
            state: if self.answered { State::Established } else { State::SynSent },
            taken: true,
            streamed: false,
        }
    }
}
