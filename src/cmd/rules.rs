//! `braid rules RULES [--trace HEADERS]`

use super::{Failure, Outcome, print};
use ::nfs::firewall::rules::{self, Format, HeaderMatcher, RulesErrors};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `braid rules`.
#[derive(clap::Args)]
pub struct Args {
    /// The rule file: the firewall's own format, or ClassBench filters
    rules: PathBuf,
    /// A ClassBench header trace: prints, line by line, the number from 0 of the first rule that matches, or `-`
    #[arg(long, value_name = "HEADERS")]
    trace: Option<PathBuf>,
}

/// Checks the file; with a trace, judges its headers.
pub fn run(args: &Args) -> Outcome {
    let set = rules::parse_file(&args.rules).map_err(|error| placed(&args.rules, &error))?;
    let Some(trace) = &args.trace else {
        let format = match set.format {
            Format::Braid => "rules",
            Format::ClassBench => "ClassBench filters",
        };
        print(&format!("{}: good: {} {format}", args.rules.display(), set.rules.len()))?;
        return Ok(ExitCode::SUCCESS);
    };
    let text = std::fs::read_to_string(trace)
        .map_err(|error| Failure::message(format!("cannot read {}: {error}", trace.display())))?;
    let headers = rules::parse_trace(&text).map_err(|error| placed(trace, &error.into()))?;
    let matcher = HeaderMatcher::new(&set);
    let mut out = String::with_capacity(headers.len() * 5);
    for header in &headers {
        match matcher.first_match(header) {
            // Writing to a string cannot fail.
            Some(rule) => drop(writeln!(out, "{rule}")),
            None => out.push_str("-\n"),
        }
    }
    if !out.is_empty() {
        print(out.trim_end_matches('\n'))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `file:line:column: error: message` for every mistake, and their number, as for configurations.
fn placed(file: &Path, errors: &RulesErrors) -> Failure {
    let file = file.display();
    for error in &errors.errors {
        if error.line == 0 {
            return Failure::message(&error.message);
        }
        eprintln!("{file}:{}:{}: error: {}", error.line, error.column, error.message);
        if let Some(help) = &error.help {
            eprintln!("  help: {help}");
        }
    }
    let shown = errors.errors.len();
    let count = shown + errors.more;
    let first =
        if errors.more > 0 { format!(", of which the first {shown} are shown") } else { String::new() };
    Failure::message(format!("{file} has {count} error{}{first}", if count == 1 { "" } else { "s" }))
}
