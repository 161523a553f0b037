//! `braid sim FILE.toml`

use super::{Failure, Outcome, print};
use engine::Registry;
use sim::config::Experiment;
use sim::draw::plots;
use sim::nodes::NfCount;
use sim::report::{Class, Report, SmartCount};
use sim::run::Simulation;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `braid sim`.
#[derive(clap::Args)]
pub struct Args {
    /// The experiment
    file: PathBuf,
    /// Only with this seed, in place of the file's
    #[arg(long)]
    seed: Option<u64>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Draw plots into files in this folder
    #[arg(long, value_name = "FOLDER")]
    svg: Option<PathBuf>,
}

/// Runs an experiment: every load with every seed, without SMART and with each of its ways.
pub fn run(args: &Args, registry: &Registry) -> Outcome {
    let told = |error: &dyn std::error::Error| Failure::message(format!("{}: {error}", args.file.display()));
    let experiment = Experiment::read(&args.file).map_err(|error| told(&error))?;
    let folder = args.file.parent().unwrap_or(Path::new(""));
    let simulation = Simulation::new(&experiment, registry, folder).map_err(|error| told(&error))?;
    let seeds = args.seed.map_or(experiment.config.seeds.clone(), |seed| vec![seed]);
    let mut reports: Vec<Report> = Vec::new();
    for load in experiment.loads() {
        for seed in &seeds {
            let base = reports.len();
            for smart in experiment.terms() {
                let report = simulation.run(load, *seed, smart).map_err(|error| told(&error))?;
                reports.push(match reports.get(base) {
                    Some(without) => report.beside(without),
                    None => report,
                });
            }
        }
    }
    if let Some(folder) = &args.svg {
        draw(folder, &reports)?;
    }
    if args.json {
        let nodes = experiment.topology.nodes();
        print(&serde_json::to_string(&serde_json::json!({ "nodes": nodes, "runs": reports }))?)?;
    } else {
        print(text(&experiment, &reports).trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn draw(folder: &Path, reports: &[Report]) -> Result<(), Failure> {
    let cannot = |path: &Path, error: std::io::Error| {
        Failure::message(format!("cannot write {}: {error}", path.display()))
    };
    std::fs::create_dir_all(folder).map_err(|error| cannot(folder, error))?;
    for (name, plot) in plots(reports) {
        let path = folder.join(name);
        std::fs::write(&path, plot).map_err(|error| cannot(&path, error))?;
    }
    Ok(())
}

fn text(experiment: &Experiment, reports: &[Report]) -> String {
    let topology = &experiment.topology;
    let hosts = topology.hosts();
    let mut out = format!(
        "{hosts} hosts, {} switches, {} links\n",
        topology.nodes() - hosts,
        topology.ends().len() / 2
    );
    for report in reports {
        let Report { load, seed, way, events, ended_ns, .. } = report;
        let millis = *ended_ns as f64 / 1e6;
        put(
            &mut out,
            format_args!("\nload {load}, seed {seed}, {way}: {millis:.3} ms simulated, {events} events\n"),
        );
        put(
            &mut out,
            format_args!(
                "  {:<9} {:>7} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>8} {:>8}\n",
                "class",
                "flows",
                "p50 ms",
                "p99 ms",
                "max ms",
                "slow p50",
                "slow p99",
                "packets",
                "again",
                "missed"
            ),
        );
        for class in &report.classes {
            line(&mut out, class);
        }
        if let Some(SmartCount { noticed, detours, following, yielded }) = report.smart {
            let packets = report.classes.iter().filter(|class| class.class == "priority");
            let [sent, cloned, diverted] = packets
                .fold([0; 3], |[a, b, c], class| [a + class.packets, b + class.cloned, c + class.diverted]);
            let share = |part: u64| 100.0 * part as f64 / sent.max(1) as f64;
            put(
                &mut out,
                format_args!(
                    "  {noticed} flows reported, {detours} on another route, {following} from their begin on; of priority \
                     packets {:.1} % cloned, {:.1} % diverted; {yielded} yielded; {} flows missed their deadline only here\n",
                    share(cloned),
                    share(diverted),
                    report.newly_missed.unwrap_or(0)
                ),
            );
        }
        for tier in report.links.iter().filter(|tier| tier.mean_load > 0.0) {
            let (mean, most) = (100.0 * tier.mean_load, 100.0 * tier.most_load);
            put(
                &mut out,
                format_args!(
                    "  {:<12} busy {mean:>5.1} %, most {most:>5.1} %; queue up to {} kB; {} dropped\n",
                    tier.links,
                    tier.most_queued / 1000,
                    tier.dropped
                ),
            );
        }
        for nf in &report.nfs {
            let dropped: u64 = nf.dropped.values().sum();
            let NfCount { kind, nodes, packets, made, held, .. } = nf;
            put(
                &mut out,
                format_args!(
                    "  {kind} at {nodes} nodes: {packets} packets, {dropped} dropped, {made} made, {held} held\n"
                ),
            );
        }
    }
    out
}

fn line(out: &mut String, class: &Class) {
    let millis = |ns: u64| ns as f64 / 1e6;
    let Class { completion_ns: took, slowdown: slow, .. } = class;
    put(
        out,
        format_args!(
            "  {:<9} {:>7} {:>9.3} {:>9.3} {:>9.3} {:>9.2} {:>9.2} {:>9} {:>8} {:>8}\n",
            class.class,
            class.flows,
            millis(took.p50),
            millis(took.p99),
            millis(took.max),
            slow.p50,
            slow.p99,
            class.packets,
            class.retransmissions,
            if class.deadlines > 0 { class.violations.to_string() } else { "–".to_owned() }
        ),
    );
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // A string takes all.
    let _ = out.write_fmt(text);
}
