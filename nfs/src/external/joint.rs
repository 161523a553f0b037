//! The second of two servers: the packets of a chain, which the mirror has numbered, meet what the other branch made of
//! their copies.

use super::config::Plan;
use super::lanes::Lanes;
use super::merge::{self, Scratch};
use super::{
    ANSWERED, DUPLICATE, FULL, GARBAGE, GENERATED, LATE, LOST, MERGED, PASSED, SENT_UNMARKED, STOPPED,
    TIMED_OUT, UNIDENTIFIED, flow_hash,
};
use crate::external::carrier::VLANS;
use engine::{Burst, Cx, Packet, Reason, Time};
use std::collections::VecDeque;
use wire::protocol::ether_type;

/// Identifiers that one tag can have.
const TAG: u32 = (VLANS.1 - VLANS.0 + 1) as u32;
/// Numbers that two tags can have: at ten million packets a second the same comes again after 1.6 seconds.
pub(super) const SPACE: u32 = TAG * TAG;
/// How often a seat may be taken while an older packet still waits for its other half.
const AGES: usize = 16;
/// Two MAC addresses.
const MACS: usize = 12;
/// Bytes of two tags.
const TAGS: usize = 8;

/// Writes the tags of a number into a frame that has grown by them at its front.
pub(super) fn number_tags(bytes: &mut [u8], number: u32) {
    if bytes.len() < MACS + TAGS {
        return;
    }
    bytes.copy_within(TAGS..TAGS + MACS, 0);
    let id = |part: u32| (VLANS.0 + (part % TAG) as u16).to_be_bytes();
    bytes[12..14].copy_from_slice(&ether_type::QINQ.to_be_bytes());
    bytes[14..16].copy_from_slice(&id(number / TAG));
    bytes[16..18].copy_from_slice(&ether_type::VLAN.to_be_bytes());
    bytes[18..20].copy_from_slice(&id(number));
}

/// The number of a frame. An AF_PACKET device takes the outer tag off and puts it back as one of 802.1Q, whatever it was.
fn number_of(frame: &[u8]) -> Option<u32> {
    let tags: &[u8; TAGS] = frame.get(MACS..)?.first_chunk()?;
    let word = |at: usize| u16::from_be_bytes([tags[at], tags[at + 1]]);
    let id = |at: usize| Some(word(at) & 0x0fff).filter(|id| (VLANS.0..=VLANS.1).contains(id));
    if !matches!(word(0), ether_type::QINQ | ether_type::VLAN) || word(4) != ether_type::VLAN {
        return None;
    }
    Some(u32::from(id(2)? - VLANS.0) * TAG + u32::from(id(6)? - VLANS.0))
}

/// Takes the tags of a number away.
fn without_tags(packet: &mut Packet) -> bool {
    let Some(bytes) = packet.bytes_mut().filter(|bytes| bytes.len() >= MACS + TAGS) else { return false };
    bytes.copy_within(0..MACS, TAGS);
    packet.trim_front(TAGS)
}

/// Packets that wait for each other, on one worker.
pub(super) struct Joint {
    /// By the low bits of a number.
    seats: Box<[Seat]>,
    /// Seats in the order in which they were taken, with their number.
    ages: VecDeque<(u32, u32)>,
    lanes: Lanes,
    scratch: Scratch,
    far_bytes: Vec<u8>,
    here_bytes: Vec<u8>,
}

/// Where the two halves of a packet meet.
#[derive(Default)]
struct Seat {
    number: Option<u32>,
    taken: Time,
    state: State,
    lane: u32,
    here: Option<Packet>,
    far: Option<Packet>,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// Nobody is there; of the number that was there last both halves had come.
    #[default]
    Free,
    /// Nobody is there; of the number that was there last one half had not come.
    Lost,
    /// One half is there. The one of the chain is in a lane.
    Waiting,
    /// What is in `here` may leave; nothing, if it is gone.
    Ended,
}

impl Joint {
    pub(super) fn new(plan: &Plan) -> Joint {
        let seats = plan.in_flight.next_power_of_two() as usize;
        Joint {
            seats: (0..seats).map(|_| Seat::default()).collect(),
            ages: VecDeque::with_capacity(AGES * seats),
            lanes: Lanes::new(seats),
            scratch: Scratch::with_capacity(9216),
            far_bytes: Vec::with_capacity(9216),
            here_bytes: Vec::with_capacity(9216),
        }
    }

    pub(super) fn in_flight(&self) -> usize {
        let busy = |seat: &&Seat| matches!(seat.state, State::Waiting | State::Ended);
        self.seats.iter().filter(busy).count()
    }

    pub(super) fn held(&self) -> usize {
        self.seats.iter().map(|seat| usize::from(seat.here.is_some()) + usize::from(seat.far.is_some())).sum()
    }

    pub(super) fn process(&mut self, plan: &Plan, burst: &mut Burst, cx: &mut Cx<'_>) {
        let back = plan.branches.first().and_then(|branch| branch.back);
        for i in 0..burst.len() {
            let far = back == Some(burst.ingress(i));
            match number_of(burst.bytes(i)) {
                Some(number) => self.arrive(plan, number, far, burst, i, cx),
                None if !far => cx.count(SENT_UNMARKED, 1),
                None if !plan.creates => burst.drop(i, UNIDENTIFIED),
                None => {
                    if let Some(mut packet) = burst.take(i) {
                        packet.set_chain(None);
                        cx.count(GENERATED, 1);
                        cx.emit(0, packet);
                    }
                }
            }
        }
    }

    fn arrive(&mut self, plan: &Plan, number: u32, far: bool, burst: &mut Burst, i: usize, cx: &mut Cx<'_>) {
        let index = number % self.seats.len() as u32;
        let seat = &mut self.seats[index as usize];
        let mine = seat.number == Some(number);
        let recent = mine && cx.now() < seat.taken + plan.timeout * 2;
        let refusal = match seat.state {
            State::Waiting if mine && far && seat.far.is_some() => Some(DUPLICATE),
            State::Waiting if mine && !far && seat.here.is_some() => Some(DUPLICATE),
            State::Ended if mine => Some(DUPLICATE),
            State::Waiting | State::Ended if !mine => Some(FULL),
            State::Free | State::Lost if self.ages.len() == self.ages.capacity() => Some(FULL),
            State::Free if recent => Some(DUPLICATE),
            State::Lost if recent => Some(LATE),
            _ => None,
        };
        if let Some(reason) = refusal {
            return burst.drop(i, reason);
        }
        let headers = burst.headers(i);
        let lane = Lanes::of(flow_hash(&headers, burst.bytes(i)));
        let Some(mut packet) = burst.take(i) else { return };
        if !without_tags(&mut packet) {
            return cx.discard(packet, Reason::NO_MBUFS);
        }
        if seat.state != State::Waiting {
            *seat = Seat { number: Some(number), taken: cx.now(), state: State::Waiting, ..Seat::default() };
            self.ages.push_back((index, number));
        }
        if far {
            cx.count(ANSWERED, 1);
            seat.far = Some(packet);
        } else {
            seat.here = Some(packet);
            seat.lane = lane;
            self.lanes.push(lane, index);
        }
        if seat.far.is_some() && seat.here.is_some() {
            self.unite(plan, index, cx);
        }
    }

    /// Both halves are there.
    fn unite(&mut self, plan: &Plan, index: u32, cx: &mut Cx<'_>) {
        let seat = &mut self.seats[index as usize];
        let (Some(mut here), Some(far)) = (seat.here.take(), seat.far.take()) else { return };
        let writes = plan.branches.first().map_or(wire::Fields::EMPTY, |branch| branch.writes);
        gather(&far, &mut self.far_bytes);
        gather(&here, &mut self.here_bytes);
        let merged = merge::overlay(&mut self.here_bytes, &self.far_bytes, writes, &mut self.scratch).is_ok()
            && here.fill(&self.here_bytes);
        cx.absorb(far);
        if merged {
            cx.count(MERGED, 1);
            seat.here = Some(here);
        } else {
            cx.discard(here, GARBAGE);
        }
        seat.state = State::Ended;
        let lane = seat.lane;
        self.release(lane, cx);
    }

    /// Sends on what is at the front of a lane and waits for nothing.
    fn release(&mut self, lane: u32, cx: &mut Cx<'_>) {
        while let Some(index) = self.lanes.first(lane) {
            let seat = &mut self.seats[index as usize];
            if seat.state != State::Ended {
                return;
            }
            if let Some(packet) = seat.here.take() {
                cx.emit(0, packet);
                seat.state = State::Free;
            } else {
                seat.state = State::Lost;
            }
            self.lanes.pop(lane);
        }
    }

    /// Gives up what has waited long enough.
    pub(super) fn expire(&mut self, plan: &Plan, cx: &mut Cx<'_>) {
        while let Some(&(index, number)) = self.ages.front() {
            let seat = &mut self.seats[index as usize];
            let waits = seat.number == Some(number) && seat.state == State::Waiting;
            if waits && seat.taken + plan.timeout > cx.now() {
                return;
            }
            self.ages.pop_front();
            if !waits {
                continue;
            }
            cx.count(TIMED_OUT, 1);
            if let Some(far) = seat.far.take() {
                // The chain has dropped its half: nobody waits for this one.
                cx.discard(far, LOST);
                seat.state = State::Lost;
                continue;
            }
            if plan.pass {
                cx.count(PASSED, 1);
            } else if let Some(here) = seat.here.take() {
                cx.discard(here, LOST);
            }
            seat.state = State::Ended;
            let lane = seat.lane;
            self.release(lane, cx);
        }
    }

    /// Lets everything go.
    pub(super) fn let_go(&mut self, cx: &mut Cx<'_>) {
        for seat in &mut self.seats {
            let held = seat.here.take().into_iter().chain(seat.far.take());
            held.for_each(|packet| cx.discard(packet, STOPPED));
            if seat.state != State::Free {
                seat.state = State::Lost;
            }
        }
        self.ages.clear();
        self.lanes = Lanes::new(self.seats.len());
    }
}

/// All bytes of a packet in one piece.
fn gather(packet: &Packet, into: &mut Vec<u8>) {
    into.clear();
    packet.segments().for_each(|segment| into.extend_from_slice(segment));
}
