//! A firewall: ordered rules, the first that matches decides. Connections are tracked if a rule asks for their state.

mod config;
mod counts;
mod key;
pub mod rules;
#[cfg(test)]
mod tests;
mod tracking;

pub use config::{Config, Fragments, Malformed, Plan, Policy, Source};

use crate::conntrack::{self, Moved};
use engine::{
    BURST, Burst, Command, CommandError, ConfigError, Cx, Effects, Kind, Nf, Part, Reason, Site, State,
    WorkerSite,
};
use key::Fate;
use rules::Action;
use serde_json::Value;
use std::any::Any;
use std::sync::Arc;
use tables::classifier::{Keys, NONE};
use tracking::{NO_ROOM, Tracking};
use wire::{FlowKey, Headers, UsualIpv4};

const DENIED: Reason = Reason::new(0);
const DEFAULT_DENIED: Reason = Reason::new(1);
const NON_IP: Reason = Reason::new(2);
const LATER_FRAGMENT: Reason = Reason::new(3);
const TINY_FRAGMENT: Reason = Reason::new(4);
const TABLE_FULL: Reason = Reason::new(5);
/// Drop reasons before those of malformed packets, which are named as `wire` names them.
const OWN_REASONS: [&str; 6] =
    ["denied", "default_denied", "non_ip", "later_fragment", "tiny_fragment", "table_full"];
const REASONS: [&str; OWN_REASONS.len() + wire::Malformed::ALL.len()] = {
    let mut names = [""; OWN_REASONS.len() + wire::Malformed::ALL.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = if i < OWN_REASONS.len() {
            OWN_REASONS[i]
        } else {
            wire::Malformed::ALL[i - OWN_REASONS.len()].name()
        };
        i += 1;
    }
    names
};

const NO_RULE: usize = 0;
const MALFORMED_JUDGED: usize = 1;
const FRAGMENTS_JUDGED: usize = 2;
/// What `tracking` counts comes after its first counter.
const COUNTERS: [&str; 12] = [
    "no_rule",
    "malformed_judged",
    "fragments_judged",
    "new",
    "established",
    "related",
    "invalid",
    "untracked",
    "connections_opened",
    "connections_ended",
    "connections_expired",
    "connections_evicted",
];

/// The NF, on one worker.
pub struct Firewall {
    plan: Arc<Plan>,
    /// Packets that each rule was the first to match.
    hits: Box<[u64]>,
    keys: Keys,
    tracking: Option<Box<Tracking>>,
}

impl Nf for Firewall {
    fn process(&mut self, burst: &mut Burst, cx: &mut Cx<'_>) {
        let plan = &*self.plan;
        let mut found = [NONE; BURST];
        let places = match &mut self.tracking {
            None => {
                let places = if let Some(packets) = burst.all_usual() {
                    ask_usual(packets, &mut self.keys)
                } else {
                    ask(plan, burst, &mut self.keys, cx, |_, _| {})
                };
                plan.classifier.classify_burst(&self.keys, &mut found);
                places
            }
            Some(tracking) => {
                let stage = |headers: &Headers, frame: &[u8]| tracking.stage(headers, frame);
                let places = ask(plan, burst, &mut self.keys, cx, stage);
                tracking.classify(plan, &mut self.keys, cx, &mut found);
                places
            }
        };
        let mut no_rule = 0;
        let mut judged = 0;
        // Neighbours often match the same rule.
        for run in found[..self.keys.len()].chunk_by(|a, b| a == b) {
            let (action, reason) = match plan.terms.get(run[0] as usize) {
                Some(&(rule, action)) => {
                    self.hits[rule as usize] += run.len() as u64;
                    (action, DENIED)
                }
                None if run[0] == NO_ROOM => (Action::Deny, TABLE_FULL),
                None => {
                    no_rule += run.len() as u64;
                    (plan.default, DEFAULT_DENIED)
                }
            };
            let run_places = &places[judged..judged + run.len()];
            judged += run.len();
            if action == Action::Deny {
                run_places.iter().for_each(|&place| burst.drop(usize::from(place), reason));
            }
        }
        if no_rule > 0 {
            cx.count(NO_RULE, no_rule);
        }
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        if let Some(tracking) = &mut self.tracking {
            tracking.tick(cx);
        }
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }

    fn adopt(&mut self, old: Box<dyn Nf>, _cx: &mut Cx<'_>) {
        if let Ok(mut old) = (old as Box<dyn Any>).downcast::<Firewall>() {
            if let (Some(tracking), Some(old)) = (&mut self.tracking, old.tracking.take()) {
                tracking.adopt(*old);
            }
            self.inherit(*old);
        }
    }

    fn split(&mut self, owner: &dyn Fn(&FlowKey) -> usize) -> Vec<(usize, Part)> {
        let parts = self.tracking.as_mut().map(|tracking| tracking.split(owner));
        parts.into_iter().flatten().map(|(worker, moved)| (worker, Box::new(moved) as Part)).collect()
    }

    fn join(&mut self, part: Part) {
        if let (Some(tracking), Ok(moved)) = (&mut self.tracking, part.downcast::<Moved>()) {
            tracking.tracker.join(*moved);
        }
    }

    fn command(&mut self, name: &str, arguments: &Value) -> Result<Value, CommandError> {
        self.answer(name, arguments)
    }
}

/// All packets are usual: each has its key, and its place.
#[inline(always)]
fn ask_usual<'a>(packets: impl Iterator<Item = UsualIpv4<'a>>, keys: &mut Keys) -> [u8; BURST] {
    keys.clear();
    packets.for_each(|packet| key::of_usual(packet, keys));
    std::array::from_fn(|i| i as u8)
}

/// Judges the packets that need no rule. The keys of the others go to `keys`, what they are to `each`; returned are
/// their places in the burst, without gaps.
#[inline(always)]
fn ask(
    plan: &Plan,
    burst: &mut Burst,
    keys: &mut Keys,
    cx: &mut Cx<'_>,
    mut each: impl FnMut(&Headers, &[u8]),
) -> [u8; BURST] {
    let mut places = [0u8; BURST];
    keys.clear();
    let (mut refused, mut refusals) = ([(0, NON_IP); BURST], 0);
    for (i, (headers, frame)) in burst.parsed().enumerate() {
        places[keys.len() % BURST] = i as u8;
        match key::of_packet(plan, headers, frame, keys, cx) {
            Fate::Rules => each(&headers, frame),
            Fate::Pass => {}
            Fate::Drop(reason) => {
                refused[refusals] = (i, reason);
                refusals += 1;
            }
        }
    }
    for &(i, reason) in &refused[..refusals] {
        burst.drop(i, reason);
    }
    places
}

/// Its own commands, then those about connections.
const COMMANDS: [Command; counts::COMMANDS.len() + conntrack::COMMANDS.len()] = {
    let mut all = [conntrack::COMMANDS[0]; counts::COMMANDS.len() + conntrack::COMMANDS.len()];
    let mut i = 0;
    while i < all.len() {
        let own = counts::COMMANDS.len();
        all[i] = if i < own { counts::COMMANDS[i] } else { conntrack::COMMANDS[i - own] };
        i += 1;
    }
    all
};

impl Kind for Firewall {
    const NAME: &'static str = "firewall";
    const SUMMARY: &'static str = "ordered rules on addresses, ports, protocol, TCP flags, VLAN and the state of connections; the first that matches decides";
    const DROPS: &'static [&'static str] = &REASONS;
    const COUNTERS: &'static [&'static str] = &COUNTERS;
    const COMMANDS: &'static [Command] = &COMMANDS;
    const EXAMPLE: &'static str = "rules = [\n  \"deny tcp from any to any port 23\",\n  \"allow ip\",\n]\n";

    type Config = Config;
    type Plan = Plan;

    fn prepare(config: &Config, site: &Site) -> Result<Plan, ConfigError> {
        Plan::new(config, site)
    }

    fn remarks(plan: &Plan) -> Vec<ConfigError> {
        if plan.rules.rules.is_empty() && plan.default == Action::Allow {
            let what = "there is no rule, and what no rule matches is allowed: this firewall denies nothing";
            return vec![ConfigError::at("rules", what).help("write rules, or default = \"deny\"")];
        }
        Vec::new()
    }

    fn effects(plan: &Plan) -> Effects {
        plan.effects
    }

    fn instance(plan: &Arc<Plan>, worker: &WorkerSite) -> Self {
        let hits = vec![0; plan.rules.rules.len()].into_boxed_slice();
        let tracking = plan.tracking.map(|settings| Box::new(Tracking::new(settings, worker)));
        Firewall { plan: Arc::clone(plan), hits, keys: Keys::new(), tracking }
    }
}
