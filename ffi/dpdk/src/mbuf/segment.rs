//! One segment's fields, at the offsets that the compiler found in the installed headers.

use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use dpdk_sys::{
    BRAID_F_NOT_DIRECT, BRAID_HEADROOM, BRAID_MBUF_BUF_ADDR, BRAID_MBUF_BUF_LEN, BRAID_MBUF_DATA_LEN,
    BRAID_MBUF_DATA_OFF, BRAID_MBUF_NB_SEGS, BRAID_MBUF_NEXT, BRAID_MBUF_OL_FLAGS, BRAID_MBUF_PKT_LEN,
    BRAID_MBUF_POOL, BRAID_MBUF_PORT, BRAID_MBUF_REFCNT, BRAID_MBUF_RSS, BRAID_MBUF_TX_OFFLOAD, rte_mbuf,
    rte_mempool,
};

/// A segment of a packet that nobody writes to for `'a`.
#[derive(Clone, Copy)]
pub(super) struct Segment<'a>(NonNull<rte_mbuf>, PhantomData<&'a rte_mbuf>);

/// A segment of a packet that is only reachable through this value for `'a`.
pub(super) struct SegmentMut<'a>(Segment<'a>, PhantomData<&'a mut rte_mbuf>);

impl<'a> Segment<'a> {
    /// # Safety
    /// For all of `'a` the segment is a well-formed one of a packet to which a reference is held.
    #[inline(always)]
    pub(super) unsafe fn new(mbuf: NonNull<rte_mbuf>) -> Segment<'a> {
        Segment(mbuf, PhantomData)
    }

    #[inline(always)]
    fn read<T: Copy, const OFFSET: usize>(self) -> T {
        // SAFETY: private: every use below names a field of rte_mbuf by its offset and type, the segment
        // lives (`new`), and nobody writes to it.
        unsafe { self.0.cast::<u8>().add(OFFSET).cast::<T>().read() }
    }

    #[inline(always)]
    pub(super) fn references(self) -> &'a AtomicU16 {
        // SAFETY: the field is an aligned u16 that lives as long as the segment, and that everyone accesses
        // atomically (RTE_MBUF_REFCNT_ATOMIC is set in every packaged DPDK).
        unsafe { AtomicU16::from_ptr(self.0.cast::<u8>().add(BRAID_MBUF_REFCNT).cast().as_ptr()) }
    }

    /// Its own buffer, and referred to once. Acquires what those did who gave up the other references.
    #[inline(always)]
    pub(super) fn is_alone(self) -> bool {
        self.references().load(Ordering::Acquire) == 1 && self.flags() & BRAID_F_NOT_DIRECT == 0
    }

    #[inline(always)]
    pub(super) fn bytes(self) -> &'a [u8] {
        let length = usize::from(self.length());
        // SAFETY: data_off + data_len is within the segment's buffer in every well-formed mbuf, the buffer
        // lives as long as the segment, it is initialised (pool memory is zeroed by the kernel and then
        // holds what was written), and nobody writes to it for 'a.
        unsafe { std::slice::from_raw_parts(self.buffer().add(usize::from(self.offset())), length) }
    }

    #[inline(always)]
    pub(super) fn buffer(self) -> *mut u8 {
        self.read::<_, BRAID_MBUF_BUF_ADDR>()
    }

    /// Size of the whole buffer, headroom included.
    #[inline(always)]
    pub(super) fn capacity(self) -> u16 {
        self.read::<_, BRAID_MBUF_BUF_LEN>()
    }

    /// Where in the buffer the data begin: the headroom.
    #[inline(always)]
    pub(super) fn offset(self) -> u16 {
        self.read::<_, BRAID_MBUF_DATA_OFF>()
    }

    /// Bytes of data in this segment.
    #[inline(always)]
    pub(super) fn length(self) -> u16 {
        self.read::<_, BRAID_MBUF_DATA_LEN>()
    }

    /// Free bytes behind the data.
    #[inline(always)]
    pub(super) fn tailroom(self) -> u16 {
        self.capacity().saturating_sub(self.offset()).saturating_sub(self.length())
    }

    /// Bytes in all segments. Of the first segment only.
    #[inline(always)]
    pub(super) fn packet_length(self) -> u32 {
        self.read::<_, BRAID_MBUF_PKT_LEN>()
    }

    /// Number of segments. Of the first segment only.
    #[inline(always)]
    pub(super) fn count(self) -> u16 {
        self.read::<_, BRAID_MBUF_NB_SEGS>()
    }

    #[inline(always)]
    pub(super) fn port(self) -> u16 {
        self.read::<_, BRAID_MBUF_PORT>()
    }

    #[inline(always)]
    pub(super) fn flags(self) -> u64 {
        self.read::<_, BRAID_MBUF_OL_FLAGS>()
    }

    #[inline(always)]
    pub(super) fn rss(self) -> u32 {
        self.read::<_, BRAID_MBUF_RSS>()
    }

    #[inline(always)]
    pub(super) fn pool(self) -> *mut rte_mempool {
        self.read::<_, BRAID_MBUF_POOL>()
    }

    #[inline(always)]
    pub(super) fn next_ptr(self) -> Option<NonNull<rte_mbuf>> {
        self.read::<_, BRAID_MBUF_NEXT>()
    }

    #[inline(always)]
    pub(super) fn next(self) -> Option<Segment<'a>> {
        // SAFETY: a reference to the packet is one to each of its segments.
        self.next_ptr().map(|next| unsafe { Segment::new(next) })
    }

    /// `length` bytes at `position` of the dynamic fields' area or anywhere else in the mbuf's header.
    ///
    /// # Safety
    /// `position` is that of an initialised field of type `T`, aligned for it.
    #[inline(always)]
    pub(super) unsafe fn dynamic<T: Copy>(self, position: usize) -> T {
        // SAFETY: passed on; nobody writes to the segment.
        unsafe { self.0.cast::<u8>().add(position).cast::<T>().read() }
    }
}

impl<'a> Deref for SegmentMut<'a> {
    type Target = Segment<'a>;

    #[inline(always)]
    fn deref(&self) -> &Segment<'a> {
        &self.0
    }
}

impl<'a> SegmentMut<'a> {
    /// # Safety
    /// For all of `'a` the segment is exclusive: direct, referred to once, and that reference is borrowed by this value.
    /// Those that follow it are too, unless nothing but its own bytes is asked for.
    #[inline(always)]
    pub(super) unsafe fn new(mbuf: NonNull<rte_mbuf>) -> SegmentMut<'a> {
        // SAFETY: exclusive segments are well-formed ones to which a reference is held.
        SegmentMut(unsafe { Segment::new(mbuf) }, PhantomData)
    }

    #[inline(always)]
    fn write<T: Copy, const OFFSET: usize>(&mut self, value: T) {
        // SAFETY: private: every use below names a field by its offset and type; the segment is ours alone.
        unsafe { self.0.0.cast::<u8>().add(OFFSET).cast::<T>().write(value) }
    }

    /// The bytes, and the rest of the chain.
    #[inline(always)]
    pub(super) fn split(self) -> (&'a mut [u8], Option<SegmentMut<'a>>) {
        let (start, length) = (usize::from(self.offset()), usize::from(self.length()));
        // SAFETY: the next segment is exclusive as this one is, and has another buffer.
        let next = self.next_ptr().map(|next| unsafe { SegmentMut::new(next) });
        // SAFETY: as in `bytes`, and the segment is consumed: nothing else reaches its buffer for 'a (`next`
        // reaches the next segments' only).
        let bytes = unsafe { std::slice::from_raw_parts_mut(self.buffer().add(start), length) };
        (bytes, next)
    }

    /// The rest of the chain.
    #[inline(always)]
    pub(super) fn into_next(self) -> Option<SegmentMut<'a>> {
        self.split().1
    }

    /// The bytes, for as long as the packet is borrowed.
    #[inline(always)]
    pub(super) fn into_bytes(self) -> &'a mut [u8] {
        self.split().0
    }

    /// Where the data lie in the buffer. Both are cut to the buffer, which keeps the segment well-formed.
    #[inline(always)]
    pub(super) fn set_window(&mut self, start: u16, length: u16) {
        let start = start.min(self.capacity());
        self.write::<u16, BRAID_MBUF_DATA_OFF>(start);
        self.write::<u16, BRAID_MBUF_DATA_LEN>(length.min(self.capacity() - start));
    }

    /// Empties the segment, with the usual headroom.
    #[inline(always)]
    pub(super) fn clear(&mut self) {
        self.set_window(BRAID_HEADROOM as u16, 0);
    }

    #[inline(always)]
    pub(super) fn set_packet_length(&mut self, length: u32) {
        self.write::<u32, BRAID_MBUF_PKT_LEN>(length);
    }

    #[inline(always)]
    pub(super) fn set_port(&mut self, port: u16) {
        self.write::<u16, BRAID_MBUF_PORT>(port);
    }

    #[inline(always)]
    pub(super) fn set_flags(&mut self, flags: u64) {
        self.write::<u64, BRAID_MBUF_OL_FLAGS>(flags);
    }

    #[inline(always)]
    pub(super) fn set_tx_offload(&mut self, value: u64) {
        self.write::<u64, BRAID_MBUF_TX_OFFLOAD>(value);
    }

    /// # Safety
    /// `count` will be the number of segments when the borrow of the packet ends.
    #[inline(always)]
    pub(super) unsafe fn set_count(&mut self, count: u16) {
        self.write::<u16, BRAID_MBUF_NB_SEGS>(count);
    }

    /// # Safety
    /// `next` is a chain of exclusive segments that becomes part of this packet, or null; what was there
    /// before is taken over by the caller.
    #[inline(always)]
    pub(super) unsafe fn set_next(&mut self, next: Option<NonNull<rte_mbuf>>) {
        self.write::<Option<NonNull<rte_mbuf>>, BRAID_MBUF_NEXT>(next);
    }

    /// # Safety
    /// As for [`Segment::dynamic`].
    #[inline(always)]
    pub(super) unsafe fn set_dynamic<T: Copy>(&mut self, position: usize, value: T) {
        // SAFETY: passed on; the segment is ours alone.
        unsafe { self.0.0.cast::<u8>().add(position).cast::<T>().write(value) }
    }
}
