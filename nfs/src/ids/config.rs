//! What a user says of an ids, and what is made of it.

use super::alert::Alert;
use super::alone;
use super::detect::{Compiled, Index, Rules};
use super::eve::EveFile;
use super::watch::Settings;
use crate::Span;
use crate::outlet::{Outlet, Writer};
use engine::{ConfigError, Site};
use hyperscan::Database;
use ids_rules::classes::Classes;
use ids_rules::load::{self, Report};
use ids_rules::vars::Vars;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use streams::{Mode as Streaming, Policy, Urgent};
use wire::Fields;

/// Configuration of [`super::Ids`].
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// One file of rules, or several; what begins like a rule (`alert udp …`) and ends with `)` is one itself.
    pub rules: Files,
    /// A file that gets one line of JSON for each alert, as in Suricata's EVE; lines are added to what is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eve: Option<String>,
    /// What becomes of packets on which a rule with action `drop` matches.
    pub mode: Mode,
    /// What rules are shown.
    pub scope: Scope,
    /// What the variables of rules stand for, where not as in Suricata's default configuration.
    pub vars: BTreeMap<String, String>,
    /// What becomes of TCP segments with a wrong checksum.
    pub checksums: Checksums,
    /// How many flows each worker knows at a time. One more takes the place of one that was quiet for long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<usize>,
    /// How long a flow may be quiet before it is forgotten.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<Span>,
    /// How many bits of hosts, and how many counts for rates of rules, each worker remembers. The oldest gives way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marks: Option<usize>,
    /// How TCP streams are put together.
    pub streams: Streams,
}

/// Names of files.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Files {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Default for Files {
    fn default() -> Files {
        Files::Several(Vec::new())
    }
}

impl Files {
    fn names(&self) -> &[String] {
        match self {
            Files::One(name) => std::slice::from_ref(name),
            Files::Several(names) => names,
        }
    }
}

/// What becomes of packets on which a rule with action `drop` matches.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// They go on.
    #[default]
    Alert,
    /// They are dropped; so is the rest of their flow, where the rule is about streams, messages or whole flows.
    Drop,
}

/// What rules are shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Packets, streams, messages, and what is known of their flows and hosts.
    #[default]
    Flows,
    /// Each packet by itself. Nothing is put together or remembered; rules that need that are refused.
    Packets,
}

/// What becomes of TCP segments with a wrong checksum.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Checksums {
    /// They are not looked at, as their receiver would not look at them.
    #[default]
    Check,
    /// Their checksums do not matter.
    Ignore,
}

/// How TCP streams are put together.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Streams {
    /// Bytes of segments that each worker holds until they are looked at. Where more are needed, the stream that
    /// least recently got any loses its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<usize>,
    /// Bytes of each way of a connection that are looked at; 0: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<u64>,
    /// Bytes of each way that stay for patterns that come in pieces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<usize>,
    /// Take up connections whose beginning was not seen.
    pub midstream: bool,
    /// Whose bytes count where segments overlap: `bsd` (default), `linux`, `old-linux`, `solaris`, `first`, `last`, or
    /// a system that is like one of them: `windows`, `vista`, `macos`, `irix`, `hpux10`, `hpux11`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub policy: Option<Policy>,
    /// What becomes of urgent data: `out_of_band` (default), `inline`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub urgent: Option<Urgent>,
    /// When bytes are looked at: `acknowledged`, when their receiver has them (default where nothing is dropped), or
    /// `arrival`, before that (default and only way in mode `drop`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub inspect: Option<Streaming>,
}

/// Flows, marks, bytes of streams and of a window where nothing is said, and the most that can be.
const CAPACITY: (usize, usize) = (65_536, 1 << 24);
const MARKS: (usize, usize) = (65_536, 1 << 24);
const MEMORY: (usize, usize) = (64 << 20, 1 << 34);
const WINDOW: (usize, usize) = (8 << 10, 1 << 20);
const IDLE: Span = Span::seconds(300);
/// Alerts that can wait for the file, per worker.
const WAITING: usize = 1 << 15;

/// A configuration that was checked.
pub struct Plan {
    pub(super) rules: Arc<Rules>,
    pub(super) index: Arc<Index>,
    pub(super) databases: Arc<[Database]>,
    pub(super) report: Report,
    pub(super) settings: Arc<Settings>,
    pub(super) marks: usize,
    pub(super) drops: bool,
    pub(super) scope: Scope,
    /// Whether flows of TCP, and of others, have to be known.
    pub(super) flows: [bool; 2],
    /// What of packets the rules, and what they are found by, depend on.
    pub(super) reads: Fields,
    writer: Option<Arc<Writer<EveFile>>>,
}

impl Plan {
    pub(super) fn new(config: &Config, site: &Site) -> Result<Plan, ConfigError> {
        let names = config.rules.names();
        if names.is_empty() {
            return Err(ConfigError::at("rules", "there are no files of rules")
                .help("write rules = \"my.rules\", or several in brackets"));
        }
        let mut vars = Vars::default();
        for (name, value) in &config.vars {
            vars.set(name, value);
        }
        let texts = names.iter().map(|name| text(name, site)).collect::<Result<Vec<_>, _>>()?;
        let texts = texts.iter().map(|(name, text)| (name.as_str(), text.as_slice()));
        let mut set = load::from_texts(texts, &vars, &Classes::default());
        if config.scope == Scope::Packets {
            alone::sort_out(&mut set);
        }
        if set.rules.is_empty() && set.report.refused() > 0 {
            let first = first_refused(&set.report).unwrap_or_default();
            return Err(ConfigError::at("rules", format!("no rule can be used; the first: {first}")));
        }
        let report = set.report;
        let rules = set.rules.into_iter().map(|loaded| loaded.rule).collect();
        let rules = Rules::compile(rules).map_err(|error| ConfigError::at("rules", error))?;
        let (index, databases) =
            Index::new(&rules).map_err(|error| ConfigError::at("rules", error.to_string()))?;
        let rules = Arc::new(rules);
        let writer = match &config.eve {
            Some(name) => {
                let path = site.path(name);
                check(&path)?;
                Some(Writer::new("eve", WAITING, EveFile::new(path, Arc::clone(&rules))))
            }
            None => None,
        };
        let drops = config.mode == Mode::Drop;
        let checks = config.checksums == Checksums::Check;
        let (flows, reads) = match config.scope {
            Scope::Packets => ([false; 2], alone::reads(&rules, config.eve.is_some())),
            Scope::Flows => {
                let flows = flows(&rules, drops);
                (flows, super::reads::of(&rules, flows, checks))
            }
        };
        Ok(Plan {
            reads,
            flows,
            scope: config.scope,
            index: Arc::new(index),
            databases: databases.into(),
            rules,
            report,
            settings: Arc::new(settings(config, drops)?),
            marks: within("marks", config.marks, MARKS)?,
            drops,
            writer,
        })
    }

    /// Where a worker's alerts go.
    pub(super) fn outlet(&self) -> Outlet<Box<Alert>> {
        self.writer.as_ref().map_or_else(Outlet::nowhere, |writer| writer.outlet())
    }

    /// Waits until all alerts are in the file.
    pub(super) fn close(&self) -> Result<(), ConfigError> {
        let Some(writer) = &self.writer else { return Ok(()) };
        let closed = writer.close(crate::outlet::Sink::settle);
        closed.map_err(|error| ConfigError::at("eve", format!("alerts could not be written: {error}")))
    }
}

/// The rules of a file, or a rule that stands in the configuration; and what they are called.
fn text(name: &str, site: &Site) -> Result<(String, Vec<u8>), ConfigError> {
    let begins = ["alert ", "drop ", "pass "].iter().any(|action| name.starts_with(action));
    if begins && name.ends_with(')') {
        return Ok(("rules".to_owned(), name.as_bytes().to_vec()));
    }
    let path = site.path(name);
    let refuse = |what: String| ConfigError::at("rules", format!("{}: {what}", path.display()));
    let length = std::fs::metadata(&path).map_err(|error| refuse(error.to_string()))?.len();
    if length > load::LARGEST_FILE {
        return Err(refuse(format!("larger than {} bytes", load::LARGEST_FILE)));
    }
    let text = std::fs::read(&path).map_err(|error| refuse(error.to_string()))?;
    Ok((path.display().to_string(), text))
}

/// The first rule that was refused, with its place.
pub(super) fn first_refused(report: &Report) -> Option<String> {
    report.files.iter().find_map(|file| {
        let refused = file.refused.first()?;
        Some(format!("{}:{}:{}: {}", file.name, refused.line, refused.column, refused.refusal))
    })
}

/// Whether flows of TCP, and of others, have to be known.
fn flows(rules: &Rules, drops: bool) -> [bool; 2] {
    use ids_rules::inspect::Inspect;
    use ids_rules::rule::Protocol;
    let needs = |rule: &Compiled| rule.needs_flows() || drops && rule.lasting == super::detect::Lasting::Yes;
    let tcp = rules.all.iter().any(|rule| {
        rule.rule.protocol.may_be_tcp()
            && (needs(rule) || matches!(rule.inspect, Inspect::Stream | Inspect::PacketsAndStream))
    });
    let others = rules.all.iter().any(|rule| {
        let of_tcp = matches!(rule.rule.protocol, Protocol::Tcp | Protocol::TcpPacket | Protocol::TcpStream);
        !of_tcp && needs(rule)
    });
    [tcp, others]
}

fn settings(config: &Config, drops: bool) -> Result<Settings, ConfigError> {
    let Streams { memory, depth, window, midstream, policy, urgent, inspect } = &config.streams;
    if drops && *inspect == Some(Streaming::Acknowledged) {
        let message = "what is acknowledged has arrived already: it cannot be dropped";
        return Err(ConfigError::at("streams", message).help("leave 'inspect' out, or use mode = \"alert\""));
    }
    let idle = config.idle_timeout.unwrap_or(IDLE);
    if idle.as_nanos() == 0 {
        return Err(ConfigError::at("idle_timeout", "flows that end at once are none").help("write \"5m\""));
    }
    let defaults = streams::Config::default();
    let mode = if drops { Streaming::Arrival } else { Streaming::Acknowledged };
    Ok(Settings {
        capacity: within("capacity", config.capacity, CAPACITY)?,
        idle: idle.0,
        memory: within("streams", *memory, MEMORY)?,
        window: within("streams", *window, WINDOW)?,
        streams: streams::Config {
            mode: inspect.unwrap_or(mode),
            policy: policy.unwrap_or(defaults.policy),
            urgent: urgent.unwrap_or(defaults.urgent),
            midstream: *midstream,
            depth: depth.unwrap_or(defaults.depth),
            ..defaults
        },
        limits: l7::Limits::default(),
        checksums: config.checksums == Checksums::Check,
    })
}

fn within(key: &str, value: Option<usize>, (usual, most): (usize, usize)) -> Result<usize, ConfigError> {
    let value = value.unwrap_or(usual);
    if (1..=most).contains(&value) {
        return Ok(value);
    }
    Err(ConfigError::at(key, format!("{value} is not possible")).help(format!("a number from 1 to {most}")))
}

/// Whether a file can be made there, without making it: a plan may be made for a look only.
fn check(file: &Path) -> Result<(), ConfigError> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    if folder.is_some_and(|folder| !folder.is_dir()) {
        let message = format!("the folder of {} does not exist", file.display());
        return Err(
            ConfigError::at("eve", message).help("make the folder, or name a file in one that is there")
        );
    }
    if file.is_dir() {
        return Err(ConfigError::at("eve", format!("{} is a folder", file.display())).help("name a file"));
    }
    if file.exists()
        && let Err(error) = std::fs::OpenOptions::new().append(true).open(file)
    {
        let message = format!("{} cannot be written: {error}", file.display());
        return Err(ConfigError::at("eve", message).help("remove it, or name another file"));
    }
    Ok(())
}

/// What was not taken of the rules, as warnings: a line in all, and the first ones by name.
pub(super) fn remarks(report: &Report) -> Vec<ConfigError> {
    const SHOWN: usize = 5;
    let refused = report.refused();
    if refused == 0 {
        return Vec::new();
    }
    let all = format!("{refused} of {} rules were not taken", refused + report.taken());
    let mut remarks = vec![ConfigError::at("rules", all).help("the command 'rules' names all of them")];
    for file in &report.files {
        for refused in file.refused.iter().take(SHOWN) {
            let place = format!("{}:{}:{}", file.name, refused.line, refused.column);
            remarks.push(ConfigError::at("rules", format!("{place}: {}", refused.refusal)));
        }
    }
    remarks
}
