//! Leaf-spine networks and their extension: which nodes there are, which links join them, and all shortest paths.
//!
//! Hosts hang on leaves; every leaf has a link to every spine of its pod. An extension takes some copies of the whole
//! network so far as pods, and joins the switches of the same place at the top of every pod by switches of a tier more:
//!
//! ```text
//! tier 3           core 0   core 1      core 2   core 3        each joins spine 0 of all pods, or spine 1
//! tier 2 (spines)      spine 0  spine 1     spine 0  spine 1
//! tier 1 (leaves)        leaf 0 … leaf n      leaf 0 … leaf n
//!                              pod 0                pod 1
//! ```
//!
//! Two hosts whose paths meet at tier t have a path for each way up; the way down from the top is then the only one. A
//! path is named by a number, and the same number is the same path in the other direction.

use crate::quantity::{Picos, Rate};

#[cfg(test)]
pub(crate) mod tests;

/// Tiers of switches that a network may have.
pub const MOST_TIERS: usize = 5;
/// Links that a path may have.
pub const MOST_LINKS: usize = 2 * MOST_TIERS;

/// A node's number: hosts first, then leaves, spines, and so on.
pub type NodeId = u32;
/// A link's number. Links are one-way: up links are even, the way down of the same cable is the next number.
pub type LinkId = u32;

/// What a cable is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cable {
    /// Bits per second, each way.
    pub rate: Rate,
    /// How long a bit is on its way.
    pub delay: Picos,
    /// Bytes that wait before it at most, each way.
    pub queue: u64,
}

/// One more tier.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extension {
    /// Copies of the network below.
    pub pods: u32,
    /// Switches for each place at the top of a pod.
    pub switches: u32,
}

/// The shape of a network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shape {
    /// Hosts on each leaf.
    pub hosts_per_leaf: u32,
    /// Leaves of a pod.
    pub leaves: u32,
    /// Spines of a pod.
    pub spines: u32,
    /// Further tiers, from below.
    pub extensions: Vec<Extension>,
    /// Between hosts and leaves. Its queue is that of the leaf's port.
    pub edge: Cable,
    /// Bytes that wait in a host before its own link.
    pub host_queue: u64,
    /// Between switches.
    pub fabric: Cable,
}

/// What a node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Sends and receives.
    Host,
    /// A switch of that tier, from 1: leaf, spine, core and so on.
    Switch(u8),
}

/// A one-way link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ends {
    /// Where it begins.
    pub from: NodeId,
    /// Where it ends.
    pub to: NodeId,
}

/// A shortest path from one host to another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Route {
    links: [LinkId; MOST_LINKS],
    len: u8,
}

impl Route {
    /// Its links in order.
    pub fn links(&self) -> &[LinkId] {
        &self.links[..usize::from(self.len)]
    }

    /// The link of that hop, from 0; none behind the last.
    pub fn link(&self, hop: u8) -> Option<LinkId> {
        self.links().get(usize::from(hop)).copied()
    }
}

/// One tier's numbers.
#[derive(Clone, Copy, Debug)]
struct Tier {
    /// The first switch.
    nodes: u32,
    /// How many switches.
    count: u32,
    /// Switches of one block (pod): so many at its top.
    tops: u32,
    /// Leaves of one block.
    leaves: u32,
    /// The first of the links from below to here.
    links: u32,
    /// Links up from each switch below.
    ways: u32,
}

/// A network.
#[derive(Clone, Debug)]
pub struct Topology {
    shape: Shape,
    hosts: u32,
    tiers: Vec<Tier>,
    ends: Vec<Ends>,
}

/// Why there is no such network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// A number is 0.
    #[error("{0} is 0: every part of a network is there at least once")]
    Nothing(&'static str),
    /// Too high.
    #[error("{0} tiers of switches: {MOST_TIERS} at the most")]
    Tiers(usize),
    /// Too large.
    #[error("{0} nodes: a million at the most")]
    Nodes(u64),
    /// Too many links.
    #[error("{0} links: four million at the most")]
    Links(u64),
}

impl Topology {
    /// The network of a shape.
    ///
    /// # Errors
    /// When a part of it is not there, or it is too large.
    pub fn new(shape: Shape) -> Result<Topology, ShapeError> {
        for (what, count) in
            [("hosts_per_leaf", shape.hosts_per_leaf), ("leaves", shape.leaves), ("spines", shape.spines)]
        {
            if count == 0 {
                return Err(ShapeError::Nothing(what));
            }
        }
        for extension in &shape.extensions {
            if extension.pods == 0 || extension.switches == 0 {
                return Err(ShapeError::Nothing("pods or switches of an extension"));
            }
        }
        if shape.extensions.len() + 2 > MOST_TIERS {
            return Err(ShapeError::Tiers(shape.extensions.len() + 2));
        }
        let pods: u64 = shape.extensions.iter().fold(1, |all, e| all.saturating_mul(e.pods.into()));
        let leaves = pods.saturating_mul(shape.leaves.into());
        let hosts = leaves.saturating_mul(shape.hosts_per_leaf.into());
        // Counted before anything is made, tier by tier: switches, and links up to them.
        let (mut nodes, mut cables) = (hosts.saturating_add(leaves), hosts);
        let (mut below, mut blocks, mut tops) = (leaves, pods, u64::from(shape.spines));
        let mut ways = u64::from(shape.spines);
        for tier in 0..=shape.extensions.len() {
            cables = cables.saturating_add(below.saturating_mul(ways));
            let count = blocks.saturating_mul(tops);
            nodes = nodes.saturating_add(count);
            if let Some(next) = shape.extensions.get(tier) {
                below = count;
                blocks /= u64::from(next.pods);
                ways = next.switches.into();
                tops = tops.saturating_mul(ways);
            }
        }
        if nodes > 1_000_000 {
            return Err(ShapeError::Nodes(nodes));
        }
        if cables > 2_000_000 {
            return Err(ShapeError::Links(cables.saturating_mul(2)));
        }
        Ok(Topology::built(shape, hosts as u32, leaves as u32, pods as u32))
    }

    fn built(shape: Shape, hosts: u32, leaves: u32, pods: u32) -> Topology {
        let mut ends = Vec::new();
        let mut join = |below: NodeId, above: NodeId| {
            ends.push(Ends { from: below, to: above });
            ends.push(Ends { from: above, to: below });
        };
        for host in 0..hosts {
            join(host, hosts + host / shape.hosts_per_leaf);
        }
        let mut tiers = vec![Tier { nodes: hosts, count: leaves, tops: 1, leaves: 1, links: 0, ways: 1 }];
        let (mut blocks, mut block_leaves, mut tops) = (pods, shape.leaves, shape.spines);
        let mut links = 2 * hosts;
        for step in 0..=shape.extensions.len() {
            let below = tiers[step];
            let ways = if step == 0 { shape.spines } else { shape.extensions[step - 1].switches };
            let nodes = below.nodes + below.count;
            // Blocks of the tier below that are pods of one block here.
            let pods_here = block_leaves / below.leaves;
            for switch in 0..below.count {
                let (block, place) = (switch / below.tops, switch % below.tops);
                for way in 0..ways {
                    let top = if step == 0 { way } else { place * ways + way };
                    join(below.nodes + switch, nodes + block / pods_here * tops + top);
                }
            }
            tiers.push(Tier { nodes, count: blocks * tops, tops, leaves: block_leaves, links, ways });
            links += 2 * below.count * ways;
            if let Some(next) = shape.extensions.get(step) {
                blocks /= next.pods;
                block_leaves *= next.pods;
                tops *= next.switches;
            }
        }
        Topology { shape, hosts, tiers, ends }
    }

    /// Its shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// How many hosts there are; they are the first nodes.
    pub fn hosts(&self) -> u32 {
        self.hosts
    }

    /// How many nodes there are, hosts and switches.
    pub fn nodes(&self) -> u32 {
        self.hosts + self.tiers.iter().map(|tier| tier.count).sum::<u32>()
    }

    /// How many tiers of switches there are.
    pub fn tiers(&self) -> usize {
        self.tiers.len()
    }

    /// Both ends of each link.
    pub fn ends(&self) -> &[Ends] {
        &self.ends
    }

    /// What a node is.
    pub fn role(&self, node: NodeId) -> Role {
        match self.tiers.iter().rposition(|tier| node >= tier.nodes) {
            Some(tier) => Role::Switch(tier as u8 + 1),
            None => Role::Host,
        }
    }

    /// A node's name: `host-3`, `leaf-0`, `spine-1`, `core-2`, and above those `tier4-0`.
    pub fn name(&self, node: NodeId) -> String {
        match self.role(node) {
            Role::Host => format!("host-{node}"),
            Role::Switch(tier) => {
                let number = node - self.tiers[usize::from(tier) - 1].nodes;
                format!("{}-{number}", tier_name(tier))
            }
        }
    }

    /// The nodes that a name means: one (`leaf-3`), or all of a tier (`hosts`, `leaves`, `spines`, `cores`, `tier4`).
    pub fn named(&self, name: &str) -> Option<std::ops::Range<NodeId>> {
        let tier = |n: usize| self.tiers.get(n).map(|tier| tier.nodes..tier.nodes + tier.count);
        match name {
            "hosts" => return Some(0..self.hosts),
            "leaves" => return tier(0),
            "spines" => return tier(1),
            "cores" => return tier(2),
            "tier4" => return tier(3),
            "tier5" => return tier(4),
            _ => {}
        }
        let (kind, number) = name.rsplit_once('-')?;
        let number: u32 = number.parse().ok()?;
        let all = match kind {
            "host" => 0..self.hosts,
            "leaf" => tier(0)?,
            "spine" => tier(1)?,
            "core" => tier(2)?,
            "tier4" => tier(3)?,
            "tier5" => tier(4)?,
            _ => return None,
        };
        let node = all.start.checked_add(number)?;
        all.contains(&node).then_some(node..node + 1)
    }

    /// The cable that a link is one way of, with the queue of the link's own end.
    pub fn cable(&self, link: LinkId) -> Cable {
        let host = self.shape.host_queue;
        match self.tier_of(link) {
            0 if link.is_multiple_of(2) => Cable { queue: host, ..self.shape.edge },
            0 => self.shape.edge,
            _ => self.shape.fabric,
        }
    }

    /// How high a link is: 0 between hosts and leaves, 1 between leaves and spines, and so on.
    pub fn tier_of(&self, link: LinkId) -> usize {
        self.tiers.iter().rposition(|tier| link >= tier.links).unwrap_or(0)
    }

    /// Whether a link leads away from the hosts.
    pub fn is_up(link: LinkId) -> bool {
        link.is_multiple_of(2)
    }

    /// The leaf that a host hangs on, counted from 0.
    pub fn leaf(&self, host: NodeId) -> u32 {
        host / self.shape.hosts_per_leaf
    }

    /// At which tier the paths of two hosts meet: 1 when they share the leaf.
    pub fn meeting(&self, a: NodeId, b: NodeId) -> usize {
        let (a, b) = (self.leaf(a), self.leaf(b));
        let same = |tier: &Tier| a / tier.leaves == b / tier.leaves;
        self.tiers.iter().position(same).unwrap_or(self.tiers.len() - 1) + 1
    }

    /// How many ways up a packet has from a switch of that tier, from 1.
    pub fn ways(&self, tier: usize) -> u32 {
        self.tiers.get(tier).map_or(0, |above| above.ways)
    }

    /// The path between two hosts that goes up by these ways, one per tier below the one where paths meet; what is too
    /// large or not there counts as 0.
    pub fn route(&self, a: NodeId, b: NodeId, ways: &[u32]) -> Route {
        let mut route = Route { links: [0; MOST_LINKS], len: 0 };
        let meeting = self.meeting(a, b);
        let mut down = [0; MOST_TIERS];
        let mut push = |link| {
            route.links[usize::from(route.len)] = link;
            route.len += 1;
        };
        push(2 * a);
        down[0] = 2 * b + 1;
        let (mut top, leaves) = (0, (self.leaf(a), self.leaf(b)));
        for (step, down) in down.iter_mut().enumerate().take(meeting).skip(1) {
            let (below, above) = (&self.tiers[step - 1], &self.tiers[step]);
            let way = ways.get(step - 1).copied().filter(|way| *way < above.ways).unwrap_or(0);
            let link =
                |leaf: u32| above.links + 2 * ((leaf / below.leaves * below.tops + top) * above.ways + way);
            push(link(leaves.0));
            *down = link(leaves.1) + 1;
            top = if step == 1 { way } else { top * above.ways + way };
        }
        for link in down[..meeting].iter().rev() {
            push(*link);
        }
        route
    }
}

/// What switches of a tier, from 1, are called.
pub fn tier_name(tier: u8) -> &'static str {
    match tier {
        1 => "leaf",
        2 => "spine",
        3 => "core",
        4 => "tier4",
        _ => "tier5",
    }
}
