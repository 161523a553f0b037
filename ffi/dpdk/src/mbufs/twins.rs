//! A burst for two at once: further references to its packets, or copies of what may be written to.

use dpdk_sys::rte_mbuf;

use super::{BURST, Mbufs};
use crate::Mbuf;
use crate::gate;
use crate::mbuf::Look;
use crate::pool::origin::Origin;

impl Mbufs {
    /// [`Mbuf::share`] of every packet into `into`, which is cleared first. Holes are left out.
    pub fn share(&mut self, into: &mut Mbufs) {
        into.clear();
        self.plain = false;
        for (to, mbuf) in into.slots.iter_mut().zip(self.slots[..self.len].iter_mut().flatten()) {
            *to = Some(mbuf.share());
            into.len += 1;
        }
        into.plain = false;
    }

    /// [`Mbuf::copy_front`] of every packet into `into`, which is cleared first. Holes are left out. `false`: the pool is
    /// exhausted, and `into` is empty.
    #[must_use]
    pub fn copy_fronts(&mut self, length: u32, into: &mut Mbufs) -> bool {
        into.clear();
        self.plain = false;
        let Some(pool) = self.iter().next().map(|mbuf| mbuf.mempool()) else { return true };
        let mut from = [std::ptr::null_mut::<rte_mbuf>(); BURST];
        if self.iter().any(|mbuf| mbuf.mempool() != pool || mbuf.len() == 0) {
            return self.copy_fronts_singly(length, into);
        }
        let mut count = 0;
        for (to, mbuf) in from.iter_mut().zip(self.iter()) {
            *to = mbuf.as_ptr();
            count += 1;
        }
        let _passage = gate::enter();
        // SAFETY: the pool is that of mbufs in this burst, and the passage stays open to the end of this function.
        let Some(origin) = (unsafe { Origin::of(pool) }) else { return false };
        // SAFETY: `from` names `count` packets of this burst, which have bytes; those are only read, and references to
        // them counted, as they are mutably borrowed. There is room for as many in `into`, which has none: it is given
        // packets of which it holds the only reference (later segments are not direct: nobody writes to them), or nulls.
        let copied = unsafe {
            let to = into.slots.as_mut_ptr().cast();
            dpdk_sys::braid_copy_fronts(from.as_ptr(), count, origin.as_ptr(), length, to) == 0
        };
        if copied {
            (into.len, into.holes, into.plain) = (count as usize, false, false);
        }
        copied
    }

    /// Packets of several pools, or without any bytes.
    #[cold]
    fn copy_fronts_singly(&mut self, length: u32, into: &mut Mbufs) -> bool {
        for mbuf in self.slots[..self.len].iter_mut().flatten() {
            let copied = mbuf.copy_front(length).map(|copy| into.push(copy));
            if !matches!(copied, Some(Ok(()))) {
                into.clear();
                return false;
            }
        }
        true
    }

    /// Ends references that [`Mbufs::share`] made, or what is left of them in the same order: as [`Mbufs::clear`] of
    /// `twins` does, quicker.
    pub fn reunite(&mut self, twins: &mut Mbufs) {
        if twins.is_empty() {
            return;
        }
        let mut own = self.slots[..self.len].iter_mut().flatten();
        for slot in &mut twins.slots[..twins.len] {
            let Some(twin) = slot.take() else { continue };
            match own.find(|mbuf| mbuf.as_ptr() == twin.as_ptr()) {
                Some(mbuf) => mbuf.rejoin(twin),
                None => drop(twin),
            }
        }
        (twins.len, twins.holes, twins.plain) = (0, false, true);
        let mut look = Look::default();
        self.iter().for_each(|mbuf| look.at(mbuf));
        self.plain = !self.is_empty() && look.is_plain();
    }

    /// Has the processor fetch headers and first bytes of all packets: those that another core has worked on.
    pub fn prefetch(&self) {
        self.iter().for_each(Mbuf::prefetch_header);
        self.iter().for_each(Mbuf::prefetch_data);
    }
}
