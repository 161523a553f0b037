//! One NF under one configuration, on trial.

use crate::bench::{caught, pools};
use crate::frame::{Frame, Volley, volleys};
use crate::report::{Breach, Report, Rule};
use crate::{corpus, rules};
use engine::{
    Emitted, Entry, Fate, Packing, Prepared, Record, Round, Selector, Site, Stand, Time, WorkerSite,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

/// Seed of every check that was given none.
const SEED: u64 = 0x62_7261_6964;

/// One NF under one configuration, with the traffic that it is checked with.
///
/// [`Trial::example`] is right for most; an NF with different modes is tried under each of them:
///
/// ```no_run
/// # fn check(entry: &engine::Entry) {
/// let mut trial = harness::Trial::example(entry);
/// trial.config = "mode = \"strict\"".to_owned();
/// trial.check().assert_clean();
/// # }
/// ```
#[derive(Clone)]
pub struct Trial {
    /// The kind of NF.
    pub entry: Entry,
    /// Its configuration in TOML, without `kind`.
    pub config: String,
    /// Its surroundings: as they come, three ports (`lan`, `wan`, `dmz`), of which the NF's gates lead to
    /// the last two, and one worker.
    pub site: Site,
    /// The traffic.
    pub frames: Vec<Frame>,
    /// Seed of everything random in the checks.
    pub seed: u64,
}

impl Trial {
    /// The NF with its example configuration and the harness's own traffic.
    pub fn example(entry: &Entry) -> Self {
        Trial {
            entry: *entry,
            config: entry.example.to_owned(),
            site: site(),
            frames: corpus(SEED),
            seed: SEED,
        }
    }

    /// Checks every rule.
    pub fn check(&self) -> Report {
        let mut report = Report::default();
        for rule in Rule::ALL {
            report.merge(self.check_rule(rule));
        }
        report
    }

    /// Checks one rule.
    pub fn check_rule(&self, rule: Rule) -> Report {
        rules::check(self, rule)
    }

    /// Reads the configuration and prepares the NF.
    ///
    /// # Errors
    /// What the NF says is wrong with it.
    pub(crate) fn prepare(&self) -> Result<Arc<dyn Prepared>, String> {
        let config = table(&self.config)?;
        let configured = self.entry.configure(config).map_err(|error| error.to_string())?;
        configured.prepare(&self.site).map_err(|error| error.to_string())
    }

    /// Whether what is tried only stands for an NF behind ports.
    pub(crate) fn is_outside(&self) -> bool {
        let doors = table(&self.config).ok().and_then(|config| self.entry.configure(config).ok());
        doors.is_some_and(|configured| !configured.doors().is_empty())
    }

    pub(crate) fn worker(&self) -> WorkerSite {
        WorkerSite { index: 0, count: self.site.workers.max(1), seed: self.site.seed }
    }

    pub(crate) fn volleys(&self) -> Vec<Volley> {
        volleys(self.frames.clone(), self.seed)
    }

    pub(crate) fn breach(&self, rule: Rule, what: impl Into<String>, help: &'static str) -> Breach {
        Breach { nf: self.entry.name.to_owned(), rule, what: what.into(), frame: None, help }
    }

    /// How many gates the NF has here.
    pub(crate) fn gates(&self) -> usize {
        match self.entry.gates {
            engine::Gates::One => 1,
            engine::Gates::Ports => self.site.gates.len(),
        }
    }
}

/// The surroundings of an NF on trial.
pub(crate) fn site() -> Site {
    Site {
        name: "trial".to_owned(),
        folder: std::env::temp_dir(),
        ports: ["lan", "wan", "dmz"].map(str::to_owned).to_vec(),
        gates: vec![1, 2],
        workers: 1,
        seed: SEED,
    }
}

/// A table of TOML as an NF's configuration.
pub(crate) fn table(text: &str) -> Result<ValueDeserializer<'_>, String> {
    let table = DeTable::parse(text).map_err(|error| error.to_string())?;
    let span = table.span();
    Ok(ValueDeserializer::from(Spanned::new(span, DeValue::Table(table.into_inner()))))
}

/// A stand whose failures are told as they should be read.
pub(crate) struct Bench {
    stand: Stand,
}

/// How the packets of a run are given to the NF.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Manner {
    pub packing: Packing,
    pub shared: bool,
}

/// What came of a run, burst by burst: the packets' part and what the timers sent.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Outcome {
    pub rounds: Vec<Round>,
    pub ticks: Vec<Round>,
}

impl Outcome {
    /// All packets that the NF sent by itself.
    pub fn emitted(&self) -> impl Iterator<Item = &Emitted> {
        self.rounds.iter().chain(&self.ticks).flat_map(|round| &round.emitted)
    }
}

impl Bench {
    pub fn new(trial: &Trial, prepared: &dyn Prepared) -> Result<Self, String> {
        let pools = pools()?;
        let stand = caught(|| Stand::new(pools, prepared, trial.worker()))?;
        Ok(Bench { stand })
    }

    /// One burst, and the timers after it.
    ///
    /// # Errors
    /// The message of a panic, or that the packet memory is full.
    pub fn volley(&mut self, volley: &Volley, manner: Manner) -> Result<(Round, Round), String> {
        let inputs: Vec<_> = volley.frames.iter().map(Frame::input).collect();
        let round = caught(|| {
            if manner.shared {
                self.stand.run_shared(&inputs, manner.packing, volley.at)
            } else {
                self.stand.run(&inputs, manner.packing, volley.at)
            }
        });
        let round = round.map_err(|panic| format!("it panicked: {panic}"))?;
        let round = round.map_err(|full| full.to_string())?;
        let tick = caught(|| self.stand.tick(volley.at));
        Ok((round, tick.map_err(|panic| format!("its tick panicked: {panic}"))?))
    }

    /// All bursts in turn.
    pub fn run(&mut self, volleys: &[Volley], manner: Manner) -> Result<Outcome, String> {
        let mut outcome = Outcome::default();
        for volley in volleys {
            let (round, tick) = self.volley(volley, manner)?;
            outcome.rounds.push(round);
            outcome.ticks.push(tick);
        }
        Ok(outcome)
    }

    pub fn drain(&mut self, now: Time) -> Result<Round, String> {
        caught(|| self.stand.drain(now)).map_err(|panic| format!("its drain panicked: {panic}"))
    }

    pub fn adopt(&mut self, old: Bench, now: Time) -> Result<Round, String> {
        caught(|| self.stand.adopt(old.stand, now)).map_err(|panic| format!("its adopt panicked: {panic}"))
    }

    /// The stand itself, for what needs no translation.
    pub fn stand(&mut self) -> &mut Stand {
        &mut self.stand
    }

    pub fn held(&self) -> u64 {
        self.stand.stats().held()
    }

    /// The whole state in canonical order: by kind, then by key. Empty when the NF keeps none.
    pub fn records(&mut self) -> Result<Vec<Record>, String> {
        let records = caught(|| self.stand.export(&Selector::default()));
        let records = records.map_err(|panic| format!("its export panicked: {panic}"))?;
        Ok(canonical(records.unwrap_or_default()))
    }

    pub fn import(&mut self, records: &[Record]) -> Result<Result<(), engine::StateError>, String> {
        caught(|| match self.stand.state() {
            Some(state) => state.import(records),
            None => Err(engine::StateError::Unsupported),
        })
    }
}

/// Records by kind, then by key as text.
pub(crate) fn canonical(mut records: Vec<Record>) -> Vec<Record> {
    records.sort_by_cached_key(identity);
    records
}

/// What tells a record from all others of its NF.
pub(crate) fn identity(record: &Record) -> (String, String) {
    (record.kind.clone(), sorted(&record.key).to_string())
}

/// The same value with the members of its objects in order of their names.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<_, _> = members.iter().map(|(name, value)| (name, sorted(value))).collect();
            members.into_iter().map(|(name, value)| (name.clone(), value)).collect()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

/// The bytes with which a packet goes on, if it does.
pub(crate) fn passed(fate: &Fate) -> Option<&[u8]> {
    match fate {
        Fate::Forward(bytes) | Fate::Gate(_, bytes) => Some(bytes),
        _ => None,
    }
}

/// A fate without its bytes, for people.
pub(crate) fn name(fate: &Fate) -> String {
    match fate {
        Fate::Forward(_) => "forward".to_owned(),
        Fate::Gate(gate, _) => format!("gate {gate}"),
        Fate::Drop(reason) => format!("drop {reason}"),
        Fate::Absorb => "absorb".to_owned(),
        Fate::Taken => "taken".to_owned(),
        Fate::Contradiction => "a verdict that contradicts what was done".to_owned(),
    }
}
