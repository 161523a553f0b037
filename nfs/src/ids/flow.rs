//! What is known of a flow.

use super::alert::Told;
use super::way::Way;
use engine::Time;
use ids_rules::bits::FlowBits;
use l7::Conversation;
use serde::{Deserialize, Serialize};
use streams::{Datagrams, Toward};

/// Rules that are remembered to have matched a message: beyond, the first one goes.
const MATCHED: usize = 64;

/// A flow, by its canonical key.
pub(super) struct Flow {
    pub meta: Meta,
    pub body: Body,
    pub conversation: Option<Box<Conversation>>,
}

/// What goes on in it.
pub(super) enum Body {
    Tcp(Box<Tcp>),
    Datagrams(Datagrams),
}

/// A connection.
#[derive(Default)]
pub(super) struct Tcp {
    pub stream: streams::Flow,
    /// To server, to client.
    pub ways: [Way; 2],
}

/// What becomes of the rest of a flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Fate {
    /// It is inspected.
    #[default]
    Open,
    /// A rule let it pass: it is not looked at any more.
    Passed,
    /// A rule dropped it.
    Dropped,
}

/// What rules and alerts need to know.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Meta {
    pub id: u64,
    /// Nanoseconds since the epoch.
    pub first: u64,
    pub last: u64,
    /// To server, to client.
    pub packets: [u64; 2],
    pub bytes: [u64; 2],
    pub fate: Fate,
    pub bits: FlowBits,
    /// Ways (bits 0 and 1) in which rules for a flow's first packets were looked at, and (2 and 3) those for its
    /// application.
    pub done: u8,
    /// Rules that matched a message, by its number.
    pub matched: Vec<(u64, u32)>,
}

impl Meta {
    pub(super) fn new(id: u64, now: Time) -> Meta {
        Meta { id, first: now.as_nanos(), last: now.as_nanos(), ..Meta::default() }
    }

    pub(super) fn count(&mut self, toward: Toward, bytes: u64, now: Time) {
        self.packets[index(toward)] += 1;
        self.bytes[index(toward)] += bytes;
        self.last = now.as_nanos();
    }

    /// Whether something is done for the first time.
    pub(super) fn first_time(&mut self, of: u8, toward: Toward) -> bool {
        let bit = of << index(toward);
        let first = self.done & bit == 0;
        self.done |= bit;
        first
    }

    /// Whether the rule has matched this message before.
    pub(super) fn has_matched(&self, message: u64, rule: u32) -> bool {
        self.matched.contains(&(message, rule))
    }

    pub(super) fn note_match(&mut self, message: u64, rule: u32) {
        if self.matched.len() == MATCHED {
            self.matched.remove(0);
        }
        self.matched.push((message, rule));
    }

    /// Nothing more comes of this message and those before it.
    pub(super) fn forget_message(&mut self, message: u64) {
        self.matched.retain(|(number, _)| *number > message);
    }

    pub(super) fn told(&self, toward: Toward, application: Option<l7::Protocol>) -> Told {
        Told {
            id: self.id,
            toward,
            application,
            first: Time::from_nanos(self.first),
            packets: self.packets,
            bytes: self.bytes,
        }
    }
}

/// For [`Meta::first_time`]: rules for first packets, and for applications.
pub(super) const FIRSTS: u8 = 1;
pub(super) const DETECTIONS: u8 = 4;

/// The place of a way in pairs.
#[inline]
pub(super) fn index(toward: Toward) -> usize {
    match toward {
        Toward::Server => 0,
        Toward::Client => 1,
    }
}

impl Flow {
    /// Bytes of memory that it holds, but for those of segments.
    pub(super) fn held(&self) -> usize {
        let parsed = self.conversation.as_ref().map_or(0, |conversation| conversation.held());
        match &self.body {
            Body::Tcp(tcp) => parsed + tcp.ways.iter().map(Way::held).sum::<usize>(),
            Body::Datagrams(_) => parsed,
        }
    }

    /// Gives up what was seen of its streams, and its messages; it goes on without.
    pub(super) fn give_up(&mut self) {
        if let Body::Tcp(tcp) = &mut self.body {
            tcp.ways.iter_mut().for_each(Way::give_up);
        }
        self.conversation = self.conversation.take().filter(|conversation| conversation.held() == 0);
    }

    pub(super) fn application(&self) -> Option<l7::Protocol> {
        self.conversation.as_ref().and_then(|conversation| conversation.protocol())
    }
}
