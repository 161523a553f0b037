//! What can go wrong while the engine is set up, changed or asked.

use crate::nf::CommandError;
use crate::state::StateError;
use thiserror::Error;

/// What the engine could not do, in words for its operator.
#[derive(Debug, Error)]
pub enum EngineError {
    /// A port did not open.
    #[error("port '{port}': {message}")]
    Port {
        /// Its name.
        port: String,
        /// What happened, and what to do.
        message: String,
    },
    /// A resource could not be had.
    #[error("{what}: {message}")]
    Resource {
        /// What was asked for.
        what: String,
        /// Why it could not be had.
        message: String,
    },
    /// A change that a running engine cannot make.
    #[error("{0}")]
    Unchangeable(String),
    /// A worker did not come round in time.
    #[error("worker {worker} did not come round within {millis} ms; nothing was changed")]
    Stalled {
        /// Its number.
        worker: usize,
        /// How long it was waited for.
        millis: u64,
    },
    /// No NF of that name.
    #[error("there is no NF named '{0}'")]
    NoSuchNf(String),
    /// No worker of that number.
    #[error("there is no worker {0}")]
    NoSuchWorker(usize),
    /// The NF is down after a panic.
    #[error("NF '{0}' is being restarted after a panic")]
    Poisoned(String),
    /// The NF's state could not be exported or imported.
    #[error("NF '{nf}': {source}")]
    State {
        /// Its name.
        nf: String,
        /// Why.
        source: StateError,
    },
    /// The NF did not do a command.
    #[error("NF '{nf}': {source}")]
    Command {
        /// Its name.
        nf: String,
        /// Why.
        source: CommandError,
    },
    /// A capture could not be read to its end.
    #[error("{0}")]
    Capture(String),
    /// A report could not be written at the end of the run.
    #[error("NF '{nf}': {message}")]
    Report {
        /// Its name.
        nf: String,
        /// Why.
        message: String,
    },
    /// The engine has stopped.
    #[error("the engine has stopped")]
    Stopped,
}
