//! A connection: its two streams and its state.

use crate::{Config, Outcome, Pool, Segment, Sink, State, Toward};
use wire::flow::Direction;

/// A connection as an inspector sees it: a value of fixed size. What it holds besides is in the [`Pool`].
#[derive(Debug, Default)]
pub struct Flow {
    state: State,
    /// Whether the client is the larger end of the flow's key, once a segment was seen.
    client_reverse: Option<bool>,
}

impl Flow {
    /// A connection of which nothing was seen.
    pub fn new() -> Flow {
        Flow::default()
    }

    /// Where the connection is.
    pub fn state(&self) -> State {
        self.state
    }

    /// Which way segments from this end go.
    ///
    /// The client is who sent the first SYN; where none was seen, whoever received the first SYN with ACK; else whoever
    /// sent the first segment.
    pub fn toward(&self, direction: Direction) -> Toward {
        let client_reverse = self.client_reverse.unwrap_or(direction == Direction::Reverse);
        if (direction == Direction::Reverse) == client_reverse { Toward::Server } else { Toward::Client }
    }

    /// Client becomes server and the reverse: what an inspector of contents does that finds a connection, picked up in
    /// its middle, to be the other way round.
    pub fn turn(&mut self) {
        self.client_reverse = self.client_reverse.map(|reverse| !reverse);
    }

    /// Takes a segment in and hands out what is next because of it: first what its acknowledgement lets out of the other
    /// direction, then its own.
    pub fn segment(
        &mut self,
        _config: &Config,
        _pool: &mut Pool,
        segment: &Segment<'_>,
        _sink: &mut impl Sink,
    ) -> Outcome {
        let reverse = segment.direction == Direction::Reverse;
        self.client_reverse.get_or_insert(reverse);
        Outcome { toward: self.toward(segment.direction), state: self.state, taken: false, streamed: false }
    }

    /// Hands out all that is held, acknowledged or not, with its gaps, and ends both directions: for a flow that is
    /// over, timed out or about to be forgotten.
    pub fn finish(&mut self, _config: &Config, pool: &mut Pool, _sink: &mut impl Sink) {
        self.release(pool);
    }

    /// Gives back what the flow holds in the pool, without handing it out; no more is held or handed out afterwards.
    pub fn release(&mut self, _pool: &mut Pool) {
        self.state = State::Closed;
    }
}
