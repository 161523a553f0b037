//! Workers come and go by themselves (`[engine] scale`): how busy they are is looked at again and again, and one more is
//! added, or one taken away, when it has been so for some looks in a row.

#[cfg(test)]
mod tests;

use crate::config::Scale;
use crate::controller::{ApplyError, Controller};
use engine::Snapshot;

/// Looks in a row at which the workers have to be busier than `up`.
const UP_LOOKS: u32 = 2;
/// Looks in a row at which they have to be less busy than `down`: packets are lost when there is one too few, and only
/// time when there is one too many.
const DOWN_LOOKS: u32 = 5;
/// With one worker fewer the others must stay below this share of `up`.
const ROOM: f64 = 0.9;

/// What is remembered from look to look.
#[derive(Default)]
pub(crate) struct Scaling {
    /// The latest look: the generation, the time in seconds, the workers' busy time in nanoseconds.
    last: Option<(u64, f64, u64)>,
    above: u32,
    below: u32,
    /// What kept it last from changing the number of workers.
    refused: Option<String>,
}

/// What is to be done, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Order {
    workers: usize,
    why: String,
}

impl Scaling {
    /// Looks once, and has a worker come or go if it is time.
    pub(crate) fn look(&mut self, controller: &Controller, scale: Scale) {
        let current = controller.current();
        let workers = current.plan.cores.len();
        let snapshot = controller.engine().snapshot();
        // A run on captures has the workers that it began with.
        if current.plan.is_replay() {
            return;
        }
        let Some(busy) = self.busy(current.generation, workers, &snapshot) else { return };
        let Some(Order { workers: wanted, why }) = self.judge(workers, busy, scale) else { return };
        match controller.scale(wanted, &why) {
            Ok(_) => self.refused = None,
            Err(ApplyError::Unconfirmed(_)) => {}
            Err(error) => {
                let error = error.to_string();
                if self.refused.as_ref() != Some(&error) {
                    tracing::warn!("the workers stay {workers}: {error}");
                    let what = format!("from {workers} to {wanted} workers: {why}: {error}");
                    controller.tell("scale_refused", workers as u64, Some(what));
                    self.refused = Some(error);
                }
            }
        }
    }

    /// The share of the time since the look before in which a worker was busy, on average.
    fn busy(&mut self, generation: u64, workers: usize, snapshot: &Snapshot) -> Option<f64> {
        let busy: u64 = snapshot.workers.iter().map(|worker| worker.busy_ns).sum();
        let (before, began, was) = self.last.replace((generation, snapshot.seconds, busy))?;
        let nanos = (snapshot.seconds - began) * 1e9 * workers as f64;
        // After any change the picture is another one.
        (before == generation && nanos > 0.0).then(|| (busy.saturating_sub(was) as f64 / nanos).min(1.0))
    }

    fn judge(&mut self, workers: usize, busy: f64, scale: Scale) -> Option<Order> {
        let with_one_less = busy * workers as f64 / (workers.max(2) - 1) as f64;
        let (too_few, too_many) = (workers < scale.min, workers > scale.max);
        let too_busy = too_few || busy > scale.up && workers < scale.max;
        let too_idle =
            too_many || busy < scale.down && with_one_less < ROOM * scale.up && workers > scale.min;
        self.above = if too_busy { self.above + 1 } else { 0 };
        self.below = if too_idle { self.below + 1 } else { 0 };
        let busy = |how: &str, than: f64, looks: u32| {
            let percent = |share: f64| (share * 100.0).round();
            let (busy, than) = (percent(busy), percent(than));
            format!("busy {busy} % of the time, {how} {than} % at {looks} looks in a row")
        };
        let (wanted, why) = if self.above >= UP_LOOKS {
            let asked = || format!("at least {} are asked for", scale.min);
            (workers + 1, if too_few { asked() } else { busy("above", scale.up, UP_LOOKS) })
        } else if self.below >= DOWN_LOOKS {
            let asked = || format!("at most {} are asked for", scale.max);
            (workers - 1, if too_many { asked() } else { busy("below", scale.down, DOWN_LOOKS) })
        } else {
            return None;
        };
        (self.above, self.below) = (0, 0);
        Some(Order { workers: wanted, why })
    }
}
