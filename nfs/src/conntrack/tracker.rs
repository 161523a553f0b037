//! The connections of one worker, for any NF that wants to know of them.

use super::config::Settings;
use super::connection::{Connection, Content};
use super::ledger::{Ledger, Turnover};
use super::packet::{First, Packet, Transport, steered};
use super::tcp::Segment;
use super::verdict::{Cause, Verdict};
use crate::fragments::Fragments;
use engine::{BURST, Time};
use std::collections::BTreeMap;
use wire::{Ends4, FlowKey, FlowKey6, FragmentKey, Headers};

/// Connections of each IP version that may be forgotten per tick.
const PER_TICK: usize = 256;

/// What is left to do for a staged packet.
#[derive(Clone, Copy)]
enum Work {
    Judged(Verdict),
    /// Number in the ledger.
    V4(u8),
    V6(u8),
    /// Place in `unusual`.
    Later,
    /// The same, and that of a first fragment.
    First(Version, u8),
}

#[derive(Clone, Copy)]
enum Version {
    V4,
    V6,
}

/// What a fragment is, beside its place in a ledger.
#[derive(Clone, Copy)]
enum Unusual {
    Nothing,
    Later(super::packet::Later),
    First(FragmentKey, First),
    /// A later one, and what is known of its datagram.
    Part(Transport),
}

/// Connections of one worker: TCP with its windows, UDP, ICMP, anything else between two addresses.
///
/// For each burst: [`stage`](Self::stage) every packet in order, then [`settle`](Self::settle). Memory is taken when
/// it is made, and bounded; nothing that packets do makes it grow.
pub struct Tracker {
    settings: Settings,
    seed: u64,
    v4: Ledger<Ends4>,
    v6: Ledger<FlowKey6>,
    fragments: Fragments<First>,
    work: [Work; BURST],
    unusual: [Unusual; BURST],
    verdicts: [Verdict; BURST],
    staged: usize,
}

/// Connections on their way to another worker's tracker.
#[derive(Default)]
pub struct Moved {
    connections: Vec<(FlowKey, Connection)>,
    datagrams: Vec<(FragmentKey, First, Time)>,
}

impl Tracker {
    /// Without connections. `seed` keeps those who send packets from choosing where they are kept.
    pub fn new(settings: Settings, seed: u64) -> Tracker {
        Tracker {
            settings,
            seed,
            v4: Ledger::new(settings.capacity, seed),
            v6: Ledger::new(settings.capacity, seed),
            fragments: Fragments::new(seed),
            work: [Work::Judged(Verdict::Untracked); BURST],
            unusual: [Unusual::Nothing; BURST],
            verdicts: [Verdict::Untracked; BURST],
            staged: 0,
        }
    }

    /// Notes the next packet of a burst; at most [`engine::BURST`] before [`settle`](Self::settle).
    #[inline(always)]
    pub fn stage(&mut self, headers: &Headers, frame: &[u8]) {
        let place = self.staged.min(BURST - 1);
        self.staged = place + 1;
        if let Some(packet) = headers.usual_ipv4(frame) {
            let content = if packet.is_tcp() {
                Segment::of(headers, frame).map(Content::Tcp)
            } else {
                Some(Content::Datagram)
            };
            if let Some(content) = content {
                self.work[place] = Work::V4(self.v4.stage(Ends4::of_usual(packet), false, content));
                return;
            }
        }
        self.stage_any(place, headers, frame);
    }

    fn stage_any(&mut self, place: usize, headers: &Headers, frame: &[u8]) {
        let (key, about, content) = match Packet::new(headers, frame) {
            Packet::Of(key, content) => (key, false, content),
            Packet::About(key) => (key, true, Content::Datagram),
            Packet::Later(later) => {
                self.unusual[place] = Unusual::Later(later);
                self.work[place] = Work::Later;
                return;
            }
            Packet::Judged(verdict) => {
                self.work[place] = Work::Judged(verdict);
                return;
            }
        };
        let (version, number) = match &key {
            FlowKey::V4(key) => (Version::V4, self.v4.stage(Ends4::of(key), about, content)),
            FlowKey::V6(key) => (Version::V6, self.v6.stage(key.canonical(), about, content)),
        };
        self.work[place] = match version {
            Version::V4 => Work::V4(number),
            Version::V6 => Work::V6(number),
        };
        if headers.is_first_fragment()
            && let Some(datagram) = FragmentKey::from_packet(headers, frame)
        {
            let header = headers
                .payload_offset()
                .zip(headers.l4_offset())
                .map_or(0, |(end, at)| end.saturating_sub(at));
            self.unusual[place] =
                Unusual::First(datagram, First::new(&key, header, headers, frame, &content));
            self.work[place] = Work::First(version, number);
        }
    }

    /// Judges the staged packets in order: one verdict each.
    ///
    /// Before a packet begins a connection, `admit` is asked with the packet's place in the burst. If it says no there
    /// is no connection, and the verdict is [`Verdict::New`] all the same: the packet is about to be dropped by
    /// whoever asked, and nothing that follows may count on it.
    #[inline(always)]
    pub fn settle(&mut self, now: Time, mut admit: impl FnMut(usize) -> bool) -> &[Verdict] {
        let staged = std::mem::take(&mut self.staged);
        self.v4.fetch();
        self.v6.fetch();
        for place in 0..staged {
            let settings = &self.settings;
            self.verdicts[place] = match self.work[place] {
                Work::V4(number) => self.v4.judge(number, settings, now, || admit(place)),
                Work::V6(number) => self.v6.judge(number, settings, now, || admit(place)),
                Work::Judged(verdict) => verdict,
                Work::Later => self.judge_later(place, now),
                Work::First(version, number) => {
                    let verdict = match version {
                        Version::V4 => self.v4.judge(number, settings, now, || admit(place)),
                        Version::V6 => self.v6.judge(number, settings, now, || admit(place)),
                    };
                    self.note_first(place, verdict, now);
                    verdict
                }
            };
        }
        &self.verdicts[..staged]
    }

    /// What the transport header of the settled packet at `place` would say, if it were not a later fragment; `None`
    /// when that is not known.
    pub fn transport(&self, place: usize) -> Option<Transport> {
        match (self.work.get(place)?, self.unusual.get(place)?) {
            (Work::Later, Unusual::Part(transport)) => Some(*transport),
            _ => None,
        }
    }

    #[cold]
    fn note_first(&mut self, place: usize, verdict: Verdict, now: Time) {
        let Unusual::First(datagram, first) = self.unusual[place] else { return };
        match verdict {
            // What was known of the datagram is of no use: another one would complete it.
            Verdict::Invalid(_) => self.fragments.forget(&datagram),
            _ => self.fragments.first(datagram, first, now),
        }
    }

    #[cold]
    fn judge_later(&mut self, place: usize, now: Time) -> Verdict {
        let Unusual::Later(later) = self.unusual[place] else { return Verdict::Untracked };
        let first = self.fragments.later(later.datagram, now).ok_or(Cause::FragmentUnknown);
        let within = first.and_then(|first| Ok((later.within(first)?, first.transport())));
        if let Ok((_, transport)) = within {
            self.unusual[place] = Unusual::Part(transport);
        }
        match within.map(|(within, _)| within) {
            Err(cause) => Verdict::Invalid(cause),
            Ok((FlowKey::V4(key), content)) => {
                self.v4.judge_now(Ends4::of(&key), content, &self.settings, now)
            }
            Ok((FlowKey::V6(key), content)) => {
                self.v6.judge_now(key.canonical(), content, &self.settings, now)
            }
        }
    }

    /// Forgets what was quiet for too long; to be called about once a millisecond.
    pub fn expire(&mut self, now: Time) {
        self.v4.expire(now, PER_TICK);
        self.v6.expire(now, PER_TICK);
    }

    /// Connections of IPv4 and of IPv6.
    pub fn len(&self) -> [usize; 2] {
        [self.v4.len(), self.v6.len()]
    }

    /// Whether there is no connection.
    pub fn is_empty(&self) -> bool {
        self.len() == [0, 0]
    }

    /// Connections that may give way to new ones: half-open, or over.
    pub fn expendable(&self) -> usize {
        self.v4.expendable() + self.v6.expendable()
    }

    /// How many connections came and went.
    pub fn turnover(&self) -> Turnover {
        self.v4.turnover + self.v6.turnover
    }

    /// Memory for each connection of the capacity, of IPv4 and of IPv6, in bytes.
    pub fn bytes_per_connection(&self) -> [usize; 2] {
        [self.v4.bytes_per_connection(), self.v6.bytes_per_connection()]
    }

    pub(super) fn capacity(&self) -> usize {
        self.settings.capacity
    }

    /// What is known of a connection by its canonical key.
    pub(super) fn get(&self, key: &FlowKey) -> Option<&Connection> {
        match key {
            FlowKey::V4(key) => self.v4.get(&Ends4::of(key).0),
            FlowKey::V6(key) => self.v6.get(key),
        }
    }

    /// Takes in a connection from elsewhere. False when there is no room.
    pub(super) fn take_in(&mut self, key: FlowKey, connection: Connection) -> bool {
        match key {
            FlowKey::V4(key) => self.v4.insert(Ends4::of(&key).0, connection, &self.settings),
            FlowKey::V6(key) => self.v6.insert(key, connection, &self.settings),
        }
    }

    pub(super) fn take_in_datagram(&mut self, datagram: FragmentKey, first: First, seen: Time) {
        self.fragments.first(datagram, first, seen);
    }

    /// Forgets a connection by its canonical key.
    pub(super) fn forget(&mut self, key: &FlowKey) -> bool {
        match key {
            FlowKey::V4(key) => self.v4.forget(&Ends4::of(key).0),
            FlowKey::V6(key) => self.v6.forget(key),
        }
    }

    /// Shows connections by their canonical keys from place `from` on, IPv4 first, until `show` wanted `count` of
    /// them; returns where to go on.
    pub(super) fn page(
        &self,
        from: u64,
        count: usize,
        mut show: impl FnMut(FlowKey, &Connection) -> bool,
    ) -> Option<u64> {
        let border = self.v4.capacity() as u64;
        if from < border {
            let next = self.v4.page(from, count, |key, connection| show(key.into(), connection));
            return Some(next.unwrap_or(border));
        }
        let next = self.v6.page(from - border, count, |key, connection| show(key.into(), connection));
        next.map(|next| border + next)
    }

    /// The same with datagrams of which fragments may come.
    pub(super) fn page_of_datagrams(
        &self,
        from: u64,
        count: usize,
        show: impl FnMut(FragmentKey, &First, Time) -> bool,
    ) -> Option<u64> {
        self.fragments.page(from, count, show)
    }

    /// Everything, by canonical keys.
    fn all(&self) -> Moved {
        let mut moved = Moved::default();
        let mut from = Some(0);
        while let Some(at) = from {
            from = self.page(at, usize::MAX, |key, connection| {
                moved.connections.push((key, *connection));
                true
            });
        }
        self.page_of_datagrams(0, usize::MAX, |datagram, first, seen| {
            moved.datagrams.push((datagram, *first, seen));
            true
        });
        moved
    }

    /// Takes over from another tracker, whose settings may be others. What there is no room for is let go.
    pub fn adopt(&mut self, old: Tracker) {
        if (self.settings, self.seed) == (old.settings, old.seed) {
            *self = old;
        } else {
            self.join(old.all());
        }
    }

    /// Gives up the connections that other workers than `here` own.
    pub fn split(
        &mut self,
        here: usize,
        owner: &dyn Fn(&FlowKey) -> usize,
    ) -> impl Iterator<Item = (usize, Moved)> + use<> {
        let mut parts: BTreeMap<usize, Moved> = BTreeMap::new();
        let Moved { connections, datagrams } = self.all();
        for (key, connection) in connections {
            let worker = owner(&steered(key, connection.originator));
            if worker != here {
                self.forget(&key);
                parts.entry(worker).or_default().connections.push((key, connection));
            }
        }
        for (datagram, first, seen) in datagrams {
            let worker = owner(&first.steered(&datagram));
            if worker != here {
                self.fragments.forget(&datagram);
                parts.entry(worker).or_default().datagrams.push((datagram, first, seen));
            }
        }
        parts.into_iter()
    }

    /// Takes in what another worker's tracker gave up.
    pub fn join(&mut self, moved: Moved) {
        for (key, connection) in moved.connections {
            self.take_in(key, connection);
        }
        for (datagram, first, seen) in moved.datagrams {
            self.take_in_datagram(datagram, first, seen);
        }
    }
}
