//! What workers report, out of the process: a ring from each worker, and one thread that writes for all of them.
//!
//! A worker never waits for a file or a socket: what finds its ring full is lost, and counted. One [`Writer`] leads to
//! one destination, its [`Sink`]; each worker's instance has an [`Outlet`] of it.
//!
//! - The thread begins with the first outlet and ends when the last is gone, as after a change of the configuration;
//!   what is in the rings by then gets to the sink.
//! - At the end of a run, [`Writer::close`] waits for that and hands out the sink for last words.
//! - A sink that fails gets nothing more. Everything since then counts as lost by the workers, and
//!   [`Outlet::tells_failure`] is true once, for an event.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the writer looks.
const POLL: Duration = Duration::from_millis(1);

/// A destination: a file, a socket.
pub(crate) trait Sink: Send + 'static {
    /// What it takes.
    type Record: Send + 'static;

    /// Takes a record. After an error it is given nothing more: what can be mended, like a connection, it mends by
    /// itself.
    fn take(&mut self, record: Self::Record) -> io::Result<()>;

    /// Called about once a millisecond, after the records that there were: the time to flush, or to send by the clock.
    fn settle(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The way of one worker's records to the sink.
pub(crate) struct Outlet<T> {
    way: Way<T>,
    /// Records that were wanted and did not even get into the ring.
    lost: u64,
}

/// Where an outlet leads.
enum Way<T> {
    /// Nobody wants records.
    Nowhere,
    /// They are wanted, and there is no thread to take them.
    Blocked,
    Open {
        ring: rtrb::Producer<T>,
        discarded: Arc<AtomicU64>,
        trouble: Arc<Trouble>,
    },
}

impl<T> Outlet<T> {
    /// Nobody wants records.
    pub(crate) fn nowhere() -> Outlet<T> {
        Outlet { way: Way::Nowhere, lost: 0 }
    }

    /// Records are wanted, and there is nobody to take them.
    pub(crate) fn blocked() -> Outlet<T> {
        Outlet { way: Way::Blocked, lost: 0 }
    }

    /// Sends a record, or counts it as lost. Neither waits nor allocates.
    pub(crate) fn send(&mut self, record: T) {
        let arrives = match &mut self.way {
            Way::Nowhere => return,
            Way::Blocked => false,
            Way::Open { ring, trouble, .. } => !trouble.is_there() && ring.push(record).is_ok(),
        };
        self.lost += u64::from(!arrives);
    }

    /// Records that were wanted and did not get to the sink.
    pub(crate) fn lost(&self) -> u64 {
        let discarded = match &self.way {
            Way::Open { discarded, .. } => discarded.load(Ordering::Relaxed),
            _ => 0,
        };
        self.lost + discarded
    }

    /// Takes over what a former outlet lost, so that a counter of it goes on.
    pub(crate) fn succeed(&mut self, old: &Outlet<T>) {
        self.lost += old.lost();
    }

    /// The sink has failed: true for one caller among all workers.
    pub(crate) fn tells_failure(&self) -> bool {
        match &self.way {
            Way::Open { trouble, .. } => trouble.is_there() && !trouble.told.swap(true, Ordering::Relaxed),
            _ => false,
        }
    }
}

/// Writes what the outlets send.
pub(crate) struct Writer<S: Sink> {
    name: &'static str,
    /// Records that can wait per worker.
    ring: usize,
    shared: Arc<Shared<S>>,
    /// All threads that there were: one ends when no worker is left, another begins with the next.
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared<S: Sink> {
    rings: Mutex<Rings<S::Record>>,
    sink: Mutex<S>,
    closing: AtomicBool,
    taken: AtomicU64,
    trouble: Arc<Trouble>,
}

struct Rings<T> {
    /// One for each worker.
    open: Vec<Ring<T>>,
    /// A thread looks after them.
    served: bool,
}

struct Ring<T> {
    records: rtrb::Consumer<T>,
    /// Records that got into the ring and not to the sink.
    discarded: Arc<AtomicU64>,
}

/// What has become of a sink that failed.
#[derive(Default)]
struct Trouble {
    there: AtomicBool,
    told: AtomicBool,
    message: Mutex<Option<String>>,
}

impl Trouble {
    fn is_there(&self) -> bool {
        self.there.load(Ordering::Relaxed)
    }

    /// Notes an error, if it is the first.
    fn note(&self, error: &io::Error) {
        locked(&self.message).get_or_insert_with(|| error.to_string());
        self.there.store(true, Ordering::Relaxed);
    }
}

impl<S: Sink> Writer<S> {
    /// For `sink`. The thread, which begins with the first outlet, is called `name`; `ring` records can wait per
    /// worker.
    pub(crate) fn new(name: &'static str, ring: usize, sink: S) -> Arc<Writer<S>> {
        let shared = Shared {
            rings: Mutex::new(Rings { open: Vec::new(), served: false }),
            sink: Mutex::new(sink),
            closing: AtomicBool::new(false),
            taken: AtomicU64::new(0),
            trouble: Arc::default(),
        };
        Arc::new(Writer { name, ring, shared: Arc::new(shared), threads: Mutex::default() })
    }

    /// A way in, for one worker.
    pub(crate) fn outlet(&self) -> Outlet<S::Record> {
        self.outlet_by(|shared| {
            std::thread::Builder::new().name(self.name.into()).spawn(move || shared.write())
        })
    }

    /// The same with a thread from `start`, which may fail: the outlet then counts every record as lost.
    fn outlet_by(
        &self,
        start: impl FnOnce(Arc<Shared<S>>) -> io::Result<JoinHandle<()>>,
    ) -> Outlet<S::Record> {
        let mut rings = locked(&self.shared.rings);
        if !rings.served {
            let Ok(thread) = start(Arc::clone(&self.shared)) else {
                return Outlet::blocked();
            };
            locked(&self.threads).push(thread);
            rings.served = true;
        }
        let (ring, records) = rtrb::RingBuffer::new(self.ring);
        let discarded = Arc::<AtomicU64>::default();
        rings.open.push(Ring { records, discarded: Arc::clone(&discarded) });
        let trouble = Arc::clone(&self.shared.trouble);
        Outlet { way: Way::Open { ring, discarded, trouble }, lost: 0 }
    }

    /// Nobody sends any more, and nobody ever did.
    pub(crate) fn is_spent(&self) -> bool {
        let served = locked(&self.shared.rings).served;
        !served && !locked(&self.threads).is_empty() && self.shared.taken.load(Ordering::Acquire) == 0
    }

    /// Ends the writing; `last` is then given the sink, which has all that was sent. The error is the sink's first.
    pub(crate) fn close<R>(&self, last: impl FnOnce(&mut S) -> io::Result<R>) -> io::Result<R> {
        self.shared.closing.store(true, Ordering::Release);
        let threads = std::mem::take(&mut *locked(&self.threads));
        for thread in threads {
            thread.join().map_err(|_| io::Error::other(format!("the thread '{}' panicked", self.name)))?;
        }
        if let Some(message) = &*locked(&self.shared.trouble.message) {
            return Err(io::Error::other(message.clone()));
        }
        last(&mut locked(&self.shared.sink))
    }
}

impl<S: Sink> Drop for Writer<S> {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Release);
        for thread in locked(&self.threads).drain(..) {
            // It is done within a poll; what it came to does not matter any more.
            let _ = thread.join();
        }
    }
}

impl<S: Sink> Shared<S> {
    /// The thread: until it is told to close, or no worker is left to write for.
    fn write(&self) {
        loop {
            // Looked at before the rings are emptied: what was pushed before it was set is then seen.
            let closing = self.closing.load(Ordering::Acquire);
            let mut rings = locked(&self.rings);
            let mut sink = locked(&self.sink);
            rings.open.retain_mut(|ring| {
                let abandoned = ring.records.is_abandoned();
                // No more than there is room for: a busy worker must not keep the others waiting.
                let present = ring.records.slots();
                (0..present).filter_map(|_| ring.records.pop().ok()).for_each(|record| {
                    if !self.pass(&mut sink, record) {
                        ring.discarded.fetch_add(1, Ordering::Relaxed);
                    }
                });
                !abandoned
            });
            if !self.trouble.is_there()
                && let Err(error) = sink.settle()
            {
                self.trouble.note(&error);
            }
            if closing || rings.open.is_empty() {
                rings.served = false;
                return;
            }
            drop((sink, rings));
            std::thread::sleep(POLL);
        }
    }

    /// Whether the record got to the sink.
    fn pass(&self, sink: &mut S, record: S::Record) -> bool {
        if self.trouble.is_there() {
            return false;
        }
        let passed = sink.take(record);
        match &passed {
            Ok(()) => _ = self.taken.fetch_add(1, Ordering::Release),
            Err(error) => self.trouble.note(error),
        }
        passed.is_ok()
    }
}

/// A panic elsewhere leaves these as they were: they are good to use.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
