//! Orders for flows, and what is known of them.

use super::{Breakpoint, Order, Start, Way, id};
use crate::smart::records::{FiveTuple, From};
use engine::{Command, CommandError, PAGE};
use serde::Deserialize;
use serde_json::{Value, json};
use wire::FlowKey;

pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "divert",
        summary: "sends the rest of a flow the alternative way: {\"flow\": {\"src\": \"10.0.0.1\", \"dst\": \"10.0.0.2\", \
                  \"sport\": 1000, \"dport\": 80, \"proto\": 6}}, from now, or \"sequence\": N (TCP), or \"packets\": N",
    },
    Command { name: "clone", summary: "sends the rest of a flow both ways; arguments as of divert" },
    Command {
        name: "replicate",
        summary: "sends all of a flow that is still to come both ways: {\"flow\": {…}}",
    },
    Command { name: "stop", summary: "ends the order for a flow: {\"flow\": {…}}" },
    Command {
        name: "flows",
        summary: "priority flows with their orders, a page at a time: {\"from\": 0}; \"next\" is where to go on",
    },
];

/// An order as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    flow: FiveTuple,
    #[serde(default)]
    sequence: Option<u32>,
    #[serde(default)]
    packets: Option<u64>,
}

impl Written {
    fn key(&self) -> Result<FlowKey, CommandError> {
        FlowKey::try_from(self.flow).map_err(CommandError::Arguments)
    }

    fn start(&self, key: &FlowKey) -> Result<Start, CommandError> {
        match (self.sequence, self.packets) {
            (Some(_), Some(_)) => {
                Err(CommandError::Arguments("'sequence' and 'packets' both say from where on".to_owned()))
            }
            (Some(_), None) if key.protocol() != wire::protocol::ip::TCP => {
                Err(CommandError::Arguments("only TCP has sequence numbers: write 'packets'".to_owned()))
            }
            (Some(sequence), None) => Ok(Start::Sequence(sequence)),
            (None, packets) => Ok(Start::Packet(packets.unwrap_or(0))),
        }
    }
}

impl Breakpoint {
    pub(super) fn answer(&mut self, name: &str, arguments: &Value) -> Result<Value, CommandError> {
        let way = match name {
            "divert" => Some(Way::Divert),
            "clone" | "replicate" => Some(Way::Clone),
            "stop" => None,
            "flows" => return self.page(arguments),
            _ => return Err(CommandError::Unknown(name.to_owned())),
        };
        let written: Written = crate::arguments(arguments)?;
        let key = written.key()?;
        let from = written.start(&key)?;
        if matches!(name, "replicate" | "stop") && from != Start::Packet(0) {
            return Err(CommandError::Arguments(format!("'{name}' is of a whole flow")));
        }
        if way.is_some() && !self.plan.alternative {
            return Err(CommandError::Failed("the chain has one destination, and no alternative".to_owned()));
        }
        let begun = self.flows.find(&key).and_then(|found| self.flows.get(found));
        if name == "replicate" && begun.is_some_and(|flow| flow.meter.packets > 0 && !flow.ended) {
            return Err(CommandError::Failed("the flow has begun: clone what is left of it".to_owned()));
        }
        let known = self.order(key, way.map(|way| Order { way, from }));
        Ok(json!({ "id": id(&key), "known": known }))
    }

    fn page(&mut self, arguments: &Value) -> Result<Value, CommandError> {
        let From { from } = crate::arguments(arguments)?;
        let mut flows = Vec::new();
        let next = self.flows.page(from, PAGE, |_, key, flow| {
            flows.push(json!({ "id": id(key), "flow": FiveTuple::from(key), "state": flow }));
            true
        });
        Ok(json!({ "known": self.flows.len(), "flows": flows, "next": next }))
    }
}
