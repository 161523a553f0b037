//! An NF that is right unless its configuration asks for a fault; each fault breaks one rule.
//!
//! Right, it counts packets per IPv4 source, refuses those to 192.0.2.7, holds those from 10.0.0.5 until the
//! next tick, and lowers the TTL of the rest.

mod state;

use engine::{
    Burst, Command, CommandError, ConfigError, Cx, Effects, Kind, Nf, Packet, Reason, Site, State, StateKind,
    Verdict, WorkerSite,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use state::Counts;
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use wire::{Field, Fields};

/// What is wrong with the NF.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    #[default]
    None,
    PanicsOnRunt,
    LosesPacket,
    Contradicts,
    DrainsNothing,
    WritesEthSrc,
    WritesEcnBits,
    ComputesChecksum,
    DropsUndeclared,
    HoldsUndeclared,
    CreatesUndeclared,
    GrowsUndeclared,
    ReasonUndeclared,
    GateUndeclared,
    GateNotThere,
    ReadsPorts,
    ReadsLength,
    CountsPayload,
    FirstSegmentOnly,
    Random,
    NoState,
    StateUndeclared,
    ForgetsTime,
    KeepsSecret,
    LongPage,
    Twice,
    Endless,
    IgnoresSelector,
    AcceptsNewer,
    AcceptsUnknown,
    AcceptsMalformed,
    PanicsOnMalformed,
    ImportsHalf,
    AdoptsNothing,
    SplitLoses,
    AnswersUnknown,
    CommandPanics,
    CommandMissing,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    fault: Fault,
}

pub struct Odd {
    fault: Fault,
    counts: Counts,
    held: Vec<Packet>,
    /// Packets forwarded, which is not in the exported state.
    secret: u64,
}

const REFUSED: Reason = Reason::new(0);

impl Kind for Odd {
    const NAME: &'static str = "odd";
    const SUMMARY: &'static str = "Right, unless a fault is asked for";
    const DROPS: &'static [&'static str] = &["refused"];
    const COUNTERS: &'static [&'static str] = &["seen"];
    const COMMANDS: &'static [Command] = &[Command { name: "count", summary: "How many sources" }];
    const EXAMPLE: &'static str = "fault = \"none\"";

    type Config = Config;
    type Plan = Config;

    fn prepare(config: &Config, _site: &Site) -> Result<Config, ConfigError> {
        Ok(config.clone())
    }

    fn effects(plan: &Config) -> Effects {
        let fault = plan.fault;
        let length =
            if fault == Fault::FirstSegmentOnly { Fields::of(&[Field::Length]) } else { Fields::EMPTY };
        let computed = fault == Fault::ComputesChecksum;
        let sums = if computed { Fields::of(&[Field::IpChecksum]) } else { Fields::EMPTY };
        Effects {
            reads: Fields::of(&[Field::IpVersion, Field::IpSrc, Field::IpDst, Field::IpTtl]) | length,
            writes: Fields::of(&[Field::IpTtl, Field::IpDscp]) | sums,
            adjusts: sums,
            may_drop: fault != Fault::DropsUndeclared && fault != Fault::GateUndeclared,
            holds: fault != Fault::HoldsUndeclared,
            state: if fault == Fault::StateUndeclared { StateKind::None } else { StateKind::Learns },
            ..Effects::NONE
        }
    }

    fn instance(plan: &Arc<Config>, _worker: &WorkerSite) -> Self {
        Odd { fault: plan.fault, counts: Counts::new(plan.fault), held: Vec::new(), secret: 0 }
    }
}

impl Nf for Odd {
    fn process(&mut self, burst: &mut Burst, cx: &mut Cx<'_>) {
        for i in 0..burst.len() {
            if self.fault == Fault::PanicsOnRunt {
                assert_ne!(burst.bytes(i)[13], 0xfe, "a frame type that no one has");
            }
            let headers = burst.headers(i);
            let Some((source, destination)) = headers.ipv4_addresses(burst.bytes(i)) else { continue };
            let bytes = if self.fault == Fault::CountsPayload { burst.packet_len(i) as u64 } else { 0 };
            self.counts.add(source, bytes, cx.now());
            if destination == u32::from_be_bytes([192, 0, 2, 7]) {
                self.refuse(burst, i);
            } else if source == u32::from_be_bytes([10, 0, 0, 5]) {
                self.hold(burst, i);
            } else {
                self.forward(burst, i, cx);
            }
        }
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        if self.fault != Fault::DrainsNothing {
            self.release(cx);
        }
    }

    fn drain(&mut self, cx: &mut Cx<'_>) {
        if self.fault != Fault::DrainsNothing {
            self.release(cx);
        }
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        if self.fault == Fault::NoState { None } else { Some(&mut self.counts) }
    }

    fn adopt(&mut self, old: Box<dyn Nf>, _cx: &mut Cx<'_>) {
        let old: Box<dyn Any> = old;
        if let (Ok(old), false) = (old.downcast::<Odd>(), self.fault == Fault::AdoptsNothing) {
            self.counts = old.counts;
            self.held = old.held;
            self.secret = old.secret;
        }
    }

    fn split(&mut self, _owner: &dyn Fn(&wire::FlowKey) -> usize) -> Vec<(usize, engine::Part)> {
        if self.fault == Fault::SplitLoses {
            self.counts = Counts::new(self.fault);
        }
        Vec::new()
    }

    fn command(&mut self, name: &str, arguments: &Value) -> Result<Value, CommandError> {
        match (name, self.fault) {
            ("count", Fault::CommandPanics) => Ok(json!(arguments["limit"].as_u64().expect("a limit"))),
            ("count", fault) if fault != Fault::CommandMissing => Ok(json!(self.counts.len())),
            (_, Fault::AnswersUnknown) => Ok(Value::Null),
            (name, _) => Err(CommandError::Unknown(name.to_owned())),
        }
    }
}

impl Odd {
    fn refuse(&mut self, burst: &mut Burst, i: usize) {
        match self.fault {
            Fault::ReasonUndeclared => burst.drop(i, Reason::new(9)),
            Fault::GateUndeclared => burst.gate(i, 1),
            Fault::GateNotThere => burst.gate(i, 7),
            _ => burst.drop(i, REFUSED),
        }
    }

    fn hold(&mut self, burst: &mut Burst, i: usize) {
        let packet = burst.take(i);
        if self.fault == Fault::Contradicts {
            burst.set_verdict(i, Verdict::Forward);
        }
        if self.fault != Fault::LosesPacket {
            self.held.extend(packet);
        }
    }

    fn release(&mut self, cx: &mut Cx<'_>) {
        for packet in self.held.drain(..) {
            cx.emit(0, packet);
        }
    }

    fn forward(&mut self, burst: &mut Burst, i: usize, cx: &mut Cx<'_>) {
        static RANDOM: AtomicU8 = AtomicU8::new(0);
        let headers = burst.headers(i);
        let at = headers.l3_offset();
        match self.fault {
            Fault::ReadsPorts if headers.ports(burst.bytes(i)).is_some_and(|(source, _)| source > 30000) => {
                return burst.drop(i, REFUSED);
            }
            Fault::ReadsLength if burst.packet_len(i) % 2 == 1 => return burst.drop(i, REFUSED),
            Fault::CreatesUndeclared => {
                if let Some(copy) = burst.copy(i) {
                    cx.emit(0, copy);
                }
            }
            Fault::GrowsUndeclared => {
                burst.append(i, 4);
            }
            _ => {}
        }
        self.secret += 1;
        if self.fault == Fault::KeepsSecret && self.secret.is_multiple_of(100) {
            return burst.drop(i, REFUSED);
        }
        let seen = burst.bytes(i).len();
        let Some(bytes) = burst.bytes_mut(i) else { return };
        bytes[at + 8] = match self.fault {
            Fault::FirstSegmentOnly => seen as u8,
            Fault::Random => RANDOM.fetch_add(1, Ordering::Relaxed),
            _ => bytes[at + 8].saturating_sub(1),
        };
        match self.fault {
            Fault::WritesEthSrc => bytes[6] ^= 0x40,
            Fault::WritesEcnBits => bytes[at + 1] ^= 0x05,
            Fault::ComputesChecksum => {
                bytes[at + 10..at + 12].fill(0);
                let sum = wire::checksum::of(&bytes[at..at + 20]);
                bytes[at + 10..at + 12].copy_from_slice(&sum.to_be_bytes());
            }
            _ => {}
        }
        cx.count(0, 1);
    }
}
