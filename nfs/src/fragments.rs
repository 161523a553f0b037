//! Fragments after the first have no ports: whose are they?

use crate::roster::Roster;
use engine::{Selector, Time};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use tables::flow_table::{Displaced, Eviction, FlowTable};
use wire::FragmentKey;

/// Datagrams remembered at a time.
pub(crate) const CAPACITY: usize = 1024;
/// RFC 1122 section 3.3.2: reassembly is given up after 60 to 120 seconds.
const LIFETIME: Duration = Duration::from_secs(60);

/// Key of a datagram in exported records; `proto` only of IPv4, which has an identification for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Datagram {
    src: IpAddr,
    dst: IpAddr,
    id: u32,
    proto: Option<u8>,
}

impl Datagram {
    /// Whether an export wants it; `seen`: when its first fragment was.
    pub(crate) fn is_wanted(&self, selector: &Selector, seen: Time) -> bool {
        selector.port.is_none()
            && selector.address.is_none_or(|prefix| prefix.contains(self.src) || prefix.contains(self.dst))
            && selector.protocol.is_none_or(|protocol| self.proto == Some(protocol))
            && selector.wants_time(seen)
    }
}

impl From<FragmentKey> for Datagram {
    fn from(key: FragmentKey) -> Datagram {
        match key {
            FragmentKey::V4 { src, dst, id, proto } => Datagram {
                src: Ipv4Addr::from(src).into(),
                dst: Ipv4Addr::from(dst).into(),
                id: id.into(),
                proto: Some(proto),
            },
            FragmentKey::V6 { src, dst, id } => {
                Datagram { src: Ipv6Addr::from(src).into(), dst: Ipv6Addr::from(dst).into(), id, proto: None }
            }
        }
    }
}

impl TryFrom<Datagram> for FragmentKey {
    type Error = &'static str;

    fn try_from(key: Datagram) -> Result<FragmentKey, &'static str> {
        match (key.src, key.dst, u16::try_from(key.id), key.proto) {
            (IpAddr::V4(src), IpAddr::V4(dst), Ok(id), Some(proto)) => {
                Ok(FragmentKey::V4 { src: src.into(), dst: dst.into(), id, proto })
            }
            (IpAddr::V6(src), IpAddr::V6(dst), _, None) => {
                Ok(FragmentKey::V6 { src: src.into(), dst: dst.into(), id: key.id })
            }
            _ => Err("addresses, identification and protocol do not fit"),
        }
    }
}

/// What is known, by their first fragment, of the datagrams of which that was seen lately: a `T` each. Bounded: the
/// oldest gives way.
pub(crate) struct Fragments<T> {
    firsts: FlowTable<FragmentKey, (T, Time)>,
    roster: Roster,
    seed: u64,
}

impl<T: Copy> Fragments<T> {
    pub(crate) fn new(seed: u64) -> Fragments<T> {
        let firsts = FlowTable::with_capacity(CAPACITY, seed).evicting(Eviction::Oldest);
        Fragments { firsts, roster: Roster::new(CAPACITY), seed }
    }

    /// The first fragment of a datagram went by.
    pub(crate) fn first(&mut self, datagram: FragmentKey, known: T, now: Time) {
        // It cannot be full: the oldest gives way.
        let Ok(inserted) = self.firsts.insert(datagram, datagram.hash_with(self.seed), (known, now)) else {
            return;
        };
        if !matches!(inserted.displaced, Displaced::Value(_)) {
            self.roster.note(inserted.id);
        }
    }

    /// What another instance knows of a datagram; what is newer here stays.
    pub(crate) fn learn(&mut self, datagram: FragmentKey, known: T, seen: Time) {
        let here = self.firsts.get(&datagram, datagram.hash_with(self.seed));
        if here.is_none_or(|(_, here)| *here < seen) {
            self.first(datagram, known, seen);
        }
    }

    /// What is known of the datagram that a later fragment is of.
    pub(crate) fn later(&self, datagram: FragmentKey, now: Time) -> Option<T> {
        let (known, seen) = self.firsts.get(&datagram, datagram.hash_with(self.seed))?;
        (now.since(*seen) <= LIFETIME).then_some(*known)
    }

    /// Forgets a datagram.
    pub(crate) fn forget(&mut self, datagram: &FragmentKey) {
        self.firsts.remove(datagram, datagram.hash_with(self.seed));
    }

    /// Shows datagrams, and when their first fragment was seen, from place `from` on, until `show` wanted `count` of
    /// them; returns where to go on.
    pub(crate) fn page(
        &self,
        from: u64,
        count: usize,
        mut show: impl FnMut(FragmentKey, &T, Time) -> bool,
    ) -> Option<u64> {
        self.roster.page(from, count, |id| {
            self.firsts.entry(id).is_some_and(|(datagram, (known, seen))| show(*datagram, known, *seen))
        })
    }
}
