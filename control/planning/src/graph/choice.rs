//! Whether running side by side pays.

use super::{Costs, Dag, Segment, construct, frontier};
use crate::pagination::{Effort, Solver};
use serde::Serialize;

/// What "auto" does with a chain, and why.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Choice {
    /// The plan.
    pub segment: Segment,
    /// Its latency, costs included.
    pub latency: u64,
    /// In words.
    pub reason: String,
}

/// The plan with the least latency on so many cores (without a number on as many as it takes), costs included; the chain
/// as it stands where none is faster than that.
pub fn choose(dag: &Dag, costs: Costs, cores: Option<usize>, effort: Effort) -> Choice {
    let sequential = dag.sequential();
    let stay = |reason: String| Choice { segment: Segment::sequence(dag.len()), latency: sequential, reason };
    if dag.len() < 2 {
        return stay("there is nothing to run side by side".to_owned());
    }
    let bound = dag.critical().length;
    if bound == sequential {
        return stay("each NF that takes time must wait for the one before it".to_owned());
    }
    let priced = |segment: Segment| {
        let segment = cores.map_or_else(|| segment.clone(), |cores| segment.within(cores, dag.delays()));
        (segment.latency(dag.delays(), costs), segment.operations(), segment)
    };
    let best = match frontier(dag, costs) {
        Some(points) => points.into_iter().map(|point| point.segment).map(priced).collect(),
        None => vec![priced(construct(dag, Solver::GeneticGrouping, effort).segment)],
    };
    let parallel = best.into_iter().filter(|(_, operations, _)| *operations > 0);
    let Some((latency, operations, segment)) =
        parallel.min_by_key(|(latency, operations, _)| (*latency, *operations))
    else {
        return match frontier(dag, Costs::NONE).and_then(|points| points.into_iter().next()) {
            Some(point) if point.operations > 0 => {
                let priced = point.segment.latency(dag.delays(), costs);
                stay(dearer(sequential, point.latency, priced))
            }
            _ => stay("no plan is faster".to_owned()),
        };
    };
    if latency >= sequential {
        return stay(dearer(sequential, segment.latency(dag.delays(), Costs::NONE), latency));
    }
    let percent = (sequential - latency) as f64 * 100.0 / sequential as f64;
    let reason = format!(
        "{latency} instead of {sequential}: {percent:.1} % less, with {operations} mirror/merge operation{}",
        if operations == 1 { "" } else { "s" }
    );
    Choice { segment, latency, reason }
}

fn dearer(sequential: u64, bare: u64, priced: u64) -> String {
    format!(
        "side by side saves {} and costs {}: {priced} instead of {sequential}",
        sequential.saturating_sub(bare),
        priced.saturating_sub(bare)
    )
}
