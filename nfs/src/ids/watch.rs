//! Flows: who talks to whom, what was said so far, and what becomes of the rest.

use super::eve::flow_id;
use super::flow::{Body, Flow, Meta, Tcp};
use super::inspection::{Inspection, conversation, numbers, sent};
use super::inspector::{Inspector, Wanted};
use super::packet::Packet;
use super::scene::{Events, Room, Scene, Streams};
use crate::roster::Roster;
use engine::Time;
use l7::Limits;
use std::sync::Arc;
use std::time::Duration;
use streams::{Datagrams, Pool, Toward};
use tables::flow_table::{Cursor, Displaced, EntryId, Eviction, FlowTable};
use wire::flow::Direction;
use wire::tcp::flags;
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
/// Flows of which the quietest gives up its windows, and times per packet that this is done.
const COMPARED: usize = 16;
const ROUNDS: usize = 4;
/// Resolution of time-outs.
const TICK: u64 = 100_000_000;

/// All flows of a worker.
pub(super) struct Watch {
    pub flows: FlowTable<FlowKey, Flow>,
    pub settings: Arc<Settings>,
    pub pool: Pool,
    pub room: Room,
    /// Where the next flows are compared that may give up what they hold in the room.
    pub hand: Cursor,
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
            hand: Cursor::default(),
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
        let parsed = inspector.index.looks_into_messages() && matches!(key.protocol(), ip::TCP | ip::UDP);
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
            Body::Tcp(tcp) if tcp.stream.is_over() => CLOSED,
            _ => self.settings.idle,
        }
    }

    /// Inspects a packet of a flow.
    pub(super) fn packet(&mut self, packet: &Packet<'_>, inspector: &mut Inspector, now: Time) -> Wanted {
        let (_, direction) = packet.key.canonical();
        if packet.is_tcp() && self.settings.checksums && !packet.checksums_are_right() {
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
        if self.room.is_short() {
            self.make_room(id);
        }
        wanted
    }

    /// Has the quietest of some flows give up its windows and messages, but not this one.
    #[cold]
    fn make_room(&mut self, spared: EntryId) {
        for _ in 0..ROUNDS {
            let mut quietest = None;
            let cursor = self.flows.scan(self.hand, COMPARED, |id, _, flow| {
                let sooner = quietest.is_none_or(|(last, _)| flow.meta.last < last);
                if id != spared && flow.held() > 0 && sooner {
                    quietest = Some((flow.meta.last, id));
                }
            });
            self.hand = cursor.unwrap_or_default();
            if let Some(flow) = quietest.and_then(|(_, id)| self.flows.value_mut(id)) {
                self.room.give_back(flow.held());
                self.room.given_up += 1;
                flow.give_up();
                self.room.held += flow.held();
            }
            if !self.room.is_short() {
                break;
            }
        }
    }

    /// Whether a packet begins another connection than that which is over.
    fn is_another(&self, id: EntryId, packet: &Packet<'_>) -> bool {
        let Some((_, Flow { body: Body::Tcp(tcp), .. })) = self.flows.entry(id) else { return false };
        tcp.stream.is_over()
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

/// What flows keep elsewhere.
struct Stores<'a> {
    pool: &'a mut Pool,
    room: &'a mut Room,
    events: &'a mut Events,
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
        begun: false,
    };
    let opener = scene.client;
    let mut sink = Streams { scene: &mut scene, ways, events, keep: settings.window, at_once: false, opener };
    stream.finish(&settings.streams, pool, &mut sink);
}
