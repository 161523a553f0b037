//! An NF that lives behind ports: packets leave by one, with an id, and are known again when they come back by another.

mod carrier;
mod config;
mod fields;
mod identity;
mod ids;
mod joint;
mod lanes;
mod merge;
mod mirror;
mod seats;
#[cfg(test)]
mod tests;
mod whole;

pub use config::{BranchConfig, CarrierChoice, Config, OnTimeout, Plan, Remembers, Role, Unmarked};

use engine::{
    Burst, Command, CommandError, ConfigError, Cx, Door, Effects, Kind, Nf, Reason, Site, WorkerSite,
};
use joint::Joint;
use mirror::Mirror;
use serde_json::Value;
use std::any::Any;
use std::sync::Arc;
use whole::Whole;

const NO_ID: Reason = Reason::new(0);
const FULL: Reason = Reason::new(1);
const LOST: Reason = Reason::new(2);
const GARBAGE: Reason = Reason::new(3);
const DUPLICATE: Reason = Reason::new(4);
const LATE: Reason = Reason::new(5);
const UNIDENTIFIED: Reason = Reason::new(6);
const UNMARKED: Reason = Reason::new(7);
const STOPPED: Reason = Reason::new(8);

const MARKED: usize = 0;
const TAGGED: usize = 1;
const SENT_UNMARKED: usize = 2;
const ANSWERED: usize = 3;
const MERGED: usize = 4;
const GENERATED: usize = 5;
const TIMED_OUT: usize = 6;
const GAPS: usize = 7;
const PASSED: usize = 8;
const WAITED: usize = 9;

/// The NF, on one worker.
pub struct External {
    plan: Arc<Plan>,
    part: Part,
}

/// What it has to do here.
enum Part {
    Whole(Box<Whole>),
    Mirror(Mirror),
    Merge(Box<Joint>),
}

impl Nf for External {
    fn process(&mut self, burst: &mut Burst, cx: &mut Cx<'_>) {
        match &mut self.part {
            Part::Whole(whole) => whole.process(&self.plan, burst, cx),
            Part::Mirror(mirror) => mirror.process(&self.plan, burst, cx),
            Part::Merge(joint) => joint.process(&self.plan, burst, cx),
        }
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        match &mut self.part {
            Part::Whole(whole) => whole.expire(&self.plan, cx),
            Part::Mirror(_) => {}
            Part::Merge(joint) => joint.expire(&self.plan, cx),
        }
    }

    fn drain(&mut self, cx: &mut Cx<'_>) {
        match &mut self.part {
            Part::Whole(whole) => whole.let_go(cx),
            Part::Mirror(_) => {}
            Part::Merge(joint) => joint.let_go(cx),
        }
    }

    fn adopt(&mut self, old: Box<dyn Nf>, cx: &mut Cx<'_>) {
        let Ok(mut old) = (old as Box<dyn Any>).downcast::<External>() else { return };
        if let (Part::Mirror(mirror), Part::Mirror(before)) = (&mut self.part, &old.part) {
            mirror.go_on_from(&self.plan.numbers, before, &old.plan.numbers);
        } else if self.plan.goes_on_from(&old.plan) {
            self.part = old.part;
        } else {
            old.drain(cx);
        }
    }

    fn command(&mut self, name: &str, _arguments: &Value) -> Result<Value, CommandError> {
        if name != "flight" {
            return Err(CommandError::Unknown(name.to_owned()));
        }
        let (in_flight, held) = match &self.part {
            Part::Whole(whole) => (whole.in_flight(), whole.held()),
            Part::Mirror(_) => (0, 0),
            Part::Merge(joint) => (joint.in_flight(), joint.held()),
        };
        Ok(serde_json::json!({ "in_flight": in_flight, "held": held }))
    }
}

impl Kind for External {
    const NAME: &'static str = "external";
    const SUMMARY: &'static str =
        "an NF behind a pair of ports (namespace, container, VM), or several side by side";
    const DROPS: &'static [&'static str] =
        &["no_id", "full", "lost", "garbage", "duplicate", "late", "unidentified", "unmarked", "stopped"];
    const COUNTERS: &'static [&'static str] = &[
        "marked",
        "tagged",
        "sent_unmarked",
        "answered",
        "merged",
        "generated",
        "timed_out",
        "gaps",
        "passed",
        "waited",
    ];
    const COMMANDS: &'static [Command] = &[Command {
        name: "flight",
        summary: "how many packets wait for an answer, and how many are held meanwhile; no arguments",
    }];
    const EXAMPLE: &'static str = "out = \"wan\"\nin = \"dmz\"\n";

    type Config = Config;
    type Plan = Plan;

    fn prepare(config: &Config, site: &Site) -> Result<Plan, ConfigError> {
        Plan::new(config, site)
    }

    fn effects(plan: &Plan) -> Effects {
        plan.effects()
    }

    fn doors(config: &Config) -> Vec<Door> {
        config.doors()
    }

    fn instance(plan: &Arc<Plan>, worker: &WorkerSite) -> Self {
        let part = match plan.role {
            Role::Both => Part::Whole(Box::new(Whole::new(plan, worker))),
            Role::Mirror => Part::Mirror(Mirror::new(worker)),
            Role::Merge => Part::Merge(Box::new(Joint::new(plan, worker))),
        };
        External { plan: Arc::clone(plan), part }
    }
}
