//! Who is inside DPDK's memory pools right now.
//!
//! DPDK's pools keep a cache per lcore whose length is stored before its contents, so "all mbufs are
//! back" can be read while the last one is still being put back. Before a pool is freed it must be known
//! that every operation begun earlier has ended. Every call that may touch a pool is made inside a
//! [`Passage`]; [`grace`] waits until all passages that were open when it was called are closed.
//!
//! A registered thread pays two plain stores to a line of its own: the fence that the protocol needs is
//! on the other side, by `membarrier(2)`. Other threads count themselves in a shared counter; they have no
//! cache either, and are not where packets are moved fast.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering, compiler_fence, fence};
use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// How long [`grace`] waits for an open passage: they last microseconds unless the thread is preempted.
const PATIENCE: Duration = Duration::from_millis(20);

/// One lcore's passages: odd while inside. On a line of its own, since it is written twice per burst.
#[repr(align(128))]
struct Gate(AtomicU64);

static GATES: [Gate; dpdk_sys::BRAID_MAX_LCORE as usize] =
    [const { Gate(AtomicU64::new(0)) }; dpdk_sys::BRAID_MAX_LCORE as usize];

/// Open passages of threads without an lcore.
static OUTSIDERS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The gate of this thread, while it is registered.
    static GATE: Cell<Option<&'static AtomicU64>> = const { Cell::new(None) };
}

/// The calling thread has become lcore number `lcore`, which no other thread is.
pub(crate) fn register(lcore: usize) {
    GATE.set(GATES.get(lcore).map(|gate| &gate.0));
}

/// The calling thread is about to give its lcore number back.
pub(crate) fn unregister() {
    GATE.set(None);
}

/// Whether the calling thread is registered.
pub(crate) fn is_registered() -> bool {
    GATE.get().is_some()
}

/// While this lives, the calling thread may be inside a pool.
pub(crate) struct Passage {
    opened: Opened,
    /// A passage belongs to its thread.
    _thread: PhantomData<*const ()>,
}

enum Opened {
    Lcore(&'static AtomicU64, u64),
    Outsider,
    /// Inside a passage of the same lcore already.
    Nested,
}

/// Opens a passage.
#[inline]
pub(crate) fn enter() -> Passage {
    let opened = match GATE.get() {
        Some(gate) => {
            let now = gate.load(Ordering::Relaxed);
            if now & 1 == 1 {
                Opened::Nested
            } else {
                gate.store(now + 1, Ordering::Relaxed);
                // The processor's fence is `grace`'s membarrier.
                compiler_fence(Ordering::SeqCst);
                Opened::Lcore(gate, now + 2)
            }
        }
        None => {
            OUTSIDERS.fetch_add(1, Ordering::SeqCst);
            Opened::Outsider
        }
    };
    Passage { opened, _thread: PhantomData }
}

impl Drop for Passage {
    #[inline]
    fn drop(&mut self) {
        match self.opened {
            Opened::Lcore(gate, closed) => gate.store(closed, Ordering::Release),
            Opened::Outsider => {
                OUTSIDERS.fetch_sub(1, Ordering::SeqCst);
            }
            Opened::Nested => {}
        }
    }
}

/// Waits until every passage that was open at the call is closed, and makes what happened in them
/// visible. `false`: one stayed open too long, or the kernel has no `membarrier`; nothing is known then.
///
/// Must not be called inside a passage (it would wait for itself, in vain).
#[must_use]
pub(crate) fn grace() -> bool {
    fence(Ordering::SeqCst);
    if !membarrier() {
        return false;
    }
    let deadline = Instant::now() + PATIENCE;
    for Gate(gate) in &GATES {
        let seen = gate.load(Ordering::Acquire);
        if seen & 1 == 1 && !wait_until(deadline, || gate.load(Ordering::Acquire) != seen) {
            return false;
        }
    }
    wait_until(deadline, || OUTSIDERS.load(Ordering::SeqCst) == 0)
}

fn wait_until(deadline: Instant, mut condition: impl FnMut() -> bool) -> bool {
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

/// A full fence on every running thread of this process. `false`: the kernel refuses.
fn membarrier() -> bool {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let command = |command: libc::c_int| {
        // SAFETY: membarrier takes three integers and touches no memory of ours.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
    };
    *REGISTERED.get_or_init(|| command(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED))
        && command(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED)
}
