//! Only what is declared is changed, dropped, gated, created, held.

use crate::frame::{Frame, Volley};
use crate::report::{Breach, Rule};
use crate::show;
use crate::trial::{Bench, Manner, Trial, passed};
use engine::{Effects, Fate, Prepared, Round};
use wire::{Field, Fields};

pub(super) fn check(trial: &Trial, prepared: &dyn Prepared) -> Result<Vec<Breach>, String> {
    let effects = prepared.effects();
    let volleys = trial.volleys();
    let mut bench = Bench::new(trial, prepared)?;
    let mut found: Vec<Breach> = Vec::new();
    let mut add = |breach: Breach| {
        // One packet per kind of breach is enough to work on.
        if !found.iter().any(|known| known.what == breach.what) {
            found.push(breach);
        }
    };
    for volley in &volleys {
        let (round, tick) = bench.volley(volley, Manner::default())?;
        for (frame, fate) in volley.frames.iter().zip(&round.fates) {
            if let Some((what, help)) = undeclared(trial, &effects, frame, fate) {
                add(Breach { frame: Some(frame.clone()), ..trial.breach(Rule::Effects, what, help) });
            }
        }
        for (what, help) in [&round, &tick].into_iter().filter_map(|round| sent(trial, &effects, round)) {
            add(Breach { frame: first(volley), ..trial.breach(Rule::Effects, what, help) });
        }
    }
    Ok(found)
}

fn first(volley: &Volley) -> Option<Frame> {
    volley.frames.first().cloned()
}

/// What an NF did to a packet that it did not declare.
fn undeclared(
    trial: &Trial,
    effects: &Effects,
    frame: &Frame,
    fate: &Fate,
) -> Option<(String, &'static str)> {
    match fate {
        Fate::Drop(Fate::UNDECLARED) => Some((
            "it dropped under a reason that is not in DROPS".to_owned(),
            "make each Reason of an index into DROPS",
        )),
        Fate::Drop(reason) if !effects.may_drop => {
            Some((format!("it dropped as '{reason}'"), "set `may_drop` in `effects`"))
        }
        Fate::Absorb if !effects.may_drop => Some((
            "it absorbed a packet".to_owned(),
            "set `may_drop` in `effects`: for those who come after, an absorbed packet is gone",
        )),
        Fate::Gate(gate, _) if !effects.may_drop => Some((
            format!("it sent to gate {gate}"),
            "set `may_drop` in `effects`: it covers other gates too",
        )),
        Fate::Gate(gate, _) if usize::from(*gate) >= trial.gates() => Some((
            format!("it sent to gate {gate} and has {}", trial.gates()),
            "choose among the gates in Site::gates, or declare GATES as Gates::Ports",
        )),
        Fate::Taken if !effects.holds => Some(("it took a packet".to_owned(), "set `holds` in `effects`")),
        _ => passed(fate).and_then(|bytes| changed(effects, &frame.bytes, bytes)),
    }
}

/// The fields that changed and are not declared.
fn changed(effects: &Effects, before: &[u8], after: &[u8]) -> Option<(String, &'static str)> {
    if before.len() != after.len() && !effects.changes_length {
        let what = "it changed a packet's length".to_owned();
        return Some((what, "set `changes_length` in `effects`"));
    }
    let fields = if before.len() == after.len() {
        bits_changed(effects.writes, before, after)
    } else {
        // What lies where has changed; the values of the fields have not, and of the payload one is the
        // start of the other.
        let same_start = payloads_agree(before, after);
        let writes = effects.writes.with(Field::Length);
        let writes = if same_start { writes.with(Field::Payload) } else { writes };
        show::differing(before, after).without(writes)
    };
    if fields.is_empty() {
        return None;
    }
    let what = format!("it changed {fields}, and declares that it writes: {}", effects.writes);
    Some((what, "add the fields to `writes` in `effects`, or leave them alone"))
}

fn payloads_agree(a: &[u8], b: &[u8]) -> bool {
    let a = show::extract(&wire::parse(a), a, Field::Payload);
    let b = show::extract(&wire::parse(b), b, Field::Payload);
    a.starts_with(&b) || b.starts_with(&a)
}

/// To which fields the bits belong that changed and are not covered by `writes`.
fn bits_changed(writes: Fields, before: &[u8], after: &[u8]) -> Fields {
    let headers = wire::parse(before);
    let mut mask = vec![0; before.len()];
    wire::fields::mask(&headers, before, writes, &mut mask);
    let stray: Vec<u8> = before.iter().zip(after).zip(&mask).map(|((b, a), mask)| (b ^ a) & !mask).collect();
    if stray.iter().all(|byte| *byte == 0) {
        return Fields::EMPTY;
    }
    let mut touches = |field: &Field| {
        wire::fields::mask(&headers, before, Fields::of(&[*field]), &mut mask);
        mask.iter().zip(&stray).any(|(mask, stray)| mask & stray != 0)
    };
    Field::ALL.into_iter().filter(|field| touches(field)).collect()
}

/// Packets that the NF sent itself without having declared it.
fn sent(trial: &Trial, effects: &Effects, round: &Round) -> Option<(String, &'static str)> {
    if round.emitted.iter().any(|emitted| emitted.created) && !effects.may_create {
        return Some(("it created a packet".to_owned(), "set `may_create` in `effects`"));
    }
    let gate = round.emitted.iter().map(|emitted| emitted.gate).max()?;
    (usize::from(gate) >= trial.gates()).then(|| {
        let what = format!("it emitted to gate {gate} and has {}", trial.gates());
        (what, "choose among the gates in Site::gates, or declare GATES as Gates::Ports")
    })
}
