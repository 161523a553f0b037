//! Packets that others hold too, and packets in several segments.

use super::same::{self, parting};
use crate::report::{Breach, Rule};
use crate::trial::{Bench, Manner, Trial};
use engine::{Packing, Prepared};

/// What another reader sees of a shared packet stays as it was, and the NF does with it what it does with a
/// packet of its own.
pub(super) fn copy_on_write(trial: &Trial, prepared: &dyn Prepared) -> Result<Vec<Breach>, String> {
    let volleys = trial.volleys();
    let alone = Bench::new(trial, prepared)?.run(&volleys, Manner::default())?;
    for packing in [Packing::Contiguous, Packing::Segmented] {
        let manner = Manner { packing, shared: true };
        let shared = Bench::new(trial, prepared)?.run(&volleys, manner)?;
        for (volley, round) in volleys.iter().zip(&shared.rounds) {
            let changed = |i: &usize| round.shared.get(*i) != Some(&volley.frames[*i].bytes);
            if let Some(i) = (0..volley.frames.len()).find(changed) {
                let what = "another reader of a shared packet sees other bytes than before";
                let help = "write only by `bytes_mut`, `prepend`, `append`, `trim_front` and `truncate`; if \
                            it did, this is a fault of the engine";
                let frame = Some(volley.frames[i].clone());
                return Ok(vec![Breach { frame, ..trial.breach(Rule::CopyOnWrite, what, help) }]);
            }
        }
        if let Some(parting) = parting(&volleys, &alone, &shared, &|a, b| a == b) {
            let help = "look at packets only through the burst, after `bytes_mut` too: it may be a copy";
            return Ok(vec![same::breach(trial, Rule::CopyOnWrite, "with shared packets", parting, help)]);
        }
    }
    Ok(Vec::new())
}

/// How a packet lies in memory makes no difference.
pub(super) fn segments(trial: &Trial, prepared: &dyn Prepared) -> Result<Vec<Breach>, String> {
    let volleys = trial.volleys();
    let run = |packing| {
        let mut bench = Bench::new(trial, prepared)?;
        let outcome = bench.run(&volleys, Manner { packing, shared: false })?;
        Ok::<_, String>((outcome, bench.records()?))
    };
    let (whole, whole_records) = run(Packing::Contiguous)?;
    let (segmented, segmented_records) = run(Packing::Segmented)?;
    let parting = parting(&volleys, &whole, &segmented, &|a, b| a == b)
        .or_else(|| same::records_part(&whole_records, &segmented_records));
    let help = "`bytes` is the first segment only: use `packet_len` for the length and `segments` for what \
                is behind the first 256 bytes";
    let when = "with packets in several segments";
    Ok(parting.map(|parting| same::breach(trial, Rule::Segments, when, parting, help)).into_iter().collect())
}
