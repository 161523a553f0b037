//! Flows that hosts begin: by a Poisson process, between hosts of different leaves, as long as a distribution says.

use crate::packet::OVERHEAD;
use crate::quantity::{Picos, Rate, SECOND, Span};
use crate::random::{Random, Stream};
use crate::sizes::Sizes;
use crate::tcp::MSS;
use crate::topology::{NodeId, Topology};
use serde::Deserialize;

/// What load is a share of.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capacity {
    /// The links from all leaves up: what the fabric can carry when all flows leave their leaf, as they do here.
    #[default]
    Fabric,
    /// The links of all hosts.
    Hosts,
}

/// A flow that begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// When.
    pub at: Picos,
    /// Its sender.
    pub from: NodeId,
    /// Its receiver.
    pub to: NodeId,
    /// Its bytes.
    pub bytes: u32,
    /// Whether it has priority.
    pub priority: bool,
}

/// In what time a priority flow has to be through: a fixed time, and its bytes at a rate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deadline {
    /// The fixed time.
    pub base: Span,
    /// The rate.
    pub rate: Rate,
}

impl Deadline {
    /// The time for so many bytes.
    pub fn of(&self, bytes: u32) -> Picos {
        self.base.0.saturating_add(self.rate.time_of(bytes.into()))
    }
}

/// The process by which flows begin.
#[derive(Clone, Debug)]
pub struct Traffic<'a> {
    random: Random,
    sizes: &'a Sizes,
    topology: &'a Topology,
    /// Mean time between two flows.
    gap: f64,
    now: f64,
    priority: f64,
    until: Picos,
}

impl<'a> Traffic<'a> {
    /// Flows at `load` times the capacity, of which a share has priority, until a time.
    pub fn new(
        topology: &'a Topology,
        sizes: &'a Sizes,
        (load, capacity): (f64, Capacity),
        priority: f64,
        until: Picos,
        seed: u64,
    ) -> Traffic<'a> {
        let random = Random::new(seed, Stream::Flows);
        let bits = load * bits(topology, capacity);
        // On a link every full segment has its headers too.
        let wire = sizes.mean() * f64::from(MSS + OVERHEAD) / f64::from(MSS);
        let gap = if bits > 0.0 { wire * 8.0 * SECOND as f64 / bits } else { f64::INFINITY };
        Traffic { random, sizes, topology, gap, now: 0.0, priority, until }
    }
}

/// Bits per second of a capacity.
fn bits(topology: &Topology, capacity: Capacity) -> f64 {
    let shape = topology.shape();
    let hosts = f64::from(topology.hosts());
    match capacity {
        Capacity::Hosts => hosts * shape.edge.rate.bits() as f64,
        Capacity::Fabric => {
            let leaves = hosts / f64::from(shape.hosts_per_leaf);
            leaves * f64::from(shape.spines) * shape.fabric.rate.bits() as f64
        }
    }
}

impl Iterator for Traffic<'_> {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        let hosts = u64::from(self.topology.hosts());
        self.now += self.random.exponential() * self.gap;
        if hosts < 2 || !self.now.is_finite() || self.now >= self.until as f64 {
            return None;
        }
        let from = self.random.below(hosts) as NodeId;
        let own = u64::from(self.topology.shape().hosts_per_leaf);
        let to = if hosts > own {
            // Any host but those of the same leaf, which are next to each other.
            let first = u64::from(self.topology.leaf(from)) * own;
            let pick = self.random.below(hosts - own);
            if pick < first { pick } else { pick + own }
        } else {
            let pick = self.random.below(hosts - 1);
            if pick < u64::from(from) { pick } else { pick + 1 }
        };
        let bytes = self.sizes.draw(&mut self.random).min(u64::from(u32::MAX / 2)) as u32;
        let priority = self.random.unit() < self.priority;
        Some(Arrival { at: self.now as Picos, from, to: to as NodeId, bytes, priority })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::tests::shape;

    #[test]
    fn flows_offer_the_load_that_is_said() {
        let topology = Topology::new(shape(8, 4, 2, &[])).expect("a network");
        let sizes = Sizes::fixed(14_600);
        for (capacity, full) in [(Capacity::Fabric, 80e9), (Capacity::Hosts, 320e9)] {
            let flows: Vec<Arrival> =
                Traffic::new(&topology, &sizes, (0.5, capacity), 0.2, SECOND / 10, 1).collect();
            let bits = flows.len() as f64 * 10.0 * 1538.0 * 8.0 / 0.1;
            assert!((bits / (0.5 * full) - 1.0).abs() < 0.02, "{bits} of {full}");
            let priority = flows.iter().filter(|flow| flow.priority).count() as f64 / flows.len() as f64;
            assert!((priority - 0.2).abs() < 0.02, "{priority}");
            assert!(flows.iter().all(|flow| topology.leaf(flow.from) != topology.leaf(flow.to)));
        }
    }

    #[test]
    fn hosts_of_one_leaf_send_to_each_other() {
        let topology = Topology::new(shape(3, 1, 1, &[])).expect("a network");
        let sizes = Sizes::fixed(1000);
        let flows: Vec<Arrival> =
            Traffic::new(&topology, &sizes, (0.5, Capacity::Hosts), 0.0, SECOND / 1000, 1).collect();
        assert!(flows.len() > 100 && flows.iter().all(|flow| flow.from != flow.to && flow.to < 3));
    }

    #[test]
    fn without_load_there_are_no_flows() {
        let topology = Topology::new(shape(2, 2, 1, &[])).expect("a network");
        let sizes = Sizes::fixed(1000);
        assert_eq!(Traffic::new(&topology, &sizes, (0.0, Capacity::Hosts), 0.0, SECOND, 1).next(), None);
    }
}
