//! The end of a divergence: of the copies of a packet the first one passes, and flows leave in order.

mod commands;
mod config;
mod course;
mod hold;
mod memory;
mod piece;
mod state;

pub use config::{Config, Plan};

use super::flows::Flows;
use super::marks::places;
use super::shim::{self, Shim};
use super::{FLOW, flow_of, records};
use crate::shaper::dscp;
use course::{Course, Kin};
use engine::{
    Affinity, BURST, Burst, Command, CommandError, ConfigError, Cx, Effects, Kind, Nf, Packet, Part, Reason,
    Site, State, StateKind, Time, WorkerSite,
};
use hold::{Held, Hold};
use memory::Memory;
use piece::{Piece, Sort};
use serde_json::Value;
use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;
use tables::flow_table::EntryId;
use wire::{Field, Fields, FlowKey};

const DUPLICATE: Reason = Reason::new(0);

const PRIORITY: usize = 0;
const HELD: usize = 1;
const REPEATED: usize = 2;
const TIMED_OUT: usize = 3;
const OVER_BOUND: usize = 4;
const RESTARTED: usize = 5;
const UNNUMBERED: usize = 6;
const UNFOLLOWED: usize = 7;
const EVICTED: usize = 8;

/// The NF, on one worker.
pub struct Merge {
    plan: Arc<Plan>,
    worker: WorkerSite,
    flows: Flows<Course>,
    memory: Memory,
    hold: Hold,
    /// Packets of flows that belong to another worker now, or were imported anew: they leave next time.
    leaving: VecDeque<Packet>,
    /// Counts bursts and ticks.
    burst: u64,
}

impl Merge {
    /// A packet with one of the marks.
    fn merge(&mut self, burst: &mut Burst, i: usize, cx: &mut Cx<'_>) {
        cx.count(PRIORITY, 1);
        let headers = burst.headers(i);
        let (key, piece) = match Sort::of(&headers, burst.bytes(i)) {
            Sort::Piece(key, piece) => (key, piece),
            Sort::Unnumbered => {
                cx.count(UNNUMBERED, 1);
                self.clear(burst, i);
                return;
            }
            Sort::Other => {
                cx.count(UNFOLLOWED, 1);
                self.clear(burst, i);
                return;
            }
        };
        let Some((id, mut course)) = self.course(&key, &piece, cx) else { return };
        self.place(burst, i, (id, &mut course, &piece), cx);
        if let Some(kept) = self.flows.get_mut(id) {
            *kept = course;
        }
    }

    /// The flow of a piece, which may begin with it.
    fn course(&mut self, key: &FlowKey, piece: &Piece, cx: &mut Cx<'_>) -> Option<(EntryId, Course)> {
        let now = cx.now();
        if let Some(id) = self.flows.touch(key, now) {
            let course = Course { last: now.as_nanos(), ..*self.flows.get(id)? };
            return Some((id, course));
        }
        let course = Course::from(piece, self.plan.held_per_flow, now);
        let opened = self.flows.open(*key, course, now.as_nanos())?;
        if let Some((_, _, mut before)) = opened.evicted {
            cx.count(EVICTED, 1);
            while let Some((_, held)) = self.hold.pop(&mut before) {
                cx.emit(0, held.packet);
            }
        }
        self.memory.clear(opened.id.index());
        Some((opened.id, course))
    }

    /// What becomes of a packet.
    fn place(
        &mut self,
        burst: &mut Burst,
        i: usize,
        (id, course, piece): (EntryId, &mut Course, &Piece),
        cx: &mut Cx<'_>,
    ) {
        let kin = course.kin(piece);
        let fresh = kin == Kin::Own && course.is_fresh(piece);
        let since = memory::since(cx.now(), self.plan.skew);
        if !fresh && self.memory.meets(id.index(), piece.digest, since, piece.anonymous) {
            return burst.drop(i, DUPLICATE);
        }
        if !self.clear(burst, i) {
            return;
        }
        self.memory.note(id.index(), course, piece.digest, cx.now().as_nanos());
        match kin {
            Kin::Own => {}
            Kin::Stray => return self.pass(burst, i, course, cx),
            Kin::New => {
                cx.count(RESTARTED, 1);
                while let Some((_, held)) = self.hold.pop(course) {
                    self.let_go(course, held, cx);
                }
                course.restart(piece, self.plan.held_per_flow, cx.now());
            }
        }
        course.highest = piece::later(piece.end, course.highest);
        while course.is_early(piece) {
            if course.held < self.plan.held_per_flow && !self.hold.is_full() {
                let Some(packet) = burst.take(i) else { return };
                cx.count(HELD, 1);
                let due = cx.now() + self.plan.hold;
                let held = Held { packet, piece: *piece, flow: id, due };
                if let Err(held) = self.hold.push(course, held) {
                    self.let_go(course, held, cx);
                }
                return;
            }
            cx.count(OVER_BOUND, 1);
            self.make_room(id, course, piece, cx);
        }
        if piece.start != piece.end && piece::ahead(piece.end, course.next) <= 0 {
            cx.count(REPEATED, 1);
        }
        course.advance(piece);
        self.pass(burst, i, course, cx);
        self.follow_up(course, cx);
    }

    /// Gives up a gap, so that something leaves: that of this flow if it holds too much or has waited longest, else that
    /// of the flow that has.
    fn make_room(&mut self, id: EntryId, course: &mut Course, piece: &Piece, cx: &mut Cx<'_>) {
        let oldest = self.hold.oldest().filter(|_| course.held < self.plan.held_per_flow);
        match oldest {
            Some((other, _, slot)) if other != id => {
                if let Some(mut elder) = self.flows.get(other).copied() {
                    self.release_through(&mut elder, slot, cx);
                    if let Some(kept) = self.flows.get_mut(other) {
                        *kept = elder;
                    }
                }
            }
            _ => {
                let first = self.hold.first(course).map(|first| first.start);
                // The packet in hand may itself be the first behind the gap.
                course.next =
                    first.filter(|&first| piece::ahead(first, piece.start) < 0).unwrap_or(piece.start);
                self.follow_up(course, cx);
            }
        }
    }

    /// A packet goes on: in its place in the burst, unless others of its flow leave behind the burst.
    fn pass(&mut self, burst: &mut Burst, i: usize, course: &Course, cx: &mut Cx<'_>) {
        if course.emitted == self.burst
            && let Some(packet) = burst.take(i)
        {
            cx.emit(0, packet);
        }
    }

    /// What was held leaves behind the burst.
    fn let_go(&self, course: &mut Course, held: Held, cx: &mut Cx<'_>) {
        course.advance(&held.piece);
        course.emitted = self.burst;
        cx.emit(0, held.packet);
    }

    /// Lets the packets go that are in order now.
    fn follow_up(&mut self, course: &mut Course, cx: &mut Cx<'_>) {
        while self.hold.first(course).is_some_and(|first| !course.is_early(first))
            && let Some((_, held)) = self.hold.pop(course)
        {
            self.let_go(course, held, cx);
        }
    }

    /// Lets the packets of a flow go up to that in a slot, over all gaps, and those that are in order then.
    fn release_through(&mut self, course: &mut Course, slot: u32, cx: &mut Cx<'_>) {
        while let Some((number, held)) = self.hold.pop(course) {
            self.let_go(course, held, cx);
            if number == slot {
                break;
            }
        }
        self.follow_up(course, cx);
    }

    /// Lets go what has waited for too long, or everything.
    fn release(&mut self, due: Option<Time>, cx: &mut Cx<'_>) {
        while cx.emit_room() > self.hold.len() + BURST
            && let Some(packet) = self.leaving.pop_front()
        {
            cx.emit(0, packet);
        }
        while cx.emit_room() >= self.hold.len().max(1)
            && let Some((id, until, slot)) = self.hold.oldest()
            && due.is_none_or(|now| until <= now)
        {
            let Some(mut course) = self.flows.get(id).copied() else { return };
            if due.is_some() {
                cx.count(TIMED_OUT, 1);
            }
            self.release_through(&mut course, slot, cx);
            if let Some(kept) = self.flows.get_mut(id) {
                *kept = course;
            }
        }
    }

    /// Takes out of a packet what is not to leave the domain. `false`: there was no buffer, and the packet has its
    /// verdict.
    fn clear(&self, burst: &mut Burst, i: usize) -> bool {
        let headers = burst.headers(i);
        let numbered = Shim::read(&headers, burst.bytes(i)).is_some();
        if numbered && flow_of(&headers, burst.bytes(i)).is_some() && !Shim::take(burst, i) {
            return false;
        }
        if !self.plan.clear {
            return true;
        }
        let headers = burst.headers(i);
        let Some(frame) = burst.bytes_mut(i) else { return false };
        dscp::write(&headers, frame, 0);
        true
    }

    /// A flow is no more: what it holds leaves in order.
    fn forget(&mut self, mut course: Course) {
        while let Some((_, held)) = self.hold.pop(&mut course) {
            self.leaving.push_back(held.packet);
        }
    }

    /// Puts a flow in as it was elsewhere; it holds nothing here.
    fn take_in(&mut self, key: FlowKey, course: Course, seen: &[(u64, u64)]) -> Option<EntryId> {
        let (head, tail) = (course::NONE, course::NONE);
        let mut course = Course { head, tail, held: 0, emitted: 0, place: 0, ..course };
        let known = self.flows.find(&key).and_then(|id| self.flows.get(id)).copied();
        let opened = self.flows.open(key, course, course.last)?;
        for before in known.into_iter().chain(opened.evicted.map(|(_, _, course)| course)) {
            self.forget(before);
        }
        self.memory.clear(opened.id.index());
        for (digest, time) in seen.iter().skip(seen.len().saturating_sub(self.plan.remembered)) {
            self.memory.note(opened.id.index(), &mut course, *digest, *time);
        }
        if let Some(kept) = self.flows.get_mut(opened.id) {
            *kept = course;
        }
        Some(opened.id)
    }
}

/// A flow on its way to another worker.
type Moving = Vec<(FlowKey, Course, Vec<(u64, u64)>)>;

impl Nf for Merge {
    fn process(&mut self, burst: &mut Burst, cx: &mut Cx<'_>) {
        self.burst += 1;
        self.release(Some(cx.now()), cx);
        for i in places(self.plan.marks.among(burst)) {
            self.merge(burst, i, cx);
        }
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        self.burst += 1;
        self.release(Some(cx.now()), cx);
        let Merge { flows, hold, .. } = self;
        flows.expire(cx.now(), |_, _, mut course| {
            while let Some((_, held)) = hold.pop(&mut course) {
                cx.emit(0, held.packet);
            }
        });
    }

    fn drain(&mut self, cx: &mut Cx<'_>) {
        self.burst += 1;
        self.release(None, cx);
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }

    fn adopt(&mut self, old: Box<dyn Nf>, cx: &mut Cx<'_>) {
        let Ok(old) = (old as Box<dyn Any>).downcast::<Merge>() else { return };
        let Merge { flows, memory, hold, leaving, .. } = *old;
        self.leaving.extend(leaving);
        for (id, key, course) in flows.all() {
            self.take_in(key, course, &memory.all(id.index(), &course));
        }
        self.burst += 1;
        for held in hold.into_held() {
            let key = flows.key(held.flow).copied();
            let id = key.and_then(|key| self.flows.find(&key));
            let Some((id, mut course)) = id.and_then(|id| Some((id, *self.flows.get(id)?))) else {
                self.leaving.push_back(held.packet);
                continue;
            };
            if let Err(held) = self.hold.push(&mut course, Held { flow: id, ..held }) {
                // Fewer may be held than before.
                self.let_go(&mut course, held, cx);
            }
            if let Some(kept) = self.flows.get_mut(id) {
                *kept = course;
            }
        }
    }

    /// Packets that are held leave by this worker, in order.
    fn split(&mut self, owner: &dyn Fn(&FlowKey) -> usize) -> Vec<(usize, Part)> {
        let mut parts = Vec::new();
        for (worker, ids) in records::leaving(&self.flows, self.worker.index, owner) {
            let mut part: Moving = Vec::with_capacity(ids.len());
            for id in ids {
                if let Some((key, course)) = self.flows.remove(id) {
                    part.push((key, course, self.memory.all(id.index(), &course)));
                    self.forget(course);
                }
            }
            parts.push((worker, Box::new(part) as Part));
        }
        parts
    }

    fn join(&mut self, part: Part) {
        let Ok(part) = part.downcast::<Moving>() else { return };
        for (key, course, seen) in *part {
            self.take_in(key, course, &seen);
        }
    }

    fn command(&mut self, name: &str, arguments: &Value) -> Result<Value, CommandError> {
        self.answer(name, arguments)
    }
}

impl Kind for Merge {
    const NAME: &'static str = "smart_merge";
    const SUMMARY: &'static str = "makes one flow of the copies and the parts of one, in order";
    const DROPS: &'static [&'static str] = &["duplicate"];
    const COUNTERS: &'static [&'static str] = &[
        "priority",
        "held",
        "repeated",
        "timed_out",
        "over_bound",
        "restarted",
        "unnumbered",
        "unfollowed",
        "evicted",
    ];
    const COMMANDS: &'static [Command] = commands::COMMANDS;
    const EXAMPLE: &'static str = "marks = [\"ef\"]\nhold = \"20ms\"\nclear = true\n";

    type Config = Config;
    type Plan = Plan;

    fn prepare(config: &Config, _site: &Site) -> Result<Plan, ConfigError> {
        Plan::new(config)
    }

    fn effects(plan: &Plan) -> Effects {
        let mark = if plan.clear { Fields::of(&[Field::IpDscp]) } else { Fields::EMPTY };
        let numbers = Fields::of(&[
            Field::IpId,
            Field::TcpSeq,
            Field::TcpAck,
            Field::TcpWindow,
            Field::TcpUrgent,
            Field::L4Checksum,
        ]);
        Effects {
            reads: FLOW.union(numbers),
            writes: shim::WRITES.union(mark),
            adjusts: Fields::of(&[Field::IpChecksum]),
            changes_length: true,
            may_drop: true,
            holds: true,
            state: StateKind::Learns,
            affinity: Affinity::Flow,
            ..Effects::NONE
        }
    }

    fn instance(plan: &Arc<Plan>, worker: &WorkerSite) -> Self {
        Merge {
            flows: Flows::new(plan.capacity, plan.idle, worker.seed),
            memory: Memory::new(plan.capacity, plan.remembered),
            hold: Hold::new(plan.held),
            leaving: VecDeque::with_capacity(plan.held),
            worker: *worker,
            burst: 0,
            plan: Arc::clone(plan),
        }
    }
}
