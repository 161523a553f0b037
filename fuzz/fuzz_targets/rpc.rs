//! Any bytes on the control socket are answered with JSON, or not at all.
#![no_main]

use control::socket::{Limits, Session, handle};
use control::{Config, Controller, EngineHandle, Notice};
use engine::{Applied, Cursor, EngineError, Plan, Record, Selector, Snapshot};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// Runs nothing, and does everything.
struct Idle;

impl EngineHandle for Idle {
    fn apply(&self, _: Plan) -> Result<Applied, EngineError> {
        Ok(Applied { generation: 2, pause: Duration::ZERO })
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot::default()
    }

    fn workers(&self) -> usize {
        2
    }

    fn export_page(
        &self,
        _: &str,
        worker: usize,
        Cursor(at): Cursor,
        _: &Selector,
    ) -> Result<(Vec<Record>, Option<Cursor>), EngineError> {
        if worker < 2 {
            Ok((Vec::new(), at.checked_add(1).map(Cursor)))
        } else {
            Err(EngineError::NoSuchWorker(worker))
        }
    }

    fn import(&self, _: &str, records: Vec<Record>) -> Result<usize, EngineError> {
        Ok(records.len())
    }

    fn command(&self, _: &str, _: &str, arguments: &Value) -> Result<Vec<Value>, EngineError> {
        Ok(vec![arguments.clone()])
    }

    fn next_notice(&self) -> Option<Notice> {
        None
    }
}

const CONFIG: &str = r#"
ports.a.device = "net_null0"
nf.swap.kind = "mac_swap"
[[chain]]
name = "c"
from = "a"
path = "swap"
to = "a"
"#;

static CONTROLLER: LazyLock<Arc<Controller>> = LazyLock::new(|| {
    let registry = nfs::registry();
    let config = Config::parse(CONFIG, "fuzz.toml", Path::new("/nonexistent"), &registry).expect("good");
    let (plan, _) = config.plan().expect("good");
    Controller::new(Arc::new(Idle), registry, config, plan)
});

fuzz_target!(|message: &[u8]| {
    let limits =
        Limits { requests_per_second: 10_000_000, worker_calls_per_second: 10_000_000, ..Limits::default() };
    let mut session = Session::new(&limits);
    if let Some(answer) = handle(&CONTROLLER, &mut session, message) {
        assert!(serde_json::from_slice::<Value>(&answer).is_ok());
        assert!(!answer.contains(&b'\n'));
    }
});
