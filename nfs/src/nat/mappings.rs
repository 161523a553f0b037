//! Dynamic mappings: which outside endpoint stands for an inside one, whatever the destination (RFC 4787 REQ-1).

use super::config::{Filtering, Plan, Pooling};
use super::ports::Ports;
use super::tuple::{Endpoint, narrow};
use crate::roster::Roster;
use tables::flow_table::{EntryId, FlowTable};

/// A dynamic mapping. It lasts as long as any session of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Mapping {
    pub outside: Endpoint,
    pub sessions: u32,
}

/// A remote address that may send to an outside endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Permit {
    outside: Endpoint,
    remote: u32,
}

/// All dynamic mappings. All memory is taken when it is made.
pub(super) struct Mappings {
    by_inside: FlowTable<Endpoint, Mapping>,
    by_outside: FlowTable<Endpoint, Endpoint>,
    /// Sessions by outside endpoint and remote address; only where filtering asks for it.
    permits: Option<FlowTable<Permit, u32>>,
    ports: Ports,
    roster: Roster,
    seed: u64,
}

impl Mappings {
    pub(super) fn new(plan: &Plan, seed: u64) -> Mappings {
        let capacity = plan.config.capacity;
        let mut ports = Ports::new(plan.pool.len());
        for outside in plan.forward.0.keys() {
            if let Some(&place) = plan.places.get(&outside.address) {
                ports.take(place, *outside);
            }
        }
        let dependent = plan.config.filtering == Filtering::AddressDependent;
        Mappings {
            by_inside: FlowTable::with_capacity(capacity, seed),
            by_outside: FlowTable::with_capacity(capacity, seed),
            permits: dependent.then(|| FlowTable::with_capacity(capacity, seed)),
            ports,
            roster: Roster::new(capacity),
            seed,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_inside.len()
    }

    /// The mapping of an inside endpoint.
    pub(super) fn get(&self, inside: Endpoint) -> Option<Mapping> {
        self.by_inside.get(&inside, inside.hash_with(self.seed)).copied()
    }

    /// The inside endpoint that an outside one stands for.
    pub(super) fn inside_of(&self, outside: Endpoint) -> Option<Endpoint> {
        self.by_outside.get(&outside, outside.hash_with(self.seed)).copied()
    }

    /// Finds a free outside endpoint for an inside one, with a port of its block. The choice depends on nothing but what
    /// is free in that, the inside endpoint and the seed, so a host that comes back soon gets what it had, whichever
    /// worker is asked.
    pub(super) fn choose(&self, plan: &Plan, inside: Endpoint) -> Option<Endpoint> {
        let addresses = plan.pool.len();
        // RFC 4787 REQ-2: all of a host's sessions get the same address.
        let host = narrow(wire::flow::mix(inside.address.into(), 0, plan.seed)) as usize;
        let tries = match plan.config.pooling {
            Pooling::Paired => addresses.min(1),
            Pooling::Arbitrary => addresses,
        };
        let block = plan.blocks.ports(plan.blocks.of(inside));
        let (first, last) = block;
        let span = u32::from(last - first) + 1;
        let offset = inside.hash_with(!plan.seed) % span;
        // Even if the inside port is even, odd if it is odd (RFC 4787 REQ-4).
        let start = first + u16::try_from(offset).unwrap_or(0);
        let start = if (start ^ inside.port) & 1 == 0 { start } else { start ^ 1 };
        (0..tries).find_map(|turn| {
            let place = (host % addresses + turn) % addresses;
            let port = self.ports.find(place, inside.protocol, start, block)?;
            Some(Endpoint { address: plan.pool[place], port, ..inside })
        })
    }

    /// Makes a mapping, yet without sessions; `false` when there is no room or one of its ends has another mapping.
    pub(super) fn make(&mut self, plan: &Plan, inside: Endpoint, outside: Endpoint) -> bool {
        let Some(&place) = plan.places.get(&outside.address) else { return false };
        let is_new = self.get(inside).is_none() && self.inside_of(outside).is_none();
        if !is_new || self.len() == self.by_inside.capacity() || !self.ports.take(place, outside) {
            return false;
        }
        let mapping = Mapping { outside, sessions: 0 };
        if let Ok(inserted) = self.by_inside.insert(inside, inside.hash_with(self.seed), mapping) {
            self.roster.note(inserted.id);
        }
        // Both tables have the same capacity and the same number of entries.
        self.by_outside.insert(outside, outside.hash_with(self.seed), inside).is_ok()
    }

    /// A session begins that is of this mapping.
    pub(super) fn hold(&mut self, inside: Endpoint) {
        if let Some(mapping) = self.by_inside.get_mut(&inside, inside.hash_with(self.seed)) {
            mapping.sessions += 1;
        }
    }

    /// A session of this mapping ends, and with the last one the mapping.
    pub(super) fn release(&mut self, plan: &Plan, inside: Endpoint) {
        let hash = inside.hash_with(self.seed);
        let Some(mapping) = self.by_inside.get_mut(&inside, hash) else { return };
        mapping.sessions = mapping.sessions.saturating_sub(1);
        if mapping.sessions > 0 {
            return;
        }
        let outside = mapping.outside;
        self.by_inside.remove(&inside, hash);
        self.by_outside.remove(&outside, outside.hash_with(self.seed));
        if let Some(&place) = plan.places.get(&outside.address) {
            self.ports.give_back(place, outside);
        }
    }

    /// A session from this outside endpoint to a remote address begins.
    pub(super) fn permit(&mut self, outside: Endpoint, remote: u32) {
        let permit = Permit { outside, remote };
        let hash = hash_of(permit, self.seed);
        let Some(permits) = &mut self.permits else { return };
        match permits.get_mut(&permit, hash) {
            Some(sessions) => *sessions += 1,
            // There are no more of them than sessions.
            None => {
                let _ = permits.insert(permit, hash, 1);
            }
        }
    }

    /// That session ends.
    pub(super) fn forbid(&mut self, outside: Endpoint, remote: u32) {
        let permit = Permit { outside, remote };
        let hash = hash_of(permit, self.seed);
        let Some(permits) = &mut self.permits else { return };
        let Some(sessions) = permits.get_mut(&permit, hash) else { return };
        *sessions -= 1;
        if *sessions == 0 {
            permits.remove(&permit, hash);
        }
    }

    /// Whether a remote address may begin a session with an outside endpoint (RFC 4787 section 5).
    pub(super) fn lets_in(&self, filtering: Filtering, outside: Endpoint, remote: u32) -> bool {
        let permit = Permit { outside, remote };
        match filtering {
            Filtering::EndpointIndependent => true,
            Filtering::AddressDependent => {
                self.permits.as_ref().is_some_and(|p| p.find(&permit, hash_of(permit, self.seed)).is_some())
            }
            // Whoever it has a session with has that session already.
            Filtering::AddressAndPortDependent => false,
        }
    }

    /// Ports in use at each address of the pool, in its order: of TCP, UDP and ICMP.
    pub(super) fn ports_in_use(&self, address: usize) -> [u32; 3] {
        self.ports.in_use(address)
    }

    /// Shows mappings from place `from` on, until `show` wanted `count` of them; returns where to go on.
    pub(super) fn page(
        &self,
        from: u64,
        count: usize,
        mut show: impl FnMut(Endpoint, Mapping) -> bool,
    ) -> Option<u64> {
        let entry = |id: EntryId| self.by_inside.entry(id);
        self.roster.page(from, count, |id| entry(id).is_some_and(|(inside, mapping)| show(*inside, *mapping)))
    }
}

fn hash_of(permit: Permit, seed: u64) -> u32 {
    permit.outside.hash_with(seed ^ u64::from(permit.remote))
}
