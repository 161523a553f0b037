//! Budgets leave and enter as records of kind `class`, one for each class of each worker; rates that an operator
//! changed, the same on all workers, as one record of kind `rates`. Packets that wait do not leave.

use super::meter::Tokens;
use super::{Account, Config, Shaper};
use engine::{Cursor, PAGE, Record, Role, Scope, Selector, State, StateError, Time};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const CLASS: &str = "class";
const RATES: &str = "rates";
const VERSION: u32 = 1;

/// Key of a class.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    worker: usize,
    class: String,
}

/// Value of a class. Tokens are bits times 10⁹.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    own: Option<i64>,
    ceil: Option<i64>,
    meter: Option<Tokens>,
    /// Of a class that takes packets.
    account: Option<Account>,
    /// Up to when buckets are filled; nanoseconds since the epoch.
    time: u64,
}

/// What an import changes.
enum Part {
    Class(usize, Option<usize>, Saved),
    Rates(Box<Config>),
}

impl Shaper {
    fn leaf_of(&self, class: usize) -> Option<usize> {
        self.plan.leaves.iter().position(|leaf| leaf.class == class)
    }

    fn saved(&self, class: usize) -> Saved {
        let (own, ceil) = self.scheduler.tokens(class);
        let leaf = self.leaf_of(class);
        Saved {
            own,
            ceil,
            meter: leaf.and_then(|leaf| self.meters[leaf].as_ref()).map(super::Meter::tokens),
            account: leaf.map(|leaf| self.accounts[leaf]),
            time: self.scheduler.time().as_nanos(),
        }
    }

    fn record(kind: &str, role: Role, key: Value, value: Value) -> Record {
        let (kind, version, scope) = (kind.to_owned(), VERSION, Scope::Shared);
        Record { kind, version, role, scope, key, value }
    }

    /// What a record changes here: nothing, if it is another worker's budget.
    fn parse(&self, record: &Record) -> Result<Option<Part>, StateError> {
        let kind = match record.kind.as_str() {
            CLASS => CLASS,
            RATES => RATES,
            other => return Err(StateError::UnknownKind(other.to_owned())),
        };
        if record.version > VERSION {
            return Err(StateError::TooNew { kind: kind.to_owned(), found: record.version, known: VERSION });
        }
        let malformed = |message: String| StateError::Malformed { kind: kind.to_owned(), message };
        if kind == RATES {
            let config: Config = typed(&record.value).map_err(malformed)?;
            self.permitted(&config).map_err(malformed)?;
            return Ok(Some(Part::Rates(Box::new(config))));
        }
        let key: Key = typed(&record.key).map_err(malformed)?;
        let saved: Saved = typed(&record.value).map_err(malformed)?;
        let class = self.plan.names.iter().position(|name| *name == key.class);
        let class = class.ok_or_else(|| malformed(format!("no class '{}'", key.class)))?;
        let part = Part::Class(class, self.leaf_of(class), saved);
        Ok((key.worker == self.worker.index).then_some(part))
    }

    fn take_in(&mut self, part: Part) {
        match part {
            Part::Rates(config) => self.retune(*config),
            Part::Class(class, leaf, saved) => {
                self.scheduler.set_tokens(class, saved.own, saved.ceil);
                self.scheduler.set_time(Time::from_nanos(saved.time));
                let Some(leaf) = leaf else { return };
                self.accounts[leaf] = saved.account.unwrap_or_default();
                if let (Some(meter), Some(tokens)) = (&mut self.meters[leaf], saved.meter) {
                    meter.set(tokens);
                }
            }
        }
    }
}

fn typed<T: for<'de> Deserialize<'de>>(value: &Value) -> Result<T, String> {
    T::deserialize(value).map_err(|error| error.to_string())
}

impl State for Shaper {
    fn export(&self, cursor: Cursor, selector: &Selector, out: &mut Vec<Record>) -> Option<Cursor> {
        let of_flows = selector.address.is_some() || selector.port.is_some() || selector.protocol.is_some();
        if of_flows || !selector.wants_time(self.scheduler.time()) {
            return None;
        }
        let worker = self.worker.index;
        if cursor.0 == 0 && self.config != self.plan.config && selector.wants_kind(RATES) {
            out.push(Self::record(RATES, Role::Configuring, json!({}), json!(self.config)));
        }
        if !selector.wants_kind(CLASS) {
            return None;
        }
        let from = usize::try_from(cursor.0).unwrap_or(usize::MAX).min(self.plan.names.len());
        // One place is left for the record of rates.
        let to = (from + PAGE - 1).min(self.plan.names.len());
        for class in from..to {
            let key = json!(Key { worker, class: self.plan.names[class].clone() });
            out.push(Self::record(CLASS, Role::Supporting, key, json!(self.saved(class))));
        }
        (to < self.plan.names.len()).then_some(Cursor(to as u64))
    }

    /// Rates come first, whatever the order of the records: they bound the tokens.
    fn import(&mut self, records: &[Record]) -> Result<(), StateError> {
        let parts = records.iter().map(|record| self.parse(record)).collect::<Result<Vec<_>, _>>()?;
        let (rates, classes): (Vec<_>, Vec<_>) =
            parts.into_iter().flatten().partition(|part| matches!(part, Part::Rates(_)));
        rates.into_iter().chain(classes).for_each(|part| self.take_in(part));
        Ok(())
    }
}
