//! The binding information base: which IPv4 endpoint stands for an IPv6 one, whatever the destination (RFC 6146
//! section 3.1).

use super::config::{Filtering, Plan};
use super::sessions::Protocol;
use crate::nat::{Endpoint, Ports, narrow};
use crate::roster::Roster;
use tables::flow_table::{EntryId, FlowTable};

/// An IPv6 address and a port of a protocol; of an ICMP query, an address and an identifier.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(super) struct Endpoint6 {
    pub address: u128,
    pub port: u16,
    pub protocol: Protocol,
}

impl Endpoint6 {
    fn hash_with(&self, seed: u64) -> u32 {
        let rest = u64::from(self.port) << 8 | u64::from(self.protocol.v4());
        narrow(wire::flow::mix(host_hash(self.address, seed), rest, seed))
    }
}

/// A hash of an address.
pub(super) fn host_hash(address: u128, seed: u64) -> u64 {
    wire::flow::mix((address >> 64) as u64, address as u64, seed)
}

/// A dynamic binding. It lasts as long as any session of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Binding {
    pub outside: Endpoint,
    pub sessions: u32,
}

/// A remote address that may send to an IPv4 endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Permit {
    outside: Endpoint,
    remote: u32,
}

/// All dynamic bindings. All memory is taken when it is made.
pub(super) struct Bib {
    by_inside: FlowTable<Endpoint6, Binding>,
    by_outside: FlowTable<Endpoint, Endpoint6>,
    /// Sessions by IPv4 endpoint and remote address; only where filtering asks for it.
    permits: Option<FlowTable<Permit, u32>>,
    ports: Ports,
    roster: Roster,
    seed: u64,
}

impl Bib {
    pub(super) fn new(plan: &Plan, seed: u64) -> Bib {
        let capacity = plan.config.capacity;
        let mut ports = Ports::new(plan.pool.len());
        for outside in plan.forward.0.keys() {
            if let Some(&place) = plan.places.get(&outside.address) {
                ports.take(place, *outside);
            }
        }
        let dependent = plan.config.filtering == Filtering::AddressDependent;
        Bib {
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

    /// Memory for each binding of capacity.
    #[cfg(test)]
    pub(super) fn bytes_per_binding(&self) -> usize {
        let permits = self.permits.as_ref().map_or(0, FlowTable::bytes_per_entry);
        self.by_inside.bytes_per_entry()
            + self.by_outside.bytes_per_entry()
            + permits
            + size_of::<Option<EntryId>>()
    }

    /// The binding of an IPv6 endpoint.
    pub(super) fn get(&self, inside: Endpoint6) -> Option<Binding> {
        self.by_inside.get(&inside, inside.hash_with(self.seed)).copied()
    }

    /// The IPv6 endpoint that an IPv4 one stands for.
    pub(super) fn inside_of(&self, outside: Endpoint) -> Option<Endpoint6> {
        self.by_outside.get(&outside, outside.hash_with(self.seed)).copied()
    }

    /// Finds a free IPv4 endpoint for an IPv6 one. The choice depends on nothing but what is free, the endpoint and
    /// the seed, so a host that comes back soon gets what it had. All that a host sends has one address (RFC 6146
    /// section 3.5.1.1), and ports are even or odd as the host's are.
    pub(super) fn choose(&self, plan: &Plan, inside: Endpoint6) -> Option<Endpoint> {
        let place = narrow(host_hash(inside.address, self.seed)) as usize % plan.pool.len().max(1);
        let (first, last) = plan.ports;
        let offset = inside.hash_with(!self.seed) % (u32::from(last - first) + 1);
        let start = first + u16::try_from(offset).unwrap_or(0);
        let start = if (start ^ inside.port) & 1 == 0 { start } else { start ^ 1 };
        let protocol = inside.protocol.v4();
        let port = self.ports.find(place, protocol, start, plan.ports)?;
        Some(Endpoint { address: *plan.pool.get(place)?, port, protocol })
    }

    /// Makes a binding, yet without sessions; `false` when there is no room or one of its ends has another binding.
    pub(super) fn make(&mut self, plan: &Plan, inside: Endpoint6, outside: Endpoint) -> bool {
        let Some(&place) = plan.places.get(&outside.address) else { return false };
        let is_new = self.get(inside).is_none() && self.inside_of(outside).is_none();
        if !is_new || self.len() == self.by_inside.capacity() || !self.ports.take(place, outside) {
            return false;
        }
        let binding = Binding { outside, sessions: 0 };
        if let Ok(inserted) = self.by_inside.insert(inside, inside.hash_with(self.seed), binding) {
            self.roster.note(inserted.id);
        }
        // Both tables have the same capacity and the same number of entries.
        self.by_outside.insert(outside, outside.hash_with(self.seed), inside).is_ok()
    }

    /// A session between an IPv6 endpoint, by its IPv4 one, and a remote address begins.
    pub(super) fn hold(&mut self, inside: Endpoint6, outside: Endpoint, remote: u32) {
        if let Some(binding) = self.by_inside.get_mut(&inside, inside.hash_with(self.seed)) {
            binding.sessions += 1;
        }
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

    /// That session ends, and with the last one the binding.
    pub(super) fn release(&mut self, plan: &Plan, inside: Endpoint6, outside: Endpoint, remote: u32) {
        let permit = Permit { outside, remote };
        let hash = hash_of(permit, self.seed);
        if let Some(permits) = &mut self.permits
            && let Some(sessions) = permits.get_mut(&permit, hash)
        {
            *sessions -= 1;
            if *sessions == 0 {
                permits.remove(&permit, hash);
            }
        }
        if let Some(binding) = self.by_inside.get_mut(&inside, inside.hash_with(self.seed)) {
            binding.sessions = binding.sessions.saturating_sub(1);
        }
        self.drop_unused(plan, inside);
    }

    /// Ends a binding without sessions.
    pub(super) fn drop_unused(&mut self, plan: &Plan, inside: Endpoint6) {
        let Some(Binding { outside, sessions: 0 }) = self.get(inside) else { return };
        self.by_inside.remove(&inside, inside.hash_with(self.seed));
        self.by_outside.remove(&outside, outside.hash_with(self.seed));
        if let Some(&place) = plan.places.get(&outside.address) {
            self.ports.give_back(place, outside);
        }
    }

    /// Whether a remote address may send to an IPv4 endpoint.
    pub(super) fn lets_in(&self, outside: Endpoint, remote: u32) -> bool {
        let permit = Permit { outside, remote };
        self.permits
            .as_ref()
            .is_none_or(|permits| permits.find(&permit, hash_of(permit, self.seed)).is_some())
    }

    /// Ports in use at the address of that number: of TCP, UDP and ICMP.
    pub(super) fn ports_in_use(&self, address: usize) -> [u32; 3] {
        self.ports.in_use(address)
    }

    /// Shows bindings from place `from` on, until `show` wanted `count` of them; returns where to go on.
    pub(super) fn page(
        &self,
        from: u64,
        count: usize,
        mut show: impl FnMut(Endpoint6, Binding) -> bool,
    ) -> Option<u64> {
        let entry = |id: EntryId| self.by_inside.entry(id);
        self.roster.page(from, count, |id| entry(id).is_some_and(|(inside, binding)| show(*inside, *binding)))
    }
}

fn hash_of(permit: Permit, seed: u64) -> u32 {
    permit.outside.hash_with(seed ^ u64::from(permit.remote))
}
