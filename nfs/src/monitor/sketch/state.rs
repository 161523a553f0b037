//! Sketches leave and enter as records: `distinct`, one for each number; `bytes`, one for each row of a ranking; and
//! `largest`, the candidates of a ranking.

use super::distinct::Distinct;
use super::heavy::{self, CANDIDATES, Heavy, ROWS};
use super::{Sketches, hash_address, hash_service};
use engine::{Record, Role, Scope, StateError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::net::IpAddr;

/// Kinds of records.
pub(in crate::monitor) const DISTINCT: &str = "distinct";
pub(in crate::monitor) const BYTES: &str = "bytes";
pub(in crate::monitor) const LARGEST: &str = "largest";
/// All of them.
pub(in crate::monitor) const KINDS: [&str; 3] = [DISTINCT, BYTES, LARGEST];
const VERSION: u32 = 1;

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Number {
    Sources,
    Destinations,
    Services,
    Flows,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ranking {
    Hosts,
    Services,
}

const NUMBERS: [Number; 4] = [Number::Sources, Number::Destinations, Number::Services, Number::Flows];

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NumberKey {
    of: Number,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RowKey {
    by: Ranking,
    row: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LargestKey {
    by: Ranking,
}

fn record(kind: &str, key: Value, value: Value) -> Record {
    Record {
        kind: kind.to_owned(),
        version: VERSION,
        role: Role::Reporting,
        scope: Scope::Shared,
        key,
        value,
    }
}

impl Sketches {
    fn number(&mut self, number: Number) -> &mut Distinct {
        match number {
            Number::Sources => &mut self.sources,
            Number::Destinations => &mut self.destinations,
            Number::Services => &mut self.services,
            Number::Flows => &mut self.flows,
        }
    }
}

/// The `step`-th of the records, if there are so many; an inner `None` is one that would say nothing.
pub(in crate::monitor) fn records(sketches: &Sketches, step: usize) -> Option<Option<Record>> {
    let numbers = [&sketches.sources, &sketches.destinations, &sketches.services, &sketches.flows];
    if let Some((of, number)) = NUMBERS.into_iter().zip(numbers).nth(step) {
        let value = || json!({ "registers": number.text() });
        return Some((!number.is_empty()).then(|| record(DISTINCT, json!(NumberKey { of }), value())));
    }
    let step = step - NUMBERS.len();
    if let Some(row) = (step < 2 * ROWS).then_some(step % ROWS) {
        let (by, counters, total) = if step < ROWS {
            (Ranking::Hosts, sketches.hosts.row(row), sketches.hosts.total())
        } else {
            (Ranking::Services, sketches.ports.row(row), sketches.ports.total())
        };
        let value = || json!({ "counters": counters });
        return Some((total > 0).then(|| record(BYTES, json!(RowKey { by, row }), value())));
    }
    let (by, keys) = match step - 2 * ROWS {
        0 => (
            Ranking::Hosts,
            sketches.hosts.largest().into_iter().map(|(key, _)| json!(key)).collect::<Value>(),
        ),
        1 => (Ranking::Services, sketches.ports.largest().into_iter().map(|(key, _)| json!(key)).collect()),
        _ => return None,
    };
    let value = || json!({ "keys": keys });
    let any = keys.as_array().is_some_and(|keys| !keys.is_empty());
    Some(any.then(|| record(LARGEST, json!(LargestKey { by }), value())))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Registers {
    registers: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Counters {
    counters: Vec<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys<K> {
    keys: Vec<K>,
}

/// What records of [`KINDS`] say, joined; `None` without any.
pub(in crate::monitor) fn parse_all<'a>(
    records: impl Iterator<Item = &'a Record> + Clone,
) -> Result<Option<Sketches>, StateError> {
    let mut whole = None;
    for record in records.clone().filter(|record| record.kind != LARGEST) {
        take(whole.get_or_insert_with(Sketches::new), record)?;
    }
    // Candidates need the rows, to be compared by.
    let (mut hosts, mut services) = (Vec::new(), Vec::new());
    for record in records.filter(|record| record.kind == LARGEST) {
        check(record)?;
        let of: LargestKey = read(record, &record.key)?;
        match of.by {
            Ranking::Hosts => hosts.extend(keys::<IpAddr>(record)?.map(|key| (hash_address(key), key))),
            Ranking::Services => services.extend(keys(record)?.map(|key| (hash_service(key), key))),
        }
    }
    if let Some(whole) = &mut whole {
        whole.hosts.elect(hosts.into_iter());
        whole.ports.elect(services.into_iter());
    }
    Ok(whole)
}

fn keys<K: for<'de> Deserialize<'de>>(record: &Record) -> Result<impl Iterator<Item = K>, StateError> {
    let Keys { keys } = read(record, &record.value)?;
    if keys.len() > CANDIDATES {
        return Err(malformed(record, format!("{} keys, more than {CANDIDATES}", keys.len())));
    }
    Ok(keys.into_iter())
}

fn take(whole: &mut Sketches, record: &Record) -> Result<(), StateError> {
    check(record)?;
    if record.kind == DISTINCT {
        let NumberKey { of } = read(record, &record.key)?;
        let Registers { registers } = read(record, &record.value)?;
        let parsed = Distinct::parse(&registers);
        whole
            .number(of)
            .merge(&parsed.ok_or_else(|| malformed(record, "these are no registers".to_owned()))?);
        return Ok(());
    }
    let RowKey { by, row } = read(record, &record.key)?;
    let Counters { counters } = read(record, &record.value)?;
    if !heavy::is_row(row, &counters) {
        return Err(malformed(record, format!("these are no counters of a row {row}")));
    }
    fn join<K: Copy + Ord>(into: &mut Heavy<K>, row: usize, counters: &[u64]) {
        into.merge_row(row, counters);
    }
    match by {
        Ranking::Hosts => join(&mut whole.hosts, row, &counters),
        Ranking::Services => join(&mut whole.ports, row, &counters),
    }
    Ok(())
}

fn check(record: &Record) -> Result<(), StateError> {
    if record.version > VERSION {
        let (kind, found) = (record.kind.clone(), record.version);
        return Err(StateError::TooNew { kind, found, known: VERSION });
    }
    Ok(())
}

fn read<T: for<'de> Deserialize<'de>>(record: &Record, value: &Value) -> Result<T, StateError> {
    T::deserialize(value).map_err(|error| malformed(record, error.to_string()))
}

fn malformed(record: &Record, message: String) -> StateError {
    StateError::Malformed { kind: record.kind.clone(), message }
}
