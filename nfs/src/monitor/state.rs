//! Flows leave and enter as records of kind `flow`.

use super::Monitor;
use super::flow::{Flow, MOST_COUNTED, Seen};
use super::record::Ended;
use engine::{Cursor, PAGE, Record, Role, Scope, Selector, State, StateError, Time};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::HashSet;
use std::net::IpAddr;
use wire::{Direction, FlowKey, FlowKey4, FlowKey6};

const KIND: &str = "flow";
const VERSION: u32 = 1;

/// Key of a record: as in the flow's first packet.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    src: IpAddr,
    sport: u16,
    dst: IpAddr,
    dport: u16,
    proto: u8,
}

/// Value of a record; times in nanoseconds since the epoch.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Value {
    packets: u64,
    bytes: u64,
    packets_back: u64,
    bytes_back: u64,
    tcp_flags: u8,
    tcp_flags_back: u8,
    first: u64,
    last: u64,
    /// First sequence numbers of TCP, where known.
    seq: Option<u32>,
    seq_back: Option<u32>,
}

/// The flow as a record. The key is canonical.
pub(super) fn record(key: FlowKey, flow: &Flow) -> Record {
    let seen = Seen::new(key, flow);
    let forth = usize::from(flow.originator == Direction::Reverse);
    let base = |direction: usize| (flow.known & 1 << direction != 0).then_some(flow.base[direction]);
    Record {
        kind: KIND.to_owned(),
        version: VERSION,
        role: Role::Reporting,
        scope: Scope::Flow,
        key: json!(Key {
            src: seen.key.source(),
            sport: seen.key.source_port(),
            dst: seen.key.destination(),
            dport: seen.key.destination_port(),
            proto: seen.key.protocol(),
        }),
        value: json!(Value {
            packets: seen.packets[0],
            bytes: seen.bytes[0],
            packets_back: seen.packets[1],
            bytes_back: seen.bytes[1],
            tcp_flags: seen.tcp_flags[0],
            tcp_flags_back: seen.tcp_flags[1],
            first: seen.first.as_nanos(),
            last: seen.last.as_nanos(),
            seq: base(forth),
            seq_back: base(1 - forth),
        }),
    }
}

/// A record as a flow, with its canonical key.
pub(super) fn parse(record: &Record) -> Result<Ended, StateError> {
    if record.kind != KIND {
        return Err(StateError::UnknownKind(record.kind.clone()));
    }
    if record.version > VERSION {
        return Err(StateError::TooNew { kind: KIND.to_owned(), found: record.version, known: VERSION });
    }
    let malformed = |message: String| StateError::Malformed { kind: KIND.to_owned(), message };
    let written = Key::deserialize(&record.key).map_err(|error| malformed(error.to_string()))?;
    let value = Value::deserialize(&record.value).map_err(|error| malformed(error.to_string()))?;
    let counts = [
        ("packets", value.packets),
        ("bytes", value.bytes),
        ("packets_back", value.packets_back),
        ("bytes_back", value.bytes_back),
    ];
    if let Some((member, count)) = counts.into_iter().find(|(_, count)| *count > MOST_COUNTED) {
        return Err(malformed(format!("{member} is {count}, more than {MOST_COUNTED}")));
    }
    let Key { sport, dport, proto, .. } = written;
    let key = match (written.src, written.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            FlowKey::V4(FlowKey4 { src: src.into(), dst: dst.into(), sport, dport, proto })
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            FlowKey::V6(FlowKey6 { src: src.into(), dst: dst.into(), sport, dport, proto })
        }
        (src, dst) => return Err(malformed(format!("{src} and {dst} are of different IP versions"))),
    };
    let (key, originator) = key.canonical();
    let known = u8::from(value.seq.is_some()) | u8::from(value.seq_back.is_some()) << 1;
    let mut flow = Flow {
        packets: [value.packets, value.packets_back],
        bytes: [value.bytes, value.bytes_back],
        first: Time::from_nanos(value.first),
        last: Time::from_nanos(value.last),
        base: [value.seq.unwrap_or(0), value.seq_back.unwrap_or(0)],
        tcp_flags: [value.tcp_flags, value.tcp_flags_back],
        known,
        originator,
    };
    if originator == Direction::Reverse {
        flow.packets.reverse();
        flow.bytes.reverse();
        flow.base.reverse();
        flow.tcp_flags.reverse();
        flow.known = known >> 1 | (known & 1) << 1;
    }
    Ok(Ended { key, flow })
}

/// Whether an export wants the flow.
pub(super) fn is_wanted(selector: &Selector, key: &FlowKey, flow: &Flow) -> bool {
    let wants = |prefix: wire::Prefix| prefix.contains(key.source()) || prefix.contains(key.destination());
    selector.address.is_none_or(wants)
        && selector.port.is_none_or(|port| [key.source_port(), key.destination_port()].contains(&port))
        && selector.protocol.is_none_or(|protocol| protocol == key.protocol())
        && selector.wants_time(flow.last)
}

impl State for Monitor {
    fn export(&self, cursor: Cursor, selector: &Selector, out: &mut Vec<Record>) -> Option<Cursor> {
        if !selector.wants_kind(KIND) || !selector.wants_scope(Scope::Flow) {
            return None;
        }
        let next = self.accounts.page(cursor.0, PAGE, |key, flow| {
            let wanted = is_wanted(selector, &key, flow);
            if wanted {
                out.push(record(key, flow));
            }
            wanted
        });
        next.map(Cursor)
    }

    /// A flow that is known already is joined with what the record says.
    fn import(&mut self, records: &[Record]) -> Result<(), StateError> {
        for Ended { key, flow } in self.admitted(records)? {
            self.accounts.take_in(key, &flow, &mut self.outlet);
        }
        Ok(())
    }

    fn admits(&self, records: &[Record]) -> Result<(), StateError> {
        self.admitted(records).map(|_| ())
    }
}

impl Monitor {
    /// The flows of records for which there is room.
    fn admitted(&self, records: &[Record]) -> Result<Vec<Ended>, StateError> {
        let parsed = records.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        let new: HashSet<FlowKey> =
            parsed.iter().map(|ended| ended.key).filter(|key| self.accounts.get(key).is_none()).collect();
        let v4 = new.iter().filter(|key| matches!(key, FlowKey::V4(_))).count();
        let needed = (self.accounts.v4.len() + v4).max(self.accounts.v6.len() + new.len() - v4);
        if needed > self.plan.capacity {
            return Err(StateError::Full { needed, capacity: self.plan.capacity });
        }
        Ok(parsed)
    }
}
