//! What a rule is shown: a packet, a part of a stream, or a message.

use super::super::packet::Packet;
use super::payload::Bytes;
use ids_rules::bits::Resolved;
use l7::{Protocol, Transaction};
use streams::Toward;
use wire::FlowKey;

/// What rules are evaluated on.
#[derive(Clone, Copy)]
pub(in crate::ids) struct Subject<'a> {
    /// From the source to the destination of the bytes.
    pub key: FlowKey,
    pub ports: Option<(u16, u16)>,
    /// The packet in hand, if it is the packet that is looked at.
    pub packet: Option<&'a Packet<'a>>,
    /// Payload of the packet, or bytes of the stream.
    pub payload: Option<Bytes<'a>>,
    pub is_stream: bool,
    pub reassembled: bool,
    /// `None` where there is no flow.
    pub toward: Option<Toward>,
    pub established: bool,
    /// What was counted of the flow.
    pub numbers: Option<&'a Numbers>,
    pub application: Option<Protocol>,
    pub message: Option<&'a Transaction>,
}

/// What was counted of a flow: to server, to client.
#[derive(Clone, Copy, Debug)]
pub(in crate::ids) struct Numbers {
    /// Sequence numbers that the streams have covered; of connections only.
    pub covered: Option<[u64; 2]>,
    pub packets: [u64; 2],
    pub bytes: [u64; 2],
    /// Seconds since the first packet.
    pub age: u64,
}

/// What a rule asks of what was before.
pub(in crate::ids) trait Asked {
    /// Whether a demand on a bit holds.
    fn holds(&self, bit: &Resolved) -> bool;
}
