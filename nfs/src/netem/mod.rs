//! A bad network: delay, jitter, loss, duplication, reordering, corruption and a rate, by seed.

mod channel;
mod commands;
mod config;
mod line;
mod random;
mod state;
#[cfg(test)]
mod tests;

pub use config::{Config, GilbertElliott, Plan};
pub use random::Distribution;

use channel::{Arrival, Channel};
use config::Settings;
use engine::{
    Burst, Command, CommandError, ConfigError, Cx, Effects, Kind, Nf, Packet, Reason, Site, State, Time,
    WorkerSite,
};
use line::Line;
use serde_json::Value;
use std::any::Any;
use std::sync::Arc;

const LOST: Reason = Reason::new(0);
const OVER_LIMIT: Reason = Reason::new(1);

const DELAYED: usize = 0;
const OVERTOOK: usize = 1;
const DUPLICATED: usize = 2;
const CORRUPTED: usize = 3;
const COPIES_FAILED: usize = 4;

/// The NF, on one worker.
pub struct Netem {
    plan: Arc<Plan>,
    worker: WorkerSite,
    /// Those of the plan, until an operator changes them.
    settings: Settings,
    channel: Channel,
    line: Line,
    /// The time as of the latest call.
    now: Time,
}

impl Netem {
    /// Where a packet goes that arrives later or now.
    #[inline]
    fn arrival(&mut self, len: usize, cx: &mut Cx<'_>) -> Option<Time> {
        let Arrival { due, overtakes } = self.channel.arrival(&self.settings, len, cx.now());
        if overtakes {
            cx.count(OVERTOOK, 1);
        }
        // Those before it that are due and still here must not be overtaken.
        let waits = due > cx.now() || self.settings.config.in_order && !self.line.is_empty();
        waits.then_some(due)
    }

    /// A copy, which is on its way by itself.
    fn send_copy(&mut self, copy: Option<Packet>, cx: &mut Cx<'_>) {
        let Some(copy) = copy else { return cx.count(COPIES_FAILED, 1) };
        let len = copy.packet_len();
        if self.settings.holds() && self.line.is_full() {
            return cx.count(COPIES_FAILED, 1);
        }
        cx.count(DUPLICATED, 1);
        match self.arrival(len, cx) {
            Some(due) => {
                // There is room, as was seen before.
                let _ = self.line.push(due, copy);
            }
            None => cx.emit(0, copy),
        }
    }

    /// Lets the packets go that have arrived, as many as can be carried; the others go next time.
    fn release(&mut self, cx: &mut Cx<'_>) {
        while cx.emit_room() > 0
            && let Some(packet) = self.line.arrived(cx.now())
        {
            cx.emit(0, packet);
        }
    }
}

impl Nf for Netem {
    fn process(&mut self, burst: &mut Burst, cx: &mut Cx<'_>) {
        self.now = cx.now();
        let holds = self.settings.holds();
        for i in 0..burst.len() {
            let len = burst.packet_len(i);
            let fate = self.channel.judge(&self.settings, len);
            if fate.lost {
                burst.drop(i, LOST);
                continue;
            }
            let copy = fate.twice.then(|| burst.copy(i));
            if let Some((byte, bit)) = fate.flip {
                let Some(bytes) = burst.bytes_mut(i) else { continue };
                if let Some(byte) = bytes.get_mut(byte) {
                    *byte ^= 1 << bit;
                }
                burst.reparse(i);
                cx.count(CORRUPTED, 1);
            }
            if holds && self.line.is_full() {
                burst.drop(i, OVER_LIMIT);
                continue;
            }
            if let Some(due) = self.arrival(len, cx)
                && let Some(packet) = burst.take(i)
            {
                cx.count(DELAYED, 1);
                if let Err(packet) = self.line.push(due, packet) {
                    cx.discard(packet, OVER_LIMIT);
                }
            }
            if let Some(copy) = copy {
                self.send_copy(copy, cx);
            }
        }
        self.release(cx);
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        self.now = cx.now();
        self.release(cx);
    }

    fn drain(&mut self, cx: &mut Cx<'_>) {
        while cx.emit_room() > 0
            && let Some((_, packet)) = self.line.next()
        {
            cx.emit(0, packet);
        }
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }

    fn adopt(&mut self, old: Box<dyn Nf>, cx: &mut Cx<'_>) {
        let Ok(old) = (old as Box<dyn Any>).downcast::<Netem>() else { return };
        let Netem { plan, settings, channel, mut line, now, .. } = *old;
        // What an operator changed stays until the configuration itself says something else.
        if plan.settings == self.plan.settings {
            self.settings = settings;
        }
        (self.channel, self.now) = (channel, now);
        while let Some((due, packet)) = line.next() {
            if let Err(packet) = self.line.push(due, packet) {
                cx.discard(packet, OVER_LIMIT);
            }
        }
    }

    fn command(&mut self, name: &str, arguments: &Value) -> Result<Value, CommandError> {
        self.answer(name, arguments)
    }
}

impl Kind for Netem {
    const NAME: &'static str = "netem";
    const SUMMARY: &'static str =
        "a bad network: delay, jitter, loss, duplication, reordering, corruption and a rate, by seed";
    const DROPS: &'static [&'static str] = &["lost", "over_limit"];
    const COUNTERS: &'static [&'static str] =
        &["delayed", "overtook", "duplicated", "corrupted", "copies_failed"];
    const COMMANDS: &'static [Command] = commands::COMMANDS;
    const EXAMPLE: &'static str = "delay = \"20ms\"\njitter = \"5ms\"\nloss = 1.0\n";

    type Config = Config;
    type Plan = Plan;

    fn prepare(config: &Config, site: &Site) -> Result<Plan, ConfigError> {
        Plan::new(config, site)
    }

    fn effects(plan: &Plan) -> Effects {
        plan.settings.effects()
    }

    fn instance(plan: &Arc<Plan>, worker: &WorkerSite) -> Self {
        Netem {
            worker: *worker,
            settings: plan.settings.clone(),
            channel: Channel::new(worker.seed ^ plan.salt),
            line: Line::new(plan.settings.config.limit),
            now: Time::ZERO,
            plan: Arc::clone(plan),
        }
    }
}
