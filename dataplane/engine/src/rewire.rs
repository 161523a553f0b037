//! From one generation to the next: who adopts whose state, queues and rings.
//!
//! Everything that can fail is in [`Prepared`]; what follows only moves things.

use crate::branch::{Branch, Home, Member};
use crate::burst::PortNumbers;
use crate::cx::{Cx, Outbox};
use crate::device::{self, Loose, OpenPort};
use crate::engine::{all_pages, guarded};
use crate::error::EngineError;
use crate::fragments::Fragments;
use crate::graph::{Graph, RING, RingOut, UPDATES};
use crate::inbox::Signals;
use crate::lane::Lane;
use crate::layout::Layout;
use crate::nf::Nf;
use crate::plan::Plan;
use crate::segment::Fork;
use crate::site::WorkerSite;
use crate::source::Rx;
use crate::state::{Record, Role, Scope};
use crate::stats::{NodeStats, WorkerStats};
use crate::steer;
use crate::time::Time;
use crate::verdict::Reason;
use dpdk::{Eal, Mbufs, Pool, RingReceiver};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::FlowKey;

/// Rings between all pairs of workers: by sender, by receiver.
type Rings = Vec<Vec<Option<(RingOut, RingReceiver)>>>;

/// Instances by worker and NF.
type Instances = Vec<Vec<Box<dyn Nf>>>;

/// Instances that nobody needs any more, those of NFs that are gone with their number in the old layout.
pub(crate) type Orphans = Vec<(Option<usize>, Box<dyn Nf>)>;

/// Everything of the next generation that could have failed to be had.
pub(crate) struct NextGraphs {
    layout: Arc<Layout>,
    pool: Pool,
    /// Of each worker, those that go included.
    sites: Vec<WorkerSite>,
    /// For each worker. Those for a worker that goes adopt what it has, so that it is parted in the new plan's terms.
    instances: Instances,
    rings: Rings,
    /// By worker: its helpers.
    lanes: Vec<Vec<Lane>>,
}

impl NextGraphs {
    /// Makes instances for every worker of the plan and for those that go, of `before` workers, and rings.
    pub(crate) fn prepare(
        eal: &Eal,
        plan: &Plan,
        layout: Arc<Layout>,
        pool: Pool,
        before: usize,
    ) -> Result<Self, EngineError> {
        let workers = layout.workers;
        let sites: Vec<WorkerSite> = (0..workers.max(before)).map(|index| worker_site(plan, index)).collect();
        let instances =
            sites.iter().map(|site| plan.nfs.iter().map(|nf| nf.prepared.instance(site)).collect()).collect();
        let mut rings: Rings = Vec::with_capacity(workers);
        for from in 0..workers {
            let mut row = Vec::with_capacity(workers);
            for to in 0..workers {
                if from == to {
                    row.push(None);
                    continue;
                }
                let name = format!("{from}-{to}");
                let (sender, receiver) =
                    dpdk::Ring::spsc(eal, &name, RING as usize, None).map_err(|error| {
                        EngineError::Resource {
                            what: format!("the ring from worker {from} to {to}"),
                            message: error.to_string(),
                        }
                    })?;
                row.push(Some((RingOut { sender, staged: Mbufs::new() }, receiver)));
            }
            rings.push(row);
        }
        let mut lanes: Vec<Vec<Lane>> = (0..workers).map(|_| Vec::new()).collect();
        // Helpers that some worker would have one more of than another are of no use.
        let helpers = if layout.has_forks() { plan.helpers.len() / workers * workers } else { 0 };
        for (number, &core) in plan.helpers.iter().enumerate().take(helpers) {
            lanes[number % workers].push(Lane::start(eal, number % workers, core, plan.idle)?);
        }
        Ok(NextGraphs { layout, pool, sites, instances, rings, lanes })
    }

    /// Tells the instances of an NF on workers that are new, from the `first` on, what the others know that is no
    /// flow's: what commands have set, above all. `whole` is an instance of the old plan that knows it.
    pub(crate) fn acquaint(&mut self, nf: usize, whole: Box<dyn Nf>, first: usize, now: Time) {
        let node = &self.layout.nfs[nf];
        let prepared = node.prepared.as_ref();
        let mut heir = prepared.instance(&WorkerSite { index: 0, count: 1, ..self.sites[0] });
        let (stats, mut outbox) =
            (NodeStats::new(prepared.drops().len(), prepared.counters().len()), Outbox::new());
        let mut cx = Cx {
            now,
            worker: 0,
            workers: 1,
            chain: self.layout.chains.get(node.home).map_or(0, |chain| chain.id),
            pool: &self.pool,
            stats: &stats,
            outbox: &mut outbox,
        };
        // The same way as on the workers that stay, so that the new plan prevails in the same things.
        if guarded(|| heir.adopt(whole, &mut cx)).is_none() {
            return;
        }
        let mut records = all_pages(heir.as_mut());
        records.retain(Record::is_replica);
        if records.is_empty() {
            return;
        }
        for (site, instances) in self.sites.iter().zip(&mut self.instances).skip(first) {
            let told = guarded(|| instances[nf].state().map(|state| state.import(&records)));
            if let Some(Some(Err(error))) = &told {
                tracing::warn!(nf = node.name, worker = site.index, %error, "it knows its configuration alone");
            }
            if told.is_none() {
                instances[nf] = prepared.instance(site);
            }
        }
    }

    /// Builds the workers' graphs, taking over what the old ones have. `ports` are the open ports of the plan,
    /// in its order, with their loose queues. Returns the graphs, and the old instances that nobody took over, by
    /// NF of the old layout.
    pub(crate) fn build(
        self,
        mut old: Vec<Box<Graph>>,
        ports: &mut [(&mut OpenPort, Loose)],
        signals: &Arc<[Arc<Signals>]>,
    ) -> (Vec<Box<Graph>>, Orphans) {
        let workers = self.layout.workers;
        let now = old.iter().map(|graph| graph.ticked).max().unwrap_or(Time::ZERO);
        let stats: Vec<Arc<WorkerStats>> =
            (0..workers).map(|_| Arc::new(WorkerStats::new(&self.layout))).collect();
        // Nothing waits there now; the ways that datagrams take are still right where flows are hashed as before.
        let mut fragments: Vec<Fragments> = old
            .iter_mut()
            .filter(|graph| self.layout.hashes_as(&graph.layout))
            .map(|graph| std::mem::replace(&mut graph.fragments, Fragments::new()))
            .collect();
        fragments.resize_with(workers, Fragments::new);
        let (instances, unwanted) =
            adopt(&self.layout, &self.pool, self.instances, old, &stats, &self.sites, now);

        let mut rx: Vec<Vec<Rx>> = (0..workers).map(|_| Vec::new()).collect();
        let mut tx: Vec<Vec<_>> = (0..workers).map(|_| Vec::new()).collect();
        let mut numbers: PortNumbers = [0; 256];
        for (number, (open, loose)) in ports.iter_mut().enumerate() {
            if let Some(device) = &open.device
                && let Some(slot) = numbers.get_mut(usize::from(device.id()))
            {
                *slot = number as u16;
            }
            device::share_rx(number, open, loose, workers, &self.layout, &mut rx);
            for (worker, way) in device::share_tx(open, loose, workers).into_iter().enumerate() {
                tx[worker].push(way);
            }
        }
        let numbers = Arc::new(numbers);

        let (mut rings_out, mut rings_in) = part(self.rings, workers);
        let (mut updates_out, mut updates_in) = updates(workers);
        let mut graphs = Vec::with_capacity(workers);
        let mut lanes = self.lanes.into_iter();
        for ((instances, stats), (rx, tx)) in instances.into_iter().zip(stats).zip(rx.into_iter().zip(tx)) {
            let home = |worker| Home { worker, workers, stats: stats.clone(), pool: self.pool.clone() };
            graphs.push(Box::new(Graph {
                forks: branches(&self.layout, || home(graphs.len())),
                lanes: lanes.next().unwrap_or_default(),
                layout: self.layout.clone(),
                stats,
                instances: instances.into_iter().map(Some).collect(),
                rx,
                tx,
                rings_out: rings_out.remove(0),
                rings_in: rings_in.remove(0),
                updates_out: updates_out.remove(0),
                updates_in: updates_in.remove(0),
                signals: signals.clone(),
                bursts: vec![0; self.layout.chains.len()],
                fragments: fragments.remove(0),
                ports: numbers.clone(),
                pool: self.pool.clone(),
                ticked: now,
            }));
        }
        (graphs, unwanted)
    }
}

/// The branches of all forks, by number.
fn branches(layout: &Layout, home: impl Fn() -> Home) -> Vec<Vec<Option<Box<Branch>>>> {
    let of_fork = |chain: usize, fork: &Fork| {
        let of = &layout.chains[chain];
        let member = |&position: &usize| Member { position, nf: of.path[position], instance: None };
        let made = fork.branches.iter().enumerate().map(|(number, branch)| {
            let nfs = branch.positions.iter().map(member).collect();
            Some(Box::new(Branch::new((fork.number, number), (chain, of.id), branch.copies, nfs, home())))
        });
        made.collect()
    };
    layout.forks().map(|(chain, fork)| of_fork(chain, fork)).collect()
}

/// What a worker's instances are told of it.
pub(crate) fn worker_site(plan: &Plan, index: usize) -> WorkerSite {
    WorkerSite {
        index,
        count: plan.cores.len(),
        seed: plan.seed ^ (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15),
    }
}

/// Separates the rings' ends: by worker, what it sends by and what it receives from.
fn part(rings: Rings, workers: usize) -> (Vec<Vec<Option<RingOut>>>, Vec<Vec<RingReceiver>>) {
    let mut receivers: Vec<Vec<RingReceiver>> = (0..workers).map(|_| Vec::new()).collect();
    let senders = rings
        .into_iter()
        .map(|row| {
            let ends = row.into_iter().enumerate().map(|(to, ring)| {
                let (sender, receiver) = ring?;
                receivers[to].push(receiver);
                Some(sender)
            });
            ends.collect()
        })
        .collect();
    (senders, receivers)
}

type Senders = Vec<Vec<Option<rtrb::Producer<crate::graph::Notice>>>>;
type Receivers = Vec<Vec<rtrb::Consumer<crate::graph::Notice>>>;

/// Queues for changes of replicated state, between all pairs of workers.
fn updates(workers: usize) -> (Senders, Receivers) {
    let mut receivers: Receivers = (0..workers).map(|_| Vec::new()).collect();
    let senders = (0..workers)
        .map(|from| {
            let ends = (0..workers).map(|to| {
                if from == to {
                    return None;
                }
                let (sender, receiver) = rtrb::RingBuffer::new(UPDATES);
                receivers[to].push(receiver);
                Some(sender)
            });
            ends.collect()
        })
        .collect();
    (senders, receivers)
}

/// New instances take over from old ones of the same name and kind; where the number of workers or the rule of who
/// owns what changes, flows move to the worker that owns them now. Returns them, and what nobody took over.
fn adopt(
    layout: &Layout,
    pool: &Pool,
    mut new: Instances,
    old: Vec<Box<Graph>>,
    new_stats: &[Arc<WorkerStats>],
    sites: &[WorkerSite],
    now: Time,
) -> (Instances, Orphans) {
    let old_workers = old.len();
    let mut outbox = Outbox::new();
    let mut unwanted = Vec::new();
    let mut moving: BTreeMap<usize, Vec<(usize, crate::nf::Part)>> = BTreeMap::new();
    let mut reports: BTreeMap<usize, Vec<Record>> = BTreeMap::new();
    for (worker, graph) in old.into_iter().enumerate() {
        let Graph { layout: old_layout, stats: old_stats, instances, .. } = *graph;
        for (old_nf, instance) in instances.into_iter().enumerate() {
            let Some(instance) = instance else { continue };
            let node = &old_layout.nfs[old_nf];
            let Some(nf) = layout.heir_of(node) else {
                old_stats.drop_held(&old_layout, old_nf, 0, Reason::REMOVED);
                unwanted.push((Some(old_nf), instance));
                continue;
            };
            let rule = &layout.nfs[nf].rule;
            let owner = |key: &FlowKey| steer::owner(layout, rule, key);
            // What a worker that goes holds is on the first one's account until it is where it belongs.
            let stays = worker < layout.workers;
            let account = &new_stats[if stays { worker } else { 0 }];
            let held_before = account.held(layout, nf);
            old_stats.hand_held_to(&old_layout, old_nf, account, (layout, nf));
            let unused = NodeStats::new(0, 0);
            let stats = account.nodes(layout, nf).next().unwrap_or(&unused);
            let mut cx = Cx {
                now,
                worker,
                workers: layout.workers,
                chain: layout.chains.get(layout.nfs[nf].home).map_or(0, |chain| chain.id),
                pool,
                stats,
                outbox: &mut outbox,
            };
            let heir = &mut new[worker][nf];
            if guarded(|| heir.adopt(instance, &mut cx)).is_none() {
                // It starts empty: what it was to take over fell with it.
                *heir = layout.nfs[nf].prepared.instance(&sites[worker]);
                account.drop_held(layout, nf, held_before, Reason::PANIC);
            } else if layout.workers.max(old_workers) > 1
                && (layout.workers != old_workers
                    || layout.hashing != old_layout.hashing
                    || layout.nfs[nf].rule != node.rule)
            {
                let parts = guarded(|| heir.split(&owner)).unwrap_or_default();
                moving.entry(nf).or_default().extend(parts);
            }
            if !stays {
                // All that it has belongs to others now.
                let mut records = all_pages(heir.as_mut());
                records.retain(|record| record.scope == Scope::Shared && record.role == Role::Reporting);
                reports.entry(nf).or_default().extend(records);
                let _ = guarded(|| heir.drain(&mut cx));
            }
            for _ in outbox.emitted.drain(..) {
                stats.drop(Reason::REMOVED, 1);
            }
            if !stays {
                account.drop_held(layout, nf, held_before, Reason::REMOVED);
            }
            outbox.updates.clear();
            outbox.events.clear();
        }
    }
    unwanted.extend(new.split_off(layout.workers).into_iter().flatten().map(|instance| (None, instance)));
    for (nf, records) in reports.into_iter().filter(|(_, records)| !records.is_empty()) {
        let heir = &mut new[0][nf];
        if let Some(Some(Err(error))) = guarded(|| heir.state().map(|state| state.import(&records))) {
            tracing::warn!(nf = layout.nfs[nf].name, %error, "what a worker that went had counted is lost");
        }
    }
    for (nf, parts) in moving {
        for (worker, part) in parts {
            if let Some(instances) = new.get_mut(worker) {
                let _ = guarded(|| instances[nf].join(part));
            }
        }
    }
    (new, unwanted)
}
