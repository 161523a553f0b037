//! Looks for what rules describe, in packets, TCP streams and messages of applications, as Suricata does; tells of it,
//! and drops it where it is told to.

mod alert;
mod alone;
mod commands;
mod config;
mod defrag;
mod detect;
mod eve;
mod flow;
mod inspection;
mod inspector;
mod marks;
mod moving;
mod packet;
mod reads;
mod scene;
mod state;
mod watch;
mod way;

pub use config::{Checksums, Config, Files, Mode, Plan, Scope, Streams};

use defrag::{Defrag, Taken};
use detect::{Kind as PacketKind, Searcher};
use engine::{
    Affinity, Burst, Command, CommandError, ConfigError, Cx, Effects, Kind, Nf, Part, Reason, Record, Site,
    State, StateKind, Time, WorkerSite,
};
use inspector::{ALWAYS, Inspector, Tally, Wanted};
use marks::Marks;
use packet::Packet;
use serde_json::Value;
use std::any::Any;
use std::sync::Arc;
use watch::Watch;
use wire::{FlowKey, Headers};

/// Flows that may end per tick.
const PER_TICK: usize = 256;
/// The packet matched a rule that drops, or belongs to a flow that did.
const RULE: Reason = Reason::new(0);

const COUNTERS: [&str; 15] = [
    "inspected",
    "not_ip",
    "malformed",
    "bad_checksum",
    "alerts",
    "alerts_suppressed",
    "alerts_surplus",
    "alerts_lost",
    "matches",
    "evaluated",
    "flows_opened",
    "flows_expired",
    "flows_evicted",
    "datagrams_reassembled",
    "datagrams_given_up",
];

/// The NF, on one worker.
pub struct Ids {
    plan: Arc<Plan>,
    worker: WorkerSite,
    inspector: Inspector,
    watch: Watch,
    defrag: Defrag,
    /// A packet in several segments, put together.
    whole: Vec<u8>,
    seen: Seen,
    /// What of all this the counters tell already.
    published: [u64; COUNTERS.len()],
}

/// Packets by what was made of them.
#[derive(Clone, Copy, Default)]
struct Seen {
    inspected: u64,
    not_ip: u64,
    malformed: u64,
}

impl Ids {
    fn publish(&mut self, cx: &mut Cx<'_>) {
        let (seen, watch) = (self.seen, &self.watch);
        let Tally { alerts, suppressed, surplus, matches, evaluated } = self.inspector.tally;
        let now = [
            seen.inspected,
            seen.not_ip,
            seen.malformed,
            watch.bad_checksums,
            alerts,
            suppressed,
            surplus,
            self.inspector.outlet.lost(),
            matches,
            evaluated,
            watch.opened,
            watch.expired,
            watch.evicted,
            self.defrag.reassembled,
            self.defrag.given_up,
        ];
        let before = std::mem::replace(&mut self.published, now);
        for (counter, new) in now.into_iter().zip(before).map(|(now, before)| now - before).enumerate() {
            if new > 0 {
                cx.count(counter, new);
            }
        }
    }

    /// Whether the packet is to be dropped.
    #[inline]
    fn packet(&mut self, headers: Headers, frame: &[u8], now: Time) -> bool {
        let mut wanted = Wanted::default();
        if let Some(packet) = Packet::of(frame, headers, false) {
            self.seen.inspected += 1;
            wanted = self.inspect(&packet, now);
        } else if headers.is_ip() {
            self.seen.malformed += 1;
        } else {
            self.seen.not_ip += 1;
        }
        // Also one that is malformed: it may have a part of the transport header only.
        if headers.is_fragment() && self.plan.scope == Scope::Flows {
            self.fragment(&headers, frame, now, &mut wanted);
        }
        wanted.drop && !wanted.pass
    }

    #[cold]
    fn fragment(&mut self, headers: &Headers, frame: &[u8], now: Time, wanted: &mut Wanted) {
        let [streams, _] = self.plan.flows;
        if streams && self.plan.settings.checksums && !packet::ip_checksum_is_right(headers, frame) {
            self.watch.bad_checksums += 1;
            return;
        }
        match self.defrag.take(headers, frame, self.plan.reads, now) {
            Taken::InPieces => {}
            Taken::Dropped => wanted.drop = true,
            Taken::Whole(datagram) => {
                let of_all = self.datagram(&datagram, now);
                wanted.drop |= of_all.drop;
                wanted.pass |= of_all.pass;
                if wanted.drop && !wanted.pass {
                    self.defrag.condemn(headers, frame, now);
                }
            }
        }
    }

    /// Inspects what came in fragments. The last of them is dropped for it, so that the datagram stays in pieces.
    fn datagram(&mut self, datagram: &[u8], now: Time) -> Wanted {
        let headers = wire::parse_ip(datagram, 0, datagram.len());
        let packet = Packet::of(datagram, headers, true);
        packet.map_or_else(Wanted::default, |packet| self.inspect(&packet, now))
    }

    #[inline]
    fn inspect(&mut self, packet: &Packet<'_>, now: Time) -> Wanted {
        let [tcp, others] = self.plan.flows;
        let is_of_flow = !packet.headers.is_fragment() && if packet.is_tcp() { tcp } else { others };
        if is_of_flow {
            return self.watch.packet(packet, &mut self.inspector, now);
        }
        let kind = PacketKind::of(packet.protocol());
        let inspector = &mut self.inspector;
        inspector.searcher.begin();
        let lane = match kind {
            PacketKind::Tcp => &self.plan.index.unstreamed,
            other => self.plan.index.packets(other),
        };
        lane.find(&mut inspector.searcher, packet.ports, packet.payload, 0, &mut inspector.candidates);
        for rule in self.plan.index.firsts(kind) {
            inspector.searcher.note(*rule, ALWAYS, &mut inspector.candidates);
        }
        if inspector.candidates.is_empty() {
            return Wanted::default();
        }
        let wanted = inspector.evaluate(&inspection::alone(packet), None, now, |_| Some(0));
        inspector.candidates.clear();
        wanted
    }
}

impl Nf for Ids {
    fn process(&mut self, burst: &mut Burst, cx: &mut Cx<'_>) {
        let now = cx.now();
        for i in 0..burst.len() {
            let headers = burst.headers(i);
            let (first, length) = (burst.bytes(i).len(), burst.packet_len(i));
            let dropped = if first == length {
                self.packet(headers, burst.bytes(i), now)
            } else {
                let mut whole = std::mem::take(&mut self.whole);
                whole.clear();
                burst.segments(i).for_each(|segment| whole.extend_from_slice(segment));
                let dropped = self.packet(headers, &whole, now);
                self.whole = whole;
                dropped
            };
            if dropped {
                burst.drop(i, RULE);
            }
        }
        self.publish(cx);
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        self.watch.expire(&mut self.inspector, cx.now(), PER_TICK);
        self.publish(cx);
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }

    fn adopt(&mut self, old: Box<dyn Nf>, _cx: &mut Cx<'_>) {
        if let Ok(old) = (old as Box<dyn Any>).downcast::<Ids>() {
            self.inherit(*old);
        }
    }

    fn split(&mut self, owner: &dyn Fn(&FlowKey) -> usize) -> Vec<(usize, Part)> {
        self.part(owner)
    }

    fn join(&mut self, part: Part) {
        self.take_in(part);
    }

    fn command(&mut self, name: &str, arguments: &Value) -> Result<Value, CommandError> {
        self.answer(name, arguments)
    }

    fn drain(&mut self, cx: &mut Cx<'_>) {
        self.watch.finish_all(&mut self.inspector, cx.now());
        self.publish(cx);
    }
}

impl Kind for Ids {
    const NAME: &'static str = "ids";
    const SUMMARY: &'static str =
        "looks for what Suricata's rules describe, in packets, TCP streams, HTTP, TLS and DNS; alerts, drops";
    const DROPS: &'static [&'static str] = &["rule"];
    const COUNTERS: &'static [&'static str] = &COUNTERS;
    const COMMANDS: &'static [Command] = commands::COMMANDS;
    const EXAMPLE: &'static str = "rules = 'alert tcp any any -> any any (msg:\"id said root\"; \
        content:\"uid=0|28|root|29|\"; classtype:bad-unknown; sid:1;)'\n";

    type Config = Config;
    type Plan = Plan;

    fn prepare(config: &Config, site: &Site) -> Result<Plan, ConfigError> {
        Plan::new(config, site)
    }

    fn remarks(plan: &Plan) -> Vec<ConfigError> {
        config::remarks(&plan.report)
    }

    fn effects(plan: &Plan) -> Effects {
        let alone = plan.scope == Scope::Packets;
        Effects {
            reads: plan.reads,
            may_drop: plan.drops,
            state: if plan.drops && !alone { StateKind::Learns } else { StateKind::Report },
            affinity: if alone { Affinity::Any } else { Affinity::Flow },
            ..Effects::NONE
        }
    }

    fn instance(plan: &Arc<Plan>, worker: &WorkerSite) -> Self {
        let searcher = Searcher::new(Arc::clone(&plan.databases), plan.rules.all.len());
        let marks = Marks::new(plan.marks);
        let inspector = Inspector::new(
            Arc::clone(&plan.rules),
            Arc::clone(&plan.index),
            searcher,
            marks,
            plan.drops,
            plan.outlet(),
        );
        Ids {
            plan: Arc::clone(plan),
            worker: *worker,
            inspector,
            watch: Watch::new(Arc::clone(&plan.settings), worker.seed, plan.flows),
            defrag: Defrag::default(),
            whole: Vec::new(),
            seen: Seen::default(),
            published: [0; COUNTERS.len()],
        }
    }

    fn finish(plan: &Plan, _records: &[Record]) -> Result<(), ConfigError> {
        plan.close()
    }
}
