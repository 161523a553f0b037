//! What an operator can ask of a tracker.

use super::connection::Connection;
use super::phase::Phase;
use super::state::{first_key, is_wanted};
use super::tracker::Tracker;
use engine::{Command, CommandError, PAGE, Selector};
use serde::Deserialize;
use serde_json::{Value, json};
use wire::FlowKey;

/// The commands of every NF with a [`Tracker`].
pub const COMMANDS: &[Command] = &[
    Command {
        name: "connections",
        summary: "connections, at most 256 at a time: {\"cursor\": 0, \"selector\": {\"address\", \"port\", \"protocol\", \"since\"}}",
    },
    Command { name: "occupancy", summary: "how full the tables are, and of what" },
    Command {
        name: "forget",
        summary: "forgets connections, at most 256 at a time: {\"cursor\": 0, \"selector\": {\"address\", \"port\", \"protocol\"}}",
    },
];

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Page {
    cursor: u64,
    selector: Selector,
}

impl Tracker {
    /// Answers one of the commands of the NF.
    ///
    /// # Errors
    /// An unknown command, or arguments that do not fit.
    pub fn answer(&mut self, name: &str, arguments: &Value) -> Result<Value, CommandError> {
        match name {
            "connections" => {
                let mut shown = Vec::new();
                let next = self.selected(arguments, |key, connection| shown.push(show(key, connection)))?;
                let [v4, v6] = self.len();
                Ok(json!({ "connections": shown, "known": v4 + v6, "cursor": next }))
            }
            "occupancy" => {
                let ([v4, v6], [bytes_v4, bytes_v6]) = (self.len(), self.bytes_per_connection());
                Ok(json!({
                    "ipv4": v4,
                    "ipv6": v6,
                    "capacity_of_each": self.capacity(),
                    "expendable": self.expendable(),
                    "bytes_per_connection": { "ipv4": bytes_v4, "ipv6": bytes_v6 },
                }))
            }
            "forget" => {
                let mut keys = Vec::new();
                let next = self.selected(arguments, |key, _| keys.push(key))?;
                keys.iter().for_each(|key| {
                    self.forget(key);
                });
                Ok(json!({ "forgotten": keys.len(), "cursor": next }))
            }
            _ => Err(CommandError::Unknown(name.to_owned())),
        }
    }

    /// A page of the connections that the arguments select; where to go on.
    fn selected(
        &self,
        arguments: &Value,
        mut each: impl FnMut(FlowKey, &Connection),
    ) -> Result<Option<u64>, CommandError> {
        let Page { cursor, selector } = crate::arguments(arguments)?;
        Ok(self.page(cursor, PAGE, |key, connection| {
            let wanted = is_wanted(&selector, &key, connection.last);
            if wanted {
                each(key, connection);
            }
            wanted
        }))
    }
}

fn show(key: FlowKey, connection: &Connection) -> Value {
    let key = first_key(key, connection);
    let phase: Phase = connection.phase;
    json!({
        "src": key.source().to_string(),
        "sport": key.source_port(),
        "dst": key.destination().to_string(),
        "dport": key.destination_port(),
        "proto": key.protocol(),
        "phase": phase,
        "replied": connection.replied,
        "assured": connection.assured,
        "last": connection.last.to_string(),
    })
}
