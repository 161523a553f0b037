//! State leaves its instance and enters another without loss.

mod paging;
mod refusals;

use super::same::{self, Parting, fates_part, parting, records_part};
use crate::frame::Volley;
use crate::report::{Breach, Rule};
use crate::trial::{Bench, Manner, Outcome, Trial, canonical};
use engine::{Prepared, Record, Scope, StateKind, Time};

const HELP: &str =
    "export everything that later packets or reports depend on, times too, and import it whole";

pub(super) fn check(
    trial: &Trial,
    prepared: &dyn Prepared,
    notes: &mut Vec<String>,
) -> Result<Vec<Breach>, String> {
    let declared = prepared.effects().state != StateKind::None;
    let mut bench = Bench::new(trial, prepared)?;
    let some = bench.stand().state().is_some();
    if !some && trial.is_outside() {
        // Its state is where the NF is.
        return Ok(Vec::new());
    }
    if some != declared {
        let (what, help) = if declared {
            ("it declares state, and `state` returns none", "return its state, or declare StateKind::None")
        } else {
            ("it declares StateKind::None, and `state` returns some", "declare what kind of state it is")
        };
        return Ok(vec![trial.breach(Rule::State, what, help)]);
    }
    if !declared {
        return Ok(Vec::new());
    }
    let volleys = trial.volleys();
    let uninterrupted = bench.run(&volleys, Manner::default())?;
    let mut found = paging::check(trial, &mut bench)?;
    if !found.is_empty() {
        // Everything else relies on whole exports.
        return Ok(found);
    }
    let records = bench.records()?;
    if records.is_empty() {
        notes.push(format!(
            "{}: export and import, because the traffic left no record in its state",
            trial.entry.name
        ));
        return Ok(found);
    }
    let whole = Whole { volleys: &volleys, outcome: &uninterrupted, records: &records };
    found.extend(moved(trial, prepared, &records)?);
    found.extend(half_way(trial, prepared, &whole)?);
    found.extend(adopted(trial, prepared, &whole)?);
    found.extend(split_and_joined(trial, prepared, &mut bench, &records)?);
    found.extend(refusals::check(trial, prepared, &records)?);
    Ok(found)
}

/// A run without interruption: what every other way must come to.
struct Whole<'a> {
    volleys: &'a [Volley],
    outcome: &'a Outcome,
    records: &'a [Record],
}

impl Whole<'_> {
    /// The first half of the traffic, and the second with its outcome.
    fn halves(&self) -> (&[Volley], &[Volley], Outcome) {
        let half = self.volleys.len() / 2;
        let rest = Outcome {
            rounds: self.outcome.rounds[half..].to_vec(),
            ticks: self.outcome.ticks[half..].to_vec(),
        };
        (&self.volleys[..half], &self.volleys[half..], rest)
    }

    fn half_time(&self) -> Time {
        self.volleys.get(self.volleys.len() / 2).map(|volley| volley.at).unwrap_or_default()
    }
}

fn breach(trial: &Trial, when: &str, parting: Parting) -> Breach {
    same::breach(trial, Rule::State, when, parting, HELP)
}

/// What a fresh instance exports after an import is what it imported.
fn moved(trial: &Trial, prepared: &dyn Prepared, records: &[Record]) -> Result<Option<Breach>, String> {
    let mut fresh = Bench::new(trial, prepared)?;
    if let Some(refused) = enter(trial, &mut fresh, records)? {
        return Ok(Some(refused));
    }
    let parting = records_part(records, &fresh.records()?);
    Ok(parting.map(|parting| breach(trial, "exported and imported into a fresh instance", parting)))
}

/// An import that must succeed.
fn enter(trial: &Trial, bench: &mut Bench, records: &[Record]) -> Result<Option<Breach>, String> {
    let result = bench.import(records).map_err(|panic| format!("its import panicked: {panic}"))?;
    Ok(result.err().map(|error| {
        let what = format!("a fresh instance refuses the {} records of another: {error}", records.len());
        trial.breach(Rule::State, what, HELP)
    }))
}

/// Moved to another instance half way, it goes on as if nothing had happened. Packets that are held stay
/// with the old instance, so of an NF that holds some only the fates are compared.
fn half_way(trial: &Trial, prepared: &dyn Prepared, whole: &Whole<'_>) -> Result<Option<Breach>, String> {
    let (first, second, expected) = whole.halves();
    let mut old = Bench::new(trial, prepared)?;
    old.run(first, Manner::default())?;
    let records = old.records()?;
    let holds = old.held() > 0;
    let mut new = Bench::new(trial, prepared)?;
    if let Some(refused) = enter(trial, &mut new, &records)? {
        return Ok(Some(refused));
    }
    let outcome = new.run(second, Manner::default())?;
    let exact = |a: &[u8], b: &[u8]| a == b;
    let parting = if holds {
        fates_part(second, &expected, &outcome, &exact)
    } else {
        parting(second, &expected, &outcome, &exact)
    };
    let parting = match parting {
        None if !holds => records_part(whole.records, &new.records()?),
        parting => parting,
    };
    Ok(parting.map(|parting| breach(trial, "moved to another instance half way", parting)))
}

/// Adopted half way by an instance under the same configuration, held packets and all.
fn adopted(trial: &Trial, prepared: &dyn Prepared, whole: &Whole<'_>) -> Result<Option<Breach>, String> {
    let (first, second, expected) = whole.halves();
    let mut old = Bench::new(trial, prepared)?;
    old.run(first, Manner::default())?;
    let mut new = Bench::new(trial, prepared)?;
    let taking_over = new.adopt(old, whole.half_time())?;
    let outcome = new.run(second, Manner::default())?;
    let parting = if taking_over.emitted.is_empty() {
        parting(second, &expected, &outcome, &|a, b| a == b)
    } else {
        fates_part(second, &expected, &outcome, &|a, b| a == b)
    };
    let parting = match parting {
        None => records_part(whole.records, &new.records()?),
        parting => parting,
    };
    let help =
        "take state and held packets from the old instance in `adopt`: `old as Box<dyn Any>` downcasts";
    let when = "adopted half way by an instance of the same configuration";
    Ok(parting.map(|parting| same::breach(trial, Rule::State, when, parting, help)))
}

/// What an instance gives up for other workers, and what it keeps, is together what it had.
fn split_and_joined(
    trial: &Trial,
    prepared: &dyn Prepared,
    bench: &mut Bench,
    records: &[Record],
) -> Result<Option<Breach>, String> {
    let parts = crate::bench::caught(|| bench.stand().split(&|key| (key.symmetric_hash() & 1) as usize))
        .map_err(|panic| format!("its split panicked: {panic}"))?;
    let mut other = Bench::new(trial, prepared)?;
    let stray = parts.iter().find(|(owner, _)| *owner != 1).map(|(owner, _)| *owner);
    for (_, part) in parts {
        crate::bench::caught(|| other.stand().join(part))
            .map_err(|panic| format!("its join panicked: {panic}"))?;
    }
    let flows = |records: Vec<Record>| records.into_iter().filter(|record| record.scope == Scope::Flow);
    let both = canonical(flows(bench.records()?).chain(flows(other.records()?)).collect());
    let expected: Vec<Record> = flows(records.to_vec()).collect();
    let parting = records_part(&expected, &both).or_else(|| {
        let what = format!("a part is for worker {}, which is not another owner's", stray?);
        Some(Parting { what, frame: None })
    });
    let help = "give each flow whose owner is another worker to that one in `split`, keep the rest, and take \
                everything in in `join`";
    let when = "split between two workers";
    Ok(parting.map(|parting| same::breach(trial, Rule::State, when, parting, help)))
}
