//! 24 bytes of our own in every mbuf, in a dynamic field (rte_mbuf_dyn.h).

use std::sync::atomic::{AtomicUsize, Ordering};

use super::Mbuf;
use crate::error::{DpdkError, last_errno};

/// Where the field is. Set once, before the first mbuf can exist.
static OFFSET: AtomicUsize = AtomicUsize::new(0);

/// Asks DPDK for the field. On EAL's main thread, once EAL is up.
pub(crate) fn register() -> Result<(), DpdkError> {
    // SAFETY: all fields are integers and a character array: zero is a value of each.
    let mut field: dpdk_sys::rte_mbuf_dynfield = unsafe { std::mem::zeroed() };
    for (to, from) in field.name.iter_mut().zip(c"braid_meta".to_bytes_with_nul()) {
        *to = *from as _;
    }
    field.size = size_of::<[u64; 3]>();
    field.align = align_of::<[u64; 3]>();
    // SAFETY: the description is read during the call.
    let offset = unsafe { dpdk_sys::rte_mbuf_dynfield_register(&raw const field) };
    match usize::try_from(offset) {
        Ok(offset) => {
            OFFSET.store(offset, Ordering::Release);
            Ok(())
        }
        Err(_) => Err(DpdkError::refused("reserving 24 bytes in every mbuf", -last_errno(), Vec::new())),
    }
}

impl Mbuf {
    /// What [`Mbuf::set_meta`] stored. Whatever the last user of the mbuf left, in one that was just received
    /// or allocated.
    #[inline]
    #[must_use]
    pub fn meta(&self) -> [u64; 3] {
        // SAFETY: an mbuf exists, so the field was registered: its offset is that of 24 aligned bytes.
        unsafe { self.head().dynamic(OFFSET.load(Ordering::Relaxed)) }
    }

    /// Stores 24 bytes that travel with the packet, copies included. `false`: shared, and no mbuf to copy it.
    #[inline]
    pub fn set_meta(&mut self, meta: [u64; 3]) -> bool {
        let offset = OFFSET.load(Ordering::Relaxed);
        let Some(mut head) = self.exclusive() else { return false };
        // SAFETY: as in `meta`.
        unsafe { head.set_dynamic(offset, meta) };
        true
    }
}
