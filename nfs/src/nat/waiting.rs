//! Later fragments that wait for their first (RFC 4787 REQ-14).

use engine::{Packet, Time};
use std::collections::VecDeque;
use std::time::Duration;
use wire::FragmentKey;

/// Fragments that may wait at once.
const MOST: usize = 256;
/// How long one waits: far above any reordering in a network.
const PATIENCE: Duration = Duration::from_secs(2);

/// Held fragments, the oldest first. All memory is taken when it is made.
pub(super) struct Waiting(VecDeque<Fragment>);

struct Fragment {
    datagram: FragmentKey,
    packet: Packet,
    since: Time,
}

impl Waiting {
    pub(super) fn new() -> Waiting {
        Waiting(VecDeque::with_capacity(MOST))
    }

    /// Holds a fragment; returns the one that has waited longest where there is no room for both.
    pub(super) fn hold(&mut self, datagram: FragmentKey, packet: Packet, now: Time) -> Option<Packet> {
        let oldest = if self.0.len() == MOST { self.0.pop_front() } else { None };
        self.0.push_back(Fragment { datagram, packet, since: now });
        oldest.map(|fragment| fragment.packet)
    }

    /// The next fragment of a datagram whose first has come, in order of arrival.
    pub(super) fn next_of(&mut self, datagram: FragmentKey) -> Option<Packet> {
        let at = self.0.iter().position(|fragment| fragment.datagram == datagram)?;
        self.0.remove(at).map(|fragment| fragment.packet)
    }

    /// The next fragment that has waited for too long.
    pub(super) fn next_expired(&mut self, now: Time) -> Option<Packet> {
        self.0.pop_front_if(|fragment| now.since(fragment.since) > PATIENCE).map(|fragment| fragment.packet)
    }

    /// The fragment that has waited longest.
    pub(super) fn give_up(&mut self) -> Option<Packet> {
        self.0.pop_front().map(|fragment| fragment.packet)
    }
}
