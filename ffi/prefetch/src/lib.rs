//! The processor's prefetch instruction, which the standard library does not offer as a safe function yet.
//!
//! A table that is larger than the caches is looked up for a whole burst in stages: what the next stage reads is
//! prefetched by the one before, so that the cache misses overlap. An ordinary load would hold up all instructions
//! behind it; a prefetch does not.

/// Has the processor fetch the cache line in which the value begins, into all levels. A hint: it changes nothing else.
#[inline(always)]
pub fn prefetch<T: ?Sized>(value: &T) {
    address(std::ptr::from_ref(value).cast());
}

/// [`prefetch`] of the last byte's cache line as well.
#[inline(always)]
pub fn prefetch_both_ends<T>(value: &T) {
    prefetch(value);
    let in_one_line = align_of::<T>() >= 64 && size_of::<T>() <= 64;
    if !in_one_line {
        address(std::ptr::from_ref(value).cast::<u8>().wrapping_add(size_of::<T>().saturating_sub(1)));
    }
}

/// Has the processor fetch the cache line of an address, which need not be valid.
#[inline(always)]
pub fn address(address: *const u8) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a hint, valid for any address; SSE is part of x86_64.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(any(not(target_arch = "x86_64"), miri))]
    let _ = address;
}
