//! The engine as control sees it: start, change, ask, stop.

use crate::clock::Clock;
use crate::crew::{Crew, Hand};
use crate::device::{self, Loose, OpenPort, Pools, Use};
use crate::effects::Effects;
use crate::error::EngineError;
use crate::inbox::Outlet;
use crate::layout::{Hashing, Layout};
use crate::plan::{Device, NfPlan, Plan, PortPlan};
use crate::rewire::NextGraphs;
use crate::snapshot::Snapshot;
use crate::stats::WorkerStats;
use crate::supervisor::{self, EngineEvent, Supervisor};
use crate::totals::Totals;
use crossbeam::channel::{Receiver, bounded, unbounded};
use dpdk::{Eal, Pool};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

mod ending;
mod state;

pub(crate) use state::{all_pages, guarded};

/// Reports from workers that wait for the supervisor.
const REPORTS: usize = 1024;

/// A running engine.
///
/// All methods may be called from any thread. They talk to the workers by mailbox, so they may take
/// milliseconds; packets never wait for them, but for the moment in which [`Engine::apply`] swaps graphs.
pub struct Engine {
    inner: Arc<Mutex<Inner>>,
    events: Receiver<EngineEvent>,
    supervisor: Mutex<Option<Supervisor>>,
}

/// A change that was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Applied {
    /// The number of the configuration that runs now; the first is 1.
    pub generation: u64,
    /// For how long no packets were received.
    pub pause: Duration,
}

/// One NF that runs.
#[derive(Clone, PartialEq, Debug)]
pub struct NfInfo {
    /// Its name in the configuration.
    pub name: String,
    /// Its kind.
    pub kind: &'static str,
    /// What it declares.
    pub effects: Effects,
}

pub(crate) struct Inner {
    eal: Eal,
    clock: Clock,
    started: Instant,
    outlet: Outlet,
    pub plan: Plan,
    pub layout: Arc<Layout>,
    pub crew: Crew,
    pools: Pools,
    /// Where the workers' own packets come from.
    pool: Pool,
    pub ports: BTreeMap<String, OpenPort>,
    pub stats: Vec<Arc<WorkerStats>>,
    retired: Totals,
    /// After a stop: what the workers' counters were.
    final_workers: Vec<crate::snapshot::WorkerSnapshot>,
    /// After a stop: the workers' last graphs, whose state can still be exported.
    ended: Option<ending::Ended>,
}

impl Engine {
    /// Opens ports and starts workers. Packets flow when it returns.
    ///
    /// # Errors
    /// What could not be opened or had; nothing is left running then.
    pub fn start(eal: &Eal, plan: Plan) -> Result<Engine, EngineError> {
        let (events, reports) = bounded(REPORTS);
        let (panics, falls) = unbounded();
        let outlet = Outlet { events, panics };
        let clock = Clock::start();
        let mut pools = Pools::new(eal, &plan);
        let usage = usage(&plan);
        let mut ports = BTreeMap::new();
        let mut loose = Vec::new();
        for (number, port) in plan.ports.iter().enumerate() {
            let (open, queues) = device::open(eal, port, number as u16, &mut pools, &usage)?;
            ports.insert(port.name.clone(), open);
            loose.push(queues);
        }
        let layout = Arc::new(Layout::compile(&plan, 1, hashing(&ports), None));
        let pool = pools.on(ports.values().find_map(|port| port.socket))?;
        let next = NextGraphs::prepare(eal, &plan, layout.clone(), pool.clone(), 0)?;
        let mut crew = Crew::default();
        for (index, &core) in plan.cores.iter().enumerate() {
            match Hand::start(eal, index, core, plan.idle, clock, outlet.clone()) {
                Ok(hand) => crew.hands.push(hand),
                Err(error) => {
                    crew.hands.into_iter().for_each(Hand::dismiss);
                    return Err(error);
                }
            }
        }
        warn_of_distant_ports(&plan, &ports);
        let graphs = {
            let mut in_order = in_plan_order(&plan, &mut ports, loose);
            next.build(Vec::new(), &mut in_order, &crew.signals()).0
        };
        let stats = graphs.iter().map(|graph| graph.stats.clone()).collect();
        crew.install(graphs);
        let inner = Inner {
            eal: eal.clone(),
            clock,
            started: Instant::now(),
            outlet,
            plan,
            layout,
            crew,
            pools,
            pool,
            ports,
            stats,
            retired: Totals::default(),
            final_workers: Vec::new(),
            ended: None,
        };
        let inner = Arc::new(Mutex::new(inner));
        let (supervisor, events) = supervisor::start(inner.clone(), reports, falls)?;
        Ok(Engine { inner, events, supervisor: Mutex::new(Some(supervisor)) })
    }

    /// Runs another plan in place of this one: everything that can fail first, then a swap in which no packet is
    /// lost and no flow reordered. On any error the old plan goes on untouched.
    ///
    /// # Errors
    /// What the new plan could not get, or what a running engine cannot change.
    pub fn apply(&self, plan: Plan) -> Result<Applied, EngineError> {
        let mut inner = self.lock();
        if inner.ended.is_some() {
            return Err(EngineError::Stopped);
        }
        inner.apply(plan)
    }

    /// All counters now.
    pub fn snapshot(&self) -> Snapshot {
        self.lock().snapshot()
    }

    /// The NFs that run.
    pub fn nfs(&self) -> Vec<NfInfo> {
        let info = |nf: &NfPlan| NfInfo {
            name: nf.name.clone(),
            kind: nf.prepared.kind(),
            effects: nf.prepared.effects(),
        };
        self.lock().plan.nfs.iter().map(info).collect()
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.lock().plan.cores.len()
    }

    /// What happens in the engine. One consumer; events that nobody takes are dropped when 1 024 wait.
    pub fn events(&self) -> Receiver<EngineEvent> {
        self.events.clone()
    }

    /// Whether there are capture sources, and all of them have come to their end, and everything that they gave
    /// has left.
    pub fn exhausted(&self) -> bool {
        let inner = self.lock();
        let mut sources = inner.ports.values().filter_map(|port| port.progress.as_ref()).peekable();
        sources.peek().is_some() && sources.all(|progress| progress.exhausted.load(Acquire))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }
}

/// A panic elsewhere while the lock was held left nothing half done that the next holder could not see: go on.
pub(crate) fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    fn apply(&mut self, plan: Plan) -> Result<Applied, EngineError> {
        self.check_change(&plan)?;
        let generation = self.layout.generation + 1;
        let usage = usage(&plan);

        // Prepare: everything that can fail.
        let mut fresh = BTreeMap::new();
        for (number, port) in plan.ports.iter().enumerate() {
            if !self.ports.contains_key(&port.name) {
                let opened = device::open(&self.eal, port, number as u16, &mut self.pools, &usage)?;
                fresh.insert(port.name.clone(), opened);
            }
        }
        let hashing = self.layout.hashing;
        let layout = Arc::new(Layout::compile(&plan, generation, hashing, Some(&self.layout)));
        let before = self.crew.hands.len();
        let mut next = NextGraphs::prepare(&self.eal, &plan, layout.clone(), self.pool.clone(), before)?;
        let mut hired = Vec::new();
        for (index, &core) in plan.cores.iter().enumerate().skip(before) {
            match Hand::start(&self.eal, index, core, plan.idle, self.clock, self.outlet.clone()) {
                Ok(hand) => hired.push(hand),
                Err(error) => {
                    hired.into_iter().for_each(Hand::dismiss);
                    return Err(error);
                }
            }
        }

        if before < layout.workers {
            self.acquaint(&layout, &mut next, before);
        }

        // Commit: stop receiving, let everything out, take, rewire, give.
        let paused = Instant::now();
        let taken = self.crew.quiesce().and_then(|()| self.crew.take());
        let mut old = match taken {
            Ok(graphs) => graphs,
            Err(error) => {
                hired.into_iter().for_each(Hand::dismiss);
                return Err(error);
            }
        };
        let mut loose = collect(&self.layout, &mut old);
        // Their threads end when packets flow again.
        let helpers: Vec<_> = old.iter_mut().flat_map(|graph| graph.lanes.drain(..)).collect();
        let mut queues = Vec::new();
        for port in &plan.ports {
            match fresh.remove(&port.name) {
                Some((open, fresh_queues)) => {
                    self.ports.insert(port.name.clone(), open);
                    queues.push(fresh_queues);
                }
                None => queues.push(loose.remove(&port.name).unwrap_or_default()),
            }
        }
        self.crew.hands.extend(hired);
        let dismissed = self.crew.hands.split_off(plan.cores.len());
        let (graphs, unwanted) = {
            let mut in_order = in_plan_order(&plan, &mut self.ports, queues);
            next.build(old, &mut in_order, &self.crew.signals())
        };
        let stats = graphs.iter().map(|graph| graph.stats.clone()).collect();
        self.crew.install(graphs);
        let pause = paused.elapsed();
        drop(helpers);
        for counted in std::mem::replace(&mut self.stats, stats) {
            self.retired.add_ended(&self.layout, &counted);
            self.retired.add_begun(&self.layout, &counted);
        }

        // What is no longer needed goes only now that packets flow again.
        let old_nfs = std::mem::replace(&mut self.plan, plan.clone()).nfs;
        self.layout = layout;
        dismissed.into_iter().for_each(Hand::dismiss);
        ending::finish_removed(&old_nfs, unwanted);
        if let Err(error) = self.close(loose) {
            tracing::error!(%error, "a removed capture was not written to its end");
        }
        self.ports.retain(|name, _| plan.ports.iter().any(|port| port.name == *name));
        for port in &plan.ports {
            if let Some(open) = self.ports.get_mut(&port.name) {
                retune(open, port);
            }
        }
        Ok(Applied { generation: u64::from(generation), pause })
    }

    /// What a running engine cannot change.
    fn check_change(&self, plan: &Plan) -> Result<(), EngineError> {
        if plan.buffers != self.plan.buffers {
            return Err(EngineError::Unchangeable(
                "packet buffers cannot change while the engine runs".into(),
            ));
        }
        if plan.idle != self.plan.idle {
            return Err(EngineError::Unchangeable("idle cannot change while the engine runs".into()));
        }
        if plan.is_replay() != self.plan.is_replay() {
            return Err(EngineError::Unchangeable(
                "a run on captures and a live one cannot change into each other: packet times would jump"
                    .into(),
            ));
        }
        if plan.is_replay() && plan.cores.len() != self.plan.cores.len() {
            return Err(EngineError::Unchangeable(
                "the number of workers cannot change in a run on captures".into(),
            ));
        }
        for port in &plan.ports {
            let Some(open) = self.ports.get(&port.name) else { continue };
            let live = PortPlan { mtu: port.mtu, promiscuous: port.promiscuous, ..open.plan.clone() };
            if live != *port {
                return Err(EngineError::Port {
                    port: port.name.clone(),
                    message: "device, queues, descriptors and offloads cannot change while it is in use: \
                              give the changed port another name"
                        .to_owned(),
                });
            }
        }
        let kept = self.crew.hands.iter().zip(&plan.cores);
        if let Some((hand, core)) = kept.into_iter().find(|(hand, core)| hand.core != **core) {
            return Err(EngineError::Unchangeable(format!(
                "the worker on core {} cannot move to core {core}: workers are added and removed at the end of the list",
                hand.core
            )));
        }
        Ok(())
    }

    /// All counters added up. What has ended is read before what has begun, over all workers, so that a packet that
    /// moves meanwhile is still on its way and never came out of nowhere.
    fn totals(&self) -> Totals {
        let mut totals = self.retired.clone();
        self.stats.iter().for_each(|stats| totals.add_ended(&self.layout, stats));
        std::sync::atomic::fence(Acquire);
        self.stats.iter().for_each(|stats| totals.add_begun(&self.layout, stats));
        totals
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let totals = self.totals();
        let mut snapshot = totals.snapshot();
        if self.ended.is_some() {
            snapshot.packets.held = totals.held();
        }
        snapshot.seconds = self.started.elapsed().as_secs_f64();
        for (name, open) in &self.ports {
            let port = snapshot.ports.entry(name.clone()).or_default();
            port.device = device_name(&open.plan.device);
            port.link = true;
            if let Some(device) = &open.device {
                port.link = device.link().up;
                let stats = device.stats();
                port.missed = stats.rx_missed + stats.rx_errors + stats.rx_no_mbufs;
            }
        }
        snapshot.workers = self.final_workers.clone();
        snapshot.workers.extend(self.crew.hands.iter().map(|hand| worker_snapshot(hand, self.clock)));
        snapshot
    }
}

fn worker_snapshot(hand: &Hand, clock: Clock) -> crate::snapshot::WorkerSnapshot {
    crate::snapshot::WorkerSnapshot {
        core: hand.core,
        polls: hand.signals.rounds.load(Relaxed),
        busy_polls: hand.signals.busy_rounds.load(Relaxed),
        busy_ns: clock.nanos(hand.signals.busy_cycles.load(Relaxed)),
        cpu_ns: hand.signals.cpu_ns.load(Relaxed),
        stalled: hand.signals.stalled.load(Relaxed),
    }
}

/// The ports of a plan in its order, with their queues.
fn in_plan_order<'a>(
    plan: &Plan,
    ports: &'a mut BTreeMap<String, OpenPort>,
    queues: Vec<Loose>,
) -> Vec<(&'a mut OpenPort, Loose)> {
    let mut by_name: BTreeMap<&str, &mut OpenPort> =
        ports.iter_mut().map(|(name, open)| (name.as_str(), open)).collect();
    plan.ports
        .iter()
        .zip(queues)
        .filter_map(|(port, queues)| Some((by_name.remove(port.name.as_str())?, queues)))
        .collect()
}

/// Takes queues and files out of old graphs, by port.
pub(crate) fn collect(layout: &Layout, graphs: &mut [Box<crate::graph::Graph>]) -> BTreeMap<String, Loose> {
    let mut loose: BTreeMap<String, Loose> = BTreeMap::new();
    for graph in graphs {
        for rx in graph.rx.drain(..) {
            loose.entry(layout.ports[rx.port].clone()).or_default().put_rx(rx.source);
        }
        for (port, tx) in graph.tx.drain(..).enumerate() {
            loose.entry(layout.ports[port].clone()).or_default().put_tx(tx);
        }
    }
    for queues in loose.values_mut() {
        queues.rx.sort_by_key(dpdk::RxQueue::index);
    }
    loose
}

/// What of a port changes while it runs.
fn retune(open: &mut OpenPort, plan: &PortPlan) {
    let Some(device) = &open.device else { return };
    if plan.promiscuous != open.plan.promiscuous {
        let on = plan.promiscuous.unwrap_or(true);
        if let Err(error) = device.set_promiscuous(on) {
            tracing::warn!(port = plan.name, %error, "promiscuous mode not changed");
        }
    }
    if let Some(mtu) = plan.mtu.filter(|_| plan.mtu != open.plan.mtu)
        && let Err(error) = device.set_mtu(mtu)
    {
        tracing::warn!(port = plan.name, %error, "MTU not changed");
    }
    open.plan = plan.clone();
}

fn usage(plan: &Plan) -> Use {
    let workers = plan.cores.len();
    Use { workers, ordered: workers > 1 && plan.is_replay(), resolution: device::finest_resolution(plan) }
}

/// Where any device places packets by RSS, all packets are hashed as it does.
fn hashing(ports: &BTreeMap<String, OpenPort>) -> Hashing {
    if ports.values().any(|port| port.rss) { Hashing::Toeplitz } else { Hashing::Mixed }
}

fn device_name(device: &Device) -> String {
    match device {
        Device::Dpdk(device) => device.clone(),
        Device::CaptureSource(path) | Device::CaptureSink(path) => format!("pcap:{}", path.display()),
    }
}

/// A worker that polls a port of another NUMA node pays for every packet.
fn warn_of_distant_ports(plan: &Plan, ports: &BTreeMap<String, OpenPort>) {
    for (name, open) in ports {
        let Some(socket) = open.socket else { continue };
        for &core in &plan.cores {
            if node_of(core).is_some_and(|node| node != socket) {
                tracing::warn!(port = name, core, node = socket, "the worker's core is on another NUMA node");
            }
        }
    }
}

/// The NUMA node of a core, as the kernel tells it.
fn node_of(core: usize) -> Option<u32> {
    let entries = std::fs::read_dir(format!("/sys/devices/system/cpu/cpu{core}")).ok()?;
    entries.flatten().find_map(|entry| entry.file_name().to_str()?.strip_prefix("node")?.parse().ok())
}
