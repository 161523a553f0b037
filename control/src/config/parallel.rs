//! What of the chains runs side by side, and on which cores.

use super::{ChainConfig, Config, Diagnostic};
use crate::cores;
use crate::planning::{Delays, Mode, branches, decide, for_engine, of_engine, stages};
use engine::{OnPanic, Parallel, Plan};
use planning::graph::{Choice, Segment};

/// What was decided of one chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decision {
    /// Its name.
    pub chain: String,
    /// What it asks for.
    pub mode: Mode,
    /// The plan, and why.
    pub choice: Choice,
}

impl Config {
    /// Cycles of NFs as the file has them that `delays` names; none without it.
    ///
    /// # Errors
    /// A file that gives none.
    pub(crate) fn delays(&self) -> Result<Delays, Diagnostic> {
        let Some(file) = &self.engine.delays else { return Ok(Delays::default()) };
        Delays::read(file)
            .map_err(|error| Diagnostic::error(self.engine.delays_span.clone(), error.to_string()))
    }

    /// What of each chain is to run side by side.
    ///
    /// # Errors
    /// A chain that is too long to be planned.
    pub fn decide(&self, plan: &Plan, delays: &Delays) -> Result<Vec<Decision>, Diagnostic> {
        let mode = |name: &str| {
            let chain = self.chains.iter().find(|chain| chain.name == name);
            chain.map_or((Mode::Off, 0..0), |chain| (chain.parallel, chain.name_span.clone()))
        };
        let helpers = self.helpers_to_have(plan);
        let chains = stages(plan, delays).into_iter().map(|(chain, stages)| {
            let (mode, span) = mode(&chain);
            let choice = decide(&stages, mode, delays.costs(&chain), helpers)
                .map_err(|error| Diagnostic::error(span, format!("chain '{chain}': {error}")))?;
            Ok(Decision { chain, mode, choice })
        });
        chains.collect()
    }

    /// Warns of chains that are to pass packets on where a branch, were it to answer, might drop or write them: there they
    /// are dropped.
    pub(super) fn look_at_timeouts(&self, plan: &Plan, decisions: &[Decision]) -> Vec<Diagnostic> {
        let passing = |decision: &Decision| {
            let config = self.chains.iter().find(|config| config.name == decision.chain)?;
            let chain = plan.chains.iter().find(|chain| chain.name == decision.chain)?;
            if config.on_timeout != OnPanic::Bypass {
                return None;
            }
            let of = |place: usize| chain.path.get(place).and_then(|nf| plan.nfs.get(*nf));
            let guilty = decision.choice.segment.branched().into_iter().filter_map(of).find(|nf| {
                let effects = nf.prepared.effects();
                effects.may_drop || effects.changes_length || !effects.writes.is_empty()
            })?;
            let message = format!(
                "'pass' means \"drop\" in chain '{}': '{}' runs side by side with others, and may drop or write",
                chain.name, guilty.name
            );
            Some(
                Diagnostic::warning(config.on_timeout_span.clone(), message)
                    .help("write on_branch_timeout = \"drop\", or leave it out"),
            )
        };
        decisions.iter().filter_map(passing).collect()
    }

    /// What was decided of a plan that runs: the segments that it has, with the reasons that led to them.
    pub(crate) fn decisions_of(&self, plan: &Plan) -> Vec<Decision> {
        let delays = self.delays().unwrap_or_default();
        let mut decisions = self.decide(plan, &delays).unwrap_or_default();
        for (decision, chain) in decisions.iter_mut().zip(&plan.chains) {
            // Long chains are planned in a given time, so another plan may have been found then.
            decision.choice.segment = match &chain.parallel {
                Some(parallel) => of_engine(&parallel.segment),
                None => Segment::sequence(chain.path.len()),
            };
        }
        decisions
    }

    /// How many helpers each worker of a plan can have at the most.
    pub(crate) fn helpers_to_have(&self, plan: &Plan) -> usize {
        let spare = cores::allowed().iter().filter(|core| !plan.cores.contains(core)).count();
        // More than there are cores to spare only where that is what was asked for.
        self.engine.helpers.unwrap_or(spare / plan.cores.len().max(1))
    }

    /// Has the plan's chains run as decided.
    pub fn run_as_decided(&self, plan: &mut Plan, decisions: &[Decision]) {
        let workers = plan.cores.len().max(1);
        for chain in &mut plan.chains {
            let decision = decisions.iter().find(|decision| decision.chain == chain.name);
            let wanted = decision.filter(|decision| decision.choice.segment.is_parallel());
            let config: Option<&ChainConfig> = self.chains.iter().find(|config| config.name == chain.name);
            chain.parallel = wanted.zip(config).map(|(decision, config)| Parallel {
                segment: for_engine(&decision.choice.segment),
                patience: config.patience,
                on_timeout: config.on_timeout,
            });
        }
        let widest = decisions.iter().map(|decision| branches(&decision.choice.segment)).max().unwrap_or(1);
        let allowed = cores::allowed();
        let spare: Vec<usize> =
            allowed.iter().copied().rev().filter(|core| !plan.cores.contains(core)).collect();
        let each = self.helpers_to_have(plan).min(widest.saturating_sub(1));
        let from = if spare.is_empty() { allowed } else { &spare };
        plan.helpers = from.iter().copied().cycle().take(each * workers).collect();
    }
}
