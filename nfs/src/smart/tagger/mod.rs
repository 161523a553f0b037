//! Marks the packets of the flows that tenants name, and measures those flows.

mod commands;
mod config;
mod state;

pub use config::{Config, Foreign, Plan, RuleConfig};

use super::flows::{Flows, Kept};
use super::meter::Meter;
use super::{FLOW, flow_of, id, records};
use crate::shaper::dscp;
use engine::{
    Affinity, BURST, Burst, Command, CommandError, ConfigError, Cx, Effects, Kind, Nf, Part, Site, State,
    StateKind, WorkerSite,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::any::Any;
use std::sync::Arc;
use tables::flow_table::EntryId;
use wire::tcp::flags;
use wire::{Field, Fields, FlowKey};

const TAGGED: usize = 0;
const BEGAN: usize = 1;
const ENDED: usize = 2;
const EVICTED: usize = 3;
const DEADLINE_MISSED: usize = 4;
const RATE_MISSED: usize = 5;
const FOREIGN: usize = 6;

/// A flow that a rule names.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Flow {
    /// The name of the rule, as a number that stays when rules come and go.
    rule: u64,
    meter: Meter,
    /// FIN or RST was seen.
    ended: bool,
    /// Its deadline has passed.
    late: bool,
}

impl Kept for Flow {
    fn last(&self) -> u64 {
        self.meter.last
    }
}

/// What is done to a packet: nothing, as a rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Ticket {
    #[default]
    Nothing,
    Rule(u8),
    Foreign,
}

/// The NF, on one worker.
pub struct Tagger {
    plan: Arc<Plan>,
    worker: WorkerSite,
    flows: Flows<Flow>,
}

impl Tagger {
    /// Stamps a packet, and counts it for its flow.
    fn tag(&mut self, burst: &mut Burst, i: usize, number: u8, cx: &mut Cx<'_>) {
        let plan = Arc::clone(&self.plan);
        let Some(rule) = plan.rules.get(usize::from(number)) else { return };
        let headers = burst.headers(i);
        if dscp::read(&headers, burst.bytes(i)) != Some(rule.mark) {
            let Some(frame) = burst.bytes_mut(i) else { return };
            dscp::write(&headers, frame, rule.mark);
        }
        cx.count(TAGGED, 1);
        let (frame, length) = (burst.bytes(i), burst.packet_len(i));
        let Some(key) = flow_of(&headers, frame) else { return };
        let flags = headers.tcp_flags(frame).unwrap_or(0);
        let now = cx.now();
        let known = self.flows.touch(&key, now);
        let flow = match known.and_then(|id| self.flows.get_mut(id)) {
            Some(flow) if flow.rule == rule.id && !(flow.ended && flags & flags::SYN != 0) => flow,
            known => {
                if let Some(before) = known.filter(|flow| !flow.ended) {
                    end(&plan, &key, before, cx);
                }
                cx.count(BEGAN, 1);
                cx.event("flow_began", id(&key));
                let fresh = Flow { rule: rule.id, meter: Meter::new(now), ended: false, late: false };
                let Some(opened) = self.flows.open(key, fresh, now.as_nanos()) else { return };
                if let Some((_, key, mut flow)) = opened.evicted {
                    cx.count(EVICTED, 1);
                    if !flow.ended {
                        end(&plan, &key, &mut flow, cx);
                    }
                }
                let Some(flow) = self.flows.get_mut(opened.id) else { return };
                flow
            }
        };
        flow.meter.add(length, now);
        if let Some(deadline) = rule.deadline
            && !flow.late
            && !flow.ended
            && flow.meter.age(now.as_nanos()) > deadline
        {
            flow.late = true;
            cx.count(DEADLINE_MISSED, 1);
            cx.event("deadline_missed", id(&key));
        }
        if flags & (flags::FIN | flags::RST) != 0 && !flow.ended {
            end(&plan, &key, flow, cx);
        }
    }
}

/// A flow is over.
fn end(plan: &Plan, key: &FlowKey, flow: &mut Flow, cx: &mut Cx<'_>) {
    flow.ended = true;
    cx.count(ENDED, 1);
    cx.event("flow_ended", id(key));
    let rule = plan.rules.iter().find(|rule| rule.id == flow.rule);
    let least = rule.and_then(|rule| rule.rate);
    if least.is_some_and(|least| flow.meter.mean().is_some_and(|mean| mean < least)) {
        cx.count(RATE_MISSED, 1);
        cx.event("rate_missed", id(key));
    }
}

impl Nf for Tagger {
    fn process(&mut self, burst: &mut Burst, cx: &mut Cx<'_>) {
        let mut tickets = [Ticket::Nothing; BURST];
        let mut lengths = [0; BURST];
        for (length, (_, of_packet)) in lengths.iter_mut().zip(burst.frames()) {
            *length = of_packet;
        }
        let mut found = 0u32;
        for (i, (headers, frame)) in burst.parsed().enumerate().take(BURST) {
            tickets[i] = self.plan.ticket(&headers, frame, lengths[i]);
            found |= u32::from(tickets[i] != Ticket::Nothing) << i;
        }
        for i in super::marks::places(found) {
            match tickets[i] {
                Ticket::Nothing => {}
                Ticket::Rule(number) => self.tag(burst, i, number, cx),
                Ticket::Foreign => {
                    let headers = burst.headers(i);
                    if let Some(frame) = burst.bytes_mut(i) {
                        dscp::write(&headers, frame, 0);
                        cx.count(FOREIGN, 1);
                    }
                }
            }
        }
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        let plan = &self.plan;
        self.flows.expire(cx.now(), |_, key, mut flow| {
            if !flow.ended {
                end(plan, &key, &mut flow, cx);
            }
        });
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }

    fn adopt(&mut self, old: Box<dyn Nf>, _cx: &mut Cx<'_>) {
        let Ok(old) = (old as Box<dyn Any>).downcast::<Tagger>() else { return };
        for (_, key, flow) in old.flows.all() {
            self.flows.open(key, flow, flow.last());
        }
    }

    fn split(&mut self, owner: &dyn Fn(&FlowKey) -> usize) -> Vec<(usize, Part)> {
        let parts = records::leaving(&self.flows, self.worker.index, owner);
        let mut take = |ids: Vec<EntryId>| -> Vec<(FlowKey, Flow)> {
            ids.into_iter().filter_map(|id| self.flows.remove(id)).collect()
        };
        parts.into_iter().map(|(worker, ids)| (worker, Box::new(take(ids)) as Part)).collect()
    }

    fn join(&mut self, part: Part) {
        let Ok(part) = part.downcast::<Vec<(FlowKey, Flow)>>() else { return };
        for (key, flow) in *part {
            self.flows.open(key, flow, flow.last());
        }
    }

    fn command(&mut self, name: &str, arguments: &Value) -> Result<Value, CommandError> {
        self.answer(name, arguments)
    }
}

impl Kind for Tagger {
    const NAME: &'static str = "smart_tagger";
    const SUMMARY: &'static str =
        "marks the packets of priority flows by their DSCP, and measures those flows";
    const COUNTERS: &'static [&'static str] = &[
        "tagged",
        "flows_began",
        "flows_ended",
        "evicted",
        "deadline_missed",
        "rate_missed",
        "foreign_cleared",
    ];
    const COMMANDS: &'static [Command] = commands::COMMANDS;
    const EXAMPLE: &'static str = "rule = [\n  \
        { name = \"orders\", match = \"tcp and port == 443\", mark = \"ef\", deadline = \"500ms\" },\n  \
        { name = \"voice\", match = \"udp and dport in 5060-5080\", mark = \"af41\", rate = \"64kbit\" },\n]\n";

    type Config = Config;
    type Plan = Plan;

    fn prepare(config: &Config, _site: &Site) -> Result<Plan, ConfigError> {
        Plan::new(config)
    }

    fn effects(plan: &Plan) -> Effects {
        let written = Fields::of(&[Field::IpDscp, Field::IpChecksum]);
        Effects {
            reads: FLOW.union(plan.reads),
            writes: written,
            adjusts: Fields::of(&[Field::IpChecksum]),
            state: StateKind::Report,
            affinity: Affinity::Flow,
            ..Effects::NONE
        }
    }

    fn instance(plan: &Arc<Plan>, worker: &WorkerSite) -> Self {
        let flows = Flows::new(plan.capacity, plan.idle, worker.seed);
        Tagger { plan: Arc::clone(plan), worker: *worker, flows }
    }
}

impl Tagger {
    /// The flow as people read it.
    fn told(&self, key: &FlowKey, flow: &Flow) -> Value {
        let name = self.plan.rules.iter().find(|rule| rule.id == flow.rule).map(|rule| rule.name.as_str());
        serde_json::json!({
            "id": id(key), "flow": records::FiveTuple::from(key), "rule": name,
            "first": flow.meter.first, "last": flow.meter.last,
            "packets": flow.meter.packets, "bytes": flow.meter.bytes,
            "rate": flow.meter.rate, "mean_rate": flow.meter.mean(),
            "ended": flow.ended, "deadline_missed": flow.late,
        })
    }

    fn take_in(&mut self, key: FlowKey, flow: Flow) {
        self.flows.open(key, flow, flow.last());
    }
}

/// When a record says it was.
fn is_possible(flow: &Flow) -> Result<(), String> {
    if flow.meter.first > flow.meter.last {
        return Err(format!("it began at {} and ended at {}", flow.meter.first, flow.meter.last));
    }
    Ok(())
}
