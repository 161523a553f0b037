//! The memory that a plan's packet buffers take.

use engine::Plan;

/// Headroom, the mbuf itself and its place in the pool, in bytes per buffer.
const OVERHEAD: u64 = 128 + 128 + 64;

/// Megabytes that the plan's buffers take, rounded up.
pub fn megabytes(plan: &Plan) -> u32 {
    let count = u64::from(plan.buffers_made());
    let bytes = count * (u64::from(plan.buffers.size) + OVERHEAD);
    u32::try_from(bytes.div_ceil(1 << 20)).unwrap_or(u32::MAX)
}
