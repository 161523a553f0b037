//! Which of two overlapping segments counts.

use crate::Policy;
use crate::pool::Held;

impl Policy {
    /// Whether the later segment's bytes replace those of the earlier one.
    pub(super) fn later_wins(self, earlier: &Held, later: &Held) -> bool {
        if earlier.doubtful != later.doubtful {
            return earlier.doubtful;
        }
        let begins_before = later.from < earlier.from;
        let begins_with = later.from == earlier.from;
        match self {
            Policy::First => false,
            Policy::Last => true,
            Policy::Bsd => begins_before,
            Policy::Linux => begins_before || begins_with && later.to > earlier.to,
            Policy::OldLinux => begins_before || begins_with && later.to >= earlier.to,
            Policy::Solaris => {
                (later.from <= earlier.from && later.to >= earlier.to)
                    || (later.from > earlier.from && later.to > earlier.to)
            }
        }
    }
}
