//! What a monitor does with flows besides keeping account of them: reports of those that end, sketches, assets.

use super::assets::{Assets, EARLY, Sight};
use super::flow::{Flow, Sample};
use super::ipfix::{EndReason, FlowReport, Report};
use super::record::{Ended, Endings};
use super::sketch::{Sketches, UNTOLD};
use crate::flow_key::Key;
use crate::outlet::Outlet;
use engine::{Burst, Time};
use wire::protocol::ether_type;
use wire::tcp::flags;
use wire::{Direction, FlowKey, Headers};

/// Segments that tell of a host's TCP.
const TELLING: u8 = flags::SYN | flags::FIN | flags::RST;

/// Where flows go, and what is made of them; each part only if it is configured.
pub(super) struct Exits {
    /// For the report at the end of the run.
    pub report: Outlet<Ended>,
    /// For a collector.
    pub collector: Option<Outlet<Report>>,
    pub worker: u32,
    pub sketches: Option<Box<Sketches>>,
    pub assets: Option<Box<Assets>>,
    /// A flow that lasts longer is reported, and begins anew.
    pub active_nanos: Option<u64>,
}

impl Exits {
    /// Whether packets are looked at one by one.
    pub(super) fn watch(&self) -> bool {
        self.sketches.is_some() || self.assets.is_some() || self.active_nanos.is_some()
    }

    /// Looks at a frame that is of no flow.
    #[inline(always)]
    pub(super) fn pass_by(&mut self, headers: &Headers, frame: &[u8], now: Time) {
        if headers.ether_type() == ether_type::ARP
            && let Some(assets) = &mut self.assets
        {
            assets.see_arp(headers, frame, now);
        }
    }

    /// Takes over from a former instance what goes on.
    pub(super) fn succeed(&mut self, old: Exits) {
        self.report.succeed(&old.report);
        if let (Some(new), Some(old)) = (&mut self.collector, &old.collector) {
            new.succeed(old);
        }
        if self.sketches.is_some() && old.sketches.is_some() {
            self.sketches = old.sketches;
        }
        if let (Some(new), Some(old)) = (&mut self.assets, old.assets) {
            new.succeed(*old);
        }
    }
}

impl Endings for Exits {
    fn ended(&mut self, key: FlowKey, flow: &Flow, why: EndReason) {
        self.report.ended(key, flow, why);
        if let Some(collector) = &mut self.collector {
            collector.send(Report { worker: self.worker, flow: FlowReport::of(key, flow, why) });
        }
        if let Some(sketches) = &mut self.sketches {
            sketches.tell_last(&key, flow);
        }
    }
}

/// The packets whose flows are looked at, by their places.
pub(super) trait Packets {
    fn headers(&mut self, place: usize) -> Headers;
    fn frame(&self, place: usize) -> &[u8];
    /// What follows the frame in other segments.
    fn rest(&self, place: usize) -> impl Iterator<Item = &[u8]>;
}

impl Packets for Burst {
    fn headers(&mut self, place: usize) -> Headers {
        Burst::headers(self, place)
    }

    fn frame(&self, place: usize) -> &[u8] {
        self.bytes(place)
    }

    fn rest(&self, place: usize) -> impl Iterator<Item = &[u8]> {
        self.segments(place).skip(1)
    }
}

/// Looks at the packets of a burst while they are counted.
pub(super) struct Watching<'a, P> {
    pub exits: &'a mut Exits,
    pub packets: &'a mut P,
    pub now: Time,
}

impl<P: Packets> Endings for Watching<'_, P> {
    const WATCHES: bool = true;

    fn ended(&mut self, key: FlowKey, flow: &Flow, why: EndReason) {
        self.exits.ended(key, flow, why);
    }

    #[inline(always)]
    fn is_due(&self, flow: &Flow) -> bool {
        let lasts = self.now.as_nanos().saturating_sub(flow.first.as_nanos());
        self.exits.active_nanos.is_some_and(|most| lasts >= most)
    }

    #[inline(always)]
    fn counted<K: Key>(&mut self, key: &K, sample: &Sample, flow: &mut Flow) {
        if self.exits.sketches.is_some() {
            flow.untold = flow.untold.saturating_add(sample.bytes);
            let packets = flow.packets();
            if packets.is_multiple_of(UNTOLD) || packets == 1 {
                self.tell((*key).into(), flow, packets == 1);
            }
        }
        if self.exits.assets.is_some() {
            let is_early = flow.packets[usize::from(sample.reverse)] <= EARLY;
            if is_early || sample.tcp_flags & TELLING != 0 {
                self.see((*key).into(), sample, flow, is_early);
            }
        }
    }
}

impl<P: Packets> Watching<'_, P> {
    #[inline(never)]
    fn tell(&mut self, key: FlowKey, flow: &mut Flow, is_first: bool) {
        let Some(sketches) = &mut self.exits.sketches else { return };
        if is_first {
            let began = if flow.originator == Direction::Reverse { key.reversed() } else { key };
            sketches.begun(&began);
        }
        sketches.tell(&key, flow);
    }

    #[inline(never)]
    fn see(&mut self, key: FlowKey, sample: &Sample, flow: &Flow, is_early: bool) {
        let Some(assets) = &mut self.exits.assets else { return };
        let place = usize::from(sample.place);
        let headers = self.packets.headers(place);
        let direction = if sample.reverse { Direction::Reverse } else { Direction::Forward };
        let key = if sample.reverse { key.reversed() } else { key };
        let sight = Sight {
            headers: &headers,
            frame: self.packets.frame(place),
            now: self.now,
            sender: key.source(),
            ports: (key.source_port(), key.destination_port()),
            proto: key.protocol(),
            is_client: direction == flow.originator,
            is_early,
        };
        assets.see(&sight, self.packets.rest(place));
    }
}
