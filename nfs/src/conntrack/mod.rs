//! Tracks connections: TCP by state and window, UDP, ICMP, errors and fragments that belong to them.
//!
//! [`Tracker`] is for every NF that wants to know of connections; [`Conntrack`] is the NF that does nothing else.

mod commands;
mod config;
mod connection;
mod half_open;
mod ledger;
mod packet;
mod phase;
mod state;
mod tcp;
#[cfg(test)]
mod tests;
mod tracker;
mod verdict;

pub use commands::COMMANDS;
pub use config::{Config, Invalid, Settings, Timeouts, Tracking};
pub use connection::Connection;
pub use ledger::Turnover;
pub use packet::Transport;
pub use phase::Phase;
pub(crate) use state::KINDS;
pub use tracker::{Moved, Tracker};
pub use verdict::{Cause, Verdict};

use engine::{
    Affinity, Burst, Command, CommandError, ConfigError, Cx, Effects, Kind, Nf, Part, Reason, Site, State,
    StateKind, WorkerSite,
};
use serde_json::Value;
use std::any::Any;
use std::sync::Arc;
use wire::{Field, Fields, FlowKey};

const COUNTERS: [&str; 9] = [
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

/// A configuration that was checked.
pub struct Plan {
    settings: Settings,
    invalid: Invalid,
}

/// The NF, on one worker.
pub struct Conntrack {
    plan: Arc<Plan>,
    worker: WorkerSite,
    tracker: Tracker,
    /// What of the turnover the counters tell already.
    published: Turnover,
}

impl Conntrack {
    /// Brings the counters of connections up to date.
    fn publish(&mut self, cx: &mut Cx<'_>) {
        let (now, told) = (self.tracker.turnover(), &mut self.published);
        if now != *told {
            cx.count(5, now.opened - told.opened);
            cx.count(6, now.ended - told.ended);
            cx.count(7, now.expired - told.expired);
            cx.count(8, now.evicted - told.evicted);
            *told = now;
        }
    }
}

impl Nf for Conntrack {
    fn process(&mut self, burst: &mut Burst, cx: &mut Cx<'_>) {
        for (headers, frame) in burst.parsed() {
            self.tracker.stage(&headers, frame);
        }
        let mut counts = [0; 5];
        for (i, verdict) in self.tracker.settle(cx.now(), |_| true).iter().enumerate() {
            let counter = match verdict {
                Verdict::New => 0,
                Verdict::Established => 1,
                Verdict::Related => 2,
                Verdict::Invalid(_) => 3,
                Verdict::Untracked => 4,
            };
            counts[counter] += 1;
            if let Verdict::Invalid(cause) = verdict
                && self.plan.invalid == Invalid::Drop
            {
                burst.drop(i, Reason::new(cause.number()));
            }
        }
        for (counter, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 0) {
            cx.count(counter, count);
        }
        self.publish(cx);
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        self.tracker.expire(cx.now());
        self.publish(cx);
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(&mut self.tracker)
    }

    fn adopt(&mut self, old: Box<dyn Nf>, _cx: &mut Cx<'_>) {
        if let Ok(old) = (old as Box<dyn Any>).downcast::<Conntrack>() {
            self.tracker.adopt(old.tracker);
            // What the old instance has counted it has told.
            self.published = self.tracker.turnover();
        }
    }

    fn split(&mut self, owner: &dyn Fn(&FlowKey) -> usize) -> Vec<(usize, Part)> {
        let parts = self.tracker.split(self.worker.index, owner);
        parts.map(|(worker, moved)| (worker, Box::new(moved) as Part)).collect()
    }

    fn join(&mut self, part: Part) {
        if let Ok(moved) = part.downcast::<Moved>() {
            self.tracker.join(*moved);
        }
    }

    fn command(&mut self, name: &str, arguments: &Value) -> Result<Value, CommandError> {
        self.tracker.answer(name, arguments)
    }
}

impl Kind for Conntrack {
    const NAME: &'static str = "conntrack";
    const SUMMARY: &'static str = "tracks connections: TCP by state and window, UDP, ICMP; drops what belongs to none and may begin none";
    const DROPS: &'static [&'static str] = &Cause::NAMES;
    const COUNTERS: &'static [&'static str] = &COUNTERS;
    const COMMANDS: &'static [Command] = COMMANDS;
    const EXAMPLE: &'static str = "invalid = \"drop\"\ntracking.capacity = 65536\n";

    type Config = Config;
    type Plan = Plan;

    fn prepare(config: &Config, _site: &Site) -> Result<Plan, ConfigError> {
        Ok(Plan { settings: Settings::new(&config.tracking)?, invalid: config.invalid })
    }

    fn effects(plan: &Plan) -> Effects {
        Effects {
            reads: READS,
            may_drop: plan.invalid == Invalid::Drop,
            state: StateKind::Learns,
            affinity: Affinity::Flow,
            ..Effects::NONE
        }
    }

    fn instance(plan: &Arc<Plan>, worker: &WorkerSite) -> Self {
        Conntrack {
            plan: Arc::clone(plan),
            worker: *worker,
            tracker: Tracker::new(plan.settings, worker.seed),
            published: Turnover::default(),
        }
    }
}

/// All that a [`Tracker`]'s verdicts depend on. The payload is read for the packets in ICMP errors.
pub const READS: Fields = Fields::of(&[
    Field::EtherType,
    Field::Vlan,
    Field::MplsLabel,
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
    Field::TcpWindow,
    Field::TcpOptions,
    Field::IcmpType,
    Field::IcmpRest,
    Field::Payload,
    Field::Length,
]);
