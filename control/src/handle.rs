//! What control asks of a running engine.

use engine::{Applied, Cursor, Engine, EngineError, EngineEvent, Plan, Record, Selector, Snapshot};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Why the engine did not do it.
pub type HandleError = EngineError;

/// Something that happened, as subscribers are told.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Notice {
    /// When, in nanoseconds since the Unix epoch.
    pub time: u64,
    /// Where: `nf.edge`, `port.wan`, `engine`, `control`.
    pub source: String,
    /// What, in snake case.
    pub name: String,
    /// A number that belongs to it.
    pub value: u64,
    /// More, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A running engine, as [`crate::Controller`] sees it: the real one, or one made for a test.
pub trait EngineHandle: Send + Sync {
    /// Goes over to another plan; on any error the old one goes on untouched.
    ///
    /// # Errors
    /// What kept the plan from running.
    fn apply(&self, plan: Plan) -> Result<Applied, HandleError>;

    /// All counters now.
    fn snapshot(&self) -> Snapshot;

    /// How many workers there are.
    fn workers(&self) -> usize;

    /// One page of one NF's state on one worker, and where to go on.
    ///
    /// # Errors
    /// No such NF or worker, or an NF without state.
    fn export_page(
        &self,
        nf: &str,
        worker: usize,
        cursor: Cursor,
        selector: &Selector,
    ) -> Result<(Vec<Record>, Option<Cursor>), HandleError>;

    /// Gives each record to the worker that owns it. Returns how many there were.
    ///
    /// # Errors
    /// No such NF, an NF without state, records that do not fit.
    fn import(&self, nf: &str, records: Vec<Record>) -> Result<usize, HandleError>;

    /// Has an NF do a command on every worker; the answers in their order.
    ///
    /// # Errors
    /// No such NF or command, or what the NF says.
    fn command(&self, nf: &str, name: &str, arguments: &Value) -> Result<Vec<Value>, HandleError>;

    /// Waits up to 200 ms for something to happen.
    fn next_notice(&self) -> Option<Notice>;
}

impl EngineHandle for Engine {
    fn apply(&self, plan: Plan) -> Result<Applied, HandleError> {
        Engine::apply(self, plan)
    }

    fn snapshot(&self) -> Snapshot {
        Engine::snapshot(self)
    }

    fn workers(&self) -> usize {
        Engine::workers(self)
    }

    fn export_page(
        &self,
        nf: &str,
        worker: usize,
        cursor: Cursor,
        selector: &Selector,
    ) -> Result<(Vec<Record>, Option<Cursor>), HandleError> {
        Engine::export_page(self, nf, worker, cursor, selector)
    }

    fn import(&self, nf: &str, records: Vec<Record>) -> Result<usize, HandleError> {
        Engine::import(self, nf, records)
    }

    fn command(&self, nf: &str, name: &str, arguments: &Value) -> Result<Vec<Value>, HandleError> {
        Engine::command(self, nf, name, arguments)
    }

    fn next_notice(&self) -> Option<Notice> {
        let event = self.events().recv_timeout(NOTICE_WAIT).ok()?;
        let EngineEvent { time, source, name, value } = event;
        Some(Notice { time, source, name, value, detail: None })
    }
}

/// How long [`EngineHandle::next_notice`] waits.
pub(crate) const NOTICE_WAIT: std::time::Duration = std::time::Duration::from_millis(200);
