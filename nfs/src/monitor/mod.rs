//! Keeps account of flows: packets, bytes, TCP flags, first and last seen, both directions. On demand it exports them
//! as IPFIX, counts and ranks what there is in fixed memory, and finds out about hosts.

mod accounts;
mod assets;
mod commands;
mod config;
mod flow;
pub mod ipfix;
mod ledger;
mod record;
mod report;
pub mod signatures;
mod sketch;
mod spool;
mod state;
#[cfg(test)]
mod tests;
mod top;
mod unite;
mod watch;

pub use assets::{AssetsConfig, Format};
pub use config::{Config, Plan};

use crate::outlet::Sink;
use accounts::Accounts;
use engine::{
    Affinity, Burst, Command, CommandError, ConfigError, Cx, Effects, Kind, Nf, Part, Record, Site, State,
    StateKind, Time, WorkerSite,
};
use ipfix::{EndReason, Exporter, FlowReport, Report};
use record::Ended;
use serde_json::Value;
use spool::Spool;
use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use top::Top;
use watch::{Exits, Watching};
use wire::protocol::ip;
use wire::{Field, Fields, FlowKey};

/// Flows that may expire per tick.
const PER_TICK: usize = 256;

const COUNTERS: [&str; 21] = [
    "tcp",
    "udp",
    "icmp",
    "icmp6",
    "sctp",
    "other_ip",
    "arp",
    "not_ip",
    "malformed",
    "headless",
    "flows_opened",
    "flows_reopened",
    "flows_expired",
    "flows_evicted",
    "flows_lost",
    "flows_split",
    "ipfix_lost",
    "assets_found",
    "assets_evicted",
    "assets_overfull",
    "banners_unread",
];
/// Protocols with a counter, in the order of [`COUNTERS`]; all others are the one after them.
const COUNTED: [u8; 5] = [ip::TCP, ip::UDP, ip::ICMP, ip::ICMPV6, ip::SCTP];

/// So many of [`COUNTERS`] are totals by protocol.
const OF_PROTOCOLS: usize = COUNTED.len() + 1;

/// The NF, on one worker.
pub struct Monitor {
    plan: Arc<Plan>,
    worker: WorkerSite,
    accounts: Accounts,
    exits: Exits,
    /// Packets are looked at one by one.
    watches: bool,
    top: Top,
    /// Reports that did not get to the collector, of all workers, as far as this one has heard first.
    unsent: u64,
    /// What of the accounts the counters tell already.
    published: [u64; COUNTERS.len()],
}

impl Monitor {
    /// Brings the counters up to date.
    fn publish(&mut self, cx: &mut Cx<'_>) {
        for (counter, new) in self.news().into_iter().enumerate().filter(|(_, new)| *new > 0) {
            cx.count(counter, new);
        }
    }

    /// Says so once if files and collectors fail.
    fn tell_failures(&mut self, cx: &mut Cx<'_>) {
        self.unsent += self.plan.unsent();
        if self.exits.report.tells_failure() {
            cx.event("flows_unwritten", self.exits.report.lost());
        }
        if self.exits.collector.as_ref().is_some_and(|collector| collector.tells_failure()) {
            cx.event("ipfix_unwritten", self.unsent);
        }
    }

    /// What each counter lacks; it counts as told.
    fn news(&mut self) -> [u64; COUNTERS.len()] {
        let now = self.totals();
        let before = std::mem::replace(&mut self.published, now);
        std::array::from_fn(|i| now[i] - before[i])
    }

    /// What the counters are to say.
    fn totals(&self) -> [u64; COUNTERS.len()] {
        let counted = COUNTED.map(|protocol| self.accounts.protocols[usize::from(protocol)].packets);
        let other = self.accounts.ip_packets - counted.iter().sum::<u64>();
        let (apart, turnover) = (self.accounts.apart, self.accounts.turnover());
        let tally = self.exits.assets.as_ref().map_or_else(Default::default, |assets| assets.tally);
        let unexported = self.exits.collector.as_ref().map_or(0, |collector| collector.lost());
        [
            counted[0],
            counted[1],
            counted[2],
            counted[3],
            counted[4],
            other,
            apart.arp,
            apart.not_ip,
            apart.malformed,
            apart.headless,
            turnover.opened,
            turnover.reopened,
            turnover.expired,
            turnover.evicted,
            self.exits.report.lost(),
            turnover.split,
            unexported + self.unsent,
            tally.found,
            tally.evicted,
            tally.overfull,
            tally.unread,
        ]
    }

    /// Looks at each packet of the burst, and counts it.
    fn watch(&mut self, burst: &mut Burst, now: Time) {
        if let Some(packets) = burst.all_usual() {
            packets.enumerate().for_each(|(place, packet)| self.accounts.stage_usual(place, packet));
        } else {
            for (place, (headers, frame)) in burst.parsed().enumerate() {
                self.exits.pass_by(&headers, frame, now);
                self.accounts.stage(place, &headers, frame, now);
            }
        }
        let mut watching = Watching { exits: &mut self.exits, packets: burst, now };
        self.accounts.settle(now, &mut watching);
    }

    /// Takes over all accounts of a former instance. Where the tables are of another shape, flows are put into the
    /// new ones.
    fn inherit(&mut self, old: Monitor) {
        self.plan.inherit(&old.plan);
        let shape = |monitor: &Monitor| (monitor.plan.capacity, monitor.plan.idle_nanos, monitor.worker.seed);
        let same = shape(self) == shape(&old);
        self.unsent += old.unsent;
        self.exits.succeed(old.exits);
        if same {
            (self.accounts, self.top) = (old.accounts, old.top);
        } else {
            self.accounts.succeed(old.accounts, &mut self.exits);
        }
        // A part that is no longer there has begun from nothing when it is there again.
        let totals = self.totals();
        self.published = std::array::from_fn(|i| old.published[i].min(totals[i]));
    }
}

impl Nf for Monitor {
    fn process(&mut self, burst: &mut Burst, cx: &mut Cx<'_>) {
        let now = cx.now();
        if self.watches {
            self.watch(burst, now);
            return self.publish(cx);
        }
        if let Some(packets) = burst.all_usual() {
            packets.for_each(|packet| self.accounts.stage_usual(0, packet));
        } else {
            for (headers, frame) in burst.parsed() {
                self.accounts.stage(0, &headers, frame, now);
            }
        }
        self.accounts.settle(now, &mut self.exits);
        self.publish(cx);
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        self.accounts.expire(cx.now(), PER_TICK, &mut self.exits);
        self.top.sweep(&self.accounts);
        self.tell_failures(cx);
        self.publish(cx);
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }

    fn adopt(&mut self, old: Box<dyn Nf>, _cx: &mut Cx<'_>) {
        if let Ok(old) = (old as Box<dyn Any>).downcast::<Monitor>() {
            self.inherit(*old);
        }
    }

    fn split(&mut self, owner: &dyn Fn(&FlowKey) -> usize) -> Vec<(usize, Part)> {
        let mut parts: BTreeMap<usize, Vec<Ended>> = BTreeMap::new();
        for (key, flow) in self.accounts.all() {
            let worker = owner(&key);
            if worker != self.worker.index {
                self.accounts.remove(&key);
                parts.entry(worker).or_default().push(Ended { key, flow });
            }
        }
        parts.into_iter().map(|(worker, flows)| (worker, Box::new(flows) as Part)).collect()
    }

    fn join(&mut self, part: Part) {
        if let Ok(flows) = part.downcast::<Vec<Ended>>() {
            for Ended { key, flow } in *flows {
                self.accounts.take_in(key, &flow, &mut self.exits);
            }
        }
    }

    fn command(&mut self, name: &str, arguments: &Value) -> Result<Value, CommandError> {
        self.answer(name, arguments)
    }
}

impl Kind for Monitor {
    const NAME: &'static str = "monitor";
    const SUMMARY: &'static str =
        "keeps account of flows: packets, bytes, TCP flags, first and last seen; top talkers, protocols";
    const COUNTERS: &'static [&'static str] = &COUNTERS;
    const COMMANDS: &'static [Command] = commands::COMMANDS;
    const EXAMPLE: &'static str = "capacity = 65536\nidle_timeout = \"10m\"\n";

    type Config = Config;
    type Plan = Plan;

    fn prepare(config: &Config, site: &Site) -> Result<Plan, ConfigError> {
        Plan::new(config, site)
    }

    fn remarks(plan: &Plan) -> Vec<ConfigError> {
        plan.signatures.iter().flat_map(|signatures| signatures.remarks.iter().cloned()).collect()
    }

    fn effects(plan: &Plan) -> Effects {
        let reads = if plan.finds_assets() { READS.union(READS_FOR_ASSETS) } else { READS };
        Effects { reads, state: StateKind::Report, affinity: Affinity::Flow, ..Effects::NONE }
    }

    fn instance(plan: &Arc<Plan>, worker: &WorkerSite) -> Self {
        let exits = plan.exits(worker);
        Monitor {
            plan: Arc::clone(plan),
            worker: *worker,
            accounts: Accounts::new(plan.capacity, plan.idle_nanos, worker.seed),
            watches: exits.watch(),
            exits,
            top: Top::new(),
            unsent: 0,
            published: [0; COUNTERS.len()],
        }
    }

    fn follows_from(command: &str) -> &'static [&'static str] {
        commands::follows_from(command)
    }

    fn unite(flows: &mut Vec<Record>) {
        unite::records(flows);
    }

    fn finish(plan: &Plan, records: &[Record]) -> Result<(), ConfigError> {
        let failed = |key: &str, what: &dyn std::fmt::Display| ConfigError::at(key, what.to_string());
        let (mut flows, mut assets) = (Vec::new(), Vec::new());
        for record in records {
            match record.kind.as_str() {
                state::KIND => flows.push(state::parse(record).map_err(|error| failed("flows", &error))?),
                assets::KIND => assets.push(assets::parse(record).map_err(|error| failed("assets", &error))?),
                _ => {}
            }
        }
        // Each is written even if another cannot be.
        let collected = plan.export(&flows).map_err(|error| failed("ipfix", &error));
        let reported = plan.report(flows).map_err(|error| failed("flows", &error));
        let listed = plan.list(assets).map_err(|error| failed("assets.file", &error));
        collected.and(reported).and(listed)
    }
}

impl Plan {
    /// Sends flows that the end of the run has ended, behind all others.
    fn export(&self, flows: &[Ended]) -> io::Result<()> {
        let Some((writer, _)) = &self.collector else { return Ok(()) };
        let mut flows: Vec<FlowReport> =
            flows.iter().map(|Ended { key, flow }| FlowReport::of(*key, flow, EndReason::Forced)).collect();
        flows.sort_by_key(|flow| (flow.first, flow.source, flow.destination, flow.source_port));
        writer.close(|exporter: &mut Exporter| {
            flows.into_iter().try_for_each(|flow| exporter.take(Report { worker: 0, flow }))?;
            exporter.flush()
        })
    }

    /// Writes the file of flows: of those that have ended, and those under way.
    fn report(&self, mut flows: Vec<Ended>) -> io::Result<()> {
        let Some(file) = &self.flows else { return Ok(()) };
        let written = || {
            for spool in self.spools() {
                flows.extend(spool.close(Spool::collect)?);
            }
            unite::flows(&mut flows, self.idle_nanos);
            report::write(file, &flows)
        };
        with_path(file, written)
    }

    /// Writes the file of assets.
    fn list(&self, found: Vec<(assets::Host, assets::Asset)>) -> io::Result<()> {
        let file = self.signatures.as_ref().and_then(|signatures| signatures.file.as_ref());
        let Some((file, format)) = file else { return Ok(()) };
        with_path(file, || assets::write(file, *format, &assets::unite(found)))
    }
}

/// An error names the file.
fn with_path(file: &Path, write: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    write().map_err(|error| io::Error::other(format!("cannot write {}: {error}", file.display())))
}

/// All that its accounts, and whether a packet is well-formed enough to be in them, depend on.
const READS: Fields = Fields::of(&[
    Field::EtherType,
    Field::Vlan,
    Field::IpVersion,
    Field::IpSrc,
    Field::IpDst,
    Field::IpId,
    Field::IpFragment,
    Field::IpProto,
    Field::IpLength,
    Field::IpOptions,
    Field::Sport,
    Field::Dport,
    Field::L4Length,
    Field::TcpSeq,
    Field::TcpAck,
    Field::TcpFlags,
    Field::TcpOptions,
    Field::IcmpType,
    Field::IcmpRest,
    Field::Length,
]);

/// And what is known of assets depends on.
const READS_FOR_ASSETS: Fields = Fields::of(&[
    Field::Arp,
    Field::IpTtl,
    Field::Ipv6FlowLabel,
    Field::TcpWindow,
    Field::TcpUrgent,
    Field::Payload,
]);
