//! Opening what is behind a port, and giving its queues to workers.

use crate::error::EngineError;
use crate::layout::Layout;
use crate::plan::{Device, Plan, PortPlan};
use crate::sink::{CaptureTx, QueueTx, Recorded, Tx};
use crate::source::{CaptureSource, Rx, Source, SourceProgress};
use capture::{Format, Reader, Resolution, Writer};
use dpdk::{Eal, Pool, Port, PortConfig, RxQueue, TxQueue};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A port that is open, apart from its queues, which are with the workers.
pub(crate) struct OpenPort {
    pub plan: PortPlan,
    /// The device, for its counters and its link; none for a capture.
    pub device: Option<Port>,
    /// How far a capture source is.
    pub progress: Option<Arc<SourceProgress>>,
    /// Where a capture sink that several workers fill is to be written.
    pub ordered: Option<Writer>,
    /// The NUMA node of the device.
    pub socket: Option<u32>,
    /// The device can place flows by a symmetric RSS.
    pub rss: bool,
    /// Transmit queues for which there is no worker now.
    pub spare_tx: Vec<Box<QueueTx>>,
    /// Receive queues, while no chain begins at the port.
    pub spare_rx: Vec<RxQueue>,
}

/// Queues and files of a port that no worker has yet.
#[derive(Default)]
pub(crate) struct Loose {
    pub rx: Vec<RxQueue>,
    pub tx: Vec<Box<QueueTx>>,
    pub source: Option<Box<CaptureSource>>,
    pub writer: Option<Box<CaptureTx>>,
    pub records: Vec<Recorded>,
}

impl Loose {
    /// Takes a worker's queue back.
    pub(crate) fn put_tx(&mut self, tx: Tx) {
        match tx {
            Tx::Queue(queue) => self.tx.push(queue),
            Tx::Capture(sink) => match *sink {
                CaptureTx::Ordered(records) => self.records.extend(records),
                direct @ CaptureTx::Direct { .. } => self.writer = Some(Box::new(direct)),
            },
            Tx::Via(_) | Tx::Unused => {}
        }
    }

    /// Takes a worker's queue back.
    pub(crate) fn put_rx(&mut self, source: Source) {
        match source {
            Source::Queue(queue) => self.rx.push(queue),
            Source::Capture(source) => self.source = Some(source),
        }
    }
}

/// Pools by NUMA node.
pub(crate) struct Pools {
    eal: Eal,
    count: u32,
    size: u16,
    /// On a machine of one NUMA node, devices that name it and those that name none share a pool.
    several_nodes: bool,
    pools: BTreeMap<Option<u32>, Pool>,
}

/// Mbufs that each worker keeps at hand in each pool.
const CACHE: u32 = 256;

impl Pools {
    pub(crate) fn new(eal: &Eal, plan: &Plan) -> Pools {
        let count = plan.buffers_made();
        Pools {
            eal: eal.clone(),
            count,
            size: plan.buffers.size,
            several_nodes: numa_nodes() > 1,
            pools: BTreeMap::new(),
        }
    }

    /// The pool of a node, made when it is first asked for.
    pub(crate) fn on(&mut self, socket: Option<u32>) -> Result<Pool, EngineError> {
        let socket = socket.filter(|_| self.several_nodes);
        if let Some(pool) = self.pools.get(&socket) {
            return Ok(pool.clone());
        }
        let pool =
            Pool::new(&self.eal, "packets", self.count, CACHE, self.size, socket).map_err(|error| {
                EngineError::Resource {
                    what: format!("{} packet buffers", self.count),
                    message: error.to_string(),
                }
            })?;
        self.pools.insert(socket, pool.clone());
        Ok(pool)
    }
}

impl Plan {
    /// How many packet buffers the engine makes, on each NUMA node that has ports: as many as the plan says,
    /// else as many as can be in use, and 16 384 at least.
    pub fn buffers_made(&self) -> u32 {
        self.buffers.count.unwrap_or_else(|| self.buffers_needed().max(16_384))
    }

    /// How many packet buffers can be in use at once: descriptors of all queues, what the workers keep at hand,
    /// what waits before transmit queues, rings between workers, branches of parallel segments.
    pub fn buffers_needed(&self) -> u32 {
        const DESCRIPTORS: u32 = 1024;
        let workers = self.cores.len() as u32;
        let ports: u32 = self
            .ports
            .iter()
            .map(|port| {
                let rx = u32::from(port.rx_queues.unwrap_or(workers as u16));
                let rx = rx * port.rx_descriptors.map_or(DESCRIPTORS, u32::from);
                let tx = workers * port.tx_descriptors.map_or(DESCRIPTORS, u32::from);
                rx + tx + workers * 1024
            })
            .sum();
        ports
            + workers * (CACHE * 3 / 2 + 16 * crate::BURST as u32)
            + workers * (workers - 1) * crate::graph::RING
            + self.helpers.len() as u32 * (CACHE * 3 / 2 + 4 * crate::BURST as u32)
    }
}

/// How many NUMA nodes the kernel knows.
fn numa_nodes() -> usize {
    let is_node = |name: &str| name.strip_prefix("node").is_some_and(|rest| rest.parse::<u32>().is_ok());
    let entries = std::fs::read_dir("/sys/devices/system/node").into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_str().is_some_and(is_node)).count()
}

/// Opens a port.
pub(crate) fn open(
    eal: &Eal,
    plan: &PortPlan,
    number: u16,
    pools: &mut Pools,
    layout: &Use,
) -> Result<(OpenPort, Loose), EngineError> {
    let failed = |message: String| EngineError::Port { port: plan.name.clone(), message };
    match &plan.device {
        Device::Dpdk(device) => open_device(eal, plan, device, pools, layout),
        Device::CaptureSource(path) => {
            let reader = Reader::open(path).map_err(|error| failed(error.to_string()))?;
            let (source, progress) = CaptureSource::new(reader, pools.on(None)?, number);
            let loose = Loose { source: Some(Box::new(source)), ..Loose::default() };
            Ok((OpenPort::capture(plan, Some(progress), None), loose))
        }
        Device::CaptureSink(path) => {
            let writer = create(path, layout.resolution).map_err(failed)?;
            // Several workers of a replay finish packets in any order: they are put in order at the end.
            if layout.ordered {
                return Ok((OpenPort::capture(plan, None, Some(writer)), Loose::default()));
            }
            let direct = CaptureTx::Direct { writer: Box::new(writer), error: None };
            let loose = Loose { writer: Some(Box::new(direct)), ..Loose::default() };
            Ok((OpenPort::capture(plan, None, None), loose))
        }
    }
}

/// How a port will be used, as far as opening it depends on that.
pub(crate) struct Use {
    pub workers: usize,
    /// Captures written by several workers are put in order at the end.
    pub ordered: bool,
    /// The finest resolution of the timestamps that come in.
    pub resolution: Resolution,
}

impl OpenPort {
    fn capture(plan: &PortPlan, progress: Option<Arc<SourceProgress>>, ordered: Option<Writer>) -> OpenPort {
        OpenPort {
            plan: plan.clone(),
            device: None,
            progress,
            ordered,
            socket: None,
            rss: false,
            spare_tx: Vec::new(),
            spare_rx: Vec::new(),
        }
    }
}

fn create(path: &Path, resolution: Resolution) -> Result<Writer, String> {
    Writer::create(path, Format::for_path(path, resolution)).map_err(|error| error.to_string())
}

fn open_device(
    eal: &Eal,
    plan: &PortPlan,
    device: &str,
    pools: &mut Pools,
    layout: &Use,
) -> Result<(OpenPort, Loose), EngineError> {
    let failed = |message: String| EngineError::Port { port: plan.name.clone(), message };
    let port = Port::probe(eal, device).map_err(|error| failed(error.to_string()))?;
    let info = port.info().map_err(|error| failed(error.to_string()))?;
    let workers = u16::try_from(layout.workers).unwrap_or(u16::MAX);
    // Several receive queues pay only where both directions of a flow come to the same one, or where the
    // operator says so.
    let natural = if info.rss_symmetric { workers } else { 1 };
    let rx_queues = plan.rx_queues.unwrap_or(natural);
    if rx_queues == 0 || rx_queues > info.max_rx_queues {
        return Err(failed(format!(
            "rx_queues = {rx_queues}: {} has 1 to {} receive queues",
            info.driver, info.max_rx_queues
        )));
    }
    if let Some(mtu) = plan.mtu
        && !(info.min_mtu..=info.max_mtu).contains(&mtu)
    {
        return Err(failed(format!(
            "mtu = {mtu}: {} takes {} to {}",
            info.driver, info.min_mtu, info.max_mtu
        )));
    }
    // A tap is one file per queue, for both ways: its driver wants as many of each.
    let tx_queues = match info.driver.as_str() {
        "net_tap" => rx_queues,
        _ => workers.min(info.max_tx_queues).max(1),
    };
    let config = PortConfig {
        rx_queues,
        tx_queues,
        rx_descriptors: plan.rx_descriptors,
        tx_descriptors: plan.tx_descriptors,
        mtu: plan.mtu,
        promiscuous: plan.promiscuous,
        rss: rx_queues > 1 && info.rss_symmetric,
        rx_checksum: plan.checksum_offload && info.rx_checksum,
        tx_checksum: plan.checksum_offload && info.tx_checksum,
    };
    if plan.checksum_offload && !(info.rx_checksum || info.tx_checksum) {
        tracing::warn!(port = plan.name, driver = info.driver, "the device offers no checksum offload");
    }
    let pool = pools.on(info.socket)?;
    let per_queue = vec![pool; usize::from(rx_queues)];
    let (rx, tx) = port.start(&config, &per_queue).map_err(|error| failed(error.to_string()))?;
    let tx = tx.into_iter().map(|queue: TxQueue| Box::new(QueueTx::new(queue))).collect();
    let open = OpenPort {
        plan: plan.clone(),
        device: Some(port),
        progress: None,
        ordered: None,
        socket: info.socket,
        rss: info.rss_symmetric,
        spare_tx: Vec::new(),
        spare_rx: Vec::new(),
    };
    Ok((open, Loose { rx, tx, ..Loose::default() }))
}

/// The capture sources of a plan, to know their resolution before any sink is created.
pub(crate) fn finest_resolution(plan: &Plan) -> Resolution {
    let files: Vec<&PathBuf> = plan
        .ports
        .iter()
        .filter_map(|port| match &port.device {
            Device::CaptureSource(path) => Some(path),
            _ => None,
        })
        .collect();
    if files.is_empty() {
        // Live packets are stamped to the nanosecond.
        return Resolution::Nano;
    }
    let nano =
        |path: &&PathBuf| Reader::open(path).is_ok_and(|reader| reader.resolution() == Resolution::Nano);
    if files.iter().any(nano) { Resolution::Nano } else { Resolution::Micro }
}

/// Gives a port's receive queues to workers.
pub(crate) fn share_rx(
    port: usize,
    open: &mut OpenPort,
    loose: &mut Loose,
    workers: usize,
    layout: &Layout,
    rx: &mut [Vec<Rx>],
) {
    loose.rx.append(&mut open.spare_rx);
    if layout.by_port[port].is_empty() {
        // Nobody wants what comes in there: it stays with the device.
        open.spare_rx.append(&mut loose.rx);
        return;
    }
    let queues = loose.rx.len();
    for (index, queue) in loose.rx.drain(..).enumerate() {
        // As many queues as workers: one each. Fewer: ports start at different workers.
        let worker = if queues >= workers { index % workers } else { (port + index) % workers };
        rx[worker].push(Rx { port, source: Source::Queue(queue) });
    }
    if let Some(mut source) = loose.source.take() {
        source.renumber(port as u16);
        // All captures on one worker, which merges them by time.
        rx[0].push(Rx { port, source: Source::Capture(source) });
    }
}

/// Gives a port's transmit queues to workers; those without one go via one that has.
pub(crate) fn share_tx(open: &mut OpenPort, loose: &mut Loose, workers: usize) -> Vec<Tx> {
    if open.ordered.is_some() {
        let mut records = std::mem::take(&mut loose.records);
        let first = std::mem::take(&mut records);
        let rest = (1..workers).map(|_| Vec::new());
        return std::iter::once(first)
            .chain(rest)
            .map(|records| Tx::Capture(Box::new(CaptureTx::Ordered(records))))
            .collect();
    }
    if let Some(writer) = loose.writer.take() {
        let via = (1..workers).map(|_| Tx::Via(0));
        return std::iter::once(Tx::Capture(writer)).chain(via).collect();
    }
    loose.tx.append(&mut open.spare_tx);
    if loose.tx.is_empty() {
        // A capture source: packets only come from there.
        return (0..workers).map(|_| Tx::Unused).collect();
    }
    let queues = loose.tx.len();
    let mut own = loose.tx.drain(..);
    let shared = (0..workers).map(|worker| own.next().map_or(Tx::Via(worker % queues), Tx::Queue)).collect();
    open.spare_tx.extend(own);
    shared
}
