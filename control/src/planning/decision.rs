//! What of a chain is to run side by side: as its `parallel` key has it.

use super::{Stage, graph};
use planning::graph::{Choice, Costs, Dag, DagError, Segment, choose, most_parallel};
use planning::pagination::Effort;
use serde::Serialize;
use std::time::Duration;

/// How much of a chain runs side by side: `parallel = "off"`, `"auto"`, `"max"`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Nothing.
    #[default]
    Off,
    /// What is faster so, with all that it costs.
    Auto,
    /// All that the rules allow, whatever it costs.
    Max,
}

/// How long the solvers may take for a chain that is too long to be planned exactly.
const EFFORT: Effort = Effort { time: Duration::from_millis(200), seed: 1 };

/// Plans a chain as `mode` has it, for a worker with so many helpers; without any as if there were enough, since then
/// the engine runs all in order. Of branches side by side the longest comes first.
///
/// # Errors
/// More NFs than are planned for.
pub fn decide(stages: &[Stage], mode: Mode, costs: Costs, helpers: usize) -> Result<Choice, DagError> {
    let (dag, _) = graph(stages)?;
    let cores = if helpers == 0 { None } else { helpers.checked_add(1) };
    let known = stages.iter().all(|stage| stage.cycles.is_some());
    let mut choice = match mode {
        Mode::Off => stay(&dag, "it is to run in order"),
        Mode::Auto if !known => stay(&dag, &unknown(stages)),
        Mode::Auto => choose(&dag, costs, cores, EFFORT),
        Mode::Max => {
            let all = most_parallel(&dag);
            let segment = cores.map_or_else(|| all.clone(), |cores| all.within(cores, dag.delays()));
            let reason = "it is to run side by side as far as the rules allow".to_owned();
            Choice { latency: segment.latency(dag.delays(), costs), segment, reason }
        }
    };
    choice.segment = longest_first(choice.segment, &dag);
    Ok(choice)
}

fn stay(dag: &Dag, reason: &str) -> Choice {
    let segment = Segment::sequence(dag.len());
    Choice { segment, latency: dag.sequential(), reason: reason.to_owned() }
}

/// Whose delays are not known, in words.
pub(super) fn unknown(stages: &[Stage]) -> String {
    let unknown = stages.iter().filter(|stage| stage.cycles.is_none());
    let names: Vec<&str> = unknown.map(|stage| stage.profile.name.as_str()).collect();
    format!("the delay of {} is not known: measure with `braid run --json`", names.join(", "))
}

/// The first branch stays on the worker's core, where it waits for none.
fn longest_first(segment: Segment, dag: &Dag) -> Segment {
    let each = |parts: Vec<Segment>| parts.into_iter().map(|part| longest_first(part, dag)).collect();
    match segment {
        Segment::Nf(nf) => Segment::Nf(nf),
        Segment::Series(parts) => Segment::Series(each(parts)),
        Segment::Parallel(parts) => {
            let mut parts: Vec<Segment> = each(parts);
            parts.sort_by_key(|part| std::cmp::Reverse(part.latency(dag.delays(), Costs::NONE)));
            Segment::Parallel(parts)
        }
    }
}

/// As the engine has it.
pub fn for_engine(segment: &Segment) -> engine::Segment {
    let all = |parts: &[Segment]| parts.iter().map(for_engine).collect();
    match segment {
        Segment::Nf(nf) => engine::Segment::Nf(*nf),
        Segment::Series(parts) => engine::Segment::Series(all(parts)),
        Segment::Parallel(parts) => engine::Segment::Parallel(all(parts)),
    }
}

/// As the planner has it.
pub fn of_engine(segment: &engine::Segment) -> Segment {
    match segment {
        engine::Segment::Nf(nf) => Segment::Nf(*nf),
        engine::Segment::Series(parts) => Segment::Series(parts.iter().map(of_engine).collect()),
        engine::Segment::Parallel(parts) => Segment::Parallel(parts.iter().map(of_engine).collect()),
    }
}

/// The most branches that stand side by side at one mirror.
pub fn branches(segment: &Segment) -> usize {
    match segment {
        Segment::Nf(_) => 1,
        Segment::Series(parts) => parts.iter().map(branches).max().unwrap_or(1),
        Segment::Parallel(parts) => parts.len(),
    }
}
