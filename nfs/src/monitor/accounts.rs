//! The accounts of a worker: which packets are of which flow, and how much of what there was.
//!
//! It works on bytes and parsed headers, and knows no mbuf.

use super::flow::{Flow, Sample};
use super::ledger::{Ledger, Turnover};
use super::record::Endings;
use crate::flow_key::Ports;
use crate::fragments::Fragments;
use engine::Time;
use wire::protocol::{ether_type, ip};
use wire::{Ends4, FlowKey, FlowKey4, FlowKey6, FragmentKey, Headers, UsualIpv4};

/// Packets and bytes of IP packets.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Total {
    pub packets: u64,
    pub bytes: u64,
}

/// Frames that are of no flow.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Apart {
    pub arp: u64,
    pub not_ip: u64,
    /// IP headers that are broken or cut off.
    pub malformed: u64,
    /// TCP, UDP and the like without ports: later fragments whose first one was not seen, and cut headers.
    pub headless: u64,
}

/// All accounts of one worker.
pub(super) struct Accounts {
    pub v4: Ledger<Ends4>,
    pub v6: Ledger<FlowKey6>,
    fragments: Fragments<Ports>,
    /// By IP protocol.
    pub protocols: Box<[Total; 256]>,
    /// Of all protocols.
    pub ip_packets: u64,
    pub apart: Apart,
}

impl Accounts {
    /// For `capacity` flows of each IP version.
    pub(super) fn new(capacity: usize, idle_nanos: Option<u64>, seed: u64) -> Accounts {
        Accounts {
            v4: Ledger::new(capacity, idle_nanos, seed),
            v6: Ledger::new(capacity, idle_nanos, seed),
            fragments: Fragments::new(seed),
            protocols: Box::new([Total::default(); 256]),
            ip_packets: 0,
            apart: Apart::default(),
        }
    }

    /// Notes a packet of the burst, whose place there is `place`; at most [`engine::BURST`] between two calls of
    /// [`settle`](Self::settle).
    #[inline(always)]
    pub(super) fn stage(&mut self, place: usize, headers: &Headers, frame: &[u8], now: Time) {
        if let Some(packet) = headers.usual_ipv4(frame) {
            return self.stage_usual(place, packet);
        }
        self.stage_any(place, headers, frame, now);
    }

    /// [`stage`](Self::stage) of a packet that is known to be usual.
    #[inline(always)]
    pub(super) fn stage_usual(&mut self, place: usize, packet: UsualIpv4<'_>) {
        let bytes = u32::from(packet.ip_length());
        self.count(packet.protocol(), bytes.into());
        let mut sample = Sample { bytes, place: place as u8, ..Sample::default() };
        if packet.is_tcp() {
            let (seq, ack) = packet.tcp_numbers();
            sample = Sample { is_tcp: true, tcp_flags: packet.tcp_flags(), seq, ack, ..sample };
        }
        self.v4.stage(Ends4::of_usual(packet), sample);
    }

    /// Counts an IP packet by its protocol.
    #[inline(always)]
    fn count(&mut self, protocol: u8, bytes: u64) {
        let total = &mut self.protocols[usize::from(protocol)];
        self.ip_packets += 1;
        total.packets += 1;
        total.bytes += bytes;
    }

    fn stage_any(&mut self, place: usize, headers: &Headers, frame: &[u8], now: Time) {
        let (Some(protocol), Some(bytes)) = (headers.protocol(), headers.l3_len()) else {
            return self.set_apart(headers);
        };
        self.count(protocol, bytes as u64);
        let mut sample = Sample { bytes: bytes as u32, place: place as u8, ..Sample::default() };
        if let (Some(flags), Some(at)) = (headers.tcp_flags(frame), headers.l4_offset()) {
            sample.is_tcp = true;
            sample.tcp_flags = flags;
            if let Some(numbers) = frame.get(at + 4..).and_then(<[u8]>::first_chunk::<8>) {
                let [s0, s1, s2, s3, a0, a1, a2, a3] = *numbers;
                sample.seq = u32::from_be_bytes([s0, s1, s2, s3]);
                sample.ack = u32::from_be_bytes([a0, a1, a2, a3]);
            }
        }
        // Either a whole header with ports, or one of a protocol that has none.
        if headers.is_fragment() || headers.l4_offset().is_none() {
            return self.stage_part(headers, frame, sample, now);
        }
        if let Some(key) = FlowKey4::from_packet(headers, frame) {
            self.v4.stage(Ends4::of(&key), sample);
        } else if let Some(key) = FlowKey6::from_packet(headers, frame) {
            self.v6.stage(key.canonical(), sample);
        }
    }

    /// A fragment, or a packet whose transport header is not whole.
    #[cold]
    fn stage_part(&mut self, headers: &Headers, frame: &[u8], sample: Sample, now: Time) {
        let Some(key) = FlowKey::from_packet(headers, frame) else { return };
        let ports = Ports::of(&key);
        let datagram = FragmentKey::from_packet(headers, frame);
        let has_none = !matches!(key.protocol(), ip::TCP | ip::UDP | ip::SCTP | ip::DCCP | ip::UDP_LITE);
        let ports = match datagram {
            Some(datagram) if headers.is_later_fragment() => {
                self.fragments.later(datagram, now).or(has_none.then_some(ports))
            }
            _ => (has_none || headers.l4_offset().is_some()).then_some(ports),
        };
        let Some(ports) = ports else {
            self.apart.headless += 1;
            return;
        };
        if let Some(datagram) = datagram.filter(|_| headers.is_first_fragment()) {
            self.fragments.first(datagram, ports, now);
        }
        match ports.within(&key) {
            FlowKey::V4(key) => self.v4.stage(Ends4::of(&key), sample),
            FlowKey::V6(key) => self.v6.stage(key.canonical(), sample),
        }
    }

    #[cold]
    fn set_apart(&mut self, headers: &Headers) {
        let counter = match headers.ether_type() {
            _ if headers.malformed().is_some() => &mut self.apart.malformed,
            ether_type::ARP => &mut self.apart.arp,
            _ => &mut self.apart.not_ip,
        };
        *counter += 1;
    }

    /// Counts the packets that were staged.
    #[inline]
    pub(super) fn settle(&mut self, now: Time, sink: &mut impl Endings) {
        self.v4.settle(now, sink);
        self.v6.settle(now, sink);
    }

    /// Ends flows that were quiet for too long.
    pub(super) fn expire(&mut self, now: Time, budget: usize, sink: &mut impl Endings) {
        self.v4.expire(now, budget, sink);
        self.v6.expire(now, budget, sink);
    }

    pub(super) fn turnover(&self) -> Turnover {
        let (a, b) = (self.v4.turnover, self.v6.turnover);
        Turnover {
            opened: a.opened + b.opened,
            reopened: a.reopened + b.reopened,
            split: a.split + b.split,
            expired: a.expired + b.expired,
            evicted: a.evicted + b.evicted,
        }
    }

    /// Sets the totals by protocol to zero.
    pub(super) fn forget_totals(&mut self) {
        self.protocols.fill(Total::default());
        self.ip_packets = 0;
    }

    /// Takes over, while still fresh, the accounts of a former instance whose tables have another shape.
    pub(super) fn succeed(&mut self, old: Accounts, sink: &mut impl Endings) {
        (self.v4.turnover, self.v6.turnover) = (old.v4.turnover, old.v6.turnover);
        for (key, flow) in old.all() {
            self.take_in(key, &flow, sink);
        }
        (self.fragments, self.protocols) = (old.fragments, old.protocols);
        (self.ip_packets, self.apart) = (old.ip_packets, old.apart);
    }

    /// Takes in a flow from elsewhere. The key is canonical.
    pub(super) fn take_in(&mut self, key: FlowKey, flow: &Flow, sink: &mut impl Endings) {
        match key {
            FlowKey::V4(key) => self.v4.take_in(Ends4::of(&key).0, flow, sink),
            FlowKey::V6(key) => self.v6.take_in(key, flow, sink),
        }
    }

    /// What is known of a flow. The key is canonical.
    pub(super) fn get(&self, key: &FlowKey) -> Option<&Flow> {
        match key {
            FlowKey::V4(key) => self.v4.get(&Ends4::of(key).0),
            FlowKey::V6(key) => self.v6.get(key),
        }
    }

    /// Forgets a flow. The key is canonical.
    pub(super) fn remove(&mut self, key: &FlowKey) -> Option<Flow> {
        match key {
            FlowKey::V4(key) => self.v4.remove(&Ends4::of(key).0),
            FlowKey::V6(key) => self.v6.remove(key),
        }
    }

    /// Forgets up to `count` flows from place `from` on; returns how many, and where to go on.
    pub(super) fn forget(&mut self, from: u64, count: usize) -> (usize, Option<u64>) {
        let mut gone = Vec::with_capacity(count);
        let next = self.page(from, count, |key, _| {
            gone.push(key);
            true
        });
        (gone.iter().filter(|key| self.remove(key).is_some()).count(), next)
    }

    /// All flows, with canonical keys.
    pub(super) fn all(&self) -> Vec<(FlowKey, Flow)> {
        let v4 = self.v4.all().into_iter().map(|(key, flow)| (key.into(), flow));
        let v6 = self.v6.all().into_iter().map(|(key, flow)| (key.into(), flow));
        v4.chain(v6).collect()
    }

    /// Shows flows from place `from` on, IPv4 first, until `show` wanted `count` of them; returns where to go on.
    pub(super) fn page(
        &self,
        from: u64,
        count: usize,
        mut show: impl FnMut(FlowKey, &Flow) -> bool,
    ) -> Option<u64> {
        let border = self.v4.capacity() as u64;
        if from < border {
            let next = self.v4.page(from, count, |key, flow| show(key.into(), flow));
            return Some(next.unwrap_or(border));
        }
        let next = self.v6.page(from - border, count, |key, flow| show(key.into(), flow));
        next.map(|next| border + next)
    }
}
