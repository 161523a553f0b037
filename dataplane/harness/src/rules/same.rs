//! Two runs that must not differ.

use crate::frame::{Frame, Volley};
use crate::report::{Breach, Rule};
use crate::show;
use crate::trial::{Bench, Manner, Outcome, Trial, name, passed};
use engine::{Emitted, Fate, Prepared, Record};

/// Where two runs part.
pub(super) struct Parting {
    /// What is different.
    pub what: String,
    /// With which packet, if it can be told.
    pub frame: Option<Frame>,
}

/// How the packets that come out of two runs are compared.
pub(super) type Alike<'a> = &'a dyn Fn(&[u8], &[u8]) -> bool;

pub(super) fn determinism(trial: &Trial, prepared: &dyn Prepared) -> Result<Vec<Breach>, String> {
    let volleys = trial.volleys();
    let once = || -> Result<_, String> {
        let mut bench = Bench::new(trial, prepared)?;
        let outcome = bench.run(&volleys, Manner::default())?;
        Ok((outcome, bench.records()?))
    };
    let ((first, first_records), (second, second_records)) = (once()?, once()?);
    let parting = parting(&volleys, &first, &second, &|a, b| a == b)
        .or_else(|| records_part(&first_records, &second_records))
        .or_else(|| {
            let what = "the events or the broadcast updates are others".to_owned();
            (first != second).then_some(Parting { what, frame: None })
        });
    let help = "use the seed of its WorkerSite for what is random and `cx.now()` for time, and let no order \
                depend on a HashMap";
    Ok(parting
        .map(|parting| breach(trial, Rule::Determinism, "in a second run", parting, help))
        .into_iter()
        .collect())
}

/// A breach from where two runs part.
pub(super) fn breach(trial: &Trial, rule: Rule, when: &str, parting: Parting, help: &'static str) -> Breach {
    Breach { frame: parting.frame, ..trial.breach(rule, format!("{when}: {}", parting.what), help) }
}

/// The first packet that meets another fate in the second run, or comes out with other bytes; then the
/// packets that the NF sent by itself.
pub(super) fn parting(volleys: &[Volley], a: &Outcome, b: &Outcome, alike: Alike<'_>) -> Option<Parting> {
    fates_part(volleys, a, b, alike).or_else(|| emissions_part(a, b, alike))
}

pub(super) fn fates_part(volleys: &[Volley], a: &Outcome, b: &Outcome, alike: Alike<'_>) -> Option<Parting> {
    for ((volley, a), b) in volleys.iter().zip(&a.rounds).zip(&b.rounds) {
        for ((frame, a), b) in volley.frames.iter().zip(&a.fates).zip(&b.fates) {
            if let Some(what) = fate_parts(a, b, alike) {
                return Some(Parting { what, frame: Some(frame.clone()) });
            }
        }
    }
    None
}

fn fate_parts(a: &Fate, b: &Fate, alike: Alike<'_>) -> Option<String> {
    if name(a) != name(b) {
        return Some(format!("its verdict is '{}' instead of '{}'", name(b), name(a)));
    }
    let (a, b) = (passed(a)?, passed(b)?);
    (!alike(a, b)).then(|| format!("the packet comes out otherwise\n{}", show::difference(a, b)))
}

fn emissions_part(a: &Outcome, b: &Outcome, alike: Alike<'_>) -> Option<Parting> {
    let (first, second): (Vec<&Emitted>, Vec<&Emitted>) = (a.emitted().collect(), b.emitted().collect());
    if first.len() != second.len() {
        let what = format!("it emits {} packets instead of {}", second.len(), first.len());
        return Some(Parting { what, frame: None });
    }
    let differs = |(a, b): &(&&Emitted, &&Emitted)| {
        (a.gate, a.port) != (b.gate, b.port) || a.created != b.created || !alike(&a.bytes, &b.bytes)
    };
    let (a, b) = first.iter().zip(&second).find(differs)?;
    let what = format!(
        "it emits another packet (gate {}, port {:?} instead of gate {}, port {:?})\n{}",
        b.gate,
        b.port,
        a.gate,
        a.port,
        show::difference(&a.bytes, &b.bytes)
    );
    Some(Parting { what, frame: Some(Frame::new("emitted", a.bytes.clone())) })
}

/// The first record in which two canonical exports differ.
pub(super) fn records_part(a: &[Record], b: &[Record]) -> Option<Parting> {
    let text = |record: Option<&Record>| match record {
        Some(record) => {
            format!("{} version {} key {} value {}", record.kind, record.version, record.key, record.value)
        }
        None => "nothing".to_owned(),
    };
    let i = (0..a.len().max(b.len())).find(|&i| a.get(i) != b.get(i))?;
    let what = format!(
        "the exported state is another ({} records instead of {}); the first that differs\n    \
         expected {}\n    got      {}",
        b.len(),
        a.len(),
        text(a.get(i)),
        text(b.get(i))
    );
    Some(Parting { what, frame: None })
}
