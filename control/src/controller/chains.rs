//! What of each chain runs side by side now, and why.

use super::Controller;
use crate::planning::Mode;
use planning::graph::Costs;
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::PoisonError;

/// A chain that runs.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct ChainState {
    /// Its name.
    pub chain: String,
    /// What it asks for: off, auto, max.
    #[schemars(with = "String")]
    pub parallel: Mode,
    /// What runs after what and what side by side: `edge > (watch | ids) > swap`.
    pub segment: String,
    /// Mirror/merge operations per packet; 0: it runs in order.
    pub operations: usize,
    /// Helpers of each worker; without any, all chains run in order.
    pub helpers: usize,
    /// Why it runs so: what was decided when it began to.
    pub reason: String,
    /// What was thought of it since, at the latest look; null: it was not looked at.
    pub latest: Option<String>,
    /// Cycles per packet that it is predicted to take, by what is known now; null where a delay is not known.
    pub predicted: Option<u64>,
    /// What running side by side is taken to cost in it, in cycles per packet.
    #[schemars(with = "std::collections::BTreeMap<String, u64>")]
    pub costs: Costs,
    /// Its NFs, in order.
    pub nfs: Vec<NfState>,
}

/// An NF of a chain.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct NfState {
    /// Its name.
    pub name: String,
    /// Cycles per packet as the planner has them; null if unknown.
    pub cycles: Option<u64>,
}

impl Controller {
    /// What of each chain runs side by side now, and why.
    pub fn chains(&self) -> Vec<ChainState> {
        let current = self.current();
        let delays = current.config.delays().unwrap_or_default().with(&self.known());
        let remarks = self.remarks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let helpers = current.plan.helpers.len() / current.plan.cores.len().max(1);
        let all = crate::planning::stages(&current.plan, &delays).into_iter().zip(current.decisions);
        let describe = |((chain, stages), decision): (
            (String, Vec<crate::planning::Stage>),
            crate::config::Decision,
        )| {
            let names: Vec<String> = stages.iter().map(|stage| stage.profile.name.clone()).collect();
            let cycles: Option<Vec<u64>> = stages.iter().map(|stage| stage.cycles).collect();
            let costs = delays.costs(&chain);
            let segment = &decision.choice.segment;
            ChainState {
                parallel: decision.mode,
                segment: segment.text(&names),
                operations: segment.operations(),
                helpers,
                latest: remarks.get(&chain).cloned(),
                predicted: cycles.map(|cycles| segment.latency(&cycles, costs)),
                costs,
                nfs: stages
                    .into_iter()
                    .map(|stage| NfState { name: stage.profile.name, cycles: stage.cycles })
                    .collect(),
                reason: decision.choice.reason,
                chain,
            }
        };
        all.map(describe).collect()
    }

    /// What is thought of a chain's segment now.
    pub(crate) fn remark(&self, chain: &str, what: String) {
        self.remarks.lock().unwrap_or_else(PoisonError::into_inner).insert(chain.to_owned(), what);
    }
}
