//! The contract of a network function.

use crate::burst::Burst;
use crate::cx::Cx;
use crate::effects::Effects;
use crate::site::{ConfigError, Site, WorkerSite};
use crate::state::{Record, State};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::any::Any;
use std::sync::Arc;
use wire::FlowKey;

/// A running instance: one per worker and NF of the configuration. It is on one thread at any time: its worker's, or that
/// of a helper which runs a branch for it.
///
/// Everything but [`Nf::process`] has a default, which is right for an NF without state.
pub trait Nf: Any + Send {
    /// Works on a burst: reads, writes, and gives a verdict on each packet that is not to be forwarded.
    /// It cannot fail: a bad packet is a drop reason. It allocates nothing and takes no lock.
    fn process(&mut self, burst: &mut Burst, cx: &mut Cx<'_>);

    /// Runs timers. Called about once a millisecond of the engine's time, and does a bounded amount of work.
    fn tick(&mut self, _cx: &mut Cx<'_>) {}

    /// Gives back every packet that is held: the engine is stopping.
    fn drain(&mut self, _cx: &mut Cx<'_>) {}

    /// Its state, to leave and to enter; `None` when it keeps none.
    fn state(&mut self) -> Option<&mut dyn State> {
        None
    }

    /// Takes over from `old`, an instance of the same kind under the previous configuration: state and held
    /// packets, by move. It cannot fail; what the new configuration has no place for is let go.
    fn adopt(&mut self, _old: Box<dyn Nf>, _cx: &mut Cx<'_>) {}

    /// Gives up the state of flows that now belong to other workers. `owner` names a flow's worker.
    fn split(&mut self, _owner: &dyn Fn(&FlowKey) -> usize) -> Vec<(usize, Part)> {
        Vec::new()
    }

    /// Takes in what another worker's instance gave up in [`Nf::split`].
    fn join(&mut self, _part: Part) {}

    /// A change of replicated state that another worker's instance broadcast.
    fn replicate(&mut self, _update: &Update, _cx: &mut Cx<'_>) {}

    /// Answers one of the kind's commands. Runs on the worker between bursts, so it is quick: what takes longer, like
    /// forgetting a whole table, is done in steps, each but the last with [`CommandError::Unfinished`].
    fn command(&mut self, name: &str, _arguments: &Value) -> Result<Value, CommandError> {
        Err(CommandError::Unknown(name.to_owned()))
    }
}

/// State in transit from one worker's instance to another's, of a type that only the NF knows.
pub type Part = Box<dyn Any + Send>;

/// A change of replicated state, broadcast to the same NF's instances on the other workers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Update(pub [u8; 32]);

/// Who owns what arrives, where no hash of header fields tells: steering asks this rule in place of one.
///
/// It follows from the configuration alone, so that all workers agree and state moves by it when their number changes.
pub trait Ownership: Send + Sync {
    /// The same number for all packets that must meet the same worker: [`crate::BUCKETS`] of them are told apart, by the
    /// remainder. `flow` is the packet's own key; of an ICMP error, that of the flow that it is about.
    fn owner(&self, flow: &FlowKey) -> u32;

    /// What the rule follows from, in any words: two that say the same are the same, and state stays where it is.
    fn says(&self) -> String;
}

/// A kind of NF: what is true of all its instances. One line in the registry makes it known.
pub trait Kind: Nf + Sized {
    /// As it is written in `kind = "…"`.
    const NAME: &'static str;
    /// One line of what it does.
    const SUMMARY: &'static str;
    /// Names of its drop reasons; a [`crate::Reason`] is an index into it.
    const DROPS: &'static [&'static str] = &[];
    /// Names of its own counters; the first argument of [`Cx::count`] is an index into it.
    const COUNTERS: &'static [&'static str] = &[];
    /// The commands that it answers.
    const COMMANDS: &'static [Command] = &[];
    /// How many gates it has.
    const GATES: Gates = Gates::One;
    /// Names of the keys of its configuration whose values are secrets, at any depth. No text that is shown has those
    /// values; the configuration's own `Serialize` is to leave them out too.
    const SECRETS: &'static [&'static str] = &[];
    /// A configuration that works as it stands, in TOML, without `kind`: for the docs and the harness.
    const EXAMPLE: &'static str = "";

    /// Its part of the configuration file.
    type Config: DeserializeOwned + Serialize + JsonSchema + Clone + Send + Sync + 'static;
    /// What all instances share, read-only: parsed rules, compiled tables.
    type Plan: Send + Sync + 'static;

    /// Does everything that can fail, off the fast path: reads files, compiles, allocates.
    fn prepare(config: &Self::Config, site: &Site) -> Result<Self::Plan, ConfigError>;

    /// What works, though probably not as meant: told as warnings.
    fn remarks(_plan: &Self::Plan) -> Vec<ConfigError> {
        Vec::new()
    }

    /// What it does to packets, under this configuration.
    fn effects(plan: &Self::Plan) -> Effects;

    /// The rule by which packets find the worker that owns them, for [`crate::Affinity::Owned`].
    fn ownership(_plan: &Arc<Self::Plan>) -> Option<Arc<dyn Ownership>> {
        None
    }

    /// The ports behind which it lives, if it is a stand-in for an NF outside: they are its own, and what comes in by one
    /// that leads back goes to it and to no chain.
    fn doors(_config: &Self::Config) -> Vec<Door> {
        Vec::new()
    }

    /// An instance for one worker.
    fn instance(plan: &Arc<Self::Plan>, worker: &WorkerSite) -> Self;

    /// Joins what the instances of several workers say of one flow. `flows` are the records of flows of all workers.
    /// Only for an NF that may meet packets of a flow on another worker than the flow's own, and merely reports.
    fn unite(_flows: &mut Vec<Record>) {}

    /// The kinds of records that the answer to a command follows from, where what the instances of several workers say
    /// is one answer: it is then given by an instance that has taken in those records of all of them. Without any, each
    /// worker's instance answers.
    fn follows_from(_command: &str) -> &'static [&'static str] {
        &[]
    }

    /// Called once at the end of a run with the exported state of all workers, for NFs that write a report.
    fn finish(_plan: &Self::Plan, _records: &[Record]) -> Result<(), ConfigError> {
        Ok(())
    }
}

/// A port that belongs to an NF: [`Kind::doors`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Door {
    /// The key of the configuration that names it: `in`, or `branches[1].in`.
    pub key: String,
    /// Its name.
    pub port: String,
    /// Which way packets go through it.
    pub way: Doorway,
}

/// Which way packets go through a [`Door`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Doorway {
    /// The NF sends by it ([`Cx::transmit`]).
    Out,
    /// What comes in by it is the NF's.
    Back,
}

/// How many gates a kind of NF has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gates {
    /// The default gate only.
    One,
    /// As many as the chain has destination ports: gate n leads to the n-th. Such an NF stands last.
    Ports,
}

/// A command that a kind of NF answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Command {
    /// Its name.
    pub name: &'static str,
    /// What it does, and what its arguments are.
    pub summary: &'static str,
}

/// Why a command was not done.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum CommandError {
    /// The NF has no such command.
    #[error("unknown command '{0}'")]
    Unknown(String),
    /// The arguments do not fit.
    #[error("bad arguments: {0}")]
    Arguments(String),
    /// A step of it is done. Once packets have had their turn, the engine asks again with these arguments, which say
    /// where to go on; who gave the command hears of the last step only.
    #[error("not all of it is done")]
    Unfinished(Value),
    /// It was understood and could not be done.
    #[error("{0}")]
    Failed(String),
}
