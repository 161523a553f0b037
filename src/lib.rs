//! The `braid` program, as a library: `braid::main(nfs::registry())` is the whole binary. Another binary passes
//! its own network functions too:
//!
//! ```no_run
//! fn main() -> std::process::ExitCode {
//!     braid::main(nfs::registry())
//! }
//! ```
#![forbid(unsafe_code)]

mod cmd;
mod report;

use clap::{Parser, Subcommand};
use engine::Registry;
use std::io::IsTerminal;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// A userspace packet-processing dataplane: network functions as zero-copy stages on DPDK.
#[derive(Parser)]
#[command(name = "braid", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a configuration until a signal, the duration, or the end of all capture sources
    Run(cmd::run::Args),
    /// Play a capture through one chain into another capture; the same input gives the same output
    Replay(cmd::replay::Args),
    /// Check a rule file, and say which rule each header of a trace matches first
    Rules(cmd::rules::Args),
    /// Check a configuration without running it
    Check(cmd::check::Args),
    /// Say which NFs of a chain could run side by side, which not and why, and what that would gain
    Plan(cmd::plan::Args),
    /// Simulate a leaf-spine network whose nodes may run NFs; the same seed gives the same result
    Sim(cmd::sim::Args),
    /// Run a server's part of chains over several servers, as planned in etcd; or plan for all of them
    Agent(cmd::agent::Args),
    /// Say which chains all servers together are to run, and show what they do
    Cluster(cmd::cluster::Args),
    /// Call a method of a running engine; without a method, list them
    Ctl(cmd::ctl::Args),
    /// List the kinds of network function, or describe one
    Nfs(cmd::nfs::Args),
}

/// Runs the program with the kinds of NF in `registry`; the arguments are the process's.
pub fn main(registry: Registry) -> ExitCode {
    let filter = match std::env::var("BRAID_LOG").ok().filter(|wanted| !wanted.is_empty()) {
        Some(wanted) => EnvFilter::try_new(&wanted).unwrap_or_else(|error| {
            eprintln!("braid: BRAID_LOG is not understood: {error}; write warn, info, debug or dpdk=debug");
            EnvFilter::new("warn")
        }),
        None => EnvFilter::new("warn"),
    };
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A log that another part of the process has set up already stays.
    let _ = log.with_ansi(std::io::stderr().is_terminal()).try_init();
    // The workers' cores are chosen from what the process may use, before any thread restricts itself.
    control::cores::allowed();
    let result = match Cli::parse().command {
        Command::Run(args) => cmd::run::run(&args, &registry),
        Command::Replay(args) => cmd::replay::run(&args, &registry),
        Command::Rules(args) => cmd::rules::run(&args),
        Command::Check(args) => cmd::check::run(&args, &registry),
        Command::Plan(args) => cmd::plan::run(&args, &registry),
        Command::Sim(args) => cmd::sim::run(&args, &registry),
        Command::Agent(args) => cmd::agent::run(&args, &registry),
        Command::Cluster(args) => cmd::cluster::run(&args),
        Command::Ctl(args) => cmd::ctl::run(&args, &registry),
        Command::Nfs(args) => cmd::nfs::run(&args, &registry),
    };
    match result {
        Ok(code) => code,
        Err(failure) => {
            failure.show();
            ExitCode::FAILURE
        }
    }
}
