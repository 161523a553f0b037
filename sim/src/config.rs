//! The file of a simulation.

use crate::network::Change;
use crate::nodes::Attachment;
use crate::quantity::{MILLISECOND, Picos, Rate, SECOND, Size, Span};
use crate::random::{Random, Stream};
use crate::sizes::{Sizes, SizesError};
use crate::tcp::Tcp;
use crate::topology::{self, Cable, Shape, ShapeError, Topology};
use crate::traffic::{Arrival, Capacity, Deadline};
use serde::Deserialize;
use std::path::{Path, PathBuf};

#[cfg(test)]
mod tests;

/// A whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Seeds: a run for each.
    #[serde(default = "one_seed")]
    pub seeds: Vec<u64>,
    /// The network.
    pub topology: Network,
    /// Flows that come by chance.
    #[serde(default)]
    pub traffic: Option<Flows>,
    /// Flows that are written down.
    #[serde(default, rename = "flow")]
    pub flows: Vec<OneFlow>,
    /// In what time priority flows have to be through.
    #[serde(default)]
    pub deadline: Option<Deadline>,
    /// The hosts' TCP.
    #[serde(default)]
    pub tcp: TcpKeys,
    /// Links that are worse than their cable.
    #[serde(default, rename = "fault")]
    pub faults: Vec<Fault>,
    /// NFs at nodes.
    #[serde(default, rename = "nf")]
    pub nfs: Vec<Attachment>,
    /// How often NFs run their timers.
    #[serde(default = "millisecond")]
    pub tick: Span,
    /// How long the run goes on after the last flow began, if flows have not ended before.
    #[serde(default = "second")]
    pub patience: Span,
}

fn one_seed() -> Vec<u64> {
    vec![1]
}

fn millisecond() -> Span {
    Span(MILLISECOND)
}

fn second() -> Span {
    Span(SECOND)
}

/// The network.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Hosts on each leaf.
    pub hosts_per_leaf: u32,
    /// Leaves of a pod; without `extend` the whole network is one.
    pub leaves: u32,
    /// Spines of a pod.
    pub spines: u32,
    /// Further tiers.
    #[serde(default)]
    pub extend: Vec<Tier>,
    /// Between hosts and leaves.
    pub edge: Wire,
    /// Between switches.
    pub fabric: Wire,
    /// Bytes that wait in a host before its link.
    #[serde(default = "host_queue")]
    pub host_queue: Size,
}

fn host_queue() -> Size {
    Size(10_000_000)
}

/// A tier more.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// Copies of the network below.
    pub pods: u32,
    /// Switches for each place at the top of a pod.
    pub switches: u32,
}

/// A cable.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wire {
    /// Its rate, each way.
    pub rate: Rate,
    /// Its delay.
    pub delay: Span,
    /// Bytes that wait before it.
    pub queue: Size,
}

/// Flows that come by chance.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flows {
    /// Share of the capacity; a run for each.
    pub load: Loads,
    /// Of what.
    #[serde(default)]
    pub of: Capacity,
    /// The file of the sizes' distribution.
    #[serde(default)]
    pub sizes: Option<PathBuf>,
    /// All flows of one size instead.
    #[serde(default)]
    pub size: Option<Size>,
    /// Bytes that 1 means in the file.
    #[serde(default = "byte")]
    pub unit: u64,
    /// Longer flows are cut.
    #[serde(default)]
    pub most: Option<Size>,
    /// Flows begin so long.
    pub duration: Span,
    /// Flows that begin in this time do not count in the results.
    #[serde(default)]
    pub warm_up: Option<Span>,
    /// Share of flows that have priority.
    #[serde(default)]
    pub priority: f64,
}

fn byte() -> u64 {
    1
}

/// One load or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Loads {
    /// One.
    One(f64),
    /// Several.
    Several(Vec<f64>),
}

/// A flow that is written down.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneFlow {
    /// Its sender: `host-3`.
    pub from: String,
    /// Its receiver.
    pub to: String,
    /// Its bytes.
    pub size: Size,
    /// When it begins.
    #[serde(default = "at_once")]
    pub at: Span,
    /// Whether it has priority.
    #[serde(default)]
    pub priority: bool,
}

fn at_once() -> Span {
    Span(0)
}

/// What can be set of the hosts' TCP.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TcpKeys {
    /// Segments of the initial window.
    pub initial_window: Option<u32>,
    /// Bytes that a receiver takes.
    pub window: Option<Size>,
    /// The shortest timeout.
    pub least_timeout: Option<Span>,
    /// The longest one.
    pub most_timeout: Option<Span>,
}

impl TcpKeys {
    /// With what was not said.
    pub fn tcp(&self) -> Tcp {
        let usual = Tcp::default();
        let window = self.window.map(|size| u32::try_from(size.0).unwrap_or(u32::MAX / 2));
        Tcp {
            initial_window: self.initial_window.unwrap_or(usual.initial_window),
            window: window.unwrap_or(usual.window),
            least_timeout: self.least_timeout.map_or(usual.least_timeout, |span| span.0),
            most_timeout: self.most_timeout.map_or(usual.most_timeout, |span| span.0),
        }
    }
}

/// Links that are worse than their cable for a time.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The two nodes of a cable; both ways are meant.
    #[serde(default)]
    pub between: Option<[String; 2]>,
    /// Instead: this share of all cables between leaves and spines, drawn by the seed.
    #[serde(default)]
    pub share: Option<f64>,
    /// Its rate, as a share of the cable's.
    #[serde(default = "whole")]
    pub rate: f64,
    /// The share of packets that it loses.
    #[serde(default)]
    pub loss: f64,
    /// From when.
    #[serde(default = "at_once")]
    pub from: Span,
    /// Until when; to the end if not said.
    #[serde(default)]
    pub until: Option<Span>,
}

fn whole() -> f64 {
    1.0
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It is no TOML, or its keys are not those of a simulation.
    #[error("{0}")]
    Toml(String),
    /// It cannot be read.
    #[error("cannot read {}: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        why: std::io::Error,
    },
    /// The network is none.
    #[error("topology: {0}")]
    Shape(#[from] ShapeError),
    /// The distribution is none.
    #[error(transparent)]
    Sizes(#[from] SizesError),
    /// A value does not fit.
    #[error("{key}: {what}")]
    Value {
        /// Which.
        key: &'static str,
        /// What is wrong, and what would be right.
        what: String,
    },
}

fn wrong<T>(key: &'static str, what: impl Into<String>) -> Result<T, ConfigError> {
    Err(ConfigError::Value { key, what: what.into() })
}

/// A file that was read and checked, with what it names.
pub struct Experiment {
    /// The file.
    pub config: Config,
    /// The network.
    pub topology: Topology,
    /// How long flows are that come by chance.
    pub sizes: Option<Sizes>,
    /// Flows that are written down, by time.
    pub written: Vec<Arrival>,
}

impl Experiment {
    /// Reads a file; paths in it start from its folder.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(path: &Path) -> Result<Experiment, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|why| ConfigError::Unreadable { path: path.to_owned(), why })?;
        Experiment::parse(&text, path.parent().unwrap_or(Path::new("")))
    }

    /// Reads the text of a file in a folder.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str, folder: &Path) -> Result<Experiment, ConfigError> {
        let config: Config =
            toml::from_str(text).map_err(|error| ConfigError::Toml(error.to_string().trim().to_owned()))?;
        let topology = Topology::new(config.topology.shape())?;
        let sizes = config.traffic.as_ref().map(|flows| flows.sizes(folder)).transpose()?;
        let written = config.written(&topology)?;
        if config.tick.0 == 0 {
            return wrong("tick", "timers cannot run all the time: write at least \"1us\"");
        }
        let experiment = Experiment { config, topology, sizes, written };
        experiment.changes(0)?;
        Ok(experiment)
    }

    /// The loads for which there is a run each; one of 0 without traffic by chance.
    pub fn loads(&self) -> Vec<f64> {
        match self.config.traffic.as_ref().map(|flows| &flows.load) {
            None => vec![0.0],
            Some(Loads::One(load)) => vec![*load],
            Some(Loads::Several(loads)) => loads.clone(),
        }
    }

    /// Until when flows begin, and when the run ends.
    pub fn times(&self) -> (Picos, Picos) {
        let by_chance = self.config.traffic.as_ref().map_or(0, |flows| flows.duration.0);
        let last = self.written.last().map_or(0, |flow| flow.at).max(by_chance);
        (by_chance, last.saturating_add(self.config.patience.0))
    }

    /// What becomes of links under a seed, in the order of time.
    ///
    /// # Errors
    /// Cables that are not there.
    pub fn changes(&self, seed: u64) -> Result<Vec<Change>, ConfigError> {
        let mut random = Random::new(seed, Stream::Faults);
        let mut changes = Vec::new();
        for fault in &self.config.faults {
            for up in self.cables(fault, &mut random)? {
                for link in [up, up ^ 1] {
                    let Fault { rate, loss, from, until, .. } = fault;
                    changes.push(Change { at: from.0, link, rate: *rate, loss: *loss });
                    if let Some(until) = until {
                        changes.push(Change { at: until.0, link, rate: 1.0, loss: 0.0 });
                    }
                }
            }
        }
        changes.sort_by_key(|change| change.at);
        Ok(changes)
    }

    /// The cables of a fault, by their links up.
    fn cables(&self, fault: &Fault, random: &mut Random) -> Result<Vec<u32>, ConfigError> {
        let good = (0.0..=1.0).contains(&fault.loss) && fault.rate > 0.0 && fault.rate <= 1.0;
        if !good {
            return wrong("fault", "write a rate above 0 to 1, and a loss from 0 to 1");
        }
        let ends = self.topology.ends();
        match (&fault.between, fault.share) {
            (Some([a, b]), None) => {
                let node = |name: &String| {
                    let nodes = self.topology.named(name).filter(|nodes| nodes.len() == 1);
                    nodes.map(|nodes| nodes.start)
                };
                let (Some(a), Some(b)) = (node(a), node(b)) else {
                    return wrong("fault", format!("'{a}' or '{b}' is no node"));
                };
                let here = |link: &usize| {
                    let found = ends[*link];
                    (found.from, found.to) == (a, b) || (found.from, found.to) == (b, a)
                };
                let found = (0..ends.len()).step_by(2).find(here);
                found.map_or_else(
                    || wrong("fault", "no cable is between these nodes"),
                    |link| Ok(vec![link as u32]),
                )
            }
            (None, Some(share)) if (0.0..=1.0).contains(&share) => {
                let all = (0..ends.len() as u32).step_by(2);
                let mut fabric: Vec<u32> = all.filter(|link| self.topology.tier_of(*link) == 1).collect();
                let count = (share * fabric.len() as f64) as usize;
                for place in 0..count.min(fabric.len()) {
                    let other = place + random.below((fabric.len() - place) as u64) as usize;
                    fabric.swap(place, other);
                }
                fabric.truncate(count);
                Ok(fabric)
            }
            _ => wrong("fault", "write between = [\"leaf-0\", \"spine-1\"], or a share from 0 to 1"),
        }
    }
}

impl Config {
    fn written(&self, topology: &Topology) -> Result<Vec<Arrival>, ConfigError> {
        let host = |name: &String| {
            let nodes =
                topology.named(name).filter(|nodes| nodes.len() == 1 && nodes.end <= topology.hosts());
            match nodes {
                Some(nodes) => Ok(nodes.start),
                None => wrong("flow", format!("'{name}' is no host: the first one is host-0")),
            }
        };
        let mut flows = Vec::new();
        for OneFlow { from, to, size, at, priority } in &self.flows {
            let (from, to) = (host(from)?, host(to)?);
            let bytes = u32::try_from(size.0).ok().filter(|bytes| (1..u32::MAX / 2).contains(bytes));
            let Some(bytes) = bytes else { return wrong("flow", "a size is from 1B to 2GB") };
            if from == to {
                return wrong("flow", "a host sends nothing to itself here");
            }
            flows.push(Arrival { at: at.0, from, to, bytes, priority: *priority });
        }
        flows.sort_by_key(|flow| flow.at);
        Ok(flows)
    }
}

impl Flows {
    fn sizes(&self, folder: &Path) -> Result<Sizes, ConfigError> {
        let loads = match &self.load {
            Loads::One(load) => std::slice::from_ref(load),
            Loads::Several(loads) => loads,
        };
        if loads.is_empty() || loads.iter().any(|load| !(0.0..=2.0).contains(load)) {
            return wrong("traffic.load", "write shares of the capacity, from 0 to 2");
        }
        if !(0.0..=1.0).contains(&self.priority) {
            return wrong("traffic.priority", "write a share of the flows, from 0 to 1");
        }
        let sizes = match (&self.sizes, self.size) {
            (Some(file), None) => Sizes::read(&folder.join(file), self.unit)?,
            (None, Some(size)) => Sizes::fixed(size.0),
            _ => return wrong("traffic", "write either sizes = \"FILE\" or size = \"100kB\""),
        };
        Ok(self.most.map_or(sizes.clone(), |most| sizes.at_most(most.0)))
    }
}

impl Network {
    fn shape(&self) -> Shape {
        let cable = |wire: &Wire| Cable { rate: wire.rate, delay: wire.delay.0, queue: wire.queue.0 };
        let extend = self.extend.iter();
        Shape {
            hosts_per_leaf: self.hosts_per_leaf,
            leaves: self.leaves,
            spines: self.spines,
            extensions: extend
                .map(|tier| topology::Extension { pods: tier.pods, switches: tier.switches })
                .collect(),
            edge: cable(&self.edge),
            host_queue: self.host_queue.0,
            fabric: cable(&self.fabric),
        }
    }
}
