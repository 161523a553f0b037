//! All counters of the engine at one moment, in the shape in which they are printed and sent.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Drops by name: `<nf or port>.<reason>` in totals, `<reason>` where the owner is clear.
pub type Drops = BTreeMap<String, u64>;

/// All counters of the engine at one moment.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// Seconds since the engine started.
    pub seconds: f64,
    /// The account of all packets.
    pub packets: Packets,
    /// By port name.
    pub ports: BTreeMap<String, PortSnapshot>,
    /// By chain name.
    pub chains: BTreeMap<String, ChainSnapshot>,
    /// Worker by worker.
    pub workers: Vec<WorkerSnapshot>,
}

/// The account of all packets: received + created = sent + sum of dropped + absorbed + held.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Packets {
    /// Taken from ports.
    pub received: u64,
    /// Made by NFs.
    pub created: u64,
    /// Given to ports.
    pub sent: u64,
    /// Ended, by `<nf or port>.<reason>`.
    pub dropped: Drops,
    /// Consumed by NFs.
    pub absorbed: u64,
    /// Held by NFs, or on the way between workers, at this moment.
    pub held: u64,
}

impl Packets {
    /// Whether the books balance.
    pub fn balanced(&self) -> bool {
        self.received + self.created
            == self.sent + self.dropped.values().sum::<u64>() + self.absorbed + self.held
    }
}

/// One port.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct PortSnapshot {
    /// The device behind it.
    pub device: String,
    /// Whether the link is up.
    pub link: bool,
    /// Packets taken from it.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Packets given to it.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Packets that ended at the port, by reason: no chain for them, transmit queue full, ….
    pub dropped: Drops,
    /// Packets that the device itself lost before the engine saw them (not in the engine's account).
    pub missed: u64,
}

/// One chain.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct ChainSnapshot {
    /// Packets that took it.
    pub packets: u64,
    /// Their bytes on entry.
    pub bytes: u64,
    /// TSC cycles per packet for the whole chain; absent before anything was measured.
    pub cycles_per_packet: Option<f64>,
    /// From receive to transmit, sampled.
    pub latency_ns: Option<Latency>,
    /// What running side by side has cost; absent where nothing has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fork: Option<ForkSnapshot>,
    /// By NF name.
    pub nfs: BTreeMap<String, NfSnapshot>,
    /// The NFs' names in the chain's order.
    pub path: Vec<String>,
}

/// One NF in one chain.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct NfSnapshot {
    /// Its kind.
    pub kind: String,
    /// Packets that it was given.
    pub packets: u64,
    /// Packets that it dropped, by reason (only reasons that occurred).
    pub dropped: Drops,
    /// Packets that it consumed.
    pub absorbed: u64,
    /// Packets that it created.
    pub created: u64,
    /// Packets that it holds.
    pub held: u64,
    /// TSC cycles per packet; absent before anything was measured.
    pub cycles_per_packet: Option<f64>,
    /// What that was measured on.
    #[serde(default)]
    pub measured: Measured,
    /// Its own counters, by name.
    pub counters: BTreeMap<String, u64>,
    /// Panics that were caught.
    pub panics: u64,
}

/// Cycles of the bursts that were measured, one in 16.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Measured {
    /// TSC cycles.
    pub cycles: u64,
    /// Packets in these bursts.
    pub packets: u64,
}

/// Mirrors and merges that were measured, those of one burst in 16, and the TSC cycles that they took.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ForkSnapshot {
    /// Bursts that were mirrored and merged.
    pub forks: u64,
    /// Their packets.
    pub packets: u64,
    /// Times that one of these was given to a branch beyond the first.
    pub copies: u64,
    /// To give the branches the packets.
    pub mirror: u64,
    /// From a branch's way to another core until it begins there, and from its end until the worker has it; of the
    /// branch that took longest on its ways.
    pub handoff: u64,
    /// From the end of the worker's own branch until all others were back.
    pub wait: u64,
    /// To bring the results together.
    pub merge: u64,
}

/// Latency percentiles, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Latency {
    /// Half of the packets took no longer.
    pub p50: u64,
    /// 99 %.
    pub p99: u64,
    /// 99.9 %.
    pub p999: u64,
    /// The longest that was sampled.
    pub max: u64,
}

/// One worker.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct WorkerSnapshot {
    /// The core that it is pinned to.
    pub core: usize,
    /// Rounds of its loop.
    pub polls: u64,
    /// Rounds in which there was something to do.
    pub busy_polls: u64,
    /// Time of the rounds in which there was something to do, in nanoseconds.
    #[serde(default)]
    pub busy_ns: u64,
    /// CPU time of its thread, in nanoseconds.
    pub cpu_ns: u64,
    /// Whether it has not come round for longer than the watchdog allows.
    pub stalled: bool,
}
