//! A channel leaves and enters as one record per worker, of kind `channel`; settings that an operator changed, the
//! same on all workers, as one of kind `settings`. Packets on their way do not leave.

use super::Netem;
use super::channel::Channel;
use super::config::{Config, Settings};
use engine::{Cursor, Record, Role, Scope, Selector, State, StateError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const CHANNEL: &str = "channel";
const SETTINGS: &str = "settings";
const VERSION: u32 = 1;

/// Key of a channel: each worker has its own.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    worker: usize,
}

/// What an import changes.
enum Part {
    Channel(Channel),
    Settings(Box<Settings>),
}

impl Netem {
    fn record(kind: &str, role: Role, key: Value, value: Value) -> Record {
        Record { kind: kind.to_owned(), version: VERSION, role, scope: Scope::Shared, key, value }
    }

    /// What a record changes here: nothing, if it is another worker's channel.
    fn parse(&self, record: &Record) -> Result<Option<Part>, StateError> {
        let kind = match record.kind.as_str() {
            CHANNEL => CHANNEL,
            SETTINGS => SETTINGS,
            other => return Err(StateError::UnknownKind(other.to_owned())),
        };
        if record.version > VERSION {
            return Err(StateError::TooNew { kind: kind.to_owned(), found: record.version, known: VERSION });
        }
        let malformed = |message: String| StateError::Malformed { kind: kind.to_owned(), message };
        if kind == SETTINGS {
            let config = Config::deserialize(&record.value).map_err(|error| malformed(error.to_string()))?;
            return Ok(Some(Part::Settings(Box::new(self.permitted(&config).map_err(malformed)?))));
        }
        let key = Key::deserialize(&record.key).map_err(|error| malformed(error.to_string()))?;
        let channel = Channel::deserialize(&record.value).map_err(|error| malformed(error.to_string()))?;
        Ok((key.worker == self.worker.index).then_some(Part::Channel(channel)))
    }
}

impl State for Netem {
    fn export(&self, _cursor: Cursor, selector: &Selector, out: &mut Vec<Record>) -> Option<Cursor> {
        let of_flows = selector.address.is_some() || selector.port.is_some() || selector.protocol.is_some();
        if of_flows || !selector.wants_time(self.now) {
            return None;
        }
        if selector.wants_kind(CHANNEL) {
            let key = json!(Key { worker: self.worker.index });
            out.push(Self::record(CHANNEL, Role::Supporting, key, json!(self.channel)));
        }
        if self.settings != self.plan.settings && selector.wants_kind(SETTINGS) {
            out.push(Self::record(SETTINGS, Role::Configuring, json!({}), json!(self.settings.config)));
        }
        None
    }

    fn import(&mut self, records: &[Record]) -> Result<(), StateError> {
        let parts = records.iter().map(|record| self.parse(record)).collect::<Result<Vec<_>, _>>()?;
        for part in parts.into_iter().flatten() {
            match part {
                Part::Channel(channel) => self.channel = channel,
                Part::Settings(settings) => self.settings = *settings,
            }
        }
        Ok(())
    }
}
