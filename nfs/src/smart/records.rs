//! Flows leave and enter as records of kind `flow`, by their five-tuple and direction.

use super::flows::{Flows, Kept};
use engine::{Cursor, PAGE, Record, Role, Scope, Selector, StateError, Time};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::net::IpAddr;
use tables::flow_table::EntryId;
use wire::{FlowKey, FlowKey4, FlowKey6};

const FLOW: &str = "flow";
const VERSION: u32 = 1;

/// A flow as it is written in records and in the arguments of commands.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FiveTuple {
    src: IpAddr,
    dst: IpAddr,
    sport: u16,
    dport: u16,
    proto: u8,
}

impl std::convert::From<&FlowKey> for FiveTuple {
    fn from(key: &FlowKey) -> FiveTuple {
        FiveTuple {
            src: key.source(),
            dst: key.destination(),
            sport: key.source_port(),
            dport: key.destination_port(),
            proto: key.protocol(),
        }
    }
}

impl TryFrom<FiveTuple> for FlowKey {
    type Error = String;

    fn try_from(FiveTuple { src, dst, sport, dport, proto }: FiveTuple) -> Result<FlowKey, String> {
        use wire::protocol::ip;
        if proto != ip::TCP && proto != ip::UDP {
            return Err(format!("protocol {proto} is neither TCP (6) nor UDP (17)"));
        }
        match (src, dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                Ok(FlowKey::V4(FlowKey4 { src: src.into(), dst: dst.into(), sport, dport, proto }))
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                Ok(FlowKey::V6(FlowKey6 { src: src.into(), dst: dst.into(), sport, dport, proto }))
            }
            (src, dst) => Err(format!("{src} and {dst} are of different IP versions")),
        }
    }
}

/// Where a page of the answer to `flows` begins.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct From {
    pub from: u64,
}

/// One page of the selected flows; `value` is what there is to say of one.
pub(super) fn export<V: Kept>(
    flows: &Flows<V>,
    role: Role,
    (cursor, selector): (Cursor, &Selector),
    out: &mut Vec<Record>,
    value: impl Fn(EntryId, &V) -> Value,
) -> Option<Cursor> {
    if !selector.wants_kind(FLOW) || !selector.wants_scope(Scope::Flow) {
        return None;
    }
    let next = flows.page(cursor.0, PAGE, |id, key, flow| {
        let wanted = is_wanted(selector, key, flow.last());
        if wanted {
            let (kind, key) = (FLOW.to_owned(), json!(FiveTuple::from(key)));
            out.push(Record {
                kind,
                version: VERSION,
                role,
                scope: Scope::Flow,
                key,
                value: value(id, flow),
            });
        }
        wanted
    });
    next.map(Cursor)
}

fn is_wanted(selector: &Selector, key: &FlowKey, last: u64) -> bool {
    let wants = |prefix: wire::Prefix| prefix.contains(key.source()) || prefix.contains(key.destination());
    selector.address.is_none_or(wants)
        && selector.port.is_none_or(|port| [key.source_port(), key.destination_port()].contains(&port))
        && selector.protocol.is_none_or(|protocol| protocol == key.protocol())
        && selector.wants_time(Time::from_nanos(last))
}

/// What records say; there is room for all of them.
pub(super) fn read<V: Kept, T: DeserializeOwned>(
    flows: &Flows<V>,
    records: &[Record],
    check: impl Fn(&T) -> Result<(), String>,
) -> Result<Vec<(FlowKey, T)>, StateError> {
    let read = records.iter().map(|record| {
        if record.kind != FLOW {
            return Err(StateError::UnknownKind(record.kind.clone()));
        }
        if record.version > VERSION {
            let (kind, found) = (FLOW.to_owned(), record.version);
            return Err(StateError::TooNew { kind, found, known: VERSION });
        }
        let malformed = |message: String| StateError::Malformed { kind: FLOW.to_owned(), message };
        let tuple = FiveTuple::deserialize(&record.key).map_err(|error| malformed(error.to_string()))?;
        let value = T::deserialize(&record.value).map_err(|error| malformed(error.to_string()))?;
        check(&value).map_err(malformed)?;
        Ok((FlowKey::try_from(tuple).map_err(malformed)?, value))
    });
    let read = read.collect::<Result<Vec<_>, _>>()?;
    let new: HashSet<&FlowKey> =
        read.iter().map(|(key, _)| key).filter(|key| flows.find(key).is_none()).collect();
    let needed = flows.len() + new.len();
    if needed > flows.capacity() {
        return Err(StateError::Full { needed, capacity: flows.capacity() });
    }
    Ok(read)
}

/// The flows that belong to other workers now, by worker.
pub(super) fn leaving<V: Kept>(
    flows: &Flows<V>,
    here: usize,
    owner: &dyn Fn(&FlowKey) -> usize,
) -> Vec<(usize, Vec<EntryId>)> {
    let mut parts: Vec<(usize, Vec<EntryId>)> = Vec::new();
    for (id, key, _) in flows.all() {
        let worker = owner(&key);
        if worker == here {
            continue;
        }
        match parts.iter_mut().find(|(to, _)| *to == worker) {
            Some((_, ids)) => ids.push(id),
            None => parts.push((worker, vec![id])),
        }
    }
    parts
}
