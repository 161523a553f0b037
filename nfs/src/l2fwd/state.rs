//! Stations leave and enter as records of kind `mac`.

use super::L2Fwd;
use super::station::Station;
use super::table::Place;
use engine::{Cursor, PAGE, Record, Role, Scope, Selector, State, StateError, Time};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashSet;

const KIND: &str = "mac";
const VERSION: u32 = 1;

/// Key of a record.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    mac: String,
    vlan: u16,
}

/// Value of a record.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// Name of the port.
    port: String,
    /// Set by an operator.
    #[serde(rename = "static")]
    fixed: bool,
    /// Nanoseconds since the epoch.
    seen: u64,
}

impl L2Fwd {
    /// All workers know the same stations. Each exports those that fall to it, so that every one is exported once.
    fn exports(&self, station: Station) -> bool {
        self.table.hash(station) as usize % self.worker.count.max(1) == self.worker.index
    }

    fn record(&self, station: Station, place: Place) -> Record {
        Record {
            kind: KIND.to_owned(),
            version: VERSION,
            role: if place.fixed { Role::Configuring } else { Role::Supporting },
            scope: Scope::Shared,
            key: json!(Key { mac: station.mac().to_string(), vlan: station.vlan() }),
            value: json!(Entry {
                port: self.plan.port_name(place.port).to_owned(),
                fixed: place.fixed,
                seen: place.seen.as_nanos(),
            }),
        }
    }

    fn parse(&self, record: &Record) -> Result<(Station, Place), StateError> {
        if record.kind != KIND {
            return Err(StateError::UnknownKind(record.kind.clone()));
        }
        if record.version > VERSION {
            return Err(StateError::TooNew { kind: KIND.to_owned(), found: record.version, known: VERSION });
        }
        let malformed = |message: String| StateError::Malformed { kind: KIND.to_owned(), message };
        let key: Key = typed(&record.key).map_err(malformed)?;
        let entry: Entry = typed(&record.value).map_err(malformed)?;
        let mac: wire::Mac = key.mac.parse().map_err(|error| malformed(format!("{}: {error}", key.mac)))?;
        if !mac.is_unicast() || key.vlan > 4095 {
            return Err(malformed(format!("{mac} in VLAN {} is no station", key.vlan)));
        }
        let port =
            self.plan.port(&entry.port).ok_or_else(|| malformed(format!("no port '{}'", entry.port)))?;
        let (fixed, seen) = (entry.fixed, Time::from_nanos(entry.seen));
        Ok((Station::new(key.vlan, mac), Place { port, fixed, seen, told: Time::ZERO }))
    }

    /// The stations of records for which there is room.
    fn admitted(&self, records: &[Record]) -> Result<Vec<(Station, Place)>, StateError> {
        let parsed = records.iter().map(|record| self.parse(record)).collect::<Result<Vec<_>, _>>()?;
        let new: HashSet<Station> =
            parsed.iter().map(|(station, _)| *station).filter(|s| self.table.get(*s).is_none()).collect();
        let needed = self.table.len() + new.len();
        if needed > self.table.capacity() {
            return Err(StateError::Full { needed, capacity: self.table.capacity() });
        }
        Ok(parsed)
    }

    /// Takes over what a former instance learned or was told, as far as it fits the new configuration.
    pub(super) fn inherit(&mut self, old: L2Fwd) {
        if self.plan.same_table(&old.plan) {
            (self.table, self.retelling) = (old.table, old.retelling);
            return;
        }
        if self.plan.vlan_aware != old.plan.vlan_aware {
            return;
        }
        for (station, place) in old.table.all() {
            let configured = old.plan.table.iter().any(|(known, _)| *known == station);
            let wanted = if place.fixed { !configured } else { self.plan.learn };
            let Some(port) = self.plan.port(old.plan.port_name(place.port)) else { continue };
            if wanted && self.table.get(station).is_none_or(|known| !known.fixed) {
                self.table.insert(station, Place { port, ..place });
            }
        }
    }
}

fn typed<T: for<'de> Deserialize<'de>>(value: &Value) -> Result<T, String> {
    T::deserialize(value).map_err(|error| error.to_string())
}

impl State for L2Fwd {
    fn export(&self, cursor: Cursor, selector: &Selector, out: &mut Vec<Record>) -> Option<Cursor> {
        let of_flows = selector.address.is_some() || selector.port.is_some() || selector.protocol.is_some();
        if of_flows || !selector.wants_kind(KIND) {
            return None;
        }
        let next = self.table.page(cursor.0, PAGE, |station, place| {
            let current = self.table.is_current(&place, self.now);
            let wanted = current && self.exports(station) && selector.wants_time(place.seen);
            if wanted {
                out.push(self.record(station, place));
            }
            wanted
        });
        next.map(Cursor)
    }

    fn import(&mut self, records: &[Record]) -> Result<(), StateError> {
        for (station, place) in self.admitted(records)? {
            // What was learned elsewhere does not move a station that has a fixed place here.
            if place.fixed || self.table.get(station).is_none_or(|known| !known.fixed) {
                self.table.insert(station, place);
            }
        }
        self.retelling = Some(0);
        Ok(())
    }

    fn admits(&self, records: &[Record]) -> Result<(), StateError> {
        self.admitted(records).map(|_| ())
    }
}
