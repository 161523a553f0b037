//! `braid replay FILE.toml IN OUT [--chain NAME] [--parallel off|auto|max] [--state STATE.json] [--json]`

use super::{Failure, Outcome, session, show_warnings};
use control::config::{unreadable, unwritable};
use control::planning::Mode;
use control::{Config, signals};
use engine::{Engine, EngineError, Record, Registry, Selector, StateError};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
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
    /// How much of the chain runs side by side, whatever the configuration says; with helpers on as many threads as that
    /// takes, also where there are fewer cores
    #[arg(long, value_enum, value_name = "MODE")]
    parallel: Option<Side>,
    /// Write every NF's state at the end, in a canonical order
    #[arg(long, value_name = "STATE.json")]
    state: Option<PathBuf>,
    /// Print one JSON object at the end instead of tables
    #[arg(long)]
    json: bool,
}

/// `--parallel`
#[derive(Clone, Copy, clap::ValueEnum)]
enum Side {
    /// In order
    Off,
    /// What is faster side by side, by the measured cycles that `delays` names
    Auto,
    /// All that the rules allow
    Max,
}

/// Plays the capture to its end. The timestamps in it are the engine's clock, so the same input gives the same
/// output.
pub fn run(args: &Args, registry: &Registry) -> Outcome {
    let mut config = Config::read_for_replay(&args.file, registry).map_err(Failure::config)?;
    if let Some(side) = args.parallel {
        let mode = match side {
            Side::Off => Mode::Off,
            Side::Auto => Mode::Auto,
            Side::Max => Mode::Max,
        };
        config.chains.iter_mut().for_each(|chain| chain.parallel = mode);
        config.engine.helpers = Some(usize::MAX);
    }
    show_warnings(config.warnings(), &config);
    check_files(args)?;
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
    let (snapshot, problem) = session::stop(&engine)?;
    if let Some(path) = &args.state {
        let names = replay.plan.nfs.iter().map(|nf| nf.name.as_str());
        write_state(&engine, names, path)?;
    }
    session::report(&snapshot, args.json)?;
    if let Some(problem) = problem {
        return Err(problem);
    }
    if interrupted {
        return Err(Failure::message(
            "interrupted before the end of the capture: the output is not complete",
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// That the files can be read and written is seen before the capture is played, which may take long.
fn check_files(args: &Args) -> Result<(), Failure> {
    let problem = unreadable(&args.input).or_else(|| unwritable(&args.output));
    if let Some(problem) = problem.or_else(|| args.state.as_deref().and_then(unwritable)) {
        return Err(Failure::message(problem));
    }
    if same_file(&args.input, &args.output) {
        return Err(Failure::message("the capture to write is the one to play: give another name"));
    }
    if args
        .state
        .as_deref()
        .is_some_and(|state| same_file(state, &args.input) || same_file(state, &args.output))
    {
        return Err(Failure::message("the state cannot go into one of the captures: give another name"));
    }
    Ok(())
}

/// Whether two paths lead to one regular file, also to one that is yet to be made.
fn same_file(one: &Path, other: &Path) -> bool {
    let fresh = |path: &Path| {
        let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        Some((fs::canonicalize(folder).ok()?, path.file_name()?.to_owned()))
    };
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => one.is_file() && (one.dev(), one.ino()) == (other.dev(), other.ino()),
        (Err(_), Err(_)) => fresh(one).is_some_and(|one| fresh(other) == Some(one)),
        _ => false,
    }
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
