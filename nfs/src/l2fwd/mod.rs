//! A switch: forwards frames by destination MAC address, to stations that it was told of or learned.

mod commands;
mod config;
mod state;
mod station;
mod table;
#[cfg(test)]
mod tests;

pub use config::{Config, Plan, Unknown};

use engine::{
    Affinity, BURST, Burst, Command, CommandError, ConfigError, Cx, Effects, Gates, Kind, Nf, Reason, Site,
    State, StateKind, Time, Update, WorkerSite,
};
use serde_json::Value;
use station::Station;
use std::any::Any;
use std::sync::Arc;
use table::{Learned, Table};
use tables::flow_table::EntryId;
use wire::{Field, Fields, Mac};

/// Frames to 01:80:c2:00:00:00 to 0f, which no bridge forwards (IEEE 802.1D-2004, table 7-10).
const LINK_LOCAL: Reason = Reason::new(0);
const SAME_PORT: Reason = Reason::new(1);
const UNREACHABLE: Reason = Reason::new(2);
const UNKNOWN: Reason = Reason::new(3);
const NO_DESTINATION: Reason = Reason::new(4);
const GROUP_SOURCE: Reason = Reason::new(5);
const TRUNCATED: Reason = Reason::new(6);

const LEARNED: usize = 0;
const MOVED: usize = 1;
const AGED: usize = 2;
const TABLE_FULL: usize = 3;
const CONTRADICTED: usize = 4;
const FLOODED: usize = 5;
const COPIES_FAILED: usize = 6;

/// Entries that may age, or be told to the other workers, per tick.
const PER_TICK: usize = 64;

/// The NF, on one worker.
pub struct L2Fwd {
    plan: Arc<Plan>,
    worker: WorkerSite,
    table: Table,
    /// Some entries were never told to the other workers; how far the telling is.
    retelling: Option<u64>,
    /// The time as of the latest call.
    now: Time,
}

/// What a frame says of who sent it to whom.
#[derive(Clone, Copy)]
struct Frame {
    destination: Mac,
    source: Mac,
    vlan: u16,
}

impl L2Fwd {
    /// `Err`: the frame ends here.
    #[inline]
    fn frame(&self, burst: &mut Burst, i: usize) -> Result<Frame, Reason> {
        let vlan = if self.plan.vlan_aware { burst.headers(i).vlan().unwrap_or(0) } else { 0 };
        let Some(&[a, b, c, d, e, f, ref source @ ..]) = burst.bytes(i).first_chunk::<12>() else {
            return Err(TRUNCATED);
        };
        let frame = Frame { destination: Mac([a, b, c, d, e, f]), source: Mac(*source), vlan };
        if matches!(frame.destination.0, [0x01, 0x80, 0xc2, 0x00, 0x00, 0x00..=0x0f]) {
            return Err(LINK_LOCAL);
        }
        if frame.source.is_multicast() { Err(GROUP_SOURCE) } else { Ok(frame) }
    }

    fn learn(&mut self, station: Station, port: u16, found: Option<EntryId>, cx: &mut Cx<'_>) {
        let (learned, tell) = self.table.learn(station, port, cx.now(), found);
        match learned {
            Learned::Known => {}
            Learned::New => cx.count(LEARNED, 1),
            Learned::Moved => {
                cx.count(MOVED, 1);
                cx.event("mac_moved", u64::from(port));
            }
            Learned::Contradicts => cx.count(CONTRADICTED, 1),
            Learned::Full => {
                cx.count(TABLE_FULL, 1);
                cx.event("table_full", self.table.len() as u64);
            }
        }
        if tell && cx.workers() > 1 {
            self.tell(station, cx);
        }
    }

    /// Tells the other workers where a station is. What finds no room is told with its next frame.
    fn tell(&mut self, station: Station, cx: &mut Cx<'_>) {
        if let Some(update) = self.table.news(station)
            && cx.broadcast(update)
        {
            self.table.told(station, cx.now());
        }
    }

    /// Out by every gate whose port is not the one that the frame came in by: the frame itself by the last of
    /// them, copies by the others.
    fn flood(&self, burst: &mut Burst, i: usize, cx: &mut Cx<'_>) {
        let ingress = burst.ingress(i);
        let mut gates =
            (0..=u8::MAX).zip(&self.plan.gates).filter(|(_, port)| **port != ingress).map(|(gate, _)| gate);
        let Some(mut last) = gates.next() else { return burst.drop(i, NO_DESTINATION) };
        cx.count(FLOODED, 1);
        for gate in gates {
            match burst.copy(i) {
                Some(copy) => cx.emit(last, copy),
                None => cx.count(COPIES_FAILED, 1),
            }
            last = gate;
        }
        burst.gate(i, last);
    }
}

impl Nf for L2Fwd {
    fn process(&mut self, burst: &mut Burst, cx: &mut Cx<'_>) {
        let now = cx.now();
        self.now = now;
        let mut places = [0usize; BURST];
        let mut destinations = [Station::default(); BURST];
        let mut sources = [Station::default(); BURST];
        let (mut destination_hashes, mut source_hashes) = ([0u32; BURST], [0u32; BURST]);
        let mut n = 0;
        for i in 0..burst.len() {
            match self.frame(burst, i) {
                Ok(frame) => {
                    places[n] = i;
                    destinations[n] = Station::new(frame.vlan, frame.destination);
                    sources[n] = Station::new(frame.vlan, frame.source);
                    destination_hashes[n] = self.table.hash(destinations[n]);
                    source_hashes[n] = self.table.hash(sources[n]);
                    n += 1;
                }
                Err(reason) => burst.drop(i, reason),
            }
        }
        let (mut found, mut found_sources) = ([None; BURST], [None; BURST]);
        self.table.find_all(&destinations[..n], &destination_hashes[..n], &mut found[..n]);
        if self.plan.learn {
            self.table.find_all(&sources[..n], &source_hashes[..n], &mut found_sources[..n]);
        }
        for j in 0..n {
            let (i, station) = (places[j], destinations[j]);
            let ingress = burst.ingress(i);
            if self.plan.learn && sources[j].mac() != Mac::ZERO {
                self.learn(sources[j], ingress, found_sources[j], cx);
            }
            if station.mac().is_multicast() {
                self.flood(burst, i, cx);
                continue;
            }
            // A frame of the same burst may just have taught where it is.
            let place = self.table.place(found[j], now).or_else(|| {
                let taught = self.table.get(station);
                taught.filter(|place| self.table.is_current(place, now))
            });
            match place {
                Some(place) if place.port == ingress => burst.drop(i, SAME_PORT),
                Some(place) => match self.plan.gate(place.port) {
                    Some(gate) => burst.gate(i, gate),
                    None => burst.drop(i, UNREACHABLE),
                },
                None if self.plan.unknown == Unknown::Flood => self.flood(burst, i, cx),
                None => burst.drop(i, UNKNOWN),
            }
        }
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        self.now = cx.now();
        let aged = self.table.age(cx.now(), PER_TICK);
        cx.count(AGED, aged as u64);
        if let Some(from) = self.retelling {
            let mut untold = [Station::default(); PER_TICK];
            let mut n = 0;
            // What cannot be told now is met again in the next round.
            let mut next = self.table.page(from, PER_TICK, |station, place| {
                let wanted = place.told == Time::ZERO;
                if wanted {
                    untold[n] = station;
                    n += 1;
                }
                wanted
            });
            for &station in &untold[..n] {
                match self.table.news(station) {
                    Some(update) if !cx.broadcast(update) => next = Some(from),
                    _ => self.table.told(station, cx.now()),
                }
            }
            self.retelling = next;
        }
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }

    fn adopt(&mut self, old: Box<dyn Nf>, _cx: &mut Cx<'_>) {
        if let Ok(old) = (old as Box<dyn Any>).downcast::<L2Fwd>() {
            self.inherit(*old);
        }
    }

    fn replicate(&mut self, update: &Update, cx: &mut Cx<'_>) {
        self.table.hear(update, cx.now());
    }

    fn command(&mut self, name: &str, arguments: &Value) -> Result<Value, CommandError> {
        self.answer(name, arguments)
    }
}

impl Kind for L2Fwd {
    const NAME: &'static str = "l2fwd";
    const SUMMARY: &'static str = "a switch: forwards by destination MAC address, static or learned";
    const DROPS: &'static [&'static str] = &[
        "link_local",
        "same_port",
        "unreachable",
        "unknown",
        "no_destination",
        "group_source",
        "ethernet_truncated",
    ];
    const COUNTERS: &'static [&'static str] =
        &["learned", "moved", "aged", "table_full", "contradicted", "flooded", "copies_failed"];
    const COMMANDS: &'static [Command] = commands::COMMANDS;
    const GATES: Gates = Gates::Ports;
    const EXAMPLE: &'static str = "learn = true\nageing = \"300s\"\ncapacity = 8192\n";

    type Config = Config;
    type Plan = Plan;

    fn prepare(config: &Config, site: &Site) -> Result<Plan, ConfigError> {
        Plan::new(config, site)
    }

    fn effects(plan: &Plan) -> Effects {
        let addresses = Fields::of(&[Field::EthSrc, Field::EthDst]);
        let tags = Fields::of(&[Field::EtherType, Field::Vlan]);
        Effects {
            reads: if plan.vlan_aware { addresses.union(tags) } else { addresses },
            may_drop: true,
            may_create: plan.gates.len() > 1,
            // Without learning, too, stations come and go by command.
            state: StateKind::Learns,
            affinity: Affinity::Any,
            ..Effects::NONE
        }
    }

    fn instance(plan: &Arc<Plan>, worker: &WorkerSite) -> Self {
        L2Fwd {
            plan: Arc::clone(plan),
            worker: *worker,
            table: Table::new(plan),
            retelling: None,
            now: Time::ZERO,
        }
    }
}
