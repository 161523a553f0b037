//! The network while it runs: events in their order, packets from node to node.

mod detours;

use crate::account::Account;
use crate::detour::{Smart, Terms};
use crate::flow::Flow;
use crate::link::{Link, Offered};
use crate::nodes::{Directory, Passed, Placed, Stands, Stop, key};
use crate::packet::{Packet, PacketKind};
use crate::quantity::Picos;
use crate::random::{Random, Stream};
use crate::schedule::{Event, Schedule};
use crate::tcp::Tcp;
use crate::topology::{NodeId, Topology};
use crate::traffic::{Arrival, Deadline};
use engine::StandPools;
use wire::FlowKey4;

/// A change of a link while the network runs.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Change {
    /// When.
    pub at: Picos,
    /// Which.
    pub link: u32,
    /// Its rate from then on, as a share of its cable's.
    pub rate: f64,
    /// The share of packets that it loses from then on.
    pub loss: f64,
}

/// What a run has besides its flows.
pub struct Setting<'a> {
    /// The network.
    pub topology: &'a Topology,
    /// Its hosts' TCP.
    pub tcp: Tcp,
    /// In what time priority flows have to be through.
    pub deadline: Option<Deadline>,
    /// What becomes of links.
    pub changes: &'a [Change],
    /// What SMART does, if anything.
    pub smart: Option<Terms>,
    /// NFs at nodes, and their packet memory.
    pub nfs: (&'a [Placed], Option<&'a StandPools>),
    /// How often NFs run their timers.
    pub tick: Picos,
    /// When the run ends if flows have not ended before.
    pub end: Picos,
    /// Seed of everything random.
    pub seed: u64,
}

/// A network that runs.
pub struct Network<'a, F: Iterator<Item = Arrival>> {
    setting: Setting<'a>,
    links: Vec<Link>,
    schedule: Schedule,
    flows: Vec<Flow>,
    arrivals: F,
    coming: Option<Arrival>,
    /// Whether a flow's timer is among the events.
    armed: Vec<bool>,
    live: u64,
    /// Of each tier, what goes into its switches' hashes.
    hashes: Vec<u64>,
    loss: Random,
    smart: Option<Smart>,
    nfs: Stands<'a>,
    directory: Directory,
    passed: Vec<Passed>,
    account: Account,
    now: Picos,
    events: u64,
}

impl<'a, F: Iterator<Item = Arrival>> Network<'a, F> {
    /// A network before its first event.
    pub fn new(setting: Setting<'a>, arrivals: F) -> Self {
        let topology = setting.topology;
        let links = (0..topology.ends().len() as u32).map(|link| {
            let cable = topology.cable(link);
            Link::new(cable.rate, cable.delay, cable.queue, 0.0)
        });
        let mut hashes = Random::new(setting.seed, Stream::Hashes);
        let mut network = Network {
            links: links.collect(),
            schedule: Schedule::default(),
            flows: Vec::new(),
            arrivals,
            coming: None,
            armed: Vec::new(),
            live: 0,
            hashes: (0..topology.tiers()).map(|_| hashes.bits()).collect(),
            loss: Random::new(setting.seed, Stream::Loss),
            smart: setting.smart.map(Smart::new),
            nfs: Stands::new(setting.nfs.0, setting.nfs.1, Random::new(setting.seed, Stream::Nfs).bits()),
            directory: Directory::default(),
            passed: Vec::new(),
            account: Account::default(),
            now: 0,
            events: 0,
            setting,
        };
        for (number, change) in network.setting.changes.iter().enumerate() {
            network.schedule.add(change.at, Event::Change(number as u32));
        }
        if !network.nfs.is_empty() {
            network.schedule.add(network.setting.tick, Event::Tick);
        }
        network.expect();
        network
    }

    /// Runs until all flows have ended, or the end of the run.
    pub fn run(&mut self) {
        while self.step() {}
    }

    /// One event; `false` when there is none left.
    pub fn step(&mut self) -> bool {
        let Some((at, event)) = self.schedule.take().filter(|(at, _)| *at <= self.setting.end) else {
            return false;
        };
        self.now = at;
        self.events += 1;
        match event {
            Event::Link(link) => self.arrive(link),
            Event::Timer(flow) => self.expire(flow),
            Event::Begin(_) => self.begin(),
            Event::Notice(flow) => self.decide(flow),
            Event::Merge(flow) => self.give_up(flow),
            Event::Tick => self.tick(),
            Event::Change(number) => self.change(number),
        }
        true
    }

    /// All flows so far.
    pub fn flows(&self) -> &[Flow] {
        &self.flows
    }

    /// All links.
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// The controller of SMART.
    pub fn smart(&self) -> Option<&Smart> {
        self.smart.as_ref()
    }

    /// The NFs.
    pub fn nfs(&self) -> &Stands<'a> {
        &self.nfs
    }

    /// The NFs, to be asked and told.
    pub fn nfs_mut(&mut self) -> &mut Stands<'a> {
        &mut self.nfs
    }

    /// The time of the last event.
    pub fn now(&self) -> Picos {
        self.now
    }

    /// How many events there were.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Where all packets are.
    pub fn account(&self) -> Account {
        let mut account = self.account;
        for link in &self.links {
            account.dropped += link.count.dropped;
            account.lost += link.count.lost;
            for packet in link.inside() {
                account.in_flight += 1;
                account.in_flight_bytes += u64::from(packet.len);
            }
        }
        let merges = self.flows.iter().filter_map(|flow| flow.plan.as_ref());
        account.held = self.nfs.held() + merges.map(|plan| plan.merge.held()).sum::<u64>();
        let [made, dropped, absorbed, strayed] = self.nfs.ends();
        account.made += made;
        account.dropped_by_nfs = dropped;
        account.absorbed += absorbed;
        account.strayed = strayed;
        account
    }

    /// Puts the next flow among the events.
    fn expect(&mut self) {
        self.coming = self.arrivals.next();
        if let Some(arrival) = self.coming {
            self.schedule.add(arrival.at.max(self.now), Event::Begin(self.flows.len() as u32));
        }
    }

    fn begin(&mut self) {
        let Some(arrival) = self.coming.take() else { return };
        let (number, topology) = (self.flows.len() as u32, self.setting.topology);
        let key = key(number, arrival.from, arrival.to, arrival.priority);
        let deadline = self.setting.deadline.filter(|_| arrival.priority);
        let limit = deadline.map_or(Picos::MAX, |deadline| deadline.of(arrival.bytes));
        let ways = self.ecmp(&key, arrival.from, arrival.to);
        self.flows.push(Flow::new(arrival, key, limit, ways, topology, self.setting.tcp));
        self.armed.push(false);
        self.live += 1;
        if !self.nfs.is_empty() {
            self.directory.add(number, key);
        }
        if let (Some(smart), true) = (&mut self.smart, arrival.priority) {
            smart.begin(number, &mut self.flows[number as usize], self.now, topology);
        }
        self.expect();
        self.send(number);
    }

    /// The way up at each tier: the engine's symmetric hash of the five-tuple with a seed for the tier, so that both
    /// directions take the same path.
    fn ecmp(&self, key: &FlowKey4, from: NodeId, to: NodeId) -> Vec<u32> {
        let topology = self.setting.topology;
        let tiers = 1..topology.meeting(from, to);
        tiers
            .map(|tier| {
                let hash = key.symmetric_hash_with(self.hashes[tier]);
                ((u64::from(hash) * u64::from(topology.ways(tier))) >> 32) as u32
            })
            .collect()
    }

    /// Sends what a flow's windows let go.
    fn send(&mut self, number: u32) {
        while let Some(segment) = self.flows[number as usize].sender.send(self.now) {
            self.leave(number, segment.from, segment.len, segment.again);
        }
        self.arm(number);
    }

    /// A data packet leaves its host.
    fn leave(&mut self, number: u32, from: u32, len: u32, again: bool) {
        let flow = &mut self.flows[number as usize];
        flow.count.sent += 1;
        flow.count.again += u64::from(again);
        let packet = flow.packet(number, PacketKind::Data, from, len);
        let node = flow.arrival.from;
        self.account.sent += 1;
        self.account.sent_bytes += u64::from(packet.len);
        self.meet(node, packet, false);
    }

    /// Sees to it that a flow's timer is among the events.
    fn arm(&mut self, number: u32) {
        let armed = &mut self.armed[number as usize];
        if let (false, Some(deadline)) = (*armed, self.flows[number as usize].sender.deadline()) {
            *armed = true;
            self.schedule.add(deadline, Event::Timer(number));
        }
    }

    fn expire(&mut self, number: u32) {
        self.armed[number as usize] = false;
        // Mostly the timer was set anew since then, and is only put in again.
        self.flows[number as usize].sender.expire(self.now);
        self.send(number);
    }

    fn change(&mut self, number: u32) {
        let change = self.setting.changes[number as usize];
        let rate = self.setting.topology.cable(change.link).rate.scaled(change.rate);
        if let Some(link) = self.links.get_mut(change.link as usize) {
            link.set(rate, change.loss);
        }
    }

    /// A packet is given to the next link of its route.
    fn forward(&mut self, packet: Packet) {
        let Some(link) = self.flows[packet.flow as usize].link(&packet) else { return };
        match self.links[link as usize].offer(packet, self.now) {
            Offered::First(at) => self.schedule.add(at, Event::Link(link)),
            Offered::Behind => {}
            Offered::Dropped => self.gone(packet),
        }
    }

    /// A packet ended in a link.
    fn gone(&mut self, packet: Packet) {
        self.account.gone_bytes += u64::from(packet.len);
        self.flows[packet.flow as usize].count.dropped += u64::from(packet.is_data());
        self.nfs.release(packet);
    }

    fn arrive(&mut self, link: u32) {
        let Some(arrived) = self.links[link as usize].arrive(self.now, &mut self.loss) else { return };
        if let Some(next) = arrived.next {
            self.schedule.add(next, Event::Link(link));
        }
        if arrived.lost {
            self.gone(arrived.packet);
            return;
        }
        let packet = Packet { hop: arrived.packet.hop + 1, ..arrived.packet };
        // What comes down a link comes from the network's side.
        let from_north = !Topology::is_up(link);
        self.meet(self.setting.topology.ends()[link as usize].to, packet, from_north);
    }

    /// A packet is at a node: the NFs there, then on.
    fn meet(&mut self, node: NodeId, packet: Packet, from_north: bool) {
        if self.nfs.is_empty() {
            self.proceed(node, packet);
            return;
        }
        let mut passed = std::mem::take(&mut self.passed);
        self.enter(node, 0, packet, from_north, &mut passed);
        self.settle(passed, from_north);
    }

    /// A packet comes to the NFs of a node from number `from` on.
    fn enter(&mut self, node: NodeId, from: usize, packet: Packet, north: bool, passed: &mut Vec<Passed>) {
        let priority = self.flows[packet.flow as usize].arrival.priority;
        match self.nfs.meets(node, from, priority) {
            Some(nf) => {
                let stop = Stop { place: (nf, node), now: self.now, north };
                self.nfs.run(stop, packet, &self.directory, passed);
            }
            None => self.proceed(node, packet),
        }
    }

    /// What left NFs goes to the next one, or on.
    fn settle(&mut self, mut passed: Vec<Passed>, north: bool) {
        while let Some(Passed { packet, gate, after, node }) = passed.pop() {
            if gate == 0 {
                self.enter(node, after + 1, packet, north, &mut passed);
                continue;
            }
            let flow = &mut self.flows[packet.flow as usize];
            let route = flow.alternative(node, self.setting.topology).unwrap_or(packet.route);
            if packet.is_data() {
                match packet.made {
                    true => flow.count.cloned += 1,
                    false => flow.count.diverted += 1,
                }
            }
            self.proceed(node, Packet { route, ..packet });
        }
        self.passed = passed;
    }

    /// A packet goes on from a node: to the next link, or to its host.
    fn on(&mut self, packet: Packet) {
        if self.flows[packet.flow as usize].link(&packet).is_some() {
            self.forward(packet);
            return;
        }
        if let Some(bytes) = self.nfs.frame(packet.frame) {
            let good = self.directory.arrives(&packet, bytes);
            self.nfs.release(packet);
            if !good {
                self.account.damaged += 1;
                self.account.gone_bytes += u64::from(packet.len);
                return;
            }
        }
        self.account.delivered += 1;
        self.account.delivered_bytes += u64::from(packet.len);
        match packet.kind {
            PacketKind::Data => self.receive(packet),
            PacketKind::Ack => self.acknowledge(packet),
        }
    }

    fn receive(&mut self, packet: Packet) {
        let flow = &mut self.flows[packet.flow as usize];
        let ack = flow.receiver.take(packet.number, packet.len.into());
        if ack >= flow.sender.size() && flow.arrived.is_none() {
            flow.arrived = Some(self.now);
        }
        let mut answer = flow.packet(packet.flow, PacketKind::Ack, ack, 0);
        // It goes back by the route by which the flow began, or by that of its detour: what made packets wait may do so in
        // both directions.
        answer.route = flow.plan.as_ref().map_or(0, |plan| plan.route);
        let node = flow.arrival.to;
        self.account.sent += 1;
        self.meet(node, answer, false);
    }

    fn acknowledge(&mut self, packet: Packet) {
        let number = packet.flow;
        let sender = &mut self.flows[number as usize].sender;
        if sender.is_done() {
            return;
        }
        let again = sender.acknowledge(packet.number, self.now);
        if sender.is_done() {
            self.live -= 1;
            if let Some(smart) = &mut self.smart {
                smart.end(number, &self.flows[number as usize], self.now);
            }
            return;
        }
        if let Some(segment) = again {
            self.leave(number, segment.from, segment.len, segment.again);
        }
        self.send(number);
    }

    fn tick(&mut self) {
        let mut passed = std::mem::take(&mut self.passed);
        self.nfs.tick(&self.directory, self.now, &mut passed);
        self.settle(passed, false);
        // Without flows nothing new comes; what is still held may have to leave.
        if self.live > 0 || self.coming.is_some() || self.nfs.held() > 0 {
            self.schedule.add(self.now + self.setting.tick, Event::Tick);
        }
    }
}
