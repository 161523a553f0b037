//! Sessions: an IPv6 endpoint, its IPv4 endpoint and a remote one (RFC 6146 section 3.2).

use super::bib::{Endpoint6, host_hash};
use super::config::Plan;
use super::packet::change;
use super::tcp::{self, Side};
use crate::nat::{Endpoint, narrow};
use crate::roster::Roster;
use engine::Time;
use tables::flow_table::{EntryId, FlowTable, Hint};
use wire::checksum::Delta;
use wire::protocol::ip;
use wire::{FlowKey, FlowKey4, FlowKey6, Headers};

/// Timers are this coarse.
const TICK_NANOS: u64 = 100_000_000;

/// The protocols that are translated; what is said of ports goes for the identifiers of ICMP queries.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub(super) enum Protocol {
    Tcp,
    #[default]
    Udp,
    Icmp,
}

impl Protocol {
    /// Of a number in an IPv4 header.
    pub(super) fn of_v4(number: u8) -> Option<Protocol> {
        match number {
            ip::TCP => Some(Protocol::Tcp),
            ip::UDP => Some(Protocol::Udp),
            ip::ICMP => Some(Protocol::Icmp),
            _ => None,
        }
    }

    /// Of a next header in an IPv6 packet.
    pub(super) fn of_v6(number: u8) -> Option<Protocol> {
        match number {
            ip::ICMPV6 => Some(Protocol::Icmp),
            ip::ICMP => None,
            other => Protocol::of_v4(other),
        }
    }

    /// Of a packet; of an IPv6 fragment after the first it means nothing (RFC 8200 section 4.5).
    #[inline]
    pub(super) fn of(headers: &Headers) -> Option<Protocol> {
        let number = headers.protocol()?;
        if headers.is_ipv4() { Protocol::of_v4(number) } else { Protocol::of_v6(number) }
    }

    /// Of the packets with this key.
    pub(super) fn of_key(key: &FlowKey) -> Option<Protocol> {
        match key {
            FlowKey::V4(key) => Protocol::of_v4(key.proto),
            FlowKey::V6(key) => Protocol::of_v6(key.proto),
        }
    }

    /// Its number in an IPv4 header.
    pub(super) fn v4(self) -> u8 {
        match self {
            Protocol::Tcp => ip::TCP,
            Protocol::Udp => ip::UDP,
            Protocol::Icmp => ip::ICMP,
        }
    }

    /// Its number in an IPv6 packet.
    pub(super) fn v6(self) -> u8 {
        if self == Protocol::Icmp { ip::ICMPV6 } else { self.v4() }
    }
}

/// A session as the IPv6 side sees it. ICMP has no remote port.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct Key {
    pub host: u128,
    pub peer: u32,
    pub port: u16,
    pub peer_port: u16,
    pub protocol: Protocol,
}

impl Key {
    fn hash_with(&self, seed: u64) -> u32 {
        let ports = u64::from(self.port) << 16 | u64::from(self.peer_port);
        let rest = u64::from(self.peer) << 32 | ports;
        narrow(wire::flow::mix(host_hash(self.host, seed), rest, seed ^ u64::from(self.protocol.v4())))
    }

    /// The IPv6 endpoint.
    pub(super) fn inside(&self) -> Endpoint6 {
        Endpoint6 { address: self.host, port: self.port, protocol: self.protocol }
    }

    /// What its packets from the host are known by: as they come.
    pub(super) fn v6(&self, plan: &Plan) -> FlowKey6 {
        let dport = if self.protocol == Protocol::Icmp { self.port } else { self.peer_port };
        let dst = plan.prefix.embed(self.peer);
        FlowKey6 { src: self.host, dst, sport: self.port, dport, proto: self.protocol.v6() }
    }

    /// And as they leave.
    pub(super) fn v4(&self, outside: Endpoint) -> FlowKey4 {
        let dport = if self.protocol == Protocol::Icmp { outside.port } else { self.peer_port };
        FlowKey4 { src: outside.address, dst: self.peer, sport: outside.port, dport, proto: outside.protocol }
    }
}

/// What is known of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Session {
    pub outside: Endpoint,
    /// Of TCP only.
    pub state: Option<tcp::State>,
    pub last: Time,
    /// What the translation does to a checksum over addresses and ports, to IPv4 and to IPv6.
    pub to_v4: Delta,
    pub to_v6: Delta,
}

/// A session, to make or to move it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Outline {
    pub key: Key,
    pub outside: Endpoint,
    pub state: Option<tcp::State>,
    pub last: Time,
    /// When it ends if nothing follows.
    pub ends: Time,
}

/// All sessions of a worker. All memory is taken when it is made.
pub(super) struct Sessions {
    by_v6: FlowTable<Key, Session>,
    /// By their packets from the IPv4 side, as they come.
    by_v4: FlowTable<FlowKey4, EntryId>,
    roster: Roster,
    seed: u64,
}

impl Sessions {
    pub(super) fn new(capacity: usize, seed: u64) -> Sessions {
        Sessions {
            by_v6: FlowTable::with_capacity(capacity, seed).expiring(TICK_NANOS, 0),
            by_v4: FlowTable::with_capacity(capacity, seed),
            roster: Roster::new(capacity),
            seed,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_v6.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.by_v6.len() == self.by_v6.capacity()
    }

    /// Memory for each session of capacity.
    #[cfg(test)]
    pub(super) fn bytes_per_session(&self) -> usize {
        self.by_v6.bytes_per_entry() + self.by_v4.bytes_per_entry() + size_of::<Option<EntryId>>()
    }

    /// Has the processor fetch what the look-up of a packet will read.
    #[inline]
    pub(super) fn prefetch_v6(&self, key: &Key) -> u32 {
        let hash = key.hash_with(self.seed);
        self.by_v6.prefetch(hash);
        hash
    }

    #[inline]
    pub(super) fn prefetch_v4(&self, key: &FlowKey4) -> u32 {
        let hash = key.hash_with(self.seed);
        self.by_v4.prefetch(hash);
        hash
    }

    /// The next step of it.
    #[inline]
    pub(super) fn hint_v6(&self, hash: u32) -> Hint {
        self.by_v6.hint(hash)
    }

    #[inline]
    pub(super) fn hint_v4(&self, hash: u32) -> Hint {
        self.by_v4.hint(hash)
    }

    /// The session of a packet from the IPv6 side.
    pub(super) fn of_v6(&self, key: &Key) -> Option<EntryId> {
        self.by_v6.find(key, key.hash_with(self.seed))
    }

    /// The session of a packet from the IPv4 side.
    pub(super) fn of_v4(&self, key: &FlowKey4) -> Option<EntryId> {
        self.by_v4.get(key, key.hash_with(self.seed)).copied()
    }

    pub(super) fn get(&self, id: EntryId) -> Option<(&Key, &Session)> {
        self.by_v6.entry(id)
    }

    /// A packet goes by: time and state follow it.
    pub(super) fn pass(
        &mut self,
        plan: &Plan,
        id: EntryId,
        (from, flags): (Side, u8),
        now: Time,
    ) -> Option<(Key, Session)> {
        let (key, session) = self.by_v6.entry(id)?;
        let (key, before) = (*key, session.state);
        let (state, renewed) = match before.map(|state| state.after(from, flags)) {
            Some((state, renewed)) => (Some(state), renewed),
            None => (None, true),
        };
        let ends = if renewed {
            now.as_nanos().saturating_add(plan.lifetime(key.protocol, state))
        } else {
            self.by_v6.deadline(id)?
        };
        let session = self.by_v6.touch_mut(id, ends)?;
        (session.state, session.last) = (state, now);
        Some((key, *session))
    }

    /// Makes a session; `false` when there is no room, or one with such packets.
    pub(super) fn open(&mut self, plan: &Plan, outline: &Outline) -> bool {
        let Outline { key, outside, state, last, ends } = *outline;
        let (from, to) = (key.v6(plan), key.v4(outside));
        let back = to.reversed();
        let (hash6, hash4) = (key.hash_with(self.seed), back.hash_with(self.seed));
        if self.is_full() || self.by_v6.find(&key, hash6).is_some() || self.by_v4.find(&back, hash4).is_some()
        {
            return false;
        }
        let (from, to) = (FlowKey::V6(from), FlowKey::V4(to));
        let session = Session {
            outside,
            state,
            last,
            to_v4: change(&from, &to),
            to_v6: change(&to.reversed(), &from.reversed()),
        };
        let Ok(inserted) = self.by_v6.insert(key, hash6, session) else { return false };
        self.roster.note(inserted.id);
        self.by_v6.touch(inserted.id, ends.as_nanos());
        // Both tables have the same capacity and the same number of entries.
        self.by_v4.insert(back, hash4, inserted.id).is_ok()
    }

    /// Ends a session.
    pub(super) fn close(&mut self, id: EntryId) -> Option<(Key, Session)> {
        let (key, session) = self.by_v6.remove_entry(id)?;
        let back = key.v4(session.outside).reversed();
        self.by_v4.remove(&back, back.hash_with(self.seed));
        Some((key, session))
    }

    /// Ends those that were silent for too long, at most `budget`; returns how many.
    pub(super) fn expire(&mut self, now: Time, budget: usize, mut gone: impl FnMut(Key, Session)) -> usize {
        let Sessions { by_v6, by_v4, seed, .. } = self;
        by_v6.expire(now.as_nanos(), budget, |_, key, session| {
            let back = key.v4(session.outside).reversed();
            by_v4.remove(&back, back.hash_with(*seed));
            gone(key, session);
        })
    }

    /// A record of a session that is here says that it was used since.
    pub(super) fn catch_up(&mut self, outline: &Outline) {
        let Some(id) = self.of_v6(&outline.key) else { return };
        if self.get(id).is_none_or(|(_, session)| session.last >= outline.last) {
            return;
        }
        if let Some(session) = self.by_v6.touch_mut(id, outline.ends.as_nanos()) {
            (session.state, session.last) = (outline.state, outline.last);
        }
    }

    /// What a session is.
    pub(super) fn outline(&self, id: EntryId) -> Option<Outline> {
        let (key, session) = self.get(id)?;
        let ends = Time::from_nanos(self.by_v6.deadline(id)?);
        let Session { outside, state, last, .. } = *session;
        Some(Outline { key: *key, outside, state, last, ends })
    }

    /// All sessions, in order of their keys.
    pub(super) fn all(&self) -> Vec<(EntryId, Outline)> {
        let mut all = Vec::with_capacity(self.len());
        let mut from = Some(0);
        while let Some(at) = from {
            from = self.page(at, usize::MAX, |id, outline| {
                all.push((id, *outline));
                true
            });
        }
        all.sort_by_key(|(_, outline)| outline.key);
        all
    }

    /// Shows sessions from place `from` on, until `show` wanted `count` of them; returns where to go on.
    pub(super) fn page(
        &self,
        from: u64,
        count: usize,
        mut show: impl FnMut(EntryId, &Outline) -> bool,
    ) -> Option<u64> {
        self.roster.page(from, count, |id| self.outline(id).is_some_and(|outline| show(id, &outline)))
    }
}
