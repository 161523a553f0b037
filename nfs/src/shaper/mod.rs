//! Limits, marks and orders packets by class: meters, token buckets with borrowing, queues, priorities, fair turns.

mod bucket;
mod commands;
mod config;
pub(crate) mod dscp;
mod meter;
mod plan;
mod scheduler;
mod state;
#[cfg(test)]
mod tests;

pub use config::{ClassConfig, Config, Police, Treatment};
pub use dscp::Dscp;
pub use plan::Plan;

use bucket::cost;
use engine::{
    BURST, Burst, Command, CommandError, ConfigError, Cx, Effects, Kind, Nf, Packet, Reason, Site, State,
    Time, WorkerSite,
};
use meter::{Color, Meter};
use plan::{LeafPlan, PolicePlan};
use scheduler::{Admission, Refusal, Scheduler};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::any::Any;
use std::sync::Arc;
use wire::Headers;

const EXCEEDED: Reason = Reason::new(0);
const QUEUE_FULL: Reason = Reason::new(1);
const OVERSIZED: Reason = Reason::new(2);
const POLICED: Reason = Reason::new(3);
const CLASS_REMOVED: Reason = Reason::new(4);

const UNCLASSIFIED: usize = 0;
const QUEUED: usize = 1;
const MARKED: usize = 2;
/// Of green packets; yellow and red follow.
const GREEN: usize = 3;

/// What became of the packets of a leaf.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    packets: u64,
    bytes: u64,
    dropped: u64,
    queued: u64,
    marked: u64,
    /// Green, yellow, red.
    colors: [u64; 3],
}

/// What a packet is: its leaf, and what is to be done to it before it goes.
#[derive(Clone, Copy, Default)]
struct Ticket {
    leaf: Option<u8>,
    dscp: Option<u8>,
    policed: bool,
}

/// The NF, on one worker.
pub struct Shaper {
    plan: Arc<Plan>,
    worker: WorkerSite,
    /// That of the plan, until an operator changes rates.
    config: Config,
    scheduler: Scheduler<Packet>,
    meters: Box<[Option<Meter>]>,
    accounts: Box<[Account]>,
}

impl LeafPlan {
    #[inline]
    fn has(&self, headers: &Headers, frame: &[u8], length: usize) -> bool {
        let dscp = || dscp::read(headers, frame).is_some_and(|dscp| self.dscp >> dscp & 1 == 1);
        self.takes
            && (self.dscp == u64::MAX || dscp())
            && (self.matcher.is_always() || self.matcher.matches_with_len(frame, length, headers))
    }
}

impl Shaper {
    /// What a packet of `length` bytes is.
    #[inline]
    fn ticket(&mut self, headers: &Headers, frame: &[u8], length: usize, cx: &mut Cx<'_>) -> Ticket {
        let leaf = self.plan.leaves.iter().position(|leaf| leaf.has(headers, frame, length));
        let Some(leaf) = leaf.or(self.plan.default) else {
            cx.count(UNCLASSIFIED, 1);
            return Ticket::default();
        };
        let LeafPlan { police, mark, .. } = &self.plan.leaves[leaf];
        let mut ticket = Ticket { leaf: Some(leaf as u8), dscp: *mark, policed: false };
        if let (Some(police), Some(meter)) = (police, &mut self.meters[leaf]) {
            let color = colored(meter, police, headers, frame, length);
            self.accounts[leaf].colors[color as usize] += 1;
            cx.count(GREEN + color as usize, 1);
            match police.treatments[color as usize] {
                Treatment::Pass => {}
                Treatment::Drop => ticket.policed = true,
                Treatment::Mark(dscp) => ticket.dscp = Some(dscp.number()),
            }
        }
        if !headers.is_ip() {
            ticket.dscp = None;
        }
        ticket
    }

    /// What becomes of a packet.
    #[inline]
    fn handle(&mut self, burst: &mut Burst, i: usize, ticket: Ticket, cx: &mut Cx<'_>) {
        let Some(leaf) = ticket.leaf.map(usize::from) else { return };
        if ticket.policed {
            self.accounts[leaf].dropped += 1;
            return burst.drop(i, POLICED);
        }
        let length = burst.packet_len(i);
        let admission = self.scheduler.admit(leaf, length);
        if let Admission::Refused(refusal) = admission {
            self.accounts[leaf].dropped += 1;
            return burst.drop(i, reason(refusal));
        }
        if let Some(dscp) = ticket.dscp {
            let headers = burst.headers(i);
            if dscp::read(&headers, burst.bytes(i)) != Some(dscp) {
                // Without a buffer to write to, the packet has its verdict.
                let Some(frame) = burst.bytes_mut(i) else { return };
                dscp::write(&headers, frame, dscp);
                self.accounts[leaf].marked += 1;
                cx.count(MARKED, 1);
            }
        }
        if admission == Admission::Goes {
            return self.accounts[leaf].went(length);
        }
        let Some(packet) = burst.take(i) else { return };
        self.accounts[leaf].queued += 1;
        cx.count(QUEUED, 1);
        if let Err(packet) = self.scheduler.wait(leaf, length, packet) {
            cx.discard(packet, QUEUE_FULL);
        }
    }

    /// Fills all buckets up to now.
    #[inline]
    fn fill(&mut self, now: Time) {
        let nanos = self.scheduler.fill(now);
        if nanos > 0 {
            self.meters.iter_mut().flatten().for_each(|meter| meter.fill(nanos));
        }
    }

    /// Lets packets go as far as there are tokens, as many as can be carried; the others go next time.
    #[inline]
    fn serve(&mut self, cx: &mut Cx<'_>) {
        while cx.emit_room() > 0
            && let Some((leaf, length, packet)) = self.scheduler.next()
        {
            self.accounts[leaf].went(length);
            cx.emit(0, packet);
        }
    }

    /// Takes over what a former instance counted, saved up and holds, class by class.
    fn inherit(&mut self, old: Shaper, cx: &mut Cx<'_>) {
        let Shaper { plan, config, mut scheduler, mut meters, accounts, .. } = old;
        // What an operator changed stays until the configuration itself says something else.
        if plan.config == self.plan.config {
            self.retune(config);
        }
        self.scheduler.set_time(scheduler.time());
        for (number, name) in self.plan.names.iter().enumerate() {
            if let Some(before) = plan.names.iter().position(|known| known == name) {
                let (own, ceil) = scheduler.tokens(before);
                self.scheduler.set_tokens(number, own, ceil);
            }
        }
        let same = |name: &str| self.plan.leaves.iter().position(|leaf| leaf.name == name);
        let places: Vec<Option<usize>> = plan.leaves.iter().map(|leaf| same(&leaf.name)).collect();
        for (before, place) in places.iter().enumerate() {
            let Some(place) = *place else { continue };
            self.accounts[place] = accounts[before];
            if let (Some(new), Some(old)) = (&mut self.meters[place], &mut meters[before]) {
                new.set(old.tokens());
            }
        }
        while let Some((before, length, packet)) = scheduler.empty() {
            match places[before] {
                Some(place) => {
                    if let Err(packet) = self.scheduler.wait(place, length, packet) {
                        self.accounts[place].dropped += 1;
                        cx.discard(packet, QUEUE_FULL);
                    }
                }
                None => cx.discard(packet, CLASS_REMOVED),
            }
        }
    }

    /// Other rates for the same classes.
    fn retune(&mut self, config: Config) {
        let share = Plan::share(&config, &self.worker);
        self.scheduler.retune(&share.classes);
        self.config = config;
    }
}

impl Account {
    #[inline]
    fn went(&mut self, length: usize) {
        self.packets += 1;
        self.bytes += length as u64;
    }
}

/// The color of a packet: of IP packets without their link header, as both RFCs want it.
#[inline]
fn colored(meter: &mut Meter, police: &PolicePlan, headers: &Headers, frame: &[u8], length: usize) -> Color {
    let before = if police.color_aware {
        dscp::read(headers, frame).map_or(Color::Green, Color::of_dscp)
    } else {
        Color::Green
    };
    meter.color(before, cost(headers.l3_len().unwrap_or(length)))
}

fn reason(refusal: Refusal) -> Reason {
    match refusal {
        Refusal::Exceeds => EXCEEDED,
        Refusal::Full => QUEUE_FULL,
        Refusal::Oversized => OVERSIZED,
    }
}

impl Nf for Shaper {
    fn process(&mut self, burst: &mut Burst, cx: &mut Cx<'_>) {
        self.fill(cx.now());
        let mut tickets = [Ticket::default(); BURST];
        let mut lengths = [0; BURST];
        for (i, length) in lengths.iter_mut().enumerate().take(burst.len()) {
            *length = burst.packet_len(i);
        }
        for (i, (headers, frame)) in burst.parsed().enumerate() {
            tickets[i % BURST] = self.ticket(&headers, frame, lengths[i % BURST], cx);
        }
        for (i, ticket) in tickets.iter().enumerate().take(burst.len()) {
            self.handle(burst, i, *ticket, cx);
        }
        self.serve(cx);
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        self.fill(cx.now());
        self.serve(cx);
    }

    fn drain(&mut self, cx: &mut Cx<'_>) {
        while cx.emit_room() > 0
            && let Some((leaf, length, packet)) = self.scheduler.empty()
        {
            self.accounts[leaf].went(length);
            cx.emit(0, packet);
        }
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }

    fn adopt(&mut self, old: Box<dyn Nf>, cx: &mut Cx<'_>) {
        if let Ok(old) = (old as Box<dyn Any>).downcast::<Shaper>() {
            self.inherit(*old, cx);
        }
    }

    fn command(&mut self, name: &str, arguments: &Value) -> Result<Value, CommandError> {
        self.answer(name, arguments)
    }
}

impl Kind for Shaper {
    const NAME: &'static str = "shaper";
    const SUMMARY: &'static str =
        "limits, marks and orders packets by class: meters, token buckets with borrowing, queues, priorities";
    const DROPS: &'static [&'static str] =
        &["exceeded", "queue_full", "oversized", "policed", "class_removed"];
    const COUNTERS: &'static [&'static str] = &["unclassified", "queued", "marked", "green", "yellow", "red"];
    const COMMANDS: &'static [Command] = commands::COMMANDS;
    const EXAMPLE: &'static str = "rate = \"1gbit\"\ndefault = \"rest\"\nclass = [\n  \
        { name = \"voice\", match = \"udp and dport in 5060-5080\", rate = \"100mbit\", mark = \"ef\" },\n  \
        { name = \"rest\", rate = \"500mbit\", ceil = \"1gbit\", priority = 1 },\n]\n";

    type Config = Config;
    type Plan = Plan;

    fn prepare(config: &Config, site: &Site) -> Result<Plan, ConfigError> {
        Plan::new(config, site)
    }

    fn effects(plan: &Plan) -> Effects {
        plan.effects
    }

    fn instance(plan: &Arc<Plan>, worker: &WorkerSite) -> Self {
        let share = Plan::share(&plan.config, worker);
        let scheduler = Scheduler::new(&share.classes, plan.config.overhead.into());
        Shaper {
            worker: *worker,
            config: plan.config.clone(),
            accounts: vec![Account::default(); scheduler.leaves()].into(),
            scheduler,
            meters: share.meters.into_iter().map(|measure| measure.map(Meter::new)).collect(),
            plan: Arc::clone(plan),
        }
    }
}
