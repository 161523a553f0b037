//! State that can leave its instance: versioned records, selected by header fields, exported by cursor.

use crate::time::Time;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wire::Prefix;

/// How many records one page may hold, so that an export never keeps a worker from its packets for long.
pub const PAGE: usize = 256;

/// One piece of state, as it is exported, stored and imported.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// What the record is: `flow`, `mac`, … within its NF.
    pub kind: String,
    /// Version of the value's shape; an importer reads its own and every older one.
    pub version: u32,
    /// What the state is for.
    pub role: Role,
    /// Whose state it is.
    pub scope: Scope,
    /// What identifies it among the records of its kind; orders a canonical export.
    pub key: Value,
    /// The state itself.
    pub value: Value,
}

impl Record {
    /// Whether every worker's instance has it, or one like it: packets depend on it, and it is no flow's.
    pub(crate) fn is_replica(&self) -> bool {
        self.scope == Scope::Shared && self.role != Role::Reporting
    }
}

/// What a piece of state is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Set by an operator or a controller.
    Configuring,
    /// Learned from packets and used on later ones.
    Supporting,
    /// Gathered for reports.
    Reporting,
}

/// Whose state a record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// One flow's.
    Flow,
    /// The instance's as a whole.
    Shared,
}

/// Which records an export wants. Every part that is given must hold.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Selector {
    /// Only records of this kind.
    pub kind: Option<String>,
    /// Only flows with this address, or an address in this prefix, on either side.
    #[serde(with = "prefix_text")]
    pub address: Option<Prefix>,
    /// Only flows with this port on either side.
    pub port: Option<u16>,
    /// Only flows of this IP protocol.
    pub protocol: Option<u8>,
    /// Only records that changed at or after this time (nanoseconds since the epoch): what an earlier export
    /// missed.
    pub since: Option<u64>,
    /// Only records of this scope. The engine asks by it for what is no flow's, where there may be a million flows: an
    /// NF that heeds it saves itself the work.
    #[serde(skip)]
    pub scope: Option<Scope>,
}

impl Selector {
    /// Whether a record that last changed at `changed` is wanted.
    pub fn wants_time(&self, changed: Time) -> bool {
        self.since.is_none_or(|since| changed.as_nanos() >= since)
    }

    /// Whether records of this scope are wanted.
    pub fn wants_scope(&self, scope: Scope) -> bool {
        self.scope.is_none_or(|wanted| wanted == scope)
    }

    /// Whether records of `kind` are wanted.
    pub fn wants_kind(&self, kind: &str) -> bool {
        self.kind.as_deref().is_none_or(|wanted| wanted == kind)
    }
}

/// Where an export goes on; its meaning belongs to the NF.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cursor(pub u64);

/// The state of an NF that has some.
pub trait State {
    /// Appends at most [`PAGE`] selected records from `cursor` on. Returns where to go on, `None` at the end.
    /// Records that stay during an export are exported exactly once.
    fn export(&self, cursor: Cursor, selector: &Selector, out: &mut Vec<Record>) -> Option<Cursor>;

    /// Takes records in. All of them or, with an error, none.
    fn import(&mut self, records: &[Record]) -> Result<(), StateError>;

    /// Whether [`State::import`] would take the records now. Where there are several workers, all are asked before
    /// any is given its share, so that an import that one of them has no room for changes nothing on the others. An
    /// NF whose tables can be full says so here too.
    fn admits(&self, _records: &[Record]) -> Result<(), StateError> {
        Ok(())
    }
}

/// Why records were not taken.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum StateError {
    /// The NF keeps no state.
    #[error("the NF keeps no state")]
    Unsupported,
    /// No such kind of record in this NF.
    #[error("unknown record kind '{0}'")]
    UnknownKind(String),
    /// Written by a newer program.
    #[error("record '{kind}' has version {found}, newer than {known}, the newest that is known")]
    TooNew {
        /// Kind of the record.
        kind: String,
        /// Its version.
        found: u32,
        /// The newest version that is understood.
        known: u32,
    },
    /// The key or the value does not have the shape of its kind.
    #[error("record '{kind}' is malformed: {message}")]
    Malformed {
        /// Kind of the record.
        kind: String,
        /// What is wrong with it.
        message: String,
    },
    /// No room for all of them.
    #[error("{needed} records do not fit into a table of {capacity}")]
    Full {
        /// How many entries the table would need.
        needed: usize,
        /// How many it has.
        capacity: usize,
    },
}

/// A prefix as text: `10.0.0.0/8`.
mod prefix_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use wire::Prefix;

    pub(super) fn serialize<S: Serializer>(prefix: &Option<Prefix>, to: S) -> Result<S::Ok, S::Error> {
        match prefix {
            Some(prefix) => to.collect_str(prefix),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Prefix>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}
