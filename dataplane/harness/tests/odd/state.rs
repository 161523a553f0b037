//! The state of the odd NF: packets per source.

use super::Fault;
use engine::{Cursor, PAGE, Record, Role, Scope, Selector, State, StateError, Time};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Packets, bytes and the time of the last packet.
#[derive(Clone, Copy, Default)]
struct Count {
    packets: u64,
    bytes: u64,
    last: u64,
}

pub struct Counts {
    fault: Fault,
    sources: BTreeMap<u32, Count>,
}

impl Counts {
    pub fn new(fault: Fault) -> Self {
        Counts { fault, sources: BTreeMap::new() }
    }

    pub fn len(&self) -> usize {
        self.sources.len()
    }

    pub fn add(&mut self, source: u32, bytes: u64, now: Time) {
        let count = self.sources.entry(source).or_default();
        count.packets += 1;
        count.bytes += bytes;
        count.last = now.as_nanos();
    }

    fn record(&self, source: u32, count: &Count) -> Record {
        Record {
            kind: "source".to_owned(),
            version: 1,
            role: Role::Supporting,
            scope: Scope::Flow,
            key: json!(source),
            value: json!({"packets": count.packets, "bytes": count.bytes, "last": count.last}),
        }
    }

    fn read(&self, record: &Record) -> Result<(u32, Count), StateError> {
        if record.kind != "source" && self.fault != Fault::AcceptsUnknown {
            return Err(StateError::UnknownKind(record.kind.clone()));
        }
        if record.version > 1 && self.fault != Fault::AcceptsNewer {
            let kind = record.kind.clone();
            return Err(StateError::TooNew { kind, found: record.version, known: 1 });
        }
        let number = |value: &Value| match (value.as_u64(), self.fault) {
            (None, Fault::AcceptsMalformed) => Some(0),
            (None, Fault::PanicsOnMalformed) => panic!("not a number: {value}"),
            (number, _) => number,
        };
        let source = number(&record.key).and_then(|source| u32::try_from(source).ok());
        let (packets, bytes) = (number(&record.value["packets"]), number(&record.value["bytes"]));
        let last = if self.fault == Fault::ForgetsTime { Some(0) } else { number(&record.value["last"]) };
        match (source, packets, bytes, last) {
            (Some(source), Some(packets), Some(bytes), Some(last)) => {
                Ok((source, Count { packets, bytes, last }))
            }
            _ => {
                let message = "expected numbers".to_owned();
                Err(StateError::Malformed { kind: record.kind.clone(), message })
            }
        }
    }
}

impl State for Counts {
    fn export(&self, cursor: Cursor, selector: &Selector, out: &mut Vec<Record>) -> Option<Cursor> {
        let all = self.fault == Fault::IgnoresSelector;
        if !selector.wants_kind("source") && !all {
            return None;
        }
        let page = if self.fault == Fault::LongPage { usize::MAX } else { PAGE.min(10) };
        let from = u32::try_from(cursor.0).ok()?;
        for (n, (source, count)) in self.sources.range(from..).enumerate() {
            if n == page {
                let step = u64::from(self.fault == Fault::Twice && *source > 99);
                return Some(Cursor(u64::from(*source) - step));
            }
            if selector.wants_time(Time::from_nanos(count.last)) || all {
                out.push(self.record(*source, count));
            }
            if self.fault == Fault::Twice && n == 0 {
                out.push(self.record(*source, count));
            }
        }
        (self.fault == Fault::Endless).then_some(Cursor(0))
    }

    fn import(&mut self, records: &[Record]) -> Result<(), StateError> {
        let mut read = Vec::new();
        for record in records {
            let (source, count) = self.read(record)?;
            if self.fault == Fault::ImportsHalf {
                self.sources.insert(source, count);
            }
            read.push((source, count));
        }
        self.sources.extend(read);
        Ok(())
    }
}
