//! Flows leave and enter with what was measured of them.

use super::{Flow, Tagger, is_possible, records};
use engine::{Cursor, Record, Role, Selector, State, StateError};
use serde_json::json;

impl State for Tagger {
    fn export(&self, cursor: Cursor, selector: &Selector, out: &mut Vec<Record>) -> Option<Cursor> {
        records::export(&self.flows, Role::Reporting, (cursor, selector), out, |_, flow| json!(flow))
    }

    /// Replaces what was known of the same flows.
    fn import(&mut self, records: &[Record]) -> Result<(), StateError> {
        for (key, flow) in records::read::<_, Flow>(&self.flows, records, is_possible)? {
            self.take_in(key, flow);
        }
        Ok(())
    }

    fn admits(&self, records: &[Record]) -> Result<(), StateError> {
        records::read::<_, Flow>(&self.flows, records, is_possible).map(|_| ())
    }
}
