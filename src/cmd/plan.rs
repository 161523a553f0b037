//! `braid plan FILE.toml`, `braid plan --servers SERVERS.toml FILE.toml` and `braid plan --pagination FILE.json`

use super::{Failure, Outcome, pagination, print, provision, show_warnings};
use control::Config;
use control::planning::{ChainPlanning, Delays, Predicted, plan_chain, stages};
use engine::Registry;
use planning::draw::{Label, dot, svg};
use planning::graph::Costs;
use planning::pagination::Effort;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Arguments of `braid plan`.
#[derive(clap::Args)]
pub struct Args {
    /// The configuration
    #[arg(required_unless_present = "pagination", conflicts_with = "pagination")]
    file: Option<PathBuf>,
    /// Only this chain
    #[arg(long, value_name = "NAME")]
    chain: Option<String>,
    /// Cycles per packet of each NF: the report of `braid run --json`, or {"NAME": CYCLES, ...}
    #[arg(long, value_name = "FILE")]
    delays: Option<PathBuf>,
    /// Cycles to give one more branch the packet
    #[arg(long, value_name = "CYCLES", default_value_t = Costs::default().mirror)]
    mirror: u64,
    /// Cycles to bring a branch's packet to another core and back
    #[arg(long, value_name = "CYCLES", default_value_t = Costs::default().handoff)]
    handoff: u64,
    /// Cycles to merge the result of one more branch
    #[arg(long, value_name = "CYCLES", default_value_t = Costs::default().merge)]
    merge: u64,
    /// Print one JSON object
    #[arg(long, conflicts_with = "dot")]
    json: bool,
    /// Print the dependency graphs for Graphviz
    #[arg(long)]
    dot: bool,
    /// Draw the service processing graph of the chain (the first one, or --chain) into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Solve the instances of a file of the pagination benchmark instead
    #[arg(long, value_name = "FILE")]
    pagination: Option<PathBuf>,
    /// Say instead which of these servers runs which NF
    #[arg(long, value_name = "SERVERS.toml", conflicts_with_all = ["pagination", "dot", "svg", "delays", "chain"])]
    servers: Option<PathBuf>,
    /// With --pagination: first-fit, overload-remove, overload-remove-presort, genetic-standard, genetic-grouping,
    /// exact, or all; with --servers: exact, greedy, random, or all
    #[arg(long, default_value = "all")]
    solver: String,
    /// How long a solver may take for one instance or chain
    #[arg(long, default_value_t = 10.0, value_parser = seconds)]
    seconds: f64,
    /// Seed of the solvers that use chance
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("'{text}' is no number of seconds"))?;
    if (0.001..=86400.0).contains(&seconds) { Ok(seconds) } else { Err("write 0.001 to 86400".to_owned()) }
}

/// Plans the chains of a configuration, or solves the benchmark's instances.
pub fn run(args: &Args, registry: &Registry) -> Outcome {
    let effort = Effort { time: Duration::from_secs_f64(args.seconds), seed: args.seed };
    if let Some(file) = &args.pagination {
        return pagination::run(file, &args.solver, effort, args.json);
    }
    let file = args.file.as_deref().ok_or_else(|| Failure::message("there is no configuration to plan"))?;
    if let Some(servers) = &args.servers {
        return provision::run(servers, file, &args.solver, effort, args.json);
    }
    // What is behind the ports does not matter.
    let config = Config::read_for_replay(file, registry).map_err(Failure::config)?;
    let (plan, more) = config.plan().map_err(Failure::config)?;
    show_warnings(config.warnings(), &config);
    show_warnings(&more, &config);
    let delays = match &args.delays {
        Some(file) => Delays::read(file)?,
        None => Delays::default(),
    };
    let costs = Costs { mirror: args.mirror, handoff: args.handoff, merge: args.merge };
    let mut chains = Vec::new();
    for (name, stages) in stages(&plan, &delays) {
        if args.chain.as_ref().is_none_or(|wanted| *wanted == name) {
            chains.push(plan_chain(&name, &stages, costs, effort)?);
        }
    }
    if let (Some(name), []) = (&args.chain, &chains[..]) {
        return Err(Failure::message(format!("there is no chain '{name}'")));
    }
    if let (Some(file), Some(chain)) = (&args.svg, chains.first()) {
        std::fs::write(file, drawn(chain))
            .map_err(|error| Failure::message(format!("cannot write {}: {error}", file.display())))?;
    }
    if args.json {
        print(&serde_json::to_string(&serde_json::json!({ "chains": chains }))?)?;
    } else if args.dot {
        let graphs: Vec<String> =
            chains.iter().map(|chain| dot(&chain.chain, &chain.dag, &labels(chain))).collect();
        print(graphs.join("\n").trim_end())?;
    } else {
        let texts: Vec<String> = chains.iter().map(text).collect();
        print(&texts.join("\n\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn labels(chain: &ChainPlanning) -> Vec<Label> {
    let label = |nf: &control::planning::NfDelay| Label {
        name: nf.name.clone(),
        detail: nf.cycles.map_or(nf.kind.clone(), |cycles| format!("{cycles} cycles")),
        critical: chain.critical.path.contains(&nf.name),
    };
    chain.nfs.iter().map(label).collect()
}

fn drawn(chain: &ChainPlanning) -> String {
    let (spg, sequential) = (&chain.spg, &chain.sequential);
    let unit = if chain.delays_known { "cycles" } else { "NFs" };
    let title =
        format!("{}: {} {unit} side by side, {} in order", chain.chain, spg.latency, sequential.latency);
    svg(&title, &spg.segment, &labels(chain))
}

fn text(chain: &ChainPlanning) -> String {
    let mut out = format!("chain {}\n", chain.chain);
    // Writing into a string cannot fail.
    let mut line = |text: std::fmt::Arguments<'_>| {
        let _ = writeln!(out, "{text}");
    };
    line(format_args!("\n  NF                     kind             cycles/pkt"));
    for nf in &chain.nfs {
        let cycles = nf.cycles.map_or("not known".to_owned(), |cycles| cycles.to_string());
        line(format_args!("  {:<22} {:<16} {cycles:>10}", nf.name, nf.kind));
    }
    if !chain.pairs.is_empty() {
        line(format_args!("\n  pairs"));
    }
    for pair in &chain.pairs {
        let verdict = match (pair.parallel, pair.exchangeable) {
            (true, true) => "side by side, or in either order",
            (true, false) => "side by side",
            (false, _) => "in order",
        };
        line(format_args!("  {}, {}: {verdict}", pair.earlier, pair.later));
        for reason in &pair.reasons {
            line(format_args!("      {}", reason.text));
        }
    }
    let name = |nf: &usize| chain.nfs[*nf].name.as_str();
    let edges: Vec<String> = chain.edges.iter().map(|(a, b)| format!("{} > {}", name(a), name(b))).collect();
    let edges = if edges.is_empty() { "none".to_owned() } else { edges.join(", ") };
    let unit = if chain.delays_known { "cycles" } else { "NFs, as not all delays are known" };
    line(format_args!("\n  dependencies   {edges}"));
    line(format_args!(
        "  critical path  {}: {} {unit}",
        chain.critical.path.join(" > "),
        chain.critical.length
    ));
    let costs = chain.costs;
    line(format_args!(
        "\n  {:<14} {:>10} {:>12} {:>10}  (a branch more: mirror {}, hand-off {}, merge {})",
        "plan", "latency", "with costs", "operations", costs.mirror, costs.handoff, costs.merge
    ));
    let rows: [(&str, &Predicted); 4] = [
        ("in order", &chain.sequential),
        ("by levels", &chain.levels),
        ("max", &chain.max),
        ("SPG", &chain.spg),
    ];
    for (what, plan) in rows {
        let Predicted { latency, operations, text, .. } = plan;
        let with_costs = plan.latency_with_costs.map_or("–".to_owned(), |latency| latency.to_string());
        line(format_args!("  {what:<14} {latency:>10} {with_costs:>12} {operations:>10}  {text}"));
    }
    let auto = if chain.auto.segment.is_parallel() { "side by side" } else { "in order" };
    line(format_args!("\n  auto           {auto}: {}", chain.auto.reason));
    out.trim_end().to_owned()
}
