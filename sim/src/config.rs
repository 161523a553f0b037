//! The file of a simulation.

mod keys;

pub use keys::*;

use crate::detour::Terms;
use crate::network::Change;
use crate::quantity::Picos;
use crate::random::{Random, Stream};
use crate::sizes::{Sizes, SizesError};
use crate::topology::{self, Cable, Shape, ShapeError, Topology};
use crate::traffic::Arrival;
use std::path::{Path, PathBuf};

#[cfg(test)]
mod tests;

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
        let smart = config.smart.as_ref();
        if smart.is_some_and(|keys| keys.ways.iter().any(|way| keys.terms(*way).is_none())) {
            return wrong("smart.soft", "write a share of the hard limits, from 0.001 to 1");
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

    /// What is compared: the run without SMART, then one for each of its ways.
    pub fn terms(&self) -> Vec<Option<Terms>> {
        let smart = self.config.smart.iter();
        let ways = smart.flat_map(|keys| keys.ways.iter().filter_map(|way| keys.terms(*way)));
        std::iter::once(None).chain(ways.map(Some)).collect()
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
