//! All methods of the control socket, in one table: dispatch, `rpc.discover` and the command line's list come
//! from it.

use super::error::{RpcError, code};
use super::rpc::Session;
use super::schemas;
use crate::config::Change;
use crate::controller::{AppliedChange, ChainState, Controller};
use crate::duration;
use engine::{Affinity, CommandError, Cursor, EngineError, OnPanic, Record, Selector, Snapshot, StateKind};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

/// One method.
pub struct Method {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// Whom it keeps busy.
    pub reach: Reach,
    /// JSON schema of its parameters, an object.
    pub params: fn(&mut SchemaGenerator) -> Schema,
    /// JSON schema of its result.
    pub result: fn(&mut SchemaGenerator) -> Schema,
    pub(super) call: fn(&mut Call<'_>, Value) -> Result<Value, RpcError>,
}

/// Whom a method keeps busy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// Only control's own threads.
    Control,
    /// The workers too, so calls are paced.
    Workers,
}

/// What a method works on.
pub(super) struct Call<'a> {
    pub controller: &'a Arc<Controller>,
    pub session: &'a mut Session,
}

macro_rules! method {
    ($name:literal, $params:ty => $result:ty, $reach:ident, $summary:literal, $function:path) => {
        Method {
            name: $name,
            summary: $summary,
            reach: Reach::$reach,
            params: |generator| generator.subschema_for::<$params>(),
            result: |generator| generator.subschema_for::<$result>(),
            call: |call, params| {
                let result: $result = $function(call, read::<$params>(params)?)?;
                serde_json::to_value(result).map_err(|error| RpcError::new(code::INTERNAL, error.to_string()))
            },
        }
    };
}

/// The methods.
#[rustfmt::skip]
pub const METHODS: &[Method] = &[
    method!("rpc.discover", Nothing => Value, Control, "Lists the methods with the JSON schemas of their parameters and results (OpenRPC).", discover),
    method!("stats.get", Nothing => Stats, Control, "All counters now.", stats_get),
    method!("config.get", Nothing => ConfigText, Control, "The running configuration's text, generation, and whether it waits to be confirmed.", config_get),
    method!("config.apply", Apply => Applied, Workers, "Makes a text the running configuration, all of it or nothing, without losing a packet.", config_apply),
    method!("config.confirm", Nothing => Confirmed, Control, "Keeps a configuration that was applied with 'confirm'.", config_confirm),
    method!("chain.list", Nothing => Vec<ChainState>, Control, "The chains: what of each runs side by side now, why, and what is thought of that since.", chain_list),
    method!("nf.list", Nothing => Vec<NfEntry>, Control, "The NFs that run: kind, effects, chains, commands.", nf_list),
    method!("nf.command", Command => Answers, Workers, "Has an NF do one of its commands on every worker.", nf_command),
    method!("nf.state.export", Export => Page, Workers, "A page of an NF's state; go on with the cursor until it is null.", nf_state_export),
    method!("nf.state.import", Import => Imported, Workers, "Gives records to an NF, each to the worker that owns it.", nf_state_import),
    method!("events.subscribe", Subscribe => Subscribed, Control, "Sends events as notifications named 'event' on this connection from now on.", events_subscribe),
    method!("engine.scale", Scale => Scaled, Workers, "Another number of workers, without losing a packet; flows take their state along.", engine_scale),
    method!("engine.stop", Nothing => Stopping, Control, "Stops gracefully: what is in flight leaves, reports are written.", engine_stop),
];

/// The method of that name.
pub fn find(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name)
}

fn read<P: DeserializeOwned>(params: Value) -> Result<P, RpcError> {
    serde_json::from_value(params)
        .map_err(|error| RpcError::new(code::PARAMS, format!("bad parameters: {error}")))
}

/// No parameters.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

fn discover(_: &mut Call<'_>, _: Nothing) -> Result<Value, RpcError> {
    Ok(schemas::discovery())
}

/// All counters.
#[derive(Serialize, JsonSchema)]
#[serde(transparent)]
struct Stats(#[schemars(schema_with = "schemas::snapshot")] Snapshot);

fn stats_get(call: &mut Call<'_>, _: Nothing) -> Result<Stats, RpcError> {
    Ok(Stats(call.controller.engine().snapshot()))
}

/// The running configuration.
#[derive(Serialize, JsonSchema)]
struct ConfigText {
    /// TOML.
    config: String,
    /// The file it was first read from.
    file: String,
    /// Counts the plans that ran.
    generation: u64,
    /// Seconds until it is rolled back unless confirmed; null: it stays.
    unconfirmed_seconds: Option<f64>,
}

fn config_get(call: &mut Call<'_>, _: Nothing) -> Result<ConfigText, RpcError> {
    let current = call.controller.current();
    let left = |pending: crate::controller::Pending| {
        pending.deadline.saturating_duration_since(std::time::Instant::now()).as_secs_f64()
    };
    Ok(ConfigText {
        config: current.config.text().to_owned(),
        file: current.config.file().to_owned(),
        generation: current.generation,
        unconfirmed_seconds: current.pending.map(left),
    })
}

/// A new configuration.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Apply {
    /// The new configuration, TOML. Relative paths start from the running configuration's folder.
    config: String,
    /// Only check it, and say what would change.
    #[serde(default)]
    dry_run: bool,
    /// Roll back by itself after this time ("60s") unless config.confirm is called.
    #[serde(default)]
    confirm: Option<String>,
}

/// What a new configuration changes.
#[derive(Serialize, JsonSchema)]
struct Applied {
    /// The differences.
    diff: Vec<Change>,
    /// The same as lines to read.
    text: Vec<String>,
    /// Whether it was applied: false after a dry run.
    applied: bool,
    /// The generation that runs now.
    generation: u64,
    /// The longest that a worker paused for it, in microseconds.
    pause_us: Option<f64>,
}

fn config_apply(call: &mut Call<'_>, params: Apply) -> Result<Applied, RpcError> {
    let confirm = params
        .confirm
        .as_deref()
        .map(|text| {
            duration::parse(text).map_err(|error| RpcError::new(code::PARAMS, format!("'confirm': {error}")))
        })
        .transpose()?;
    if confirm.is_some_and(|wait| wait.is_zero() || wait.as_secs() > 86_400) {
        return Err(RpcError::new(code::PARAMS, "'confirm' is more than nothing and at most 24h"));
    }
    let AppliedChange { changes, generation, pause } = match params.dry_run {
        true => call.controller.preview(&params.config)?,
        false => call.controller.apply(&params.config, confirm)?,
    };
    Ok(Applied {
        text: changes.iter().map(Change::to_string).collect(),
        diff: changes,
        applied: pause.is_some(),
        generation,
        pause_us: pause.map(|pause| pause.as_secs_f64() * 1e6),
    })
}

/// A configuration that stays.
#[derive(Serialize, JsonSchema)]
struct Confirmed {
    /// The generation that stays.
    generation: u64,
}

fn config_confirm(call: &mut Call<'_>, _: Nothing) -> Result<Confirmed, RpcError> {
    Ok(Confirmed { generation: call.controller.confirm()? })
}

fn chain_list(call: &mut Call<'_>, _: Nothing) -> Result<Vec<ChainState>, RpcError> {
    Ok(call.controller.chains())
}

/// One NF that runs.
#[derive(Serialize, JsonSchema)]
struct NfEntry {
    /// Its name.
    name: String,
    /// Its kind.
    kind: &'static str,
    /// What the kind does.
    summary: &'static str,
    /// The chains that it is in.
    chains: Vec<String>,
    /// Fields that it depends on.
    reads: Vec<String>,
    /// Fields that it may change.
    writes: Vec<String>,
    /// Whether it may change a packet's length.
    changes_length: bool,
    /// Whether it may drop packets or choose their gate.
    may_drop: bool,
    /// Whether it may create packets.
    may_create: bool,
    /// Whether it may hold packets back.
    holds: bool,
    /// What its state is to packets: none, report, learns.
    #[schemars(with = "String")]
    state: StateKind,
    /// Which packets meet the same worker.
    #[schemars(with = "String")]
    affinity: Affinity,
    /// What becomes of packets after a panic: drop, bypass.
    on_panic: &'static str,
    /// Its drop reasons.
    drops: &'static [&'static str],
    /// Its counters.
    counters: &'static [&'static str],
    /// Its commands.
    commands: Vec<CommandEntry>,
}

/// A command that an NF answers.
#[derive(Serialize, JsonSchema)]
struct CommandEntry {
    /// Its name.
    name: &'static str,
    /// What it does, and its arguments.
    summary: &'static str,
}

fn nf_list(call: &mut Call<'_>, _: Nothing) -> Result<Vec<NfEntry>, RpcError> {
    let plan = call.controller.current().plan;
    let registry = call.controller.registry();
    let describe = |(index, nf): (usize, &engine::NfPlan)| {
        let effects = nf.prepared.effects();
        let entry = registry.get(nf.prepared.kind());
        let commands = entry.map_or(&[][..], |entry| entry.commands);
        NfEntry {
            name: nf.name.clone(),
            kind: nf.prepared.kind(),
            summary: entry.map_or("", |entry| entry.summary),
            chains: plan.chains.iter().filter(|c| c.path.contains(&index)).map(|c| c.name.clone()).collect(),
            reads: effects.reads.iter().map(|field| field.to_string()).collect(),
            writes: effects.writes.iter().map(|field| field.to_string()).collect(),
            changes_length: effects.changes_length,
            may_drop: effects.may_drop,
            may_create: effects.may_create,
            holds: effects.holds,
            state: effects.state,
            affinity: effects.affinity,
            on_panic: match nf.on_panic {
                OnPanic::Drop => "drop",
                OnPanic::Bypass => "bypass",
            },
            drops: nf.prepared.drops(),
            counters: nf.prepared.counters(),
            commands: commands.iter().map(|c| CommandEntry { name: c.name, summary: c.summary }).collect(),
        }
    };
    Ok(plan.nfs.iter().enumerate().map(describe).collect())
}

/// A command for an NF.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Command {
    /// The NF's name.
    nf: String,
    /// The command's name; nf.list lists them.
    command: String,
    /// Its arguments.
    #[serde(default)]
    arguments: Value,
}

/// What the workers answered.
#[derive(Serialize, JsonSchema)]
struct Answers {
    /// Worker by worker; of some commands the one answer of all workers together.
    workers: Vec<Value>,
}

fn nf_command(call: &mut Call<'_>, params: Command) -> Result<Answers, RpcError> {
    known_nf(call, &params.nf)?;
    match call.controller.engine().command(&params.nf, &params.command, &params.arguments) {
        Ok(workers) => Ok(Answers { workers }),
        Err(error) => {
            let unknown = matches!(error, EngineError::Command { source: CommandError::Unknown(_), .. });
            let mut answer = RpcError::from(error);
            if unknown {
                answer.message.push_str(&format!(": {}", known_commands(call, &params)));
            }
            Err(answer)
        }
    }
}

/// The command that was probably meant, and those that the NF has.
fn known_commands(call: &Call<'_>, params: &Command) -> String {
    let nfs = call.controller.current().plan.nfs;
    let kind = nfs.iter().find(|nf| nf.name == params.nf).map_or("", |nf| nf.prepared.kind());
    let commands = call.controller.registry().get(kind).map_or(&[][..], |entry| entry.commands);
    crate::config::nearest_name(&params.command, commands.iter().map(|command| command.name))
}

/// Which state to export.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Export {
    /// The NF's name.
    nf: String,
    /// Where to go on: the cursor of the page before; absent: at the beginning.
    #[serde(default)]
    cursor: Option<String>,
    /// Which records; absent: all.
    #[serde(default)]
    #[schemars(schema_with = "schemas::selector")]
    selector: Option<Selector>,
}

/// One page of state.
#[derive(Serialize, JsonSchema)]
struct Page {
    /// At most 256 records.
    #[schemars(schema_with = "schemas::records")]
    records: Vec<Record>,
    /// Where to go on; null: this was the last page.
    cursor: Option<String>,
}

fn nf_state_export(call: &mut Call<'_>, params: Export) -> Result<Page, RpcError> {
    known_nf(call, &params.nf)?;
    let engine = call.controller.engine();
    let (worker, cursor) = match &params.cursor {
        None => (0, Cursor::default()),
        Some(text) => read_cursor(text).ok_or_else(|| {
            RpcError::new(code::PARAMS, "'cursor' is not one that an earlier page returned")
        })?,
    };
    let selector = params.selector.unwrap_or_default();
    let (records, next) = engine.export_page(&params.nf, worker, cursor, &selector)?;
    let next = match next {
        Some(cursor) => Some((worker, cursor)),
        None => Some((worker + 1, Cursor::default())).filter(|(worker, _)| *worker < engine.workers()),
    };
    Ok(Page { records, cursor: next.map(|(worker, Cursor(at))| format!("{worker}:{at}")) })
}

/// A cursor names a worker, and a place in its state.
fn read_cursor(text: &str) -> Option<(usize, Cursor)> {
    let (worker, at) = text.split_once(':')?;
    Some((worker.parse().ok()?, Cursor(at.parse().ok()?)))
}

/// State to import.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Import {
    /// The NF's name.
    nf: String,
    /// The records, as exported.
    #[schemars(schema_with = "schemas::records")]
    records: Vec<Record>,
}

/// What was imported.
#[derive(Serialize, JsonSchema)]
struct Imported {
    /// How many records.
    imported: usize,
}

fn nf_state_import(call: &mut Call<'_>, params: Import) -> Result<Imported, RpcError> {
    known_nf(call, &params.nf)?;
    Ok(Imported { imported: call.controller.engine().import(&params.nf, params.records)? })
}

/// Which events to send.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Subscribe {
    /// Sources ("nf.edge", "port", "engine", "control"); absent: all.
    #[serde(default)]
    sources: Vec<String>,
}

/// What follows.
#[derive(Serialize, JsonSchema)]
struct Subscribed {
    /// The name of the notifications. Their parameters: time, source, name, value, detail, and lost, the number
    /// of events that found no room between the one before and this one.
    notification: &'static str,
}

fn events_subscribe(call: &mut Call<'_>, params: Subscribe) -> Result<Subscribed, RpcError> {
    if call.session.subscribed {
        return Err(RpcError::new(code::PARAMS, "this connection has a subscription: open another one"));
    }
    if params.sources.len() > 64 {
        return Err(RpcError::new(code::PARAMS, "'sources' has at most 64 names"));
    }
    const SOURCES: [&str; 4] = ["control", "worker", "port", "nf"];
    let unknown = |source: &&String| !SOURCES.contains(&source.split('.').next().unwrap_or_default());
    if let Some(source) = params.sources.iter().find(unknown) {
        let shown: String = source.chars().take(64).collect();
        let message =
            format!("no event comes from '{shown}'; sources are control, worker.N, port.NAME, nf.NAME");
        return Err(RpcError::new(code::PARAMS, message));
    }
    call.session.subscribed = true;
    call.session.subscription = Some(call.controller.hub.subscribe(params.sources));
    Ok(Subscribed { notification: "event" })
}

/// How many workers there are to be.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Scale {
    /// From 1 to 256.
    #[schemars(range(min = 1, max = 256))]
    workers: usize,
}

/// Another number of workers.
#[derive(Serialize, JsonSchema)]
struct Scaled {
    /// How many there were.
    before: usize,
    /// How many there are.
    workers: usize,
    /// The generation that runs now.
    generation: u64,
    /// For how long no packets were received, in microseconds; null: there was nothing to do.
    pause_us: Option<f64>,
}

fn engine_scale(call: &mut Call<'_>, params: Scale) -> Result<Scaled, RpcError> {
    if !(1..=256).contains(&params.workers) {
        return Err(RpcError::new(code::PARAMS, "'workers' is from 1 to 256"));
    }
    let scaled = call.controller.scale(params.workers, "asked for by engine.scale")?;
    Ok(Scaled {
        before: scaled.before,
        workers: scaled.workers,
        generation: scaled.generation,
        pause_us: scaled.pause.map(|pause| pause.as_secs_f64() * 1e6),
    })
}

/// What begins.
#[derive(Serialize, JsonSchema)]
struct Stopping {
    /// Always true.
    stopping: bool,
}

fn engine_stop(call: &mut Call<'_>, _: Nothing) -> Result<Stopping, RpcError> {
    call.controller.request_stop();
    Ok(Stopping { stopping: true })
}

/// An error that lists the NFs, unless there is one of that name.
fn known_nf(call: &Call<'_>, name: &str) -> Result<(), RpcError> {
    let nfs = call.controller.current().plan.nfs;
    if nfs.iter().any(|nf| nf.name == name) {
        return Ok(());
    }
    let known: Vec<&str> = nfs.iter().map(|nf| nf.name.as_str()).collect();
    let help = crate::config::nearest_name(name, known.iter().copied());
    let message = format!("there is no NF '{}': {help}", name.chars().take(64).collect::<String>());
    Err(RpcError { data: Some(json!({ "nfs": known })), ..RpcError::new(code::UNKNOWN, message) })
}
