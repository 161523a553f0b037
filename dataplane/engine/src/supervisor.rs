//! The supervisor: a thread off the packets' way that turns workers' reports into events, restarts NFs that
//! panicked, and watches for workers that stall.

use crate::engine::{Inner, lock};
use crate::error::EngineError;
use crate::inbox::{Fall, Message, Report, Why};
use crate::nf::Nf;
use crate::state::Record;
use crate::time::Time;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use serde::Serialize;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Events that wait for a consumer.
const EVENTS: usize = 1024;
/// How often the supervisor looks around.
const ROUND: Duration = Duration::from_millis(100);
/// A worker that has not come round for so long is stalled.
const STALL: Duration = Duration::from_secs(1);
/// First and longest wait before a restart; it doubles in between.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));
/// An NF that ran for so long without a panic starts again with the first wait.
const FORGIVEN: Duration = Duration::from_secs(60);

/// Something that happened.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct EngineEvent {
    /// When, in nanoseconds since the Unix epoch.
    pub time: u64,
    /// Where: `nf.edge`, `port.wan`, `worker.1`.
    pub source: String,
    /// What, in snake case: `panicked`, `timed_out`, `restarted`, `stalled`, `link_down`, or what an NF reports.
    pub name: String,
    /// A number whose meaning goes with the name.
    pub value: u64,
}

/// The supervisor's thread.
pub(crate) struct Supervisor {
    ending: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Supervisor {
    /// Ends the thread and waits for it.
    pub(crate) fn end(self) {
        self.ending.store(true, Ordering::Release);
        self.thread.thread().unpark();
        let _ = self.thread.join();
    }
}

/// Starts the supervisor of an engine.
pub(crate) fn start(
    inner: Arc<Mutex<Inner>>,
    reports: Receiver<Report>,
    falls: Receiver<Fall>,
) -> Result<(Supervisor, Receiver<EngineEvent>), EngineError> {
    let (events, consumer) = bounded(EVENTS);
    let ending = Arc::new(AtomicBool::new(false));
    let watch = Watch {
        inner,
        events,
        ending: ending.clone(),
        restarts: Vec::new(),
        restarted: 0,
        panics: BTreeMap::new(),
        beats: Vec::new(),
        links: BTreeMap::new(),
        snapshots: BTreeMap::new(),
    };
    let thread = std::thread::Builder::new()
        .name("supervisor".into())
        .spawn(move || watch.run(&reports, &falls))
        .map_err(|error| EngineError::Resource {
            what: "the supervisor".into(),
            message: error.to_string(),
        })?;
    Ok((Supervisor { ending, thread }, consumer))
}

struct Watch {
    inner: Arc<Mutex<Inner>>,
    events: Sender<EngineEvent>,
    ending: Arc<AtomicBool>,
    restarts: Vec<Restart>,
    /// How many instances were started again.
    restarted: u64,
    /// By worker and NF name: the wait before the next restart, and when the last panic was.
    panics: BTreeMap<(usize, String), (Duration, Instant)>,
    /// By worker: its rounds when they last moved, and when that was.
    beats: Vec<(u64, Instant)>,
    links: BTreeMap<String, bool>,
    /// By NF name and worker: the instance's last saved state, and when it was saved.
    snapshots: BTreeMap<(String, usize), (Instant, Vec<Record>)>,
}

/// An NF that is to be started again.
struct Restart {
    due: Instant,
    worker: usize,
    nf: usize,
    name: String,
    generation: u32,
}

impl Watch {
    fn run(mut self, reports: &Receiver<Report>, falls: &Receiver<Fall>) {
        let mut next_look = Instant::now();
        while !self.ending.load(Ordering::Acquire) {
            match reports.recv_timeout(next_look.saturating_duration_since(Instant::now())) {
                Ok(Report { time, nf, generation, event }) => {
                    let name = self.name_of(nf, generation);
                    self.tell(time, format!("nf.{name}"), event.name, event.value);
                }
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            // Looked at by the clock and not by the want of reports, which may never end.
            if Instant::now() >= next_look {
                falls.try_iter().for_each(|fall| self.take(fall));
                self.look_around();
                next_look = Instant::now() + ROUND;
            }
        }
    }

    /// An instance has fallen: it is buried here, and another will start after a wait.
    fn take(&mut self, fall: Fall) {
        let Fall { time, nf, generation, worker, instance, why } = fall;
        bury(instance);
        let what = match why {
            Why::Panic => "panicked",
            Why::Silent => "timed_out",
            Why::Replaced => return,
            Why::Restarted => "restarted",
        };
        let name = self.name_of(nf, generation);
        self.tell(time, format!("nf.{name}"), what, worker as u64);
        if why == Why::Restarted {
            return;
        }
        let entry = self.panics.entry((worker, name.clone())).or_insert((BACK_OFF.0, Instant::now()));
        if entry.1.elapsed() > FORGIVEN {
            entry.0 = BACK_OFF.0;
        }
        let due = Instant::now() + entry.0;
        *entry = ((entry.0 * 2).min(BACK_OFF.1), Instant::now());
        self.restarts.push(Restart { due, worker, nf, name, generation });
    }

    fn look_around(&mut self) {
        self.restart();
        let inner = self.inner.clone();
        let Ok(inner) = inner.try_lock() else { return };
        self.watch_workers(&inner);
        self.watch_links(&inner);
        drop(inner);
        self.save();
    }

    /// Starts those NFs again whose wait is over.
    fn restart(&mut self) {
        let (due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.restarts).into_iter().partition(|restart| restart.due <= Instant::now());
        self.restarts = later;
        for restart in due {
            let mut inner = lock(&self.inner);
            if inner.layout.generation != restart.generation {
                continue;
            }
            // What commands have set since it started, its peers know.
            let replicas = inner.replicas(restart.nf, Some(restart.worker));
            // What the fallen instance has drawn from its seed, this one must not draw again.
            self.restarted += 1;
            let mut site = crate::rewire::worker_site(&inner.plan, restart.worker);
            site.seed = wire::flow::mix(site.seed, self.restarted, wire::flow::DEFAULT_SEED);
            let prepared = inner.plan.nfs[restart.nf].prepared.clone();
            let saved = self
                .snapshots
                .get(&(restart.name.clone(), restart.worker))
                .map(|(_, records)| records.as_slice());
            // A constructor that panics must not take the supervisor along.
            let made = catch_unwind(AssertUnwindSafe(|| {
                let mut instance = prepared.instance(&site);
                for records in [saved, Some(replicas.as_slice())].into_iter().flatten() {
                    if let Some(state) = instance.state()
                        && let Err(error) = state.import(records)
                    {
                        tracing::warn!(nf = restart.name, %error, "restarted without all of its state");
                    }
                }
                instance
            }));
            let (nf, generation) = (restart.nf, restart.generation);
            // Its worker says whether it has taken it.
            let told = match (made, inner.crew.hands.get(restart.worker)) {
                (Ok(instance), Some(hand)) => hand.tell(Message::Replace { nf, generation, instance }),
                _ => false,
            };
            drop(inner);
            if !told {
                self.restarts.push(Restart { due: Instant::now() + BACK_OFF.1, ..restart });
            }
        }
    }

    /// Saves the state of NFs that want it.
    fn save(&mut self) {
        let wanted: Vec<(usize, String, Duration)> = lock(&self.inner)
            .plan
            .nfs
            .iter()
            .enumerate()
            .filter_map(|(index, nf)| Some((index, nf.name.clone(), nf.snapshot?)))
            .collect();
        let workers = lock(&self.inner).plan.cores.len();
        for (index, name, period) in wanted {
            for worker in 0..workers {
                let key = (name.clone(), worker);
                if self.snapshots.get(&key).is_some_and(|(saved, _)| saved.elapsed() < period) {
                    continue;
                }
                if let Ok(records) = lock(&self.inner).export_worker(index, worker) {
                    self.snapshots.insert(key, (Instant::now(), records));
                }
            }
        }
    }

    fn watch_workers(&mut self, inner: &Inner) {
        self.beats.resize(inner.crew.hands.len(), (u64::MAX, Instant::now()));
        for (worker, hand) in inner.crew.hands.iter().enumerate() {
            let rounds = hand.signals.rounds.load(Relaxed);
            let beat = &mut self.beats[worker];
            if beat.0 != rounds {
                *beat = (rounds, Instant::now());
            }
            let stalled = beat.1.elapsed() > STALL;
            if stalled != hand.signals.stalled.swap(stalled, Relaxed) {
                let name = if stalled { "stalled" } else { "recovered" };
                self.tell_now(format!("worker.{worker}"), name, worker as u64);
            }
        }
    }

    fn watch_links(&mut self, inner: &Inner) {
        for (port, open) in &inner.ports {
            let Some(device) = &open.device else { continue };
            let up = device.link().up;
            if self.links.insert(port.clone(), up).is_some_and(|was| was != up) {
                let name = if up { "link_up" } else { "link_down" };
                self.tell_now(format!("port.{port}"), name, u64::from(up));
            }
        }
    }

    fn name_of(&self, nf: usize, generation: u32) -> String {
        let inner = lock(&self.inner);
        match inner.layout.nfs.get(nf) {
            Some(node) if inner.layout.generation == generation => node.name.clone(),
            _ => format!("#{nf} of generation {generation}"),
        }
    }

    fn tell_now(&self, source: String, name: &str, value: u64) {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let now = Time::from_nanos(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX));
        self.tell(now, source, name, value);
    }

    fn tell(&self, time: Time, source: String, name: &str, value: u64) {
        tracing::debug!(source, name, value, "event");
        let event = EngineEvent { time: time.as_nanos(), source, name: name.to_owned(), value };
        // Nobody listens, or too slowly: the event is let go, as nothing may wait for a listener.
        let _ = self.events.try_send(event);
    }
}

/// Drops a poisoned instance; its destructor may panic too.
fn bury(instance: Option<Box<dyn Nf>>) {
    if catch_unwind(AssertUnwindSafe(|| drop(instance))).is_err() {
        tracing::warn!("an NF that panicked did so again when it was dropped");
    }
}
