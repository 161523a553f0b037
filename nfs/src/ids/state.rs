//! Flows, bits of hosts and counts leave and enter as records. Rules and bits go by their names, as their numbers change
//! with the files of rules.

use super::Ids;
use super::defrag::Datagram;
use super::detect::Rules;
use super::flow::{Body, Fate, Flow, Meta, Tcp};
use super::marks::id;
use super::watch::Watch;
use super::way::{Pending, Way, hex};
use engine::{Cursor, PAGE, Record, Role, Scope, Selector, State, StateError, Time};
use ids_rules::bits::{FlowBits, HostBit};
use ids_rules::threshold::{self, RuleId};
use l7::Conversation;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use streams::{Datagrams, FlowRecord};
use wire::{FlowKey, FlowKey4, FlowKey6, FragmentKey};

const FLOW: &str = "flow";
const HOST_BIT: &str = "host_bit";
const RATE: &str = "rate";
const DATAGRAM: &str = "datagram";
const VERSION: u32 = 1;

/// Key of a flow's record: the canonical one.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    src: IpAddr,
    sport: u16,
    dst: IpAddr,
    dport: u16,
    proto: u8,
}

/// Value of a flow's record.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Value {
    id: u64,
    first: u64,
    last: u64,
    packets: [u64; 2],
    bytes: [u64; 2],
    fate: Fate,
    bits: Vec<String>,
    done: u8,
    matched: Vec<(u64, RuleId)>,
    tcp: Option<Connection>,
    datagrams: Option<Datagrams>,
    conversation: Option<Box<Conversation>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Connection {
    stream: FlowRecord,
    ways: [Window; 2],
}

/// A [`Way`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Window {
    #[serde(with = "hex")]
    bytes: Vec<u8>,
    base: u64,
    chunk: u64,
    /// Rules, where their pattern was found first and last, their looks, and the place of the next one.
    pending: Vec<(RuleId, u64, u64, u32, u64)>,
    matched: Vec<(RuleId, u64)>,
}

/// Rules by name.
pub(super) struct Places(HashMap<RuleId, u32>);

impl Places {
    pub(super) fn of(rules: &Rules) -> Places {
        Places(rules.all.iter().zip(0..).map(|(rule, place)| (id(rule), place)).collect())
    }

    pub(super) fn get(&self, rule: &RuleId) -> Option<u32> {
        self.0.get(rule).copied()
    }
}

fn named(rules: &Rules, place: u32) -> Option<RuleId> {
    rules.all.get(place as usize).map(id)
}

impl Window {
    fn of(way: &Way, rules: &Rules) -> Window {
        let pending = way.pending.iter().filter_map(|&Pending { rule, since, last, looks, next }| {
            Some((named(rules, rule)?, since, last, looks, next))
        });
        let matched = way.matched.iter().filter_map(|(rule, at)| Some((named(rules, *rule)?, *at)));
        Window {
            bytes: way.window.clone(),
            base: way.base,
            chunk: way.chunk,
            pending: pending.collect(),
            matched: matched.collect(),
        }
    }

    /// Whether there can be such a window: places have room to grow.
    fn is_sound(&self) -> bool {
        let end = self.base.saturating_add(self.bytes.len() as u64);
        end < 1 << 60 && self.chunk <= end
    }

    fn way(self, places: &Places) -> Way {
        let pending = self.pending.into_iter().filter_map(|(rule, since, last, looks, next)| {
            Some(Pending { rule: places.get(&rule)?, since, last, looks, next })
        });
        let matched = self.matched.into_iter().filter_map(|(rule, at)| Some((places.get(&rule)?, at)));
        Way {
            window: self.bytes,
            base: self.base,
            chunk: self.chunk,
            pending: pending.collect(),
            matched: matched.collect(),
        }
    }
}

impl Value {
    fn of(flow: &Flow, watch: &Watch, rules: &Rules) -> Value {
        let Meta { id, first, last, packets, bytes, fate, ref bits, done, ref matched } = flow.meta;
        let (mut tcp, mut datagrams) = (None, None);
        match &flow.body {
            Body::Tcp(connection) => {
                tcp = Some(Connection {
                    stream: connection.stream.export(&watch.pool),
                    ways: connection.ways.each_ref().map(|way| Window::of(way, rules)),
                });
            }
            Body::Datagrams(seen) => datagrams = Some(*seen),
        }
        Value {
            id,
            first,
            last,
            packets,
            bytes,
            fate,
            bits: bits.names(&rules.names).map(str::to_owned).collect(),
            done,
            matched: matched.iter().filter_map(|(at, place)| Some((*at, named(rules, *place)?))).collect(),
            tcp,
            datagrams,
            conversation: flow.conversation.clone(),
        }
    }

    fn flow(self, watch: &mut Watch, rules: &Rules, places: &Places) -> Result<Flow, String> {
        let matched = self.matched.iter().filter_map(|(at, rule)| Some((*at, places.get(rule)?)));
        let meta = Meta {
            id: self.id,
            first: self.first,
            last: self.last,
            packets: self.packets,
            bytes: self.bytes,
            fate: self.fate,
            bits: FlowBits::from_names(self.bits.iter().map(String::as_str), &rules.names),
            done: self.done,
            matched: matched.collect(),
        };
        let body = match (self.tcp, self.datagrams) {
            (Some(Connection { stream, ways }), None) => {
                let stream = streams::Flow::import(&stream, &watch.settings.streams, &mut watch.pool);
                Body::Tcp(Box::new(Tcp {
                    stream: stream.map_err(|error| error.to_string())?,
                    ways: ways.map(|way| way.way(places)),
                }))
            }
            (None, Some(datagrams)) => Body::Datagrams(datagrams),
            _ => return Err("it is either of TCP or of datagrams".into()),
        };
        Ok(Flow { meta, body, conversation: self.conversation })
    }
}

fn flow_record(key: &FlowKey, flow: &Flow, watch: &Watch, rules: &Rules) -> Record {
    let (sport, dport, proto) = (key.source_port(), key.destination_port(), key.protocol());
    let key = Key { src: key.source(), sport, dst: key.destination(), dport, proto };
    record(FLOW, Scope::Flow, json!(key), json!(Value::of(flow, watch, rules)))
}

fn record(kind: &str, scope: Scope, key: serde_json::Value, value: serde_json::Value) -> Record {
    Record { kind: kind.to_owned(), version: VERSION, role: Role::Supporting, scope, key, value }
}

fn host_record(bit: &HostBit) -> Record {
    record(HOST_BIT, Scope::Shared, json!([bit.host, bit.name]), json!(bit))
}

fn rate_record(rate: &threshold::Record) -> Record {
    record(RATE, Scope::Shared, json!([rate.rule, rate.whom]), json!(rate))
}

/// Key of the record of a datagram that comes in fragments. `proto` is not part of it in IPv6.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DatagramKey {
    src: IpAddr,
    dst: IpAddr,
    id: u32,
    proto: Option<u8>,
}

fn datagram_record(key: &FragmentKey, datagram: &Datagram) -> Record {
    let key = match *key {
        FragmentKey::V4 { src, dst, id, proto } => {
            let (src, dst) = (Ipv4Addr::from(src).into(), Ipv4Addr::from(dst).into());
            DatagramKey { src, dst, id: id.into(), proto: Some(proto) }
        }
        FragmentKey::V6 { src, dst, id } => {
            DatagramKey { src: Ipv6Addr::from(src).into(), dst: Ipv6Addr::from(dst).into(), id, proto: None }
        }
    };
    record(DATAGRAM, Scope::Flow, json!(key), json!(datagram))
}

fn datagram_key(record: &Record) -> Result<FragmentKey, StateError> {
    let DatagramKey { src, dst, id, proto } = read(record, &record.key)?;
    match (src, dst, proto, u16::try_from(id)) {
        (IpAddr::V4(src), IpAddr::V4(dst), Some(proto), Ok(id)) => {
            Ok(FragmentKey::V4 { src: src.into(), dst: dst.into(), id, proto })
        }
        (IpAddr::V6(src), IpAddr::V6(dst), None, _) => {
            Ok(FragmentKey::V6 { src: src.into(), dst: dst.into(), id })
        }
        _ => Err(malformed(record, "addresses, identification and protocol do not fit")),
    }
}

/// A record that was read.
enum Parsed {
    Datagram(FragmentKey, Datagram),
    Flow(FlowKey, Box<Value>),
    HostBit(HostBit),
    Rate(threshold::Record),
}

fn malformed(record: &Record, message: impl ToString) -> StateError {
    StateError::Malformed { kind: record.kind.clone(), message: message.to_string() }
}

fn read<T: DeserializeOwned>(record: &Record, from: &serde_json::Value) -> Result<T, StateError> {
    T::deserialize(from).map_err(|error| malformed(record, error))
}

fn parse(record: &Record) -> Result<Parsed, StateError> {
    if record.version > VERSION {
        return Err(StateError::TooNew { kind: record.kind.clone(), found: record.version, known: VERSION });
    }
    match record.kind.as_str() {
        FLOW => {
            let Key { src, sport, dst, dport, proto } = read(record, &record.key)?;
            let value: Box<Value> = read(record, &record.value)?;
            let key = match (src, dst) {
                (IpAddr::V4(src), IpAddr::V4(dst)) => {
                    FlowKey::V4(FlowKey4 { src: src.into(), dst: dst.into(), sport, dport, proto })
                }
                (IpAddr::V6(src), IpAddr::V6(dst)) => {
                    FlowKey::V6(FlowKey6 { src: src.into(), dst: dst.into(), sport, dport, proto })
                }
                _ => return Err(malformed(record, format!("{src} and {dst} are of different IP versions"))),
            };
            if value.tcp.is_some() == value.datagrams.is_some() {
                return Err(malformed(record, "it is either of TCP or of datagrams"));
            }
            if value.tcp.as_ref().is_some_and(|tcp| !tcp.ways.iter().all(Window::is_sound)) {
                return Err(malformed(record, "a window lies beyond what a stream can have"));
            }
            if key.canonical().0 != key {
                return Err(malformed(record, "the key is not canonical: the smaller end comes first"));
            }
            Ok(Parsed::Flow(key, value))
        }
        HOST_BIT => Ok(Parsed::HostBit(read(record, &record.value)?)),
        RATE => Ok(Parsed::Rate(read(record, &record.value)?)),
        DATAGRAM => {
            let datagram: Datagram = read(record, &record.value)?;
            if !datagram.is_sound() {
                return Err(malformed(record, "more than a datagram may have"));
            }
            Ok(Parsed::Datagram(datagram_key(record)?, datagram))
        }
        other => Err(StateError::UnknownKind(other.to_owned())),
    }
}

/// Whether an export wants the flow.
pub(super) fn is_wanted(selector: &Selector, key: &FlowKey, meta: &Meta) -> bool {
    let wants = |prefix: wire::Prefix| prefix.contains(key.source()) || prefix.contains(key.destination());
    selector.address.is_none_or(wants)
        && selector.port.is_none_or(|port| [key.source_port(), key.destination_port()].contains(&port))
        && selector.protocol.is_none_or(|protocol| protocol == key.protocol())
        && selector.wants_time(Time::from_nanos(meta.last))
}

/// Flows first; then datagrams in fragments; then bits of hosts; then counts.
impl State for Ids {
    fn export(&self, cursor: Cursor, selector: &Selector, out: &mut Vec<Record>) -> Option<Cursor> {
        let rules = &self.plan.rules;
        let flows = self.watch.flows.capacity() as u64;
        if cursor.0 < flows {
            if !selector.wants_kind(FLOW) || !selector.wants_scope(Scope::Flow) {
                return Some(Cursor(flows));
            }
            let next = self.watch.roster.page(cursor.0, PAGE, |entry| {
                let Some((key, flow)) = self.watch.flows.entry(entry) else { return false };
                let wanted = is_wanted(selector, key, &flow.meta);
                if wanted {
                    out.push(flow_record(key, flow, &self.watch, rules));
                }
                wanted
            });
            return Some(Cursor(next.unwrap_or(flows)));
        }
        let datagrams = self.defrag.len() as u64;
        let at = cursor.0 - flows;
        if at < datagrams {
            let wanted = selector.wants_kind(DATAGRAM)
                && selector.wants_scope(Scope::Flow)
                && selector.address.is_none()
                && selector.port.is_none()
                && selector.protocol.is_none();
            let page = self.defrag.iter().skip(at as usize).take(PAGE);
            out.extend(page.filter(|_| wanted).map(|(key, datagram)| datagram_record(key, datagram)));
            return Some(Cursor(flows + (at + PAGE as u64).min(datagrams)));
        }
        let flows = flows + datagrams;
        // Of no flow: selected by nothing but kind and scope.
        let of_no_flow = selector.wants_scope(Scope::Shared)
            && selector.address.is_none()
            && selector.port.is_none()
            && selector.protocol.is_none();
        if !of_no_flow {
            return None;
        }
        let marks = &self.inspector.marks;
        let hosts = marks.hosts.len() as u64;
        let at = cursor.0 - flows;
        if at < hosts {
            let page = marks.hosts.records(&rules.names).skip(at as usize).take(PAGE);
            out.extend(page.filter(|_| selector.wants_kind(HOST_BIT)).map(|bit| host_record(&bit)));
            return Some(Cursor(flows + (at + PAGE as u64).min(hosts)));
        }
        let at = at - hosts;
        let page = marks.rates.records().skip(at as usize).take(PAGE);
        out.extend(page.filter(|_| selector.wants_kind(RATE)).map(|rate| rate_record(&rate)));
        let next = at + PAGE as u64;
        (next < marks.rates.len() as u64).then_some(Cursor(flows + hosts + next))
    }

    /// A flow that is known already is replaced by what the record says.
    fn import(&mut self, records: &[Record]) -> Result<(), StateError> {
        let parsed = self.admitted(records)?;
        let rules = std::sync::Arc::clone(&self.plan.rules);
        let places = Places::of(&rules);
        // What can fail is done before anything that is known changes.
        let (mut flows, mut others) = (Vec::new(), Vec::new());
        for (parsed, record) in parsed.into_iter().zip(records) {
            match parsed {
                Parsed::Flow(key, value) => match value.flow(&mut self.watch, &rules, &places) {
                    Ok(flow) => flows.push((key, flow)),
                    Err(error) => {
                        flows.iter_mut().for_each(|(_, flow)| self.watch.discard(flow));
                        return Err(malformed(record, error));
                    }
                },
                other => others.push(other),
            }
        }
        for other in others {
            match other {
                Parsed::Datagram(key, datagram) => self.defrag.restore(key, datagram),
                Parsed::HostBit(bit) => self.inspector.marks.hosts.restore(&bit, &rules.names),
                Parsed::Rate(rate) => self.inspector.marks.rates.restore(rate),
                Parsed::Flow(..) => {}
            }
        }
        for (key, flow) in flows {
            self.watch.take_in(key, flow);
        }
        Ok(())
    }

    fn admits(&self, records: &[Record]) -> Result<(), StateError> {
        self.admitted(records).map(|_| ())
    }
}

impl Ids {
    /// What records say, if there is room for it.
    fn admitted(&self, records: &[Record]) -> Result<Vec<Parsed>, StateError> {
        let parsed = records.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        let new: HashSet<FlowKey> = parsed
            .iter()
            .filter_map(|parsed| match parsed {
                Parsed::Flow(key, _) if self.watch.get(key).is_none() => Some(*key),
                _ => None,
            })
            .collect();
        let (needed, capacity) = (self.watch.flows.len() + new.len(), self.watch.flows.capacity());
        if needed > capacity {
            return Err(StateError::Full { needed, capacity });
        }
        Ok(parsed)
    }
}
