//! A merge point: of each packet one copy goes on, in order, and what is missing is waited for, though not for long.

use crate::packet::Packet;
use crate::quantity::Picos;
use std::collections::{BTreeMap, BTreeSet};

/// Bytes behind which copies are no longer looked for: more than any window.
const BEHIND: u32 = 4_000_000;

/// What becomes of a packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Merged {
    /// These go on, in this order.
    On(Vec<Packet>),
    /// It waits for one before it.
    Held,
    /// It has been here already.
    Copy,
}

/// One flow at its merge point.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Merge {
    /// The byte that is next.
    next: u32,
    held: BTreeMap<(u32, u16), Packet>,
    /// Since when one is held.
    since: Option<Picos>,
    /// First byte and identification of those that were here. A sender's own retransmission has another identification.
    seen: BTreeSet<(u32, u16)>,
}

impl Merge {
    /// A merge point before which so many bytes have passed.
    pub fn new(next: u32) -> Merge {
        Merge { next, ..Merge::default() }
    }

    /// A packet comes.
    pub fn take(&mut self, packet: Packet, now: Picos) -> Merged {
        let id = (packet.number, packet.ident);
        if !self.seen.insert(id) {
            return Merged::Copy;
        }
        if self.seen.len() > 4096 {
            let old = self.next.saturating_sub(BEHIND);
            self.seen = self.seen.split_off(&(old, 0));
        }
        if packet.number > self.next {
            self.held.insert(id, packet);
            self.since.get_or_insert(now);
            return Merged::Held;
        }
        let mut on = vec![packet];
        self.pass(&packet);
        while let Some(entry) = self.held.first_entry().filter(|entry| entry.key().0 <= self.next) {
            let packet = entry.remove();
            self.pass(&packet);
            on.push(packet);
        }
        self.since = (!self.held.is_empty()).then_some(now);
        Merged::On(on)
    }

    fn pass(&mut self, packet: &Packet) {
        self.next = self.next.max(packet.number.saturating_add(packet.len.into()));
    }

    /// When it will have waited long enough.
    pub fn due(&self, hold: Picos) -> Option<Picos> {
        self.since.map(|since| since.saturating_add(hold))
    }

    /// Everything that it holds, in order: what is missing does not come.
    pub fn give_up(&mut self) -> Vec<Packet> {
        self.since = None;
        let held: Vec<Packet> = std::mem::take(&mut self.held).into_values().collect();
        for packet in &held {
            self.pass(packet);
        }
        held
    }

    /// Packets that it holds.
    pub fn held(&self) -> u64 {
        self.held.len() as u64
    }
}
