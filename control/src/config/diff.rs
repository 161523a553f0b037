//! What changes from one configuration to the next.

use super::chain::PATIENCE;
use super::{Config, PortConfig, SocketChoice};
use crate::duration;
use crate::planning::Mode;
use engine::{Idle, OnPanic};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::fmt;

/// One difference.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// Where, by keys: `nf.edge`, `ports.lan.mtu`.
    pub path: String,
    /// What happens there.
    pub kind: ChangeKind,
    /// What was there.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub old: Value,
    /// What will be there.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub new: Value,
    /// Whether a running engine cannot make this change: the process has to be started anew.
    pub needs_restart: bool,
}

/// What happens to a part of the configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It goes.
    Removed,
    /// It becomes something else.
    Changed,
}

/// As a line that people read: `~ ports.lan.mtu: 1500 → 9000`.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Change { path, old, new, .. } = self;
        match self.kind {
            ChangeKind::Added => write!(f, "+ {path}: {new}")?,
            ChangeKind::Removed => write!(f, "- {path}: {old}")?,
            ChangeKind::Changed => write!(f, "~ {path}: {old} → {new}")?,
        }
        if self.needs_restart { f.write_str(" (needs a restart)") } else { Ok(()) }
    }
}

/// Settings that are fixed when the process starts.
const FIXED: [&str; 5] =
    ["engine.hugepages", "engine.memory", "engine.socket", "engine.buffers", "engine.idle"];

/// What changes from `old` to `new`, in the order engine, ports, NFs, chains. Files that NFs read are not looked
/// into: applying a configuration reads them again even when nothing else changes.
pub fn diff(old: &Config, new: &Config) -> Vec<Change> {
    let mut changes = Vec::new();
    compare("engine", &engine(old), &engine(new), 1, &mut changes);
    compare("ports", &ports(old), &ports(new), 2, &mut changes);
    compare("nf", &nfs(old), &nfs(new), 2, &mut changes);
    compare("chain", &chains(old), &chains(new), 2, &mut changes);
    let order = |of: &Config, other: &Config| -> Vec<String> {
        let stays = |name: &String| other.chains.iter().any(|chain| chain.name == *name);
        of.chains.iter().map(|chain| chain.name.clone()).filter(stays).collect()
    };
    let (before, after) = (order(old, new), order(new, old));
    if before != after {
        changes.push(change("chain order".to_owned(), json!(before), json!(after)));
    }
    changes
}

/// Compares two tables down to `depth` levels; what is deeper is compared whole.
fn compare(path: &str, old: &Value, new: &Value, depth: usize, changes: &mut Vec<Change>) {
    if old == new {
        return;
    }
    match (old, new) {
        (Value::Object(before), Value::Object(after)) if depth > 0 => {
            let added = after.keys().filter(|key| !before.contains_key(*key));
            for key in before.keys().chain(added) {
                let value = |table: &Map<String, Value>| table.get(key).cloned().unwrap_or(Value::Null);
                compare(&format!("{path}.{key}"), &value(before), &value(after), depth - 1, changes);
            }
        }
        _ => changes.push(change(path.to_owned(), old.clone(), new.clone())),
    }
}

fn change(path: String, old: Value, new: Value) -> Change {
    let kind = match (&old, &new) {
        (Value::Null, _) => ChangeKind::Added,
        (_, Value::Null) => ChangeKind::Removed,
        _ => ChangeKind::Changed,
    };
    let needs_restart = FIXED.contains(&path.as_str());
    Change { path, kind, old, new, needs_restart }
}

fn engine(config: &Config) -> Value {
    let settings = &config.engine;
    json!({
        "cores": settings.cores,
        "helpers": settings.helpers,
        "delays": settings.delays,
        "replan": settings.replan.map(duration::format),
        "replan_margin": settings.replan_margin,
        "scale": settings.scale.map(|scale| json!({
            "min": scale.min,
            "max": scale.max,
            "up": scale.up,
            "down": scale.down,
            "every": duration::format(scale.every),
        })),
        "idle": match settings.idle { Idle::Spin => "spin", Idle::Adaptive => "adaptive" },
        "hugepages": settings.hugepages,
        "memory": settings.memory_mb,
        "buffers": { "count": settings.buffers.count, "size": settings.buffers.size },
        "seed": settings.seed,
        "socket": match &settings.socket {
            SocketChoice::Default => Value::Null,
            SocketChoice::Path(path) => json!(path),
            SocketChoice::Off => json!("off"),
        },
    })
}

fn ports(config: &Config) -> Value {
    let describe = |port: &PortConfig| {
        let written = json!({
            "device": port.written,
            "rx_queues": port.rx_queues,
            "rx_descriptors": port.rx_descriptors,
            "tx_descriptors": port.tx_descriptors,
            "mtu": port.mtu,
            "promiscuous": port.promiscuous,
            "checksum_offload": port.checksum_offload,
        });
        (port.name.clone(), given(written))
    };
    Value::Object(config.ports.iter().map(describe).collect())
}

fn nfs(config: &Config) -> Value {
    let mut nfs = Map::new();
    for nf in &config.nfs {
        let mut table = match nf.configured.json() {
            Value::Object(table) => table,
            Value::Null => Map::new(),
            other => Map::from_iter([("config".to_owned(), other)]),
        };
        table.insert("kind".to_owned(), json!(nf.entry.name));
        if nf.on_panic == OnPanic::Bypass {
            table.insert("on_panic".to_owned(), json!("bypass"));
        }
        if let Some(period) = nf.snapshot {
            table.insert("snapshot".to_owned(), json!(duration::format(period)));
        }
        nfs.insert(nf.name.clone(), given(Value::Object(table)));
    }
    Value::Object(nfs)
}

fn chains(config: &Config) -> Value {
    let describe = |chain: &super::ChainConfig| {
        let table = json!({
            "from": chain.from,
            "match": if chain.matches.is_empty() { Value::Null } else { json!(chain.matches) },
            "path": chain.path().collect::<Vec<_>>(),
            "to": chain.to().collect::<Vec<_>>(),
            "parallel": Some(chain.parallel).filter(|mode| *mode != Mode::Off),
            "branch_timeout": Some(chain.patience).filter(|wait| *wait != PATIENCE).map(duration::format),
            "on_branch_timeout": Some("pass").filter(|_| chain.on_timeout == OnPanic::Bypass),
        });
        (chain.name.clone(), given(table))
    };
    Value::Object(config.chains.iter().map(describe).collect())
}

/// The table without what was not given.
fn given(value: Value) -> Value {
    match value {
        Value::Object(table) => {
            Value::Object(table.into_iter().filter(|(_, value)| !value.is_null()).collect())
        }
        other => other,
    }
}
