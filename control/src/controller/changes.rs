//! Changes that leave the configuration's meaning as it is: chains that go over to another segment, workers that come
//! and go.

use super::{ApplyError, Controller};
use crate::config::Decision;
use crate::planning::Delays;
use engine::Applied;
use std::sync::PoisonError;
use std::time::Duration;

/// A chain that goes over to another segment.
pub struct Switch {
    /// Where to.
    pub decision: Decision,
    /// In words.
    pub why: String,
}

/// Another number of workers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scaled {
    /// How many there were.
    pub before: usize,
    /// How many there are.
    pub workers: usize,
    /// The generation that runs now.
    pub generation: u64,
    /// For how long no packets were received; `None`: there was nothing to do.
    pub pause: Option<Duration>,
}

impl Controller {
    /// What has been measured so far counts for all plans from now on.
    pub(crate) fn know(&self, known: Delays) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }

    pub(crate) fn known(&self) -> Delays {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has chains of the running plan go over to other segments, all of them or none. `generation` is the one that was
    /// looked at. A change that waits to be confirmed is left alone.
    ///
    /// # Errors
    /// A change that waits, one that came first, or what the engine refused.
    pub(crate) fn replan(&self, generation: u64, switches: Vec<Switch>) -> Result<u64, ApplyError> {
        let _turn = self.applying.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.current();
        current.refuse_if_pending()?;
        if current.generation != generation {
            return Err(ApplyError::Overtaken);
        }
        let mut decisions = current.decisions;
        let mut reasons = Vec::new();
        for Switch { decision, why } in switches {
            if let Some(place) = decisions.iter_mut().find(|running| running.chain == decision.chain) {
                *place = decision;
                reasons.push(why);
            }
        }
        let mut plan = current.plan;
        current.config.run_as_decided(&mut plan, &decisions);
        let Applied { generation, pause } = self.engine.apply(plan.clone()).map_err(ApplyError::Engine)?;
        let mut now = self.lock();
        now.plan = plan;
        now.decisions = decisions;
        now.generation = generation;
        drop(now);
        for why in reasons {
            tracing::info!("{why}; no packets were received for {pause:?}");
            self.tell("replanned", generation, Some(why));
        }
        Ok(generation)
    }

    /// Goes over to another number of workers: flows whose worker changes take their state along. `why` is what
    /// everybody is told.
    ///
    /// # Errors
    /// A change that waits to be confirmed, too few cores, NFs that cannot be prepared any more, or what the engine
    /// refused. The workers stay as they are then.
    pub fn scale(&self, workers: usize, why: &str) -> Result<Scaled, ApplyError> {
        let _turn = self.applying.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.current();
        current.refuse_if_pending()?;
        let before = current.config.engine.cores.len();
        if workers == before {
            return Ok(Scaled { before, workers, generation: current.generation, pause: None });
        }
        let config = current.config.with_workers(workers).map_err(ApplyError::Cores)?;
        let (plan, decisions) = current
            .plan_next(&config, &self.known())
            .map_err(|errors| ApplyError::Config(Box::new(errors)))?;
        let Applied { generation, pause } = self.engine.apply(plan.clone()).map_err(ApplyError::Engine)?;
        let mut why = format!("from {before} to {workers} workers: {why}");
        let needed = plan.buffers_needed();
        if needed > self.buffers {
            let more = format!("; {needed} packet buffers can be in use, and there are {}", self.buffers);
            why.push_str(&more);
        }
        let mut now = self.lock();
        now.config = config;
        now.plan = plan;
        now.decisions = decisions;
        now.generation = generation;
        drop(now);
        tracing::info!("{why}; no packets were received for {pause:?}");
        self.tell("scaled", workers as u64, Some(why));
        Ok(Scaled { before, workers, generation, pause: Some(pause) })
    }
}
