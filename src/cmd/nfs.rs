//! `braid nfs [KIND]`

use super::{Failure, Outcome, print};
use comfy_table::{ContentArrangement, Table, presets};
use engine::{Gates, Registry};
use serde_json::json;
use std::process::ExitCode;

/// Arguments of `braid nfs`.
#[derive(clap::Args)]
pub struct Args {
    /// Describe this kind: example, drop reasons, counters, commands
    kind: Option<String>,
    /// As JSON, with the schema of its configuration
    #[arg(long, requires = "kind")]
    json: bool,
}

/// Lists the kinds, or describes one.
pub fn run(args: &Args, registry: &Registry) -> Outcome {
    let Some(kind) = &args.kind else {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        for entry in registry.iter() {
            table.add_row([entry.name, entry.summary]);
        }
        print(&table.trim_fmt())?;
        return Ok(ExitCode::SUCCESS);
    };
    let Some(entry) = registry.get(kind) else {
        let help = control::config::kind_advice(kind, registry);
        return Err(Failure::message(format!("there is no NF kind '{kind}': {help}")));
    };
    let commands: Vec<String> = entry.commands.iter().map(|c| format!("{}: {}", c.name, c.summary)).collect();
    if args.json {
        let described = json!({
            "name": entry.name,
            "summary": entry.summary,
            "example": entry.example,
            "gates": if entry.gates == Gates::One { "one" } else { "ports" },
            "drops": entry.drops,
            "counters": entry.counters,
            "commands": entry.commands.iter().map(|c| json!({ "name": c.name, "summary": c.summary })).collect::<Vec<_>>(),
            "config": (entry.schema)(),
        });
        print(&format!("{described:#}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let list = |items: &[&str]| if items.is_empty() { "none".to_owned() } else { items.join(", ") };
    let commands = if commands.is_empty() { "none".to_owned() } else { commands.join("\n          ") };
    print(&format!(
        "{}: {}\n\ndrops:    {}\ncounters: {}\ncommands: {commands}\n\n[nf.NAME]\nkind = \"{}\"\n{}",
        entry.name,
        entry.summary,
        list(entry.drops),
        list(entry.counters),
        entry.name,
        entry.example.trim()
    ))?;
    Ok(ExitCode::SUCCESS)
}
