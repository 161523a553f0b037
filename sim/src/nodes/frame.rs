//! Frames of packets, and packets of frames.
//!
//! A host's address is 10.0.0.1 and so on by its number. A flow goes to port 7000 if it has priority and else to 5000,
//! from a port that follows from its number. Sequence numbers start at 0 in the data's direction. The payload is zeros.

use crate::packet::{Packet, PacketKind};
use crate::topology::NodeId;
use std::collections::BTreeMap;
use wire::builder::Builder;
use wire::protocol::ip;
use wire::{FlowKey4, ipv4, tcp};

/// The port that priority flows go to.
pub const PORT_PRIORITY: u16 = 7000;
/// The port that other flows go to.
pub const PORT_OTHER: u16 = 5000;

const FIRST_HOST: u32 = 0x0a00_0001;
const FIRST_PORT: u32 = 10_000;
const PORTS: u32 = 55_000;
const ETHERNET: usize = wire::ethernet::HEADER_LEN;

/// The five-tuple of a flow.
pub fn key(flow: u32, from: NodeId, to: NodeId, priority: bool) -> FlowKey4 {
    FlowKey4 {
        src: FIRST_HOST + from,
        dst: FIRST_HOST + to,
        sport: (FIRST_PORT + flow % PORTS) as u16,
        dport: if priority { PORT_PRIORITY } else { PORT_OTHER },
        proto: ip::TCP,
    }
}

/// Flows by their five-tuples, for what NFs give back.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    flows: BTreeMap<FlowKey4, u32>,
    keys: BTreeMap<u32, FlowKey4>,
}

impl Directory {
    /// Puts in a flow whose packets NFs will see.
    pub fn add(&mut self, flow: u32, key: FlowKey4) {
        self.flows.insert(key, flow);
        self.keys.insert(flow, key);
    }

    /// The frame of a packet; `None` for a flow that is not here.
    pub fn frame(&self, packet: &Packet) -> Option<Vec<u8>> {
        let key = self.keys.get(&packet.flow)?;
        let (key, seq, ack) = match packet.kind {
            PacketKind::Data => (*key, packet.number, 0),
            PacketKind::Ack => (key.reversed(), 0, packet.number),
        };
        let mac = |address: u32| {
            let [a, b, c, d] = address.to_be_bytes();
            [2, 0, a, b, c, d]
        };
        let builder = Builder::ethernet(mac(key.src), mac(key.dst))
            .ipv4(key.src.to_be_bytes(), key.dst.to_be_bytes())
            .id(packet.ident)
            .dont_fragment()
            .tcp(key.sport, key.dport)
            .flags(tcp::flags::ACK)
            .seq(seq)
            .ack(ack)
            .payload_len(usize::from(packet.len));
        Some(builder.build())
    }

    /// What a frame says of its packet: flow, number, length, identification, kind. The rest is as in `Packet::default`
    /// terms: no route taken, no frame kept. `None` for what is no segment of a flow that is known.
    pub fn read(&self, frame: &[u8]) -> Option<Packet> {
        let outer = ipv4::Packet::new_checked(frame.get(ETHERNET..)?).ok()?;
        let inner = tcp::Packet::new_checked(outer.payload()).ok()?;
        let key = FlowKey4 {
            src: outer.src(),
            dst: outer.dst(),
            sport: inner.src_port(),
            dport: inner.dst_port(),
            proto: outer.protocol(),
        };
        let (flow, kind) = match (self.flows.get(&key), self.flows.get(&key.reversed())) {
            (Some(flow), _) => (*flow, PacketKind::Data),
            (None, Some(flow)) => (*flow, PacketKind::Ack),
            (None, None) => return None,
        };
        let number = if kind == PacketKind::Data { inner.seq() } else { inner.ack() };
        Some(Packet {
            flow,
            number,
            frame: Packet::NO_FRAME,
            len: inner.payload().len() as u16,
            ident: outer.id(),
            route: 0,
            hop: 0,
            kind,
            made: false,
        })
    }

    /// Whether the frame that goes along with a packet still is that packet to its host: same flow, same bytes, right
    /// checksums.
    pub fn arrives(&self, packet: &Packet, frame: &[u8]) -> bool {
        let Some(read) = self.read(frame) else { return false };
        let same = (read.flow, read.kind, read.number, read.len)
            == (packet.flow, packet.kind, packet.number, packet.len);
        let Ok(outer) = ipv4::Packet::new_checked(frame.get(ETHERNET..).unwrap_or_default()) else {
            return false;
        };
        let segment = outer.payload();
        let right = tcp::Packet::new_checked(segment)
            .is_ok_and(|inner| inner.checksum_is_valid(outer.pseudo_header(segment.len() as u32)));
        same && right && outer.checksum_is_valid()
    }
}
