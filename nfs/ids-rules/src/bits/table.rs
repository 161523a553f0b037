//! Bits that are set: of a flow, of hosts and pairs of hosts.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{BitCommand, BitOwner, BitTest};
use crate::{bounded::Bounded, rule::Rule};

/// The number of a bit's name.
pub type BitId = u16;

/// The names of all bits of a set of rules, numbered in their order: those of flows, and those of hosts and pairs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    flow: Vec<Arc<str>>,
    host: Vec<Arc<str>>,
}

/// A [`BitTest`] whose names are numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Whose bit.
    pub owner: BitOwner,
    /// What is done or asked.
    pub command: BitCommand,
    /// The bits.
    pub bits: Box<[BitId]>,
    /// How long a bit that is set stays, in nanoseconds.
    pub expire: u64,
}

impl Names {
    /// The names that rules use. More than 65 536 of a kind are left out, which [`resolve`](Self::resolve) tells.
    pub fn of<'a>(rules: impl IntoIterator<Item = &'a Rule>) -> Self {
        let (mut flow, mut host) = (BTreeSet::new(), BTreeSet::new());
        for bit in rules.into_iter().flat_map(|rule| &rule.bits) {
            let names = if bit.owner == BitOwner::Flow { &mut flow } else { &mut host };
            names.extend(bit.names.iter().cloned());
        }
        let bounded = |names: BTreeSet<Arc<str>>| names.into_iter().take(1 << 16).collect();
        Self { flow: bounded(flow), host: bounded(host) }
    }

    fn list(&self, owner: BitOwner) -> &[Arc<str>] {
        if owner == BitOwner::Flow { &self.flow } else { &self.host }
    }

    /// The number of a name.
    pub fn id(&self, owner: BitOwner, name: &str) -> Option<BitId> {
        let place = self.list(owner).binary_search_by(|known| known.as_ref().cmp(name)).ok()?;
        BitId::try_from(place).ok()
    }

    /// The name of a number.
    pub fn name(&self, owner: BitOwner, id: BitId) -> Option<&Arc<str>> {
        self.list(owner).get(usize::from(id))
    }

    /// How many bits flows can have.
    pub fn flow_bits(&self) -> usize {
        self.flow.len()
    }

    /// A test with numbers instead of names; nothing if a name is not among them.
    pub fn resolve(&self, test: &BitTest) -> Option<Resolved> {
        let bits = test.names.iter().map(|name| self.id(test.owner, name)).collect::<Option<_>>()?;
        let expire = test.expire.map_or(u64::MAX, |seconds| u64::from(seconds) * 1_000_000_000);
        Some(Resolved { owner: test.owner, command: test.command, bits, expire })
    }
}

impl Resolved {
    /// Whether its demand holds; changes demand nothing.
    pub fn holds(&self, is_set: impl Fn(BitId) -> bool) -> bool {
        match self.command {
            BitCommand::IsSet => self.bits.iter().any(|&bit| is_set(bit)),
            BitCommand::IsNotSet => self.bits.iter().any(|&bit| !is_set(bit)),
            BitCommand::Set | BitCommand::Unset | BitCommand::Toggle => true,
        }
    }
}

/// The bits of one flow. Nothing is allocated until one is set; then one bit for each name up to the highest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowBits(Vec<u64>);

impl FlowBits {
    /// Whether a bit is set.
    pub fn is_set(&self, bit: BitId) -> bool {
        self.0.get(usize::from(bit) / 64).is_some_and(|word| word >> (bit % 64) & 1 == 1)
    }

    /// Sets a bit.
    pub fn set(&mut self, bit: BitId) {
        let word = usize::from(bit) / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (bit % 64);
    }

    /// Clears a bit.
    pub fn unset(&mut self, bit: BitId) {
        if let Some(word) = self.0.get_mut(usize::from(bit) / 64) {
            *word &= !(1 << (bit % 64));
        }
    }

    /// Does what a rule's change says; demands change nothing.
    pub fn change(&mut self, test: &Resolved) {
        for &bit in &test.bits {
            match test.command {
                BitCommand::Set => self.set(bit),
                BitCommand::Unset => self.unset(bit),
                BitCommand::Toggle if self.is_set(bit) => self.unset(bit),
                BitCommand::Toggle => self.set(bit),
                BitCommand::IsSet | BitCommand::IsNotSet => {}
            }
        }
    }

    /// Whether none is set.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|&word| word == 0)
    }

    /// The numbers of those that are set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = BitId> {
        let words = self.0.iter().enumerate();
        words.flat_map(|(index, &word)| {
            (0..64)
                .filter(move |bit| word >> bit & 1 == 1)
                .filter_map(move |bit| BitId::try_from(index * 64 + bit).ok())
        })
    }

    /// The names of those that are set: what an export has, since numbers change with the rules.
    pub fn names<'a>(&'a self, names: &'a Names) -> impl Iterator<Item = &'a str> {
        self.iter().filter_map(|bit| names.name(BitOwner::Flow, bit).map(AsRef::as_ref))
    }

    /// Those of the named bits that the rules have.
    pub fn from_names<'a>(set: impl IntoIterator<Item = &'a str>, names: &Names) -> Self {
        let mut bits = Self::default();
        set.into_iter().filter_map(|name| names.id(BitOwner::Flow, name)).for_each(|bit| bits.set(bit));
        bits
    }
}

/// Whose bit it is, of those that outlive flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Host {
    /// One host's.
    One(IpAddr),
    /// Of two hosts, the lower address first.
    Pair(IpAddr, IpAddr),
}

/// A bit of a host, as exports have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostBit {
    /// Whose.
    pub host: Host,
    /// Its name.
    pub name: String,
    /// Until when it is set, in nanoseconds.
    pub until: u64,
}

/// The bits of hosts and pairs of hosts, in a table of fixed size: of 16 in turn, the one that ends first makes room.
#[derive(Clone, Debug)]
pub struct HostBits {
    table: Bounded<(Host, BitId), u64>,
}

impl HostBits {
    /// Room for `most` bits.
    pub fn new(most: usize) -> Self {
        Self { table: Bounded::new(most) }
    }

    /// Whose bit a test is about, of a packet from `source` to `destination`; none if it is the flow's.
    pub fn host(owner: BitOwner, source: IpAddr, destination: IpAddr) -> Option<Host> {
        Some(match owner {
            BitOwner::Flow => return None,
            BitOwner::Source => Host::One(source),
            BitOwner::Destination => Host::One(destination),
            BitOwner::Pair => Host::Pair(source.min(destination), source.max(destination)),
        })
    }

    /// Whether a bit is set, at `now`.
    pub fn is_set(&self, host: Host, bit: BitId, now: u64) -> bool {
        self.table.get(&(host, bit)).is_some_and(|&until| now < until)
    }

    /// Does what a rule's change says, at `now`; demands change nothing.
    pub fn change(&mut self, host: Host, test: &Resolved, now: u64) {
        for &bit in &test.bits {
            let set = match test.command {
                BitCommand::Set => true,
                BitCommand::Unset => false,
                BitCommand::Toggle => !self.is_set(host, bit, now),
                BitCommand::IsSet | BitCommand::IsNotSet => continue,
            };
            if set {
                self.table.insert((host, bit), now.saturating_add(test.expire), |&until| until);
            } else {
                self.table.remove(&(host, bit));
            }
        }
    }

    /// How many bits are remembered, those that have ended included.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many had to make room for others.
    pub fn evicted(&self) -> u64 {
        self.table.evicted()
    }

    /// Everything that is remembered, with names instead of numbers.
    pub fn records<'a>(&'a self, names: &'a Names) -> impl Iterator<Item = HostBit> {
        self.table.iter().filter_map(|&((host, bit), until)| {
            let name = names.name(BitOwner::Source, bit)?.to_string();
            Some(HostBit { host, name, until })
        })
    }

    /// Remembers a record of another table, unless no rule has its name.
    pub fn restore(&mut self, record: &HostBit, names: &Names) {
        if let Some(bit) = names.id(BitOwner::Source, &record.name) {
            self.table.insert((record.host, bit), record.until, |&until| until);
        }
    }
}

#[cfg(test)]
mod tests;
