//! From a file to its results.

use crate::config::Experiment;
use crate::detour::Terms;
use crate::network::{Network, Setting};
use crate::nodes::{AttachError, Placed, memory, place};
use crate::report::{Ended, Report};
use crate::sizes::Sizes;
use crate::traffic::{Arrival, Capacity, Traffic};
use engine::Registry;
use std::path::Path;

/// An experiment with the NFs of its nodes ready.
pub struct Simulation<'a> {
    experiment: &'a Experiment,
    placed: Vec<Placed>,
}

impl<'a> Simulation<'a> {
    /// Makes the NFs ready; files that they name start from `folder`.
    ///
    /// # Errors
    /// NFs that cannot be.
    pub fn new(
        experiment: &'a Experiment,
        registry: &Registry,
        folder: &Path,
    ) -> Result<Simulation<'a>, AttachError> {
        let Experiment { config, topology, .. } = experiment;
        let placed =
            place(&config.nfs, topology, registry, folder, config.seeds.first().copied().unwrap_or(1))?;
        Ok(Simulation { experiment, placed })
    }

    /// One run, with SMART or without.
    ///
    /// # Errors
    /// When there is no packet memory for the NFs.
    pub fn run(&self, load: f64, seed: u64, smart: Option<Terms>) -> Result<Report, AttachError> {
        let Experiment { config, topology, written, .. } = self.experiment;
        let pools = if self.placed.is_empty() { None } else { Some(memory()?) };
        let (until, end) = self.experiment.times();
        // Which cables there are was looked up when the file was read.
        let changes = self.experiment.changes(seed).unwrap_or_default();
        let setting = Setting {
            topology,
            tcp: config.tcp.tcp(),
            deadline: config.deadline,
            changes: &changes,
            smart,
            nfs: (&self.placed, pools),
            tick: config.tick.0,
            end,
            seed,
        };
        let nothing = Sizes::fixed(1);
        let sizes = self.experiment.sizes.as_ref().unwrap_or(&nothing);
        let (capacity, priority, warm_up) = match &config.traffic {
            Some(flows) => (flows.of, flows.priority, flows.warm_up.map_or(0, |span| span.0)),
            None => (Capacity::Fabric, 0.0, 0),
        };
        let by_chance = Traffic::new(topology, sizes, (load, capacity), priority, until, seed);
        let mut network = Network::new(setting, merged(by_chance, written));
        network.run();
        Ok(Report::of(Ended {
            seed,
            load,
            smart: network.smart(),
            now: network.now(),
            warm_up,
            events: network.events(),
            topology,
            flows: network.flows(),
            links: network.links(),
            nfs: network.nfs().counts(),
            account: network.account(),
        }))
    }
}

/// Both in the order of time.
fn merged(by_chance: impl Iterator<Item = Arrival>, written: &[Arrival]) -> impl Iterator<Item = Arrival> {
    let (mut by_chance, mut written) = (by_chance.peekable(), written.iter().copied().peekable());
    std::iter::from_fn(move || {
        let first = match (by_chance.peek(), written.peek()) {
            (Some(chance), Some(told)) => told.at <= chance.at,
            (None, _) => true,
            (_, None) => false,
        };
        if first { written.next() } else { by_chance.next() }
    })
}
