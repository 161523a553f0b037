//! Where an NF will run: what it may know of its surroundings while it is prepared.

use std::path::PathBuf;

/// The surroundings of an NF in its configuration.
#[derive(Clone, Debug, Default)]
pub struct Site {
    /// Its name in the configuration.
    pub name: String,
    /// Folder that relative paths in the configuration start from.
    pub folder: PathBuf,
    /// Names of all ports; a port's number is its place here.
    pub ports: Vec<String>,
    /// Numbers of the ports behind the gates of the chains that the NF ends, gate by gate.
    pub gates: Vec<u16>,
    /// Number of workers.
    pub workers: usize,
    /// Seed of everything random, so that a run can be repeated.
    pub seed: u64,
}

impl Site {
    /// A path as written in the configuration, made absolute where it was relative.
    pub fn path(&self, written: &str) -> PathBuf {
        self.folder.join(written)
    }

    /// The number of a port by its name.
    pub fn port(&self, name: &str) -> Option<u16> {
        self.ports.iter().position(|port| port == name).and_then(|i| u16::try_from(i).ok())
    }
}

/// The worker for which an instance is made.
#[derive(Clone, Copy, Debug)]
pub struct WorkerSite {
    /// Its number, from 0.
    pub index: usize,
    /// How many workers there are.
    pub count: usize,
    /// Seed of everything random on this worker.
    pub seed: u64,
}

/// What is wrong with an NF's configuration, and what would be right.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ConfigError {
    /// The key at fault, if one is: `rules`, or an item of it, `rules[2]`.
    pub key: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
    /// What else is wrong.
    pub also: Vec<ConfigError>,
}

impl ConfigError {
    /// An error at `key`.
    pub fn at(key: &str, message: impl Into<String>) -> Self {
        ConfigError { key: Some(key.to_owned()), message: message.into(), help: None, also: Vec::new() }
    }

    /// Both: a user wants to hear of all mistakes at once.
    #[must_use]
    pub fn and(mut self, other: ConfigError) -> Self {
        self.also.push(other);
        self
    }

    /// The same with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
