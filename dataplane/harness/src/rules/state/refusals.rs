//! Records that an import must refuse, all or nothing.

use crate::report::{Breach, Rule};
use crate::trial::{Bench, Trial};
use engine::{Prepared, Record, StateError};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What an import must say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    UnknownKind,
    TooNew,
    /// Any error.
    Refused,
    /// Anything but a panic: the harness does not know the record's shape.
    Any,
}

pub(super) fn check(
    trial: &Trial,
    prepared: &dyn Prepared,
    records: &[Record],
) -> Result<Vec<Breach>, String> {
    let mut found = Vec::new();
    let samples: BTreeMap<&str, &Record> =
        records.iter().rev().map(|record| (record.kind.as_str(), record)).collect();
    for sample in samples.values() {
        for (what, record, answer) in spoilt(sample) {
            if let Some(what) = import_of(trial, prepared, records, &what, record, answer)? {
                let help = "check kind, version and every member of every record before the first change";
                found.push(trial.breach(Rule::State, what, help));
            }
        }
    }
    Ok(found)
}

/// Imports good records and one bad one behind them. What is wrong with the answer, if anything.
fn import_of(
    trial: &Trial,
    prepared: &dyn Prepared,
    good: &[Record],
    name: &str,
    bad: Record,
    answer: Answer,
) -> Result<Option<String>, String> {
    let mut fresh = Bench::new(trial, prepared)?;
    let before = fresh.records()?;
    let mut records: Vec<Record> = good.iter().take(3).cloned().collect();
    records.push(bad);
    let result = match fresh.import(&records) {
        Ok(result) => result,
        Err(panic) => return Ok(Some(format!("importing {name} panics: {panic}"))),
    };
    let right = match answer {
        Answer::UnknownKind => matches!(result, Err(StateError::UnknownKind(_))),
        Answer::TooNew => matches!(result, Err(StateError::TooNew { .. })),
        Answer::Refused => result.is_err(),
        Answer::Any => true,
    };
    if !right {
        return Ok(Some(format!("to the import of {name} it says {result:?}")));
    }
    let after = fresh.records()?;
    Ok((result.is_err() && after != before)
        .then(|| format!("the import of {name} is refused and has changed the state all the same")))
}

/// A good record in every bad way.
fn spoilt(good: &Record) -> Vec<(String, Record, Answer)> {
    let kind = &good.kind;
    let mut rows = vec![
        (
            "an unknown kind of record".to_owned(),
            Record { kind: "no_such_kind".to_owned(), ..good.clone() },
            Answer::UnknownKind,
        ),
        (
            format!("a '{kind}' of a newer version"),
            Record { version: good.version.saturating_add(1000), ..good.clone() },
            Answer::TooNew,
        ),
    ];
    for odd in [Value::Null, json!("?"), json!(-1.5), json!([1, [2]]), json!({"?": 1}), json!(true)] {
        if odd != good.value {
            let record = Record { value: odd.clone(), ..good.clone() };
            rows.push((format!("a '{kind}' with the value {odd}"), record, Answer::Refused));
        }
        if odd != good.key {
            // What has one record only may leave its key unread.
            let record = Record { key: odd.clone(), ..good.clone() };
            rows.push((format!("a '{kind}' with the key {odd}"), record, Answer::Any));
        }
    }
    for (name, value) in good.value.as_object().into_iter().flatten() {
        for odd in [Value::Null, json!("?"), json!(-1), json!(u64::MAX), json!({}), json!([])] {
            let mut record = good.clone();
            record.value[name.as_str()] = odd.clone();
            let numeric = value.is_number() && (odd.is_string() || odd.is_object());
            let answer = if numeric { Answer::Refused } else { Answer::Any };
            rows.push((format!("a '{kind}' whose {name} is {odd}"), record, answer));
        }
    }
    rows
}
