//! Connections, what was said of back-ends, and datagrams in fragments leave and enter as records of kind `connection`,
//! `backend` and `fragment`.

use super::connections::Connection;
use super::{Course, Health, Lb, Standing};
use crate::fragments::Datagram;
use crate::lb::config::{MOST_WEIGHT, Mode, PROTOCOLS};
use engine::{Cursor, PAGE, Record, Role, Scope, Selector, State, StateError, Time};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use wire::{FlowKey, FlowKey4, FlowKey6, FragmentKey, Words4};

const CONNECTION: &str = "connection";
const BACKEND: &str = "backend";
const FRAGMENT: &str = "fragment";
/// The cursor at which fragments begin.
const FRAGMENTS: u64 = 1 << 40;
/// Version 1 told back-ends by names without their protocol.
const VERSION: u32 = 2;

/// Key of a connection: as its packets to the service have it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    src: IpAddr,
    sport: u16,
    dst: IpAddr,
    dport: u16,
    proto: u8,
}

/// Value of a connection; the time in nanoseconds since the epoch.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Value {
    backend: String,
    last: u64,
}

/// Key of a back-end.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BackendKey {
    backend: String,
}

/// Value of a back-end.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BackendValue {
    health: Health,
    weight: u32,
}

/// Value of a datagram: where its first fragment went, to the back-end or from it to a client, and when.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FragmentValue {
    backend: String,
    back: bool,
    seen: u64,
}

/// A record that was read.
enum Parsed {
    Connection(FlowKey, Connection),
    Backend(usize, Standing),
    Fragment(FragmentKey, Course, Time),
}

impl Lb {
    fn record(&self, key: FlowKey, connection: &Connection) -> Option<Record> {
        let backend = self.plan.backends.get(usize::from(connection.backend))?;
        Some(Record {
            kind: CONNECTION.to_owned(),
            version: VERSION,
            role: Role::Supporting,
            scope: Scope::Flow,
            key: json!(Key {
                src: key.source(),
                sport: key.source_port(),
                dst: key.destination(),
                dport: key.destination_port(),
                proto: key.protocol(),
            }),
            value: json!(Value { backend: backend.name.clone(), last: connection.last.as_nanos() }),
        })
    }

    /// What was said of a back-end at run time, if anything.
    fn said(&self, n: usize) -> Option<Record> {
        let (backend, standing) = (self.plan.backends.get(n)?, self.standings[n]);
        let as_configured = standing == Standing { health: Health::Up, weight: backend.weight };
        (!as_configured).then(|| Record {
            kind: BACKEND.to_owned(),
            version: VERSION,
            role: Role::Configuring,
            scope: Scope::Shared,
            key: json!(BackendKey { backend: backend.name.clone() }),
            value: json!(BackendValue { health: standing.health, weight: standing.weight }),
        })
    }

    fn fragment_record(&self, datagram: Datagram, course: Course, seen: Time) -> Option<Record> {
        let (Course::Forth(number) | Course::Back(number)) = course;
        let backend = self.plan.backends.get(usize::from(number))?.name.clone();
        let back = matches!(course, Course::Back(_));
        Some(Record {
            kind: FRAGMENT.to_owned(),
            version: VERSION,
            role: Role::Supporting,
            scope: Scope::Shared,
            key: json!(datagram),
            value: json!(FragmentValue { backend, back, seen: seen.as_nanos() }),
        })
    }

    /// The back-end of a name that a record of `version` has, of a service with that protocol if it is known.
    ///
    /// # Errors
    /// When the name of an old record says too little to tell which is meant.
    fn number(&self, name: &str, version: u32, proto: Option<u8>) -> Result<Option<usize>, String> {
        let by_name = &self.plan.by_name;
        if version >= 2 {
            return Ok(by_name.get(name).copied());
        }
        let told = PROTOCOLS.iter().filter(|(number, _)| proto.is_none_or(|proto| proto == *number));
        let mut named = told.filter_map(|(_, spoken)| by_name.get(&format!("{spoken} {name}")).copied());
        match (named.next(), named.next()) {
            (Some(_), Some(_)) => {
                Err(format!("'{name}' is a back-end of a TCP and of a UDP service: which is not told"))
            }
            (number, _) => Ok(number),
        }
    }

    /// `None`: of a back-end that is not there any more.
    fn parse(&self, record: &Record) -> Result<Option<Parsed>, StateError> {
        if ![CONNECTION, BACKEND, FRAGMENT].contains(&record.kind.as_str()) {
            return Err(StateError::UnknownKind(record.kind.clone()));
        }
        if record.version > VERSION {
            let (kind, found) = (record.kind.clone(), record.version);
            return Err(StateError::TooNew { kind, found, known: VERSION });
        }
        let malformed = |message: String| StateError::Malformed { kind: record.kind.clone(), message };
        let wrong = |error: serde_json::Error| malformed(error.to_string());
        if record.kind == BACKEND {
            let BackendKey { backend } = Deserialize::deserialize(&record.key).map_err(wrong)?;
            let BackendValue { health, weight } = Deserialize::deserialize(&record.value).map_err(wrong)?;
            if weight > MOST_WEIGHT {
                return Err(malformed(format!("the weight {weight} is above {MOST_WEIGHT}")));
            }
            let number = self.number(&backend, record.version, None).map_err(malformed)?;
            return Ok(number.map(|n| Parsed::Backend(n, Standing { health, weight })));
        }
        if record.kind == FRAGMENT {
            let datagram: Datagram = Deserialize::deserialize(&record.key).map_err(wrong)?;
            let datagram = datagram.try_into().map_err(|why: &str| malformed(why.to_owned()))?;
            let FragmentValue { backend, back, seen } =
                Deserialize::deserialize(&record.value).map_err(wrong)?;
            let course = if back { Course::Back } else { Course::Forth };
            let Some(n) = self.number(&backend, record.version, None).map_err(malformed)? else {
                return Ok(None);
            };
            let service = &self.plan.services[self.plan.backends[n].service];
            let same_version = matches!(datagram, FragmentKey::V4 { .. }) == service.endpoint.0.is_ipv4();
            if !same_version || back && service.mode != Mode::Nat {
                return Err(malformed(format!("such a datagram does not go by '{backend}'")));
            }
            return Ok(Some(Parsed::Fragment(datagram, course(n as u16), Time::from_nanos(seen))));
        }
        let Key { src, sport, dst, dport, proto } = Deserialize::deserialize(&record.key).map_err(wrong)?;
        let Value { backend, last } = Deserialize::deserialize(&record.value).map_err(wrong)?;
        let key = match (src, dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                FlowKey::V4(FlowKey4 { src: src.into(), dst: dst.into(), sport, dport, proto })
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                FlowKey::V6(FlowKey6 { src: src.into(), dst: dst.into(), sport, dport, proto })
            }
            (src, dst) => return Err(malformed(format!("{src} and {dst} are of different IP versions"))),
        };
        let Some(n) = self.number(&backend, record.version, Some(proto)).map_err(malformed)? else {
            return Ok(None);
        };
        if self.plan.by_endpoint.get(&(dst, dport, proto)) != Some(&self.plan.backends[n].service) {
            let to = SocketAddr::new(dst, dport);
            return Err(malformed(format!("{to}, protocol {proto}, is not the service of '{backend}'")));
        }
        let last = Time::from_nanos(last);
        Ok(Some(Parsed::Connection(key, Connection { last, backend: n as u16 })))
    }

    fn knows(&self, key: &FlowKey) -> bool {
        let seed = self.worker.seed;
        match key {
            FlowKey::V4(key) => {
                let words = Words4::from(*key);
                self.v4.get(&words, words.hash_with(seed)).is_some()
            }
            FlowKey::V6(key) => self.v6.get(key, key.hash_with(seed)).is_some(),
        }
    }

    /// Shows connections from place `from` on, IPv4 first, until `show` wanted `count`; returns where to go on.
    pub(super) fn page(
        &self,
        from: u64,
        count: usize,
        mut show: impl FnMut(FlowKey, &Connection) -> bool,
    ) -> Option<u64> {
        let border = self.v4.capacity() as u64;
        if from < border {
            let next = self.v4.page(from, count, |key, connection| show(FlowKey::V4(key.into()), connection));
            return Some(next.unwrap_or(border));
        }
        let next = self.v6.page(from - border, count, |key, connection| show(key.into(), connection));
        next.map(|next| border + next)
    }
}

fn is_wanted(selector: &Selector, key: &FlowKey, connection: &Connection) -> bool {
    let wants = |prefix: wire::Prefix| prefix.contains(key.source()) || prefix.contains(key.destination());
    selector.address.is_none_or(wants)
        && selector.port.is_none_or(|port| [key.source_port(), key.destination_port()].contains(&port))
        && selector.protocol.is_none_or(|protocol| protocol == key.protocol())
        && selector.wants_time(connection.last)
}

impl State for Lb {
    /// First what was said of back-ends, a place for each, then connections, then datagrams.
    fn export(&self, cursor: Cursor, selector: &Selector, out: &mut Vec<Record>) -> Option<Cursor> {
        if cursor.0 >= FRAGMENTS {
            if !selector.wants_kind(FRAGMENT) {
                return None;
            }
            let next = self.fragments.page(cursor.0 - FRAGMENTS, PAGE, |datagram, course, seen| {
                let datagram = Datagram::from(datagram);
                let wanted = datagram.is_wanted(selector, seen);
                out.extend(self.fragment_record(datagram, *course, seen).filter(|_| wanted));
                wanted
            });
            return next.map(|next| Cursor(FRAGMENTS + next));
        }
        let backends = self.plan.backends.len() as u64;
        if cursor.0 < backends {
            let to = cursor.0.saturating_add(PAGE as u64).min(backends);
            let of_flows =
                selector.address.is_some() || selector.port.is_some() || selector.protocol.is_some();
            if selector.wants_kind(BACKEND) && !of_flows {
                out.extend((cursor.0..to).filter_map(|n| self.said(n as usize)));
            }
            return Some(Cursor(to));
        }
        if !selector.wants_kind(CONNECTION) || !selector.wants_scope(Scope::Flow) {
            return Some(Cursor(FRAGMENTS));
        }
        let next = self.page(cursor.0 - backends, PAGE, |key, connection| {
            let record =
                is_wanted(selector, &key, connection).then(|| self.record(key, connection)).flatten();
            let wanted = record.is_some();
            out.extend(record);
            wanted
        });
        Some(next.map_or(Cursor(FRAGMENTS), |next| Cursor(backends + next)))
    }

    /// Replaces what was known of the same connections and back-ends.
    fn import(&mut self, records: &[Record]) -> Result<(), StateError> {
        let parsed = records.iter().map(|record| self.parse(record)).collect::<Result<Vec<_>, _>>()?;
        let parsed: Vec<Parsed> = parsed.into_iter().flatten().collect();
        let new: HashSet<FlowKey> = parsed
            .iter()
            .filter_map(|parsed| match parsed {
                Parsed::Connection(key, _) if !self.knows(key) => Some(*key),
                _ => None,
            })
            .collect();
        let v4 = new.iter().filter(|key| matches!(key, FlowKey::V4(_))).count();
        let needed = (self.v4.len() + v4).max(self.v6.len() + new.len() - v4);
        if needed > self.plan.connections {
            return Err(StateError::Full { needed, capacity: self.plan.connections });
        }
        let mut changed = HashSet::new();
        for parsed in parsed {
            match parsed {
                Parsed::Connection(key, connection) => {
                    self.take_in(key, connection);
                }
                Parsed::Fragment(datagram, course, seen) => self.fragments.learn(datagram, course, seen),
                Parsed::Backend(n, standing) => {
                    self.standings[n] = standing;
                    changed.insert(self.plan.backends[n].service);
                }
            }
        }
        changed.into_iter().for_each(|service| self.refill(service));
        Ok(())
    }
}
