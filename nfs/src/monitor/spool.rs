//! Flows that ended before the run does: from the workers, through rings, to a file beside the report.

use super::flow::Flow;
use super::record::{self, Ended};
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use wire::FlowKey;

/// Ended flows that can wait per worker: more in one poll of the writer are lost, and counted.
const RING: usize = 1 << 16;
/// How often the writer looks.
const POLL: Duration = Duration::from_millis(1);
/// Numbers the spools of a process, so that no two share a file.
static SERIAL: AtomicU64 = AtomicU64::new(0);

/// Takes flows that ended.
pub(super) trait Sink {
    /// The key is canonical.
    fn ended(&mut self, key: FlowKey, flow: &Flow);
}

/// The way of one worker's ended flows to the spool.
pub(super) struct Outlet {
    way: Way,
    /// Flows that were wanted and did not get there.
    pub lost: u64,
}

/// Where an outlet leads.
enum Way {
    /// Nobody wants ended flows.
    Nowhere,
    /// They are wanted, and there is no writer to take them.
    Blocked,
    Open(rtrb::Producer<Ended>),
}

impl Outlet {
    /// Nobody wants them.
    pub(super) fn nowhere() -> Outlet {
        Outlet { way: Way::Nowhere, lost: 0 }
    }
}

impl Sink for Outlet {
    fn ended(&mut self, key: FlowKey, flow: &Flow) {
        let arrives = match &mut self.way {
            Way::Nowhere => return,
            Way::Blocked => false,
            Way::Open(ring) => ring.push(Ended { key, flow: *flow }).is_ok(),
        };
        self.lost += u64::from(!arrives);
    }
}

/// A file of ended flows, written by a thread of its own. It is made when the first flow ends, and removed with
/// the spool.
pub(super) struct Spool {
    file: PathBuf,
    shared: Arc<Shared>,
    /// All writers that there were: one ends when no worker is left, another begins with the next.
    writers: Mutex<Vec<Writer>>,
}

type Writer = JoinHandle<io::Result<()>>;

#[derive(Default)]
struct Shared {
    rings: Mutex<Rings>,
    closing: AtomicBool,
    written: AtomicU64,
}

#[derive(Default)]
struct Rings {
    /// One for each worker.
    open: Vec<rtrb::Consumer<Ended>>,
    /// A writer looks after them.
    served: bool,
}

impl Spool {
    /// For the report `report`: nothing is made yet.
    pub(super) fn beside(report: &Path) -> Spool {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let mut file = report.as_os_str().to_owned();
        file.push(format!(".ended-{}-{serial}", std::process::id()));
        Spool { file: file.into(), shared: Arc::default(), writers: Mutex::default() }
    }

    /// A way in, for one worker. The writer begins with the first.
    pub(super) fn outlet(self: &Arc<Self>) -> Outlet {
        self.outlet_to(|shared, file| {
            std::thread::Builder::new().name("ended-flows".into()).spawn(move || shared.write(&file))
        })
    }

    /// The same with a writer from `start`, which may fail: the outlet then counts every flow as lost.
    fn outlet_to(&self, start: impl FnOnce(Arc<Shared>, PathBuf) -> io::Result<Writer>) -> Outlet {
        let mut rings = locked(&self.shared.rings);
        if !rings.served {
            let Ok(writer) = start(Arc::clone(&self.shared), self.file.clone()) else {
                return Outlet { way: Way::Blocked, lost: 0 };
            };
            locked(&self.writers).push(writer);
            rings.served = true;
        }
        let (producer, consumer) = rtrb::RingBuffer::new(RING);
        rings.open.push(consumer);
        Outlet { way: Way::Open(producer), lost: 0 }
    }

    /// Nobody writes to it any more, and nobody ever did.
    pub(super) fn is_spent(&self) -> bool {
        let served = locked(&self.shared.rings).served;
        !served && !locked(&self.writers).is_empty() && self.shared.written.load(Ordering::Acquire) == 0
    }

    /// Ends the writing, and gives back all ended flows.
    pub(super) fn collect(&self) -> io::Result<Vec<Ended>> {
        self.shared.closing.store(true, Ordering::Release);
        let writers = std::mem::take(&mut *locked(&self.writers));
        for writer in writers {
            writer.join().map_err(|_| io::Error::other("the writer of ended flows panicked"))??;
        }
        if self.shared.written.load(Ordering::Acquire) == 0 {
            return Ok(Vec::new());
        }
        let mut file = BufReader::new(File::open(&self.file)?);
        let mut all = Vec::new();
        let mut bytes = [0; record::BYTES];
        loop {
            match file.read_exact(&mut bytes) {
                Ok(()) => all.push(record::decode(&bytes)),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(all),
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Release);
        for writer in locked(&self.writers).drain(..) {
            // It is done within a poll; what it came to does not matter any more.
            let _ = writer.join();
        }
        let _ = fs::remove_file(&self.file);
    }
}

impl Shared {
    /// The writer: until it is told to close, or no worker is left to write for.
    fn write(&self, path: &Path) -> io::Result<()> {
        let mut file = None;
        loop {
            // Looked at before the rings are emptied: what was pushed before it was set is then seen.
            let closing = self.closing.load(Ordering::Acquire);
            let mut rings = locked(&self.rings);
            let emptied = self.empty(&mut rings.open, &mut file, path);
            if emptied.is_err() || closing || rings.open.is_empty() {
                rings.served = false;
                let flushed = file.map_or(Ok(()), |mut file: BufWriter<File>| file.flush());
                return emptied.and(flushed);
            }
            drop(rings);
            std::thread::sleep(POLL);
        }
    }

    fn empty(
        &self,
        rings: &mut Vec<rtrb::Consumer<Ended>>,
        file: &mut Option<BufWriter<File>>,
        path: &Path,
    ) -> io::Result<()> {
        let mut result = Ok(());
        rings.retain_mut(|ring| {
            let abandoned = ring.is_abandoned();
            while let Ok(ended) = ring.pop() {
                if result.is_ok() {
                    result = self.append(file, path, &ended);
                }
            }
            !abandoned
        });
        result
    }

    fn append(&self, file: &mut Option<BufWriter<File>>, path: &Path, ended: &Ended) -> io::Result<()> {
        let file = match file {
            Some(file) => file,
            None => file.insert(BufWriter::new(File::options().create(true).append(true).open(path)?)),
        };
        file.write_all(&record::encode(ended))?;
        self.written.fetch_add(1, Ordering::Release);
        Ok(())
    }
}

/// A panic elsewhere leaves these lists as they were: they are good to use.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Collects ended flows in memory.
impl Sink for Vec<Ended> {
    fn ended(&mut self, key: FlowKey, flow: &Flow) {
        self.push(Ended { key, flow: *flow });
    }
}

#[cfg(test)]
mod tests;
