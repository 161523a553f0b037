//! Flows: who talks to whom, what was said so far, and what becomes of the rest.

use super::detect::{Kind, Numbers, Subject};
use super::eve::flow_id;
use super::flow::{Body, FIRSTS, Fate, Flow, Meta, Tcp};
use super::inspector::{ALWAYS, Inspector, Wanted};
use super::packet::Packet;
use super::scene::{Events, Room, Scene, Streams, probe};
use crate::roster::Roster;
use engine::Time;
use l7::{Conversation, Limits};
use std::sync::Arc;
use std::time::Duration;
use streams::{Datagrams, Outcome, Pool, Segment, State, Toward};
use tables::flow_table::{Displaced, EntryId, Eviction, FlowTable};
use wire::flow::Direction;
use wire::tcp::{self, flags};
use wire::{FlowKey, protocol::ip};

/// How flows are watched.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub capacity: usize,
    pub idle: Duration,
    pub streams: streams::Config,
    pub memory: usize,
    /// Bytes of each way that stay for patterns that come in pieces.
    pub window: usize,
    pub limits: Limits,
    /// Segments with a wrong checksum are not looked at.
    pub checksums: bool,
}

/// How long a connection that is over stays, so that what is left of it is known.
const CLOSED: Duration = Duration::from_secs(10);
/// The port that DNS has.
const DNS: u16 = 53;
/// The TCP option that goes with data in a SYN (RFC 7413).
const FAST_OPEN: u8 = 34;
/// Resolution of time-outs.
const TICK: u64 = 100_000_000;

/// All flows of a worker.
pub(super) struct Watch {
    pub flows: FlowTable<FlowKey, Flow>,
    pub settings: Arc<Settings>,
    pub pool: Pool,
    pub room: Room,
    pub events: Events,
    pub opened: u64,
    pub expired: u64,
    pub evicted: u64,
    pub bad_checksums: u64,
    pub roster: Roster,
    pub seed: u64,
}

impl Watch {
    /// `flows`: whether those of TCP, and of others, have to be known; where none have, no memory is taken for them.
    pub(super) fn new(settings: Arc<Settings>, seed: u64, flows: [bool; 2]) -> Watch {
        let capacity = if flows.contains(&true) { settings.capacity } else { 1 };
        let memory = flows[0];
        let flows = FlowTable::with_capacity(capacity, seed).evicting(Eviction::Oldest);
        Watch {
            flows: flows.expiring(TICK, 0),
            pool: Pool::new(if memory { settings.memory } else { 0 }),
            room: Room { most: settings.memory, ..Room::default() },
            settings,
            events: [0; _],
            opened: 0,
            expired: 0,
            evicted: 0,
            bad_checksums: 0,
            roster: Roster::new(capacity),
            seed,
        }
    }

    fn hash(&self, key: &FlowKey) -> u32 {
        key.hash_with(self.seed)
    }

    /// The flow of a packet, a new one if need be.
    fn flow_of(&mut self, packet: &Packet<'_>, inspector: &mut Inspector, now: Time) -> Option<EntryId> {
        let (key, _) = packet.key.canonical();
        let hash = self.hash(&key);
        if let Some(id) = self.flows.find(&key, hash) {
            return Some(id);
        }
        let messages = inspector.index.looks_into_messages();
        let parsed = messages && matches!(key.protocol(), ip::TCP | ip::UDP);
        let flow = Flow {
            meta: Meta::new(flow_id(&key, now), now),
            body: match key.protocol() {
                ip::TCP => Body::Tcp(Box::default()),
                _ => Body::Datagrams(Datagrams::default()),
            },
            conversation: parsed.then(|| Box::new(conversation(packet))),
        };
        self.opened += 1;
        let inserted = self.flows.insert(key, hash, flow).ok()?;
        self.roster.note(inserted.id);
        if let Displaced::Evicted(_, key, flow) = inserted.displaced {
            self.evicted += 1;
            self.finish(key, flow, inspector, now);
        }
        Some(inserted.id)
    }

    pub(super) fn get(&self, key: &FlowKey) -> Option<&Flow> {
        self.flows.get(key, self.hash(key))
    }

    pub(super) fn get_mut(&mut self, key: &FlowKey) -> Option<&mut Flow> {
        let hash = self.hash(key);
        self.flows.get_mut(key, hash)
    }

    pub(super) fn remove(&mut self, key: &FlowKey) -> Option<(FlowKey, Flow)> {
        let hash = self.hash(key);
        self.flows.remove(key, hash)
    }

    /// The keys of all flows.
    pub(super) fn keys(&self) -> Vec<FlowKey> {
        let mut keys = Vec::with_capacity(self.flows.len());
        let mut cursor = Some(Default::default());
        while let Some(at) = cursor {
            cursor = self.flows.scan(at, 1024, |_, key, _| keys.push(*key));
        }
        keys
    }

    /// Puts in a flow from elsewhere, in place of what is known of it. Without room the oldest gives way unseen.
    pub(super) fn take_in(&mut self, key: FlowKey, flow: Flow) {
        let patience = self.patience(&flow);
        self.room.held += flow.held();
        let deadline = (Time::from_nanos(flow.meta.last) + patience).as_nanos();
        let hash = self.hash(&key);
        let Ok(inserted) = self.flows.insert(key, hash, flow) else { return };
        self.flows.touch(inserted.id, deadline);
        match inserted.displaced {
            Displaced::Nothing => self.roster.note(inserted.id),
            Displaced::Value(mut old) => self.release(&mut old),
            Displaced::Evicted(_, _, mut old) => {
                self.evicted += 1;
                self.roster.note(inserted.id);
                self.release(&mut old);
            }
        }
    }

    /// Gives back what a flow holds in the pool that was never taken in.
    pub(super) fn discard(&mut self, flow: &mut Flow) {
        if let Body::Tcp(tcp) = &mut flow.body {
            tcp.stream.release(&mut self.pool);
        }
    }

    /// Gives back what a flow holds.
    pub(super) fn release(&mut self, flow: &mut Flow) {
        self.room.give_back(flow.held());
        if let Body::Tcp(tcp) = &mut flow.body {
            tcp.stream.release(&mut self.pool);
        }
    }

    /// How long a flow may be quiet.
    fn patience(&self, flow: &Flow) -> Duration {
        match &flow.body {
            Body::Tcp(tcp) if tcp.stream.state() == State::Closed => CLOSED,
            _ => self.settings.idle,
        }
    }

    /// Inspects a packet of a flow.
    pub(super) fn packet(&mut self, packet: &Packet<'_>, inspector: &mut Inspector, now: Time) -> Wanted {
        let (_, direction) = packet.key.canonical();
        if packet.is_tcp() && self.settings.checksums && !packet.tcp_checksum_is_right() {
            self.bad_checksums += 1;
            return Wanted::default();
        }
        let Some(mut id) = self.flow_of(packet, inspector, now) else { return Wanted::default() };
        if packet.is_tcp()
            && self.is_another(id, packet)
            && let Some((key, flow)) = self.flows.remove_entry(id)
        {
            self.finish(key, flow, inspector, now);
            let Some(new) = self.flow_of(packet, inspector, now) else { return Wanted::default() };
            id = new;
        }
        let settings = Arc::clone(&self.settings);
        let Some(flow) = self.flows.value_mut(id) else { return Wanted::default() };
        let mut inspection =
            Inspection { inspector, settings: &settings, packet, now, wanted: Wanted::default() };
        let over = match &mut flow.body {
            Body::Tcp(_) if packet.is_tcp() => {
                inspection.tcp(flow, direction, &mut self.pool, &mut self.room, &mut self.events)
            }
            _ => inspection.datagram(flow, direction, &mut self.room),
        };
        let wanted = inspection.wanted;
        let patience = if over { CLOSED } else { settings.idle };
        self.flows.touch(id, (now + patience).as_nanos());
        wanted
    }

    /// Whether a packet begins another connection than that which is over.
    fn is_another(&self, id: EntryId, packet: &Packet<'_>) -> bool {
        let Some((_, Flow { body: Body::Tcp(tcp), .. })) = self.flows.entry(id) else { return false };
        tcp.stream.state() == State::Closed
            && packet
                .transport_header()
                .get(13)
                .is_some_and(|byte| byte & (flags::SYN | flags::ACK) == flags::SYN)
    }

    /// Ends flows that were quiet for long, at most so many.
    pub(super) fn expire(&mut self, inspector: &mut Inspector, now: Time, budget: usize) {
        let mut ended = Vec::new();
        self.flows.expire(now.as_nanos(), budget, |_, key, flow| ended.push((key, flow)));
        for (key, flow) in ended {
            self.expired += 1;
            self.finish(key, flow, inspector, now);
        }
    }

    /// Looks at what is left of a flow.
    pub(super) fn finish(&mut self, key: FlowKey, mut flow: Flow, inspector: &mut Inspector, now: Time) {
        let settings = Arc::clone(&self.settings);
        let stores = Stores { pool: &mut self.pool, room: &mut self.room, events: &mut self.events };
        finish(key, &mut flow, inspector, &settings, now, stores);
        self.room.give_back(flow.held());
    }

    /// Looks at what is left of all flows: the end of the run.
    pub(super) fn finish_all(&mut self, inspector: &mut Inspector, now: Time) {
        let mut all = Vec::with_capacity(self.flows.len());
        let mut cursor = Some(Default::default());
        while let Some(at) = cursor {
            cursor = self.flows.scan(at, 1024, |id, key, flow| all.push((flow.meta.first, *key, id)));
        }
        // In an order that does not depend on the table.
        all.sort_unstable_by_key(|(first, key, _)| {
            (*first, key.source(), key.destination(), key.source_port(), key.destination_port())
        });
        let settings = Arc::clone(&self.settings);
        for (_, key, id) in all {
            if let Some(flow) = self.flows.value_mut(id) {
                let stores = Stores { pool: &mut self.pool, room: &mut self.room, events: &mut self.events };
                finish(key, flow, inspector, &settings, now, stores);
            }
        }
    }
}

fn numbers(meta: &Meta, covered: Option<[u64; 2]>, now: Time) -> Numbers {
    let age = now.since(Time::from_nanos(meta.first)).as_secs();
    Numbers { covered, packets: meta.packets, bytes: meta.bytes, age }
}

/// What flows keep elsewhere.
struct Stores<'a> {
    pool: &'a mut Pool,
    room: &'a mut Room,
    events: &'a mut Events,
}

/// What was sent on both ways.
fn sent(stream: &streams::Flow) -> [u64; 2] {
    [stream.sent(Toward::Server), stream.sent(Toward::Client)]
}

/// Has everything handed out that a connection holds.
fn finish(
    key: FlowKey,
    flow: &mut Flow,
    inspector: &mut Inspector,
    settings: &Settings,
    now: Time,
    stores: Stores<'_>,
) {
    let Stores { pool, room, events } = stores;
    let application = flow.application();
    let Flow { meta, body: Body::Tcp(tcp), conversation } = flow else { return };
    let Tcp { stream, ways } = &mut **tcp;
    let forward = stream.toward(Direction::Forward) == Toward::Server;
    let mut scene = Scene {
        inspector,
        numbers: numbers(meta, Some(sent(stream)), now),
        meta,
        conversation,
        limits: &settings.limits,
        room,
        client: if forward { key } else { key.reversed() },
        now,
        application,
        wanted: Wanted::default(),
        turned: false,
    };
    let mut sink = Streams { scene: &mut scene, ways, events, keep: settings.window };
    stream.finish(&settings.streams, pool, &mut sink);
}

/// The work on one packet of a flow.
struct Inspection<'a> {
    inspector: &'a mut Inspector,
    settings: &'a Settings,
    packet: &'a Packet<'a>,
    now: Time,
    wanted: Wanted,
}

impl Inspection<'_> {
    fn note(&mut self, wanted: Wanted) {
        self.wanted.drop |= wanted.drop;
        self.wanted.pass |= wanted.pass;
    }

    /// Whether the connection is over.
    fn tcp(
        &mut self,
        flow: &mut Flow,
        direction: Direction,
        pool: &mut Pool,
        room: &mut Room,
        events: &mut Events,
    ) -> bool {
        let application = flow.application();
        let Flow { meta, body: Body::Tcp(tcp), conversation } = flow else { return false };
        let toward = tcp.stream.toward(direction);
        meta.count(toward, self.packet.ip_length(), self.now);
        self.firsts(meta, toward, application);
        let Ok(header) = tcp::Packet::new_checked(self.packet.segment()) else { return false };
        let ttl = self.packet.headers.ttl(self.packet.frame).unwrap_or(0);
        let segment = Segment::of(&header, direction, ttl);
        let client = if toward == Toward::Server { self.packet.key } else { self.packet.key.reversed() };
        let Tcp { stream, ways } = &mut **tcp;
        let mut scene = Scene {
            numbers: numbers(meta, Some(sent(stream)), self.now),
            inspector: &mut *self.inspector,
            meta,
            conversation,
            limits: &self.settings.limits,
            room,
            client,
            now: self.now,
            application,
            wanted: self.wanted,
            turned: false,
        };
        let mut sink = Streams { scene: &mut scene, ways, events, keep: self.settings.window };
        let outcome = stream.segment(&self.settings.streams, pool, &segment, &mut sink);
        let (application, turned) = (scene.application, scene.turned);
        self.wanted = scene.wanted;
        let mut toward = outcome.toward;
        if turned {
            stream.turn();
            ways.swap(0, 1);
            meta.packets.swap(0, 1);
            meta.bytes.swap(0, 1);
            toward = toward.other();
        }
        let covered = Some(sent(stream));
        self.packet(meta, &Outcome { toward, ..outcome }, covered, application);
        self.obey(meta);
        outcome.state == State::Closed
    }

    fn datagram(&mut self, flow: &mut Flow, direction: Direction, room: &mut Room) -> bool {
        let application = flow.application();
        let Flow { meta, body: Body::Datagrams(datagrams), conversation } = flow else { return false };
        let outcome = datagrams.see(direction);
        meta.count(outcome.toward, self.packet.ip_length(), self.now);
        let application = application.or_else(|| {
            let (limits, payload) = (&self.settings.limits, self.packet.payload);
            probe(conversation.as_deref(), |copy, nobody| {
                copy.datagram(limits, outcome.toward, payload, nobody)
            })
        });
        self.firsts(meta, outcome.toward, application);
        self.packet(meta, &outcome, None, application);
        if meta.fate == Fate::Open && conversation.is_some() && !self.packet.payload.is_empty() {
            let key = self.packet.key;
            let mut scene = Scene {
                numbers: numbers(meta, None, self.now),
                inspector: &mut *self.inspector,
                meta,
                conversation,
                limits: &self.settings.limits,
                room,
                client: if outcome.toward == Toward::Server { key } else { key.reversed() },
                now: self.now,
                application,
                wanted: self.wanted,
                turned: false,
            };
            scene.datagram(outcome.toward, self.packet.payload);
            self.wanted = scene.wanted;
        }
        self.obey(meta);
        false
    }

    /// What was decided of the flow goes for this packet too.
    fn obey(&mut self, meta: &Meta) {
        self.wanted.drop |= meta.fate == Fate::Dropped && self.inspector.drops;
    }

    /// Rules for the first packet of each way.
    fn firsts(&mut self, meta: &mut Meta, toward: Toward, application: Option<l7::Protocol>) {
        let index = Arc::clone(&self.inspector.index);
        let rules = index.firsts(Kind::of(self.packet.protocol()));
        if rules.is_empty() || meta.fate != Fate::Open || !meta.first_time(FIRSTS, toward) {
            return;
        }
        self.inspector.searcher.begin();
        for rule in rules {
            self.inspector.searcher.note(*rule, ALWAYS, &mut self.inspector.candidates);
        }
        let numbers = numbers(meta, None, self.now);
        let mut subject = alone(self.packet);
        (subject.toward, subject.numbers, subject.application) = (Some(toward), Some(&numbers), application);
        let wanted = self.inspector.evaluate(&subject, Some(meta), self.now, |_| Some(0));
        self.inspector.candidates.clear();
        self.note(wanted);
    }

    /// Rules for packets.
    fn packet(
        &mut self,
        meta: &mut Meta,
        outcome: &Outcome,
        covered: Option<[u64; 2]>,
        application: Option<l7::Protocol>,
    ) {
        if meta.fate != Fate::Open || self.wanted.pass {
            return;
        }
        let index = Arc::clone(&self.inspector.index);
        let packet = self.packet;
        let is_lone = packet.is_tcp() && (!outcome.streamed || is_syn_without_fast_open(packet));
        let lane = if is_lone { &index.unstreamed } else { index.packets(Kind::of(packet.protocol())) };
        self.inspector.searcher.begin();
        let Inspector { searcher, candidates, .. } = &mut *self.inspector;
        lane.find(searcher, packet.ports, packet.payload, 0, candidates);
        if candidates.is_empty() {
            return;
        }
        let numbers = numbers(meta, covered, self.now);
        let mut subject = alone(packet);
        (subject.toward, subject.established) = (Some(outcome.toward), outcome.established());
        (subject.numbers, subject.application) = (Some(&numbers), application);
        let wanted = self.inspector.evaluate(&subject, Some(meta), self.now, |_| Some(0));
        self.inspector.candidates.clear();
        self.note(wanted);
    }
}

/// A conversation that begins with this packet.
fn conversation(packet: &Packet<'_>) -> Conversation {
    let is_dns = packet.ports.is_some_and(|(source, destination)| [source, destination].contains(&DNS));
    let picked_up =
        packet.is_tcp() && packet.transport_header().get(13).is_some_and(|byte| byte & flags::SYN == 0);
    Conversation::new(is_dns.then_some(l7::Protocol::Dns), picked_up)
}

/// Whether it is a SYN whose data no server has asked for (TCP Fast Open, RFC 7413): it is looked at alone, since most
/// receivers drop it, and its stream may never hand it out.
fn is_syn_without_fast_open(packet: &Packet<'_>) -> bool {
    let Ok(header) = tcp::Packet::new_checked(packet.segment()) else { return false };
    let is_fast_open = header.option_offset(FAST_OPEN).is_some();
    header.flags() & flags::SYN != 0 && !is_fast_open
}

/// A packet as rules see it, without what is known of its flow.
pub(super) fn alone<'a>(packet: &'a Packet<'a>) -> Subject<'a> {
    Subject {
        key: packet.key,
        ports: packet.ports,
        packet: Some(packet),
        payload: Some(packet.payload.into()),
        is_stream: false,
        reassembled: packet.reassembled,
        toward: None,
        established: false,
        numbers: None,
        application: None,
        message: None,
    }
}
