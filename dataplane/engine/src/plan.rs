//! What the engine is asked to run: ports, NFs and chains, all of it checked and prepared.
//!
//! `control` makes a plan out of a configuration file. Names are the identity across plans: a port that is
//! planned alike keeps running when the next plan is applied, an NF of the same name and kind keeps its state.

use crate::registry::Prepared;
use crate::segment::Segment;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tables::expression::Expression;

/// A whole configuration, ready to run.
#[derive(Clone)]
pub struct Plan {
    /// The core of each worker; the place in the list is the worker's number.
    pub cores: Vec<usize>,
    /// The core of each helper, a thread that runs branches of parallel segments: the n-th serves the worker whose number
    /// is the remainder of n by the number of workers.
    pub helpers: Vec<usize>,
    /// What a worker does when there is nothing to do.
    pub idle: Idle,
    /// Packet buffers: how many per NUMA node, and how much of a packet each holds.
    pub buffers: Buffers,
    /// The ports; the place in the list is the port's number.
    pub ports: Vec<PortPlan>,
    /// The NFs.
    pub nfs: Vec<NfPlan>,
    /// The chains; of those that begin at one port, the first that matches gets the packet.
    pub chains: Vec<ChainPlan>,
    /// Seed of everything random.
    pub seed: u64,
}

/// What a worker does when there is nothing to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Idle {
    /// Polls on: lowest latency, one core fully used.
    #[default]
    Spin,
    /// Sleeps until a device, another worker or a timer needs it, and naps where a device tells nothing: under 5 % of
    /// the core, awake within 200 µs, on devices that tell.
    Adaptive,
}

/// Packet buffers (mbufs).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Buffers {
    /// How many; `None`: as many as the plan can have in flight.
    pub count: Option<u32>,
    /// Bytes of packet data per buffer, without headroom.
    pub size: u16,
}

impl Default for Buffers {
    fn default() -> Self {
        Buffers { count: None, size: 2048 }
    }
}

/// One port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PortPlan {
    /// Its name in the configuration.
    pub name: String,
    /// What is behind it.
    pub device: Device,
    /// Receive queues; `None`: one per worker where the device has a symmetric RSS, else one.
    pub rx_queues: Option<u16>,
    /// Packets per receive queue; `None`: the driver's choice.
    pub rx_descriptors: Option<u16>,
    /// Packets per transmit queue; `None`: the driver's choice.
    pub tx_descriptors: Option<u16>,
    /// Largest packet, in bytes without the Ethernet header; `None`: as the device is.
    pub mtu: Option<u16>,
    /// Receive what is addressed to others too; `None`: yes, as a middlebox must.
    pub promiscuous: Option<bool>,
    /// Let the device check (receive) and compute (transmit) checksums where it can.
    pub checksum_offload: bool,
}

impl PortPlan {
    /// A port that is as the device and its driver have it.
    pub fn new(name: impl Into<String>, device: Device) -> PortPlan {
        PortPlan {
            name: name.into(),
            device,
            rx_queues: None,
            rx_descriptors: None,
            tx_descriptors: None,
            mtu: None,
            promiscuous: None,
            checksum_offload: false,
        }
    }
}

/// What is behind a port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Device {
    /// A DPDK device: a PCI address or a virtual device string.
    Dpdk(String),
    /// The engine's own deterministic source: plays a capture file, whose timestamps drive the clock.
    CaptureSource(PathBuf),
    /// The engine's own sink: writes a capture file, in input order.
    CaptureSink(PathBuf),
}

impl Device {
    /// What can be seen to be wrong with a DPDK device without opening it.
    pub fn flaw(&self) -> Option<dpdk::Flaw> {
        match self {
            Device::Dpdk(device) => dpdk::Port::flaw(device),
            Device::CaptureSource(_) | Device::CaptureSink(_) => None,
        }
    }
}

/// One NF.
#[derive(Clone)]
pub struct NfPlan {
    /// Its name in the configuration.
    pub name: String,
    /// What it is.
    pub prepared: Arc<dyn Prepared>,
    /// What becomes of packets while it is poisoned by a panic.
    pub on_panic: OnPanic,
    /// How often its state is saved, to be restored after a panic; `None`: it restarts empty.
    pub snapshot: Option<Duration>,
}

/// What becomes of packets while an NF is poisoned by a panic.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnPanic {
    /// They are dropped as `poisoned`: right for whatever guards something.
    #[default]
    Drop,
    /// They pass the NF by.
    Bypass,
}

/// One chain.
#[derive(Clone)]
pub struct ChainPlan {
    /// Its name in the configuration.
    pub name: String,
    /// Number of the port where it begins.
    pub from: u16,
    /// Which packets take it.
    pub matcher: Expression,
    /// The NFs in order, as indices into [`Plan::nfs`].
    pub path: Vec<usize>,
    /// Numbers of the ports where it ends: gate n of the last NF leads to the n-th.
    pub to: Vec<u16>,
    /// What of it runs side by side, where workers have helpers; `None`: nothing.
    pub parallel: Option<Parallel>,
}

/// How a chain runs side by side.
#[derive(Clone, PartialEq, Debug)]
pub struct Parallel {
    /// What runs when. Where two NFs stand side by side, their declared effects allow it.
    pub segment: Segment,
    /// How long a worker waits for a branch; not bounded in a replay.
    pub patience: Duration,
    /// What becomes of packets for which a branch does not answer. [`OnPanic::Bypass`] holds where no branch of the
    /// segment may drop or write: else they are dropped.
    pub on_timeout: OnPanic,
}
