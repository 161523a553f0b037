//! `braid agent --name S1 --etcd URL --config BASE.toml [--planner]`

use super::{Failure, Outcome, run, session, show_warnings};
use cluster::agent::{Agent, Runner, kept};
use cluster::etcd::Etcd;
use cluster::planner::Planner;
use cluster::server::Base;
use control::socket;
use control::{Config, Controller, EngineHandle, Notice, signals};
use engine::Registry;
use serde_json::json;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Arguments of `braid agent`.
#[derive(clap::Args)]
pub struct Args {
    /// The server's name
    #[arg(long)]
    name: String,
    /// Where etcd is; several members with commas between them
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:2379")]
    etcd: String,
    /// The server's own configuration: [server], [engine], [ports]. Without it nothing runs here
    #[arg(long, value_name = "FILE.toml", required_unless_present = "planner")]
    config: Option<PathBuf>,
    /// Plan for all servers, or wait to when another planner goes
    #[arg(long)]
    planner: bool,
    /// How long it may be silent before it counts as gone, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    ttl: u64,
    /// Keep the server's part of the plan here, and begin with it
    #[arg(long, value_name = "FILE", requires = "config")]
    keep: Option<PathBuf>,
    /// Stop after this time: 10s, 2m
    #[arg(long, value_parser = control::duration::parse)]
    duration: Option<Duration>,
    /// Print the engine's account at the end as one JSON object instead of tables
    #[arg(long)]
    json: bool,
}

/// Runs until a signal, the duration or `engine.stop`.
pub fn run(args: &Args, registry: &Registry) -> Outcome {
    let etcd = Etcd::new(&args.etcd)?;
    let stop = signals::stop_flag()?;
    let begun = Instant::now();
    let late = || args.duration.is_some_and(|duration| begun.elapsed() >= duration);
    // Tells this start from others of the same name.
    let instance = format!("{:016x}", RandomState::new().build_hasher().finish());
    let Some(file) = &args.config else {
        let over = || stop.load(Ordering::Relaxed) || late();
        plan(args, &instance, &etcd, &say, &over);
        return Ok(ExitCode::SUCCESS);
    };
    let refused = |error: String| Failure::message(format!("{}: {error}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| refused(error.to_string()))?;
    let base = Base::parse(&text, instance.clone()).map_err(refused)?;
    let folder = file.parent().map(PathBuf::from).unwrap_or_default();
    let parse = |text: String| Config::parse(&text, &file.display().to_string(), &folder, registry);

    // What ran last is a beginning, if it is good still.
    let last = args
        .keep
        .as_deref()
        .and_then(kept)
        .and_then(|part| Some((parse(base.with(&part).ok()?).ok()?, part)));
    let (config, runs) = match last {
        Some((config, part)) if config.plan().is_ok() => (config, Some(part)),
        _ => (parse(base.with("").map_err(refused)?).map_err(Failure::config)?, None),
    };
    let (first, more) = config.plan().map_err(Failure::config)?;
    show_warnings(&more, &config);
    let choice = config.engine.socket.clone();
    let default_path = socket::default_path();
    let engine = session::start(&config, &first, config.engine.hugepages)?;
    let handle: Arc<dyn EngineHandle> = Arc::<engine::Engine>::clone(&engine);
    let controller = Controller::new(handle, registry.clone(), config, first);
    let (server, watch) = run::attend(&choice, default_path, &controller, &engine)?;
    let ended = AtomicBool::new(false);
    let over = || ended.load(Ordering::Relaxed) || stop.load(Ordering::Relaxed);
    let tell = |source: &str, name: &str, detail: &str| {
        say(source, name, detail);
        controller.hub.publish(&notice(source, name, detail));
    };
    let runner = Applying(&controller);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let name = args.name.clone();
            let keep = args.keep.clone();
            let agent = Agent { etcd: &etcd, name, base, ttl: args.ttl, runner: &runner, keep, tell: &tell };
            agent.run(runs, &over);
        });
        if args.planner {
            scope.spawn(|| plan(args, &instance, &etcd, &tell, &over));
        }
        session::wait(&engine, &stop, |look| controller.wait_for_stop(look) || late());
        ended.store(true, Ordering::Relaxed);
    });
    drop(watch);
    let (snapshot, problem) = session::stop(&engine)?;
    drop(server);
    session::report(&snapshot, args.json)?;
    problem.map_or(Ok(ExitCode::SUCCESS), Err)
}

fn plan(
    args: &Args,
    instance: &str,
    etcd: &Etcd,
    tell: &cluster::Tell<'_>,
    over: &(dyn Fn() -> bool + Sync),
) {
    let name = format!("{}-{instance}", args.name);
    Planner { etcd, name, ttl: args.ttl, tell }.run(over);
}

/// Configurations go through the controller, as those of `config.apply` do.
struct Applying<'a>(&'a Arc<Controller>);

impl Runner for Applying<'_> {
    fn run(&self, config: &str) -> Result<(), String> {
        self.0.apply(config, None).map(drop).map_err(|error| error.to_string())
    }
}

fn notice(source: &str, name: &str, detail: &str) -> Notice {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    Notice {
        time: u64::try_from(time).unwrap_or(u64::MAX),
        source: source.to_owned(),
        name: name.to_owned(),
        value: 0,
        detail: Some(detail.to_owned()),
    }
}

/// One line of JSON on stdout. A reader that has gone is no failure.
fn say(source: &str, name: &str, detail: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{}", json!(notice(source, name, detail)));
    let _ = out.flush();
}
