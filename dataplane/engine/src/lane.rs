//! A helper: a thread on another core that runs branches for one worker.
//!
//! One branch at a time goes there and comes back, each over a ring of its own. The worker waits for it: between bursts
//! every instance is with its worker, so that nothing else has to know of helpers.

use crate::bell::Bell;
use crate::branch::Branch;
use crate::crew::prepare_thread;
use crate::error::EngineError;
use crate::plan::Idle;
use crossbeam::channel::bounded;
use crossbeam::utils::CachePadded;
use dpdk::Eal;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Branches on their way: one.
const RING: usize = 1;
/// After so many looks in vain a helper, or whoever waits for one, lets others have the core.
const PATIENT: u32 = 4096;
/// After so many more an idle helper sleeps.
const SLEEPS: u32 = 2 * PATIENT;
/// The longest sleep.
const SLEEP: Duration = Duration::from_secs(1);

/// A worker's way to a helper.
pub(crate) struct Lane {
    /// Empty at the end.
    to: Option<rtrb::Producer<Box<Branch>>>,
    from: rtrb::Consumer<Box<Branch>>,
    bell: Arc<CachePadded<Bell>>,
    thread: Option<JoinHandle<()>>,
    /// A branch went there and has not come back in time.
    astray: bool,
}

impl Lane {
    /// Starts a helper on a core.
    pub(crate) fn start(eal: &Eal, worker: usize, core: usize, idle: Idle) -> Result<Lane, EngineError> {
        let what = format!("a helper of worker {worker} on core {core}");
        let failed = |message: String| EngineError::Resource { what: what.clone(), message };
        let (to, inbox) = rtrb::RingBuffer::new(RING);
        let (outbox, from) = rtrb::RingBuffer::new(RING);
        let bell = Arc::new(CachePadded::new(Bell::default()));
        let (own, eal) = (bell.clone(), eal.clone());
        let (ready, started) = bounded::<Result<(), String>>(1);
        let body = move || {
            let _guard = match prepare_thread(&eal, core, idle, &own) {
                Ok(guard) => guard,
                Err(message) => {
                    let _ = ready.send(Err(message));
                    return;
                }
            };
            let _ = ready.send(Ok(()));
            help(inbox, outbox, &own, idle);
        };
        let thread = std::thread::Builder::new()
            .name(format!("helper-{worker}-{core}"))
            .spawn(body)
            .map_err(|error| failed(error.to_string()))?;
        match started.recv() {
            Ok(Ok(())) => Ok(Lane { to: Some(to), from, bell, thread: Some(thread), astray: false }),
            Ok(Err(message)) => Err(failed(message)),
            Err(_) => Err(failed("its thread ended".to_owned())),
        }
    }

    /// A branch that was late and is back by now.
    pub(crate) fn late(&mut self) -> Option<Box<Branch>> {
        if !self.astray {
            return None;
        }
        let late = self.from.pop().ok()?;
        self.astray = false;
        Some(late)
    }

    /// Sends a branch. Given back while another one has not come back.
    pub(crate) fn send(&mut self, branch: Box<Branch>) -> Result<(), Box<Branch>> {
        let Some(to) = self.to.as_mut().filter(|_| !self.astray) else { return Err(branch) };
        to.push(branch).map_err(|rtrb::PushError::Full(branch)| branch)?;
        self.bell.ring_after_fence();
        Ok(())
    }

    /// Waits for the branch, for so many TSC cycles at most.
    pub(crate) fn receive(&mut self, patience: u64) -> Option<Box<Branch>> {
        let (begun, mut looks) = (dpdk::tsc(), 0u32);
        loop {
            if let Ok(branch) = self.from.pop() {
                return Some(branch);
            }
            looks = looks.wrapping_add(1);
            if looks < PATIENT {
                std::hint::spin_loop();
                continue;
            }
            if self.from.is_abandoned() || dpdk::tsc().saturating_sub(begun) > patience {
                self.astray = true;
                return None;
            }
            // The helper may be on this very core.
            std::thread::yield_now();
        }
    }
}

/// Ends the thread. One that is in an NF which does not return is left to itself.
impl Drop for Lane {
    fn drop(&mut self) {
        self.to = None;
        self.bell.ring_after_fence();
        if let Some(thread) = self.thread.take().filter(|_| !self.astray) {
            // Panics of NFs are caught; there is nothing else to hear.
            let _ = thread.join();
        }
    }
}

/// The helper's loop, until its worker has no more use for it.
fn help(
    mut inbox: rtrb::Consumer<Box<Branch>>,
    mut outbox: rtrb::Producer<Box<Branch>>,
    bell: &Bell,
    idle: Idle,
) {
    let mut looks = 0u32;
    loop {
        if let Ok(mut branch) = inbox.pop() {
            looks = 0;
            branch.run_afar();
            // With nobody there to take it, it ends here.
            let _ = outbox.push(branch);
            continue;
        }
        if inbox.is_abandoned() {
            return;
        }
        looks = looks.saturating_add(1);
        if looks < PATIENT {
            std::hint::spin_loop();
        } else if idle == Idle::Spin || looks < SLEEPS {
            std::thread::yield_now();
        } else {
            bell.listen();
            // What came before it listened was not announced.
            if inbox.is_empty() && !inbox.is_abandoned() {
                bell.wait(std::iter::empty(), SLEEP);
            }
            bell.ignore();
            looks = 0;
        }
    }
}
