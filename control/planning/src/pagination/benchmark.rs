//! The files of the benchmark of Grange, Kacem and Martin (github.com/pagination-problem/pagination).

use super::{Instance, InstanceError, Symbols};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};

/// One instance of a file, with what the file knows of its solutions.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The instance; symbols are numbered anew from 0 in the order of their names.
    pub instance: Instance,
    /// The best known number of pages.
    pub best_known: Option<usize>,
    /// The optimum, where CPLEX found it.
    pub optimum: Option<usize>,
    /// The pages that each of the benchmark's own solvers found.
    pub solvers: BTreeMap<String, usize>,
}

/// Why a file is no benchmark.
#[derive(Debug, thiserror::Error)]
pub enum BenchmarkError {
    /// It is not JSON of the right shape.
    #[error("no benchmark file: {0}")]
    Json(#[from] serde_json::Error),
    /// An instance makes no sense.
    #[error("instance {number}: {error}")]
    Instance {
        /// Its number in the file, from 0.
        number: usize,
        /// What is wrong with it.
        error: InstanceError,
    },
}

#[derive(Deserialize)]
struct Record {
    capacity: u64,
    tiles: Vec<Vec<i64>>,
    #[serde(default, rename = "pageCount")]
    page_count: Option<usize>,
    #[serde(default, rename = "cplexOpt")]
    cplex_opt: Option<f64>,
    #[serde(default)]
    solvers: BTreeMap<String, usize>,
}

/// Reads a file: an array of instances.
///
/// # Errors
/// Text that is no such array; an instance that has no solution or is too large.
pub fn read(text: &str) -> Result<Vec<Problem>, BenchmarkError> {
    let records: Vec<Record> = serde_json::from_str(text)?;
    let problem = |(number, record): (usize, Record)| {
        let failed = |error| BenchmarkError::Instance { number, error };
        let mut names: Vec<i64> = record.tiles.iter().flatten().copied().collect();
        names.sort_unstable();
        names.dedup();
        if names.len() > Symbols::LIMIT {
            return Err(failed(InstanceError::Symbols(names.len())));
        }
        let numbers: HashMap<i64, usize> = names.iter().enumerate().map(|(n, name)| (*name, n)).collect();
        let tiles: Vec<Vec<usize>> =
            record.tiles.iter().map(|tile| tile.iter().map(|name| numbers[name]).collect()).collect();
        Ok(Problem {
            instance: Instance::new(record.capacity, vec![1; names.len()], &tiles).map_err(failed)?,
            best_known: record.page_count,
            optimum: record.cplex_opt.map(|pages| pages.round() as usize),
            solvers: record.solvers,
        })
    };
    records.into_iter().enumerate().map(problem).collect()
}
