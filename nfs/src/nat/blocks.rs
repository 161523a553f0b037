//! Which worker owns a packet: outside ports come in blocks, and so do inside endpoints.
//!
//! An inside endpoint falls into a block by its hash, and its mapping has a port of that block. So both directions
//! of a session name the same block, the one by the inside endpoint and the other by the outside port, and no two
//! workers can give out the same port. Blocks follow from the range of ports alone: they are the same on every worker
//! and every machine, and one that goes to another worker takes its ports and mappings along.
//!
//! Endpoints with an outside address or port by configuration have no mapping: their sessions go by both ends.

use super::config::{Config, Plan};
use super::sessions::Outline;
use super::tuple::{Endpoint, Tuple, narrow};
use engine::{BUCKETS, Ownership};
use wire::FlowKey;
use wire::flow::{DEFAULT_SEED, mix};

/// Ports of a block, at least: so many that one is seldom full while there is room in most others.
const BLOCK: u32 = 1024;

/// The ports that are given out, in blocks. A range of less than two blocks is one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blocks {
    first: u16,
    last: u16,
    count: u32,
}

impl Blocks {
    pub(super) fn new(first: u16, last: u16) -> Blocks {
        let span = u32::from(last.saturating_sub(first)) + 1;
        Blocks { first, last, count: (span / BLOCK).max(1) }
    }

    fn span(&self) -> u32 {
        u32::from(self.last - self.first) + 1
    }

    /// The block of an inside endpoint.
    pub(super) fn of(&self, inside: Endpoint) -> u32 {
        let hash = u64::from(inside.hash_with(DEFAULT_SEED));
        ((hash * u64::from(self.count)) >> 32) as u32
    }

    /// The block of an outside port; what is not in the range counts as its nearest end.
    pub(super) fn of_port(&self, port: u16) -> u32 {
        let place = u32::from(port.clamp(self.first, self.last) - self.first);
        place * self.count / self.span()
    }

    /// First and last port of a block.
    pub(super) fn ports(&self, block: u32) -> (u16, u16) {
        let begin = |block: u32| (block * self.span()).div_ceil(self.count) as u16;
        (self.first + begin(block), self.first + (begin(block + 1) - 1))
    }

    /// Whether a port of the range is meant.
    pub(super) fn contains(&self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }

    /// The block among all that steering tells apart. Steps of an odd number of them, as workers have every second,
    /// third or fourth bucket and even steps would leave some without a block.
    fn spread(&self, block: u32) -> u32 {
        block * 83 % BUCKETS as u32
    }
}

impl Plan {
    /// The inside endpoint that an outside one stands for by configuration.
    pub(super) fn inside_of(&self, outside: Endpoint) -> Option<Endpoint> {
        match self.one_to_one.0.get(&outside.address) {
            Some(&address) => Some(Endpoint { address, ..outside }),
            None => self.forward.0.get(&outside).copied(),
        }
    }

    /// Whether an inside endpoint has its outside one by configuration.
    fn is_fixed(&self, inside: Endpoint) -> bool {
        self.one_to_one.1.contains_key(&inside.address) || self.forward.1.contains_key(&inside)
    }

    /// Whether all packets of a session meet one worker: the port of a dynamic mapping is in the block of its inside
    /// endpoint. It is not where it was made under another configuration.
    pub(super) fn is_steerable(&self, outline: &Outline) -> bool {
        let Outline { key, result, source, destination, .. } = *outline;
        let is_own = |inside, outside: Endpoint| {
            self.blocks.of(inside) == self.blocks.of_port(outside.port) && !self.is_fixed(inside)
        };
        source.is_none_or(|inside| is_own(inside, result.source()))
            && destination.is_none_or(|inside| is_own(inside, key.destination()))
    }

    fn owner_of(&self, tuple: &Tuple) -> u32 {
        let (source, destination) = (tuple.source(), tuple.destination());
        if self.is_inside(tuple.src) {
            return match self.is_fixed(source) {
                true => by_both(source, destination),
                false => self.blocks.spread(self.blocks.of(source)),
            };
        }
        if !self.is_outside(tuple.dst) {
            return by_both(destination, source);
        }
        match self.inside_of(destination) {
            Some(inside) => by_both(inside, source),
            None => self.blocks.spread(self.blocks.of_port(destination.port)),
        }
    }
}

/// A hash of an inside endpoint and the one that it speaks to.
fn by_both(inside: Endpoint, remote: Endpoint) -> u32 {
    let addresses = u64::from(inside.address) << 32 | u64::from(remote.address);
    let ports = u64::from(inside.port) << 24 | u64::from(remote.port) << 8 | u64::from(inside.protocol);
    narrow(mix(addresses, ports, DEFAULT_SEED))
}

impl Ownership for Plan {
    fn says(&self) -> String {
        let Config { inside, pool, ports, forward, one_to_one, .. } = &self.config;
        format!("{inside:?} {pool:?} {ports:?} {forward:?} {one_to_one:?}")
    }

    fn owner(&self, flow: &FlowKey) -> u32 {
        match flow {
            FlowKey::V4(key) => self.owner_of(&Tuple::from(*key)),
            // Not translated, but kept in order.
            FlowKey::V6(_) => flow.symmetric_hash(),
        }
    }
}
