//! Fragments after the first have no ports: whose are they?

use engine::Time;
use std::time::Duration;
use tables::flow_table::{Eviction, FlowTable};
use wire::FragmentKey;

/// Datagrams remembered at a time.
const CAPACITY: usize = 1024;
/// RFC 1122 section 3.3.2: reassembly is given up after 60 to 120 seconds.
const LIFETIME: Duration = Duration::from_secs(60);

/// What the first fragment of a datagram had, and the others lack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ports {
    pub sport: u16,
    pub dport: u16,
    pub proto: u8,
}

/// Ports of the datagrams whose first fragment was seen lately.
pub(super) struct Fragments {
    firsts: FlowTable<FragmentKey, (Ports, Time)>,
}

impl Fragments {
    pub(super) fn new(seed: u64) -> Fragments {
        Fragments { firsts: FlowTable::with_capacity(CAPACITY, seed).evicting(Eviction::Oldest) }
    }

    /// The first fragment of a datagram went by.
    pub(super) fn first(&mut self, datagram: FragmentKey, ports: Ports, now: Time) {
        // It cannot be full: the oldest gives way.
        let _ = self.firsts.insert(datagram, datagram.hash(), (ports, now));
    }

    /// The ports of the datagram that a later fragment is of.
    pub(super) fn later(&self, datagram: FragmentKey, now: Time) -> Option<Ports> {
        let (ports, seen) = self.firsts.get(&datagram, datagram.hash())?;
        (now.since(*seen) <= LIFETIME).then_some(*ports)
    }
}
