//! What flows are found by.

use wire::{Ends4, FlowKey, FlowKey4, FlowKey6};

/// What tells the flows of one IP version apart: the same for both directions.
pub(crate) trait Key: Copy + Eq + Default + Into<FlowKey> {
    fn hash_with(&self, seed: u64) -> u32;
}

impl Key for Ends4 {
    #[inline(always)]
    fn hash_with(&self, seed: u64) -> u32 {
        Ends4::hash_with(self, seed)
    }
}

/// A canonical key.
impl Key for FlowKey6 {
    #[inline(always)]
    fn hash_with(&self, seed: u64) -> u32 {
        FlowKey6::hash_with(self, seed)
    }
}

/// What an IP packet's flow is called by its ports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ports {
    pub sport: u16,
    pub dport: u16,
    pub proto: u8,
}

impl Ports {
    /// Those of a packet with this key.
    pub(crate) fn of(key: &FlowKey) -> Ports {
        Ports { sport: key.source_port(), dport: key.destination_port(), proto: key.protocol() }
    }

    /// The key of a packet between the same addresses with these ports.
    pub(crate) fn within(self, key: &FlowKey) -> FlowKey {
        let Ports { sport, dport, proto } = self;
        match *key {
            FlowKey::V4(key) => FlowKey::V4(FlowKey4 { sport, dport, proto, ..key }),
            FlowKey::V6(key) => FlowKey::V6(FlowKey6 { sport, dport, proto, ..key }),
        }
    }
}
