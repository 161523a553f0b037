//! Any packet, however broken, meets exactly one fate, without a panic; what is held comes back.

use crate::frame::{Frame, Volley};
use crate::report::{Breach, Rule};
use crate::trial::{Bench, Manner, Trial};
use engine::{Fate, Packing, Prepared};
use std::time::Duration;

pub(super) fn check(trial: &Trial, prepared: &dyn Prepared) -> Result<Vec<Breach>, String> {
    let volleys = trial.volleys();
    for packing in [Packing::Contiguous, Packing::Segmented] {
        let found = one_packing(trial, prepared, &volleys, packing)?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

fn one_packing(
    trial: &Trial,
    prepared: &dyn Prepared,
    volleys: &[Volley],
    packing: Packing,
) -> Result<Vec<Breach>, String> {
    let manner = Manner { packing, shared: false };
    let mut bench = Bench::new(trial, prepared)?;
    for volley in volleys {
        let round = match bench.volley(volley, manner) {
            Ok((round, _)) => round,
            Err(what) => {
                let frame = culprit(trial, prepared, volley, manner)?;
                let help = "bytes from the wire may be anything: check lengths, and give a drop reason";
                return Ok(vec![Breach { frame, ..trial.breach(Rule::Packets, what, help) }]);
            }
        };
        if round.fates.len() != volley.frames.len() {
            return Err("the stand lost packets".to_owned());
        }
        if let Some(i) = round.fates.iter().position(|fate| *fate == Fate::Contradiction) {
            let what = "its verdict contradicts what it did: a packet that was taken has the verdict Taken, \
                        which only `take` gives";
            let help = "give no verdict after `take`, and never set Verdict::Taken by hand";
            let frame = Some(volley.frames[i].clone());
            return Ok(vec![Breach { frame, ..trial.breach(Rule::Packets, what, help) }]);
        }
    }
    Ok(drained(trial, &mut bench, volleys)?.into_iter().collect())
}

/// After a drain nothing may be held.
fn drained(trial: &Trial, bench: &mut Bench, volleys: &[Volley]) -> Result<Option<Breach>, String> {
    let end = volleys.last().map(|volley| volley.at).unwrap_or_default() + Duration::from_secs(1);
    // An outbox has room for so many; an NF that holds more gives them back in several goes.
    let mut before = u64::MAX;
    while bench.held() > 0 && bench.held() < before {
        before = bench.held();
        bench.drain(end)?;
    }
    let stats = bench.stand().stats();
    let (taken, released) = (stats.taken.get(), stats.released.get());
    Ok((taken != released).then(|| {
        let what = format!(
            "of {taken} packets that it took, {released} were emitted or discarded by the end of `drain`"
        );
        let help = "every packet from `take` goes to `cx.emit` or `cx.discard`, at the latest in `drain`";
        trial.breach(Rule::Packets, what, help)
    }))
}

/// The packet of a burst with which a fresh instance panics too, if it is one alone.
fn culprit(
    trial: &Trial,
    prepared: &dyn Prepared,
    volley: &Volley,
    manner: Manner,
) -> Result<Option<Frame>, String> {
    for frame in &volley.frames {
        let alone = Volley { at: volley.at, frames: vec![frame.clone()] };
        if Bench::new(trial, prepared)?.volley(&alone, manner).is_err() {
            return Ok(Some(frame.clone()));
        }
    }
    Ok(None)
}
