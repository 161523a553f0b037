//! Network functions at nodes: the engine's own instances, with real packets.
//!
//! A packet of the simulator becomes a frame (`frame`) only at a node that has NFs, and only if it is theirs to see;
//! an instance gets it in a burst of one, at the simulator's time. What comes out is read back: the fields that the
//! simulator knows go into the packet, and if the bytes say more than that (a tag, a changed address, a flipped bit),
//! they go along with it to the next NF.

mod frame;
mod stands;
#[cfg(test)]
mod tests;

pub use frame::{Directory, PORT_OTHER, PORT_PRIORITY, key};
pub use stands::{NfCount, Passed, Place, Stands, Stop};

use crate::topology::{NodeId, Topology};
use dpdk::{Eal, EalOptions};
use engine::{Prepared, Registry, Site, StandPools};
use serde::Deserialize;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

/// The port of an NF by which packets from its hosts' side come in.
pub const SOUTH: u16 = 0;
/// The port by which packets from the network's side come in.
pub const NORTH: u16 = 1;

/// Packets that NFs of all nodes may hold at once.
const PACKETS: u32 = 16_384;

/// Which packets an NF gets to see.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Traffic {
    /// Those of priority flows. The others go past it as if it were not there, and cost the simulation nothing: right
    /// where the NF forwards them as they are.
    #[default]
    Priority,
    /// All.
    All,
}

/// An NF at nodes, as a configuration has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// One node (`leaf-3`), or all of a tier (`hosts`, `leaves`, `spines`, `cores`, `tier4`, `tier5`), each with an
    /// instance of its own.
    pub at: String,
    /// Its kind.
    pub kind: String,
    /// Which packets it sees.
    #[serde(default)]
    pub traffic: Traffic,
    /// Its configuration, as in the file of an engine, without `kind`.
    #[serde(default)]
    pub config: toml::Table,
}

/// Why NFs cannot be at their nodes.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// There is no such node.
    #[error("no node is named '{0}': write leaf-0, spine-2, or all: hosts, leaves, spines, cores")]
    Node(String),
    /// There is no such NF.
    #[error("there is no NF of kind '{0}'")]
    Kind(String),
    /// Its configuration is wrong.
    #[error("{kind} at {at}: {what}")]
    Config {
        /// The kind.
        kind: String,
        /// Its nodes.
        at: String,
        /// What is wrong.
        what: String,
    },
    /// There is no packet memory.
    #[error("no packet memory: {0}")]
    Memory(String),
}

/// An NF that is ready to be at nodes.
pub struct Placed {
    nodes: std::ops::Range<NodeId>,
    traffic: Traffic,
    prepared: Arc<dyn Prepared>,
    /// Its counters, by name.
    counters: &'static [&'static str],
}

/// Makes NFs ready, once for all runs of a network.
///
/// # Errors
/// Nodes and kinds that are not there, configurations that are wrong.
pub fn place(
    attachments: &[Attachment],
    topology: &Topology,
    registry: &Registry,
    folder: &Path,
    seed: u64,
) -> Result<Vec<Placed>, AttachError> {
    attachments.iter().map(|attachment| one(attachment, topology, registry, folder, seed)).collect()
}

fn one(
    attachment: &Attachment,
    topology: &Topology,
    registry: &Registry,
    folder: &Path,
    seed: u64,
) -> Result<Placed, AttachError> {
    let Attachment { at, kind, traffic, config } = attachment;
    let nodes = topology.named(at).ok_or_else(|| AttachError::Node(at.clone()))?;
    let entry = registry.get(kind).ok_or_else(|| AttachError::Kind(kind.clone()))?;
    let wrong = |what: String| AttachError::Config {
        kind: kind.clone(),
        at: at.clone(),
        what: what.trim().to_owned(),
    };
    let text = toml::to_string(config).map_err(|error| wrong(error.to_string()))?;
    let table = DeTable::parse(&text).map_err(|error| wrong(error.to_string()))?;
    let span = table.span();
    let table = ValueDeserializer::from(Spanned::new(span, DeValue::Table(table.into_inner())));
    let configured = entry.configure(table).map_err(|error| wrong(error.message().to_owned()))?;
    let site = Site {
        name: kind.clone(),
        folder: folder.to_owned(),
        ports: ["south", "north", "route", "alternative"].map(str::to_owned).to_vec(),
        gates: vec![2, 3],
        workers: 1,
        seed,
    };
    let prepared = configured.prepare(&site).map_err(|error| wrong(error.to_string()))?;
    Ok(Placed { nodes, traffic: *traffic, counters: prepared.counters(), prepared })
}

/// Packet memory, on an EAL without hugepages and devices that any user can start; once per process.
///
/// # Errors
/// Why EAL did not start or has no memory.
pub fn memory() -> Result<&'static StandPools, AttachError> {
    static POOLS: OnceLock<Result<StandPools, String>> = OnceLock::new();
    let start = || {
        let options = EalOptions {
            hugepages: false,
            pci: false,
            memory_mb: 256,
            file_prefix: format!("sim-{}", std::process::id()),
            extra: Vec::new(),
        };
        let eal = Eal::init(&options).map_err(|error| error.to_string())?;
        StandPools::new(&eal, PACKETS).map_err(|error| error.to_string())
    };
    POOLS.get_or_init(start).as_ref().map_err(|why| AttachError::Memory(why.clone()))
}
