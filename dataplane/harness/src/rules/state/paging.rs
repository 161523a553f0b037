//! Export by pages and by selection.

use crate::bench::caught;
use crate::report::{Breach, Rule};
use crate::trial::{Bench, Trial, identity};
use engine::{Cursor, PAGE, Record, Selector};
use std::collections::BTreeSet;

pub(super) fn check(trial: &Trial, bench: &mut Bench) -> Result<Vec<Breach>, String> {
    let all = match pages(trial, bench, &Selector::default())? {
        Ok(all) => all,
        Err(breach) => return Ok(vec![breach]),
    };
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    if let Some(twice) = all.iter().find(|record| !seen.insert(identity(record))) {
        let what = format!("one export has the record '{}' {} twice", twice.kind, twice.key);
        let help = "make the cursor stand for a place that records do not move across, and keys unique";
        found.push(trial.breach(Rule::State, what, help));
    }
    found.extend(selections(trial, bench, &all)?);
    Ok(found)
}

/// All pages; or what is wrong with them.
fn pages(
    trial: &Trial,
    bench: &mut Bench,
    selector: &Selector,
) -> Result<Result<Vec<Record>, Breach>, String> {
    let mut all = Vec::new();
    let mut cursor = Some(Cursor::default());
    let mut seen = BTreeSet::new();
    while let Some(from) = cursor {
        if !seen.insert(from.0) {
            let help = "return None from `export` when everything was visited";
            let what = "its export does not end: it comes back to a cursor";
            return Ok(Err(trial.breach(Rule::State, what, help)));
        }
        let Some(state) = bench.stand().state() else { return Ok(Ok(all)) };
        let mut page = Vec::new();
        cursor = caught(|| state.export(from, selector, &mut page))
            .map_err(|panic| format!("its export panicked: {panic}"))?;
        if page.len() > PAGE {
            let what = format!("a page of its export has {} records, more than {PAGE}", page.len());
            let help = "stop after PAGE records and return a cursor";
            return Ok(Err(trial.breach(Rule::State, what, help)));
        }
        all.append(&mut page);
    }
    Ok(Ok(all))
}

/// A selection is a part of the whole, and exact where the harness can tell.
fn selections(trial: &Trial, bench: &mut Bench, all: &[Record]) -> Result<Vec<Breach>, String> {
    let kinds: BTreeSet<&str> = all.iter().map(|record| record.kind.as_str()).collect();
    let mut rows: Vec<(String, Selector, Option<usize>)> = Vec::new();
    for kind in kinds {
        let count = all.iter().filter(|record| record.kind == kind).count();
        let selector = Selector { kind: Some(kind.to_owned()), ..Selector::default() };
        rows.push((format!("kind '{kind}'"), selector, Some(count)));
    }
    let unknown = Selector { kind: Some("no_such_kind".to_owned()), ..Selector::default() };
    rows.push(("kind 'no_such_kind'".to_owned(), unknown, Some(0)));
    let ever = Selector { since: Some(0), ..Selector::default() };
    rows.push(("changes since the epoch".to_owned(), ever, Some(all.len())));
    let network = "10.0.0.0/8".parse().ok();
    rows.push(("address 10.0.0.0/8".to_owned(), Selector { address: network, ..Selector::default() }, None));
    rows.push(("port 53".to_owned(), Selector { port: Some(53), ..Selector::default() }, None));
    rows.push(("protocol 6".to_owned(), Selector { protocol: Some(6), ..Selector::default() }, None));

    let known: BTreeSet<_> = all.iter().map(identity).collect();
    let help = "ask `wants_kind`, `wants_time` and the flow parts of the selector for every record";
    let mut found = Vec::new();
    for (name, selector, count) in rows {
        let selected = match pages(trial, bench, &selector)? {
            Ok(selected) => selected,
            Err(breach) => return Ok(vec![breach]),
        };
        let strange = selected.iter().any(|record| !known.contains(&identity(record)));
        if strange || count.is_some_and(|count| count != selected.len()) {
            let expected = count.map_or("at most".to_owned(), |count| format!("{count} of"));
            let what = format!(
                "an export selected by {name} has {} records, expected {expected} the {}",
                selected.len(),
                all.len()
            );
            found.push(trial.breach(Rule::State, what, help));
        }
    }
    Ok(found)
}
