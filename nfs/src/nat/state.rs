//! Sessions leave and enter as records of kind `session`, fragmented datagrams as `fragment`. Mappings follow from
//! their sessions.

use super::Nat;
use super::config::Plan;
use super::fragments::First;
use super::sessions::Outline;
use super::tcp;
use super::translator::Translator;
use super::tuple::{Endpoint, Tuple};
use engine::{Cursor, PAGE, Record, Role, Scope, Selector, State, StateError, Time};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use wire::protocol::ip;
use wire::{FlowKey4, FragmentKey};

const SESSION: &str = "session";
const FRAGMENT: &str = "fragment";
const VERSION: u32 = 1;
/// The cursor at which fragments begin.
const FRAGMENTS: u64 = 1 << 40;

/// Key of a session: its first packet, as it came. Of ICMP both ports are the identifier.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    src: Ipv4Addr,
    sport: u16,
    dst: Ipv4Addr,
    dport: u16,
    proto: u8,
}

/// Value of a session: its first packet, as it left; times in nanoseconds since the epoch, 0 for never.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Value {
    src: Ipv4Addr,
    sport: u16,
    dst: Ipv4Addr,
    dport: u16,
    /// Its source has a dynamic mapping.
    source_mapping: bool,
    /// The inside port of the dynamic mapping that its destination has.
    destination_mapping: Option<u16>,
    /// Bits: packets forth and back 1, 2; SYN 4, 8; FIN 16, 32; RST 64.
    state: u8,
    since: u64,
    last_forth: u64,
    last_back: u64,
}

/// Key of a datagram in fragments.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Datagram {
    src: Ipv4Addr,
    dst: Ipv4Addr,
    id: u16,
    proto: u8,
}

/// Its addresses as they left.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Readdressed {
    src: Ipv4Addr,
    dst: Ipv4Addr,
    seen: u64,
}

/// The session as a record.
pub(super) fn session_record(outline: &Outline) -> Record {
    let Outline { key, result, .. } = *outline;
    Record {
        kind: SESSION.to_owned(),
        version: VERSION,
        role: Role::Supporting,
        scope: Scope::Flow,
        key: json!(Key {
            src: key.src.into(),
            sport: key.sport,
            dst: key.dst.into(),
            dport: key.dport,
            proto: key.protocol(),
        }),
        value: json!(Value {
            src: result.src.into(),
            sport: result.sport,
            dst: result.dst.into(),
            dport: result.dport,
            source_mapping: outline.source.is_some(),
            destination_mapping: outline.destination.map(|inside| inside.port),
            state: outline.state.bits(),
            since: outline.since.as_nanos(),
            last_forth: outline.last[0].as_nanos(),
            last_back: outline.last[1].as_nanos(),
        }),
    }
}

fn fragment_record(datagram: FragmentKey, first: &First) -> Option<Record> {
    let FragmentKey::V4 { src, dst, id, proto } = datagram else { return None };
    Some(Record {
        kind: FRAGMENT.to_owned(),
        version: VERSION,
        role: Role::Supporting,
        scope: Scope::Shared,
        key: json!(Datagram { src: src.into(), dst: dst.into(), id, proto }),
        value: json!(Readdressed {
            src: first.to.src.into(),
            dst: first.to.dst.into(),
            seen: first.seen.as_nanos()
        }),
    })
}

/// What a record says.
enum Parsed {
    Session(Outline),
    Fragment(FragmentKey, First),
}

fn malformed(kind: &str, message: impl ToString) -> StateError {
    StateError::Malformed { kind: kind.to_owned(), message: message.to_string() }
}

fn parse(record: &Record) -> Result<Parsed, StateError> {
    let kind = record.kind.as_str();
    if ![SESSION, FRAGMENT].contains(&kind) {
        return Err(StateError::UnknownKind(kind.to_owned()));
    }
    if record.version > VERSION {
        return Err(StateError::TooNew { kind: kind.to_owned(), found: record.version, known: VERSION });
    }
    if kind == FRAGMENT {
        let key = Datagram::deserialize(&record.key).map_err(|error| malformed(kind, error))?;
        let value = Readdressed::deserialize(&record.value).map_err(|error| malformed(kind, error))?;
        let (src, dst) = (key.src.into(), key.dst.into());
        let from = Tuple { src, dst, protocol: key.proto.into(), ..Tuple::default() };
        let to = Tuple { src: value.src.into(), dst: value.dst.into(), ..from };
        let first = First { from, to, seen: Time::from_nanos(value.seen) };
        return Ok(Parsed::Fragment(FragmentKey::V4 { src, dst, id: key.id, proto: key.proto }, first));
    }
    let key = Key::deserialize(&record.key).map_err(|error| malformed(kind, error))?;
    let value = Value::deserialize(&record.value).map_err(|error| malformed(kind, error))?;
    let state = tcp::State::from_bits(value.state)
        .ok_or_else(|| malformed(kind, format!("{} is no state", value.state)))?;
    let tuple = |src: Ipv4Addr, sport, dst: Ipv4Addr, dport| Tuple {
        src: src.into(),
        dst: dst.into(),
        sport,
        dport,
        protocol: key.proto.into(),
    };
    let from = tuple(key.src, key.sport, key.dst, key.dport);
    let to = tuple(value.src, value.sport, value.dst, value.dport);
    let inside = |port| Endpoint { address: to.dst, port, protocol: key.proto };
    Ok(Parsed::Session(Outline {
        key: from,
        result: to,
        source: value.source_mapping.then(|| from.source()),
        destination: value.destination_mapping.map(inside),
        since: Time::from_nanos(value.since),
        state,
        last: [value.last_forth, value.last_back].map(Time::from_nanos),
    }))
}

/// Whether an endpoint is another one: of ICMP, which has one identifier for both, by its address alone.
fn differs(a: Endpoint, b: Endpoint) -> bool {
    a.address != b.address || a.protocol != ip::ICMP && a.port != b.port
}

/// A session that can be taken in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fit {
    /// It is here already.
    Known,
    New,
}

/// Inside and outside endpoint of the dynamic mappings of a session.
fn mapped_ends(outline: &Outline) -> [Option<(Endpoint, Endpoint)>; 2] {
    [
        outline.source.map(|inside| (inside, outline.result.source())),
        outline.destination.map(|inside| (inside, outline.key.destination())),
    ]
}

impl Translator {
    /// Takes in a session from elsewhere, with its mappings; one that is here already stays as it is.
    ///
    /// # Errors
    /// Why it cannot be: its addresses are not of this configuration, or something else has them.
    pub(super) fn take_in(&mut self, outline: &Outline) -> Result<(), String> {
        if self.fits(outline)? == Fit::Known {
            return Ok(());
        }
        let plan = Arc::clone(&self.plan);
        let mut made: [Option<Endpoint>; 2] = [None; 2];
        let ends = mapped_ends(outline);
        for (made, (inside, outside)) in made.iter_mut().zip(ends.into_iter().flatten()) {
            if self.mappings.get(inside).is_some_and(|mapping| mapping.outside == outside) {
                continue;
            }
            if self.mappings.make(&plan, inside, outside) {
                *made = Some(inside);
            }
        }
        let has = |translator: &Translator, (inside, outside): (Endpoint, Endpoint)| {
            translator.mappings.get(inside).is_some_and(|mapping| mapping.outside == outside)
        };
        let mapped = ends.into_iter().flatten().all(|end| has(self, end));
        if mapped && self.begin(outline) {
            return Ok(());
        }
        for inside in made.into_iter().flatten() {
            self.mappings.release(&plan, inside);
        }
        Err("another session has one of its endpoints".to_owned())
    }

    /// Whether a session can be taken in.
    fn fits(&self, outline: &Outline) -> Result<Fit, String> {
        if let Some((_, entry)) = self.sessions.find(&outline.key) {
            let known = self.sessions.outline(entry.link.session());
            if known.is_some_and(|known| known.key == outline.key && known.result == outline.result) {
                return Ok(Fit::Known);
            }
            return Err("another session has the same packets".to_owned());
        }
        self.check(outline)?;
        let is_free = |(inside, outside)| match self.mappings.get(inside) {
            Some(mapping) => mapping.outside == outside,
            None => self.mappings.inside_of(outside).is_none(),
        };
        let has_place = self.sessions.has_place_for(&outline.key, &outline.result);
        if has_place && mapped_ends(outline).into_iter().flatten().all(is_free) {
            return Ok(Fit::New);
        }
        Err("another session has one of its endpoints".to_owned())
    }

    /// Whether a session is one that this configuration makes.
    fn check(&self, outline: &Outline) -> Result<(), String> {
        let Outline { key, result, .. } = *outline;
        let plan = &self.plan;
        let pooled = |outside: Endpoint| plan.places.contains_key(&outside.address);
        let stands_for = |outside: Endpoint, inside: Endpoint| {
            plan.forward.0.get(&outside) == Some(&inside)
                || plan.one_to_one.0.get(&outside.address) == Some(&inside.address)
                    && outside.port == inside.port
        };
        let source = match outline.source {
            Some(inside) => plan.is_inside(inside.address) && pooled(result.source()),
            None => !differs(key.source(), result.source()) || stands_for(result.source(), key.source()),
        };
        let destination = match outline.destination {
            Some(_) => pooled(key.destination()),
            None => {
                !differs(key.destination(), result.destination())
                    || stands_for(key.destination(), result.destination())
            }
        };
        // With one worker it does not matter whose port it is.
        if source && destination && (!plan.several || plan.is_steerable(outline)) {
            return Ok(());
        }
        let (key, result) = (FlowKey4::from(key), FlowKey4::from(result));
        let show = |key: FlowKey4| wire::FlowKey::V4(key).to_string();
        Err(format!("this configuration does not make {} of {}", show(result), show(key)))
    }
}

impl Plan {
    /// A session between inside hosts that was translated at both ends at once is two, one for each end.
    fn parts(&self, whole: Outline) -> impl Iterator<Item = Outline> {
        let Outline { key, result, .. } = whole;
        let is_whole = self.is_outside(key.dst) && differs(key.source(), result.source());
        let between = key.with_source(result.source());
        let halves = [
            Outline { result: between, destination: None, ..whole },
            Outline { key: between, source: None, ..whole },
        ];
        let parts = if is_whole && differs(between.destination(), result.destination()) {
            halves.map(Some)
        } else {
            [Some(whole), None]
        };
        parts.into_iter().flatten()
    }
}

/// Whether an export wants the session.
pub(super) fn is_wanted(selector: &Selector, outline: &Outline) -> bool {
    let Outline { key, result, last, .. } = *outline;
    let wants = |prefix: wire::Prefix| {
        [key.src, key.dst, result.src, result.dst]
            .into_iter()
            .any(|address| prefix.contains(IpAddr::V4(address.into())))
    };
    selector.address.is_none_or(wants)
        && selector.port.is_none_or(|port| [key.sport, key.dport, result.sport, result.dport].contains(&port))
        && selector.protocol.is_none_or(|protocol| protocol == key.protocol())
        && selector.wants_time(last[0].max(last[1]))
}

type Known = (Vec<Outline>, Vec<(FragmentKey, First)>);

impl Nat {
    /// What some records say, the oldest session first. There is room for all of it.
    fn read(&self, records: &[Record]) -> Result<Known, StateError> {
        let translator = &self.translator;
        let (mut sessions, mut fragments) = (Vec::new(), Vec::new());
        for record in records {
            match parse(record)? {
                Parsed::Session(outline) => sessions.extend(translator.plan.parts(outline)),
                Parsed::Fragment(datagram, first) => fragments.push((datagram, first)),
            }
        }
        // Those without an answer give way in the order in which they began.
        sessions.sort_by_key(|outline| outline.since);
        let is_new = |outline: &&Outline| translator.sessions.find(&outline.key).is_none();
        let new = sessions.iter().filter(is_new).count();
        let (needed, capacity) = (translator.sessions.len() + new, translator.plan.config.capacity);
        if needed > capacity {
            return Err(StateError::Full { needed, capacity });
        }
        Ok((sessions, fragments))
    }
}

impl State for Nat {
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
        if !selector.wants_kind(FRAGMENT) {
            return None;
        }
        let wants = |key: &FragmentKey, first: &First| {
            let FragmentKey::V4 { src, dst, proto, .. } = *key else { return false };
            let within = |prefix: wire::Prefix| {
                [src, dst].into_iter().any(|address| prefix.contains(IpAddr::V4(address.into())))
            };
            selector.port.is_none()
                && selector.address.is_none_or(within)
                && selector.protocol.is_none_or(|protocol| protocol == proto)
                && selector.wants_time(first.seen)
        };
        let from = usize::try_from(cursor.0 - FRAGMENTS).unwrap_or(usize::MAX);
        let next = self.translator.fragments.page(from, PAGE, |key, first| {
            if wants(key, first) {
                out.extend(fragment_record(*key, first));
            }
        });
        next.map(|at| Cursor(FRAGMENTS + at as u64))
    }

    fn import(&mut self, records: &[Record]) -> Result<(), StateError> {
        let (sessions, fragments) = self.read(records)?;
        let translator = &mut self.translator;
        let mut made = Vec::new();
        for outline in &sessions {
            let is_new = translator.sessions.find(&outline.key).is_none();
            if let Err(message) = translator.take_in(outline) {
                for key in made {
                    if let Some((_, entry)) = translator.sessions.find(&key) {
                        translator.end(entry.link.session());
                    }
                }
                return Err(malformed(SESSION, message));
            }
            if is_new {
                made.push(outline.key);
            }
        }
        for outline in &sessions {
            translator.sessions.catch_up(&translator.plan, outline);
        }
        for (datagram, first) in fragments {
            translator.fragments.learn(datagram, first);
        }
        Ok(())
    }

    fn admits(&self, records: &[Record]) -> Result<(), StateError> {
        let (sessions, _) = self.read(records)?;
        let refused = sessions.iter().find_map(|outline| self.translator.fits(outline).err());
        refused.map_or(Ok(()), |message| Err(malformed(SESSION, message)))
    }
}
