//! The second of two servers: the packets of a chain, which the mirror has numbered, meet what the other branch made of
//! their copies.

use super::config::Plan;
use super::lanes::Lanes;
use super::merge::{self, Scratch};
use super::seats::Seats;
use super::{
    ANSWERED, DUPLICATE, FULL, GARBAGE, GENERATED, LATE, LOST, MERGED, PASSED, SENT_UNMARKED, STOPPED,
    TIMED_OUT, UNIDENTIFIED,
};
use crate::external::carrier::VLANS;
use engine::{Burst, Cx, Packet, Reason, Time, WorkerSite};
use wire::protocol::ether_type;

/// Identifiers that one tag can have.
const TAG: u32 = (VLANS.1 - VLANS.0 + 1) as u32;
/// Numbers that two tags can have: at ten million packets a second the same comes again after 1.6 seconds.
pub(super) const SPACE: u32 = TAG * TAG;
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
    seats: Seats,
    /// By seat.
    halves: Box<[Halves]>,
    lanes: Lanes,
    scratch: Scratch,
    far_bytes: Vec<u8>,
    here_bytes: Vec<u8>,
}

/// What sits in a seat.
#[derive(Default)]
struct Halves {
    came: Time,
    /// Waits no more: what is in `here` may leave when its turn in the lane comes; nothing, if it is gone.
    ended: bool,
    lane: u32,
    /// The half of the chain, which is in a lane.
    here: Option<Packet>,
    far: Option<Packet>,
}

impl Joint {
    pub(super) fn new(plan: &Plan, worker: &WorkerSite) -> Joint {
        let seats = plan.in_flight as usize;
        Joint {
            seats: Seats::new(seats),
            halves: (0..seats).map(|_| Halves::default()).collect(),
            lanes: Lanes::new(seats, worker.seed),
            scratch: Scratch::with_capacity(9216),
            far_bytes: Vec::with_capacity(9216),
            here_bytes: Vec::with_capacity(9216),
        }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.seats.taken()
    }

    pub(super) fn held(&self) -> usize {
        let held = |halves: &Halves| usize::from(halves.here.is_some()) + usize::from(halves.far.is_some());
        self.halves.iter().map(held).sum()
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
        let there = self.seats.find(number);
        let refusal = match there {
            Some(seat) => {
                let halves = &self.halves[seat as usize];
                let same = if far { halves.far.is_some() } else { halves.here.is_some() };
                (halves.ended || same).then_some(DUPLICATE)
            }
            None => match self.seats.left(number) {
                Some((lost, came)) if cx.now() < came + plan.timeout * 2 => {
                    Some(if lost { LATE } else { DUPLICATE })
                }
                _ => None,
            },
        };
        if let Some(reason) = refusal {
            return burst.drop(i, reason);
        }
        let headers = burst.headers(i);
        let lane = self.lanes.of(&headers, burst.bytes(i));
        let Some(mut packet) = burst.take(i) else { return };
        if !without_tags(&mut packet) {
            return cx.discard(packet, Reason::NO_MBUFS);
        }
        let Some(seat) = there.or_else(|| self.sit(plan, number, cx)) else {
            return cx.discard(packet, FULL);
        };
        let halves = &mut self.halves[seat as usize];
        if far {
            cx.count(ANSWERED, 1);
            halves.far = Some(packet);
        } else {
            halves.here = Some(packet);
            halves.lane = lane;
            self.lanes.push(lane, seat);
        }
        if halves.far.is_some() && halves.here.is_some() {
            self.unite(plan, seat, cx);
        }
    }

    /// A seat for a number that has none. Where all are taken those that have waited longest make room: their other halves
    /// were dropped on the way more likely than those of others.
    fn sit(&mut self, plan: &Plan, number: u32, cx: &mut Cx<'_>) -> Option<u32> {
        while !self.seats.has_free() {
            let oldest = self.seats.oldest()?;
            self.give_up(plan, oldest, FULL, cx);
        }
        let seat = self.seats.take(number)?;
        self.halves[seat as usize] = Halves { came: cx.now(), ..Halves::default() };
        Some(seat)
    }

    /// Both halves are there.
    fn unite(&mut self, plan: &Plan, seat: u32, cx: &mut Cx<'_>) {
        let halves = &mut self.halves[seat as usize];
        let (Some(mut here), Some(far)) = (halves.here.take(), halves.far.take()) else { return };
        let writes = plan.branches.first().map_or(wire::Fields::EMPTY, |branch| branch.writes);
        gather(&far, &mut self.far_bytes);
        gather(&here, &mut self.here_bytes);
        let merged = merge::overlay(&mut self.here_bytes, &self.far_bytes, writes, &mut self.scratch).is_ok()
            && here.fill(&self.here_bytes);
        cx.absorb(far);
        if merged {
            cx.count(MERGED, 1);
            halves.here = Some(here);
        } else {
            cx.discard(here, GARBAGE);
        }
        halves.ended = true;
        let lane = halves.lane;
        self.seats.leave_line(seat);
        self.release(lane, cx);
    }

    /// Sends on what is at the front of a lane and waits for nothing.
    fn release(&mut self, lane: u32, cx: &mut Cx<'_>) {
        while let Some(seat) = self.lanes.first(lane) {
            let halves = &mut self.halves[seat as usize];
            if !halves.ended {
                return;
            }
            let here = halves.here.take();
            self.lanes.pop(lane);
            self.seats.free(seat, here.is_none(), halves.came);
            if let Some(packet) = here {
                cx.emit(0, packet);
            }
        }
    }

    /// Gives up what has waited long enough.
    pub(super) fn expire(&mut self, plan: &Plan, cx: &mut Cx<'_>) {
        while let Some(seat) = self.seats.oldest() {
            if self.halves[seat as usize].came + plan.timeout > cx.now() {
                return;
            }
            cx.count(TIMED_OUT, 1);
            self.give_up(plan, seat, LOST, cx);
        }
    }

    /// One half waits no longer for the other.
    fn give_up(&mut self, plan: &Plan, seat: u32, reason: Reason, cx: &mut Cx<'_>) {
        self.seats.leave_line(seat);
        let halves = &mut self.halves[seat as usize];
        if let Some(far) = halves.far.take() {
            // Nobody waits for this one: the chain has dropped its half.
            cx.discard(far, reason);
            self.seats.free(seat, true, halves.came);
            return;
        }
        if plan.pass {
            cx.count(PASSED, 1);
        } else if let Some(here) = halves.here.take() {
            cx.discard(here, reason);
        }
        halves.ended = true;
        let lane = halves.lane;
        self.release(lane, cx);
    }

    /// Lets everything go: it is not known any more.
    pub(super) fn let_go(&mut self, cx: &mut Cx<'_>) {
        for halves in &mut self.halves {
            let held = halves.here.take().into_iter().chain(halves.far.take());
            held.for_each(|packet| cx.discard(packet, STOPPED));
        }
        self.seats = Seats::new(self.halves.len());
        self.lanes.clear();
    }
}

/// All bytes of a packet in one piece.
fn gather(packet: &Packet, into: &mut Vec<u8>) {
    into.clear();
    packet.segments().for_each(|segment| into.extend_from_slice(segment));
}
