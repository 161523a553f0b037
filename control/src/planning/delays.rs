//! How long each NF takes for a packet: measured by a run, or given.

use engine::Snapshot;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Cycles per packet of NFs, by name; of a run's report also by chain.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Delays {
    by_name: BTreeMap<String, f64>,
    by_chain: BTreeMap<(String, String), f64>,
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

    /// Cycles per packet of an NF in a chain, to the nearest whole one.
    pub fn of_nf(&self, chain: &str, nf: &str) -> Option<u64> {
        let in_chain = self.by_chain.get(&(chain.to_owned(), nf.to_owned()));
        in_chain.or_else(|| self.by_name.get(nf)).map(|cycles| cycles.round() as u64)
    }
}

/// No more than a second even of a fast processor: sums stay far from where numbers end.
fn is_delay(cycles: f64) -> bool {
    (0.0..=1e10).contains(&cycles)
}
