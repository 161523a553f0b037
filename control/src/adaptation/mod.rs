//! Chains that ask for it (`parallel = "auto"`) are planned anew while they run: what their NFs take is looked at again
//! and again, and a chain goes over to another segment when that has become better by a margin, at two looks in a row.

mod estimate;
#[cfg(test)]
mod tests;

use crate::config::Decision;
use crate::controller::{ApplyError, Controller, Switch};
use crate::planning::{Mode, Stage, stages};
use estimate::Estimates;
use planning::graph::{Costs, Segment};
use std::collections::BTreeMap;

/// Looks in a row that have to come to the same.
const LOOKS: u32 = 2;
/// A delay that has changed by less than this share is not named as a reason.
const CHANGED: f64 = 0.1;

/// What is remembered from look to look.
#[derive(Default)]
pub(crate) struct Adaptation {
    estimates: Estimates,
    generation: u64,
    chains: BTreeMap<String, Watched>,
    /// What the engine said when it last refused.
    refused: Option<String>,
}

/// One chain.
#[derive(Default)]
struct Watched {
    /// What was known when it went over to the segment that it has.
    basis: Basis,
    /// Looks in a row at which another segment was better.
    better: u32,
    /// Why the chain stays as it is, without its figures; at how many looks in a row; and whether everybody was told.
    stays: (String, u32, bool),
}

/// Cycles of NFs by name, and what running side by side costs.
#[derive(Clone, PartialEq, Eq, Default)]
struct Basis {
    cycles: BTreeMap<String, u64>,
    costs: Costs,
}

/// What a look at a chain comes to.
enum Judgement {
    /// It stays: which reason, and in words.
    Stays(String, String),
    /// There is something better: in words.
    Better(String),
}

impl Adaptation {
    /// Looks once, and has the chains go over for which it is time.
    pub(crate) fn look(&mut self, controller: &Controller) {
        let current = controller.current();
        if current.decisions.iter().all(|decision| decision.mode != Mode::Auto) {
            return;
        }
        self.estimates.look(&controller.engine().snapshot());
        let known = self.estimates.delays();
        controller.know(known.clone());
        if self.generation != current.generation {
            // What there was to compare with is gone.
            self.chains.values_mut().for_each(|watched| watched.better = 0);
            self.generation = current.generation;
        }
        let config = &current.config;
        let delays = config.delays().unwrap_or_default().with(&known);
        let Ok(best) = config.decide(&current.plan, &delays) else { return };
        let all = stages(&current.plan, &delays).into_iter().zip(best);
        let mut due = Vec::new();
        for ((chain, stages), best) in all.filter(|(_, best)| best.mode == Mode::Auto) {
            let Some(running) = current.decisions.iter().find(|running| running.chain == chain) else {
                continue;
            };
            let watched = self.chains.entry(chain.clone()).or_default();
            let Some(basis) = Basis::of(&stages, delays.costs(&chain)) else {
                controller.remark(&chain, best.choice.reason);
                watched.better = 0;
                continue;
            };
            if config.helpers_to_have(&current.plan) == 0 && !running.choice.segment.is_parallel() {
                controller.remark(&chain, "no core is left for helpers".to_owned());
                watched.better = 0;
                continue;
            }
            match judge(running, &best, &stages, basis.costs, config.engine.replan_margin) {
                Judgement::Stays(kind, what) => {
                    watched.better = 0;
                    if watched.stay(kind) {
                        controller.tell(
                            "plan_kept",
                            current.generation,
                            Some(format!("chain '{chain}': {what}")),
                        );
                    }
                    controller.remark(&chain, what);
                }
                Judgement::Better(what) => {
                    watched.better += 1;
                    let why = format!("chain '{chain}': {}{what}", basis.changes_since(&watched.basis));
                    if watched.better >= LOOKS {
                        due.push((Switch { decision: best, why }, basis));
                    } else {
                        controller.remark(&chain, format!("{what}, if that is so at the next look"));
                    }
                }
            }
        }
        if !due.is_empty() {
            self.switch(controller, due);
        }
    }

    fn switch(&mut self, controller: &Controller, due: Vec<(Switch, Basis)>) {
        let next: Vec<(String, String, Basis)> = due
            .iter()
            .map(|(switch, basis)| (switch.decision.chain.clone(), switch.why.clone(), basis.clone()))
            .collect();
        let switches = due.into_iter().map(|(switch, _)| switch).collect();
        match controller.replan(self.generation, switches) {
            Ok(generation) => {
                self.generation = generation;
                self.refused = None;
                for (chain, why, basis) in next {
                    self.estimates.begin_anew(&chain);
                    controller.remark(&chain, why);
                    self.chains.insert(chain, Watched { basis, ..Watched::default() });
                }
            }
            // It is better at the next look too, or something else is.
            Err(ApplyError::Unconfirmed(_) | ApplyError::Overtaken) => {
                for (chain, why, _) in next {
                    controller.remark(&chain, format!("{why}, when the change that waits is confirmed"));
                }
            }
            Err(error) => {
                let error = error.to_string();
                for (chain, why, _) in next {
                    controller.remark(&chain, format!("{why}: {error}"));
                    self.chains.entry(chain).or_default().better = 0;
                }
                if self.refused.as_ref() != Some(&error) {
                    tracing::warn!("a chain was to run another way: {error}");
                    controller.tell("replan_refused", self.generation, Some(error.clone()));
                    self.refused = Some(error);
                }
            }
        }
    }
}

impl Watched {
    /// It stays as it is, for this kind of reason. Returns whether that is to be told: once, when it has been so at
    /// enough looks in a row.
    fn stay(&mut self, kind: String) -> bool {
        if self.stays.0 != kind {
            self.stays = (kind, 0, false);
        }
        self.stays.1 = self.stays.1.saturating_add(1);
        let tell = self.stays.1 >= LOOKS && !self.stays.2;
        self.stays.2 |= tell;
        tell
    }
}

impl Basis {
    /// `None` unless all delays are known.
    fn of(stages: &[Stage], costs: Costs) -> Option<Basis> {
        let known = stages.iter().map(|stage| Some((stage.profile.name.clone(), stage.cycles?)));
        Some(Basis { cycles: known.collect::<Option<_>>()?, costs })
    }

    /// What has changed much, in words that another sentence follows.
    fn changes_since(&self, before: &Basis) -> String {
        let much = |old: u64, new: u64| old.abs_diff(new) as f64 > CHANGED * old as f64;
        let mut changes: Vec<String> = Vec::new();
        for (name, &new) in &self.cycles {
            match before.cycles.get(name) {
                Some(&old) if much(old, new) => {
                    changes.push(format!("{name} takes {new} cycles per packet instead of {old}"));
                }
                Some(_) => {}
                None => changes.push(format!("{name} takes {new} cycles per packet")),
            }
        }
        let (old, new) = (before.costs, self.costs);
        for (what, old, new) in [
            ("a mirror", old.mirror, new.mirror),
            ("a hand-off", old.handoff, new.handoff),
            ("a merge", old.merge, new.merge),
        ] {
            if much(old, new) {
                changes.push(format!("{what} takes {new} instead of {old}"));
            }
        }
        if changes.is_empty() { String::new() } else { format!("{}; ", changes.join(", ")) }
    }
}

/// Compares the segment that runs with the best one, by what is known now.
fn judge(running: &Decision, best: &Decision, stages: &[Stage], costs: Costs, margin: f64) -> Judgement {
    let names: Vec<String> = stages.iter().map(|stage| stage.profile.name.clone()).collect();
    let cycles: Vec<u64> = stages.iter().map(|stage| stage.cycles.unwrap_or(0)).collect();
    let says = |segment: &Segment| {
        if segment.is_parallel() { format!("'{}'", segment.text(&names)) } else { "in order".to_owned() }
    };
    let (from, to) = (&running.choice.segment, &best.choice.segment);
    let (now, then) = (from.latency(&cycles, costs), to.latency(&cycles, costs));
    if from == to || then >= now {
        let what = match from.is_parallel() {
            true => format!("{} stays: {now} instead of {} in order", says(from), cycles.iter().sum::<u64>()),
            false => format!("stays in order: {}", best.choice.reason),
        };
        return Judgement::Stays(format!("best {from:?}"), what);
    }
    let less = (now - then) as f64 * 100.0 / now as f64;
    if less < margin * 100.0 {
        let what = format!(
            "{} stays: {} would take {then} instead of {now} cycles per packet, {less:.1} % less, and the margin is {:.0} %",
            says(from),
            says(to),
            margin * 100.0
        );
        return Judgement::Stays(format!("margin {from:?} {to:?}"), what);
    }
    Judgement::Better(format!(
        "from {} to {}: {then} instead of {now} cycles per packet, {less:.1} % less",
        says(from),
        says(to)
    ))
}
