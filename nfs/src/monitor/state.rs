//! Flows leave and enter as records of kind `flow`.

use super::Monitor;
use super::assets::{self, Asset, Host};
use super::flow::{Flow, MOST_COUNTED, Seen};
use super::record::Ended;
use super::sketch::{self, Sketches};
use engine::{Cursor, PAGE, Record, Role, Scope, Selector, State, StateError, Time};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::HashSet;
use std::net::IpAddr;
use wire::{Direction, FlowKey, FlowKey4, FlowKey6};

pub(super) const KIND: &str = "flow";
/// Version 2 has `untold`.
const VERSION: u32 = 2;

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
    /// Bytes that the sketches have not been told of.
    #[serde(default)]
    untold: u32,
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
            untold: flow.untold,
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
        untold: value.untold,
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

/// Where the export of sketches begins, and that of assets; before them are the places of flows.
const SKETCHES: u64 = 1 << 62;
const ASSETS: u64 = 1 << 63;
/// Assets in a page: each may have many findings.
const ASSETS_PER_PAGE: usize = PAGE / 8;

/// What of an import is new.
struct Admitted {
    flows: Vec<Ended>,
    sketches: Option<Sketches>,
    assets: Vec<(Host, Asset)>,
}

impl State for Monitor {
    fn export(&self, cursor: Cursor, selector: &Selector, out: &mut Vec<Record>) -> Option<Cursor> {
        let next = match cursor.0 {
            ..SKETCHES => self.export_flows(cursor.0, selector, out).unwrap_or(SKETCHES),
            SKETCHES..ASSETS => self
                .export_sketches(cursor.0 - SKETCHES, selector, out)
                .map_or(ASSETS, |step| SKETCHES + step),
            ASSETS.. => ASSETS + self.export_assets(cursor.0 - ASSETS, selector, out)?,
        };
        // What is not there takes no page.
        let next = if next == SKETCHES && !self.offers_sketches(selector) { ASSETS } else { next };
        (next != ASSETS || self.offers_assets(selector)).then_some(Cursor(next))
    }

    /// A flow that is known already is joined with what the record says; so are hosts and sketches.
    fn import(&mut self, records: &[Record]) -> Result<(), StateError> {
        let Admitted { flows, sketches, assets } = self.admitted(records)?;
        for Ended { key, flow } in flows {
            self.accounts.take_in(key, &flow, &mut self.exits);
        }
        if let (Some(mine), Some(theirs)) = (&mut self.exits.sketches, &sketches) {
            mine.merge(theirs);
        }
        if let Some(known) = &mut self.exits.assets {
            assets.into_iter().for_each(|(host, asset)| known.take_in(host, asset));
        }
        Ok(())
    }

    fn admits(&self, records: &[Record]) -> Result<(), StateError> {
        self.admitted(records).map(|_| ())
    }
}

impl Monitor {
    fn export_flows(&self, from: u64, selector: &Selector, out: &mut Vec<Record>) -> Option<u64> {
        if !selector.wants_kind(KIND) || !selector.wants_scope(Scope::Flow) {
            return None;
        }
        self.accounts.page(from, PAGE, |key, flow| {
            let wanted = is_wanted(selector, &key, flow);
            if wanted {
                out.push(record(key, flow));
            }
            wanted
        })
    }

    /// They are of no address and no port.
    fn offers_sketches(&self, selector: &Selector) -> bool {
        let Selector { address, port, protocol, .. } = selector;
        self.exits.sketches.is_some()
            && selector.wants_scope(Scope::Shared)
            && (address.is_none() && port.is_none() && protocol.is_none())
            && sketch::KINDS.iter().any(|kind| selector.wants_kind(kind))
    }

    fn offers_assets(&self, selector: &Selector) -> bool {
        self.exits.assets.is_some()
            && selector.wants_scope(Scope::Shared)
            && selector.wants_kind(assets::KIND)
    }

    /// One record per page, as some have thousands of counters.
    fn export_sketches(&self, step: u64, selector: &Selector, out: &mut Vec<Record>) -> Option<u64> {
        let sketches = self.exits.sketches.as_ref().filter(|_| self.offers_sketches(selector))?;
        let record = sketch::records(sketches, usize::try_from(step).ok()?)?;
        out.extend(record.filter(|record| selector.wants_kind(&record.kind)));
        Some(step + 1)
    }

    fn export_assets(&self, from: u64, selector: &Selector, out: &mut Vec<Record>) -> Option<u64> {
        let known = self.exits.assets.as_ref().filter(|_| self.offers_assets(selector))?;
        known.page(from, ASSETS_PER_PAGE, |host, asset| {
            let wanted = assets::is_wanted(selector, host, asset);
            if wanted {
                out.push(assets::record(host, asset));
            }
            wanted
        })
    }

    /// What records say, if there is room for all of it.
    fn admitted(&self, records: &[Record]) -> Result<Admitted, StateError> {
        let of_assets = |record: &&Record| record.kind == assets::KIND && self.exits.assets.is_some();
        let of_sketches =
            |record: &&Record| sketch::KINDS.contains(&record.kind.as_str()) && self.exits.sketches.is_some();
        let flows = records.iter().filter(|record| !of_assets(record) && !of_sketches(record));
        let flows = flows.map(parse).collect::<Result<Vec<_>, _>>()?;
        let new: HashSet<FlowKey> =
            flows.iter().map(|ended| ended.key).filter(|key| self.accounts.get(key).is_none()).collect();
        let v4 = new.iter().filter(|key| matches!(key, FlowKey::V4(_))).count();
        room((self.accounts.v4.len() + v4).max(self.accounts.v6.len() + new.len() - v4), self.plan.capacity)?;
        let sketches = sketch::parse_all(records.iter().filter(of_sketches))?;
        let found = records.iter().filter(of_assets).map(assets::parse).collect::<Result<Vec<_>, _>>()?;
        if let Some(known) = &self.exits.assets {
            let new: HashSet<Host> =
                found.iter().map(|(host, _)| *host).filter(|host| !known.knows(*host)).collect();
            room(known.len() + new.len(), known.capacity())?;
        }
        Ok(Admitted { flows, sketches, assets: found })
    }
}

fn room(needed: usize, capacity: usize) -> Result<(), StateError> {
    if needed > capacity { Err(StateError::Full { needed, capacity }) } else { Ok(()) }
}
