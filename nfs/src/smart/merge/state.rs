//! Flows leave and enter with how far they have come and which packets they remember. Packets that are held do not.

use super::course::{Course, NONE};
use super::{Merge, records};
use engine::{Cursor, Record, Role, Selector, State, StateError};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Value of a flow; times in nanoseconds since the epoch.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Value {
    epoch: Option<u8>,
    isn: Option<u32>,
    next: u32,
    highest: u32,
    last: u64,
    /// Digests of packets and when they came, the oldest first.
    seen: Vec<(u64, u64)>,
}

fn is_possible(value: &Value) -> Result<(), String> {
    if value.seen.iter().any(|(digest, _)| *digest == 0) {
        return Err("no packet has the digest 0".to_owned());
    }
    Ok(())
}

impl State for Merge {
    fn export(&self, cursor: Cursor, selector: &Selector, out: &mut Vec<Record>) -> Option<Cursor> {
        records::export(&self.flows, Role::Supporting, (cursor, selector), out, |id, course| {
            let Course { epoch, isn, next, highest, last, .. } = *course;
            let seen = self.memory.all(id.index(), course);
            json!(Value { epoch, isn, next, highest, last, seen })
        })
    }

    /// Replaces what was known of the same flows; what those held leaves.
    fn import(&mut self, records: &[Record]) -> Result<(), StateError> {
        for (key, value) in records::read::<_, Value>(&self.flows, records, is_possible)? {
            let Value { epoch, isn, next, highest, last, seen } = value;
            let (head, tail) = (NONE, NONE);
            let course =
                Course { epoch, isn, next, highest, last, head, tail, held: 0, emitted: 0, place: 0 };
            self.take_in(key, course, &seen);
        }
        Ok(())
    }

    fn admits(&self, records: &[Record]) -> Result<(), StateError> {
        records::read::<_, Value>(&self.flows, records, is_possible).map(|_| ())
    }
}
