//! How long each NF takes for a packet: measured by a run, or given.

use engine::{ForkSnapshot, Snapshot};
use planning::graph::Costs;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Cycles per packet of NFs, by name; of a run's report also by chain, with what it cost there to run side by side.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Delays {
    by_name: BTreeMap<String, f64>,
    by_chain: BTreeMap<(String, String), f64>,
    costs: BTreeMap<String, Costs>,
}

/// Why a file gives no delays.
#[derive(Debug, thiserror::Error)]
pub enum DelaysError {
    /// It cannot be read.
    #[error("cannot read {0}: {1}")]
    Read(String, std::io::Error),
    /// It is not JSON.
    #[error("{0} is not JSON: {1}")]
    Json(String, serde_json::Error),
    /// It is something else.
    #[error("{0} is neither the report of `braid run --json` nor an object of names and cycles: {1}")]
    Shape(String, String),
}

impl Delays {
    /// Reads a file: the report of a run with `--json`, or `{"edge": 120, "watch": 85.5}`.
    ///
    /// # Errors
    /// A file that cannot be read, or that is neither.
    pub fn read(path: &Path) -> Result<Delays, DelaysError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| DelaysError::Read(name.clone(), error))?;
        let value = serde_json::from_str(&text).map_err(|error| DelaysError::Json(name.clone(), error))?;
        Delays::of(&value).map_err(|what| DelaysError::Shape(name, what))
    }

    fn of(value: &Value) -> Result<Delays, String> {
        let mut delays = Delays::default();
        let object = value.as_object().ok_or("it is no object")?;
        if object.get("chains").is_some_and(Value::is_object) {
            let snapshot: Snapshot =
                serde_json::from_value(value.clone()).map_err(|error| error.to_string())?;
            for (chain, nfs) in snapshot.chains {
                if let Some(costs) = nfs.fork.as_ref().and_then(measured_costs) {
                    delays.learn_costs(&chain, costs);
                }
                for (nf, seen) in nfs.nfs {
                    let Some(cycles) = seen.cycles_per_packet.filter(|cycles| is_delay(*cycles)) else {
                        continue;
                    };
                    delays.by_name.entry(nf.clone()).or_insert(cycles);
                    delays.by_chain.insert((chain.clone(), nf), cycles);
                }
            }
            return Ok(delays);
        }
        for (name, cycles) in object {
            match cycles.as_f64().filter(|cycles| is_delay(*cycles)) {
                Some(cycles) => drop(delays.by_name.insert(name.clone(), cycles)),
                None => return Err(format!("'{name}' is not a number of cycles")),
            }
        }
        Ok(delays)
    }

    /// What was measured of an NF in a chain counts from now on.
    pub fn learn(&mut self, chain: &str, nf: &str, cycles: f64) {
        if is_delay(cycles) {
            self.by_chain.insert((chain.to_owned(), nf.to_owned()), cycles);
        }
    }

    /// What it was measured to cost that NFs of a chain run side by side counts from now on.
    pub fn learn_costs(&mut self, chain: &str, costs: Costs) {
        self.costs.insert(chain.to_owned(), costs);
    }

    /// What it costs that NFs of a chain run side by side: as measured, else the usual estimates.
    pub fn costs(&self, chain: &str) -> Costs {
        self.costs.get(chain).copied().unwrap_or_default()
    }

    /// The same with what `newer` knows.
    pub fn with(mut self, newer: &Delays) -> Delays {
        let Delays { by_name, by_chain, costs } = newer.clone();
        self.by_name.extend(by_name);
        self.by_chain.extend(by_chain);
        self.costs.extend(costs);
        self
    }

    /// Cycles per packet of an NF in a chain, to the nearest whole one.
    pub fn of_nf(&self, chain: &str, nf: &str) -> Option<u64> {
        let in_chain = self.by_chain.get(&(chain.to_owned(), nf.to_owned()));
        in_chain.or_else(|| self.by_name.get(nf)).map(|cycles| cycles.round() as u64)
    }
}

/// Costs per packet and branch, of the forks that were measured; `None` if none were.
pub fn measured_costs(sums: &ForkSnapshot) -> Option<Costs> {
    let each = |cycles: u64, packets: u64| (packets > 0).then(|| (cycles + packets / 2) / packets);
    Some(Costs {
        mirror: each(sums.mirror, sums.copies)?,
        handoff: each(sums.handoff, sums.packets)?,
        merge: each(sums.merge, sums.copies)?,
    })
}

/// No more than a second even of a fast processor: sums stay far from where numbers end.
fn is_delay(cycles: f64) -> bool {
    (0.0..=1e10).contains(&cycles)
}
