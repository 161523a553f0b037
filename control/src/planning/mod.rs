//! Planning of chains: which of their NFs may run side by side, what that gains, and why not where it does not.

mod decision;
mod delays;
mod rules;
#[cfg(test)]
mod tests;

pub use decision::{Mode, branches, decide, for_engine, of_engine};
pub use delays::{Delays, DelaysError, measured_costs};
pub use rules::{Profile, Reason, Rule, reasons};

use planning::graph::{Choice, Costs, Dag, DagError, Segment, choose, construct, frontier};
use planning::pagination::{Effort, Solver};
use serde::Serialize;

/// All that is to be said of one chain.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ChainPlanning {
    /// Its name.
    pub chain: String,
    /// Its NFs in order.
    pub nfs: Vec<NfDelay>,
    /// Each pair of an earlier and a later NF.
    pub pairs: Vec<Pair>,
    /// Which must stay in order, without what follows from others; by place in the chain.
    pub edges: Vec<(usize, usize)>,
    /// Whether the delay of every NF is known. If not, each counts as 1.
    pub delays_known: bool,
    /// The NFs of the critical path, and its length.
    pub critical: CriticalPath,
    /// The chain as it stands.
    pub sequential: Predicted,
    /// As parallel as possible, level by level, as ParaBox has it.
    pub levels: Predicted,
    /// As parallel as the rules allow, whatever it costs.
    pub max: Predicted,
    /// The service processing graph: as fast as can be, with as few mirror/merge operations as that takes.
    pub spg: Predicted,
    /// What each solver makes of the chain's paths.
    pub constructions: Vec<Constructed>,
    /// What `parallel = "auto"` does, and why.
    pub auto: Choice,
    /// What a mirror, a hand-off and a merge are taken to cost.
    pub costs: Costs,
    /// The graph itself, for drawings.
    #[serde(skip)]
    pub dag: Dag,
}

/// An NF of a chain.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct NfDelay {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Cycles per packet; absent if unknown.
    pub cycles: Option<u64>,
}

/// Two NFs of a chain.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Pair {
    /// The earlier one.
    pub earlier: String,
    /// The later one.
    pub later: String,
    /// Whether they may run side by side.
    pub parallel: bool,
    /// Whether they may also run one after the other in the other order.
    pub exchangeable: bool,
    /// Why not side by side; empty if they may.
    pub reasons: Vec<Reason>,
}

/// The critical path.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct CriticalPath {
    /// The names of its NFs.
    pub path: Vec<String>,
    /// What no plan goes below.
    pub length: u64,
}

/// A plan and what it is predicted to take.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Predicted {
    /// In words: `edge > (watch | ids) > swap`.
    pub text: String,
    /// The plan.
    pub segment: Segment,
    /// Latency by the NFs' delays alone.
    pub latency: u64,
    /// With mirrors, hand-offs and merges; absent unless all delays are known.
    pub latency_with_costs: Option<u64>,
    /// Mirror/merge operations.
    pub operations: usize,
}

/// What a solver made of a chain.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Constructed {
    /// The solver.
    pub solver: Solver,
    /// Bins before any was split.
    pub bins: Option<usize>,
    /// Splits because bins that share NFs took too long.
    pub splits: usize,
    /// The plan.
    pub plan: Predicted,
    /// Seconds that it took.
    pub seconds: f64,
}

/// An NF as the planner gets it.
pub struct Stage {
    /// What the rules know of it.
    pub profile: Profile,
    /// Its kind.
    pub kind: String,
    /// Cycles per packet; `None` if unknown.
    pub cycles: Option<u64>,
}

/// The stages of each chain of a plan.
pub fn stages(plan: &engine::Plan, delays: &Delays) -> Vec<(String, Vec<Stage>)> {
    let chains = plan.chains.iter().map(|chain| {
        let stage = |nf: &engine::NfPlan| Stage {
            profile: Profile { name: nf.name.clone(), effects: Some(nf.prepared.effects()) },
            kind: nf.prepared.kind().to_owned(),
            cycles: delays.of_nf(&chain.name, &nf.name),
        };
        (chain.name.clone(), chain.path.iter().filter_map(|at| plan.nfs.get(*at)).map(stage).collect())
    });
    chains.collect()
}

/// What must stay in order of a chain, and why. A delay that is not known makes each count as 1.
fn graph(stages: &[Stage]) -> Result<(Dag, Vec<Pair>), DagError> {
    let mut pairs = Vec::new();
    let (mut edges, mut swaps) = (Vec::new(), Vec::new());
    for later in 0..stages.len() {
        for earlier in 0..later {
            let (a, b) = (&stages[earlier].profile, &stages[later].profile);
            let reasons = reasons(a, b);
            let parallel = reasons.is_empty();
            let exchangeable = parallel && rules::reasons(b, a).is_empty();
            if !parallel {
                edges.push((earlier, later));
            } else if exchangeable {
                swaps.push((earlier, later));
            }
            let (earlier, later) = (a.name.clone(), b.name.clone());
            pairs.push(Pair { earlier, later, parallel, exchangeable, reasons });
        }
    }
    let known = stages.iter().all(|stage| stage.cycles.is_some());
    let delay = |stage: &Stage| stage.cycles.filter(|_| known).unwrap_or(1);
    let dag = Dag::new(stages.iter().map(delay).collect(), &edges)?.with_swaps(&swaps);
    Ok((dag, pairs))
}

/// Plans one chain.
///
/// # Errors
/// More NFs than are planned for.
pub fn plan_chain(
    chain: &str,
    stages: &[Stage],
    costs: Costs,
    effort: Effort,
) -> Result<ChainPlanning, DagError> {
    let (dag, pairs) = graph(stages)?;
    let delays_known = stages.iter().all(|stage| stage.cycles.is_some());
    let names: Vec<String> = stages.iter().map(|stage| stage.profile.name.clone()).collect();
    let predicted = |segment: Segment| Predicted {
        text: segment.text(&names),
        latency: segment.latency(dag.delays(), Costs::NONE),
        latency_with_costs: delays_known.then(|| segment.latency(dag.delays(), costs)),
        operations: segment.operations(),
        segment,
    };
    let constructed = |solver: Solver| {
        let begun = std::time::Instant::now();
        let built = construct(&dag, solver, effort);
        Constructed {
            solver,
            bins: built.outcome.as_ref().map(|outcome| outcome.solution.len()),
            splits: built.splits,
            plan: predicted(built.segment),
            seconds: begun.elapsed().as_secs_f64(),
        }
    };
    let constructions: Vec<Constructed> = Solver::ALL.into_iter().map(constructed).collect();
    // Exactly where that is possible, else the best of the solvers'.
    let fastest = frontier(&dag, Costs::NONE).and_then(|points| points.into_iter().next());
    let spg = fastest.map(|point| predicted(point.segment)).or_else(|| {
        let plans = constructions.iter().map(|constructed| &constructed.plan);
        plans.min_by_key(|plan| (plan.latency, plan.operations)).cloned()
    });
    let sequence = Segment::sequence(dag.len());
    let auto = if delays_known {
        choose(&dag, costs, None, effort)
    } else {
        let reason = decision::unknown(stages);
        Choice { segment: sequence.clone(), latency: dag.sequential(), reason }
    };
    let critical = dag.critical();
    let critical = CriticalPath {
        path: critical.path.iter().map(|nf| names[*nf].clone()).collect(),
        length: critical.length,
    };
    let nf = |stage: &Stage| NfDelay {
        name: stage.profile.name.clone(),
        kind: stage.kind.clone(),
        cycles: stage.cycles,
    };
    Ok(ChainPlanning {
        chain: chain.to_owned(),
        nfs: stages.iter().map(nf).collect(),
        pairs,
        edges: dag.edges(),
        delays_known,
        critical,
        spg: spg.unwrap_or_else(|| predicted(sequence.clone())),
        sequential: predicted(sequence),
        levels: predicted(Segment::levels(&dag)),
        max: predicted(planning::graph::most_parallel(&dag)),
        constructions,
        auto,
        costs,
        dag,
    })
}
