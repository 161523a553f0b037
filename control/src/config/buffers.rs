//! The memory that a plan's packet buffers take.

use engine::Plan;

/// Headroom, the mbuf itself and its place in the pool, in bytes per buffer.
const OVERHEAD: u64 = 128 + 128 + 64;

/// An ordinary page. DPDK lets no object of a pool cross one, unless it is larger.
const PAGE: u64 = 4096;

/// Megabytes that the plan's buffers take in hugepages, or in ordinary ones, rounded up.
pub fn megabytes(plan: &Plan, hugepages: bool) -> u32 {
    let count = u64::from(plan.buffers_made());
    let size = u64::from(plan.buffers.size) + OVERHEAD;
    let each = match (hugepages, PAGE / size) {
        (true, _) => size,
        (false, 0) => size.next_multiple_of(PAGE),
        (false, in_a_page) => PAGE / in_a_page,
    };
    let bytes = count * each;
    u32::try_from(bytes.div_ceil(1 << 20)).unwrap_or(u32::MAX)
}
