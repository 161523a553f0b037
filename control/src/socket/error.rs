//! Errors as JSON-RPC has them.

use crate::config::{ConfigErrors, line_column};
use crate::controller::ApplyError;
use engine::{CommandError, EngineError, StateError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt;

/// The codes. Those from -32768 to -32600 are JSON-RPC's own.
pub mod code {
    /// The message is not JSON.
    pub const PARSE: i64 = -32700;
    /// The message is JSON, and no request.
    pub const REQUEST: i64 = -32600;
    /// There is no such method.
    pub const METHOD: i64 = -32601;
    /// The parameters do not fit the method.
    pub const PARAMS: i64 = -32602;
    /// The server failed.
    pub const INTERNAL: i64 = -32603;
    /// The configuration has errors; `data` lists them.
    pub const CONFIG: i64 = -32001;
    /// The engine refused; the old state goes on.
    pub const ENGINE: i64 = -32002;
    /// The change needs a restart.
    pub const RESTART: i64 = -32003;
    /// An earlier change waits to be confirmed.
    pub const UNCONFIRMED: i64 = -32004;
    /// No change waits to be confirmed.
    pub const NOTHING_TO_CONFIRM: i64 = -32005;
    /// There is no NF or worker of that name.
    pub const UNKNOWN: i64 = -32010;
    /// The NF does not do that.
    pub const UNSUPPORTED: i64 = -32011;
    /// There are too many connections.
    pub const CONNECTIONS: i64 = -32020;
    /// The message is too long, or took too long.
    pub const MESSAGE: i64 = -32021;
    /// The answer would be too long.
    pub const ANSWER: i64 = -32022;
}

/// An error as it is sent.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RpcError {
    /// One of [`code`].
    pub code: i64,
    /// What is wrong.
    pub message: String,
    /// More, for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

impl RpcError {
    /// Without data.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        RpcError { code, message: message.into(), data: None }
    }
}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for RpcError {}

impl From<EngineError> for RpcError {
    fn from(error: EngineError) -> Self {
        let code = match &error {
            EngineError::NoSuchNf(_) | EngineError::NoSuchWorker(_) => code::UNKNOWN,
            EngineError::State { source: StateError::Unsupported, .. }
            | EngineError::Command { source: CommandError::Unknown(_), .. } => code::UNSUPPORTED,
            EngineError::Command { source: CommandError::Arguments(_), .. } | EngineError::State { .. } => {
                code::PARAMS
            }
            _ => code::ENGINE,
        };
        RpcError::new(code, error.to_string())
    }
}

impl From<ApplyError> for RpcError {
    fn from(error: ApplyError) -> Self {
        let message = error.to_string();
        match error {
            ApplyError::Config(errors) => {
                RpcError { code: code::CONFIG, message, data: Some(diagnostics(&errors)) }
            }
            ApplyError::Restart(paths) => {
                RpcError { code: code::RESTART, message, data: Some(json!({ "paths": paths })) }
            }
            ApplyError::Unconfirmed(_) => RpcError::new(code::UNCONFIRMED, message),
            ApplyError::NothingToConfirm => RpcError::new(code::NOTHING_TO_CONFIRM, message),
            ApplyError::Cores(_) => RpcError::new(code::PARAMS, message),
            ApplyError::Engine(_) | ApplyError::Overtaken => RpcError::new(code::ENGINE, message),
            ApplyError::Unguarded(_) => RpcError::new(code::INTERNAL, message),
        }
    }
}

/// The findings, for editors and controllers.
fn diagnostics(errors: &ConfigErrors) -> Value {
    let describe = |d: &crate::config::Diagnostic| {
        let (line, column) = line_column(&errors.text, d.span.start);
        json!({ "line": line, "column": column, "severity": d.severity, "message": d.message, "help": d.help })
    };
    json!({ "diagnostics": errors.diagnostics.iter().map(describe).collect::<Vec<_>>() })
}
