//! A stateless firewall: ordered rules, the first that matches decides.

mod config;
mod counts;
mod key;
pub mod rules;
#[cfg(test)]
mod tests;

pub use config::{Config, Fragments, Malformed, Plan, Policy, Source};

use engine::{
    BURST, Burst, Command, CommandError, ConfigError, Cx, Effects, Kind, Nf, Reason, Site, State, WorkerSite,
};
use key::Fate;
use rules::Action;
use serde_json::Value;
use std::any::Any;
use std::sync::Arc;
use tables::classifier::{Keys, NONE};

const DENIED: Reason = Reason::new(0);
const DEFAULT_DENIED: Reason = Reason::new(1);
const NON_IP: Reason = Reason::new(2);
const LATER_FRAGMENT: Reason = Reason::new(3);
const TINY_FRAGMENT: Reason = Reason::new(4);
/// Drop reasons before those of malformed packets, which are named as `wire` names them.
const OWN_REASONS: [&str; 5] = ["denied", "default_denied", "non_ip", "later_fragment", "tiny_fragment"];
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

/// The NF, on one worker.
pub struct Firewall {
    plan: Arc<Plan>,
    /// Packets that each rule was the first to match.
    hits: Box<[u64]>,
    keys: Keys,
}

impl Nf for Firewall {
    fn process(&mut self, burst: &mut Burst, cx: &mut Cx<'_>) {
        let plan = &*self.plan;
        // The packets that the rules are asked about, without gaps.
        let mut places = [0u8; BURST];
        self.keys.clear();
        let (mut refused, mut refusals) = ([(0, NON_IP); BURST], 0);
        for (i, (headers, frame)) in burst.parsed().enumerate() {
            places[self.keys.len() % BURST] = i as u8;
            if let Fate::Drop(reason) = key::of_packet(plan, headers, frame, &mut self.keys, cx) {
                refused[refusals] = (i, reason);
                refusals += 1;
            }
        }
        for &(i, reason) in &refused[..refusals] {
            burst.drop(i, reason);
        }
        let mut found = [NONE; BURST];
        plan.classifier.classify_burst(&self.keys, &mut found);
        let mut no_rule = 0;
        let mut judged = 0;
        // Neighbours often match the same rule.
        for run in found[..self.keys.len()].chunk_by(|a, b| a == b) {
            let (action, reason) = match plan.terms.get(run[0] as usize) {
                Some(&(rule, action)) => {
                    self.hits[rule as usize] += run.len() as u64;
                    (action, DENIED)
                }
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

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }

    fn adopt(&mut self, old: Box<dyn Nf>, _cx: &mut Cx<'_>) {
        if let Ok(old) = (old as Box<dyn Any>).downcast::<Firewall>() {
            self.inherit(*old);
        }
    }

    fn command(&mut self, name: &str, arguments: &Value) -> Result<Value, CommandError> {
        self.answer(name, arguments)
    }
}

impl Kind for Firewall {
    const NAME: &'static str = "firewall";
    const SUMMARY: &'static str =
        "ordered rules on addresses, ports, protocol, TCP flags and VLAN; the first that matches decides";
    const DROPS: &'static [&'static str] = &REASONS;
    const COUNTERS: &'static [&'static str] = &["no_rule", "malformed_judged", "fragments_judged"];
    const COMMANDS: &'static [Command] = counts::COMMANDS;
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

    fn instance(plan: &Arc<Plan>, _worker: &WorkerSite) -> Self {
        let hits = vec![0; plan.rules.rules.len()].into_boxed_slice();
        Firewall { plan: Arc::clone(plan), hits, keys: Keys::new() }
    }
}
