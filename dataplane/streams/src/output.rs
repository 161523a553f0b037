//! What comes out of reassembly.

use serde::{Deserialize, Serialize};

/// The way that a segment or a byte goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Toward {
    /// To the end that was asked for the connection: a rule's `to_server`, `from_client`.
    Server,
    /// To the end that opened the connection: a rule's `to_client`, `from_server`.
    Client,
}

impl Toward {
    /// The opposite way.
    #[inline]
    pub fn other(self) -> Toward {
        match self {
            Toward::Server => Toward::Client,
            Toward::Client => Toward::Server,
        }
    }
}

/// What takes the streams of one flow. Offsets count a direction's bytes from the first after its SYN, which is 0; bytes
/// left out as urgent data count too.
pub trait Sink {
    /// The next bytes of a direction. They follow those before, but for a gap or urgent data.
    fn data(&mut self, toward: Toward, offset: u64, bytes: &[u8]);

    /// Bytes of a direction that never came. What follows continues after them.
    fn gap(&mut self, toward: Toward, offset: u64, len: u64);

    /// A direction's end: its FIN was acknowledged, or the flow finished. Once.
    fn end(&mut self, toward: Toward);

    /// A new connection between the same ends and ports: both directions of the one before have ended, offsets begin with
    /// 0 again, and who is client may have changed.
    fn begin(&mut self) {}

    /// Something odd in what goes this way.
    fn event(&mut self, toward: Toward, event: Event) {
        let _ = (toward, event);
    }
}

/// An oddity, for counters and alerts. Each says what was done about it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A segment brings other bytes than an earlier one for the same place: the policy chose.
    Overlap,
    /// Bytes never came: skipped.
    Gap,
    /// Held bytes were thrown away to make room for other flows: they become a gap.
    Evicted,
    /// No room for the segment's bytes, even after eviction: not held.
    NoRoom,
    /// The segment is further ahead than a direction may hold: ignored.
    BeyondWindow,
    /// The segment lies outside of what its receiver has room for, as far as that was seen: ignored.
    OutOfWindow,
    /// An acknowledgement of what was never sent: the segment is ignored.
    BadAck,
    /// Data with a SYN: counts if the receiver acknowledges it.
    SynData,
    /// A SYN in a connection that is open already: ignored.
    UnexpectedSyn,
    /// A SYN, or a SYN with ACK, repeated with another sequence number: the one that the other end answers to counts.
    OtherSyn,
    /// A SYN with ACK that acknowledges no SYN that was seen: ignored.
    BadSynAck,
    /// Both ends sent a SYN without ACK: a split handshake or a simultaneous open.
    SplitHandshake,
    /// A first segment without SYN: the connection is followed from here on, if so configured.
    Midstream,
    /// A RST whose sequence number the receiver would not take: ignored.
    BadReset,
    /// Data with a RST: not part of the stream.
    ResetData,
    /// Data after an accepted RST: part of the stream, as not every receiver heeds every RST.
    DataAfterReset,
    /// Data beyond a FIN: the FIN is void if it was not acknowledged, else the data is ignored.
    DataAfterFin,
    /// A FIN at another place than the one before: ignored.
    OtherFin,
    /// A timestamp older than the last (PAWS, RFC 7323 section 5): the segment is ignored.
    OldTimestamp,
    /// Urgent data: treated as configured.
    Urgent,
    /// More urgent bytes outstanding than are kept track of: this one counts as a byte like others.
    ManyUrgent,
    /// A TTL much lower than the sender's first one: the bytes wait for their acknowledgement.
    LowTtl,
    /// A retransmission of bytes that were handed out already: nothing of it is handed out.
    Retransmission,
    /// A probe for whether the other end is still there: ignored.
    KeepAlive,
    /// As many bytes as wanted were handed out: the rest of the direction is not looked at.
    Depth,
}

impl Event {
    /// Every event, in the order of their numbers.
    pub const ALL: [Event; 25] = [
        Event::Overlap,
        Event::Gap,
        Event::Evicted,
        Event::NoRoom,
        Event::BeyondWindow,
        Event::OutOfWindow,
        Event::BadAck,
        Event::SynData,
        Event::UnexpectedSyn,
        Event::OtherSyn,
        Event::BadSynAck,
        Event::SplitHandshake,
        Event::Midstream,
        Event::BadReset,
        Event::ResetData,
        Event::DataAfterReset,
        Event::DataAfterFin,
        Event::OtherFin,
        Event::OldTimestamp,
        Event::Urgent,
        Event::ManyUrgent,
        Event::LowTtl,
        Event::Retransmission,
        Event::KeepAlive,
        Event::Depth,
    ];

    /// Its name in counters.
    pub fn name(self) -> &'static str {
        match self {
            Event::Overlap => "overlap",
            Event::Gap => "gap",
            Event::Evicted => "evicted",
            Event::NoRoom => "no_room",
            Event::BeyondWindow => "beyond_window",
            Event::OutOfWindow => "out_of_window",
            Event::BadAck => "bad_ack",
            Event::SynData => "syn_data",
            Event::UnexpectedSyn => "unexpected_syn",
            Event::OtherSyn => "other_syn",
            Event::BadSynAck => "bad_syn_ack",
            Event::SplitHandshake => "split_handshake",
            Event::Midstream => "midstream",
            Event::BadReset => "bad_reset",
            Event::ResetData => "reset_data",
            Event::DataAfterReset => "data_after_reset",
            Event::DataAfterFin => "data_after_fin",
            Event::OtherFin => "other_fin",
            Event::OldTimestamp => "old_timestamp",
            Event::Urgent => "urgent",
            Event::ManyUrgent => "many_urgent",
            Event::LowTtl => "low_ttl",
            Event::Retransmission => "retransmission",
            Event::KeepAlive => "keep_alive",
            Event::Depth => "depth",
        }
    }
}

/// Where a connection is. Later states compare greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing that counts was seen, or a first segment without SYN that is not followed.
    #[default]
    None,
    /// A SYN.
    SynSent,
    /// A SYN and its answer.
    SynReceived,
    /// The handshake is done, or the connection was picked up in its middle.
    Established,
    /// At least one end has sent its FIN.
    Closing,
    /// Both FINs were acknowledged, or a RST was accepted.
    Closed,
}

/// What a segment was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// Where it goes. For a segment of no session: away from whoever sent the flow's first one.
    pub toward: Toward,
    /// The state after it.
    pub state: State,
    /// Whether it belongs to the session: its numbers are plausible.
    pub taken: bool,
    /// Whether all of its payload was handed out or is held to be handed out. What was not can be looked at as a packet
    /// only.
    pub streamed: bool,
}

impl Outcome {
    /// A rule's `flow:established`: the handshake was complete after this segment, or the connection was picked up.
    #[inline]
    pub fn established(&self) -> bool {
        self.state >= State::Established
    }
}
