//! Pools without a handle, until the last of their mbufs is back.
//!
//! DPDK's count of free mbufs cannot be trusted while others put some back: a cache that is being flushed
//! is counted twice for a moment, and its length is stored before its contents. So, for a pool whose mbufs
//! seem to be back:
//!
//! 1. seal it: passages that begin later allocate nothing from it (an mbuf's own operations could; there
//!    is no handle left). [`gate::grace`]: what began earlier has ended. From here on mbufs only come back:
//!    from outside into a cache or the store, or from a cache into the store.
//! 2. count the store; grace; count the caches. A flush that the first count saw has ended by the second,
//!    so no mbuf is counted twice, and the sum is at most the number that is back.
//! 3. if all are: grace, so that whoever put the last one back is done with it. Then nobody can name the
//!    pool any more, and it is freed. Otherwise unseal it and try again another time.

use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

use dpdk_sys::rte_mempool;

use super::origin::{seal, unseal};
use crate::gate;

/// A pool without a handle.
struct Grave(NonNull<rte_mempool>);

// SAFETY: see `Send for Inner`: mempools are usable from any thread.
unsafe impl Send for Grave {}

static GRAVEYARD: Mutex<Vec<Grave>> = Mutex::new(Vec::new());

/// Takes over a pool whose last handle is gone.
pub(super) fn bury(mempool: NonNull<rte_mempool>) {
    GRAVEYARD.lock().unwrap_or_else(PoisonError::into_inner).push(Grave(mempool));
    sweep();
}

/// Frees what can be freed; returns how many pools remain.
pub(super) fn sweep() -> usize {
    let mut graves = GRAVEYARD.lock().unwrap_or_else(PoisonError::into_inner);
    graves.retain(|grave| !try_free(grave.0));
    graves.len()
}

/// Frees the pool if all its mbufs are back.
fn try_free(mempool: NonNull<rte_mempool>) -> bool {
    let pool = mempool.as_ptr();
    // SAFETY: a buried pool is alive until this function frees it, under the graveyard's lock.
    let (size, seem_back) =
        unsafe { (dpdk_sys::braid_pool_size(pool), dpdk_sys::rte_mempool_avail_count(pool)) };
    if seem_back < size {
        return false;
    }
    // SAFETY: the pool is alive.
    unsafe { seal(mempool) };
    let all_back = gate::grace() && {
        // SAFETY: the pool is alive.
        let stored = unsafe { dpdk_sys::braid_pool_stored(pool) };
        gate::grace() && {
            // SAFETY: the pool is alive.
            let cached = unsafe { dpdk_sys::braid_pool_cached(pool) };
            stored.saturating_add(cached) == size && gate::grace()
        }
    };
    if all_back {
        // SAFETY: no handle, no mbuf and no open passage of this pool is left, so nobody can reach it.
        unsafe { dpdk_sys::rte_mempool_free(pool) };
    } else {
        // SAFETY: the pool is alive.
        unsafe { unseal(mempool) };
    }
    all_back
}
