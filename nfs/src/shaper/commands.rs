//! What an operator can ask of a shaper, and change in it while it runs.

use super::{Config, Plan, Shaper};
use crate::Rate;
use engine::{Command, CommandError, Site};
use serde::Deserialize;
use serde_json::{Map, Value, json};

pub(super) const COMMANDS: &[Command] = &[
    Command { name: "show", summary: "each class: its rates, what went, was dropped and marked, what waits" },
    Command {
        name: "set",
        summary: "changes a rate until the configuration changes, of a class or, without one, of the whole: \
                  {\"class\": \"voice\", \"rate\": \"2mbit\", \"ceil\": \"5mbit\", \"burst\": 20000}",
    },
    Command { name: "reset", summary: "goes back to the rates of the configuration" },
];

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Set {
    class: Option<String>,
    rate: Option<Rate>,
    ceil: Option<Rate>,
    burst: Option<u64>,
}

impl Shaper {
    pub(super) fn answer(&mut self, name: &str, arguments: &Value) -> Result<Value, CommandError> {
        match name {
            "show" => {
                crate::arguments::<Map<String, Value>>(arguments)?;
                Ok(self.show())
            }
            "set" => {
                let set = crate::arguments(arguments)?;
                let config = self.changed(&set)?;
                self.permitted(&config).map_err(CommandError::Failed)?;
                self.retune(config);
                Ok(self.rates())
            }
            "reset" => {
                self.retune(self.plan.config.clone());
                Ok(self.rates())
            }
            _ => Err(CommandError::Unknown(name.to_owned())),
        }
    }

    fn changed(&self, set: &Set) -> Result<Config, CommandError> {
        let mut config = self.config.clone();
        let Some(name) = &set.class else {
            if set.ceil.is_some() {
                return Err(CommandError::Arguments("only a class has a ceiling".to_owned()));
            }
            config.rate = set.rate.or(config.rate);
            config.burst = set.burst.or(config.burst);
            return Ok(config);
        };
        let class = config.class.iter_mut().find(|class| class.name == *name).ok_or_else(|| {
            CommandError::Arguments(format!(
                "no class '{name}'; the classes are: {}",
                self.plan.names[1..].join(", ")
            ))
        })?;
        class.rate = set.rate.or(class.rate);
        class.ceil = set.ceil.or(class.ceil);
        class.burst = set.burst.or(class.burst);
        Ok(config)
    }

    /// Whether only rates and bursts differ from the plan, in a way that works.
    pub(super) fn permitted(&self, config: &Config) -> Result<(), String> {
        let mut alike = config.clone();
        (alike.rate, alike.burst) = (self.plan.config.rate, self.plan.config.burst);
        for (class, planned) in alike.class.iter_mut().zip(&self.plan.config.class) {
            (class.rate, class.ceil, class.burst) = (planned.rate, planned.ceil, planned.burst);
        }
        if alike != self.plan.config {
            return Err("only rates, ceilings and bursts can change while it runs".to_owned());
        }
        let site = Site { workers: self.worker.count, ..Site::default() };
        let plan = Plan::new(config, &site).map_err(|error| match error.help {
            Some(help) => format!("{}: {help}", error.message),
            None => error.message,
        })?;
        if plan.effects != self.plan.effects {
            return Err("the configuration limits nothing, and the plan relies on it".to_owned());
        }
        Ok(())
    }

    /// Rates in force, of all workers together.
    fn rates(&self) -> Value {
        let class = |class: &super::ClassConfig| json!({ "class": class.name, "rate": class.rate, "ceil": class.ceil.or(class.rate), "burst": class.burst });
        json!({
            "rate": self.config.rate,
            "burst": self.config.burst,
            "classes": self.config.class.iter().map(class).collect::<Vec<_>>(),
        })
    }

    fn show(&self) -> Value {
        let mut shown = self.rates();
        for (place, leaf) in self.plan.leaves.iter().enumerate() {
            let account = &self.accounts[place];
            let (waiting, waiting_bytes) = self.scheduler.waiting(place);
            let mut more = json!({
                "packets": account.packets,
                "bytes": account.bytes,
                "dropped": account.dropped,
                "queued": account.queued,
                "marked": account.marked,
                "waiting": waiting,
                "waiting_bytes": waiting_bytes,
            });
            if leaf.police.is_some() {
                let [green, yellow, red] = account.colors;
                more["colors"] = json!({ "green": green, "yellow": yellow, "red": red });
            }
            // The whole has no entry of its own.
            let entry = &mut shown["classes"][leaf.class - 1];
            if let (Some(entry), Value::Object(more)) = (entry.as_object_mut(), more) {
                entry.extend(more);
            }
        }
        shown
    }
}
