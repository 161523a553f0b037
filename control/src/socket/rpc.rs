//! JSON-RPC 2.0: one message in, at most one message out. Never panics, whatever the message.

use super::error::{RpcError, code};
use super::events::Subscription;
use super::methods::{self, Reach};
use super::pace::Pace;
use crate::config::nearest_name;
use crate::controller::Controller;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Requests in one batch, at most.
const MAX_BATCH: usize = 1000;
/// Bytes of all answers to one batch, at most.
const MAX_ANSWER: usize = 8 << 20;

/// One client's part of the conversation.
pub struct Session {
    /// Set when the client subscribed to events.
    pub subscription: Option<Subscription>,
    /// Whether it has subscribed before.
    pub(super) subscribed: bool,
    own_pace: Pace,
    worker_pace: Arc<Pace>,
}

impl Session {
    /// With the limits' rates, for a client alone on its server.
    pub fn new(limits: &super::Limits) -> Self {
        Session::sharing(limits, Arc::new(Pace::per_second(limits.worker_calls_per_second)))
    }

    pub(super) fn sharing(limits: &super::Limits, worker_pace: Arc<Pace>) -> Self {
        let own_pace = Pace::per_second(limits.requests_per_second);
        Session { subscription: None, subscribed: false, own_pace, worker_pace }
    }
}

/// Answers one message: a request, a notification or a batch. `None` when there is nothing to answer.
pub fn handle(controller: &Arc<Controller>, session: &mut Session, message: &[u8]) -> Option<Vec<u8>> {
    let answer = match serde_json::from_slice::<Value>(message) {
        Err(error) => Some(failure(Value::Null, RpcError::new(code::PARSE, format!("not JSON: {error}")))),
        Ok(Value::Array(batch)) => return handle_batch(controller, session, batch),
        Ok(request) => answer(controller, session, request),
    };
    answer.map(|answer| bytes(&answer))
}

fn handle_batch(controller: &Arc<Controller>, session: &mut Session, batch: Vec<Value>) -> Option<Vec<u8>> {
    if batch.is_empty() || batch.len() > MAX_BATCH {
        let message = format!("a batch has 1 to {MAX_BATCH} requests");
        return Some(bytes(&failure(Value::Null, RpcError::new(code::REQUEST, message))));
    }
    let mut out = Vec::new();
    for request in batch {
        if out.len() > MAX_ANSWER {
            let error =
                RpcError::new(code::ANSWER, "the answers are too long: the rest of the batch was not done");
            append(&mut out, &bytes(&failure(Value::Null, error)));
            break;
        }
        if let Some(answer) = answer(controller, session, request) {
            append(&mut out, &bytes(&answer));
        }
    }
    if out.is_empty() {
        return None;
    }
    out.push(b']');
    Some(out)
}

fn append(out: &mut Vec<u8>, answer: &[u8]) {
    out.push(if out.is_empty() { b'[' } else { b',' });
    out.extend_from_slice(answer);
}

fn bytes(answer: &Value) -> Vec<u8> {
    serde_json::to_vec(answer).unwrap_or_default()
}

/// Answers one request; `None` for a notification.
fn answer(controller: &Arc<Controller>, session: &mut Session, request: Value) -> Option<Value> {
    session.own_pace.wait();
    let (id, method, params) = match take_apart(request) {
        Ok(parts) => parts,
        Err((id, error)) => return Some(failure(id, error)),
    };
    let result = call(controller, session, &method, params);
    let id = id?;
    Some(match result {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(error) => failure(id, error),
    })
}

type Parts = (Option<Value>, String, Value);

fn take_apart(request: Value) -> Result<Parts, (Value, RpcError)> {
    let refuse =
        |id: Option<Value>, message: &str| (id.unwrap_or_default(), RpcError::new(code::REQUEST, message));
    let Value::Object(mut request) = request else { return Err(refuse(None, "a request is a JSON object")) };
    let id = request.remove("id");
    if !matches!(id, None | Some(Value::Null | Value::String(_) | Value::Number(_))) {
        return Err(refuse(None, "'id' is a string or a number"));
    }
    if request.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return Err(refuse(id, "'jsonrpc' has to be \"2.0\""));
    }
    let Some(Value::String(method)) = request.remove("method") else {
        return Err(refuse(id, "'method' is a string; rpc.discover lists the methods"));
    };
    match request.remove("params") {
        None => Ok((id, method, Value::Object(Map::new()))),
        Some(params @ Value::Object(_)) => Ok((id, method, params)),
        Some(Value::Array(params)) if params.is_empty() => Ok((id, method, Value::Object(Map::new()))),
        Some(_) if id.is_none() => Ok((None, method, Value::Null)),
        Some(_) => Err((
            id.unwrap_or_default(),
            RpcError::new(code::PARAMS, "'params' is an object: parameters go by name"),
        )),
    }
}

fn call(
    controller: &Arc<Controller>,
    session: &mut Session,
    name: &str,
    params: Value,
) -> Result<Value, RpcError> {
    let Some(method) = methods::find(name) else {
        let name: String = name.chars().take(64).collect();
        let help = nearest_name(&name, methods::METHODS.iter().map(|method| method.name));
        return Err(RpcError::new(code::METHOD, format!("unknown method '{name}': {help}")));
    };
    if method.reach == Reach::Workers {
        session.worker_pace.wait();
    }
    (method.call)(&mut methods::Call { controller, session }, params)
}

/// An error as an answer.
pub(super) fn failure(id: Value, error: RpcError) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": error })
}
