//! Allocating from the pool that an mbuf came from, which may have no handle any more.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use dpdk_sys::{rte_mbuf, rte_mempool};

/// Set in a pool's word while it is found out whether all its mbufs are back.
const SEALED: u64 = 1;

/// A pool of which the caller holds an mbuf. Only valid inside a passage.
#[derive(Clone, Copy)]
pub(crate) struct Origin {
    mempool: NonNull<rte_mempool>,
}

impl Origin {
    /// `None` while the pool is sealed, which an exhausted pool looks like, too.
    ///
    /// # Safety
    /// The caller holds an mbuf of this pool, and is inside a passage that it keeps open while it uses the
    /// origin.
    pub(crate) unsafe fn of(mempool: *mut rte_mempool) -> Option<Origin> {
        let mempool = NonNull::new(mempool)?;
        // SAFETY: the pool lives, since an mbuf of it is out (see `graveyard`).
        let sealed = unsafe { is_sealed(mempool) };
        (!sealed).then_some(Origin { mempool })
    }

    /// One mbuf without data.
    pub(crate) fn alloc(self) -> Option<NonNull<rte_mbuf>> {
        // SAFETY: the pool lives and is not sealed, by the contract of `of`.
        NonNull::new(unsafe { dpdk_sys::braid_alloc(self.mempool.as_ptr()) })
    }

    pub(crate) fn as_ptr(self) -> *mut rte_mempool {
        self.mempool.as_ptr()
    }
}

/// The pool's word; drivers' own pools have none, and are never freed by us.
///
/// # Safety
/// The pool is alive.
unsafe fn word<'a>(mempool: NonNull<rte_mempool>) -> Option<&'a AtomicU64> {
    // SAFETY: the pool is alive. A non-null result is an aligned 64-bit word in it, that is only accessed
    // atomically once the pool is made.
    unsafe {
        let word = dpdk_sys::braid_pool_word(mempool.as_ptr());
        (!word.is_null()).then(|| AtomicU64::from_ptr(word))
    }
}

/// # Safety
/// The pool is alive.
unsafe fn is_sealed(mempool: NonNull<rte_mempool>) -> bool {
    // SAFETY: passed on.
    unsafe { word(mempool) }.is_some_and(|word| word.load(Ordering::SeqCst) & SEALED != 0)
}

/// From now on nothing is allocated from the pool by a passage that begins later.
///
/// # Safety
/// The pool is alive.
pub(super) unsafe fn seal(mempool: NonNull<rte_mempool>) {
    // SAFETY: passed on.
    if let Some(word) = unsafe { word(mempool) } {
        word.fetch_or(SEALED, Ordering::SeqCst);
    }
}

/// # Safety
/// The pool is alive.
pub(super) unsafe fn unseal(mempool: NonNull<rte_mempool>) {
    // SAFETY: passed on.
    if let Some(word) = unsafe { word(mempool) } {
        word.fetch_and(!SEALED, Ordering::SeqCst);
    }
}
