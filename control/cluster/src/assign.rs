//! The provisioning problem of chains and servers, and its solution by names.

use crate::server::{Server, delay};
use crate::wanted::Wanted;
use planning::pagination::Effort;
use planning::provision::{Chain, Nf, Placement, Problem, Solver, Unplaced, instances};
use std::collections::{BTreeMap, BTreeSet};

/// A problem with its names.
pub struct Assignment {
    /// The problem. Ports are NFs in it that take nothing and stay where they are; one to which a chain goes back is there
    /// twice.
    pub problem: Problem,
    /// Name of each server.
    pub servers: Vec<String>,
}

/// What narrows a problem.
#[derive(Clone, Copy, Default)]
pub struct Narrowed<'a> {
    /// Instances of an NF stay together, on one server: the workers of its engine.
    pub together: bool,
    /// Servers that get no NF.
    pub unfit: Option<&'a BTreeSet<String>>,
    /// NFs and ports that stay where they are.
    pub kept: Option<&'a BTreeMap<String, String>>,
}

impl Assignment {
    /// Makes the problem of chains on servers.
    ///
    /// # Errors
    /// Names that lead to no server.
    pub fn new(
        wanted: &Wanted,
        servers: &BTreeMap<String, Server>,
        narrowed: Narrowed<'_>,
    ) -> Result<Assignment, String> {
        let names: Vec<String> = servers.keys().cloned().collect();
        let number = |name: &str| names.iter().position(|server| server == name);
        let mut problem = Problem {
            servers: servers
                .iter()
                .map(|(name, server)| planning::provision::Server {
                    name: name.clone(),
                    cpu: server.cpu,
                    memory: server.memory,
                })
                .collect(),
            delay: names.iter().map(|a| names.iter().map(|b| delay(servers, a, b)).collect()).collect(),
            nfs: Vec::new(),
            chains: Vec::new(),
        };
        let kept =
            |name: &str| narrowed.kept.and_then(|kept| kept.get(name)).and_then(|server| number(server));
        let used: BTreeSet<&String> = wanted.chains.iter().flat_map(|chain| chain.path.names()).collect();
        for name in wanted.nfs.keys().filter(|name| used.contains(name)) {
            let need = wanted.need(name);
            let unfit = |server: &str| narrowed.unfit.is_some_and(|unfit| unfit.contains(server));
            let may = |server: &String| (need.on.is_empty() || need.on.contains(server)) && !unfit(server);
            let mut on: Vec<usize> = (0..names.len()).filter(|k| may(&names[*k])).collect();
            on.retain(|k| kept(name).is_none_or(|kept| kept == *k));
            if on.is_empty() {
                let wanted = if need.on.is_empty() { "any".to_owned() } else { need.on.join(", ") };
                return Err(format!("no server is there that NF {name} may run on (on: {wanted})"));
            }
            let load: f64 =
                wanted.chains.iter().filter(|c| c.path.names().contains(name)).map(|c| c.rate).sum();
            let together = if narrowed.together { instances(load, need.rate).max(1.0) } else { 1.0 };
            problem.nfs.push(Nf {
                name: name.clone(),
                rate: need.rate * together,
                cpu: need.cpu * together,
                memory: need.memory * together,
                on: (on.len() < names.len()).then_some(on),
            });
        }
        for chain in &wanted.chains {
            let mut path = vec![end(&mut problem, servers, std::slice::from_ref(&chain.from), &kept)?];
            let nf = |problem: &Problem, name: &String| problem.nfs.iter().position(|nf| nf.name == *name);
            path.extend(chain.path.names().iter().filter_map(|name| nf(&problem, name)));
            let last = end(&mut problem, servers, chain.to.names(), &kept)?;
            // A chain that ends where it began has been there.
            let back = last == path[0];
            if chain.to.names().len() > 1 {
                together_with(&mut problem, path.last().copied(), last, &chain.name)?;
            }
            if !back {
                path.push(last);
            }
            let mut made = Chain::sequence(chain.name.clone(), chain.rate, path.clone());
            if let Some(pairs) = &chain.pairs {
                made.pairs = pairs_of(&problem, &path, pairs).ok_or_else(|| {
                    format!(
                        "chain '{}': 'pairs' names NFs that are not in the path, in its order",
                        chain.name
                    )
                })?;
            }
            // The way back to the first port is a way too.
            if back && path.len() > 1 {
                let mirror = problem.nfs.len();
                let port = problem.nfs[last].clone();
                problem.nfs.push(port);
                made.pairs.push((path[path.len() - 1], mirror));
                made.nfs.push(mirror);
            }
            problem.chains.push(made);
        }
        problem.check().map_err(|error| error.to_string())?;
        Ok(Assignment { problem, servers: names })
    }

    /// Solves it.
    ///
    /// # Errors
    /// Why there is no placement.
    pub fn solve(&self, solver: Solver, effort: Effort) -> Result<Placement, Unplaced> {
        solver.solve(&self.problem, effort)
    }

    /// The server of each NF and port, where that is one server.
    pub fn places(&self, placement: &Placement) -> BTreeMap<String, String> {
        let one = |at: &Vec<u32>| at.iter().position(|n| *n > 0).map(|k| self.servers[k].clone());
        let named = self.problem.nfs.iter().zip(&placement.at);
        // The first of a name is the port itself; another is the end of a way back to it.
        named.rev().filter_map(|(nf, at)| Some((nf.name.clone(), one(at)?))).collect()
    }
}

/// The name under which ports are placed.
pub fn port_name(ports: &[String]) -> String {
    format!("port {}", ports.join(", "))
}

/// The server and the port of `s1.lan`; `lan` is on any server.
pub fn server_and_port(name: &str) -> (Option<&str>, &str) {
    match name.split_once('.') {
        Some((server, port)) => (Some(server), port),
        None => (None, name),
    }
}

/// Ports that are on one server, as an NF that takes nothing.
fn end(
    problem: &mut Problem,
    servers: &BTreeMap<String, Server>,
    ports: &[String],
    kept: &dyn Fn(&str) -> Option<usize>,
) -> Result<usize, String> {
    let name = port_name(ports);
    if let Some(there) = problem.nfs.iter().position(|nf| nf.name == name) {
        return Ok(there);
    }
    let has = |server: &str, described: &Server| {
        ports.iter().all(|port| {
            let (on, port) = server_and_port(port);
            on.is_none_or(|on| on == server) && described.ports.iter().any(|other| other == port)
        })
    };
    let on: Vec<usize> =
        servers.iter().enumerate().filter(|(_, (name, server))| has(name, server)).map(|(k, _)| k).collect();
    if on.is_empty() {
        return Err(format!("no server is there that has the {name}"));
    }
    let on = match kept(&name).filter(|kept| on.contains(kept)) {
        Some(kept) => vec![kept],
        None => on,
    };
    problem.nfs.push(Nf { name, rate: f64::INFINITY, cpu: 0.0, memory: 0.0, on: Some(on) });
    Ok(problem.nfs.len() - 1)
}

/// The last NF chooses among several ports, so it is where they are: on the first server that both may be on.
fn together_with(problem: &mut Problem, nf: Option<usize>, ports: usize, chain: &str) -> Result<(), String> {
    let Some(nf) = nf else { return Ok(()) };
    let both = (0..problem.servers.len()).find(|&k| problem.allows(nf, k) && problem.allows(ports, k));
    let server = both.ok_or_else(|| {
        let (nf, ports) = (&problem.nfs[nf].name, &problem.nfs[ports].name);
        format!("chain '{chain}': {nf} chooses among several ports, and may not run where {ports} are")
    })?;
    problem.nfs[nf].on = Some(vec![server]);
    problem.nfs[ports].on = Some(vec![server]);
    Ok(())
}

/// Pairs by number; what nobody hands packets to gets them from the first port, and what hands to nobody gives them to
/// the last one.
fn pairs_of(problem: &Problem, path: &[usize], pairs: &[(String, String)]) -> Option<Vec<(usize, usize)>> {
    let place = |name: &String| path.iter().position(|nf| problem.nfs[*nf].name == *name);
    let mut made = Vec::new();
    for (a, b) in pairs {
        let (a, b) = (place(a)?, place(b)?);
        if a >= b {
            return None;
        }
        made.push((path[a], path[b]));
    }
    let (first, last) = (*path.first()?, *path.last()?);
    let ends_at_a_port = problem.nfs[last].name.starts_with("port ");
    for nf in path.iter().copied().filter(|nf| !problem.nfs[*nf].name.starts_with("port ")) {
        if !made.iter().any(|pair| pair.1 == nf) {
            made.push((first, nf));
        }
        if ends_at_a_port && !made.iter().any(|pair| pair.0 == nf) {
            made.push((nf, last));
        }
    }
    Some(made)
}

#[cfg(test)]
mod tests;
