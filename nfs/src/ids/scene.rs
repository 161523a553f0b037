//! What goes on in a flow while one packet is worked on: bytes and messages come out, and rules are shown them.

use super::detect::{Bytes, Numbers, Subject, buffers};
use super::eve::flow_id;
use super::flow::{DETECTIONS, Fate, Meta, index};
use super::inspection::stands_for;
use super::inspector::{ALWAYS, Inspector, MATCHED, Wanted};
use super::way::Way;
use engine::Time;
use ids_rules::buffer::Application;
use l7::{Conversation, Limits, Progress, Protocol, Transaction};
use std::sync::Arc;
use streams::{Event, Toward};
use wire::FlowKey;

/// Oddities of streams, by kind.
pub(super) type Events = [u64; Event::ALL.len()];

/// Memory of windows and conversations of all flows together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Room {
    pub held: usize,
    pub most: usize,
    /// Windows and conversations that were given up for want of it.
    pub given_up: u64,
}

impl Room {
    /// Takes note that something has grown or shrunk; whether it is too much.
    fn is_exceeded(&mut self, before: usize, after: usize) -> bool {
        self.held = (self.held + after).saturating_sub(before);
        let exceeded = self.held > self.most && after > before;
        self.given_up += u64::from(exceeded);
        exceeded
    }

    /// Whether so little is left that it is time for others to give up theirs.
    pub(super) fn is_short(&self) -> bool {
        self.held > self.most - self.most / 8
    }

    pub(super) fn give_back(&mut self, held: usize) {
        self.held = self.held.saturating_sub(held);
    }
}

/// One flow, for one packet.
pub(super) struct Scene<'a> {
    pub inspector: &'a mut Inspector,
    pub meta: &'a mut Meta,
    /// None where no rule is about messages.
    pub conversation: &'a mut Option<Box<Conversation>>,
    pub limits: &'a Limits,
    pub room: &'a mut Room,
    /// From client to server.
    pub client: FlowKey,
    pub numbers: Numbers,
    pub now: Time,
    pub application: Option<Protocol>,
    pub wanted: Wanted,
    /// The bytes go the other way than was thought.
    pub turned: bool,
    /// Another connection has begun between the same ends.
    pub begun: bool,
}

impl Scene<'_> {
    /// What goes this way, as rules see it.
    fn subject<'s>(&self, toward: Toward, numbers: &'s Numbers, payload: Option<Bytes<'s>>) -> Subject<'s> {
        let key = if toward == Toward::Server { self.client } else { self.client.reversed() };
        Subject {
            key,
            ports: Some((key.source_port(), key.destination_port())),
            packet: None,
            payload,
            is_stream: false,
            reassembled: false,
            toward: Some(toward),
            established: true,
            numbers: Some(numbers),
            application: self.application,
            message: None,
        }
    }

    fn note(&mut self, wanted: Wanted) {
        self.wanted.drop |= wanted.drop;
        self.wanted.pass |= wanted.pass;
    }

    /// Shows rules for streams what has come: the last `new` bytes of the window; and those that wait, `all` of them or
    /// those that are due.
    fn look_into(&mut self, way: &mut Way, toward: Toward, new: usize, all: bool) {
        let index = Arc::clone(&self.inspector.index);
        if !index.looks_into_streams() {
            return;
        }
        let known = way.window.len() - new;
        let start = known.saturating_sub(index.longest.saturating_sub(1));
        let numbers = self.numbers;
        let window = Bytes { bytes: &way.window, base: way.base };
        let mut subject = self.subject(toward, &numbers, Some(window));
        subject.is_stream = true;
        let inspector = &mut *self.inspector;
        inspector.searcher.begin();
        let Inspector { searcher, candidates, .. } = inspector;
        index.streams.find(searcher, subject.ports, &way.window[start..], known - start, candidates);
        for rule in way.due(all) {
            searcher.note(rule, ALWAYS, candidates);
        }
        if candidates.is_empty() {
            return;
        }
        let wanted = inspector.evaluate(&subject, Some(self.meta), self.now, |rule| way.sight(rule));
        for candidate in self.inspector.candidates.drain(..) {
            match candidate.end {
                MATCHED => way.note_match(candidate.rule),
                ALWAYS => way.note_look(candidate.rule),
                _ => way.wait(candidate.rule),
            }
        }
        self.note(wanted);
    }

    /// Gives a conversation what it is to parse.
    fn converse(
        &mut self,
        toward: Toward,
        window: Option<Bytes<'_>>,
        parse: impl FnOnce(&mut Conversation, &Limits, &mut Messages<'_, '_>),
    ) {
        let Some(mut conversation) = self.conversation.take() else { return };
        let (limits, before) = (self.limits, conversation.held());
        parse(&mut conversation, limits, &mut Messages { scene: self, window, toward });
        self.application = conversation.protocol().or(self.application);
        if self.room.is_exceeded(before, conversation.held()) {
            // The flow goes on without.
            self.room.give_back(conversation.held());
        } else {
            *self.conversation = Some(conversation);
        }
        let toward = if self.turned { toward.other() } else { toward };
        if let Some(protocol) = self.application
            && self.meta.first_time(DETECTIONS, toward)
        {
            self.detected(application(protocol), toward);
        }
    }

    /// Shows rules for flows of an application that it has been found.
    fn detected(&mut self, application: Application, toward: Toward) {
        let index = Arc::clone(&self.inspector.index);
        self.inspector.searcher.begin();
        let Inspector { searcher, candidates, .. } = &mut *self.inspector;
        for rule in index.detections(application) {
            searcher.note(*rule, ALWAYS, candidates);
        }
        let numbers = self.numbers;
        let subject = self.subject(toward, &numbers, None);
        let wanted = self.inspector.evaluate(&subject, Some(self.meta), self.now, |_| Some(0));
        self.inspector.candidates.clear();
        self.note(wanted);
    }

    /// Shows rules for messages how far one has come.
    fn message(&mut self, toward: Toward, message: &Transaction, window: Option<Bytes<'_>>) {
        if self.meta.fate != Fate::Open {
            return;
        }
        let index = Arc::clone(&self.inspector.index);
        self.inspector.searcher.begin();
        let Inspector { searcher, candidates, .. } = &mut *self.inspector;
        for (buffer, patterns) in &index.buffers {
            for bytes in buffers(message, *buffer, toward) {
                searcher.find(patterns, bytes, 0, candidates);
            }
        }
        for rule in index.always(application(message.protocol())) {
            searcher.note(*rule, ALWAYS, candidates);
        }
        let meta = &*self.meta;
        candidates.retain(|candidate| !meta.has_matched(message.id(), candidate.rule));
        if !candidates.is_empty() {
            let numbers = self.numbers;
            let mut subject = self.subject(toward, &numbers, window);
            (subject.message, subject.application) = (Some(message), Some(message.protocol()));
            let wanted = self.inspector.evaluate(&subject, Some(self.meta), self.now, |_| Some(0));
            for candidate in self.inspector.candidates.drain(..) {
                if candidate.end == MATCHED {
                    self.meta.note_match(message.id(), candidate.rule);
                }
            }
            self.note(wanted);
        }
        let complete = |toward| message.progress(toward) == Progress::Complete;
        if complete(Toward::Server) && complete(Toward::Client) {
            self.meta.forget_message(message.id());
        }
    }

    /// A datagram's payload, which may be a message.
    pub(super) fn datagram(&mut self, toward: Toward, payload: &[u8]) {
        self.converse(toward, Some(payload.into()), |conversation, limits, messages| {
            conversation.datagram(limits, toward, payload, messages);
        });
    }
}

/// What the application will be found to be once these bytes are parsed: rules for the bytes, which are looked at
/// before the messages in them, may ask for it. Only the first bytes of a flow are parsed twice for that.
pub(super) fn probe(
    conversation: Option<&Conversation>,
    give: impl FnOnce(&mut Conversation, &mut Nobody),
) -> Option<Protocol> {
    let mut copy = conversation.filter(|conversation| !conversation.is_other())?.clone();
    give(&mut copy, &mut Nobody);
    copy.protocol()
}

/// Takes messages and does nothing with them.
pub(super) struct Nobody;

impl l7::Sink for Nobody {
    fn transaction(&mut self, _toward: Toward, _message: &Transaction) {}
}

fn application(protocol: Protocol) -> Application {
    match protocol {
        Protocol::Http => Application::Http,
        Protocol::Tls => Application::Tls,
        Protocol::Dns => Application::Dns,
    }
}

/// Takes messages of a scene's conversation.
struct Messages<'s, 'a> {
    scene: &'s mut Scene<'a>,
    /// The bytes from which they come, and their way.
    window: Option<Bytes<'s>>,
    toward: Toward,
}

impl l7::Sink for Messages<'_, '_> {
    fn protocol(&mut self, protocol: Protocol, turned: bool) {
        self.scene.application = Some(protocol);
        if turned {
            self.scene.turned = true;
            self.scene.client = self.scene.client.reversed();
            self.toward = self.toward.other();
        }
    }

    fn transaction(&mut self, toward: Toward, message: &Transaction) {
        let window = self.window.filter(|_| toward == self.toward);
        self.scene.message(toward, message, window);
    }
}

/// Takes the streams of a scene's connection.
pub(super) struct Streams<'s, 'a> {
    pub scene: &'s mut Scene<'a>,
    pub ways: &'s mut [Way; 2],
    pub events: &'s mut Events,
    /// Bytes of a window that stay.
    pub keep: usize,
    /// Bytes are looked at before they go on.
    pub at_once: bool,
    /// From client to server, should another connection begin.
    pub opener: FlowKey,
}

impl Streams<'_, '_> {
    /// Nothing follows what is in a window: rules that wait see all of it.
    fn look_at_last(&mut self, toward: Toward) {
        let way = &mut self.ways[index(toward)];
        if self.scene.meta.fate == Fate::Open && way.due(true).next().is_some() {
            self.scene.look_into(way, toward, 0, true);
        }
    }
}

impl streams::Sink for Streams<'_, '_> {
    fn data(&mut self, toward: Toward, _offset: u64, bytes: &[u8]) {
        if self.scene.meta.fate != Fate::Open {
            return;
        }
        if self.scene.application.is_none() {
            let (conversation, limits) = (self.scene.conversation.as_deref(), self.scene.limits);
            self.scene.application =
                probe(conversation, |copy, nobody| copy.data(limits, toward, bytes, nobody));
        }
        let way = &mut self.ways[index(toward)];
        let before = way.held();
        way.add(bytes);
        // Before what waits leaves the window, and where a packet goes on only if nothing is in it, all are looked at.
        let all = self.at_once || way.is_full(self.keep);
        self.scene.look_into(way, toward, bytes.len(), all);
        let window = Bytes { bytes: &way.window, base: way.base };
        self.scene.converse(toward, Some(window), |conversation, limits, messages| {
            conversation.data(limits, toward, bytes, messages);
        });
        way.settle(self.keep);
        if self.scene.room.is_exceeded(before, way.held()) {
            // What comes next is looked at without what was before.
            self.scene.room.give_back(way.held());
            way.give_up();
        }
    }

    fn gap(&mut self, toward: Toward, _offset: u64, len: u64) {
        self.look_at_last(toward);
        self.ways[index(toward)].part(len);
        self.scene.converse(toward, None, |conversation, limits, messages| {
            conversation.gap(limits, toward, len, messages);
        });
    }

    fn end(&mut self, toward: Toward) {
        self.look_at_last(toward);
        self.scene.converse(toward, None, |conversation, limits, messages| {
            conversation.end(limits, toward, messages);
        });
    }

    /// Nothing of the connection before counts for this one.
    fn begin(&mut self) {
        let scene = &mut *self.scene;
        for way in self.ways.iter_mut() {
            scene.room.give_back(way.held());
            *way = Way::default();
        }
        if let Some(before) = scene.conversation.take() {
            scene.room.give_back(before.held());
        }
        let parsed = scene.inspector.index.looks_into_messages();
        *scene.conversation = parsed.then(|| Box::new(Conversation::new(stands_for(&self.opener), false)));
        let (key, _) = self.opener.canonical();
        *scene.meta = Meta::new(flow_id(&key, scene.now), scene.now);
        scene.numbers = Numbers { covered: Some([0; 2]), packets: [0; 2], bytes: [0; 2], age: 0 };
        (scene.client, scene.application) = (self.opener, None);
        (scene.turned, scene.begun) = (false, true);
    }

    fn event(&mut self, _toward: Toward, event: Event) {
        if let Some(count) = self.events.get_mut(event as usize) {
            *count += 1;
        }
    }
}
