//! For tests: two kinds of NF, one that reads a file and one that chooses among ports, and an engine.

use crate::handle::NOTICE_WAIT;
use crate::{Config, Controller, EngineHandle, Notice};
use crossbeam::channel::{Receiver, Sender, unbounded};
use engine::{
    Affinity, Applied, Burst, ChainSnapshot, Command, CommandError, ConfigError, Cursor, Cx, Effects,
    EngineError, Gates, Kind, Latency, Nf, NfSnapshot, Plan, PortSnapshot, Record, Registry, Role, Scope,
    Selector, Site, Snapshot, WorkerSite, WorkerSnapshot,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Both kinds.
pub fn registry() -> Registry {
    Registry::new().with::<Filter>().with::<Switch>()
}

/// Reads a file of rules, as the firewall does.
pub struct Filter;

/// Its configuration.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilterConfig {
    /// A file that has to exist, if given.
    rules: Option<String>,
    /// How many.
    #[serde(default)]
    limit: u32,
}

impl Nf for Filter {
    fn process(&mut self, _: &mut Burst, _: &mut Cx<'_>) {}
}

impl Kind for Filter {
    const NAME: &'static str = "filter";
    const SUMMARY: &'static str = "drops what a rule says";
    const DROPS: &'static [&'static str] = &["rule"];
    const COMMANDS: &'static [Command] = &[Command { name: "hits", summary: "hits per rule" }];
    const EXAMPLE: &'static str = "rules = \"edge.rules\"";
    type Config = FilterConfig;
    type Plan = ();

    fn prepare(config: &FilterConfig, site: &Site) -> Result<(), ConfigError> {
        match &config.rules {
            Some(rules) if !site.path(rules).is_file() => {
                Err(ConfigError::at("rules", format!("there is no file {rules}")).help("write a rule file"))
            }
            _ => Ok(()),
        }
    }

    fn effects(_: &()) -> Effects {
        Effects { affinity: Affinity::Flow, may_drop: true, ..Effects::NONE }
    }

    fn instance(_: &Arc<()>, _: &WorkerSite) -> Self {
        Filter
    }
}

/// Chooses the port that a packet leaves by, as l2fwd does.
pub struct Switch;

/// Its configuration.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SwitchConfig {
    /// Name of the port for everything unknown.
    uplink: Option<String>,
}

impl Nf for Switch {
    fn process(&mut self, _: &mut Burst, _: &mut Cx<'_>) {}
}

impl Kind for Switch {
    const NAME: &'static str = "switch";
    const SUMMARY: &'static str = "chooses a port";
    const GATES: Gates = Gates::Ports;
    type Config = SwitchConfig;
    type Plan = ();

    fn prepare(config: &SwitchConfig, site: &Site) -> Result<(), ConfigError> {
        match &config.uplink {
            Some(port) if site.port(port).is_none_or(|port| !site.gates.contains(&port)) => {
                Err(ConfigError::at("uplink", format!("no gate leads to port '{port}'")))
            }
            _ => Ok(()),
        }
    }

    fn effects(_: &()) -> Effects {
        Effects::NONE
    }

    fn instance(_: &Arc<()>, _: &WorkerSite) -> Self {
        Switch
    }
}

/// An engine that runs nothing and remembers what it was asked.
pub struct FakeEngine {
    /// How often a plan was applied, and by the number of NFs in it.
    pub applied: Mutex<Vec<usize>>,
    /// Refuse plans.
    pub refuse: AtomicBool,
    /// The latest plan that was applied.
    pub plan: Mutex<Option<Plan>>,
    /// The counters, if a test has set them.
    pub counters: Mutex<Option<Snapshot>>,
    notices: (Sender<Notice>, Receiver<Notice>),
}

impl Default for FakeEngine {
    fn default() -> Self {
        FakeEngine {
            applied: Mutex::default(),
            refuse: AtomicBool::new(false),
            plan: Mutex::default(),
            counters: Mutex::default(),
            notices: unbounded(),
        }
    }
}

impl FakeEngine {
    /// Lets something happen.
    pub fn happen(&self, source: &str, value: u64) {
        let notice = Notice { time: 7, source: source.to_owned(), name: "x".to_owned(), value, detail: None };
        self.notices.0.send(notice).expect("the engine holds the other end");
    }
}

impl EngineHandle for FakeEngine {
    fn apply(&self, plan: Plan) -> Result<Applied, EngineError> {
        if self.refuse.load(Ordering::Relaxed) {
            return Err(EngineError::Unchangeable("not today".to_owned()));
        }
        let mut applied = self.applied.lock().expect("lock");
        applied.push(plan.nfs.len());
        *self.plan.lock().expect("lock") = Some(plan);
        Ok(Applied { generation: applied.len() as u64 + 1, pause: Duration::from_micros(3) })
    }

    fn snapshot(&self) -> Snapshot {
        if let Some(counters) = &*self.counters.lock().expect("lock") {
            return counters.clone();
        }
        let chain = ChainSnapshot {
            latency_ns: Some(Latency::default()),
            nfs: [("edge".to_owned(), NfSnapshot::default())].into(),
            ..ChainSnapshot::default()
        };
        Snapshot {
            ports: [("lan".to_owned(), PortSnapshot::default())].into(),
            chains: [("egress".to_owned(), chain)].into(),
            workers: vec![WorkerSnapshot::default()],
            ..Snapshot::default()
        }
    }

    fn workers(&self) -> usize {
        2
    }

    /// Three pages on worker 0, one on worker 1.
    fn export_page(
        &self,
        _: &str,
        worker: usize,
        Cursor(at): Cursor,
        _: &Selector,
    ) -> Result<(Vec<Record>, Option<Cursor>), EngineError> {
        let pages = match worker {
            0 => 3,
            1 => 1,
            _ => return Err(EngineError::NoSuchWorker(worker)),
        };
        let record = Record {
            kind: "flow".to_owned(),
            version: 1,
            role: Role::Reporting,
            scope: Scope::Flow,
            key: json!([worker, at]),
            value: json!({}),
        };
        Ok((vec![record], Some(Cursor(at + 1)).filter(|next| next.0 < pages)))
    }

    fn import(&self, _: &str, records: Vec<Record>) -> Result<usize, EngineError> {
        Ok(records.len())
    }

    fn command(&self, nf: &str, name: &str, arguments: &Value) -> Result<Vec<Value>, EngineError> {
        match name {
            "hits" => Ok(vec![arguments.clone(), json!(2)]),
            _ => {
                let source = CommandError::Unknown(name.to_owned());
                Err(EngineError::Command { nf: nf.to_owned(), source })
            }
        }
    }

    fn next_notice(&self) -> Option<Notice> {
        self.notices.1.recv_timeout(NOTICE_WAIT).ok()
    }
}

/// What the fake engine runs.
pub const CONFIG: &str = r#"
[ports.lan]
device = "net_null0"
[ports.wan]
device = "net_null1"
[nf.edge]
kind = "filter"
[[chain]]
name = "egress"
from = "lan"
path = ["edge"]
to = "wan"
"#;

/// A controller of a fake engine that runs [`CONFIG`].
pub fn controller() -> (Arc<FakeEngine>, Arc<Controller>) {
    controller_of(CONFIG)
}

/// A controller of a fake engine that runs this.
pub fn controller_of(config: &str) -> (Arc<FakeEngine>, Arc<Controller>) {
    let engine = Arc::new(FakeEngine::default());
    let config = Config::parse(config, "test.toml", Path::new("/nowhere"), &registry()).expect("config");
    let (plan, _) = config.plan().expect("plan");
    let handle: Arc<dyn EngineHandle> = Arc::<FakeEngine>::clone(&engine);
    (engine, Controller::new(handle, registry(), config, plan))
}
