//! The work on one packet of a flow: its stream, its messages, itself.

use super::detect::{Kind, Numbers, Subject};
use super::flow::{Body, FIRSTS, Fate, Flow, Meta, Tcp};
use super::inspector::{ALWAYS, Inspector, Wanted};
use super::packet::Packet;
use super::scene::{Events, Room, Scene, Streams, probe};
use super::watch::Settings;
use engine::Time;
use l7::Conversation;
use std::sync::Arc;
use streams::{Mode, Outcome, Pool, Segment, Toward};
use wire::FlowKey;
use wire::flow::Direction;
use wire::tcp::{self, flags};

/// The port that DNS has.
const DNS: u16 = 53;
/// The TCP option that goes with data in a SYN (RFC 7413).
const FAST_OPEN: u8 = 34;

/// What was counted of a flow.
pub(super) fn numbers(meta: &Meta, covered: Option<[u64; 2]>, now: Time) -> Numbers {
    let age = now.since(Time::from_nanos(meta.first)).as_secs();
    Numbers { covered, packets: meta.packets, bytes: meta.bytes, age }
}

/// What was sent on both ways.
pub(super) fn sent(stream: &streams::Flow) -> [u64; 2] {
    [stream.sent(Toward::Server), stream.sent(Toward::Client)]
}

/// The work on one packet of a flow.
pub(super) struct Inspection<'a> {
    pub inspector: &'a mut Inspector,
    pub settings: &'a Settings,
    pub packet: &'a Packet<'a>,
    pub now: Time,
    pub wanted: Wanted,
}

impl Inspection<'_> {
    fn note(&mut self, wanted: Wanted) {
        self.wanted.drop |= wanted.drop;
        self.wanted.pass |= wanted.pass;
    }

    /// Whether the connection is over.
    pub(super) fn tcp(
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
        meta.count(toward, self.packet.length(), self.now);
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
            begun: false,
        };
        let is_answer = header.flags() & flags::ACK != 0;
        let opener = if is_answer { self.packet.key.reversed() } else { self.packet.key };
        let at_once = self.settings.streams.mode == Mode::Arrival;
        let keep = self.settings.window;
        let mut sink = Streams { scene: &mut scene, ways, events, keep, at_once, opener };
        let outcome = stream.segment(&self.settings.streams, pool, &segment, &mut sink);
        let (application, turned, begun) = (scene.application, scene.turned, scene.begun);
        self.wanted = scene.wanted;
        let mut toward = outcome.toward;
        if begun {
            meta.count(toward, self.packet.length(), self.now);
        }
        if turned {
            stream.turn();
            ways.swap(0, 1);
            meta.packets.swap(0, 1);
            meta.bytes.swap(0, 1);
            toward = toward.other();
        }
        let covered = Some(sent(stream));
        let over = stream.is_over();
        self.packet(meta, &Outcome { toward, ..outcome }, covered, application);
        self.obey(meta);
        over
    }

    pub(super) fn datagram(&mut self, flow: &mut Flow, direction: Direction, room: &mut Room) -> bool {
        let application = flow.application();
        let Flow { meta, body: Body::Datagrams(datagrams), conversation } = flow else { return false };
        let outcome = datagrams.see(direction);
        meta.count(outcome.toward, self.packet.length(), self.now);
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
                begun: false,
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
pub(super) fn conversation(packet: &Packet<'_>) -> Conversation {
    let picked_up =
        packet.is_tcp() && packet.transport_header().get(13).is_some_and(|byte| byte & flags::SYN == 0);
    Conversation::new(stands_for(&packet.key), picked_up)
}

/// The protocol that a flow's ports stand for.
pub(super) fn stands_for(key: &FlowKey) -> Option<l7::Protocol> {
    [key.source_port(), key.destination_port()].contains(&DNS).then_some(l7::Protocol::Dns)
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
