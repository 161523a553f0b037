//! What simulated servers carry: where instances stand is given, flows are spread over them, and something is full first.
//!
//! A flow takes one instance of each NF of its chain. Per packet it takes bits of the links in and out of every server
//! that it visits, cycles of the server's cores, and a share of each instance's core. From one server to the next it is
//! in a tunnel, which costs bits and cycles too. Nothing else is in the model: no latency, no loss, no bursts.

mod spread;

use crate::pagination::Random;
use serde::{Deserialize, Serialize};

/// Capacities of one server, and what packets cost there.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capacities {
    /// Bits per second of its links together, in either direction.
    pub link: f64,
    /// Cycles per second of the cores that move packets and run NFs.
    pub cycles: f64,
    /// Cycles per second that one instance can have: those of one core.
    pub core: f64,
    /// Bits of a packet on the wire.
    pub frame: f64,
    /// Bits more in a tunnel.
    pub tunnel: f64,
    /// Cycles to receive a packet and send it on.
    pub port: f64,
    /// Cycles to put it into a tunnel.
    pub encap: f64,
    /// Cycles to take it out.
    pub decap: f64,
}

/// Servers that are alike, instances on them, and chains of NFs.
#[derive(Clone, PartialEq, Debug)]
pub struct Network {
    /// How many servers.
    pub servers: usize,
    /// What each can do.
    pub capacities: Capacities,
    /// Cycles per packet of each NF.
    pub nfs: Vec<f64>,
    /// The NF of each instance, and its server.
    pub instances: Vec<(usize, usize)>,
    /// NFs of each chain, in order.
    pub chains: Vec<Vec<usize>>,
}

/// A flow: its chain, and an instance of each NF of it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Path {
    /// The chain.
    pub chain: usize,
    /// Places in [`Network::instances`].
    pub instances: Vec<usize>,
}

/// What flows come to.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Carried {
    /// Packets per second of all flows, none of which can have more without another having less that has no more
    /// (max-min fair).
    pub fair: f64,
    /// Packets per second of all flows when each has what the worst off can have.
    pub equal: f64,
}

/// Shares of resources that one packet per second takes: the resource, and how much of it.
type Usage = Vec<(usize, f64)>;

impl Network {
    /// Three resources of each server (link in, link out, cycles), and a core of each instance.
    fn resources(&self) -> usize {
        3 * self.servers + self.instances.len()
    }

    fn process(&self, instance: usize, usage: &mut Usage) {
        let (nf, server) = self.instances[instance];
        usage.push((3 * server + 2, self.nfs[nf] / self.capacities.cycles));
        usage.push((3 * self.servers + instance, self.nfs[nf] / self.capacities.core));
    }

    /// Into the first instance, from outside.
    fn enter(&self, instance: usize) -> Usage {
        let Capacities { link, cycles, frame, port, .. } = self.capacities;
        let server = self.instances[instance].1;
        let mut usage = vec![(3 * server, frame / link), (3 * server + 2, port / cycles)];
        self.process(instance, &mut usage);
        usage
    }

    /// From one instance to the next.
    fn step(&self, from: usize, to: usize) -> Usage {
        let Capacities { link, cycles, frame, tunnel, port, encap, decap, .. } = self.capacities;
        let (a, b) = (self.instances[from].1, self.instances[to].1);
        let mut usage = Usage::new();
        if a != b {
            usage.push((3 * a + 1, (frame + tunnel) / link));
            usage.push((3 * a + 2, encap / cycles));
            usage.push((3 * b, (frame + tunnel) / link));
            usage.push((3 * b + 2, (port + decap) / cycles));
        }
        self.process(to, &mut usage);
        usage
    }

    /// From the last instance to the outside.
    fn leave(&self, instance: usize) -> Usage {
        vec![(3 * self.instances[instance].1 + 1, self.capacities.frame / self.capacities.link)]
    }

    fn usage(&self, path: &Path) -> Vec<f64> {
        let mut all = vec![0.0; self.resources()];
        let mut add = |usage: Usage| usage.into_iter().for_each(|(resource, share)| all[resource] += share);
        if let (Some(first), Some(last)) = (path.instances.first(), path.instances.last()) {
            add(self.enter(*first));
            path.instances.windows(2).for_each(|pair| add(self.step(pair[0], pair[1])));
            add(self.leave(*last));
        }
        all
    }

    fn of(&self, nf: usize) -> Vec<usize> {
        (0..self.instances.len()).filter(|instance| self.instances[*instance].0 == nf).collect()
    }

    /// Each flow takes any instance of each NF.
    pub fn random(&self, flows: usize, seed: u64) -> Vec<Path> {
        let mut random = Random::new(seed);
        self.each(flows, |nf, _| {
            let all = self.of(nf);
            all[random.below(all.len())]
        })
    }

    /// Each flow goes to another server for each NF, wherever there is one.
    pub fn worst(&self, flows: usize, seed: u64) -> Vec<Path> {
        let mut random = Random::new(seed);
        self.each(flows, |nf, before| {
            let all = self.of(nf);
            let here = before.map(|before: usize| self.instances[before].1);
            let away: Vec<usize> =
                all.iter().copied().filter(|i| Some(self.instances[*i].1) != here).collect();
            let choice = if away.is_empty() { all } else { away };
            choice[random.below(choice.len())]
        })
    }

    fn each(&self, flows: usize, mut choose: impl FnMut(usize, Option<usize>) -> usize) -> Vec<Path> {
        let mut paths = Vec::with_capacity(flows * self.chains.len());
        for (chain, nfs) in self.chains.iter().enumerate() {
            for _ in 0..flows {
                let mut instances: Vec<usize> = Vec::with_capacity(nfs.len());
                for nf in nfs {
                    let next = choose(*nf, instances.last().copied());
                    instances.push(next);
                }
                paths.push(Path { chain, instances });
            }
        }
        paths
    }

    /// What these flows come to.
    pub fn carried(&self, paths: &[Path]) -> Carried {
        let usages: Vec<Vec<f64>> = paths.iter().map(|path| self.usage(path)).collect();
        let mut room = vec![1.0; self.resources()];
        let mut rates = vec![0.0; paths.len()];
        let mut growing: Vec<usize> = (0..paths.len()).collect();
        let mut equal = 0.0;
        // All that can still grow grow alike until something is full; who needs that grows no more.
        while !growing.is_empty() {
            let demand: Vec<f64> =
                (0..room.len()).map(|r| growing.iter().map(|flow| usages[*flow][r]).sum()).collect();
            let lasts = |r: usize| if demand[r] > 0.0 { room[r] / demand[r] } else { f64::INFINITY };
            let step = (0..room.len()).map(lasts).fold(f64::INFINITY, f64::min);
            if !step.is_finite() {
                break;
            }
            growing.iter().for_each(|flow| rates[*flow] += step);
            let full: Vec<usize> = (0..room.len()).filter(|&r| lasts(r) <= step * (1.0 + 1e-9)).collect();
            (0..room.len()).for_each(|r| room[r] = (room[r] - step * demand[r]).max(0.0));
            if equal == 0.0 {
                equal = step * paths.len() as f64;
            }
            growing.retain(|flow| full.iter().all(|r| usages[*flow][*r] == 0.0));
        }
        Carried { fair: rates.iter().sum(), equal }
    }
}
