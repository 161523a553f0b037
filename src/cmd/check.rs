//! `braid check FILE.toml`

use super::{Failure, Outcome, print, show_warnings};
use control::Config;
use engine::Registry;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `braid check`.
#[derive(clap::Args)]
pub struct Args {
    /// The configuration
    file: PathBuf,
}

/// Does everything that a run does before it touches devices: rule files are read, rules compiled.
pub fn run(args: &Args, registry: &Registry) -> Outcome {
    let config = Config::read(&args.file, registry).map_err(Failure::config)?;
    let (plan, more) = config.plan().map_err(Failure::config)?;
    show_warnings(config.warnings(), &config);
    show_warnings(&more, &config);
    show_warnings(&config.lacks(&plan), &config);
    print(&format!(
        "{}: good: {}, {}, {}, {}; {} packet buffers, {} MB",
        config.file(),
        counted(plan.cores.len(), "worker"),
        counted(plan.ports.len(), "port"),
        counted(plan.nfs.len(), "NF"),
        counted(plan.chains.len(), "chain"),
        plan.buffers_made(),
        config.memory_mb(&plan),
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn counted(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}
