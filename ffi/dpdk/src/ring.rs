//! Packets from one core to another: a ring with one sender and one receiver.

use std::ffi::CString;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dpdk_sys::rte_mbuf;

use crate::error::DpdkError;
use crate::{BURST, Eal, Mbuf, Mbufs};

/// A position that one side writes, away from the other side's.
#[repr(align(128))]
struct Position(AtomicUsize);

/// A ring of mbuf pointers in DPDK's memory. Made by [`Ring::spsc`], which gives its two ends.
///
/// Positions count packets ever passed; a slot is its position modulo the capacity. Slots from `head` to
/// `tail` hold one packet each and are the receiver's, the others are the sender's.
pub struct Ring {
    slots: NonNull<*mut rte_mbuf>,
    /// A power of two, less one.
    mask: usize,
    /// Next to be received. Written by the receiver.
    head: Position,
    /// Next to be sent. Written by the sender.
    tail: Position,
}

// SAFETY: slots are accessed by one side at a time, handed over by the release stores of `head` and `tail`;
// mbufs may be moved between threads.
unsafe impl Send for Ring {}
// SAFETY: as above.
unsafe impl Sync for Ring {}

impl Ring {
    /// A ring for at least `size` packets (rounded up to a power of two, at least a burst) in memory of NUMA
    /// node `socket`, and its two ends. When both ends are gone the packets in it are freed.
    ///
    /// # Errors
    /// No memory, or a size of more than 2²⁴.
    pub fn spsc(
        eal: &Eal,
        name: &str,
        size: usize,
        socket: Option<u32>,
    ) -> Result<(RingSender, RingReceiver), DpdkError> {
        if size > 1 << 24 {
            return Err(DpdkError::InvalidArgument(format!("ring {name}: {size} slots are more than 2^24")));
        }
        let capacity = size.max(BURST).next_power_of_two();
        let kind =
            CString::new("braid ring").map_err(|error| DpdkError::InvalidArgument(error.to_string()))?;
        // SAFETY: EAL is up; the size in bytes is at most 2^27; the name is a C string.
        let memory = unsafe {
            dpdk_sys::rte_zmalloc_socket(
                kind.as_ptr(),
                capacity * size_of::<*mut rte_mbuf>(),
                128,
                eal.socket(socket),
            )
        };
        let slots = NonNull::new(memory.cast()).ok_or_else(|| DpdkError::OutOfMemory {
            what: format!("ring {name} of {capacity} slots"),
            advice: "give DPDK more memory, or ask for fewer slots".into(),
        })?;
        let zero = || Position(AtomicUsize::new(0));
        let ring = Arc::new(Ring { slots, mask: capacity - 1, head: zero(), tail: zero() });
        Ok((
            RingSender { ring: Arc::clone(&ring), tail: 0, head_seen: 0 },
            RingReceiver { ring, head: 0, tail_seen: 0 },
        ))
    }

    fn capacity(&self) -> usize {
        self.mask + 1
    }

    /// Runs `copy(slot, index, count)` for the one or two stretches that `count` slots from `position` are.
    #[inline]
    fn stretches(
        &self,
        position: usize,
        count: usize,
        mut copy: impl FnMut(*mut *mut rte_mbuf, usize, usize),
    ) {
        let start = position & self.mask;
        let first = count.min(self.capacity() - start);
        // SAFETY: start is below the capacity.
        copy(unsafe { self.slots.as_ptr().add(start) }, 0, first);
        if first < count {
            copy(self.slots.as_ptr(), first, count - first);
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        let (mut head, tail) = (*self.head.0.get_mut(), *self.tail.0.get_mut());
        while head != tail {
            // SAFETY: both ends are gone, so this is the only access; slots between head and tail hold one
            // reference each, taken over here.
            let mbuf = unsafe { self.slots.as_ptr().add(head & self.mask).read() };
            // SAFETY: as above.
            drop(NonNull::new(mbuf).map(|mbuf| unsafe { Mbuf::from_raw(mbuf) }));
            head = head.wrapping_add(1);
        }
        // SAFETY: allocated by rte_zmalloc_socket, and nothing refers to it any more.
        unsafe { dpdk_sys::rte_free(self.slots.as_ptr().cast()) };
    }
}

/// The sending end of a [`Ring`].
pub struct RingSender {
    ring: Arc<Ring>,
    /// Our own copy of the ring's `tail`.
    tail: usize,
    /// `head` as last read: looking again costs a cache miss, and is only needed when the ring seems full.
    head_seen: usize,
}

impl RingSender {
    /// Sends packets from the front of `from`, as many as fit, and returns how many. The rest stays in
    /// `from`, without holes. Never waits.
    #[inline]
    pub fn send(&mut self, from: &mut Mbufs) -> usize {
        from.compact();
        let wanted = from.len();
        if self.room() < wanted {
            self.head_seen = self.ring.head.0.load(Ordering::Acquire);
        }
        let count = wanted.min(self.room());
        if count == 0 {
            return 0;
        }
        let packets = from.used().as_ptr().cast::<*mut rte_mbuf>();
        self.ring.stretches(self.tail, count, |slot, index, length| {
            // SAFETY: the slots from tail on are ours, `room` of them; `from` holds at least `count` packets,
            // and an `Option<Mbuf>` is a pointer.
            unsafe { std::ptr::copy_nonoverlapping(packets.add(index), slot, length) };
        });
        self.tail = self.tail.wrapping_add(count);
        self.ring.tail.0.store(self.tail, Ordering::Release);
        // SAFETY: the ring owns those references now.
        unsafe { from.forget_front(count) };
        count
    }

    /// How many packets fit now; more may when asked again.
    #[must_use]
    pub fn free(&self) -> usize {
        let head = self.ring.head.0.load(Ordering::Acquire);
        self.ring.capacity() - self.tail.wrapping_sub(head)
    }

    /// How many packets the ring holds when full.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.ring.capacity()
    }

    /// Room as of the last look at the receiver's position.
    #[inline]
    fn room(&self) -> usize {
        self.ring.capacity() - self.tail.wrapping_sub(self.head_seen)
    }
}

/// The receiving end of a [`Ring`].
pub struct RingReceiver {
    ring: Arc<Ring>,
    /// Our own copy of the ring's `head`.
    head: usize,
    /// `tail` as last read.
    tail_seen: usize,
}

impl RingReceiver {
    /// Appends the packets that are there to `into`, as far as it has room, and returns how many. Never
    /// waits.
    #[inline]
    pub fn receive(&mut self, into: &mut Mbufs) -> usize {
        let spare = into.spare();
        if self.tail_seen.wrapping_sub(self.head) < spare.len() {
            self.tail_seen = self.ring.tail.0.load(Ordering::Acquire);
        }
        let count = self.tail_seen.wrapping_sub(self.head).min(spare.len());
        if count == 0 {
            return 0;
        }
        let packets = spare.as_mut_ptr().cast::<*mut rte_mbuf>();
        self.ring.stretches(self.head, count, |slot, index, length| {
            // SAFETY: the slots from head to tail are ours and hold a packet each; there are at least `count`
            // spare slots in `into`.
            unsafe { std::ptr::copy_nonoverlapping(slot, packets.add(index), length) };
        });
        self.head = self.head.wrapping_add(count);
        self.ring.head.0.store(self.head, Ordering::Release);
        // Nobody looks at the packets here: their headers are still on their way to this core's cache.
        // SAFETY: that many slots have been filled, with references that the ring gives away.
        unsafe { into.grow(count, false) };
        count
    }

    /// How many packets are in the ring now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ring.tail.0.load(Ordering::Acquire).wrapping_sub(self.head)
    }

    /// Whether no packet is in the ring now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for RingSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RingSender({} of {} free)", self.free(), self.capacity())
    }
}

impl fmt::Debug for RingReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RingReceiver({} packets)", self.len())
    }
}
