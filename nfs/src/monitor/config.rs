//! What a user says of a monitor, and what is made of it.

use super::assets::{Assets, AssetsConfig, Signatures};
use super::ipfix::{Exporter, Ipfix, Target};
use super::sketch::Sketches;
use super::spool::Spool;
use super::watch::Exits;
use crate::Span;
use crate::outlet::{Outlet, Writer};
use engine::{ConfigError, Site, WorkerSite};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
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
    /// How long a flow may last before it is reported and counted from zero; left out: for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_timeout: Option<Span>,
    /// A file that gets one line of JSON for each flow at the end of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flows: Option<String>,
    /// A collector that gets a record of each flow that ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipfix: Option<Ipfix>,
    /// Counts different addresses, services and flows, and ranks hosts and services by bytes, in fixed memory.
    pub sketches: bool,
    /// Finds out which hosts there are and what runs on them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assets: Option<AssetsConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            capacity: 65_536,
            idle_timeout: None,
            active_timeout: None,
            flows: None,
            ipfix: None,
            sketches: false,
            assets: None,
        }
    }
}

/// Capacities up to this: 16 million flows take about 2 GB for IPv4 and 4 GB for IPv6.
const MOST: usize = 1 << 24;

/// A configuration that was checked.
pub struct Plan {
    pub(super) capacity: usize,
    pub(super) idle_nanos: Option<u64>,
    active_nanos: Option<u64>,
    /// The file for flows.
    pub(super) flows: Option<PathBuf>,
    /// Where ended flows wait for the end of the run: the plan's own place first, then those of the plans that it
    /// took over from.
    spools: Mutex<Vec<Arc<Writer<Spool>>>>,
    /// The way to the collector, and reports that did not get there.
    pub(super) collector: Option<(Arc<Writer<Exporter>>, Arc<AtomicU64>)>,
    sketches: bool,
    pub(super) signatures: Option<Arc<Signatures>>,
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
        let active_nanos = config.active_timeout.map(Span::as_nanos);
        if active_nanos == Some(0) {
            let help = "write \"30m\", or leave it out to report flows when they end";
            return Err(ConfigError::at("active_timeout", "flows that end at once are none").help(help));
        }
        let flows = config.flows.as_ref().map(|written| site.path(written));
        if let Some(file) = &flows {
            check_file("flows", file)?;
        }
        let target = config.ipfix.as_ref().map(|ipfix| Target::new(ipfix, site)).transpose()?;
        let signatures = config.assets.as_ref().map(|assets| Signatures::read(assets, site)).transpose()?;
        let spools = flows.iter().map(|file| Spool::beside(file)).collect();
        Ok(Plan {
            capacity: config.capacity,
            idle_nanos,
            active_nanos,
            flows,
            spools: Mutex::new(spools),
            collector: target.as_ref().map(Exporter::writer),
            sketches: config.sketches,
            signatures: signatures.map(Arc::new),
        })
    }

    /// What an instance does with flows besides keeping account of them.
    pub(super) fn exits(&self, worker: &WorkerSite) -> Exits {
        let spools = self.spools.lock().unwrap_or_else(PoisonError::into_inner);
        Exits {
            report: spools.first().map_or_else(Outlet::nowhere, |spool| spool.outlet()),
            collector: self.collector.as_ref().map(|(writer, _)| writer.outlet()),
            worker: worker.index as u32,
            sketches: self.sketches.then(|| Box::new(Sketches::new())),
            assets: self.signatures.as_ref().map(|signatures| Box::new(Assets::new(signatures, worker.seed))),
            active_nanos: self.active_nanos,
        }
    }

    /// Whether assets are looked for.
    pub(super) fn finds_assets(&self) -> bool {
        self.signatures.is_some()
    }

    /// Reports that did not get to the collector and that nobody has counted yet.
    pub(super) fn unsent(&self) -> u64 {
        let unsent = self.collector.as_ref().map(|(_, unsent)| unsent);
        unsent
            .filter(|unsent| unsent.load(Ordering::Relaxed) > 0)
            .map_or(0, |unsent| unsent.swap(0, Ordering::Relaxed))
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

/// Whether a file can be made there, without making it: a plan may be made for a look only. `key` is what names it.
pub(super) fn check_file(key: &str, file: &Path) -> Result<(), ConfigError> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    if folder.is_some_and(|folder| !folder.is_dir()) {
        let message = format!("the folder of {} does not exist", file.display());
        return Err(
            ConfigError::at(key, message).help("make the folder, or name a file in one that is there")
        );
    }
    if file.is_dir() {
        let message = format!("{} is a folder", file.display());
        return Err(ConfigError::at(key, message).help("name a file"));
    }
    if file.is_file()
        && let Err(error) = std::fs::OpenOptions::new().append(true).open(file)
    {
        let message = format!("{} cannot be written: {error}", file.display());
        return Err(ConfigError::at(key, message).help("remove it, or name another file"));
    }
    Ok(())
}
