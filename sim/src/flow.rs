//! A flow of the simulation: both its ends, its routes, and what happened to it.

use crate::detour::Plan;
use crate::packet::{LEAST, OVERHEAD, Packet, PacketKind};
use crate::quantity::Picos;
use crate::tcp::{MSS, Receiver, Sender, Tcp};
use crate::topology::{LinkId, NodeId, Role, Route, Topology};
use crate::traffic::Arrival;
use wire::FlowKey4;

/// Packets of a flow, as they were counted.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct FlowCount {
    /// Data packets that its sender sent.
    pub sent: u64,
    /// Of these, those that it had sent before.
    pub again: u64,
    /// Data packets that links dropped or lost.
    pub dropped: u64,
    /// Data packets that were sent on a second route too.
    pub cloned: u64,
    /// Data packets that were sent on another route instead.
    pub diverted: u64,
}

/// A flow.
#[derive(Clone, Debug)]
pub struct Flow {
    /// What was asked for.
    pub arrival: Arrival,
    /// Its five-tuple, in the direction of the data.
    pub key: FlowKey4,
    /// In what time it has to be through, from its begin; the largest number for any time.
    pub limit: Picos,
    /// The way up at each tier of its first route.
    pub ways: Vec<u32>,
    /// Its routes in the direction of the data; the first is that of ECMP.
    pub routes: Vec<Route>,
    /// The sending end.
    pub sender: Sender,
    /// The receiving end.
    pub receiver: Receiver,
    /// When its last byte arrived.
    pub arrived: Option<Picos>,
    /// What happened.
    pub count: FlowCount,
    /// Its second route, if it has one.
    pub plan: Option<Box<Plan>>,
    /// Whether the controller has heard of it.
    pub noticed: bool,
    idents: u32,
}

impl Flow {
    /// A flow that begins, by these ways up.
    pub fn new(
        arrival: Arrival,
        key: FlowKey4,
        limit: Picos,
        ways: Vec<u32>,
        topology: &Topology,
        tcp: Tcp,
    ) -> Flow {
        Flow {
            arrival,
            key,
            limit,
            routes: vec![topology.route(arrival.from, arrival.to, &ways)],
            ways,
            sender: Sender::new(tcp, arrival.bytes.max(1)),
            receiver: Receiver::default(),
            arrived: None,
            count: FlowCount::default(),
            plan: None,
            noticed: false,
            idents: 0,
        }
    }

    /// A packet of this flow, at its host.
    pub fn packet(&mut self, flow: u32, kind: PacketKind, number: u32, len: u32) -> Packet {
        self.idents = self.idents.wrapping_add(1);
        let (len, ident) = (len as u16, self.idents as u16);
        Packet { flow, number, frame: Packet::NO_FRAME, len, ident, route: 0, hop: 0, kind, made: false }
    }

    /// The link that a packet takes next; `None` when it is where it is going.
    pub fn link(&self, packet: &Packet) -> Option<LinkId> {
        let route = self.routes.get(usize::from(packet.route))?;
        match packet.kind {
            PacketKind::Data => route.link(packet.hop),
            PacketKind::Ack => {
                let last = route.links().len().checked_sub(1 + usize::from(packet.hop))?;
                route.links().get(last).map(|link| link ^ 1)
            }
        }
    }

    /// The number of the route that goes the next way up from a node on, and is the first one below it: the alternative
    /// that a packet at that node has. `None` where there is none: on the way down, and where there is one way only.
    pub fn alternative(&mut self, node: NodeId, topology: &Topology) -> Option<u8> {
        let tier = match topology.role(node) {
            // A host has one link: the choice is its leaf's.
            Role::Host => 1,
            Role::Switch(tier) => usize::from(tier),
        };
        let count = topology.ways(tier);
        let way = self.ways.get(tier - 1)?;
        if count < 2 {
            return None;
        }
        let mut ways = self.ways.clone();
        ways[tier - 1] = (way + 1) % count;
        self.route_by(&ways, topology)
    }

    /// The number of the route by these ways up, which becomes one of the flow's if it is none.
    pub fn route_by(&mut self, ways: &[u32], topology: &Topology) -> Option<u8> {
        let route = topology.route(self.arrival.from, self.arrival.to, ways);
        let known = self.routes.iter().position(|known| *known == route);
        let number = known.unwrap_or_else(|| {
            self.routes.push(route);
            self.routes.len() - 1
        });
        u8::try_from(number).ok()
    }

    /// How long it would take alone in the network: all its packets at the slowest link's rate, then the last packet
    /// over the other links, window and slow start not counted.
    pub fn alone(&self, topology: &Topology) -> Picos {
        let bytes = u64::from(self.arrival.bytes);
        let full = bytes / u64::from(MSS);
        let rest = (bytes % u64::from(MSS)) as u32;
        let last = if rest > 0 { (rest + OVERHEAD).max(LEAST) } else { MSS + OVERHEAD };
        let all = full * u64::from(MSS + OVERHEAD) + if rest > 0 { u64::from(last) } else { 0 };
        let cables = self.routes[0].links().iter().map(|link| topology.cable(*link));
        let delay: Picos = cables.clone().map(|cable| cable.delay).sum();
        let passing: Picos = cables.clone().map(|cable| cable.rate.time_of(last.into())).sum();
        let slowest = cables.map(|cable| cable.rate).min();
        let (train, once) = slowest.map_or((0, 0), |rate| (rate.time_of(all), rate.time_of(last.into())));
        delay + passing + train.saturating_sub(once)
    }
}
