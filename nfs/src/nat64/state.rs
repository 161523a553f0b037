//! Sessions leave and enter as records of kind `session`, fragmented datagrams as `fragment`, the next identification
//! of an IPv4 packet as `identification`. Bindings follow from their sessions.

use super::Nat64;
use super::bib::Endpoint6;
use super::sessions::{Key, Outline, Protocol};
use super::tcp;
use super::translator::Translator;
use crate::fragments::Datagram;
use crate::nat::Endpoint;
use engine::{Cursor, PAGE, Record, Role, Scope, Selector, State, StateError, Time};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use wire::{FlowKey, FlowKey4, FlowKey6, FragmentKey, Prefix};

const SESSION: &str = "session";
const FRAGMENT: &str = "fragment";
const IDENTIFICATION: &str = "identification";
const VERSION: u32 = 1;
/// The cursors at which fragments begin, and the identification.
const FRAGMENTS: u64 = 1 << 40;
const LAST: u64 = 1 << 41;

/// Key of a session: the IPv6 endpoint and the remote IPv4 one, and the protocol's number in IPv4. Of ICMP the port is
/// the identifier, the remote port 0.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionKey {
    host: Ipv6Addr,
    port: u16,
    peer: Ipv4Addr,
    peer_port: u16,
    proto: u8,
}

/// Value of a session: its IPv4 endpoint; times in nanoseconds since the epoch.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionValue {
    address: Ipv4Addr,
    outside_port: u16,
    /// Of TCP only.
    state: Option<tcp::State>,
    last: u64,
    ends: u64,
}

/// Its addresses as they left, and the protocol of its first fragment, by the number in IPv4.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Readdressed {
    src: IpAddr,
    dst: IpAddr,
    carries: u8,
    seen: u64,
}

/// The next identification.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Next {
    next: u16,
}

fn record(kind: &str, scope: Scope, key: impl Serialize, value: impl Serialize) -> Record {
    Record {
        kind: kind.to_owned(),
        version: VERSION,
        role: Role::Supporting,
        scope,
        key: json!(key),
        value: json!(value),
    }
}

fn session_record(outline: &Outline) -> Record {
    let Outline { key, outside, state, last, ends } = *outline;
    let (address, outside_port) = (outside.address.into(), outside.port);
    let (last, ends) = (last.as_nanos(), ends.as_nanos());
    record(
        SESSION,
        Scope::Flow,
        SessionKey {
            host: key.host.into(),
            port: key.port,
            peer: key.peer.into(),
            peer_port: key.peer_port,
            proto: key.protocol.v4(),
        },
        SessionValue { address, outside_port, state, last, ends },
    )
}

fn fragment_record(datagram: FragmentKey, to: &FlowKey, seen: Time) -> Record {
    let carries = Protocol::of_key(to).unwrap_or_default().v4();
    let value = Readdressed { src: to.source(), dst: to.destination(), carries, seen: seen.as_nanos() };
    record(FRAGMENT, Scope::Shared, Datagram::from(datagram), value)
}

/// What a record says.
enum Parsed {
    Session(Outline),
    Fragment(FragmentKey, FlowKey, Time),
    Identification(u16),
}

fn malformed(kind: &str, message: impl ToString) -> StateError {
    StateError::Malformed { kind: kind.to_owned(), message: message.to_string() }
}

fn parse(record: &Record) -> Result<Parsed, StateError> {
    let kind = record.kind.as_str();
    if ![SESSION, FRAGMENT, IDENTIFICATION].contains(&kind) {
        return Err(StateError::UnknownKind(kind.to_owned()));
    }
    if record.version > VERSION {
        return Err(StateError::TooNew { kind: kind.to_owned(), found: record.version, known: VERSION });
    }
    let wrong = |error: serde_json::Error| malformed(kind, error);
    match kind {
        FRAGMENT => {
            let key = Datagram::deserialize(&record.key).map_err(wrong)?;
            let value = Readdressed::deserialize(&record.value).map_err(wrong)?;
            let datagram = key.try_into().map_err(|why: &str| malformed(kind, why))?;
            let protocol = Protocol::of_v4(value.carries)
                .ok_or_else(|| malformed(kind, format!("protocol {} is not translated", value.carries)))?;
            let (proto4, proto6) = (protocol.v4(), protocol.v6());
            let to = match (value.src, value.dst) {
                (IpAddr::V4(src), IpAddr::V4(dst)) => {
                    let (src, dst) = (src.into(), dst.into());
                    FlowKey::V4(FlowKey4 { src, dst, proto: proto4, ..FlowKey4::default() })
                }
                (IpAddr::V6(src), IpAddr::V6(dst)) => {
                    let (src, dst) = (src.into(), dst.into());
                    FlowKey::V6(FlowKey6 { src, dst, proto: proto6, ..FlowKey6::default() })
                }
                _ => return Err(malformed(kind, "its addresses are of two versions")),
            };
            if let (FragmentKey::V4 { .. }, FlowKey::V4(_)) = (datagram, to) {
                return Err(malformed(kind, "an IPv4 datagram becomes an IPv6 one"));
            }
            Ok(Parsed::Fragment(datagram, to, Time::from_nanos(value.seen)))
        }
        IDENTIFICATION => {
            let Next { next } = Next::deserialize(&record.value).map_err(wrong)?;
            Ok(Parsed::Identification(next))
        }
        _ => {
            let key = SessionKey::deserialize(&record.key).map_err(wrong)?;
            let value = SessionValue::deserialize(&record.value).map_err(wrong)?;
            let protocol = Protocol::of_v4(key.proto)
                .ok_or_else(|| malformed(kind, format!("protocol {} has no sessions", key.proto)))?;
            if value.state.is_some() != (protocol == Protocol::Tcp) {
                return Err(malformed(kind, "TCP has a state, and nothing else has"));
            }
            let (host, peer) = (key.host.into(), key.peer.into());
            Ok(Parsed::Session(Outline {
                key: Key { host, peer, port: key.port, peer_port: key.peer_port, protocol },
                outside: Endpoint {
                    address: value.address.into(),
                    port: value.outside_port,
                    protocol: protocol.v4(),
                },
                state: value.state,
                last: Time::from_nanos(value.last),
                ends: Time::from_nanos(value.ends),
            }))
        }
    }
}

impl Translator {
    /// Takes in a session from elsewhere, with its binding; one that is here already stays as it is.
    ///
    /// # Errors
    /// Why it cannot be: its addresses are not of this configuration, or something else has them.
    pub(super) fn take_in(&mut self, outline: &Outline) -> Result<(), String> {
        let inside = outline.key.inside();
        if let Some((_, known)) = self.sessions.of_v6(&outline.key).and_then(|id| self.sessions.get(id)) {
            return match known.outside == outline.outside {
                true => Ok(()),
                false => Err("another session has the same packets".to_owned()),
            };
        }
        let plan = Arc::clone(&self.plan);
        let is_new = match self.outside_of(inside) {
            Some(outside) if outside == outline.outside => false,
            Some(_) => return Err(format!("{} has another IPv4 endpoint", Text(inside))),
            None if plan.forward.0.contains_key(&outline.outside) => {
                return Err("its IPv4 endpoint belongs to another".to_owned());
            }
            None => true,
        };
        if is_new && !self.bib.make(&plan, inside, outline.outside) {
            let address = Ipv4Addr::from(outline.outside.address);
            return Err(format!("there is no port {} of {address} to be had", outline.outside.port));
        }
        if self.enter(outline) {
            return Ok(());
        }
        self.bib.drop_unused(&plan, inside);
        Err("another session has its packets".to_owned())
    }
}

/// An endpoint, for people.
pub(super) struct Text(pub Endpoint6);

impl std::fmt::Display for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}]:{}", Ipv6Addr::from(self.0.address), self.0.port)
    }
}

/// Whether an export wants the session.
pub(super) fn is_wanted(selector: &Selector, outline: &Outline) -> bool {
    let Outline { key, outside, last, .. } = *outline;
    let four = [key.peer, outside.address];
    let wants = |prefix: Prefix| {
        prefix.contains(Ipv6Addr::from(key.host).into())
            || four.into_iter().any(|address| prefix.contains(Ipv4Addr::from(address).into()))
    };
    selector.address.is_none_or(wants)
        && selector.port.is_none_or(|port| [key.port, key.peer_port, outside.port].contains(&port))
        && selector.protocol.is_none_or(|protocol| [key.protocol.v4(), key.protocol.v6()].contains(&protocol))
        && selector.wants_time(last)
}

impl State for Nat64 {
    fn export(&self, cursor: Cursor, selector: &Selector, out: &mut Vec<Record>) -> Option<Cursor> {
        if cursor.0 < FRAGMENTS {
            if !selector.wants_kind(SESSION) || !selector.wants_scope(Scope::Flow) {
                return Some(Cursor(FRAGMENTS));
            }
            let next = self.translator.sessions.page(cursor.0, PAGE, |_, outline| {
                let wanted = is_wanted(selector, outline);
                if wanted {
                    out.push(session_record(outline));
                }
                wanted
            });
            return Some(next.map_or(Cursor(FRAGMENTS), Cursor));
        }
        if cursor.0 < LAST {
            if !selector.wants_kind(FRAGMENT) {
                return Some(Cursor(LAST));
            }
            let next = self.translator.fragments.page(cursor.0 - FRAGMENTS, PAGE, |datagram, to, seen| {
                let wanted = Datagram::from(datagram).is_wanted(selector, seen);
                if wanted {
                    out.push(fragment_record(datagram, to, seen));
                }
                wanted
            });
            return Some(Cursor(next.map_or(LAST, |at| FRAGMENTS + at)));
        }
        let of_a_flow = selector.address.is_some() || selector.port.is_some() || selector.protocol.is_some();
        if selector.wants_kind(IDENTIFICATION) && !of_a_flow {
            let next = self.translator.next_id;
            out.push(record(IDENTIFICATION, Scope::Shared, json!({}), Next { next }));
        }
        None
    }

    fn import(&mut self, records: &[Record]) -> Result<(), StateError> {
        let (mut sessions, mut fragments, mut identification) = (Vec::new(), Vec::new(), None);
        for record in records {
            match parse(record)? {
                Parsed::Session(outline) => sessions.push(outline),
                Parsed::Fragment(datagram, to, seen) => fragments.push((datagram, to, seen)),
                Parsed::Identification(next) => identification = Some(next),
            }
        }
        let translator = &mut self.translator;
        let is_new = |translator: &Translator, key: &Key| translator.sessions.of_v6(key).is_none();
        let new = sessions.iter().filter(|outline| is_new(translator, &outline.key)).count();
        let (needed, capacity) = (translator.sessions.len() + new, translator.plan.config.capacity);
        if needed > capacity {
            return Err(StateError::Full { needed, capacity });
        }
        let mut made = Vec::with_capacity(new);
        for outline in &sessions {
            let new = is_new(translator, &outline.key);
            if let Err(message) = translator.take_in(outline) {
                for key in &made {
                    translator.end(key);
                }
                return Err(malformed(SESSION, message));
            }
            if new {
                made.push(outline.key);
            }
        }
        for outline in &sessions {
            translator.sessions.catch_up(outline);
        }
        for (datagram, to, seen) in fragments {
            translator.fragments.first(datagram, to, seen);
        }
        translator.next_id = identification.unwrap_or(translator.next_id);
        Ok(())
    }
}
