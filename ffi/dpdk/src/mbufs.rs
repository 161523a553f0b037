//! A burst: up to 32 packets in an array that is reused.

use std::fmt;

use crate::{Mbuf, gate};

#[cfg(test)]
mod tests;
mod twins;

/// How many packets travel together.
pub const BURST: usize = dpdk_sys::BRAID_BURST as usize;

/// Up to [`BURST`] packets in order, some of which may have been taken out (holes). Nothing is allocated;
/// dropping it or clearing it frees the packets in one call.
///
/// A burst that came from a device is looked through once, by [`RxQueue::receive`](crate::RxQueue::receive). While
/// its packets have only been read and written by [`Mbufs::data`] and [`Mbufs::data_mut`] they are known to be
/// *plain*, and neither writing to them nor sending them looks at each of them again.
pub struct Mbufs {
    /// Beyond `len` all are `None`.
    slots: [Option<Mbuf>; BURST],
    len: usize,
    /// Some slot below `len` may be `None`; if not set, none is.
    holes: bool,
    /// All packets are plain ([`Mbuf::is_plain`]).
    plain: bool,
}

impl Mbufs {
    /// No packets.
    #[must_use]
    pub const fn new() -> Mbufs {
        Mbufs { slots: [const { None }; BURST], len: 0, holes: false, plain: true }
    }

    /// How many slots are in use, holes included.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no slot is in use.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether no further packet fits.
    #[inline]
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len == BURST
    }

    /// Appends a packet.
    ///
    /// # Errors
    /// The packet, when all slots are in use.
    #[inline]
    pub fn push(&mut self, mbuf: Mbuf) -> Result<(), Mbuf> {
        self.begin_if_empty();
        match self.slots.get_mut(self.len) {
            Some(slot) => {
                self.plain &= mbuf.is_plain();
                *slot = Some(mbuf);
                self.len += 1;
                Ok(())
            }
            None => Err(mbuf),
        }
    }

    /// The packet in slot `i`; `None` for a hole or out of range.
    #[inline]
    #[must_use]
    pub fn get(&self, i: usize) -> Option<&Mbuf> {
        self.slots.get(i)?.as_ref()
    }

    /// The packet in slot `i`, to do anything with; `None` for a hole or out of range. To write to its bytes alone
    /// take [`Mbufs::data_mut`].
    #[inline]
    #[must_use]
    pub fn get_mut(&mut self, i: usize) -> Option<&mut Mbuf> {
        self.plain = false;
        self.slots.get_mut(i)?.as_mut()
    }

    /// [`Mbuf::data`] of the packet in slot `i`; empty for a hole or out of range.
    #[inline(always)]
    #[must_use]
    pub fn data(&self, i: usize) -> &[u8] {
        self.get(i).map_or(&[], Mbuf::data)
    }

    /// [`Mbuf::data_mut`] of the packet in slot `i`: an error when it is shared and there is no mbuf to copy it. `None`
    /// for a hole or out of range.
    #[inline(always)]
    pub fn data_mut(&mut self, i: usize) -> Option<Result<&mut [u8], Exhausted>> {
        let plain = self.plain;
        let mbuf = self.slots.get_mut(i)?.as_mut()?;
        if plain {
            // SAFETY: `plain`: this is the only reference.
            return Some(Ok(unsafe { mbuf.data_mut_exclusive() }));
        }
        Some(mbuf.data_mut().ok_or(Exhausted))
    }

    /// Takes the packet out of slot `i` and leaves a hole; the others stay where they are.
    #[inline]
    pub fn take(&mut self, i: usize) -> Option<Mbuf> {
        let mbuf = self.slots.get_mut(i)?.take()?;
        self.holes = true;
        Some(mbuf)
    }

    /// Closes the holes; the order stays.
    #[inline]
    pub fn compact(&mut self) {
        if self.holes {
            self.compact_from(0);
            self.holes = false;
        }
    }

    /// Closes the holes from slot `start` on.
    #[inline]
    pub(crate) fn compact_from(&mut self, start: usize) {
        let mut kept = start;
        for i in start..self.len {
            if self.slots[i].is_some() {
                if kept != i {
                    self.slots.swap(kept, i);
                }
                kept += 1;
            }
        }
        self.len = kept;
    }

    /// Moves packets from the front of `other` to the end of this one, as many as fit, and returns how
    /// many. The rest stays in `other`, without holes. Holes of this one stay.
    #[inline]
    pub fn append(&mut self, other: &mut Mbufs) -> usize {
        other.compact();
        let count = other.len.min(BURST - self.len);
        for (to, from) in self.slots[self.len..].iter_mut().zip(&mut other.slots[..count]) {
            *to = from.take();
        }
        self.begin_if_empty();
        self.plain &= other.plain;
        self.len += count;
        other.holes = count > 0;
        other.compact();
        count
    }

    /// Moves the packets whose bit is set in `mask` (bit 0 is slot 0) to the end of `into`, and closes the
    /// holes here. The order is kept in both. What finds no room in `into` stays.
    #[inline]
    pub fn split_mask(&mut self, mask: u32, into: &mut Mbufs) {
        let mut kept = 0;
        into.begin_if_empty();
        into.plain &= self.plain;
        for i in 0..self.len {
            let Some(mbuf) = self.slots[i].take() else { continue };
            if mask & (1 << i) != 0 && into.len < BURST {
                into.slots[into.len] = Some(mbuf);
                into.len += 1;
            } else {
                self.slots[kept] = Some(mbuf);
                kept += 1;
            }
        }
        self.len = kept;
        self.holes = false;
    }

    /// Takes all packets out, in order. Those that are not asked for are freed with the iterator.
    #[inline]
    pub fn drain(&mut self) -> Drain<'_> {
        Drain { mbufs: self, next: 0 }
    }

    /// Frees all packets, in one call.
    #[inline]
    pub fn clear(&mut self) {
        if self.len > 0 {
            let _passage = gate::enter();
            // SAFETY: `Option<Mbuf>` is one nullable pointer; `rte_pktmbuf_free_bulk` skips nulls and gives
            // up the reference of the others, which are forgotten next.
            unsafe {
                dpdk_sys::rte_pktmbuf_free_bulk(self.slots.as_mut_ptr().cast(), self.len as u32);
                self.forget_front(self.len);
            }
        }
    }

    /// The packets, in order, without the holes.
    pub fn iter(&self) -> impl Iterator<Item = &Mbuf> {
        self.slots[..self.len].iter().flatten()
    }

    /// The packets, in order, without the holes.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Mbuf> {
        self.plain = false;
        self.slots[..self.len].iter_mut().flatten()
    }

    /// Whether no packet is missing, and each is known to be exclusive, of one segment, and no shorter than an Ethernet
    /// header: such a burst is written to and sent without a look at each packet. `false` may be too careful.
    #[inline]
    pub fn is_plain(&self) -> bool {
        self.plain & !self.holes
    }

    /// The packets, in order, unless one may be missing.
    #[inline(always)]
    #[must_use]
    pub fn as_slice(&self) -> Option<&[Mbuf]> {
        if self.holes {
            return None;
        }
        // SAFETY: without holes, every slot below `len` is an `Mbuf`, which has the layout of `Option<Mbuf>`.
        Some(unsafe { std::slice::from_raw_parts(self.slots.as_ptr().cast(), self.len) })
    }

    /// The slots in use, holes included.
    #[inline(always)]
    #[must_use]
    pub fn slots(&self) -> &[Option<Mbuf>] {
        self.slots.get(..self.len).unwrap_or_default()
    }

    /// The slots in use, to change. Whoever changes what is in them calls [`Mbufs::changed`].
    #[inline]
    pub(crate) fn used(&mut self) -> &mut [Option<Mbuf>] {
        &mut self.slots[..self.len]
    }

    /// What was known of packets that are gone says nothing about the next ones.
    #[inline(always)]
    fn begin_if_empty(&mut self) {
        if self.len == 0 {
            (self.holes, self.plain) = (false, true);
        }
    }

    /// Nothing is known of the slots any more.
    pub(crate) fn changed(&mut self) {
        (self.holes, self.plain) = (true, false);
    }

    /// The slots behind those in use, all empty. Call [`Mbufs::grow`] when some have been filled.
    #[inline]
    pub(crate) fn spare(&mut self) -> &mut [Option<Mbuf>] {
        &mut self.slots[self.len..]
    }

    /// `count` more slots are in use.
    ///
    /// # Safety
    /// There are as many spare ones, and they hold packets now; plain ones if `plain`.
    #[inline]
    pub(crate) unsafe fn grow(&mut self, count: usize, plain: bool) {
        debug_assert!(self.len + count <= BURST);
        self.begin_if_empty();
        self.plain &= plain;
        self.len += count;
    }

    /// Someone else owns the first `count` packets now; the others move to the front.
    ///
    /// # Safety
    /// `count` is at most `len`, and the references of those packets have been given away.
    #[inline]
    pub(crate) unsafe fn forget_front(&mut self, count: usize) {
        let slots = self.slots.as_mut_ptr();
        let rest = self.len - count;
        if rest == 0 {
            // The usual case, by a few stores of known length.
            // SAFETY: the values that are overwritten without being dropped are none, or given away.
            unsafe { (&raw mut self.slots).write([const { None }; BURST]) };
            (self.len, self.holes, self.plain) = (0, false, true);
            return;
        }
        // SAFETY: by the contract all is within the array. The first `count` values are overwritten without
        // being dropped, the others are moved (the ranges may overlap), and their old places are
        // overwritten without being dropped, too.
        unsafe {
            std::ptr::copy(slots.add(count), slots, rest);
            for i in rest..self.len {
                slots.add(i).write(None);
            }
        }
        self.len = rest;
    }
}

/// A shared packet could not be copied: its pool has no mbuf left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted;

impl Default for Mbufs {
    fn default() -> Self {
        Mbufs::new()
    }
}

impl Drop for Mbufs {
    fn drop(&mut self) {
        self.clear();
    }
}

impl fmt::Debug for Mbufs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Takes the packets of a burst out, in order. See [`Mbufs::drain`].
pub struct Drain<'a> {
    mbufs: &'a mut Mbufs,
    next: usize,
}

impl Iterator for Drain<'_> {
    type Item = Mbuf;

    #[inline]
    fn next(&mut self) -> Option<Mbuf> {
        while self.next < self.mbufs.len {
            let slot = self.mbufs.take(self.next);
            self.next += 1;
            if slot.is_some() {
                return slot;
            }
        }
        None
    }
}

impl Drop for Drain<'_> {
    fn drop(&mut self) {
        self.mbufs.clear();
    }
}
