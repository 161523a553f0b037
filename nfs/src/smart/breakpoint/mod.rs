//! Where a priority flow takes another way, or both: the rest of it from a packet on, or all of it.

mod commands;
mod config;
mod flow;
mod state;

pub use config::{ClassConfig, Config, Number, Plan};

use super::flows::{Flows, Kept};
use super::marks::places;
use super::meter::WINDOW;
use super::shim::{self, Shim};
use super::{FLOW, flow_of, id, records};
use crate::shaper::dscp;
use engine::{
    Affinity, Burst, Command, CommandError, ConfigError, Cx, Effects, Gates, Kind, Nf, Part, Site, State,
    StateKind, Time, WorkerSite,
};
use flow::{Flow, Order, Start, Way};
use serde_json::Value;
use std::any::Any;
use std::sync::Arc;
use tables::flow_table::EntryId;
use wire::tcp::flags;
use wire::{Field, Fields, FlowKey};

/// The gates: the first destination of the chain, and the second.
const ALTERNATIVE: u8 = 1;

const PRIORITY: usize = 0;
const CLONED: usize = 1;
const DIVERTED: usize = 2;
const NUMBERED: usize = 3;
const UNNUMBERED: usize = 4;
const UNFOLLOWED: usize = 5;
const EVICTED: usize = 6;
const SOFT_LIMITS: usize = 7;
const HARD_LIMITS: usize = 8;

impl Kept for Flow {
    fn last(&self) -> u64 {
        self.meter.last
    }
}

/// The NF, on one worker.
pub struct Breakpoint {
    plan: Arc<Plan>,
    worker: WorkerSite,
    flows: Flows<Flow>,
    /// The time as of the latest call.
    now: Time,
    /// The window in which limits of rates were looked at last.
    judged: u64,
}

impl Breakpoint {
    /// A packet with one of the marks.
    fn follow(&mut self, burst: &mut Burst, i: usize, cx: &mut Cx<'_>) {
        cx.count(PRIORITY, 1);
        let headers = burst.headers(i);
        let (frame, length) = (burst.bytes(i), burst.packet_len(i));
        let (Some(key), Some(mark)) = (flow_of(&headers, frame), dscp::read(&headers, frame)) else {
            return cx.count(UNFOLLOWED, 1);
        };
        let flags = headers.tcp_flags(frame).unwrap_or(0);
        let sequence = headers.l4_offset().filter(|_| headers.is_tcp());
        let sequence = sequence.and_then(|at| frame.get(at + 4..at + 8)?.first_chunk().copied());
        let replicated = || self.plan.replicates(frame, length, &headers);
        let now = cx.now();
        let fresh = |replicated: bool| Flow::new(mark, replicated, now);
        let found = match self.flows.touch(&key, cx.now()) {
            Some(id) => id,
            None => {
                let flow = fresh(replicated());
                let Some(opened) = self.flows.open(key, flow, cx.now().as_nanos()) else { return };
                if opened.evicted.is_some() {
                    cx.count(EVICTED, 1);
                }
                opened.id
            }
        };
        let again = self.flows.get(found).is_some_and(|flow| flow.ended && flags & flags::SYN != 0);
        let renewed = again.then(|| fresh(replicated()));
        let Some(flow) = self.flows.get_mut(found) else { return };
        if let Some(renewed) = renewed {
            flow.renew(renewed);
        }
        let way = flow.pass(mark, length, sequence.map(u32::from_be_bytes), cx.now());
        let way = way.filter(|_| self.plan.alternative);
        flow.ended |= flags & (flags::FIN | flags::RST) != 0;
        if let Some(class) = self.plan.class(mark) {
            class.judge(&key, flow, cx.now().as_nanos(), cx);
        }
        let wanted = self.plan.always || flow.numbered || way.is_some() && !headers.is_tcp();
        if wanted && Shim::read(&headers, burst.bytes(i)).is_none() {
            let shim = flow.next_shim(cx.now());
            if shim.put(burst, i, self.plan.mtu) {
                flow.numbered = true;
                cx.count(NUMBERED, 1);
            } else {
                // The merge could not tell its copies from other packets.
                flow.give_back(shim);
                return cx.count(UNNUMBERED, 1);
            }
        }
        match way {
            None => {}
            Some(Way::Divert) => {
                flow.diverted += 1;
                cx.count(DIVERTED, 1);
                burst.gate(i, ALTERNATIVE);
            }
            Some(Way::Clone) => {
                if let Some(clone) = burst.share(i) {
                    flow.cloned += 1;
                    cx.count(CLONED, 1);
                    cx.emit(ALTERNATIVE, clone);
                }
            }
        }
    }

    /// Looks at the limits of all flows, those that are silent too, once in each window.
    fn judge(&mut self, cx: &mut Cx<'_>) {
        let window = cx.now().as_nanos() / WINDOW;
        if window == self.judged {
            return;
        }
        self.judged = window;
        let plan = &self.plan;
        let flows = &mut self.flows;
        for place in 0..flows.capacity() {
            let Some((found, key, mut flow)) = flows.peek(place) else { continue };
            let Some(class) = plan.class(flow.mark) else { continue };
            let before = flow.told;
            class.judge_window(&key, &mut flow, window * WINDOW, cx);
            if flow.told != before
                && let Some(kept) = flows.get_mut(found)
            {
                *kept = flow;
            }
        }
    }
}

impl Nf for Breakpoint {
    fn process(&mut self, burst: &mut Burst, cx: &mut Cx<'_>) {
        self.now = cx.now();
        for i in places(self.plan.marks.among(burst)) {
            self.follow(burst, i, cx);
        }
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        self.now = cx.now();
        self.judge(cx);
        self.flows.expire(cx.now(), |_, _, _| {});
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }

    fn adopt(&mut self, old: Box<dyn Nf>, _cx: &mut Cx<'_>) {
        let Ok(old) = (old as Box<dyn Any>).downcast::<Breakpoint>() else { return };
        (self.now, self.judged) = (old.now, old.judged);
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

impl Kind for Breakpoint {
    const NAME: &'static str = "smart_breakpoint";
    const SUMMARY: &'static str =
        "diverts or clones the rest of a priority flow to a second destination, or replicates it";
    const COUNTERS: &'static [&'static str] = &[
        "priority",
        "cloned",
        "diverted",
        "numbered",
        "unnumbered",
        "unfollowed",
        "evicted",
        "soft_limits",
        "hard_limits",
    ];
    const COMMANDS: &'static [Command] = commands::COMMANDS;
    const GATES: Gates = Gates::Ports;
    const EXAMPLE: &'static str = "class = [{ mark = \"ef\", deadline = \"500ms\", rate = \"10mbit\" }]\n";

    type Config = Config;
    type Plan = Plan;

    fn prepare(config: &Config, site: &Site) -> Result<Plan, ConfigError> {
        Plan::new(config, site)
    }

    fn remarks(plan: &Plan) -> Vec<ConfigError> {
        let message = "its chain has one destination: flows are watched, and cannot take another way";
        let remark = ConfigError { key: None, ..ConfigError::at("", message) }
            .help("give it two: to = [\"usual\", \"alternative\"]");
        if plan.alternative { Vec::new() } else { vec![remark] }
    }

    fn effects(plan: &Plan) -> Effects {
        Effects {
            reads: FLOW.union(Fields::of(&[Field::TcpSeq])).union(plan.reads),
            writes: shim::WRITES,
            adjusts: Fields::of(&[Field::IpChecksum]),
            changes_length: true,
            may_drop: true,
            may_create: true,
            state: StateKind::Learns,
            affinity: Affinity::Flow,
            ..Effects::NONE
        }
    }

    fn instance(plan: &Arc<Plan>, worker: &WorkerSite) -> Self {
        Breakpoint {
            flows: Flows::new(plan.capacity, plan.idle, worker.seed),
            worker: *worker,
            now: Time::ZERO,
            judged: 0,
            plan: Arc::clone(plan),
        }
    }
}

impl Breakpoint {
    /// An order for a flow, which may be still to come. Whether it is known.
    fn order(&mut self, key: FlowKey, order: Option<Order>) -> bool {
        let known = self.flows.find(&key).and_then(|found| self.flows.get_mut(found));
        match (known, order) {
            (Some(flow), Some(order)) if flow.ended => {
                flow.renew(Flow::awaited(order, self.now));
                false
            }
            (Some(flow), order) => {
                flow.order = order;
                true
            }
            (None, Some(order)) => {
                self.flows.open(key, Flow::awaited(order, self.now), self.now.as_nanos());
                false
            }
            (None, None) => false,
        }
    }
}
