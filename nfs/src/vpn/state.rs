//! Associations leave and come: their sequence numbers and windows, never their keys.
//!
//! A record names the key that it goes with by a fingerprint. Where that key is not known, the record waits for it: a
//! number must not be given twice under one key, so what was counted elsewhere may not be forgotten.

use super::Vpn;
use super::association::{Account, Association, Associations, Course, Direction, Name};
use super::config::{Keyed, Plan, Route};
use super::window::Window;
use engine::{Cursor, PAGE, Part, Record, Role, Scope, Selector, State, StateError, Time};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use wire::FlowKey;
use wire::protocol::ip;

const VERSION: u32 = 1;

/// Key of a record; its kind is the direction.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    tunnel: String,
    spi: u32,
    /// The start of a hash of the keying material.
    fingerprint: String,
}

/// What an association has come to.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Value {
    /// The last sequence number that was given, or the highest that has come.
    sequence: u64,
    /// Of an inbound one, which of the last numbers have come: words of 64 bits in hexadecimal digits, the lowest bit
    /// of the first one standing for `sequence` itself.
    seen: String,
    packets: u64,
    bytes: u64,
    /// When the last packet came, in nanoseconds since the epoch.
    last: u64,
}

fn record(name: &Name, course: &Course) -> Record {
    Record {
        kind: name.direction.name().to_owned(),
        version: VERSION,
        role: Role::Supporting,
        scope: Scope::Flow,
        key: json!(Key { tunnel: name.tunnel.clone(), spi: name.spi, fingerprint: hex::encode(name.check) }),
        value: json!(Value {
            sequence: course.highest,
            seen: course.seen.iter().map(|word| format!("{word:016x}")).collect(),
            packets: course.account.packets,
            bytes: course.account.bytes,
            last: course.account.last.as_nanos(),
        }),
    }
}

fn parse(record: &Record) -> Result<(Name, Course), StateError> {
    let kind = record.kind.as_str();
    let direction = Direction::of(kind).ok_or_else(|| StateError::UnknownKind(kind.to_owned()))?;
    if record.version > VERSION {
        return Err(StateError::TooNew { kind: kind.to_owned(), found: record.version, known: VERSION });
    }
    let malformed = |message: String| StateError::Malformed { kind: kind.to_owned(), message };
    let key = Key::deserialize(&record.key).map_err(|error| malformed(error.to_string()))?;
    let value = Value::deserialize(&record.value).map_err(|error| malformed(error.to_string()))?;
    let mut check = [0; 8];
    hex::decode_to_slice(&key.fingerprint, &mut check)
        .map_err(|_| malformed("'fingerprint' is not 16 digits".to_owned()))?;
    let most = *Window::SIZES.end() as usize / 4;
    let words = hex::decode(&value.seen).ok().filter(|seen| seen.len() % 8 == 0 && seen.len() * 2 <= most);
    let words = words.ok_or_else(|| malformed("'seen' is not words of 16 digits".to_owned()))?;
    let seen = words.as_chunks().0.iter().map(|word| u64::from_be_bytes(*word)).collect();
    let account = Account { packets: value.packets, bytes: value.bytes, last: Time::from_nanos(value.last) };
    let name = Name { tunnel: key.tunnel, direction, spi: key.spi, check };
    Ok((name, Course { highest: value.sequence, seen, account }))
}

/// Whether an export wants an association of a flow.
fn wants(selector: &Selector, direction: Direction, flow: Option<&FlowKey>, account: Account) -> bool {
    let within = |prefix: wire::Prefix| {
        let has = |address: IpAddr| prefix.contains(address);
        flow.is_some_and(|flow| has(flow.source()) || has(flow.destination()))
    };
    let has_port =
        |port| flow.is_some_and(|flow| [flow.source_port(), flow.destination_port()].contains(&port));
    selector.wants_kind(direction.name())
        && selector.wants_scope(Scope::Flow)
        && selector.wants_time(account.last)
        && selector.address.is_none_or(within)
        && selector.port.is_none_or(has_port)
        && selector.protocol.is_none_or(|protocol| flow.map_or(ip::ESP, FlowKey::protocol) == protocol)
}

impl Vpn {
    /// What some records say, if there is room for those whose keys are not here.
    fn read(&self, records: &[Record]) -> Result<Vec<(Name, Course)>, StateError> {
        let parsed = records.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        let capacity = self.plan.capacity;
        let waiting = self.associations.waiting.len();
        let mut needed = waiting;
        if waiting + parsed.len() > capacity {
            let known: BTreeSet<Name> =
                self.associations.iter().map(|known| known.name(&self.plan)).collect();
            let new = |(name, _): &&(Name, Course)| {
                !known.contains(name) && !self.associations.waiting.contains_key(name)
            };
            needed += parsed.iter().filter(new).count();
        }
        if needed > capacity {
            return Err(StateError::Full { needed, capacity });
        }
        Ok(parsed)
    }
}

impl State for Vpn {
    fn export(&self, cursor: Cursor, selector: &Selector, out: &mut Vec<Record>) -> Option<Cursor> {
        let plan = &self.plan;
        let from = usize::try_from(cursor.0).unwrap_or(usize::MAX);
        for association in self.associations.iter().skip(from).take(PAGE) {
            let flow = plan.flow(association.tunnel);
            if association.is_used()
                && wants(selector, association.direction(), flow.as_ref(), association.account)
            {
                out.push(record(&association.name(plan), &association.course()));
            }
        }
        let known = self.associations.len();
        if from + PAGE <= known {
            return Some(Cursor((from + PAGE) as u64));
        }
        if from < known {
            return (!self.associations.waiting.is_empty()).then_some(Cursor(known as u64));
        }
        for (name, course) in self.associations.waiting.iter().skip(from - known).take(PAGE) {
            if wants(selector, name.direction, None, course.account) {
                out.push(record(name, course));
            }
        }
        let next = from + PAGE;
        (next < known + self.associations.waiting.len()).then_some(Cursor(next as u64))
    }

    fn import(&mut self, records: &[Record]) -> Result<(), StateError> {
        for (name, course) in self.read(records)? {
            self.associations.resume(&self.plan, name, &course);
        }
        Ok(())
    }

    fn admits(&self, records: &[Record]) -> Result<(), StateError> {
        self.read(records).map(|_| ())
    }
}

/// Associations on their way to another worker, keys and all.
#[derive(Default)]
struct Moving {
    associations: Vec<Association>,
    waiting: Vec<(Name, Course)>,
}

impl Associations {
    /// Takes in an association from elsewhere: what it has come to and, if it is not known here, itself.
    fn welcome(&mut self, plan: &Plan, association: &Association, tunnel: usize) {
        let (name, course) = (association.name(plan), association.course());
        let direction = association.direction();
        let has_room = self.len() < plan.capacity;
        match self.find(tunnel, direction, association.spi) {
            Some(known) if known.cipher.check() == name.check => known.go_on(&course),
            // Another key under its SPI is newer.
            Some(_) => {}
            None if has_room => {
                let keyed = Keyed {
                    tunnel,
                    direction,
                    spi: association.spi,
                    extended: association.extended,
                    cipher: Arc::clone(&association.cipher),
                };
                self.add(plan, &keyed, association.added);
                self.resume(plan, name, &course);
            }
            None => {}
        }
    }

    fn wait(&mut self, plan: &Plan, waiting: impl IntoIterator<Item = (Name, Course)>) {
        for (name, course) in waiting {
            if self.waiting.len() < plan.capacity {
                self.resume(plan, name, &course);
            }
        }
    }
}

impl Vpn {
    /// Goes on where the instance of the previous plan was: with the associations that this plan has too, and with
    /// those that commands have added to tunnels that are still there.
    pub(super) fn take_over(&mut self, old: Vpn) {
        let Vpn { plan, associations, .. } = self;
        associations.draw_beyond(&old.associations);
        for association in old.associations.iter() {
            let Some(route) = old.plan.tunnels.get(association.tunnel) else { continue };
            let is_heir = |new: &Route| new.name == route.name && new.ends == route.ends;
            let Some(tunnel) = plan.tunnels.iter().position(is_heir) else { continue };
            let is_planned = associations
                .find(tunnel, association.direction(), association.spi)
                .is_some_and(|planned| planned.cipher.check() == association.cipher.check());
            if association.added || is_planned {
                associations.welcome(plan, association, tunnel);
            }
        }
        associations.wait(plan, old.associations.waiting);
    }

    /// Gives up what belongs to other workers now.
    pub(super) fn part(&mut self, owner: &dyn Fn(&FlowKey) -> usize) -> Vec<(usize, Part)> {
        let mut moving: BTreeMap<usize, Moving> = BTreeMap::new();
        let (plan, worker) = (&self.plan, self.worker);
        let elsewhere = |tunnel: usize| Some(owner(&plan.flow(tunnel)?)).filter(|owner| *owner != worker);
        for (owner, association) in self.associations.take_if(|known| elsewhere(known.tunnel)) {
            moving.entry(owner).or_default().associations.push(association);
        }
        let waiting = std::mem::take(&mut self.associations.waiting);
        for (name, course) in waiting {
            let tunnel = plan.tunnels.iter().position(|tunnel| tunnel.name == name.tunnel);
            match tunnel.and_then(elsewhere) {
                Some(owner) => moving.entry(owner).or_default().waiting.push((name, course)),
                None => drop(self.associations.waiting.insert(name, course)),
            }
        }
        moving.into_iter().map(|(owner, moving)| (owner, Box::new(moving) as Part)).collect()
    }

    pub(super) fn take_in(&mut self, part: Part) {
        let Ok(moving) = part.downcast::<Moving>() else { return };
        let Vpn { plan, associations, .. } = self;
        for association in &moving.associations {
            associations.welcome(plan, association, association.tunnel);
        }
        associations.wait(plan, moving.waiting);
    }
}
