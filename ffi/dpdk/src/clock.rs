//! The time stamp counter, and where a thread runs.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// The processor's time stamp counter, in ticks of [`tsc_hz`]. Costs a few nanoseconds, makes no call.
#[inline(always)]
#[must_use]
pub fn tsc() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86_64 processor has RDTSC; it reads a register and touches no memory.
    unsafe {
        core::arch::x86_64::_rdtsc()
    }
    #[cfg(not(target_arch = "x86_64"))]
    // SAFETY: reads the architecture's counter; no preconditions.
    unsafe {
        dpdk_sys::braid_tsc()
    }
}

/// Ticks of [`tsc`] per second. EAL's figure once EAL is up; before that, one measured over 20 ms.
#[must_use]
pub fn tsc_hz() -> u64 {
    // SAFETY: returns a number that EAL keeps, 0 before it is initialised.
    let eal = unsafe { dpdk_sys::rte_get_tsc_hz() };
    if eal != 0 {
        return eal;
    }
    static MEASURED: OnceLock<u64> = OnceLock::new();
    *MEASURED.get_or_init(|| {
        let (start, ticks) = (Instant::now(), tsc());
        std::thread::sleep(Duration::from_millis(20));
        let ticks = u128::from(tsc().wrapping_sub(ticks));
        let nanoseconds = start.elapsed().as_nanos().max(1);
        u64::try_from(ticks * 1_000_000_000 / nanoseconds).unwrap_or(u64::MAX).max(1)
    })
}

/// The NUMA node of the core that the calling thread runs on. `None` when the kernel does not say.
#[must_use]
pub fn thread_socket() -> Option<u32> {
    let (mut core, mut node) = (0u32, 0u32);
    // SAFETY: both pointers are to live u32 values; the kernel ignores the third argument.
    let result = unsafe {
        libc::syscall(libc::SYS_getcpu, &raw mut core, &raw mut node, std::ptr::null_mut::<libc::c_void>())
    };
    (result == 0).then_some(node)
}
