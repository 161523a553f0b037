//! The registry: a value that holds every kind of NF that a binary knows.

use crate::effects::Effects;
use crate::nf::{Command, Door, Gates, Kind, Nf, Ownership};
use crate::site::{ConfigError, Site, WorkerSite};
use crate::state::Record;
use schemars::Schema;
use serde::de::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use toml::de::ValueDeserializer;

/// All kinds of NF that can be named in a configuration.
#[derive(Clone, Default)]
pub struct Registry {
    entries: Vec<Entry>,
}

impl Registry {
    /// Without any kind.
    pub fn new() -> Self {
        Registry::default()
    }

    /// Adds a kind; one of the same name is replaced.
    #[must_use]
    pub fn with<K: Kind>(mut self) -> Self {
        self.entries.retain(|entry| entry.name != K::NAME);
        self.entries.push(Entry::of::<K>());
        self
    }

    /// The kind of that name.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// All kinds, in the order of registration.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }
}

/// What is known of one kind without an instance.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// One line of what it does.
    pub summary: &'static str,
    /// Names of its drop reasons.
    pub drops: &'static [&'static str],
    /// Names of its counters.
    pub counters: &'static [&'static str],
    /// The commands that it answers.
    pub commands: &'static [Command],
    /// Its gates.
    pub gates: Gates,
    /// Names of the keys whose values are secrets.
    pub secrets: &'static [&'static str],
    /// A configuration that works, in TOML, without `kind`.
    pub example: &'static str,
    /// JSON schema of its configuration.
    pub schema: fn() -> Schema,
    configure: fn(ValueDeserializer<'_>) -> Result<Box<dyn Configured>, toml::de::Error>,
}

impl Entry {
    fn of<K: Kind>() -> Self {
        Entry {
            name: K::NAME,
            summary: K::SUMMARY,
            drops: K::DROPS,
            counters: K::COUNTERS,
            commands: K::COMMANDS,
            gates: K::GATES,
            secrets: K::SECRETS,
            example: K::EXAMPLE,
            schema: || schemars::schema_for!(K::Config),
            configure: |de| Ok(Box::new(Typed::<K> { config: K::Config::deserialize(de)? })),
        }
    }

    /// Reads a configuration of this kind (its table without `kind`).
    ///
    /// # Errors
    /// Unknown keys and bad values, with the place in the text that `config` was parsed from.
    pub fn configure(&self, config: ValueDeserializer<'_>) -> Result<Box<dyn Configured>, toml::de::Error> {
        (self.configure)(config)
    }
}

/// A configuration that was read, of a kind that is no longer told.
pub trait Configured: Send + Sync {
    /// As JSON, with every default filled in: how two configurations are compared.
    fn json(&self) -> Value;

    /// Does everything that can fail.
    ///
    /// # Errors
    /// Files that are not there, rules that do not parse, ports that do not exist.
    fn prepare(&self, site: &Site) -> Result<Arc<dyn Prepared>, ConfigError>;

    /// The ports behind which the NF lives.
    fn doors(&self) -> Vec<Door>;
}

/// A prepared NF, ready to make instances.
pub trait Prepared: Send + Sync {
    /// The kind's name.
    fn kind(&self) -> &'static str;
    /// What works, though probably not as meant.
    fn remarks(&self) -> Vec<ConfigError>;
    /// What it does to packets.
    fn effects(&self) -> Effects;
    /// Names of its drop reasons.
    fn drops(&self) -> &'static [&'static str];
    /// Names of its counters.
    fn counters(&self) -> &'static [&'static str];
    /// The rule by which packets find the worker that owns them, if it has one of its own.
    fn ownership(&self) -> Option<Arc<dyn Ownership>>;
    /// An instance for one worker.
    fn instance(&self, worker: &WorkerSite) -> Box<dyn Nf>;
    /// Joins what the instances of several workers say of one flow.
    fn unite(&self, flows: &mut Vec<Record>);
    /// The kinds of records that the one answer of all workers to a command follows from; none: each answers.
    fn follows_from(&self, command: &str) -> &'static [&'static str];
    /// Writes the NF's report at the end of a run, from the exported state of all workers.
    ///
    /// # Errors
    /// What kept the report from being written.
    fn finish(&self, records: &[Record]) -> Result<(), ConfigError>;
}

struct Typed<K: Kind> {
    config: K::Config,
}

impl<K: Kind> Configured for Typed<K> {
    fn json(&self) -> Value {
        serde_json::to_value(&self.config).unwrap_or(Value::Null)
    }

    fn prepare(&self, site: &Site) -> Result<Arc<dyn Prepared>, ConfigError> {
        Ok(Arc::new(TypedPlan::<K> { plan: Arc::new(K::prepare(&self.config, site)?) }))
    }

    fn doors(&self) -> Vec<Door> {
        K::doors(&self.config)
    }
}

struct TypedPlan<K: Kind> {
    plan: Arc<K::Plan>,
}

impl<K: Kind> Prepared for TypedPlan<K> {
    fn kind(&self) -> &'static str {
        K::NAME
    }

    fn remarks(&self) -> Vec<ConfigError> {
        K::remarks(&self.plan)
    }

    fn effects(&self) -> Effects {
        K::effects(&self.plan)
    }

    fn drops(&self) -> &'static [&'static str] {
        K::DROPS
    }

    fn counters(&self) -> &'static [&'static str] {
        K::COUNTERS
    }

    fn ownership(&self) -> Option<Arc<dyn Ownership>> {
        K::ownership(&self.plan)
    }

    fn instance(&self, worker: &WorkerSite) -> Box<dyn Nf> {
        Box::new(K::instance(&self.plan, worker))
    }

    fn unite(&self, flows: &mut Vec<Record>) {
        K::unite(flows);
    }

    fn follows_from(&self, command: &str) -> &'static [&'static str] {
        K::follows_from(command)
    }

    fn finish(&self, records: &[Record]) -> Result<(), ConfigError> {
        K::finish(&self.plan, records)
    }
}
