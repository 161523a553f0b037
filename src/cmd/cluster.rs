//! `braid cluster set FILE.toml` and `braid cluster show`: what is wanted of all servers, and what they do.

use super::{Failure, Outcome, print};
use cluster::etcd::{Change, Etcd};
use cluster::store::{self, Snapshot};
use cluster::wanted::Wanted;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `braid cluster`.
#[derive(clap::Args)]
pub struct Args {
    /// Where etcd is; several members with commas between them
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:2379", global = true)]
    etcd: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Say which chains all servers together are to run
    Set {
        /// Chains, NFs and what they need
        file: PathBuf,
    },
    /// Show the servers, who runs what, and the planner's last decisions
    Show {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Does it.
pub fn run(args: &Args) -> Outcome {
    let etcd = Etcd::new(&args.etcd)?;
    match &args.command {
        Command::Set { file } => {
            let refused = |error: String| Failure::message(format!("{}: {error}", file.display()));
            let text = std::fs::read_to_string(file).map_err(|error| refused(error.to_string()))?;
            Wanted::parse(&text).map_err(refused)?;
            etcd.transact(&[], &[Change::Put { key: store::WANTED.to_owned(), value: text, lease: 0 }])?;
        }
        Command::Show { json: true } => print(&as_json(&Snapshot::read(&etcd)?).to_string())?,
        Command::Show { json: false } => print(&as_text(&Snapshot::read(&etcd)?))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn as_json(all: &Snapshot) -> serde_json::Value {
    json!({
        "wanted": all.wanted.as_ref().map(|(revision, _)| revision),
        "accepted": all.accepted.as_ref().map(|accepted| accepted.revision),
        "planner": all.planner.as_ref().map(|planner| &planner.value),
        "servers": all.servers,
        "plan": all.plan,
        "parts": all.parts,
        "reports": all.reports,
        "events": decisions(all),
    })
}

fn decisions(all: &Snapshot) -> Vec<&store::Event> {
    let mut events: Vec<&store::Event> = all.events.values().collect();
    events.sort_by_key(|event| event.time);
    events
}

fn as_text(all: &Snapshot) -> String {
    let mut by_server: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (what, server) in &all.plan.place {
        by_server.entry(server).or_default().push(what);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["server", "CPU", "memory", "has", "part", "runs"]);
    for (name, server) in &all.servers {
        let has = by_server.get(name.as_str()).map(|has| has.join(", ")).unwrap_or_default();
        let part = all.parts.get(name).map(|part| part.revision.to_string()).unwrap_or_default();
        let runs = match all.reports.get(name) {
            None => "not known".to_owned(),
            Some(report) if report.runs => report.revision.to_string(),
            Some(report) => report.error.clone().unwrap_or_default(),
        };
        let memory = format!("{} MB", server.memory);
        let row = [name.clone(), server.cpu.to_string(), memory, has, part, runs];
        table.add_row(row);
    }
    let mut out = format!("{}\n\n", table.trim_fmt());
    out.push_str(&match &all.planner {
        Some(planner) => format!("planner  {}\n", planner.value),
        None => "planner  none\n".to_owned(),
    });
    let (plan, cost) = (all.plan.revision, all.plan.cost);
    out.push_str(&format!("plan     {plan}, costs {cost:.0} packets/s times µs\n"));
    for event in decisions(all).iter().rev().take(10).rev() {
        out.push_str(&format!("event    {}: {}\n", event.name, event.detail));
    }
    out.trim_end().to_owned()
}
