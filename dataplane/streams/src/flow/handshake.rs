//! How a connection begins: three-way, split and simultaneous handshakes, Fast Open, mid-stream.

use super::half::Half;
use super::{Cx, Flow, low_ttl, sender};
use crate::{Event, Segment, Sink, State, Toward};
use wire::flow::Direction;
use wire::tcp::flags::{ACK, FIN, SYN};

impl Flow {
    /// A SYN, with ACK or without. Whether it is taken, whether its data is held.
    pub(super) fn syn<S: Sink>(&mut self, cx: &mut Cx<'_, S>, segment: &Segment<'_>) -> (bool, bool) {
        let toward = self.toward(segment.direction);
        if segment.has(FIN) || low_ttl(cx.config, &self.halves[sender(toward)], segment) {
            let event = if segment.has(FIN) { Event::UnexpectedSyn } else { Event::LowTtl };
            cx.sink.event(toward, event);
            return (false, false);
        }
        let begins = self.state == State::None || self.is_over();
        match (segment.has(ACK), begins) {
            (false, true) => {
                self.restart(cx, segment.direction);
                self.open(cx, segment)
            }
            (false, false) => self.another_syn(cx, segment),
            (true, true) if self.state == State::None => self.pick_up(cx, segment),
            (true, _) => self.syn_ack(cx, segment),
        }
    }

    /// Forgets the connection before, if there was one. The client is who sent this.
    fn restart<S: Sink>(&mut self, cx: &mut Cx<'_, S>, client: Direction) {
        if self.state != State::None {
            self.finish(cx.config, cx.pool, cx.sink);
            cx.sink.begin();
        }
        *self = Flow { client_reverse: Some(client == Direction::Reverse), ..Flow::default() };
    }

    /// The first SYN of an end.
    fn open<S: Sink>(&mut self, cx: &mut Cx<'_, S>, segment: &Segment<'_>) -> (bool, bool) {
        let toward = self.toward(segment.direction);
        self.halves[sender(toward)] = Half::of_syn(segment);
        self.state = self.state.max(State::SynSent);
        (true, self.syn_data(cx, toward, segment))
    }

    /// Data with a SYN counts if it is acknowledged.
    fn syn_data<S: Sink>(&mut self, cx: &mut Cx<'_, S>, toward: Toward, segment: &Segment<'_>) -> bool {
        if segment.payload.is_empty() {
            return false;
        }
        let mut lane = self.lane(cx, toward);
        lane.event(Event::SynData);
        let streamed = lane.insert(0, segment.payload, true);
        lane.half.sent = lane.half.sent.max(segment.payload.len() as u64);
        streamed
    }

    /// A SYN without ACK in a connection that has begun.
    fn another_syn<S: Sink>(&mut self, cx: &mut Cx<'_, S>, segment: &Segment<'_>) -> (bool, bool) {
        let toward = self.toward(segment.direction);
        let own = &mut self.halves[sender(toward)];
        if !own.known {
            cx.sink.event(toward, Event::SplitHandshake);
            return self.open(cx, segment);
        }
        if own.isns.contains(&segment.seq) && own.isn_count > 0 {
            return (true, false);
        }
        own.isns[1] = segment.seq;
        if self.state >= State::Established {
            if !self.reset {
                cx.sink.event(toward, Event::UnexpectedSyn);
            }
            return (false, false);
        }
        own.isn_count = 2;
        cx.sink.event(toward, Event::OtherSyn);
        (true, false)
    }

    /// A SYN with ACK: the answer to a SYN.
    fn syn_ack<S: Sink>(&mut self, cx: &mut Cx<'_, S>, segment: &Segment<'_>) -> (bool, bool) {
        let toward = self.toward(segment.direction);
        let (own, other) = (sender(toward), sender(toward.other()));
        if self.state >= State::Established {
            let Half { isns: [current, asked], isn_count, .. } = self.halves[other];
            let to_another = asked != current && segment.ack == asked.wrapping_add(1);
            let known = self.halves[own].isns[0] == segment.seq && self.halves[own].isn_count > 0;
            if known && !to_another {
                return (true, false);
            }
            let again = asked == current && !self.reset;
            if isn_count != 1 || again || segment.ack != asked.wrapping_add(1) {
                cx.sink.event(toward, Event::UnexpectedSyn);
                return (false, false);
            }
            // The answer to a SYN that came while this connection was thought to be open: it was not.
            let client = match segment.direction {
                Direction::Forward => Direction::Reverse,
                Direction::Reverse => Direction::Forward,
            };
            self.restart(cx, client);
            self.halves[other] = Half { midstream: true, ..Half::of_isn(asked) };
        }
        if !self.settle(cx, toward.other(), segment.ack) {
            cx.sink.event(toward, Event::BadSynAck);
            return (false, false);
        }
        let streamed = match &mut self.halves[own] {
            half if !half.known => self.open(cx, segment).1,
            half if half.isns.contains(&segment.seq) => self.syn_data(cx, toward, segment),
            half => {
                (half.isns[1], half.isn_count) = (segment.seq, 2);
                cx.sink.event(toward, Event::OtherSyn);
                false
            }
        };
        self.acknowledge(cx, toward, segment);
        self.opened(other);
        (true, streamed)
    }

    /// A segment without SYN before the handshake is done. Whether the connection is open now, or at least so far that
    /// the segment can be looked at.
    pub(super) fn complete<S: Sink>(&mut self, cx: &mut Cx<'_, S>, segment: &Segment<'_>) -> bool {
        let toward = self.toward(segment.direction);
        let (own, other) = (sender(toward), sender(toward.other()));
        if self.state == State::None {
            return segment.has(ACK) && self.pick_up(cx, segment).0;
        }
        if !self.halves[own].known || !segment.has(ACK) {
            return false;
        }
        if !self.halves[other].known {
            // The answer to the SYN was not seen.
            if !cx.config.midstream {
                return false;
            }
            cx.sink.event(toward, Event::Midstream);
            self.halves[other] = Half::at(segment.ack);
            self.halves[own].open = true;
            self.halves[own].midstream = true;
        } else if !self.halves[other].open && !self.settle(cx, toward.other(), segment.ack) {
            cx.sink.event(toward, Event::BadAck);
            return false;
        }
        self.opened(other);
        self.state >= State::SynReceived
    }

    /// Follows a connection from this segment on, if that is wanted.
    fn pick_up<S: Sink>(&mut self, cx: &mut Cx<'_, S>, segment: &Segment<'_>) -> (bool, bool) {
        if !cx.config.midstream {
            return (false, false);
        }
        if segment.has(SYN) {
            self.client_reverse = Some(segment.direction == Direction::Forward);
        }
        let toward = self.toward(segment.direction);
        cx.sink.event(toward, Event::Midstream);
        let (own, other) = (sender(toward), sender(toward.other()));
        self.halves[other] = Half::at(segment.ack);
        if segment.has(SYN) {
            self.halves[own] = Half { midstream: true, ..Half::of_syn(segment) };
            self.state = State::SynReceived;
            return (true, self.syn_data(cx, toward, segment));
        }
        self.halves[own] =
            Half { seen: true, ttl: segment.ttl, timestamp: segment.timestamp, ..Half::at(segment.seq) };
        self.state = State::Established;
        (true, false)
    }

    /// Chooses the initial sequence number of what goes this way by the other end's answer.
    fn settle<S: Sink>(&mut self, cx: &mut Cx<'_, S>, toward: Toward, ack: u32) -> bool {
        let lane = self.lane(cx, toward);
        if !lane.half.known {
            return false;
        }
        if lane.half.open {
            return true;
        }
        let (before, count) = (lane.half.next_seq, lane.half.isn_count);
        if lane.half.settle(ack).is_none() {
            return false;
        }
        let first = lane.half.isns[0].wrapping_add(1);
        if count > 1 && before != first {
            // What was held came with the other SYN.
            if let Some(handle) = lane.half.handle.take() {
                lane.pool.close(handle);
            }
            (lane.half.next_seq, lane.half.sent) = (first, 0);
        }
        true
    }

    /// The other end has answered this half's SYN.
    fn opened(&mut self, half: usize) {
        self.halves[half].open = true;
        self.state = if self.halves.iter().all(|half| half.open) {
            self.state.max(State::Established)
        } else {
            self.state.max(State::SynReceived)
        };
    }
}
