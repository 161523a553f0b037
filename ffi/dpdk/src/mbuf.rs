//! A packet: one reference to a chain of DPDK's buffers.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use dpdk_sys::rte_mbuf;

use crate::gate;

pub(crate) mod meta;
mod offload;
mod ownership;
mod segment;
mod shape;

pub use offload::{ChecksumStatus, L4Checksum, RxChecksum, TxChecksum};
pub(crate) use ownership::Look;
use segment::{Segment, SegmentMut};

/// One reference to a packet of one or more segments. Dropping it gives the reference back; with the last
/// one the mbufs return to their pool.
///
/// Several `Mbuf`s may refer to the same packet ([`Mbuf::share`]), on different threads. So every `&mut`
/// operation first makes sure that this is the only one, and copies the packet otherwise
/// ([`Mbuf::make_exclusive`]), as `Arc::make_mut` does; operations that can fail for want of mbufs say so.
#[repr(transparent)]
pub struct Mbuf(NonNull<rte_mbuf>);

// SAFETY: the packet's memory is not tied to a thread, the reference count is atomic, and a packet that
// others refer to is only read (every writing operation needs the only reference).
unsafe impl Send for Mbuf {}
// SAFETY: as above: all `&self` operations read, or change the reference count atomically.
unsafe impl Sync for Mbuf {}

// Bursts are handed to DPDK as arrays of `Option<Mbuf>`.
const _: () = assert!(size_of::<Option<Mbuf>>() == size_of::<*mut rte_mbuf>());

impl Mbuf {
    /// Takes over a reference.
    ///
    /// # Safety
    /// `mbuf` is the first segment of a well-formed packet, and the caller owns one reference to each of its
    /// segments, which it gives away. While other references exist, nobody writes to the packet.
    pub(crate) unsafe fn from_raw(mbuf: NonNull<rte_mbuf>) -> Mbuf {
        Mbuf(mbuf)
    }

    /// Its first segment, for DPDK.
    #[inline(always)]
    pub(crate) fn as_ptr(&self) -> *mut rte_mbuf {
        self.0.as_ptr()
    }

    /// Gives the reference away.
    pub(crate) fn into_raw(self) -> NonNull<rte_mbuf> {
        ManuallyDrop::new(self).0
    }

    /// The bytes of the first segment.
    #[inline]
    #[must_use]
    pub fn data(&self) -> &[u8] {
        self.head().bytes()
    }

    /// The packet's length in bytes, all segments.
    #[inline]
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a packet without bytes is no packet; nobody asks")]
    pub fn len(&self) -> usize {
        self.head().packet_length() as usize
    }

    /// Whether all bytes are in one segment.
    #[inline]
    #[must_use]
    pub fn is_contiguous(&self) -> bool {
        self.head().count() == 1
    }

    /// How many segments there are, at least one.
    #[inline]
    #[must_use]
    pub fn segment_count(&self) -> usize {
        usize::from(self.head().count())
    }

    /// The bytes, segment by segment.
    #[inline]
    #[must_use]
    pub fn segments(&self) -> Segments<'_> {
        Segments { next: Some(self.head()) }
    }

    /// The port it came from; `u16::MAX` when it came from none.
    #[inline]
    #[must_use]
    pub fn port(&self) -> u16 {
        self.head().port()
    }

    /// Says which port it came from. `false`: shared, and no mbuf to copy it.
    #[inline]
    pub fn set_port(&mut self, port: u16) -> bool {
        self.exclusive().map(|mut head| head.set_port(port)).is_some()
    }

    /// Has the processor fetch the mbuf's first cache line, which holds the address of the data.
    #[inline(always)]
    pub fn prefetch_header(&self) {
        prefetch::address(self.0.as_ptr().cast());
    }

    /// Has the processor fetch the first cache line of the data. Reads the header.
    #[inline(always)]
    pub fn prefetch_data(&self) {
        prefetch::address(self.head().bytes().as_ptr());
    }

    /// Bytes that one mbuf like the first segment holds behind the usual headroom.
    pub(crate) fn segment_room(&self) -> usize {
        usize::from(self.head().capacity()).saturating_sub(dpdk_sys::BRAID_HEADROOM as usize)
    }

    #[inline(always)]
    fn head(&self) -> Segment<'_> {
        // SAFETY: self owns a reference to a well-formed packet for as long as the borrow lasts.
        unsafe { Segment::new(self.0) }
    }

    /// The first segment for writing, after the packet has been made exclusive. `None`: no mbuf to copy it.
    #[inline(always)]
    fn exclusive(&mut self) -> Option<SegmentMut<'_>> {
        // SAFETY: the packet is exclusive and mutably borrowed, so this is the only way to it.
        self.make_exclusive().then(|| unsafe { SegmentMut::new(self.0) })
    }
}

impl Drop for Mbuf {
    #[inline]
    fn drop(&mut self) {
        let _passage = gate::enter();
        // SAFETY: self owns one reference to each segment, and gives it up here.
        unsafe { dpdk_sys::braid_free(self.0.as_ptr()) };
    }
}

impl fmt::Debug for Mbuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mbuf({} bytes in {} segments)", self.len(), self.segment_count())
    }
}

/// The bytes of a packet, segment by segment.
#[derive(Clone)]
pub struct Segments<'a> {
    next: Option<Segment<'a>>,
}

impl<'a> Iterator for Segments<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let segment = self.next?;
        self.next = segment.next();
        Some(segment.bytes())
    }
}

/// The bytes of an exclusive packet, segment by segment, for writing.
pub struct SegmentsMut<'a> {
    next: Option<SegmentMut<'a>>,
}

impl<'a> Iterator for SegmentsMut<'a> {
    type Item = &'a mut [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a mut [u8]> {
        let (bytes, next) = self.next.take()?.split();
        self.next = next;
        Some(bytes)
    }
}
