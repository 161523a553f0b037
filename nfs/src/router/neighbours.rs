//! Neighbours: who is at the other end of a hop, and packets that wait to learn it.
//!
//! A neighbour that is asked for the first time is *sought*: three questions a second apart, then it is given up. One
//! that was heard is *known*; when nothing was heard of it for the reachable time it is asked again, while packets still
//! go to it, and given up after three questions without an answer (RFC 4861 section 7.3 and, for IPv4, the same).

use super::config::Plan;
use super::interface::Hop;
use crate::roster::Roster;
use engine::{Packet, Time, WorkerSite};
use std::collections::BTreeSet;
use std::time::Duration;
use tables::flow_table::FlowTable;
use wire::Mac;

/// Time between two questions (RFC 4861 section 10, RETRANS_TIMER).
pub(super) const AGAIN: Duration = Duration::from_secs(1);
/// Questions without an answer before a neighbour is given up (RFC 4861 section 10).
pub(super) const QUESTIONS: u8 = 3;
/// Neighbours that are sought at a time.
pub(super) const MOST_SOUGHT: usize = 256;
/// Packets that wait for one neighbour; one more takes the place of the oldest (RFC 4861 section 7.2.2).
pub(super) const MOST_WAITING_EACH: usize = 8;
/// Packets that wait in all.
pub(super) const MOST_WAITING: usize = 256;
/// A worker that another one asks for leaves that one this much time before it asks, too.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is known of a neighbour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Neighbour {
    /// None: it is sought.
    pub mac: Option<Mac>,
    /// Set by the configuration: it never changes.
    pub fixed: bool,
    /// When it was last heard.
    pub heard: Time,
    /// Questions since then.
    pub asked: u8,
    /// When to ask again.
    pub due: Time,
    /// When the other workers were last told of it.
    pub told: Time,
}

/// What a look for a neighbour came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Found {
    Known(Mac),
    /// It was not sought before: it is to be asked.
    New,
    /// It was asked already.
    Sought,
    /// No room to seek one more.
    Full,
}

/// What became of a neighbour whose time came.
pub(super) enum Overdue {
    /// It is to be asked; at this address, when it was known.
    Ask(Hop, Option<Mac>),
    /// It is given up; whether it was known.
    Gone(Hop, bool),
}

/// Neighbours and waiting packets of one worker. Bounded memory, taken when it is made but for the timers' nodes.
pub(super) struct Neighbours {
    table: FlowTable<Hop, Neighbour>,
    roster: Roster,
    /// When which is to be looked at, all but fixed ones.
    timers: BTreeSet<(Time, Hop)>,
    sought: usize,
    waiting: Vec<(Hop, Packet)>,
    seed: u64,
    reachable: Duration,
    worker: WorkerSite,
}

impl Neighbours {
    pub fn new(plan: &Plan, worker: WorkerSite) -> Neighbours {
        let mut neighbours = Neighbours {
            table: FlowTable::with_capacity(plan.capacity, plan.seed),
            roster: Roster::new(plan.capacity),
            timers: BTreeSet::new(),
            sought: 0,
            waiting: Vec::with_capacity(MOST_WAITING),
            seed: plan.seed,
            reachable: Duration::from_nanos(plan.reachable_nanos),
            worker,
        };
        for &(hop, mac) in &plan.neighbours {
            let fixed = Neighbour {
                mac: Some(mac),
                fixed: true,
                heard: Time::ZERO,
                asked: 0,
                due: Time::ZERO,
                told: Time::ZERO,
            };
            neighbours.put(hop, fixed);
        }
        neighbours
    }

    pub fn len(&self) -> usize {
        self.table.len()
    }

    pub fn capacity(&self) -> usize {
        self.table.capacity()
    }

    pub fn get(&self, hop: &Hop) -> Option<&Neighbour> {
        self.table.get(hop, hop.hash(self.seed))
    }

    /// The MAC address of a neighbour that is known.
    #[inline]
    pub fn mac(&self, hop: &Hop) -> Option<Mac> {
        self.get(hop)?.mac
    }

    /// Whether this worker is the one that asks for and exports a neighbour that all know.
    pub fn is_mine(&self, hop: &Hop) -> bool {
        hop.hash(self.seed) as usize % self.worker.count.max(1) == self.worker.index
    }

    /// They belong to that worker now.
    pub fn move_to(&mut self, worker: WorkerSite) {
        self.worker = worker;
    }

    /// Puts or replaces one; `false` when there is no room.
    pub fn put(&mut self, hop: Hop, neighbour: Neighbour) -> bool {
        if let Some(old) = self.get(&hop).copied() {
            self.unlist(&hop, &old);
        }
        let Ok(inserted) = self.table.insert(hop, hop.hash(self.seed), neighbour) else { return false };
        self.roster.note(inserted.id);
        if !neighbour.fixed {
            self.timers.insert((neighbour.due, hop));
        }
        self.sought += usize::from(neighbour.mac.is_none());
        true
    }

    fn unlist(&mut self, hop: &Hop, old: &Neighbour) {
        self.timers.remove(&(old.due, *hop));
        self.sought -= usize::from(old.mac.is_none());
    }

    pub fn remove(&mut self, hop: &Hop) -> Option<Neighbour> {
        let (_, old) = self.table.remove(hop, hop.hash(self.seed))?;
        self.unlist(hop, &old);
        Some(old)
    }

    /// Looks for a neighbour, and begins to seek one that is not there.
    pub fn seek(&mut self, hop: Hop, now: Time) -> Found {
        match self.get(&hop) {
            Some(Neighbour { mac: Some(mac), .. }) => return Found::Known(*mac),
            Some(_) => return Found::Sought,
            None => {}
        }
        if self.sought >= MOST_SOUGHT {
            return Found::Full;
        }
        let due = now + AGAIN;
        let sought = Neighbour { mac: None, fixed: false, heard: now, asked: 1, due, told: Time::ZERO };
        if self.put(hop, sought) { Found::New } else { Found::Full }
    }

    /// A neighbour was heard to have this address. Whether that is news, and whether the other workers should be told.
    /// `create`: also one that was not known before.
    pub fn heard(&mut self, hop: Hop, mac: Mac, now: Time, create: bool) -> (bool, bool) {
        let old = self.get(&hop).copied();
        let Some(old) = old.or_else(|| {
            let new = Neighbour { mac: None, fixed: false, heard: now, asked: 0, due: now, told: Time::ZERO };
            create.then_some(new)
        }) else {
            return (false, false);
        };
        if old.fixed {
            return (false, false);
        }
        let news = old.mac != Some(mac);
        let tell = news || now.since(old.told) >= self.reachable / 4;
        let slack = if self.is_mine(&hop) { Duration::ZERO } else { PATIENCE };
        let told = if tell { now } else { old.told };
        let due = now + self.reachable + slack;
        let known = Neighbour { mac: Some(mac), fixed: false, heard: now, asked: 0, due, told };
        let kept = self.put(hop, known);
        (news && kept, tell && kept)
    }

    /// The other workers could not be told: it is told with the next message.
    pub fn untold(&mut self, hop: &Hop) {
        if let Some(neighbour) = self.table.get_mut(hop, hop.hash(self.seed)) {
            neighbour.told = Time::ZERO;
        }
    }

    /// The next neighbour whose time has come.
    pub fn overdue(&mut self, now: Time) -> Option<Overdue> {
        let &(due, hop) = self.timers.first()?;
        if due > now {
            return None;
        }
        // Whoever has a timer is in the table.
        let old = *self.get(&hop)?;
        if old.asked >= QUESTIONS {
            self.remove(&hop);
            return Some(Overdue::Gone(hop, old.mac.is_some()));
        }
        self.put(hop, Neighbour { asked: old.asked + 1, due: now + AGAIN, ..old });
        Some(Overdue::Ask(hop, old.mac))
    }

    /// Lets a packet wait for a neighbour; gives back the one that has to go for it.
    pub fn wait(&mut self, hop: Hop, packet: Packet) -> Option<Packet> {
        let mut of_hop = self.waiting.iter().enumerate().filter(|(_, (other, _))| *other == hop);
        let oldest = of_hop.next().map(|(i, _)| i);
        let count = usize::from(oldest.is_some()) + of_hop.count();
        let evicted = match oldest {
            Some(oldest) if count >= MOST_WAITING_EACH => Some(self.waiting.remove(oldest).1),
            _ if self.waiting.len() >= MOST_WAITING => return Some(packet),
            _ => None,
        };
        self.waiting.push((hop, packet));
        evicted
    }

    /// The oldest packet that waits for this neighbour.
    pub fn next_waiting(&mut self, hop: &Hop) -> Option<Packet> {
        let place = self.waiting.iter().position(|(other, _)| other == hop)?;
        Some(self.waiting.remove(place).1)
    }

    /// Any packet that waits.
    pub fn pop_waiting(&mut self) -> Option<Packet> {
        self.waiting.pop().map(|(_, packet)| packet)
    }

    /// Shows entries from place `from` on, until `show` wanted `count` of them; returns where to go on.
    pub fn page(
        &self,
        from: u64,
        count: usize,
        mut show: impl FnMut(&Hop, &Neighbour) -> bool,
    ) -> Option<u64> {
        self.roster.page(from, count, |id| self.table.entry(id).is_some_and(|(hop, known)| show(hop, known)))
    }

    /// All entries.
    pub fn all(&self) -> Vec<(Hop, Neighbour)> {
        let mut all = Vec::with_capacity(self.len());
        let mut from = Some(0);
        while let Some(at) = from {
            from = self.page(at, self.capacity(), |hop, neighbour| {
                all.push((*hop, *neighbour));
                true
            });
        }
        all
    }
}
