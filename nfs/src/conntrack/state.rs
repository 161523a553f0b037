//! Connections leave and enter as records of kind `connection`, datagrams of which fragments may come as `datagram`.

use super::connection::Connection;
use super::packet::First;
use super::phase::Phase;
use super::tcp::Tcp;
use super::tracker::Tracker;
use crate::flow_key::Ports;
use crate::fragments::{self, Datagram};
use engine::{Cursor, PAGE, Record, Role, Scope, Selector, State, StateError, Time};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::HashSet;
use std::net::IpAddr;
use wire::{Direction, FlowKey, FlowKey4, FlowKey6, FragmentKey};

const CONNECTION: &str = "connection";
const DATAGRAM: &str = "datagram";
/// Kinds of the records of a [`Tracker`].
pub(crate) const KINDS: [&str; 2] = [CONNECTION, DATAGRAM];
/// Version 2 of a datagram has a `kind`.
const VERSIONS: [(&str, u32); 2] = [(CONNECTION, 1), (DATAGRAM, 2)];

/// Key of a connection: as in its first packet; of ICMP queries the identifier and the type of the query.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConnectionKey {
    src: IpAddr,
    sport: u16,
    dst: IpAddr,
    dport: u16,
    proto: u8,
}

/// Value of a connection; `last` in nanoseconds since the epoch.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConnectionValue {
    phase: Phase,
    replied: bool,
    assured: bool,
    last: u64,
    tcp: Option<Tcp>,
}

/// Value of a datagram: what its first fragment said.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DatagramValue {
    sport: u16,
    dport: u16,
    proto: u8,
    base: u32,
    header: u16,
    #[serde(default)]
    kind: Option<u16>,
    seen: u64,
}

/// A record, understood.
enum Parsed {
    Connection(FlowKey, Box<Connection>),
    Datagram(FragmentKey, First, Time),
}

fn version_of(kind: &str) -> Option<u32> {
    VERSIONS.iter().find(|(known, _)| *known == kind).map(|(_, version)| *version)
}

fn record(kind: &str, key: serde_json::Value, value: serde_json::Value) -> Record {
    let (kind, version) = (kind.to_owned(), version_of(kind).unwrap_or_default());
    Record { kind, version, role: Role::Supporting, scope: Scope::Flow, key, value }
}

/// The key of a connection's first packet.
pub(super) fn first_key(key: FlowKey, connection: &Connection) -> FlowKey {
    if connection.originator == Direction::Reverse { key.reversed() } else { key }
}

fn connection_record(key: FlowKey, connection: &Connection) -> Record {
    let key = first_key(key, connection);
    let Connection { last, phase, replied, assured, tcp, .. } = *connection;
    record(
        CONNECTION,
        json!(ConnectionKey {
            src: key.source(),
            sport: key.source_port(),
            dst: key.destination(),
            dport: key.destination_port(),
            proto: key.protocol(),
        }),
        json!(ConnectionValue {
            phase,
            replied,
            assured,
            last: last.as_nanos(),
            tcp: phase.is_tcp().then_some(tcp),
        }),
    )
}

fn datagram_record(datagram: FragmentKey, first: &First, seen: Time) -> Record {
    let First { ports: Ports { sport, dport, proto }, base, header, kind } = *first;
    record(
        DATAGRAM,
        json!(Datagram::from(datagram)),
        json!(DatagramValue { sport, dport, proto, base, header, kind, seen: seen.as_nanos() }),
    )
}

fn parse(record: &Record) -> Result<Parsed, StateError> {
    let kind = record.kind.as_str();
    let known = version_of(kind).ok_or_else(|| StateError::UnknownKind(kind.to_owned()))?;
    if record.version > known {
        return Err(StateError::TooNew { kind: kind.to_owned(), found: record.version, known });
    }
    if kind == CONNECTION { parse_connection(record) } else { parse_datagram(record) }
}

fn malformed(record: &Record, message: impl ToString) -> StateError {
    StateError::Malformed { kind: record.kind.clone(), message: message.to_string() }
}

fn read<T: DeserializeOwned>(record: &Record, from: &serde_json::Value) -> Result<T, StateError> {
    T::deserialize(from).map_err(|error| malformed(record, error))
}

fn parse_connection(record: &Record) -> Result<Parsed, StateError> {
    let ConnectionKey { src, sport, dst, dport, proto } = read(record, &record.key)?;
    let ConnectionValue { phase, replied, assured, last, tcp } = read(record, &record.value)?;
    let key = match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            FlowKey::V4(FlowKey4 { src: src.into(), dst: dst.into(), sport, dport, proto })
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            FlowKey::V6(FlowKey6 { src: src.into(), dst: dst.into(), sport, dport, proto })
        }
        _ => return Err(malformed(record, format!("{src} and {dst} are of different IP versions"))),
    };
    let is_tcp = proto == wire::protocol::ip::TCP;
    if phase.is_tcp() != is_tcp || tcp.is_some() != is_tcp {
        return Err(malformed(record, "the phase is not one of the protocol"));
    }
    let (key, originator) = key.canonical();
    let (last, tcp) = (Time::from_nanos(last), tcp.unwrap_or_default());
    Ok(Parsed::Connection(key, Box::new(Connection { last, phase, originator, replied, assured, tcp })))
}

fn parse_datagram(record: &Record) -> Result<Parsed, StateError> {
    let datagram: Datagram = read(record, &record.key)?;
    let datagram = datagram.try_into().map_err(|why: &str| malformed(record, why))?;
    let value: DatagramValue = read(record, &record.value)?;
    let DatagramValue { sport, dport, proto, base, header, kind, seen } = value;
    let first = First { ports: Ports { sport, dport, proto }, base, header, kind };
    Ok(Parsed::Datagram(datagram, first, Time::from_nanos(seen)))
}

/// Whether an export wants what is between these ends.
pub(super) fn is_wanted(selector: &Selector, key: &FlowKey, changed: Time) -> bool {
    let wants = |prefix: wire::Prefix| prefix.contains(key.source()) || prefix.contains(key.destination());
    selector.address.is_none_or(wants)
        && selector.port.is_none_or(|port| [key.source_port(), key.destination_port()].contains(&port))
        && selector.protocol.is_none_or(|protocol| protocol == key.protocol())
        && selector.wants_time(changed)
}

/// Connections first, then datagrams.
impl State for Tracker {
    fn export(&self, cursor: Cursor, selector: &Selector, out: &mut Vec<Record>) -> Option<Cursor> {
        if !selector.wants_scope(Scope::Flow) {
            return None;
        }
        let border = 2 * self.capacity() as u64;
        if cursor.0 < border {
            let next = selector.wants_kind(CONNECTION).then(|| {
                self.page(cursor.0, PAGE, |key, connection| {
                    let wanted = is_wanted(selector, &key, connection.last);
                    if wanted {
                        out.push(connection_record(key, connection));
                    }
                    wanted
                })
            });
            return Some(Cursor(next.flatten().unwrap_or(border)));
        }
        if !selector.wants_kind(DATAGRAM) {
            return None;
        }
        let next = self.page_of_datagrams(cursor.0 - border, PAGE, |datagram, first, seen| {
            let wanted = is_wanted(selector, &first.flow(&datagram), seen);
            if wanted {
                out.push(datagram_record(datagram, first, seen));
            }
            wanted
        });
        next.map(|next| Cursor(border + next))
    }

    /// A connection that is known already is replaced by what the record says.
    fn import(&mut self, records: &[Record]) -> Result<(), StateError> {
        let parsed = records.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        let (mut new, mut datagrams) = (HashSet::new(), 0);
        for parsed in &parsed {
            match parsed {
                Parsed::Connection(key, _) if self.get(key).is_none() => {
                    new.insert(*key);
                }
                Parsed::Connection(..) => {}
                Parsed::Datagram(..) => datagrams += 1,
            }
        }
        let v4 = new.iter().filter(|key| matches!(key, FlowKey::V4(_))).count();
        let [known_v4, known_v6] = self.len();
        let needed = (known_v4 + v4).max(known_v6 + new.len() - v4);
        if needed > self.capacity() {
            return Err(StateError::Full { needed, capacity: self.capacity() });
        }
        if datagrams > fragments::CAPACITY {
            return Err(StateError::Full { needed: datagrams, capacity: fragments::CAPACITY });
        }
        for parsed in parsed {
            match parsed {
                Parsed::Connection(key, connection) => {
                    self.take_in(key, *connection);
                }
                Parsed::Datagram(datagram, first, seen) => self.take_in_datagram(datagram, first, seen),
            }
        }
        Ok(())
    }
}
