//! Bits that rules set and ask for: of flows, of hosts, of pairs of hosts.

mod table;

use std::sync::Arc;

pub use table::{BitId, FlowBits, Host, HostBit, HostBits, Names, Resolved};

/// One `flowbits`, `hostbits` or `xbits` of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BitTest {
    /// Whose bit.
    pub owner: BitOwner,
    /// What is done or asked.
    pub command: BitCommand,
    /// The bits. `a|b` (of [`IsSet`](BitCommand::IsSet) and [`IsNotSet`](BitCommand::IsNotSet) only) has several:
    /// `IsSet` holds if one of them is set, `IsNotSet` holds if one of them is not set.
    pub names: Vec<Arc<str>>,
    /// Seconds after which a bit that was set is not any more; `None` for bits of flows, which live with the flow.
    pub expire: Option<u32>,
}

/// Whose bit it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BitOwner {
    /// `flowbits`: the flow, both directions.
    Flow,
    /// `hostbits:...,src` (the default), `xbits:...,track ip_src`: the packet's source address.
    Source,
    /// `hostbits:...,dst`, `xbits:...,track ip_dst`: its destination address.
    Destination,
    /// `xbits:...,track ip_pair`: both addresses, whichever is the source.
    Pair,
}

/// What is done with a bit, or asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BitCommand {
    /// Set it, once the rule has matched.
    Set,
    /// Clear it, once the rule has matched.
    Unset,
    /// Turn it round, once the rule has matched.
    Toggle,
    /// Demand that it is set. A packet without a flow fails on flow bits.
    IsSet,
    /// Demand that it is not. A packet without a flow fails on flow bits.
    IsNotSet,
}

impl BitCommand {
    /// Whether it is a demand, not a change.
    pub fn is_demand(self) -> bool {
        matches!(self, Self::IsSet | Self::IsNotSet)
    }
}
