//! Longer, shorter, in fewer segments, other bytes.

use std::ptr::NonNull;

use dpdk_sys::{BRAID_HEADROOM, rte_mbuf};

use super::Mbuf;
use super::segment::SegmentMut;
use crate::gate;
use crate::pool::origin::Origin;

impl Mbuf {
    /// Adds `n` zero bytes at the end and gives them: in the last segment where they fit, else in a new one.
    /// `None`: no mbuf to be had, or `n` is more than one mbuf holds.
    #[must_use]
    pub fn append(&mut self, n: usize) -> Option<&mut [u8]> {
        let n = u16::try_from(n).ok()?;
        if !self.make_exclusive() {
            return None;
        }
        let head = self.head();
        if head.count() > 1 || n > head.tailroom() {
            return self.append_to_chain(n);
        }
        let mut head = self.exclusive()?;
        let length = head.packet_length().checked_add(u32::from(n))?;
        head.set_packet_length(length);
        Some(grow(head, n))
    }

    /// As `append`, where there are several segments or will be. The packet is exclusive.
    #[cold]
    fn append_to_chain(&mut self, n: u16) -> Option<&mut [u8]> {
        let (count, pool) = (self.head().count(), self.head().pool());
        let length = self.head().packet_length().checked_add(u32::from(n))?;
        let mut end = last(self.exclusive()?);
        if n > end.tailroom() {
            let count = count.checked_add(1)?;
            let extra = empty_mbuf(pool)?;
            if n > extra.head().tailroom() {
                return None;
            }
            let extra = extra.into_raw();
            // SAFETY: a fresh mbuf is exclusive and ends a chain. It joins this one, whose count is set next.
            unsafe { end.set_next(Some(extra)) };
            // SAFETY: that many segments there are now.
            unsafe { self.exclusive()?.set_count(count) };
        }
        self.exclusive()?.set_packet_length(length);
        Some(grow(last(self.exclusive()?), n))
    }

    /// Adds `n` bytes in front, from the headroom, and gives them; their contents are whatever was there.
    /// `None`: the headroom is shorter (128 bytes in a fresh mbuf), or no mbuf to copy a shared packet.
    #[inline]
    #[must_use]
    pub fn prepend(&mut self, n: usize) -> Option<&mut [u8]> {
        let n = u16::try_from(n).ok()?;
        let mut head = self.exclusive()?;
        let start = head.offset().checked_sub(n)?;
        let length = head.length().checked_add(n)?;
        let packet = head.packet_length().checked_add(u32::from(n))?;
        head.set_window(start, length);
        head.set_packet_length(packet);
        Some(&mut head.into_bytes()[..usize::from(n)])
    }

    /// Removes `n` bytes from the front. `false`: there are fewer, or no mbuf to be had.
    #[inline]
    pub fn trim_front(&mut self, n: usize) -> bool {
        if n > self.len() {
            return false;
        }
        if n >= self.data().len() && !self.is_contiguous() {
            return self.drop_leading_segments(n);
        }
        let Some(mut head) = self.exclusive() else { return false };
        // n is at most the length of a segment.
        let cut = n as u16;
        let (start, length) = (head.offset() + cut, head.length() - cut);
        let packet = head.packet_length() - u32::from(cut);
        head.set_window(start, length);
        head.set_packet_length(packet);
        true
    }

    /// The whole first segment goes, at least: what remains is copied, so that the headers lie in front again.
    #[cold]
    fn drop_leading_segments(&mut self, n: usize) -> bool {
        if n == self.len() {
            return self.truncate(0);
        }
        let start = u32::try_from(n).unwrap_or(u32::MAX);
        self.copy_part(start, u32::MAX).map(|rest| *self = rest).is_some()
    }

    /// Keeps the first `length` bytes. `false`: there are fewer, or no mbuf to copy a shared packet.
    #[inline]
    pub fn truncate(&mut self, length: usize) -> bool {
        if length > self.len() {
            return false;
        }
        let Some(mut head) = self.exclusive() else { return false };
        // Both at most u32: the packet's length is one.
        head.set_packet_length(length as u32);
        if head.count() == 1 {
            let start = head.offset();
            head.set_window(start, length as u16);
            return true;
        }
        self.cut_chain(length);
        true
    }

    /// Ends the chain after `length` bytes, of an exclusive packet.
    #[cold]
    fn cut_chain(&mut self, length: usize) {
        let Some(mut segment) = self.exclusive() else { return };
        let mut count = 1u16;
        let mut left = length;
        while left > usize::from(segment.length()) {
            left -= usize::from(segment.length());
            match segment.into_next() {
                Some(next) => segment = next,
                // The lengths of the segments are the packet's length.
                None => return,
            }
            count += 1;
        }
        let start = segment.offset();
        segment.set_window(start, left as u16);
        if let Some(rest) = segment.next_ptr() {
            // SAFETY: the chain ends here, the rest is taken over below.
            unsafe { segment.set_next(None) };
            let mut rest_count = 0u16;
            // SAFETY: the segments behind are exclusive, and from here on a chain of their own.
            let mut walk = Some(unsafe { SegmentMut::new(rest) });
            while let Some(part) = walk {
                rest_count += 1;
                walk = part.into_next();
            }
            // SAFETY: as above; `rest` begins that chain and no other value refers to it.
            unsafe { SegmentMut::new(rest).set_count(rest_count) };
            // SAFETY: a chain with one reference to each segment, which this drop gives up. Its packet
            // length is of no interest to freeing.
            drop(unsafe { Mbuf::from_raw(rest) });
        }
        if let Some(mut head) = self.exclusive() {
            // SAFETY: that many are left.
            unsafe { head.set_count(count) };
        }
    }

    /// Brings all bytes into one segment. `false`: they do not fit into one mbuf of the pool, or none is to
    /// be had.
    pub fn linearize(&mut self) -> bool {
        self.ensure_contiguous(self.len())
    }

    /// Brings at least the first `min(n, len)` bytes into the first segment. `false`: one mbuf of the pool
    /// does not hold them, or none is to be had; nothing has changed then.
    #[inline]
    pub fn ensure_contiguous(&mut self, n: usize) -> bool {
        self.data().len() >= n.min(self.len()) || self.gather(n.min(self.len()))
    }

    #[cold]
    fn gather(&mut self, n: usize) -> bool {
        // A copy fills each mbuf before the next one.
        match self.copy() {
            Some(copy) if copy.data().len() >= n => {
                *self = copy;
                true
            }
            _ => false,
        }
    }

    /// Replaces the contents by `bytes`, in as many segments as they need. Port and [`Mbuf::meta`] stay,
    /// what a device said or is to do about the old contents (hash, checksums) goes. `false`: not enough
    /// mbufs in the pool; nothing has changed then.
    pub fn fill(&mut self, bytes: &[u8]) -> bool {
        let Ok(length) = u32::try_from(bytes.len()) else { return false };
        let pool = self.head().pool();
        let Some(head) = self.exclusive() else { return false };
        let room = usize::from(head.capacity().saturating_sub(BRAID_HEADROOM as u16));
        let (front, rest) = bytes.split_at(room.min(bytes.len()));
        let Some(tail) = chain(pool, rest) else { return false };
        self.cut_chain(0);
        let Some(mut head) = self.exclusive() else { return false };
        head.clear();
        head.set_flags(0);
        head.set_tx_offload(0);
        head.set_packet_length(length);
        if let Some((tail, count)) = tail {
            // SAFETY: `tail` is an exclusive chain of `count` segments that nothing else refers to; it is
            // given to this packet, which has one segment.
            unsafe {
                head.set_next(Some(tail.into_raw()));
                head.set_count(count + 1);
            }
        }
        grow(head, front.len() as u16).copy_from_slice(front);
        true
    }
}

/// Takes `n` bytes of tailroom into the segment, zeroed. The caller has checked that there are as many, and
/// sets the packet's length.
#[inline]
fn grow(mut segment: SegmentMut<'_>, n: u16) -> &mut [u8] {
    let (start, length) = (segment.offset(), segment.length());
    segment.set_window(start, length.saturating_add(n));
    let fresh = &mut segment.into_bytes()[usize::from(length)..];
    fresh.fill(0);
    fresh
}

/// The last segment of a chain.
fn last(mut segment: SegmentMut<'_>) -> SegmentMut<'_> {
    while let Some(next) = segment.next_ptr() {
        // SAFETY: exclusive as those before it; the one before is not used any more.
        segment = unsafe { SegmentMut::new(next) };
    }
    segment
}

/// An mbuf without data from the pool of one that the caller holds.
fn empty_mbuf(pool: *mut dpdk_sys::rte_mempool) -> Option<Mbuf> {
    let _passage = gate::enter();
    // SAFETY: the callers hold an mbuf of the pool while they call; the passage stays open to the end.
    let mbuf: NonNull<rte_mbuf> = unsafe { Origin::of(pool) }?.alloc()?;
    // SAFETY: a fresh mbuf, whose only reference is given to us.
    Some(unsafe { Mbuf::from_raw(mbuf) })
}

/// A chain with these bytes and its number of segments; `Some(None)` for no bytes. `None`: not enough mbufs,
/// or more segments than a packet may have.
#[allow(clippy::option_option, reason = "failing and needing nothing are two things")]
fn chain(pool: *mut dpdk_sys::rte_mempool, bytes: &[u8]) -> Option<Option<(Mbuf, u16)>> {
    let Some((first, mut rest)) = segment_of(pool, bytes)? else { return Some(None) };
    let mut head = first;
    let mut count = 1u16;
    let mut end = head.0;
    while let Some((next, left)) = segment_of(pool, rest)? {
        rest = left;
        // One less than the most: a head comes in front.
        count = count.checked_add(1).filter(|&count| count < u16::MAX)?;
        let next = next.into_raw();
        // SAFETY: `end` is the last segment of the chain that `head` owns exclusively; `next` is a fresh
        // exclusive one that joins it.
        unsafe { SegmentMut::new(end).set_next(Some(next)) };
        end = next;
        // SAFETY: that many segments hang together now.
        unsafe { head.exclusive()?.set_count(count) };
    }
    Some(Some((head, count)))
}

/// One mbuf full of the first bytes, and the bytes that are left; `Some(None)` for no bytes.
#[allow(
    clippy::option_option,
    clippy::type_complexity,
    reason = "failing and needing nothing are two things"
)]
fn segment_of(pool: *mut dpdk_sys::rte_mempool, bytes: &[u8]) -> Option<Option<(Mbuf, &[u8])>> {
    if bytes.is_empty() {
        return Some(None);
    }
    let mut mbuf = empty_mbuf(pool)?;
    let mut head = mbuf.exclusive()?;
    // Without headroom: no header comes before the inside of a packet.
    head.set_window(0, 0);
    let take = usize::from(head.tailroom()).min(bytes.len());
    if take == 0 {
        return None;
    }
    head.set_packet_length(take as u32);
    grow(head, take as u16).copy_from_slice(&bytes[..take]);
    Some(Some((mbuf, &bytes[take..])))
}
