//! What an NF declares that it does to packets, for one configuration.
//!
//! The planner decides from it what may run at the same time and which worker a packet must meet; the harness
//! checks it, so a wrong declaration fails a test instead of corrupting a packet.

use serde::Serialize;
use wire::Fields;

/// Effects of one NF under one configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Effects {
    /// Fields that its verdict, its writes or its state depend on.
    pub reads: Fields,
    /// Fields that it may change.
    pub writes: Fields,
    /// Checksums among [`writes`](Effects::writes) that it only ever changes by the difference that its other writes
    /// make (RFC 1624): two NFs that do so can run side by side, as differences add up. One that computes a checksum
    /// anew leaves it out.
    pub adjusts: Fields,
    /// May change a packet's length.
    pub changes_length: bool,
    /// May drop a packet, or send it to another gate than the default one.
    pub may_drop: bool,
    /// May create packets (ICMP errors, RST, copies).
    pub may_create: bool,
    /// May hold packets back or change their order.
    pub holds: bool,
    /// What its state is to packets.
    pub state: StateKind,
    /// Which packets must meet the same worker.
    pub affinity: Affinity,
}

impl Effects {
    /// No effect at all: the start of every declaration.
    pub const NONE: Effects = Effects {
        reads: Fields::EMPTY,
        writes: Fields::EMPTY,
        adjusts: Fields::EMPTY,
        changes_length: false,
        may_drop: false,
        may_create: false,
        holds: false,
        state: StateKind::None,
        affinity: Affinity::Any,
    };
}

/// What an NF's state is to the packets that follow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StateKind {
    /// None is kept between packets.
    None,
    /// Kept for reports only: no packet is treated differently for it.
    Report,
    /// Later packets are treated by what earlier ones taught.
    Learns,
}

/// Which packets must meet the same worker.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Affinity {
    /// No constraint.
    Any,
    /// Both directions of a flow, its fragments and its ICMP errors.
    Flow,
    /// All packets from one source address and port.
    Endpoint,
    /// All packets between the same two addresses, whichever way.
    Host,
    /// All fragments of one datagram.
    Fragment,
    /// All packets of one security association (its SPI).
    SecurityAssociation,
    /// As the NF's own rule says, [`crate::Kind::ownership`]; without one as [`Affinity::One`].
    Owned,
    /// Every packet: one worker does all the work.
    One,
}
