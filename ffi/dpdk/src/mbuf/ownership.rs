//! Sharing, and copying on write.

use std::sync::atomic::Ordering;

use dpdk_sys::{BRAID_F_NOT_DIRECT, rte_mempool, rte_pktmbuf_copy};

use super::segment::SegmentMut;
use super::{Mbuf, SegmentsMut};
use crate::gate;
use crate::pool::origin::Origin;
use crate::queue::SHORTEST;

/// More references than this to one packet can only be a leak; the count must never wrap.
const MOST_REFERENCES: u16 = u16::MAX / 2;

/// What a look at packets has seen: sums and unions of their fields, so that no packet needs a branch.
#[derive(Default)]
pub(crate) struct Look {
    /// Bytes of first segments, which are all bytes of plain packets.
    pub bytes: u64,
    /// The union is 1 exactly if all are, as there is none without a reference or a segment.
    references: u16,
    segments: u16,
    flags: u64,
    /// Negative if a packet is too short.
    spare: i32,
}

impl Look {
    /// Adds a packet.
    #[inline(always)]
    pub(crate) fn at(&mut self, mbuf: &Mbuf) {
        let head = mbuf.head();
        self.bytes += u64::from(head.length());
        // Acquires what those did who gave up the other references.
        self.references |= head.references().load(Ordering::Acquire);
        self.segments |= head.count();
        self.flags |= head.flags();
        self.spare |= i32::from(head.length()) - SHORTEST as i32;
    }

    /// All packets, of which there is one at least, are plain ([`Mbuf::is_plain`]).
    #[inline(always)]
    pub(crate) fn is_plain(&self) -> bool {
        self.references == 1 && self.segments == 1 && self.flags & BRAID_F_NOT_DIRECT == 0 && self.spare >= 0
    }
}

impl Mbuf {
    /// Whether nobody else refers to any part of the packet: every segment has its own buffer and one
    /// reference.
    #[inline(always)]
    #[must_use]
    pub fn is_exclusive(&self) -> bool {
        let head = self.head();
        head.is_alone() && (head.count() == 1 || self.rest_is_alone())
    }

    /// Exclusive, of one segment, and of at least [`SHORTEST`](crate::queue::SHORTEST) bytes: a packet that can be
    /// written to and sent as it is.
    #[inline(always)]
    pub(crate) fn is_plain(&self) -> bool {
        let mut look = Look::default();
        look.at(self);
        look.is_plain()
    }

    #[cold]
    fn rest_is_alone(&self) -> bool {
        std::iter::successors(self.head().next(), |segment| segment.next()).all(|segment| segment.is_alone())
    }

    /// Makes this the only reference to its packet, as `Arc::make_mut` does: a shared packet is copied, from
    /// the pool that it came from. `false`: that pool is exhausted, and nothing has changed.
    #[inline(always)]
    pub fn make_exclusive(&mut self) -> bool {
        self.is_exclusive() || self.replace_by_copy()
    }

    #[cold]
    fn replace_by_copy(&mut self) -> bool {
        self.copy().map(|copy| *self = copy).is_some()
    }

    /// A second reference to the same packet. Nobody can change it while both exist.
    ///
    /// It takes the packet for writing as it ends what may be known of it: that it is exclusive.
    #[must_use]
    pub fn share(&mut self) -> Mbuf {
        for segment in std::iter::successors(Some(self.head()), |segment| segment.next()) {
            // The only one: nobody else counts at the same time, and no atomic addition is needed.
            if segment.references().load(Ordering::Acquire) == 1 {
                segment.references().store(2, Ordering::Relaxed);
                continue;
            }
            // Relaxed, as in Arc: who has a reference can make another without ordering anything.
            if segment.references().fetch_add(1, Ordering::Relaxed) > MOST_REFERENCES {
                // As Arc does: thousands of references have been leaked, and a wrapped count would free
                // memory in use.
                std::process::abort();
            }
        }
        // SAFETY: one more reference to each segment exists now, for this value. No writer: self is
        // borrowed, and from now on nobody holds the only reference.
        unsafe { Mbuf::from_raw(self.0) }
    }

    /// Ends a second reference to this packet. Where there is no third one nobody else counts at the same time, and no
    /// atomic addition is needed.
    #[inline(always)]
    pub(crate) fn rejoin(&mut self, twin: Mbuf) {
        let head = self.head();
        // Acquires what those did who gave up other references.
        if self.0 == twin.0 && head.count() == 1 && head.references().load(Ordering::Acquire) == 2 {
            head.references().store(1, Ordering::Relaxed);
            std::mem::forget(twin);
        }
    }

    /// The pool that the first segment came from.
    #[inline(always)]
    pub(crate) fn mempool(&self) -> *mut rte_mempool {
        self.head().pool()
    }

    /// A copy of bytes and metadata in mbufs of the same pool. `None`: the pool is exhausted.
    #[must_use]
    pub fn copy(&self) -> Option<Mbuf> {
        self.copy_part(0, u32::MAX)
    }

    /// A packet with a copy of the first `length` bytes, and the rest by reference: its first segment can be written
    /// to, and nobody can change the rest while both exist. `None`: the pool is exhausted.
    ///
    /// It takes the packet for writing as [`Mbuf::share`] does.
    #[must_use]
    pub fn copy_front(&mut self, length: u32) -> Option<Mbuf> {
        if self.len() <= length as usize {
            return self.copy();
        }
        let _passage = gate::enter();
        // SAFETY: self is an mbuf of the pool, and the passage stays open to the end of this function.
        let origin = unsafe { Origin::of(self.head().pool()) }?;
        // SAFETY: the packet is longer than what is copied of it; bytes are only read, and references counted; the new
        // mbufs come from a live pool.
        let copy = unsafe { dpdk_sys::braid_copy_front(self.0.as_ptr(), origin.as_ptr(), length) };
        // SAFETY: a new packet, of which the only reference is given to us; its later segments are not direct, so that
        // nobody writes to them.
        std::ptr::NonNull::new(copy).map(|copy| unsafe { Mbuf::from_raw(copy) })
    }

    /// A copy from byte `start` on, of at most `length` bytes.
    pub(super) fn copy_part(&self, start: u32, length: u32) -> Option<Mbuf> {
        let _passage = gate::enter();
        // SAFETY: self is an mbuf of the pool, and the passage stays open to the end of this function.
        let origin = unsafe { Origin::of(self.head().pool()) }?;
        if self.len() == 0 {
            // rte_pktmbuf_copy has nothing to copy then, and says so as if there were no mbuf.
            // SAFETY: the pool is live.
            let raw = unsafe { dpdk_sys::braid_alloc(origin.as_ptr()) };
            // SAFETY: a new mbuf, of which the only reference is given to us.
            let mut copy = std::ptr::NonNull::new(raw).map(|raw| unsafe { Mbuf::from_raw(raw) })?;
            copy.set_port(self.port());
            copy.set_meta(self.meta());
            return Some(copy);
        }
        // SAFETY: the packet is only read; the copy's mbufs come from a live pool.
        let copy = unsafe { rte_pktmbuf_copy(self.0.as_ptr(), origin.as_ptr(), start, length) };
        // SAFETY: a new packet, of which the only reference is given to us.
        std::ptr::NonNull::new(copy).map(|copy| unsafe { Mbuf::from_raw(copy) })
    }

    /// The bytes of the first segment for writing. `None`: that segment is shared and its pool exhausted.
    #[inline]
    #[must_use]
    pub fn data_mut(&mut self) -> Option<&mut [u8]> {
        if self.head().is_alone() {
            // SAFETY: nobody else refers to this segment, which is all of the packet that is touched, and the packet is
            // mutably borrowed.
            return Some(unsafe { SegmentMut::new(self.0) }.into_bytes());
        }
        Some(self.exclusive()?.into_bytes())
    }

    /// [`Mbuf::data_mut`] of a packet that is known to be exclusive.
    ///
    /// # Safety
    /// It is.
    #[inline(always)]
    pub(crate) unsafe fn data_mut_exclusive(&mut self) -> &mut [u8] {
        debug_assert!(self.is_exclusive());
        // SAFETY: passed on.
        unsafe { SegmentMut::new(self.0) }.into_bytes()
    }

    /// The bytes for writing, segment by segment. `None`: the packet is shared and its pool exhausted.
    #[inline]
    #[must_use]
    pub fn segments_mut(&mut self) -> Option<SegmentsMut<'_>> {
        Some(SegmentsMut { next: Some(self.exclusive()?) })
    }
}
