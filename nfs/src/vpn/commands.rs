//! Associations by command: keys come from whoever has negotiated them.

use super::Vpn;
use super::association::{Association, Direction};
use super::config::{Keyed, check_spi, cipher};
use crate::arguments;
use crate::secret::Secret;
use engine::{Command, CommandError};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "sa_add",
        summary: "adds a security association: {tunnel, direction = \"inbound\" or \"outbound\", spi, keymat, esn}. \
                  Packets leave by the outbound one that was added last",
    },
    Command {
        name: "sa_remove",
        summary: "takes a security association away: {direction, spi}, of an outbound one with {tunnel}",
    },
    Command { name: "sa_list", summary: "all security associations, without their keys" },
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Add {
    tunnel: String,
    direction: String,
    spi: u32,
    keymat: Secret,
    #[serde(default)]
    esn: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Remove {
    direction: String,
    spi: u32,
    #[serde(default)]
    tunnel: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

fn direction(name: &str) -> Result<Direction, CommandError> {
    Direction::of(name)
        .ok_or_else(|| CommandError::Arguments("'direction' is \"inbound\" or \"outbound\"".to_owned()))
}

impl Vpn {
    pub(super) fn obey(&mut self, name: &str, given: &Value) -> Result<Value, CommandError> {
        match name {
            // What is said of arguments that do not fit might have a key in it.
            "sa_add" => match Add::deserialize(given) {
                Ok(add) => self.add(&add),
                Err(_) => Err(CommandError::Arguments(
                    "write {\"tunnel\": \"NAME\", \"direction\": \"outbound\", \"spi\": 4096, \"keymat\": \"HEX\"}"
                        .to_owned(),
                )),
            },
            "sa_remove" => self.remove(&arguments(given)?),
            "sa_list" => {
                let Nothing {} = arguments(given)?;
                let all: Vec<Value> = self.associations.iter().map(|known| self.show(known)).collect();
                Ok(json!({ "associations": all, "waiting_for_keys": self.associations.waiting.len() }))
            }
            _ => Err(CommandError::Unknown(name.to_owned())),
        }
    }

    fn tunnel(&self, name: &str) -> Result<usize, CommandError> {
        let found = self.plan.tunnels.iter().position(|tunnel| tunnel.name == name);
        found.ok_or_else(|| CommandError::Failed(format!("there is no tunnel '{name}'")))
    }

    /// The same one twice is added once, so that the command can be given again after one that got stuck half way
    /// through the workers.
    fn add(&mut self, add: &Add) -> Result<Value, CommandError> {
        let direction = direction(&add.direction)?;
        check_spi(add.spi).map_err(CommandError::Arguments)?;
        let cipher = cipher(&add.keymat).map_err(CommandError::Arguments)?;
        let tunnel = self.tunnel(&add.tunnel)?;
        if let Some(known) = self.associations.find(tunnel, direction, add.spi) {
            if known.cipher.check() == cipher.check() && known.tunnel == tunnel && known.extended == add.esn {
                return Ok(json!({ "added": false }));
            }
            let message =
                format!("there is another association of SPI {:#010x}: take it away first", add.spi);
            return Err(CommandError::Failed(message));
        }
        if self.associations.len() >= self.plan.capacity {
            let message = format!("there are {} associations, as many as there may be", self.plan.capacity);
            return Err(CommandError::Failed(message));
        }
        let keyed = Keyed { tunnel, direction, spi: add.spi, extended: add.esn, cipher: Arc::new(cipher) };
        self.associations.add(&self.plan, &keyed, true);
        Ok(json!({ "added": true }))
    }

    fn remove(&mut self, remove: &Remove) -> Result<Value, CommandError> {
        let direction = direction(&remove.direction)?;
        let tunnel = remove.tunnel.as_deref().map(|name| self.tunnel(name)).transpose()?;
        if direction == Direction::Outbound && tunnel.is_none() {
            return Err(CommandError::Arguments("'tunnel' is missing".to_owned()));
        }
        Ok(json!({ "removed": self.associations.remove(tunnel, direction, remove.spi) }))
    }

    fn show(&self, association: &Association) -> Value {
        let (name, course) = (association.name(&self.plan), association.course());
        json!({
            "tunnel": name.tunnel,
            "direction": name.direction.name(),
            "spi": name.spi,
            "cipher": format!("aes-gcm-{}", association.cipher.bits()),
            "fingerprint": hex::encode(name.check),
            "esn": association.extended,
            "by": if association.added { "command" } else { "configuration" },
            "sequence": course.highest,
            "packets": course.account.packets,
            "bytes": course.account.bytes,
            "last": course.account.last.as_nanos(),
        })
    }
}
