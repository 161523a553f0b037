//! `braid replay FILE.toml IN OUT [--chain NAME] [--state STATE.json] [--json]`

use super::{Failure, Outcome, session, show_warnings};
use control::{Config, signals};
use engine::{Engine, EngineError, Record, Registry, Selector, StateError};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `braid replay`.
#[derive(clap::Args)]
pub struct Args {
    /// The configuration
    file: PathBuf,
    /// The capture to play: pcap or pcapng
    input: PathBuf,
    /// The capture to write
    output: PathBuf,
    /// The chain [default: the first]
    #[arg(long, value_name = "NAME")]
    chain: Option<String>,
    /// Write every NF's state at the end, in a canonical order
    #[arg(long, value_name = "STATE.json")]
    state: Option<PathBuf>,
    /// Print one JSON object at the end instead of tables
    #[arg(long)]
    json: bool,
}

/// Plays the capture to its end. The timestamps in it are the engine's clock, so the same input gives the same
/// output.
pub fn run(args: &Args, registry: &Registry) -> Outcome {
    let config = Config::read_for_replay(&args.file, registry).map_err(Failure::config)?;
    show_warnings(config.warnings(), &config);
    if !args.input.is_file() {
        return Err(Failure::message(format!("there is no capture file {}", args.input.display())));
    }
    if let (Ok(input), Ok(output)) = (fs::canonicalize(&args.input), fs::canonicalize(&args.output))
        && input == output
    {
        return Err(Failure::message("the capture to write is the one to play: give another name"));
    }
    let replay = config.replay(args.chain.as_deref(), &args.input, &args.output).map_err(Failure::config)?;
    if args.chain.is_none() && config.chains.len() > 1 {
        eprintln!(
            "braid: playing chain '{}', the first of {}; choose with --chain",
            replay.chain,
            config.chains.len()
        );
    }
    let stop = signals::stop_flag()?;
    let engine = session::start(&config, &replay.plan, false)?;
    let interrupted = session::wait(&engine, &stop, |look| {
        std::thread::sleep(look);
        false
    });
    let snapshot = engine.stop()?;
    if let Some(path) = &args.state {
        let names = replay.plan.nfs.iter().map(|nf| nf.name.as_str());
        write_state(&engine, names, path)?;
    }
    session::report(&snapshot, args.json)?;
    if interrupted {
        return Err(Failure::message(
            "interrupted before the end of the capture: the output is not complete",
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes `{nf: [records…]}`, sorted; an NF that keeps no state has an empty list.
fn write_state<'a>(
    engine: &Engine,
    names: impl Iterator<Item = &'a str>,
    path: &PathBuf,
) -> Result<(), Failure> {
    let mut state: BTreeMap<&str, Vec<Record>> = BTreeMap::new();
    for name in names {
        let records = match engine.export(name, &Selector::default()) {
            Err(EngineError::State { source: StateError::Unsupported, .. }) => Vec::new(),
            other => other?,
        };
        state.insert(name, records);
    }
    let text = format!("{}\n", serde_json::to_string_pretty(&state)?);
    fs::write(path, text)
        .map_err(|error| Failure::message(format!("cannot write {}: {error}", path.display())))
}
