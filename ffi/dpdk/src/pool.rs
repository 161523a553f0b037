//! Packet memory: pools of equal mbufs.

use std::ffi::CString;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dpdk_sys::{BRAID_CACHE_MAX, BRAID_HEADROOM, rte_mempool};

use crate::error::{DpdkError, last_errno};
use crate::{BURST, Eal, Mbuf, Mbufs, gate};

mod graveyard;
pub(crate) mod origin;

/// A pool of mbufs of one size on one NUMA node. Clones are handles to the same pool.
///
/// The memory outlives every mbuf of it: when the last handle is dropped while mbufs are still out (in a
/// ring, in a device, held by an NF), the pool is retired and freed later, when all have come back.
#[derive(Clone)]
pub struct Pool {
    inner: Arc<Inner>,
}

struct Inner {
    mempool: NonNull<rte_mempool>,
    name: String,
    size: u32,
    data_room: u16,
}

// SAFETY: rte_mempool is made for use from any thread: its store is a multi-producer, multi-consumer ring
// and its caches belong to one lcore each. The other fields never change.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

impl Pool {
    /// Makes a pool of `count` mbufs with `data_room` bytes for packet data each (128 bytes of headroom
    /// are added), `cache` of which each registered thread may keep at hand (cut to what DPDK can: 512,
    /// and two thirds of the pool). `socket`: the NUMA node, `None` for any.
    ///
    /// # Errors
    /// No memory, or sizes that make no pool.
    pub fn new(
        eal: &Eal,
        name: &str,
        count: u32,
        cache: u32,
        data_room: u16,
        socket: Option<u32>,
    ) -> Result<Pool, DpdkError> {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let buffer = u16::try_from(u32::from(data_room) + BRAID_HEADROOM).ok();
        let (Some(buffer), 1..) = (buffer.filter(|_| data_room > 0), count) else {
            let largest = u32::from(u16::MAX) - BRAID_HEADROOM;
            return Err(DpdkError::InvalidArgument(format!(
                "pool {name}: {count} mbufs of {data_room} bytes: at least one mbuf, of 1 to {largest} bytes"
            )));
        };
        let cache = cache.min(BRAID_CACHE_MAX).min(count / 3 * 2);
        // Names are 25 characters at most and unique among living and retired pools.
        let short: String = name.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
        let unique = format!("{short}-{}", SERIAL.fetch_add(1, Ordering::Relaxed));
        let unique =
            CString::new(unique).map_err(|_| DpdkError::InvalidArgument(format!("pool name {name:?}")))?;

        graveyard::sweep();
        let socket = eal.socket(socket);
        // SAFETY: EAL is up, the name is a C string that is copied, the sizes are checked above.
        let create = || unsafe { dpdk_sys::braid_pool_create(unique.as_ptr(), count, cache, buffer, socket) };
        let Some(mempool) = NonNull::new(create()) else {
            let size = u64::from(count) * (u64::from(buffer) + 192) / (1 << 20) + 1;
            let place = if socket < 0 { String::new() } else { format!(" on NUMA node {socket}") };
            return Err(match last_errno() {
                libc::ENOMEM | libc::EINVAL => DpdkError::OutOfMemory {
                    what: format!("pool {name} ({count} mbufs of {data_room} bytes, about {size} MB{place})"),
                    advice: "give DPDK more memory, or ask for fewer or smaller mbufs".into(),
                },
                errno => DpdkError::refused(format!("making pool {name}"), -errno, Vec::new()),
            });
        };
        Ok(Pool { inner: Arc::new(Inner { mempool, name: name.to_owned(), size: count, data_room }) })
    }

    /// One mbuf without data, or `None` when the pool is empty.
    #[inline]
    #[must_use]
    pub fn alloc(&self) -> Option<Mbuf> {
        let _passage = gate::enter();
        // SAFETY: the pool lives; the passage is open.
        let mbuf = unsafe { dpdk_sys::braid_alloc(self.as_ptr()) };
        // SAFETY: a fresh mbuf, whose only reference is given to us.
        NonNull::new(mbuf).map(|mbuf| unsafe { Mbuf::from_raw(mbuf) })
    }

    /// Appends `n` mbufs without data to `into`: all, or none when the pool has fewer or `into` has no room
    /// for them. At half the cost per mbuf of [`Pool::alloc`].
    #[inline]
    pub fn alloc_bulk(&self, into: &mut Mbufs, n: usize) -> bool {
        let spare = into.spare();
        if n == 0 || n > spare.len() {
            return n == 0;
        }
        let _passage = gate::enter();
        // SAFETY: the pool lives; `spare` has room for n pointers and holds no mbuf, so none is lost.
        // `Option<Mbuf>` is one nullable pointer.
        let result = unsafe {
            dpdk_sys::braid_alloc_bulk(self.as_ptr(), spare.as_mut_ptr().cast(), n.min(BURST) as u32)
        };
        if result == 0 {
            // SAFETY: that many slots have just been filled.
            unsafe { into.grow(n, false) };
        }
        result == 0
    }

    /// How many mbufs can be had, in thread caches included (those only by their threads). Momentary.
    #[must_use]
    pub fn available(&self) -> u32 {
        // SAFETY: the pool lives; the count reads each part of it on its own.
        unsafe { dpdk_sys::rte_mempool_avail_count(self.as_ptr()) }
    }

    /// How many mbufs are out: with devices, in rings, held. Momentary.
    #[must_use]
    pub fn in_use(&self) -> u32 {
        self.inner.size.saturating_sub(self.available())
    }

    /// How many mbufs there are.
    #[must_use]
    pub fn size(&self) -> u32 {
        self.inner.size
    }

    /// Bytes of packet data that one mbuf holds behind its headroom.
    #[must_use]
    pub fn data_room(&self) -> u16 {
        self.inner.data_room
    }

    /// The name it was made with.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Frees the retired pools whose mbufs have all come back. Returns how many remain. Done by every
    /// [`Pool::new`], too. Not for a thread that polls: it waits for others, microseconds as a rule.
    pub fn sweep() -> usize {
        graveyard::sweep()
    }

    pub(crate) fn as_ptr(&self) -> *mut rte_mempool {
        self.inner.mempool.as_ptr()
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({}: {} of {} out)", self.inner.name, self.in_use(), self.inner.size)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        graveyard::bury(self.mempool);
    }
}
