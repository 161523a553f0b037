//! The thesis' heuristic: the pair of instances with the most traffic between them goes first, onto the server with the
//! most free CPU and memory.

use super::rates::{self, Instance};
use super::{Placement, Problem, Unplaced};
use std::collections::HashMap;

/// What is left of the servers, and where instances have gone.
pub(super) struct Room<'a> {
    problem: &'a Problem,
    cpu: Vec<f64>,
    memory: Vec<f64>,
    pub placed: HashMap<Instance, usize>,
}

impl<'a> Room<'a> {
    pub(super) fn new(problem: &'a Problem) -> Self {
        let cpu = problem.servers.iter().map(|server| server.cpu).collect();
        let memory = problem.servers.iter().map(|server| server.memory).collect();
        Room { problem, cpu, memory, placed: HashMap::new() }
    }

    /// Whether these instances, all of them, may go there.
    pub(super) fn fits(&self, nfs: &[usize], server: usize) -> bool {
        let sum =
            |of: fn(&super::Nf) -> f64| -> f64 { nfs.iter().map(|nf| of(&self.problem.nfs[*nf])).sum() };
        nfs.iter().all(|nf| self.problem.allows(*nf, server))
            && sum(|nf| nf.cpu) <= self.cpu[server] + 1e-9
            && sum(|nf| nf.memory) <= self.memory[server] + 1e-9
    }

    /// The server with the most room: as a share of the largest, of what it has less of.
    fn roomiest(&self, nfs: &[usize]) -> Option<usize> {
        let largest = |all: &[f64]| all.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let servers = &self.problem.servers;
        let cpu = largest(&servers.iter().map(|server| server.cpu).collect::<Vec<_>>());
        let memory = largest(&servers.iter().map(|server| server.memory).collect::<Vec<_>>());
        let room = |k: usize| (self.cpu[k] / cpu).min(self.memory[k] / memory);
        // Of servers with the same room the first.
        (0..servers.len()).rev().filter(|&k| self.fits(nfs, k)).max_by(|&a, &b| room(a).total_cmp(&room(b)))
    }

    pub(super) fn put(&mut self, instance: Instance, server: usize) {
        let nf = &self.problem.nfs[instance.0];
        self.cpu[server] -= nf.cpu;
        self.memory[server] -= nf.memory;
        self.placed.insert(instance, server);
    }

    pub(super) fn full(&self, nf: usize) -> Unplaced {
        let nf = &self.problem.nfs[nf];
        Unplaced::NoRoom { nf: nf.name.clone(), cpu: nf.cpu, memory: nf.memory }
    }

    /// Puts an instance beside another if there is room, else where there is most.
    fn put_beside(&mut self, instance: Instance, server: Option<usize>) -> Result<(), Unplaced> {
        let nf = instance.0;
        let server = server.filter(|&k| self.fits(&[nf], k)).or_else(|| self.roomiest(&[nf]));
        self.put(instance, server.ok_or_else(|| self.full(nf))?);
        Ok(())
    }
}

pub(super) fn solve(problem: &Problem) -> Result<Placement, Unplaced> {
    let mut room = Room::new(problem);
    let all = || (0..problem.nfs.len()).flat_map(|i| (0..problem.instances(i)).map(move |j| (i, j)));
    // Where there is no choice, nobody else may take the room.
    for instance in all() {
        if let Some([server]) = problem.nfs[instance.0].on.as_deref() {
            if !room.fits(&[instance.0], *server) {
                return Err(room.full(instance.0));
            }
            room.put(instance, *server);
        }
    }
    let mut rates = rates::filled(problem);
    let flows = rates.clone();
    rates.sort_by(|a, b| b.rate.total_cmp(&a.rate));
    for rate in rates {
        let (a, b) = (rate.from, rate.to);
        match (room.placed.get(&a).copied(), room.placed.get(&b).copied()) {
            (Some(_), Some(_)) => {}
            (Some(server), None) => room.put_beside(b, Some(server))?,
            (None, Some(server)) => room.put_beside(a, Some(server))?,
            (None, None) => {
                let both = room.roomiest(&[a.0, b.0]);
                room.put_beside(a, both)?;
                room.put_beside(b, both)?;
            }
        }
    }
    for instance in all() {
        if !room.placed.contains_key(&instance) {
            room.put_beside(instance, None)?;
        }
    }
    Ok(rates::placed(problem, &flows, |instance| room.placed[&instance]))
}
