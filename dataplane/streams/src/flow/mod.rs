//! A connection: its two streams and its state.

mod half;
mod handshake;
mod lane;
mod policy;
mod record;
#[cfg(test)]
mod tests;

pub use record::{BadRecord, FlowRecord};

use crate::{Config, Event, Outcome, Pool, Segment, Sink, State, Toward};
use half::Half;
use lane::Lane;
use wire::flow::Direction;
use wire::tcp::flags::{ACK, FIN, RST, SYN, URG};

/// How far ahead of what it sent an acknowledgement may be for a sender whose receiver's window is not known.
const FAR: u64 = 1 << 30;

/// A connection as an inspector sees it: a value of fixed size. What it holds besides is in the [`Pool`].
#[derive(Debug, Default)]
pub struct Flow {
    state: State,
    /// Whether the client is the larger end of the flow's key, once a segment was seen.
    client_reverse: Option<bool>,
    /// Whether a RST closed it.
    reset: bool,
    /// What the client sends, what the server sends.
    halves: [Half; 2],
}

/// What goes with every step: how, from where, to where.
struct Cx<'a, S> {
    config: &'a Config,
    pool: &'a mut Pool,
    sink: &'a mut S,
}

/// Which of the two halves is sent by the end that this way leads away from.
fn sender(toward: Toward) -> usize {
    usize::from(toward == Toward::Client)
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

    /// Whether the connection is over, so that a SYN begins another one. After a RST that its receiver may not have
    /// heeded it is not: the answer to the SYN has to come first.
    pub fn is_over(&self) -> bool {
        self.state == State::Closed && !(self.reset && self.halves.iter().all(|half| half.open))
    }

    /// Which way segments from this end go.
    ///
    /// The client is who sent the first SYN; where the connection was picked up at a SYN with ACK, whoever received it;
    /// else whoever sent the first segment.
    pub fn toward(&self, direction: Direction) -> Toward {
        let reverse = direction == Direction::Reverse;
        if reverse == self.client_reverse.unwrap_or(reverse) { Toward::Server } else { Toward::Client }
    }

    /// Bytes of this direction that were handed out or skipped.
    pub fn offset(&self, toward: Toward) -> u64 {
        self.halves[sender(toward)].next
    }

    /// Bytes of this direction that were sent, handed out or not: what a rule's `stream_size` compares.
    pub fn sent(&self, toward: Toward) -> u64 {
        let half = &self.halves[sender(toward)];
        half.sent.max(half.next)
    }

    /// Client becomes server and the reverse: what an inspector of contents does that finds a connection, picked up in
    /// its middle, to be the other way round.
    pub fn turn(&mut self) {
        self.client_reverse = self.client_reverse.map(|reverse| !reverse);
        self.halves.swap(0, 1);
    }

    /// Takes a segment in and hands out what is next because of it: first what its acknowledgement lets out of the other
    /// direction, then its own.
    pub fn segment(
        &mut self,
        config: &Config,
        pool: &mut Pool,
        segment: &Segment<'_>,
        sink: &mut impl Sink,
    ) -> Outcome {
        self.client_reverse.get_or_insert(segment.direction == Direction::Reverse);
        let cx = &mut Cx { config, pool, sink };
        let (taken, streamed) = if segment.has(RST) {
            (self.reset(cx, segment), false)
        } else if segment.has(SYN) {
            self.syn(cx, segment)
        } else if self.state >= State::Established || self.complete(cx, segment) {
            self.data(cx, segment)
        } else {
            (false, false)
        };
        Outcome { toward: self.toward(segment.direction), state: self.state, taken, streamed }
    }

    /// Hands out all that is held, acknowledged or not, with its gaps, and ends both directions: for a flow that is
    /// over, timed out or about to be forgotten. What the receiver may not have taken is left out.
    pub fn finish(&mut self, config: &Config, pool: &mut Pool, sink: &mut impl Sink) {
        let cx = &mut Cx { config, pool, sink };
        for toward in [Toward::Server, Toward::Client] {
            let mut lane = self.lane(cx, toward);
            lane.flush();
            if lane.half.known {
                lane.end();
            }
        }
        self.release(pool);
    }

    /// Gives back what the flow holds in the pool, without handing it out.
    pub fn release(&mut self, pool: &mut Pool) {
        for half in &mut self.halves {
            if let Some(handle) = half.handle.take() {
                pool.close(handle);
            }
            half.kept = half.next;
        }
        self.state = State::Closed;
    }

    /// Bytes of the pool's chunks aside, whether it holds anything there.
    pub fn holds(&self, pool: &Pool) -> bool {
        self.halves.iter().any(|half| half.handle.is_some_and(|handle| pool.has(handle)))
    }

    /// The direction that goes this way.
    fn lane<'a, S>(&'a mut self, cx: &'a mut Cx<'_, S>, toward: Toward) -> Lane<'a, S> {
        let one_sided = !self.halves[sender(toward.other())].seen;
        let half = &mut self.halves[sender(toward)];
        Lane { half, toward, one_sided, config: cx.config, pool: cx.pool, sink: cx.sink }
    }

    /// A segment of an open connection: its acknowledgement, its data, its FIN. Whether it is taken, whether its data is.
    fn data<S: Sink>(&mut self, cx: &mut Cx<'_, S>, segment: &Segment<'_>) -> (bool, bool) {
        let toward = self.toward(segment.direction);
        let own = &mut self.halves[sender(toward)];
        if own.isn_count > 1 {
            return (false, false);
        }
        own.seen = true;
        let from = own.place(segment.seq);
        let doubt = self.doubt(cx, segment, from);
        let mut doubtful = doubt.is_some();
        if let Some(event) = doubt {
            cx.sink.event(toward, event);
        }
        if segment.has(ACK) && doubt != Some(Event::OldTimestamp) {
            doubtful |= !self.acknowledge(cx, toward, segment);
        } else if !segment.has(ACK) {
            cx.sink.event(toward, Event::BadAck);
            doubtful = true;
        }
        if segment.has(URG) && !doubtful {
            self.lane(cx, toward).mark_urgent(from, segment.urgent);
        }
        let streamed = !segment.payload.is_empty() && {
            if self.reset {
                cx.sink.event(toward, Event::DataAfterReset);
            }
            self.lane(cx, toward).insert(from, segment.payload, doubtful)
        };
        if segment.has(FIN) && !doubtful {
            self.fin(cx, toward, from + segment.payload.len() as i64);
        }
        self.wait(cx);
        (true, streamed)
    }

    /// Why the receiver may not take a segment, if there is a reason.
    fn doubt<S: Sink>(&mut self, cx: &mut Cx<'_, S>, segment: &Segment<'_>, from: i64) -> Option<Event> {
        let own = &mut self.halves[sender(self.toward(segment.direction))];
        if own.ttl == 0 {
            own.ttl = segment.ttl;
        }
        if low_ttl(cx.config, own, segment) {
            return Some(Event::LowTtl);
        }
        if let (Some(last), Some(now)) = (own.timestamp, segment.timestamp)
            && (now.wrapping_sub(last) as i32) < 0
        {
            return Some(Event::OldTimestamp);
        }
        let to = from.saturating_add(segment.payload.len() as i64);
        if own.right > 0 && to > own.right.max(own.acked) as i64 && !segment.payload.is_empty() {
            return Some(Event::OutOfWindow);
        }
        if segment.timestamp.is_some() && from <= own.acked as i64 {
            own.timestamp = segment.timestamp;
        }
        None
    }

    /// Lets out of the other direction what a segment acknowledges. `false`: it acknowledges what it cannot.
    fn acknowledge<S: Sink>(&mut self, cx: &mut Cx<'_, S>, toward: Toward, segment: &Segment<'_>) -> bool {
        let scale = self.halves[sender(toward)].scale(&self.halves[sender(toward.other())]);
        let window = u64::from(segment.window) << if segment.has(SYN) { 0 } else { scale };
        let mut lane = self.lane(cx, toward.other());
        let half = &mut *lane.half;
        let place = half.place(segment.ack);
        let most = if half.right == 0 { half.sent + FAR } else { half.right.max(half.sent + 1) };
        if place > most as i64 || place < half.acked as i64 - half.widest.max(FAR >> 14) as i64 {
            cx.sink.event(toward, Event::BadAck);
            return false;
        }
        let place = place.max(0) as u64;
        half.fin_acked |= half.fin.is_some_and(|fin| place > fin);
        half.acked = half.acked.max(half.fin.map_or(place, |fin| place.min(fin)));
        half.right = half.right.max(place + window);
        half.widest = half.widest.max(window);
        if half.stopped && half.acked > half.next {
            let acked = half.acked;
            half.advance(acked);
        }
        lane.notice_eviction();
        lane.deliver();
        true
    }

    /// A FIN at this place.
    fn fin<S: Sink>(&mut self, cx: &mut Cx<'_, S>, toward: Toward, place: i64) {
        let mut lane = self.lane(cx, toward);
        let right = u64::try_from(place).ok().filter(|&place| place >= lane.half.sent.max(lane.half.next));
        match right {
            Some(place) if lane.half.fin.is_none_or(|fin| fin == place) => lane.half.fin = Some(place),
            _ if lane.half.fin.is_some_and(|fin| fin as i64 == place) => {}
            _ => return lane.event(Event::OtherFin),
        }
        if self.state == State::Established {
            self.state = State::Closing;
        }
    }

    /// What is due after a segment: gaps that have waited long enough, ends.
    fn wait<S: Sink>(&mut self, cx: &mut Cx<'_, S>) {
        for toward in [Toward::Server, Toward::Client] {
            let mut lane = self.lane(cx, toward);
            if lane.half.acked > lane.half.next {
                lane.half.waited = lane.half.waited.saturating_add(1);
                lane.skip_missing(false);
            }
            if lane.half.fin_acked && lane.half.fin.is_some_and(|fin| lane.half.next >= fin) {
                lane.end();
            }
        }
        if self.halves.iter().all(|half| half.fin_acked) {
            self.state = State::Closed;
        }
    }

    /// A RST. Whether it is heeded.
    fn reset<S: Sink>(&mut self, cx: &mut Cx<'_, S>, segment: &Segment<'_>) -> bool {
        let toward = self.toward(segment.direction);
        if self.state == State::None {
            return false;
        }
        if !segment.payload.is_empty() {
            cx.sink.event(toward, Event::ResetData);
        }
        if low_ttl(cx.config, &self.halves[sender(toward)], segment) {
            cx.sink.event(toward, Event::LowTtl);
            return false;
        }
        let policy = cx.config.policy;
        let heeded = if self.halves[sender(toward)].known {
            let lane = self.lane(cx, toward);
            lane.half.heeds_reset(lane.half.place(segment.seq), lane.contiguous(), policy)
        } else {
            // A SYN that is refused.
            segment.has(ACK) && self.halves[sender(toward.other())].settle(segment.ack).is_some()
        };
        if !heeded {
            cx.sink.event(toward, Event::BadReset);
            return false;
        }
        if segment.has(ACK) && self.state >= State::Established {
            self.acknowledge(cx, toward, segment);
        }
        self.state = State::Closed;
        self.reset = true;
        true
    }
}

/// Whether a segment's TTL is so much lower than that of its sender's first one that it may not reach the receiver.
fn low_ttl(config: &Config, own: &Half, segment: &Segment<'_>) -> bool {
    let slack = config.ttl_slack;
    slack > 0 && segment.ttl > 0 && own.ttl.saturating_sub(segment.ttl) > slack
}
