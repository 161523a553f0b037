//! The thesis' experiment with provisioning (section 6.6.1, Fig. 6.13) on simulated servers: how much four chains carry
//! when their flows are spread by the model, at random, and as badly as can be. Prints JSON;
//! `scripts/bench provisioning` makes a table of it.

use planning::pagination::Random;
use planning::provision::throughput::{Capacities, Carried, Network};
use serde::{Deserialize, Serialize};
use std::error::Error;

/// A file of capacities.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Experiment {
    servers: usize,
    /// Flows of each chain.
    flows: usize,
    /// How many random placements, and random spreads.
    seeds: u64,
    /// Cycles per packet of L2FWD, NAT, FW.
    nfs: Vec<f64>,
    chains: Vec<Vec<usize>>,
    capacities: Capacities,
}

/// One placement: what its flows carry, in packets per second.
#[derive(Serialize)]
struct Row {
    placement: &'static str,
    capacities: &'static str,
    seed: u64,
    best: Carried,
    random: Carried,
    worst: Carried,
}

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("usage: provisioning FILE.toml")?;
    let experiment: Experiment = toml::from_str(&std::fs::read_to_string(file)?)?;
    let given = experiment.capacities;
    let variants = [
        ("as given", given),
        ("no tunnels", Capacities { tunnel: 0.0, encap: 0.0, decap: 0.0, ..given }),
        ("links alone", Capacities { cycles: given.cycles * 1e3, core: given.core * 1e3, ..given }),
        ("cores alone", Capacities { link: given.link * 1e3, ..given }),
    ];
    let kinds = experiment.nfs.len();
    let mut rows = Vec::new();
    for (name, capacities) in variants {
        for seed in 1..=experiment.seeds {
            let linear = (0..experiment.servers).flat_map(|k| (0..kinds).map(move |nf| (nf, k))).collect();
            let mut random = Random::new(seed);
            let anywhere =
                (0..experiment.servers * kinds).map(|i| (i % kinds, random.below(experiment.servers)));
            for (placement, instances) in [("linear", linear), ("random", anywhere.collect())] {
                let network = Network {
                    servers: experiment.servers,
                    capacities,
                    nfs: experiment.nfs.clone(),
                    instances,
                    chains: experiment.chains.clone(),
                };
                let best = network.best(experiment.flows).ok_or("the solver failed")?;
                rows.push(Row {
                    placement,
                    capacities: name,
                    seed,
                    best: network.carried(&best),
                    random: network.carried(&network.random(experiment.flows, seed)),
                    worst: network.carried(&network.worst(experiment.flows, seed)),
                });
            }
        }
    }
    println!("{}", serde_json::to_string(&rows)?);
    Ok(())
}
