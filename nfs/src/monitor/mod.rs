//! Keeps account of flows: packets, bytes, TCP flags, first and last seen, both directions.

mod accounts;
mod commands;
mod config;
mod flow;
mod ledger;
mod record;
mod report;
mod spool;
mod state;
#[cfg(test)]
mod tests;
mod top;
mod unite;

pub use config::{Config, Plan};

use crate::outlet::Outlet;
use accounts::Accounts;
use engine::{
    Affinity, Burst, Command, CommandError, ConfigError, Cx, Effects, Kind, Nf, Part, Record, Site, State,
    StateKind, WorkerSite,
};
use record::Ended;
use serde_json::Value;
use spool::Spool;
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use top::Top;
use wire::protocol::ip;
use wire::{Field, Fields, FlowKey};

/// Flows that may expire per tick.
const PER_TICK: usize = 256;

const COUNTERS: [&str; 15] = [
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
    outlet: Outlet<Ended>,
    top: Top,
    /// What of the accounts the counters tell already.
    published: [u64; COUNTERS.len()],
}

impl Monitor {
    /// Brings the counters up to date.
    fn publish(&mut self, cx: &mut Cx<'_>) {
        for (counter, new) in self.news().into_iter().enumerate().filter(|(_, new)| *new > 0) {
            cx.count(counter, new);
        }
        if self.outlet.tells_failure() {
            cx.event("flows_unwritten", self.outlet.lost());
        }
    }

    /// What each counter lacks; it counts as told.
    fn news(&mut self) -> [u64; COUNTERS.len()] {
        let counted = COUNTED.map(|protocol| self.accounts.protocols[usize::from(protocol)].packets);
        let other = self.accounts.ip_packets - counted.iter().sum::<u64>();
        let (apart, turnover) = (self.accounts.apart, self.accounts.turnover());
        let now = [
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
            self.outlet.lost(),
        ];
        let before = std::mem::replace(&mut self.published, now);
        std::array::from_fn(|i| now[i] - before[i])
    }

    /// Takes over all accounts of a former instance. Where the tables are of another shape, flows are put into the
    /// new ones.
    fn inherit(&mut self, old: Monitor) {
        self.plan.inherit(&old.plan);
        let shape = |monitor: &Monitor| (monitor.plan.capacity, monitor.plan.idle_nanos, monitor.worker.seed);
        let same = shape(self) == shape(&old);
        // What the counters tell and what the accounts say go together.
        self.published = old.published;
        self.outlet.succeed(&old.outlet);
        if same {
            (self.accounts, self.top) = (old.accounts, old.top);
        } else {
            self.accounts.succeed(old.accounts, &mut self.outlet);
        }
    }
}

impl Nf for Monitor {
    fn process(&mut self, burst: &mut Burst, cx: &mut Cx<'_>) {
        let now = cx.now();
        if let Some(packets) = burst.all_usual() {
            packets.for_each(|packet| self.accounts.stage_usual(packet));
        } else {
            for (headers, frame) in burst.parsed() {
                self.accounts.stage(&headers, frame, now);
            }
        }
        self.accounts.settle(now, &mut self.outlet);
        self.publish(cx);
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        self.accounts.expire(cx.now(), PER_TICK, &mut self.outlet);
        self.top.sweep(&self.accounts);
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
                self.accounts.take_in(key, &flow, &mut self.outlet);
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

    fn effects(_plan: &Plan) -> Effects {
        Effects { reads: READS, state: StateKind::Report, affinity: Affinity::Flow, ..Effects::NONE }
    }

    fn instance(plan: &Arc<Plan>, worker: &WorkerSite) -> Self {
        Monitor {
            plan: Arc::clone(plan),
            worker: *worker,
            accounts: Accounts::new(plan.capacity, plan.idle_nanos, worker.seed),
            outlet: plan.outlet(),
            top: Top::new(),
            published: [0; COUNTERS.len()],
        }
    }

    fn unite(flows: &mut Vec<Record>) {
        unite::records(flows);
    }

    fn finish(plan: &Plan, records: &[Record]) -> Result<(), ConfigError> {
        let Some(file) = &plan.flows else { return Ok(()) };
        let failed =
            |what: &str| ConfigError::at("flows", format!("cannot write {}: {what}", file.display()));
        let mut flows = Vec::with_capacity(records.len());
        for spool in plan.spools() {
            flows.extend(spool.close(Spool::collect).map_err(|error| failed(&error.to_string()))?);
        }
        for record in records {
            flows.push(state::parse(record).map_err(|error| failed(&error.to_string()))?);
        }
        unite::flows(&mut flows, plan.idle_nanos);
        report::write(file, &flows).map_err(|error| failed(&error.to_string()))
    }
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
