//! Where stations are: static entries that stay, learned ones that age and move.

use super::config::Plan;
use super::station::Station;
use crate::roster::Roster;
use engine::{Time, Update};
use tables::flow_table::{Displaced, EntryId, FlowTable};

/// Timers are this coarse.
const TICK_NANOS: u64 = 100_000_000;
/// So often within the ageing time the other workers hear that a station is still there.
const TELLS: u64 = 4;
/// The first byte of an update that tells of a place.
const LEARNED: u8 = 1;

/// Where a station is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    /// Number of the port.
    pub port: u16,
    /// Set by an operator: it neither ages nor moves.
    pub fixed: bool,
    /// The latest frame from the station.
    pub seen: Time,
    /// When the other workers were last told; the epoch when they still have to be.
    pub told: Time,
}

/// What learning from a frame came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Learned {
    /// It was known, there.
    Known,
    /// It is new.
    New,
    /// It was known elsewhere.
    Moved,
    /// It has a fixed place, which is another.
    Contradicts,
    /// There is no room.
    Full,
}

/// Places of stations. All memory is taken when it is made.
pub(super) struct Table {
    entries: FlowTable<Station, Place>,
    roster: Roster,
    seed: u64,
    ageing_nanos: u64,
}

impl Table {
    /// With the static entries of the configuration.
    pub(super) fn new(plan: &Plan) -> Table {
        let entries = FlowTable::with_capacity(plan.capacity, plan.seed).expiring(TICK_NANOS, 0);
        let mut table = Table {
            entries,
            roster: Roster::new(plan.capacity),
            seed: plan.seed,
            ageing_nanos: plan.ageing_nanos,
        };
        for &(station, port) in &plan.table {
            table.fix(station, port);
        }
        table
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn capacity(&self) -> usize {
        self.entries.capacity()
    }

    pub(super) fn hash(&self, station: Station) -> u32 {
        station.hash(self.seed)
    }

    /// The entries of many stations at once.
    pub(super) fn find_all(&self, stations: &[Station], hashes: &[u32], found: &mut [Option<EntryId>]) {
        self.entries.lookup_bulk(stations, hashes, found);
    }

    /// The place of an entry that was found, unless it has aged: timers may be late.
    pub(super) fn place(&self, found: Option<EntryId>, now: Time) -> Option<Place> {
        let place = found.and_then(|id| self.entries.entry(id)).map(|(_, place)| *place);
        place.filter(|place| self.is_current(place, now))
    }

    /// It was seen within the ageing time, or is fixed.
    pub(super) fn is_current(&self, place: &Place, now: Time) -> bool {
        place.fixed || now.as_nanos() < place.seen.as_nanos().saturating_add(self.ageing_nanos)
    }

    pub(super) fn get(&self, station: Station) -> Option<Place> {
        self.entries.get(&station, self.hash(station)).copied()
    }

    /// A frame came from `station` by `port`; `found` is the entry if one was found before. Also says whether the
    /// other workers should be told.
    pub(super) fn learn(
        &mut self,
        station: Station,
        port: u16,
        now: Time,
        found: Option<EntryId>,
    ) -> (Learned, bool) {
        let found = found.or_else(|| self.entries.find(&station, self.hash(station)));
        let Some((id, place)) = found.and_then(|id| self.entries.value_mut(id).map(|place| (id, place)))
        else {
            let place = Place { port, fixed: false, seen: now, told: Time::ZERO };
            return if self.insert(station, place) { (Learned::New, true) } else { (Learned::Full, false) };
        };
        if place.fixed {
            return (if place.port == port { Learned::Known } else { Learned::Contradicts }, false);
        }
        let learned = if place.port == port { Learned::Known } else { Learned::Moved };
        if learned == Learned::Moved {
            (place.port, place.told) = (port, Time::ZERO);
        }
        place.seen = place.seen.max(now);
        let silence = now.as_nanos().saturating_sub(place.told.as_nanos());
        let tell = silence > self.ageing_nanos / TELLS;
        let deadline = place.seen.as_nanos().saturating_add(self.ageing_nanos);
        self.entries.touch(id, deadline);
        (learned, tell)
    }

    /// What to tell the other workers of a station.
    pub(super) fn news(&self, station: Station) -> Option<Update> {
        self.get(station).map(|place| encode(station, &place))
    }

    /// The other workers were told.
    pub(super) fn told(&mut self, station: Station, now: Time) {
        if let Some(place) = self.entries.get_mut(&station, station.hash(self.seed)) {
            place.told = now;
        }
    }

    /// What another worker learned. Of two places, that of the later frame counts.
    pub(super) fn hear(&mut self, update: &Update, now: Time) {
        let Some((station, place)) = decode(update) else { return };
        let stale = |known: Place| !place.fixed && (known.fixed || known.seen > place.seen);
        if self.get(station).is_some_and(stale) {
            return;
        }
        self.insert(station, Place { told: now, ..place });
    }

    /// Gives a station a place for good. `false` when there is no room.
    pub(super) fn fix(&mut self, station: Station, port: u16) -> bool {
        self.insert(station, Place { port, fixed: true, seen: Time::ZERO, told: Time::from_nanos(1) })
    }

    /// Puts or replaces an entry. `false` when there is no room.
    pub(super) fn insert(&mut self, station: Station, place: Place) -> bool {
        let hash = self.hash(station);
        let Ok(inserted) = self.entries.insert(station, hash, place) else { return false };
        if inserted.displaced == Displaced::Nothing {
            self.roster.note(inserted.id);
        }
        let deadline = match place.fixed {
            true => u64::MAX,
            false => place.seen.as_nanos().saturating_add(self.ageing_nanos),
        };
        self.entries.touch(inserted.id, deadline);
        true
    }

    pub(super) fn remove(&mut self, station: Station) -> bool {
        self.entries.remove(&station, station.hash(self.seed)).is_some()
    }

    /// Lets go what was not seen for long; returns how many.
    pub(super) fn age(&mut self, now: Time, budget: usize) -> usize {
        self.entries.expire(now.as_nanos(), budget, |_, _, _| {})
    }

    /// Shows entries from place `from` on, until `show` wanted `count` of them; returns where to go on.
    pub(super) fn page(
        &self,
        from: u64,
        count: usize,
        mut show: impl FnMut(Station, Place) -> bool,
    ) -> Option<u64> {
        self.roster.page(from, count, |id| {
            self.entries.entry(id).is_some_and(|(&station, &place)| show(station, place))
        })
    }

    /// All entries.
    pub(super) fn all(&self) -> Vec<(Station, Place)> {
        let mut all = Vec::with_capacity(self.len());
        let mut from = Some(0);
        while let Some(at) = from {
            from = self.page(at, self.capacity(), |station, place| {
                all.push((station, place));
                true
            });
        }
        all
    }

    /// Forgets up to `count` stations that were learned, of one port or of all, from place `from` on; returns how many,
    /// and where to go on.
    pub(super) fn flush(&mut self, port: Option<u16>, from: u64, count: usize) -> (usize, Option<u64>) {
        let mut gone = Vec::with_capacity(count);
        let next = self.page(from, count, |station, place| {
            let goes = !place.fixed && port.is_none_or(|port| port == place.port);
            if goes {
                gone.push(station);
            }
            goes
        });
        (gone.iter().filter(|station| self.remove(**station)).count(), next)
    }
}

/// A mark, the station (8 bytes), its port (2), the time of its latest frame (8), whether the place is fixed.
fn encode(station: Station, place: &Place) -> Update {
    let mut bytes = [0; 32];
    bytes[0] = LEARNED;
    bytes[1..9].copy_from_slice(&station.to_bytes());
    bytes[9..11].copy_from_slice(&place.port.to_be_bytes());
    bytes[11..19].copy_from_slice(&place.seen.as_nanos().to_be_bytes());
    bytes[19] = u8::from(place.fixed);
    Update(bytes)
}

fn decode(update: &Update) -> Option<(Station, Place)> {
    let bytes = &update.0;
    let station = Station::from_bytes(bytes.get(1..9)?.try_into().ok()?);
    let port = u16::from_be_bytes(bytes.get(9..11)?.try_into().ok()?);
    let seen = Time::from_nanos(u64::from_be_bytes(bytes.get(11..19)?.try_into().ok()?));
    let place = Place { port, fixed: bytes[19] != 0, seen, told: Time::ZERO };
    (bytes[0] == LEARNED).then_some((station, place))
}
