//! Provisioning: which server runs which NF, so that as little traffic as can be crosses between servers (the thesis,
//! section 6.4.2).
//!
//! A [`Problem`] has servers with CPU, memory and delays between them, NFs with what one instance does and takes, and
//! chains with the rate that they are to carry. NF i needs N_i = ⌈T / pr_i⌉ instances (the thesis prints a floor, which
//! would not carry T). A [`Placement`] says how many of them run on each server, and which rates flow between servers;
//! its cost is Σ r·d.

mod exact;
mod greedy;
mod placement;
mod random;
mod rates;
#[cfg(test)]
mod tests;
pub mod throughput;

pub use placement::{Fault, Flow, Placement};

use crate::pagination::Effort;
use serde::Serialize;

/// A server.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Server {
    /// Its name.
    pub name: String,
    /// Cores that NFs may have.
    pub cpu: f64,
    /// Memory that NFs may have, in MB.
    pub memory: f64,
}

/// An NF, and what one instance of it does and takes.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Nf {
    /// Its name.
    pub name: String,
    /// pr_i: packets per second that one instance processes; infinite: any number.
    pub rate: f64,
    /// Cores.
    pub cpu: f64,
    /// Memory in MB.
    pub memory: f64,
    /// The servers that it may run on; `None`: all.
    pub on: Option<Vec<usize>>,
}

/// A chain, or the plan of one: NFs and which hands packets to which.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Chain {
    /// Its name.
    pub name: String,
    /// T_SFC: packets per second.
    pub rate: f64,
    /// Its NFs, each after those that it gets packets from.
    pub nfs: Vec<usize>,
    /// α: pairs of NFs of which the first hands packets to the second.
    pub pairs: Vec<(usize, usize)>,
}

impl Chain {
    /// A chain whose NFs follow each other.
    pub fn sequence(name: impl Into<String>, rate: f64, nfs: Vec<usize>) -> Chain {
        let pairs = nfs.windows(2).map(|pair| (pair[0], pair[1])).collect();
        Chain { name: name.into(), rate, nfs, pairs }
    }
}

/// What is to be placed, and where it could be.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Problem {
    /// The servers.
    pub servers: Vec<Server>,
    /// d: from server to server, in any unit; nothing within one.
    pub delay: Vec<Vec<f64>>,
    /// The NFs.
    pub nfs: Vec<Nf>,
    /// The chains.
    pub chains: Vec<Chain>,
}

/// Most instances of one NF.
const MOST_INSTANCES: f64 = 4096.0;

/// Why there is no placement.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum Unplaced {
    /// A number is no amount, or a name leads nowhere.
    #[error("{0}")]
    Malformed(String),
    /// No server has room for it.
    #[error("no server that it may run on has room for {nf}: it takes {cpu} cores and {memory} MB")]
    NoRoom {
        /// The NF.
        nf: String,
        /// Cores of one instance.
        cpu: f64,
        /// MB of one instance.
        memory: f64,
    },
    /// Proved by the integer program.
    #[error("the servers have not enough CPU and memory for all NFs together")]
    Impossible,
    /// No placement was found in time; there may be one.
    #[error("no placement was found in time")]
    OutOfTime,
    /// The solver's own failure.
    #[error("the solver failed: {0}")]
    Solver(String),
}

impl Problem {
    /// Checks numbers and places.
    ///
    /// # Errors
    /// [`Unplaced::Malformed`].
    pub fn check(&self) -> Result<(), Unplaced> {
        let refuse = |text: String| Err(Unplaced::Malformed(text));
        let amount = |value: f64| value.is_finite() && value >= 0.0;
        if self.servers.is_empty() {
            return refuse("there is no server".to_owned());
        }
        if let Some(server) = self.servers.iter().find(|s| !amount(s.cpu) || !amount(s.memory)) {
            return refuse(format!("server {}: CPU and memory are numbers from 0", server.name));
        }
        let square = self.delay.len() == self.servers.len()
            && self.delay.iter().all(|row| row.len() == self.servers.len());
        if !square || self.delay.iter().flatten().any(|delay| !amount(*delay)) {
            return refuse("there is no delay, from 0, for each pair of servers".to_owned());
        }
        if (0..self.servers.len()).any(|k| self.delay[k][k] != 0.0) {
            return refuse("there is no delay within a server".to_owned());
        }
        for nf in &self.nfs {
            let Nf { name, rate, cpu, memory, on } = nf;
            if rate.is_nan() || *rate <= 0.0 || !amount(*cpu) || !amount(*memory) {
                return refuse(format!("NF {name}: the rate is above 0, CPU and memory are from 0"));
            }
            if on.as_ref().is_some_and(|on| on.is_empty() || on.iter().any(|k| *k >= self.servers.len())) {
                return refuse(format!("NF {name} may run on no server that is there"));
            }
        }
        for chain in &self.chains {
            if !amount(chain.rate) || chain.rate <= 0.0 {
                return refuse(format!("chain {}: the rate is above 0", chain.name));
            }
            let place = |nf: usize| chain.nfs.iter().position(|other| *other == nf);
            let twice = chain.nfs.iter().enumerate().any(|(at, nf)| place(*nf) != Some(at));
            if twice || chain.nfs.iter().any(|nf| *nf >= self.nfs.len()) {
                return refuse(format!("chain {}: an NF is there twice, or not at all", chain.name));
            }
            let forward =
                |(a, b): &(usize, usize)| matches!((place(*a), place(*b)), (Some(a), Some(b)) if a < b);
            if !chain.pairs.iter().all(forward) {
                return refuse(format!("chain {}: a pair is not in its order", chain.name));
            }
        }
        for i in 0..self.nfs.len() {
            if self.load(i) / self.nfs[i].rate > MOST_INSTANCES {
                return refuse(format!(
                    "{} would need more than {MOST_INSTANCES} instances",
                    self.nfs[i].name
                ));
            }
        }
        Ok(())
    }

    /// Packets per second of all chains through an NF.
    pub fn load(&self, nf: usize) -> f64 {
        self.chains.iter().filter(|chain| chain.nfs.contains(&nf)).map(|chain| chain.rate).sum()
    }

    /// N_i = ⌈T / pr_i⌉; an NF of no chain has none.
    pub fn instances(&self, nf: usize) -> u32 {
        instances(self.load(nf), self.nfs[nf].rate).min(MOST_INSTANCES) as u32
    }

    /// Whether an NF may run on a server.
    pub fn allows(&self, nf: usize, server: usize) -> bool {
        self.nfs[nf].on.as_ref().is_none_or(|on| on.contains(&server))
    }
}

/// How many instances that process `rate` each carry `load`: a whole number.
pub fn instances(load: f64, rate: f64) -> f64 {
    // A quotient that is whole but for the last bits of its division needs no instance more.
    let needed = (load / rate - 1e-9).ceil();
    if load > 0.0 { needed.max(1.0) } else { 0.0 }
}

/// How a placement is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Solver {
    /// The integer program of the thesis (eqs 6.7–6.12).
    Exact,
    /// Its heuristic: the instances with the most traffic between them first, onto the server with the most room.
    Greedy,
    /// Instances anywhere, flows to any instance: what others are compared with.
    Random,
}

impl Solver {
    /// All of them.
    pub const ALL: [Solver; 3] = [Solver::Exact, Solver::Greedy, Solver::Random];

    /// As it is called on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Solver::Exact => "exact",
            Solver::Greedy => "greedy",
            Solver::Random => "random",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Solver> {
        Solver::ALL.into_iter().find(|solver| solver.name() == name)
    }

    /// Finds a placement. The exact one takes the greedy one if time runs out before it has a better one.
    ///
    /// # Errors
    /// Why there is none.
    pub fn solve(self, problem: &Problem, effort: Effort) -> Result<Placement, Unplaced> {
        problem.check()?;
        match self {
            Solver::Exact => exact::solve(problem, effort.time),
            Solver::Greedy => greedy::solve(problem),
            Solver::Random => random::solve(problem, effort.seed),
        }
    }
}
