//! `braid run FILE.toml [--duration 10s] [--json]`

use super::{Failure, Outcome, session, show_warnings};
use control::config::SocketChoice;
use control::socket::{self, Limits, Server};
use control::{Config, Controller, EngineHandle, Watch, signals};
use engine::Registry;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Arguments of `braid run`.
#[derive(clap::Args)]
pub struct Args {
    /// The configuration
    file: PathBuf,
    /// Stop after this time: 10s, 2m
    #[arg(long, value_parser = control::duration::parse)]
    duration: Option<Duration>,
    /// Print one JSON object at the end instead of tables
    #[arg(long)]
    json: bool,
}

/// Runs until a signal, the duration, `engine.stop`, or the end of all capture sources.
pub fn run(args: &Args, registry: &Registry) -> Outcome {
    let config = Config::read(&args.file, registry).map_err(Failure::config)?;
    let (plan, more) = config.plan().map_err(Failure::config)?;
    show_warnings(config.warnings(), &config);
    show_warnings(&more, &config);

    let choice = config.engine.socket.clone();
    // Before DPDK comes up, which may choose another runtime folder for itself.
    let default_path = socket::default_path();
    let stop = signals::stop_flag()?;
    let engine = session::start(&config, &plan, config.engine.hugepages)?;
    let handle: Arc<dyn EngineHandle> = Arc::<engine::Engine>::clone(&engine);
    let controller = Controller::new(handle, registry.clone(), config, plan);
    let (server, watch) = attend(&choice, default_path, &controller, &engine)?;
    let begun = Instant::now();
    session::wait(&engine, &stop, |look| {
        controller.wait_for_stop(look) || args.duration.is_some_and(|duration| begun.elapsed() >= duration)
    });
    // A change that waits for its confirmation stays as it is.
    drop(watch);
    let (snapshot, problem) = session::stop(&engine)?;
    drop(server);
    session::report(&snapshot, args.json)?;
    problem.map_or(Ok(ExitCode::SUCCESS), Err)
}

/// Opens the control socket, and begins to look after chains and workers. What was started is stopped where that cannot
/// be.
pub(super) fn attend(
    choice: &SocketChoice,
    default_path: PathBuf,
    controller: &Arc<Controller>,
    engine: &engine::Engine,
) -> Result<(Option<Server>, Watch), Failure> {
    let both =
        serve(choice, default_path, controller).and_then(|server| Ok((server, Watch::start(controller)?)));
    if both.is_err() {
        engine.stop()?;
    }
    both
}

/// Opens the control socket. One that the configuration names has to be there; without the default one a run
/// goes on, as when several engines run.
fn serve(
    choice: &SocketChoice,
    default_path: PathBuf,
    controller: &Arc<Controller>,
) -> Result<Option<Server>, Failure> {
    let start = |path| Server::start(path, Arc::clone(controller), Limits::default());
    match choice {
        SocketChoice::Off => Ok(None),
        SocketChoice::Path(path) => Ok(Some(start(path)?)),
        SocketChoice::Default => match start(&default_path) {
            Ok(server) => Ok(Some(server)),
            Err(error) => {
                eprintln!("braid: no control socket: {error}");
                Ok(None)
            }
        },
    }
}
