//! The workers' threads, as control sees them.

use crate::bell::Bell;
use crate::clock::Clock;
use crate::error::EngineError;
use crate::graph::Graph;
use crate::inbox::{Message, Outlet, Signals};
use crate::plan::Idle;
use crate::worker::Worker;
use crossbeam::channel::{Receiver, Sender, bounded};
use dpdk::Eal;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Messages that wait for a worker; senders wait beyond that.
const INBOX: usize = 64;
/// How long a worker may take to come round before a change is called off.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// One worker, as control sees it.
pub(crate) struct Hand {
    pub core: usize,
    pub signals: Arc<Signals>,
    inbox: Sender<Message>,
    thread: Option<JoinHandle<()>>,
}

impl Hand {
    /// Starts a worker's thread on its core. It waits for a graph.
    pub(crate) fn start(
        eal: &Eal,
        index: usize,
        core: usize,
        idle: Idle,
        clock: Clock,
        outlet: Outlet,
    ) -> Result<Hand, EngineError> {
        let failed = |message: String| EngineError::Resource { what: format!("worker {index}"), message };
        let (inbox, mail) = bounded(INBOX);
        let signals = Arc::new(Signals::default());
        let (eal, own) = (eal.clone(), signals.clone());
        let (ready, started) = bounded::<Result<(), String>>(1);
        let body = move || {
            let prepared = prepare_thread(&eal, core, idle, &own.bell);
            let _guard = match prepared {
                Ok(guard) => guard,
                Err(message) => {
                    let _ = ready.send(Err(message));
                    return;
                }
            };
            let _ = ready.send(Ok(()));
            Worker::new(index, clock, idle, mail, own, outlet).run();
        };
        let thread = std::thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(body)
            .map_err(|error| failed(error.to_string()))?;
        match started.recv() {
            Ok(Ok(())) => Ok(Hand { core, signals, inbox, thread: Some(thread) }),
            Ok(Err(message)) => Err(failed(message)),
            Err(_) => Err(failed("its thread ended".to_owned())),
        }
    }

    /// Tells the worker something. Gives up when its inbox stays full, which only a stalled worker's does.
    pub(crate) fn tell(&self, message: Message) -> bool {
        let told = self.inbox.send_timeout(message, PATIENCE).is_ok();
        self.signals.mail.store(true, Release);
        self.signals.bell.ring_after_fence();
        told
    }

    /// Has the worker do something between bursts, and waits for what it says.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Worker) -> T + Send + 'static,
    ) -> Option<T> {
        let (reply, answer) = bounded(1);
        let call = move |worker: &mut Worker| {
            let _ = reply.send(question(worker));
        };
        if !self.tell(Message::Call(Box::new(call))) {
            return None;
        }
        answer.recv_timeout(PATIENCE).ok()
    }

    /// Ends the thread and waits for it.
    pub(crate) fn dismiss(mut self) {
        self.tell(Message::Exit);
        if let Some(thread) = self.thread.take() {
            // A worker that panicked outside any NF has lost its packets; its thread's message is on stderr.
            let _ = thread.join();
        }
    }
}

/// A hand that is let go without being dismissed: its thread ends by itself as soon as it comes round.
impl Drop for Hand {
    fn drop(&mut self) {
        let _ = self.inbox.try_send(Message::Exit);
        // Without a sender the worker sees that control is gone, even if the message found no room.
        self.inbox = bounded(0).0;
        self.signals.mail.store(true, Release);
        self.signals.bell.ring_after_fence();
    }
}

/// The error for a worker that does not come round.
fn stalled(worker: usize) -> EngineError {
    EngineError::Stalled { worker, millis: u64::try_from(PATIENCE.as_millis()).unwrap_or(u64::MAX) }
}

/// Pins the thread and makes it known to DPDK.
pub(crate) fn prepare_thread(
    eal: &Eal,
    core: usize,
    idle: Idle,
    bell: &Bell,
) -> Result<dpdk::ThreadGuard, String> {
    if !core_affinity::set_for_current(core_affinity::CoreId { id: core }) {
        return Err(format!("core {core} is not there, or this process may not run on it"));
    }
    if idle == Idle::Adaptive {
        bell.install().map_err(|error| format!("an event to wake it by: {error}"))?;
        // Naps are far shorter than the default slack of 50 µs would allow.
        let slack = std::num::NonZeroU64::new(1_000);
        if let Err(error) = rustix::thread::set_current_timer_slack(slack) {
            tracing::warn!(%error, "timer slack not set: an idle worker wakes later");
        }
    }
    eal.register_thread().map_err(|error| error.to_string())
}

/// All workers.
#[derive(Default)]
pub(crate) struct Crew {
    pub hands: Vec<Hand>,
}

impl Crew {
    /// The signals of all workers, by number.
    pub(crate) fn signals(&self) -> Arc<[Arc<Signals>]> {
        self.hands.iter().map(|hand| hand.signals.clone()).collect()
    }

    /// Stops receiving and waits until nothing is on its way between workers. On failure all receive again.
    pub(crate) fn quiesce(&self) -> Result<(), EngineError> {
        for hand in &self.hands {
            hand.signals.quiet.store(false, Release);
            hand.tell(Message::Quiesce);
        }
        let start = Instant::now();
        let mut restless = 0;
        while start.elapsed() < PATIENCE {
            // Rings, workers, rings: a packet that moves meanwhile shows in one of the three.
            let sent = self.dealt_with();
            if let Some(worker) = self.hands.iter().position(|hand| !hand.signals.quiet.load(Acquire)) {
                restless = worker;
            } else if sent.is_some() && self.dealt_with() == sent {
                return Ok(());
            }
            // Workers may share a core with this thread: let them run.
            std::thread::sleep(Duration::from_micros(20));
        }
        self.resume();
        Err(stalled(restless))
    }

    /// Receives again.
    pub(crate) fn resume(&self) {
        for hand in &self.hands {
            hand.tell(Message::Resume);
        }
    }

    /// How many packets were put on rings, if all of them have been dealt with. `done` is read before `sent`, so a
    /// packet that moves meanwhile makes the answer no, never a wrong yes.
    fn dealt_with(&self) -> Option<u64> {
        let done: u64 = self.hands.iter().map(|hand| hand.signals.ring_done.load(Acquire)).sum();
        let sent: u64 = self.hands.iter().map(|hand| hand.signals.ring_sent.load(Acquire)).sum();
        (done == sent).then_some(sent)
    }

    /// Takes every worker's graph. The workers are quiet, so they answer at once.
    pub(crate) fn take(&self) -> Result<Vec<Box<Graph>>, EngineError> {
        let replies: Vec<Receiver<Box<Graph>>> = self
            .hands
            .iter()
            .map(|hand| {
                let (reply, graph) = bounded(1);
                hand.tell(Message::Take(reply));
                graph
            })
            .collect();
        let deadline = Instant::now() + PATIENCE;
        let mut taken: Vec<Option<Box<Graph>>> =
            replies.iter().map(|reply| reply.recv_deadline(deadline).ok()).collect();
        if let Some(worker) = taken.iter().position(Option::is_none) {
            // Everybody gets back what was theirs, the late ones too.
            for ((hand, graph), reply) in self.hands.iter().zip(&mut taken).zip(&replies) {
                if let Some(graph) = graph.take().or_else(|| reply.try_recv().ok()) {
                    hand.tell(Message::Return(graph));
                }
            }
            drop(replies);
            self.resume();
            return Err(stalled(worker));
        }
        Ok(taken.into_iter().flatten().collect())
    }

    /// Gives every worker its graph.
    pub(crate) fn install(&self, graphs: Vec<Box<Graph>>) {
        for (hand, graph) in self.hands.iter().zip(graphs) {
            hand.tell(Message::Install(graph));
        }
    }
}
