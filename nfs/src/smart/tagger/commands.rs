//! What an operator or a controller can ask of a tagger.

use super::Tagger;
use crate::smart::records::From;
use engine::{Command, CommandError, PAGE};
use serde_json::{Map, Value, json};

pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "rules",
        summary: "the rules in the order in which they are asked, with all that they promise",
    },
    Command {
        name: "flows",
        summary: "flows with what was measured of them, a page at a time: {\"from\": 0}; \"next\" is where to go on",
    },
];

impl Tagger {
    pub(super) fn answer(&mut self, name: &str, arguments: &Value) -> Result<Value, CommandError> {
        match name {
            "rules" => {
                crate::arguments::<Map<String, Value>>(arguments)?;
                let rule = |name: &String| self.plan.config.rule.iter().find(|rule| rule.name == *name);
                let rules: Vec<_> = self.plan.rules.iter().filter_map(|known| rule(&known.name)).collect();
                Ok(json!({ "rules": rules }))
            }
            "flows" => {
                let From { from } = crate::arguments(arguments)?;
                let mut flows = Vec::new();
                let next = self.flows.page(from, PAGE, |_, key, flow| {
                    flows.push(self.told(key, flow));
                    true
                });
                Ok(json!({ "known": self.flows.len(), "flows": flows, "next": next }))
            }
            _ => Err(CommandError::Unknown(name.to_owned())),
        }
    }
}
