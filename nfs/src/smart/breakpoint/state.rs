//! Flows leave and enter with their orders, their numbers, and what was measured of them.

use super::{Breakpoint, Flow, records};
use crate::smart::flows::Kept;
use crate::smart::shim::BITS;
use engine::{Cursor, Record, Role, Selector, State, StateError};
use serde_json::json;

fn is_possible(flow: &Flow) -> Result<(), String> {
    if flow.meter.first > flow.meter.last {
        return Err(format!("it began at {} and ended at {}", flow.meter.first, flow.meter.last));
    }
    if flow.number() >> BITS != 0 {
        return Err(format!("its next number, {}, has more than {BITS} bits", flow.number()));
    }
    Ok(())
}

impl State for Breakpoint {
    fn export(&self, cursor: Cursor, selector: &Selector, out: &mut Vec<Record>) -> Option<Cursor> {
        records::export(&self.flows, Role::Supporting, (cursor, selector), out, |_, flow| json!(flow))
    }

    /// Replaces what was known of the same flows.
    fn import(&mut self, records: &[Record]) -> Result<(), StateError> {
        for (key, flow) in records::read::<_, Flow>(&self.flows, records, is_possible)? {
            self.flows.open(key, flow, flow.last());
        }
        Ok(())
    }

    fn admits(&self, records: &[Record]) -> Result<(), StateError> {
        records::read::<_, Flow>(&self.flows, records, is_possible).map(|_| ())
    }
}
