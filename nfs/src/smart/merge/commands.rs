//! What an operator or a controller can ask of a merge.

use super::Merge;
use crate::smart::id;
use crate::smart::records::{FiveTuple, From};
use engine::{Command, CommandError, PAGE};
use serde_json::{Map, Value, json};

pub(super) const COMMANDS: &[Command] = &[
    Command { name: "show", summary: "how many flows are known and how many packets are held" },
    Command {
        name: "flows",
        summary: "flows with how far they have come, a page at a time: {\"from\": 0}; \"next\" is where to go on",
    },
];

impl Merge {
    pub(super) fn answer(&mut self, name: &str, arguments: &Value) -> Result<Value, CommandError> {
        match name {
            "show" => {
                crate::arguments::<Map<String, Value>>(arguments)?;
                let held = self.hold.len() + self.leaving.len();
                Ok(json!({ "flows": self.flows.len(), "held": held }))
            }
            "flows" => {
                let From { from } = crate::arguments(arguments)?;
                let mut flows = Vec::new();
                let next = self.flows.page(from, PAGE, |_, key, course| {
                    flows.push(json!({
                        "id": id(key), "flow": FiveTuple::from(key), "next": course.next,
                        "numbered": course.epoch.is_some(), "held": course.held, "last": course.last,
                    }));
                    true
                });
                Ok(json!({ "known": self.flows.len(), "flows": flows, "next": next }))
            }
            _ => Err(CommandError::Unknown(name.to_owned())),
        }
    }
}
