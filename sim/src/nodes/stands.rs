//! The instances at all nodes, and the frames that go along with packets.

use super::{NORTH, Placed, SOUTH, Traffic};
use crate::nodes::frame::Directory;
use crate::packet::{Packet, PacketKind};
use crate::quantity::{NANOSECOND, Picos};
use crate::topology::NodeId;
use engine::{CommandError, Event, Fate, Input, Packing, Round, Stand, StandPools, Time, WorkerSite};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// What NFs see as the time at which the simulation starts: a second after their epoch, as many take 0 for "never".
const START: u64 = 1_000_000_000;

/// An instance: the NF's number in the configuration, and its node.
pub type Place = (usize, NodeId);

/// An NF meets a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stop {
    /// Which instance.
    pub place: Place,
    /// When.
    pub now: Picos,
    /// Whether the packet comes from the network's side.
    pub north: bool,
}

/// A packet that left an NF.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Passed {
    /// The packet, where its node has it.
    pub packet: Packet,
    /// The gate by which it left.
    pub gate: u8,
    /// The number of the NF behind which it goes on.
    pub after: usize,
    /// The node.
    pub node: NodeId,
}

/// What one NF did, at all its nodes.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize)]
pub struct NfCount {
    /// Its kind.
    pub kind: String,
    /// Nodes at which it met a packet.
    pub nodes: u64,
    /// Packets that it was given.
    pub packets: u64,
    /// Packets that it consumed.
    pub absorbed: u64,
    /// Packets that it made.
    pub made: u64,
    /// Packets that it holds.
    pub held: u64,
    /// Packets that it gave out changed beyond what any host or link understands: they go nowhere.
    pub strayed: u64,
    /// Dropped packets by reason.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Its own counters.
    pub counters: BTreeMap<&'static str, u64>,
    /// What it reported, by name.
    pub events: BTreeMap<&'static str, u64>,
}

/// All instances.
pub struct Stands<'a> {
    placed: &'a [Placed],
    pools: Option<&'a StandPools>,
    seed: u64,
    /// Made when the first packet comes: most nodes of a large network never meet one.
    stands: BTreeMap<Place, Stand>,
    /// Packets that instances hold, where they were.
    held: BTreeMap<(Place, u32, PacketKind), Vec<Packet>>,
    frames: Vec<Option<Vec<u8>>>,
    free: Vec<u32>,
    strayed: Vec<u64>,
    dropped: Vec<BTreeMap<&'static str, u64>>,
    events: Vec<BTreeMap<&'static str, u64>>,
    /// What was reported since it was last asked for.
    fresh: Vec<(usize, NodeId, Event)>,
}

impl<'a> Stands<'a> {
    /// Without any packet so far. `pools` may only be missing where nothing is placed.
    pub fn new(placed: &'a [Placed], pools: Option<&'a StandPools>, seed: u64) -> Stands<'a> {
        Stands {
            placed: if pools.is_some() { placed } else { &[] },
            pools,
            seed,
            stands: BTreeMap::new(),
            held: BTreeMap::new(),
            frames: Vec::new(),
            free: Vec::new(),
            strayed: vec![0; placed.len()],
            dropped: vec![BTreeMap::new(); placed.len()],
            events: vec![BTreeMap::new(); placed.len()],
            fresh: Vec::new(),
        }
    }

    /// Whether there is any NF.
    pub fn is_empty(&self) -> bool {
        self.placed.is_empty()
    }

    /// The first NF from number `from` on that a packet meets at a node.
    pub fn meets(&self, node: NodeId, from: usize, priority: bool) -> Option<usize> {
        let rest = self.placed.iter().enumerate().skip(from);
        let mut here = rest.filter(|(_, nf)| nf.nodes.contains(&node));
        here.find(|(_, nf)| priority || nf.traffic == Traffic::All).map(|(number, _)| number)
    }

    /// Gives a packet to an NF; what leaves it goes to `out`.
    pub fn run(&mut self, stop: Stop, packet: Packet, flows: &Directory, out: &mut Vec<Passed>) {
        let Stop { place, now, north } = stop;
        let number = place.0;
        let Some(bytes) = self.frame(packet.frame).map(<[u8]>::to_vec).or_else(|| flows.frame(&packet))
        else {
            self.stray(number, packet);
            return;
        };
        let ingress = if north { NORTH } else { SOUTH };
        let Some(stand) = self.stand(place) else { return };
        let Ok(round) = stand.run(&[Input { bytes: &bytes, ingress }], Packing::Contiguous, time(now)) else {
            *self.dropped[number].entry("no_mbufs").or_default() += 1;
            self.release(packet);
            return;
        };
        match round.fates.first() {
            Some(Fate::Forward(after)) => self.give(place, (0, after), packet, &bytes, flows, out),
            Some(Fate::Gate(gate, after)) => self.give(place, (*gate, after), packet, &bytes, flows, out),
            Some(Fate::Taken) => {
                self.held.entry((place, packet.flow, packet.kind)).or_default().push(packet);
            }
            Some(Fate::Drop(reason)) => {
                *self.dropped[number].entry(reason).or_default() += 1;
                self.release(packet);
            }
            Some(Fate::Absorb | Fate::Contradiction) | None => self.release(packet),
        }
        self.collect(place, round, Some((packet, &bytes)), flows, out);
    }

    /// Runs the timers of all instances that have met a packet.
    pub fn tick(&mut self, flows: &Directory, now: Picos, out: &mut Vec<Passed>) {
        let places: Vec<Place> = self.stands.keys().copied().collect();
        for place in places {
            let Some(stand) = self.stands.get_mut(&place) else { continue };
            let round = stand.tick(time(now));
            self.collect(place, round, None, flows, out);
        }
    }

    /// Gives a command to the instance of an NF at a node.
    ///
    /// # Errors
    /// As the NF says.
    pub fn command(
        &mut self,
        number: usize,
        node: NodeId,
        name: &str,
        arguments: &Value,
    ) -> Result<Value, CommandError> {
        match self.stand((number, node)) {
            Some(stand) => stand.command(name, arguments),
            None => Err(CommandError::Failed("no such NF is at that node".to_owned())),
        }
    }

    /// What NFs reported since the last call: which NF, where, what.
    pub fn reported(&mut self) -> Vec<(usize, NodeId, Event)> {
        std::mem::take(&mut self.fresh)
    }

    /// The frame that goes along with a packet, if it has one.
    pub fn frame(&self, frame: u32) -> Option<&[u8]> {
        self.frames.get(frame as usize)?.as_deref()
    }

    /// Lets go of the frame of a packet that has ended.
    pub fn release(&mut self, packet: Packet) {
        if let Some(slot) = self.frames.get_mut(packet.frame as usize)
            && slot.take().is_some()
        {
            self.free.push(packet.frame);
        }
    }

    /// A second packet with the same frame.
    pub fn copy(&mut self, packet: Packet) -> Packet {
        let bytes = self.frame(packet.frame).map(<[u8]>::to_vec);
        Packet { frame: bytes.map_or(Packet::NO_FRAME, |bytes| self.keep(bytes)), ..packet }
    }

    /// Packets that NFs hold.
    pub fn held(&self) -> u64 {
        self.stands.values().map(|stand| stand.stats().held()).sum()
    }

    /// Packets that NFs made, dropped, consumed and sent astray so far.
    pub fn ends(&self) -> [u64; 4] {
        let sum = |of: fn(&NfCount) -> u64| self.counts().iter().map(of).sum();
        [sum(|nf| nf.made), sum(|nf| nf.dropped.values().sum()), sum(|nf| nf.absorbed), sum(|nf| nf.strayed)]
    }

    /// What each NF did.
    pub fn counts(&self) -> Vec<NfCount> {
        let mut counts: Vec<NfCount> = Vec::new();
        for (number, nf) in self.placed.iter().enumerate() {
            let mut count = NfCount { kind: nf.prepared.kind().to_owned(), ..NfCount::default() };
            count.strayed = self.strayed[number];
            count.dropped = self.dropped[number].clone();
            count.events = self.events[number].clone();
            for stand in self.stands.range((number, 0)..(number + 1, 0)).map(|(_, stand)| stand) {
                let stats = stand.stats();
                count.nodes += 1;
                count.packets += stats.packets.get();
                count.absorbed += stats.absorbed.get();
                count.made += stats.created.get();
                count.held += stats.held();
                for (name, counter) in nf.counters.iter().zip(&stats.own) {
                    *count.counters.entry(name).or_default() += counter.get();
                }
            }
            counts.push(count);
        }
        counts
    }

    fn stand(&mut self, place: Place) -> Option<&mut Stand> {
        let nf = self.placed.get(place.0).filter(|nf| nf.nodes.contains(&place.1))?;
        let pools = self.pools?;
        // Each node its own chance, the same in every run.
        let seed = self.seed ^ (u64::from(place.1) << 20) ^ place.0 as u64;
        let worker = WorkerSite { index: 0, count: 1, seed };
        Some(self.stands.entry(place).or_insert_with(|| Stand::new(pools, nf.prepared.as_ref(), worker)))
    }

    /// What an NF sent by itself.
    fn collect(
        &mut self,
        place: Place,
        round: Round,
        input: Option<(Packet, &[u8])>,
        flows: &Directory,
        out: &mut Vec<Passed>,
    ) {
        for event in round.events {
            *self.events[place.0].entry(event.name).or_default() += 1;
            self.fresh.push((place.0, place.1, event));
        }
        for emitted in round.emitted {
            let read = flows.read(&emitted.bytes);
            let known = read.filter(|_| emitted.port.is_none()).and_then(|read| {
                let input = input.map(|(packet, _)| packet);
                self.known(place, &read, emitted.created, input)
            });
            match known {
                Some(packet) => {
                    self.give(place, (emitted.gate, &emitted.bytes), packet, &[], flows, out);
                }
                None => self.strayed[place.0] += 1,
            }
        }
    }

    /// The packet that an NF sent: one that it held, or a copy, which goes on from where its original is.
    fn known(&mut self, place: Place, read: &Packet, made: bool, input: Option<Packet>) -> Option<Packet> {
        let id = (place, read.flow, read.kind);
        let input = input.filter(|packet| (packet.flow, packet.kind) == (read.flow, read.kind));
        let Some(held) = self.held.get_mut(&id).filter(|held| !held.is_empty()) else {
            return input.filter(|_| made).map(|packet| Packet { frame: Packet::NO_FRAME, made, ..packet });
        };
        // An NF may have changed any field since it took the packet: then it is any of the flow's, which all have the
        // same way before them.
        let same = |packet: &Packet| (packet.number, packet.ident) == (read.number, read.ident);
        let found = held.iter().position(same);
        if made {
            let original = found.and_then(|n| held.get(n)).copied().or(input).or(held.first().copied())?;
            return Some(Packet { frame: Packet::NO_FRAME, made, ..original });
        }
        let packet = held.remove(found.unwrap_or(0));
        if held.is_empty() {
            self.held.remove(&id);
        }
        Some(packet)
    }

    /// A packet leaves an NF with the bytes `after`; `before` are those with which it came.
    fn give(
        &mut self,
        place: Place,
        (gate, after): (u8, &[u8]),
        packet: Packet,
        before: &[u8],
        flows: &Directory,
        out: &mut Vec<Passed>,
    ) {
        let mut packet = packet;
        if after != before {
            self.release(packet);
            packet.frame = Packet::NO_FRAME;
            if let Some(read) = flows.read(after) {
                let Packet { flow, kind, number, len, ident, .. } = read;
                // A packet that is turned round would have no route from here.
                if (flow, kind) != (packet.flow, packet.kind) {
                    self.stray(place.0, packet);
                    return;
                }
                packet = Packet { number, len, ident, ..packet };
            }
            let usual = flows.frame(&packet);
            if usual.as_ref().map(Vec::len) != Some(after.len()) {
                self.stray(place.0, packet);
                return;
            }
            if usual.as_deref() != Some(after) {
                packet.frame = self.keep(after.to_vec());
            }
        }
        out.push(Passed { packet, gate, after: place.0, node: place.1 });
    }

    fn keep(&mut self, bytes: Vec<u8>) -> u32 {
        if let Some(free) = self.free.pop() {
            self.frames[free as usize] = Some(bytes);
            return free;
        }
        self.frames.push(Some(bytes));
        (self.frames.len() - 1) as u32
    }

    fn stray(&mut self, number: usize, packet: Packet) {
        self.strayed[number] += 1;
        self.release(packet);
    }
}

fn time(now: Picos) -> Time {
    Time::from_nanos(START + now / NANOSECOND)
}
