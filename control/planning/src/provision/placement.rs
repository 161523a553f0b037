//! A placement, and whether it is one.

use super::Problem;
use serde::Serialize;

/// Where instances run, and what flows between them.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Placement {
    /// Instances of each NF on each server: `at[nf][server]`.
    pub at: Vec<Vec<u32>>,
    /// Rates between NFs, by servers. Those within a server are there too.
    pub flows: Vec<Flow>,
    /// Σ r·d (eq. 6.7), in packets per second times the unit of delay.
    pub cost: f64,
    /// No placement costs less than this.
    pub lower_bound: f64,
    /// Whether time ran out before `cost` was proved to be least.
    pub out_of_time: bool,
}

/// What the instances of an NF on one server send to those of the next one on another, or on the same.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Flow {
    /// The chain's number.
    pub chain: usize,
    /// The pair of NFs.
    pub pair: (usize, usize),
    /// The pair of servers.
    pub servers: (usize, usize),
    /// Packets per second.
    pub rate: f64,
}

/// What is wrong with a placement.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum Fault {
    /// Eq. 6.8.
    #[error("NF {0} has {1} instances and not {2}")]
    Instances(usize, u32, u32),
    /// An NF where it may not be.
    #[error("NF {0} is on server {1}")]
    Place(usize, usize),
    /// Eq. 6.9.
    #[error("server {0} has not that much CPU")]
    Cpu(usize),
    /// Eq. 6.10.
    #[error("server {0} has not that much memory")]
    Memory(usize),
    /// Eq. 6.11.
    #[error("chain {0} does not carry its rate between NFs {1:?}")]
    Rate(usize, (usize, usize)),
    /// What comes to the instances is not what leaves them.
    #[error("chain {0}: what comes to NF {1} on server {2} is not what leaves it")]
    Conservation(usize, usize, usize),
    /// Eq. 6.12, over all pairs of an instance: Σ inflow ≤ pr.
    #[error("the instances of NF {0} on server {1} get more than they can process")]
    Inflow(usize, usize),
    /// The sum.
    #[error("the cost is not that of the flows")]
    Cost,
}

impl Placement {
    pub(super) fn new(problem: &Problem, at: Vec<Vec<u32>>, flows: Vec<Flow>) -> Placement {
        let cost = cost(problem, &flows);
        Placement { at, flows, cost, lower_bound: 0.0, out_of_time: false }
    }

    /// Share of the cost that may be too much: 0 where it is proved to be least.
    pub fn gap(&self) -> f64 {
        if self.cost <= self.lower_bound { 0.0 } else { (self.cost - self.lower_bound) / self.cost }
    }

    /// Packets per second that cross between servers.
    pub fn crossing(&self) -> f64 {
        self.flows.iter().filter(|flow| flow.servers.0 != flow.servers.1).map(|flow| flow.rate).sum()
    }

    /// Checks eqs 6.8 to 6.12.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self, problem: &Problem) -> Result<(), Fault> {
        let servers = problem.servers.len();
        for (i, at) in self.at.iter().enumerate() {
            let (there, wanted) = (at.iter().sum(), problem.instances(i));
            if there != wanted {
                return Err(Fault::Instances(i, there, wanted));
            }
            if let Some(k) = (0..servers).find(|&k| at[k] > 0 && !problem.allows(i, k)) {
                return Err(Fault::Place(i, k));
            }
        }
        let most = |value: f64| value * (1.0 + 1e-6) + 1e-6;
        for (k, server) in problem.servers.iter().enumerate() {
            let taken = |of: fn(&super::Nf) -> f64| -> f64 {
                problem.nfs.iter().zip(&self.at).map(|(nf, at)| of(nf) * f64::from(at[k])).sum()
            };
            if taken(|nf| nf.cpu) > most(server.cpu) {
                return Err(Fault::Cpu(k));
            }
            if taken(|nf| nf.memory) > most(server.memory) {
                return Err(Fault::Memory(k));
            }
        }
        for i in 0..problem.nfs.len() {
            for k in 0..servers {
                let loads = (0..problem.chains.len()).map(|c| self.processed(problem, c, i, k));
                let load: f64 = loads.collect::<Result<Vec<f64>, Fault>>()?.into_iter().sum();
                let room = problem.nfs[i].rate * f64::from(self.at[i][k]);
                if self.at[i][k] == 0 && load > 1e-6 * problem.load(i) || load > most(room) {
                    return Err(Fault::Inflow(i, k));
                }
            }
        }
        for (c, chain) in problem.chains.iter().enumerate() {
            for &pair in &chain.pairs {
                let carried: f64 =
                    self.flows.iter().filter(|f| f.chain == c && f.pair == pair).map(|f| f.rate).sum();
                if (carried - chain.rate).abs() > 1e-6 * chain.rate {
                    return Err(Fault::Rate(c, pair));
                }
            }
        }
        let off = (self.cost - cost(problem, &self.flows)).abs();
        if off > 1e-6 * self.cost.max(1.0) { Err(Fault::Cost) } else { Ok(()) }
    }

    /// What a chain has processed by the instances of an NF on a server. Every pair says the same.
    fn processed(&self, problem: &Problem, c: usize, i: usize, k: usize) -> Result<f64, Fault> {
        let chain = &problem.chains[c];
        let mut known: Option<f64> = None;
        for &pair in chain.pairs.iter().filter(|pair| pair.0 == i || pair.1 == i) {
            let ours = |flow: &&Flow| {
                let at = if pair.0 == i { flow.servers.0 } else { flow.servers.1 };
                flow.chain == c && flow.pair == pair && at == k
            };
            let rate: f64 = self.flows.iter().filter(ours).map(|flow| flow.rate).sum();
            match known {
                Some(other) if (other - rate).abs() > 1e-6 * chain.rate => {
                    return Err(Fault::Conservation(c, i, k));
                }
                _ => known = Some(rate),
            }
        }
        Ok(known.unwrap_or(0.0))
    }
}

fn cost(problem: &Problem, flows: &[Flow]) -> f64 {
    flows.iter().map(|flow| flow.rate * problem.delay[flow.servers.0][flow.servers.1]).sum()
}
