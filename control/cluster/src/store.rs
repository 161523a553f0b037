//! What is kept in etcd, and under which keys.
//!
//! | key | holds | written by |
//! |---|---|---|
//! | `/braid/wanted` | what is wanted, as TOML | `braid cluster set` |
//! | `/braid/servers/NAME` | what a server has; goes with its lease | its agent |
//! | `/braid/reports/NAME` | what it runs; goes with its lease | its agent |
//! | `/braid/planner` | who plans; goes with its lease | the planner |
//! | `/braid/plan` | who runs what, and why | the planner |
//! | `/braid/parts/NAME` | a server's part, as TOML | the planner |
//! | `/braid/current` | the plan whose parts are all written: agents run none of a later one | the planner, last |
//! | `/braid/accepted` | the last of what was wanted that ran everywhere | the planner |
//! | `/braid/events/N` | the planner's last decisions | the planner |

use crate::cut::Hops;
use crate::etcd::{Entry, Etcd, EtcdError};
use crate::server::Server;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// All keys begin so.
pub const ROOT: &str = "/braid/";
/// What is wanted.
pub const WANTED: &str = "/braid/wanted";
/// Who plans.
pub const PLANNER: &str = "/braid/planner";
/// Who runs what.
pub const PLAN: &str = "/braid/plan";
/// The plan whose parts are all written.
pub const CURRENT: &str = "/braid/current";
/// What ran everywhere.
pub const ACCEPTED: &str = "/braid/accepted";
/// The planner's decisions; of so many the last ones are kept.
pub const EVENTS: &str = "/braid/events/";
/// How many.
pub const MOST_EVENTS: u64 = 100;

/// A server's own key.
pub fn server(name: &str) -> String {
    format!("{ROOT}servers/{name}")
}

/// The key of what it runs.
pub fn report(name: &str) -> String {
    format!("{ROOT}reports/{name}")
}

/// The key of its part.
pub fn part(name: &str) -> String {
    format!("{ROOT}parts/{name}")
}

/// Who runs what.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Plan {
    /// Counts plans.
    pub revision: u64,
    /// The revision of what was wanted.
    pub wanted: i64,
    /// It was refused by a server: what was accepted before runs on.
    pub refused: bool,
    /// The start of each server's agent that it was made for.
    pub servers: BTreeMap<String, String>,
    /// The server of each NF and port.
    pub place: BTreeMap<String, String>,
    /// The hops between servers.
    pub hops: Hops,
    /// Σ r·d, in packets per second times µs.
    pub cost: f64,
    /// No placement costs less.
    pub lower_bound: f64,
    /// Servers that refused their part, which get no NFs until they start anew or something else is wanted.
    pub unfit: BTreeMap<String, String>,
    /// Records that nobody here can read, and why, as they were told.
    pub unreadable: BTreeSet<String>,
    /// Why there is no plan for what is wanted on the servers that there are.
    pub complaint: Option<String>,
    /// Events so far.
    pub events: u64,
}

/// A server's part of a plan.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Part {
    /// The plan that gave it.
    pub revision: u64,
    /// NFs and chains, as TOML.
    pub config: String,
}

/// What a server runs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Of its part.
    pub revision: u64,
    /// Whether it runs that part; if not, what it ran before goes on.
    pub runs: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What ran everywhere.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Accepted {
    /// Its revision in the store.
    pub revision: i64,
    /// Its text.
    pub text: String,
}

/// A decision of the planner.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Nanoseconds since the Unix epoch.
    pub time: u64,
    /// What was decided, in snake case.
    pub name: String,
    /// Why, in words.
    pub detail: String,
}

/// Everything, as it was at one moment.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Snapshot {
    /// The store's revision.
    pub revision: i64,
    /// What is wanted, with the revision that wrote it.
    pub wanted: Option<(i64, String)>,
    /// What ran everywhere.
    pub accepted: Option<Accepted>,
    /// The servers that are there.
    pub servers: BTreeMap<String, Server>,
    /// What they run.
    pub reports: BTreeMap<String, Report>,
    /// What they are to run.
    pub parts: BTreeMap<String, Part>,
    /// Who runs what.
    pub plan: Plan,
    /// The plan whose parts are all written.
    pub current: u64,
    /// Who plans.
    pub planner: Option<Entry>,
    /// Decisions, by number.
    pub events: BTreeMap<String, Event>,
    /// Records of servers that are none of ours, such as those of an agent of another version: as good as not there.
    pub unreadable: BTreeSet<String>,
}

impl Snapshot {
    /// Reads all keys.
    ///
    /// # Errors
    /// As [`Etcd::get`], and a plan that is none of ours: who cannot read it must not write over it.
    pub fn read(etcd: &Etcd) -> Result<Snapshot, EtcdError> {
        let (revision, entries) = etcd.get(ROOT)?;
        Snapshot::of(revision, entries)
    }

    fn of(revision: i64, entries: Vec<Entry>) -> Result<Snapshot, EtcdError> {
        let mut all = Snapshot { revision, ..Snapshot::default() };
        for entry in entries {
            let Some(key) = entry.key.strip_prefix(ROOT) else { continue };
            let unreadable = &mut all.unreadable;
            match key.split_once('/') {
                Some(("servers", name)) => collect(&mut all.servers, name, &entry, unreadable),
                Some(("reports", name)) => collect(&mut all.reports, name, &entry, unreadable),
                Some(("parts", name)) => collect(&mut all.parts, name, &entry, unreadable),
                Some(("events", number)) => collect(&mut all.events, number, &entry, unreadable),
                Some(_) => {}
                None => match key {
                    "wanted" => all.wanted = Some((entry.modified, entry.value)),
                    "plan" => all.plan = parse(&entry)?,
                    "current" => all.current = parse(&entry)?,
                    "accepted" => all.accepted = Some(parse(&entry)?),
                    "planner" => all.planner = Some(entry),
                    _ => {}
                },
            }
        }
        Ok(all)
    }
}

fn collect<T: DeserializeOwned>(
    records: &mut BTreeMap<String, T>,
    name: &str,
    entry: &Entry,
    unreadable: &mut BTreeSet<String>,
) {
    match parse(entry) {
        Ok(record) => drop(records.insert(name.to_owned(), record)),
        Err(error) => drop(unreadable.insert(error.to_string())),
    }
}

/// The record in a value.
///
/// # Errors
/// It is another one.
pub fn parse<T: DeserializeOwned>(entry: &Entry) -> Result<T, EtcdError> {
    serde_json::from_str(&entry.value).map_err(|error| EtcdError::Garbled(format!("{}: {error}", entry.key)))
}

/// A record as a value.
pub fn text<T: Serialize>(record: &T) -> String {
    // Of strings, numbers and tables by strings: nothing in them that JSON could not say.
    serde_json::to_string(record).unwrap_or_default()
}

#[cfg(test)]
mod tests;
