//! Changes a running engine from one configuration to the next, and back when nobody confirms.

use crate::config::{Change, Config, ConfigErrors, Decision, EngineSettings, diff};
use crate::handle::{EngineHandle, HandleError, Notice};
use crate::planning::{Delays, Mode};
use crate::socket::events::Hub;
use crossbeam::channel::{Receiver, bounded};
use engine::{Plan, Registry};
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

mod chains;
mod changes;

pub use chains::{ChainState, NfState};
pub use changes::{Scaled, Switch};

/// The one place where a running engine is changed from.
pub struct Controller {
    engine: Arc<dyn EngineHandle>,
    registry: Registry,
    current: Mutex<Current>,
    /// Held while a configuration is prepared and applied, so that changes come one after the other.
    applying: Mutex<()>,
    confirmed: Condvar,
    stop: AtomicBool,
    stopping: Condvar,
    stop_lock: Mutex<()>,
    /// What has been measured of NFs and chains.
    known: Mutex<Delays>,
    /// What is thought of each chain's segment, in words.
    remarks: Mutex<BTreeMap<String, String>>,
    /// Packet buffers, which are made once.
    buffers: u32,
    /// Who is told of events.
    pub hub: Hub,
}

/// What runs now.
#[derive(Clone)]
pub struct Current {
    /// The configuration.
    pub config: Config,
    /// The plan made of it.
    pub plan: Plan,
    /// What runs side by side of each chain, and why.
    pub decisions: Vec<Decision>,
    /// Counts the plans that ran; the first is 1.
    pub generation: u64,
    /// A change that waits to be confirmed.
    pub pending: Option<Pending>,
}

/// A change that is undone unless it is confirmed.
#[derive(Clone)]
pub struct Pending {
    /// What ran before.
    config: Config,
    plan: Plan,
    decisions: Vec<Decision>,
    /// When it is undone.
    pub deadline: Instant,
}

/// What a change did, or would do.
#[derive(Clone, Debug)]
pub struct AppliedChange {
    /// The differences.
    pub changes: Vec<Change>,
    /// The generation that runs now.
    pub generation: u64,
    /// The longest that a worker paused for it; `None`: nothing was applied.
    pub pause: Option<Duration>,
}

/// Why a change was not made. The old configuration runs on.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The new configuration has errors.
    #[error("the configuration has errors:\n{0}")]
    Config(Box<ConfigErrors>),
    /// It changes what cannot be changed while running.
    #[error("{} cannot change while the engine runs: restart it", .0.join(", "))]
    Restart(Vec<String>),
    /// An earlier change waits for its confirmation.
    #[error("an earlier change waits to be confirmed, for {} more s", .0.as_secs())]
    Unconfirmed(Duration),
    /// There is nothing to confirm.
    #[error("no change waits to be confirmed; it may have been rolled back already")]
    NothingToConfirm,
    /// Something else was changed meanwhile.
    #[error("another change came first")]
    Overtaken,
    /// There are no cores for so many workers.
    #[error("{0}")]
    Cores(String),
    /// The engine refused.
    #[error("the engine keeps its old plan: {0}")]
    Engine(HandleError),
    /// It was to be rolled back unless confirmed, and the system has no thread that would do so.
    #[error("nothing was changed, as nobody could roll it back: no thread could be made: {0}")]
    Unguarded(io::Error),
}

impl Controller {
    /// For an engine that runs `plan`, made of `config`.
    pub fn new(engine: Arc<dyn EngineHandle>, registry: Registry, config: Config, plan: Plan) -> Arc<Self> {
        let decisions = config.decisions_of(&plan);
        Arc::new(Controller {
            engine,
            registry,
            known: Mutex::default(),
            remarks: Mutex::default(),
            buffers: plan.buffers_made(),
            current: Mutex::new(Current { config, plan, decisions, generation: 1, pending: None }),
            applying: Mutex::new(()),
            confirmed: Condvar::new(),
            stop: AtomicBool::new(false),
            stopping: Condvar::new(),
            stop_lock: Mutex::new(()),
            hub: Hub::default(),
        })
    }

    /// The engine.
    pub fn engine(&self) -> &dyn EngineHandle {
        self.engine.as_ref()
    }

    /// All kinds of NF.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// What runs now.
    pub fn current(&self) -> Current {
        self.lock().clone()
    }

    /// What would change, with all that can be checked without the engine. Relative paths start from the
    /// running configuration's folder.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub fn preview(&self, text: &str) -> Result<AppliedChange, ApplyError> {
        let current = self.current();
        let (config, ..) = self.prepare(text, &current)?;
        let changes = diff(&current.config, &config);
        Ok(AppliedChange { changes, generation: current.generation, pause: None })
    }

    /// Makes `text` the running configuration, all of it or nothing. With `confirm` it is undone after that
    /// time unless [`Controller::confirm`] is called.
    ///
    /// # Errors
    /// What is wrong with the configuration, or what the engine refused.
    pub fn apply(
        self: &Arc<Self>,
        text: &str,
        confirm: Option<Duration>,
    ) -> Result<AppliedChange, ApplyError> {
        self.apply_guarded(text, confirm, |guard| {
            std::thread::Builder::new().name("control-rollback".to_owned()).spawn(guard).map(drop)
        })
    }

    /// Applies; `start` gives the body of the thread that rolls back a thread of its own.
    fn apply_guarded(
        self: &Arc<Self>,
        text: &str,
        confirm: Option<Duration>,
        start: impl FnOnce(Box<dyn FnOnce() + Send>) -> io::Result<()>,
    ) -> Result<AppliedChange, ApplyError> {
        let _turn = self.applying.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.current();
        current.refuse_if_pending()?;
        let (config, plan, decisions) = self.prepare(text, &current)?;
        let changes = diff(&current.config, &config);
        let fixed: Vec<String> =
            changes.iter().filter(|change| change.needs_restart).map(|change| change.path.clone()).collect();
        if !fixed.is_empty() {
            return Err(ApplyError::Restart(fixed));
        }
        // Who rolls back stands ready before there is something to roll back. If the engine refuses, the sender
        // goes and the thread with it.
        let (guard, watch) = bounded(1);
        if confirm.is_some() {
            let controller = Arc::clone(self);
            start(Box::new(move || controller.guard(&watch))).map_err(ApplyError::Unguarded)?;
        }
        let applied = self.engine.apply(plan.clone()).map_err(ApplyError::Engine)?;
        let mut now = self.lock();
        now.config = config;
        now.plan = plan;
        now.decisions = decisions;
        now.generation = applied.generation;
        if let Some(wait) = confirm {
            let deadline = Instant::now() + wait;
            let Current { config, plan, decisions, .. } = current;
            now.pending = Some(Pending { config, plan, decisions, deadline });
            // There is room for one, and the thread waits for it.
            let _ = guard.send((deadline, applied.generation));
        }
        drop(now);
        self.tell("config_applied", applied.generation, None);
        Ok(AppliedChange { changes, generation: applied.generation, pause: Some(applied.pause) })
    }

    /// Keeps the change that waits.
    ///
    /// # Errors
    /// [`ApplyError::NothingToConfirm`].
    pub fn confirm(&self) -> Result<u64, ApplyError> {
        // A roll-back that has begun holds the turn: what it undoes cannot be confirmed any more.
        let _turn = self.applying.lock().unwrap_or_else(PoisonError::into_inner);
        let mut current = self.lock();
        current.pending.take().ok_or(ApplyError::NothingToConfirm)?;
        self.confirmed.notify_all();
        Ok(current.generation)
    }

    fn prepare(&self, text: &str, current: &Current) -> Result<(Config, Plan, Vec<Decision>), ApplyError> {
        let refuse = |errors| ApplyError::Config(Box::new(errors));
        let running = &current.config;
        let mut config =
            Config::parse(text, running.file(), running.folder(), &self.registry).map_err(refuse)?;
        // Where they come and go by themselves, those that there are stay.
        if let Some(scale) = config.engine.scale {
            let workers = running.engine.cores.len().clamp(scale.min, scale.max);
            config = config.with_workers(workers).map_err(ApplyError::Cores)?;
        }
        let (plan, decisions) = current.plan_next(&config, &self.known()).map_err(refuse)?;
        Ok((config, plan, decisions))
    }

    /// Watches over the change that it is told of by its deadline and generation; ends when there is none.
    fn guard(&self, watch: &Receiver<(Instant, u64)>) {
        if let Ok((deadline, generation)) = watch.recv() {
            self.roll_back_at(deadline, generation);
        }
    }

    /// Waits until the change is confirmed, or undoes it. The plan that ran before was kept prepared, so files
    /// that changed in between do no harm.
    fn roll_back_at(&self, deadline: Instant, generation: u64) {
        let waits = |current: &Current| current.pending.is_some() && current.generation == generation;
        let mut current = self.lock();
        while waits(&current) && !self.stop_requested() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let slice = left.min(Duration::from_millis(200));
            current = self.confirmed.wait_timeout(current, slice).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(current);
        let _turn = self.applying.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.current();
        if !waits(&before) || self.stop_requested() {
            return;
        }
        let Some(pending) = before.pending else { return };
        match self.engine.apply(pending.plan.clone()) {
            Ok(applied) => {
                let mut current = self.lock();
                current.config = pending.config;
                current.plan = pending.plan;
                current.decisions = pending.decisions;
                current.generation = applied.generation;
                current.pending = None;
                drop(current);
                tracing::warn!("nobody confirmed the change: rolled back");
                self.tell("config_rolled_back", applied.generation, None);
            }
            Err(error) => {
                self.lock().pending = None;
                tracing::error!("roll-back failed, the unconfirmed configuration runs on: {error}");
                self.tell("config_roll_back_failed", generation, Some(error.to_string()));
            }
        }
    }

    /// Asks for a graceful stop; [`Controller::wait_for_stop`] returns.
    pub fn request_stop(&self) {
        self.stop.store(true, Ordering::Release);
        let _lock = self.stop_lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.stopping.notify_all();
    }

    /// Whether a stop was asked for.
    pub fn stop_requested(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Waits for a request to stop, at most so long. Returns whether there was one.
    pub fn wait_for_stop(&self, at_most: Duration) -> bool {
        let lock = self.stop_lock.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = |_: &mut ()| !self.stop_requested();
        drop(self.stopping.wait_timeout_while(lock, at_most, wait).unwrap_or_else(PoisonError::into_inner));
        self.stop_requested()
    }

    /// The settings that hold now.
    pub(crate) fn settings(&self) -> EngineSettings {
        self.lock().config.engine.clone()
    }

    /// Tells everybody what control has done.
    pub(crate) fn tell(&self, name: &str, value: u64, detail: Option<String>) {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.hub.publish(&Notice {
            time,
            source: "control".to_owned(),
            name: name.to_owned(),
            value,
            detail,
        });
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Current {
    fn refuse_if_pending(&self) -> Result<(), ApplyError> {
        match &self.pending {
            Some(pending) => {
                Err(ApplyError::Unconfirmed(pending.deadline.saturating_duration_since(Instant::now())))
            }
            None => Ok(()),
        }
    }

    /// The next configuration's plan. What was decided of a chain that stands in it as it does now goes on: a change
    /// elsewhere is no reason to plan it anew.
    fn plan_next(&self, next: &Config, known: &Delays) -> Result<(Plan, Vec<Decision>), ConfigErrors> {
        let (mut plan, mut decisions, _) = next.plan_knowing(known)?;
        if next.engine.buffers == self.config.engine.buffers {
            // Those that there are, however many the next plan would have made.
            plan.buffers = self.plan.buffers;
        }
        if next.engine.delays == self.config.engine.delays {
            for decision in &mut decisions {
                if let Some(kept) = self.decision_that_holds(decision, &plan) {
                    *decision = kept.clone();
                }
            }
            next.run_as_decided(&mut plan, &decisions);
        }
        Ok((plan, decisions))
    }

    fn decision_that_holds(&self, next: &Decision, plan: &Plan) -> Option<&Decision> {
        let nfs = |plan: &Plan| -> Option<Vec<_>> {
            let chain = plan.chains.iter().find(|chain| chain.name == next.chain)?;
            let effects = |at: &usize| {
                let nf = plan.nfs.get(*at)?;
                Some((nf.name.clone(), nf.prepared.kind(), nf.prepared.effects()))
            };
            chain.path.iter().map(effects).collect()
        };
        let running = self.decisions.iter().find(|running| running.chain == next.chain)?;
        let same = next.mode == Mode::Auto && running.mode == next.mode && nfs(&self.plan) == nfs(plan);
        same.then_some(running)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::{CONFIG, controller};

    #[test]
    fn without_a_thread_to_roll_it_back_a_change_is_refused() {
        let (engine, controller) = controller();
        let changed = CONFIG.replace("path = [\"edge\"]\n", "");
        let wait = Some(Duration::from_secs(60));
        let refused = controller.apply_guarded(&changed, wait, |_| Err(io::ErrorKind::WouldBlock.into()));
        let Err(error @ ApplyError::Unguarded(_)) = refused else { panic!("{refused:?}") };
        assert!(error.to_string().starts_with("nothing was changed"), "{error}");
        assert_eq!(engine.applied.lock().expect("lock").len(), 0, "the engine was not asked");
        let current = controller.current();
        assert_eq!((current.config.text(), current.pending.is_none()), (CONFIG, true));

        // Without 'confirm' nobody needs one.
        controller.apply_guarded(&changed, None, |_| panic!("no thread is needed")).expect("applied");
        assert_eq!(controller.current().config.text(), changed);
    }

    #[test]
    fn the_thread_ends_when_the_engine_refuses() {
        let (engine, controller) = controller();
        engine.refuse.store(true, Ordering::Relaxed);
        let mut thread = None;
        let refused = controller.apply_guarded(CONFIG, Some(Duration::from_secs(60)), |guard| {
            thread = Some(std::thread::Builder::new().spawn(guard)?);
            Ok(())
        });
        assert!(matches!(refused, Err(ApplyError::Engine(_))), "{refused:?}");
        thread.expect("a thread stood ready").join().expect("it has ended");
    }
}
