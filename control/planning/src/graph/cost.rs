//! What running side by side costs.

use serde::{Deserialize, Serialize};

/// Costs per packet, in the unit of the delays. Each branch beyond the first costs one of each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Costs {
    /// To give one more branch the packet.
    pub mirror: u64,
    /// To bring it to another core and back.
    pub handoff: u64,
    /// To bring one more branch's result into the packet.
    pub merge: u64,
}

impl Costs {
    /// Nothing: the model of the thesis.
    pub const NONE: Costs = Costs { mirror: 0, handoff: 0, merge: 0 };

    /// Latency of branches side by side, given theirs: the longest one stays on the core that has the packet.
    pub fn side_by_side(self, branches: impl IntoIterator<Item = u64>) -> u64 {
        let (mut longest, mut second, mut count) = (0, None, 0u64);
        for branch in branches {
            count += 1;
            let shorter = if branch > longest { std::mem::replace(&mut longest, branch) } else { branch };
            if count > 1 {
                second = second.max(Some(shorter));
            }
        }
        let others = second.map_or(0, |second| second.saturating_add(self.handoff));
        let each = self.mirror.saturating_add(self.merge);
        longest.max(others).saturating_add(each.saturating_mul(count.saturating_sub(1)))
    }
}

impl Default for Costs {
    /// Estimates in cycles: a reference taken and given back, two crossings of a ring, declared fields copied.
    fn default() -> Self {
        Costs { mirror: 40, handoff: 200, merge: 60 }
    }
}
