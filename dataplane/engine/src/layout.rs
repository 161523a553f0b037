//! A plan, compiled: what every worker of one generation agrees on.

use crate::effects::{Affinity, Effects};
use crate::plan::{ChainPlan, OnPanic, Parallel, Plan};
use crate::registry::Prepared;
use crate::segment::{Fork, Segment, Step, Terms};
use crate::steer::Rule;
use std::ops::Range;
use std::sync::Arc;
use tables::expression::Expression;

/// Number of hash buckets that flows are spread over; each bucket belongs to one worker.
pub const BUCKETS: usize = 512;

/// Shared by all workers, unchanged for as long as a generation lasts.
pub(crate) struct Layout {
    pub generation: u32,
    pub workers: usize,
    pub chains: Vec<Chain>,
    /// The first chain identifier that was never given out.
    pub next_id: u32,
    /// By port number: its chains, in order.
    pub by_port: Vec<Vec<usize>>,
    /// By port number: some chain wants to know at once whether a burst is IPv4.
    pub looks: Vec<bool>,
    pub nfs: Vec<Node>,
    pub ports: Vec<String>,
    /// By bucket: the worker that owns its flows.
    pub buckets: Box<[u16; BUCKETS]>,
    /// How packets are hashed to buckets.
    pub hashing: Hashing,
    /// Seed of that hash, so that who sends packets cannot choose the worker they go to. The same in every generation.
    pub seed: u64,
    /// Whether packet timestamps drive the clock.
    pub replay: bool,
}

/// One NF, as the workers know it.
pub(crate) struct Node {
    pub name: String,
    pub prepared: Arc<dyn Prepared>,
    pub on_panic: OnPanic,
    /// The first chain that uses it: where packets go that it makes on its own.
    pub home: usize,
    pub rule: Rule,
}

/// One chain.
pub(crate) struct Chain {
    pub name: String,
    /// The same in every generation: by it a packet that an NF holds finds its chain again.
    pub id: u32,
    pub matcher: Expression,
    pub select: Select,
    pub path: Vec<usize>,
    pub stages: Vec<Stage>,
    /// By stage, or for all of the chain where one worker owns all packets: what runs when. Empty: nothing runs side by
    /// side.
    pub steps: Vec<Vec<Step>>,
    /// How long a worker waits for a branch, in TSC cycles.
    pub patience: u64,
    pub on_timeout: OnPanic,
    pub to: Vec<usize>,
}

impl Chain {
    /// The stage of an NF's position.
    pub(crate) fn stage_of(&self, position: usize) -> usize {
        self.stages.iter().position(|stage| stage.positions.contains(&position)).unwrap_or(0)
    }
}

/// How a chain's packets are told from others, at the least cost.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Select {
    /// All of them.
    All,
    /// IPv4 and IPv6, told by the EtherType alone.
    Ip,
    /// By the whole expression, on parsed headers.
    Expression,
}

/// A run of NFs that need no hand-off between them.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Stage {
    /// Which packets must meet the same worker.
    pub rule: Rule,
    /// The NFs, as positions in the chain's path.
    pub positions: Range<usize>,
}

/// How packets are hashed to buckets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Hashing {
    /// By the flow key's own hash, with the layout's seed: no device takes part.
    Mixed,
    /// By the symmetric Toeplitz hash, so that what a NIC with RSS has placed is already in the right place. Its key is
    /// known to everybody.
    Toeplitz,
}

impl Layout {
    /// Compiles a plan. `previous` keeps flows where they are as far as the new number of workers allows.
    pub(crate) fn compile(
        plan: &Plan,
        generation: u32,
        hashing: Hashing,
        previous: Option<&Layout>,
    ) -> Layout {
        let workers = plan.cores.len();
        let mut next_id = previous.map_or(0, |layout| layout.next_id);
        let mut id_of = |name: &str| {
            let known = previous.and_then(|layout| layout.chains.iter().find(|chain| chain.name == name));
            known.map_or_else(
                || {
                    next_id += 1;
                    next_id - 1
                },
                |chain| chain.id,
            )
        };
        let rules: Vec<Rule> = plan.nfs.iter().map(|nf| Rule::of(nf.prepared.as_ref())).collect();
        let mut forks = 0;
        let chains: Vec<Chain> = plan
            .chains
            .iter()
            .map(|chain| {
                let stages = stages(chain.path.iter().map(|&nf| rules[nf].clone()));
                let parallel = chain.parallel.as_ref();
                Chain {
                    id: id_of(&chain.name),
                    name: chain.name.clone(),
                    select: select(&chain.matcher),
                    matcher: chain.matcher.clone(),
                    path: chain.path.clone(),
                    steps: parallel.map_or_else(Vec::new, |parallel| {
                        steps(&parallel.segment, plan, chain, &stages, &mut forks)
                    }),
                    stages,
                    patience: parallel.filter(|_| !plan.is_replay()).map_or(u64::MAX, patience),
                    on_timeout: parallel.map_or(OnPanic::Drop, |parallel| parallel.on_timeout),
                    to: chain.to.iter().map(|&port| usize::from(port)).collect(),
                }
            })
            .collect();
        let by_port: Vec<Vec<usize>> = (0..plan.ports.len())
            .map(|port| (0..chains.len()).filter(|&c| usize::from(plan.chains[c].from) == port).collect())
            .collect();
        let looks = |here: &Vec<usize>| here.iter().any(|&chain| matches!(chains[chain].select, Select::Ip));
        let nfs = plan
            .nfs
            .iter()
            .enumerate()
            .map(|(index, nf)| Node {
                name: nf.name.clone(),
                prepared: nf.prepared.clone(),
                on_panic: nf.on_panic,
                home: chains.iter().position(|chain| chain.path.contains(&index)).unwrap_or(0),
                rule: rules[index].clone(),
            })
            .collect();
        Layout {
            generation,
            workers,
            looks: by_port.iter().map(looks).collect(),
            by_port,
            chains,
            next_id,
            nfs,
            ports: plan.ports.iter().map(|port| port.name.clone()).collect(),
            buckets: spread(previous.map(|layout| &*layout.buckets), workers),
            hashing,
            seed: previous.map_or(plan.seed, |layout| layout.seed),
            replay: plan.is_replay(),
        }
    }

    /// All forks with their chains, in order of their number.
    pub(crate) fn forks(&self) -> impl Iterator<Item = (usize, &Fork)> {
        self.chains.iter().enumerate().flat_map(|(number, chain)| {
            chain.steps.iter().flatten().filter_map(move |step| match step {
                Step::Fork(fork) => Some((number, fork)),
                Step::Run(_) => None,
            })
        })
    }

    /// Whether anything runs side by side.
    pub(crate) fn has_forks(&self) -> bool {
        self.forks().next().is_some()
    }

    /// The NF here that takes over from one of another layout: that of the same name and kind.
    pub(crate) fn heir_of(&self, node: &Node) -> Option<usize> {
        self.nfs.iter().position(|nf| nf.name == node.name && nf.prepared.kind() == node.prepared.kind())
    }

    /// Whether the packets of a flow still have the hash that they had under the layout before, in all chains that
    /// were there. One worker owns all of them, whatever their hash.
    pub(crate) fn hashes_as(&self, before: &Layout) -> bool {
        let rules = |chain: &Chain| chain.stages.iter().map(|stage| stage.rule.clone()).collect::<Vec<_>>();
        let unchanged = |chain: &Chain| {
            let old = before.chains.iter().find(|old| old.id == chain.id);
            old.is_none_or(|old| rules(old) == rules(chain))
        };
        self.workers == 1 || self.hashing == before.hashing && self.chains.iter().all(unchanged)
    }

    /// Where a packet goes on that an NF gives out: the chain that it was in, if that still is and the NF still stands
    /// in it, else the first chain in which the NF stands. `None` when it stands in none.
    pub(crate) fn place(&self, id: u32, nf: usize) -> Option<(usize, usize)> {
        let position = |chain: usize| self.chains.get(chain)?.path.iter().position(|&index| index == nf);
        let own = self.chains.iter().position(|chain| chain.id == id);
        let own = own.and_then(|chain| Some((chain, position(chain)?)));
        own.or_else(|| {
            let home = self.nfs[nf].home;
            Some((home, position(home)?))
        })
    }

    /// The worker that owns a hash.
    #[inline]
    pub(crate) fn owner(&self, hash: u32) -> usize {
        usize::from(self.buckets[hash as usize % BUCKETS])
    }
}

impl Plan {
    /// Whether every port that packets come from is a capture: then their timestamps drive the clock.
    pub fn is_replay(&self) -> bool {
        let mut sources =
            self.chains.iter().map(|chain| &self.ports[usize::from(chain.from)].device).peekable();
        sources.peek().is_some()
            && sources.all(|device| matches!(device, crate::plan::Device::CaptureSource(_)))
    }
}

/// What of a chain runs when, with as many helpers as every worker has.
fn steps(
    segment: &Segment,
    plan: &Plan,
    chain: &ChainPlan,
    stages: &[Stage],
    forks: &mut usize,
) -> Vec<Vec<Step>> {
    let effects: Vec<Effects> = chain.path.iter().map(|&nf| plan.nfs[nf].prepared.effects()).collect();
    let mut ranges: Vec<Range<usize>> = stages.iter().map(|stage| stage.positions.clone()).collect();
    if plan.cores.len() == 1 {
        ranges = std::iter::once(0..effects.len()).collect();
    }
    let helpers = plan.helpers.len() / plan.cores.len().max(1);
    let terms = Terms { effects: &effects, stages: &ranges, gated: chain.to.len() > 1, helpers };
    segment.steps(&terms, forks)
}

/// In TSC cycles.
fn patience(parallel: &Parallel) -> u64 {
    let cycles = parallel.patience.as_nanos() * u128::from(dpdk::tsc_hz()) / 1_000_000_000;
    u64::try_from(cycles).unwrap_or(u64::MAX)
}

fn select(matcher: &Expression) -> Select {
    use tables::expression::Quick;
    match matcher.quick() {
        Some(Quick::All) => Select::All,
        Some(Quick::Ip) => Select::Ip,
        _ => Select::Expression,
    }
}

/// Cuts a path where the affinity changes. An NF that takes any packet stays with the NFs before it, or at the
/// head of the chain with those after it.
fn stages(rules: impl Iterator<Item = Rule>) -> Vec<Stage> {
    let mut stages: Vec<Stage> = Vec::new();
    for (position, rule) in rules.enumerate() {
        match stages.last_mut() {
            Some(stage) if rule.is_any() || rule == stage.rule => stage.positions.end += 1,
            Some(stage) if stage.rule.is_any() => {
                stage.rule = rule;
                stage.positions.end += 1;
            }
            _ => stages.push(Stage { rule, positions: position..position + 1 }),
        }
    }
    if stages.is_empty() {
        stages.push(Stage { rule: Affinity::Any.into(), positions: 0..0 });
    }
    stages
}

/// Spreads the buckets evenly over `workers`, moving as few as possible.
fn spread(previous: Option<&[u16; BUCKETS]>, workers: usize) -> Box<[u16; BUCKETS]> {
    let mut buckets = Box::new([u16::MAX; BUCKETS]);
    let share = |worker: usize| BUCKETS / workers + usize::from(worker < BUCKETS % workers);
    let mut owned = vec![0; workers];
    if let Some(previous) = previous {
        for (bucket, &worker) in buckets.iter_mut().zip(previous) {
            let worker = usize::from(worker);
            if worker < workers && owned[worker] < share(worker) {
                *bucket = worker as u16;
                owned[worker] += 1;
            }
        }
    }
    // Round robin over those with room, so that neighbouring hashes go to different workers.
    let mut worker = 0;
    for bucket in buckets.iter_mut().filter(|bucket| **bucket == u16::MAX) {
        while owned[worker] >= share(worker) {
            worker = (worker + 1) % workers;
        }
        *bucket = worker as u16;
        owned[worker] += 1;
        worker = (worker + 1) % workers;
    }
    buckets
}

#[cfg(test)]
mod tests;
