//! What an operator can ask of a bad network, and change in it while it runs.

use super::Netem;
use super::config::{Config, Settings};
use engine::{Command, CommandError};
use serde_json::{Map, Value, json};

pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "show",
        summary: "the settings in force, how many packets are held, the state of the channel",
    },
    Command {
        name: "set",
        summary: "changes settings until the configuration changes: {\"loss\": 5, \"delay\": \"80ms\"}",
    },
    Command { name: "reset", summary: "goes back to the settings of the configuration" },
];

impl Netem {
    pub(super) fn answer(&mut self, name: &str, arguments: &Value) -> Result<Value, CommandError> {
        match name {
            "show" => {
                crate::arguments::<Map<String, Value>>(arguments)?;
                Ok(json!({
                    "settings": self.settings.config,
                    "held": self.line.len(),
                    "bad_state": self.channel.bad,
                }))
            }
            "set" => {
                let mut config = json!(self.settings.config);
                let changes: Map<String, Value> = crate::arguments(arguments)?;
                for (key, value) in changes {
                    config[key] = value;
                }
                let config: Config = serde_json::from_value(config)
                    .map_err(|error| CommandError::Arguments(error.to_string()))?;
                self.settings = self.permitted(&config).map_err(CommandError::Failed)?;
                Ok(json!({ "settings": self.settings.config }))
            }
            "reset" => {
                self.settings = self.plan.settings.clone();
                Ok(json!({ "settings": self.settings.config }))
            }
            _ => Err(CommandError::Unknown(name.to_owned())),
        }
    }

    /// Settings that may be in force under this plan: steering and memory follow what the configuration declares.
    pub(super) fn permitted(&self, config: &Config) -> Result<Settings, String> {
        let settings = Settings::new(config).map_err(|error| match error.help {
            Some(help) => format!("{}: {help}", error.message),
            None => error.message,
        })?;
        let (declared, wanted) = (self.plan.settings.effects(), settings.effects());
        for (more, what) in [
            (wanted.holds && !declared.holds, "delay, jitter and rate"),
            (wanted.may_drop && !declared.may_drop, "loss"),
            (wanted.may_create && !declared.may_create, "duplication"),
            (!declared.writes.includes(wanted.writes), "corruption"),
            (settings.config.rate.is_some() != self.plan.settings.config.rate.is_some(), "the rate"),
        ] {
            if more {
                return Err(format!(
                    "{what}: only what the configuration has switched on can change while it runs, \
                     as the plan relies on it"
                ));
            }
        }
        if settings.config.limit != self.plan.settings.config.limit {
            return Err("the limit cannot change while it runs: its memory is taken at the start".to_owned());
        }
        Ok(settings)
    }
}
