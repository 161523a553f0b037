//! What a user says of a monitor, and what is made of it.

use super::record::Ended;
use super::spool::Spool;
use crate::Span;
use crate::outlet::{Outlet, Writer};
use engine::{ConfigError, Site};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Configuration of [`super::Monitor`].
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How many flows each worker keeps at a time, for IPv4 and for IPv6 each. One more takes the place of one
    /// that was quiet for long.
    pub capacity: usize,
    /// How long a flow may be quiet before it ends; left out: until its place is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<Span>,
    /// A file that gets one line of JSON for each flow at the end of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flows: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Config { capacity: 65_536, idle_timeout: None, flows: None }
    }
}

/// Capacities up to this: 16 million flows take about 2 GB for IPv4 and 4 GB for IPv6.
const MOST: usize = 1 << 24;

/// A configuration that was checked.
pub struct Plan {
    pub(super) capacity: usize,
    pub(super) idle_nanos: Option<u64>,
    /// The file for flows.
    pub(super) flows: Option<PathBuf>,
    /// Where ended flows wait for the end of the run: the plan's own place first, then those of the plans that it
    /// took over from.
    spools: Mutex<Vec<Arc<Writer<Spool>>>>,
}

impl Plan {
    pub(super) fn new(config: &Config, site: &Site) -> Result<Plan, ConfigError> {
        if config.capacity == 0 || config.capacity > MOST {
            let message = format!("a capacity of {} flows is not possible", config.capacity);
            return Err(ConfigError::at("capacity", message).help(format!("a number from 1 to {MOST}")));
        }
        let idle_nanos = config.idle_timeout.map(Span::as_nanos);
        if idle_nanos == Some(0) {
            let help = "write \"60s\", or leave it out to keep flows until their place is needed";
            return Err(ConfigError::at("idle_timeout", "flows that end at once are none").help(help));
        }
        let flows = config.flows.as_ref().map(|written| site.path(written));
        if let Some(file) = &flows {
            check(file)?;
        }
        let spools = flows.iter().map(|file| Spool::beside(file)).collect();
        Ok(Plan { capacity: config.capacity, idle_nanos, flows, spools: Mutex::new(spools) })
    }

    /// Where an instance puts its ended flows.
    pub(super) fn outlet(&self) -> Outlet<Ended> {
        let spools = self.spools.lock().unwrap_or_else(PoisonError::into_inner);
        spools.first().map_or_else(Outlet::nowhere, |spool| spool.outlet())
    }

    /// The ended flows that a former plan keeps are this one's from now on.
    pub(super) fn inherit(&self, old: &Plan) {
        if self.flows.is_none() || std::ptr::eq(self, old) {
            return;
        }
        let theirs = old.spools.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut ours = self.spools.lock().unwrap_or_else(PoisonError::into_inner);
        ours.retain(|spool| !spool.is_spent());
        for spool in theirs {
            if !spool.is_spent() && !ours.iter().any(|known| Arc::ptr_eq(known, &spool)) {
                ours.push(spool);
            }
        }
    }

    pub(super) fn spools(&self) -> Vec<Arc<Writer<Spool>>> {
        self.spools.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Whether a file can be made there, without making it: a plan may be made for a look only.
fn check(file: &std::path::Path) -> Result<(), ConfigError> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    if folder.is_some_and(|folder| !folder.is_dir()) {
        let message = format!("the folder of {} does not exist", file.display());
        return Err(
            ConfigError::at("flows", message).help("make the folder, or name a file in one that is there")
        );
    }
    if file.is_dir() {
        let message = format!("{} is a folder", file.display());
        return Err(ConfigError::at("flows", message).help("name a file"));
    }
    if file.is_file()
        && let Err(error) = std::fs::OpenOptions::new().append(true).open(file)
    {
        let message = format!("{} cannot be written: {error}", file.display());
        return Err(ConfigError::at("flows", message).help("remove it, or name another file"));
    }
    Ok(())
}
