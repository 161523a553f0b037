//! `braid plan --servers SERVERS.toml FILE.toml`: which server runs which NF.

use super::{Failure, Outcome, print};
use cluster::assign::{Assignment, Narrowed};
use cluster::wanted::Wanted;
use planning::pagination::Effort;
use planning::provision::{Placement, Solver};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

/// What a solver has found, and how long it took.
struct Solved {
    solver: Solver,
    found: Result<Placement, String>,
    seconds: f64,
}

/// Places the NFs of a file on the servers of another.
pub(super) fn run(servers: &Path, file: &Path, solver: &str, effort: Effort, json: bool) -> Outcome {
    let solvers = match solver {
        "all" => Solver::ALL.to_vec(),
        name => vec![Solver::named(name).ok_or_else(|| {
            let known: Vec<&str> = Solver::ALL.into_iter().map(Solver::name).collect();
            Failure::message(format!("there is no solver '{name}': write {}, or all", known.join(", ")))
        })?],
    };
    let read = |path: &Path| {
        std::fs::read_to_string(path)
            .map_err(|error| Failure::message(format!("cannot read {}: {error}", path.display())))
    };
    let told = |path: &Path| {
        let path = path.display().to_string();
        move |error: String| Failure::message(format!("{path}: {error}"))
    };
    let described = cluster::server::read(&read(servers)?).map_err(told(servers))?;
    let wanted = Wanted::parse(&read(file)?).map_err(told(file))?;
    let assignment = Assignment::new(&wanted, &described, Narrowed::default()).map_err(told(file))?;
    let mut solved = Vec::new();
    for solver in solvers {
        let begun = Instant::now();
        let found = assignment.solve(solver, effort).map_err(|error| error.to_string());
        if let Ok(placement) = &found {
            placement
                .check(&assignment.problem)
                .map_err(|fault| Failure::message(format!("{} is wrong: {fault}", solver.name())))?;
        }
        solved.push(Solved { solver, found, seconds: begun.elapsed().as_secs_f64() });
    }
    // The best bound of all holds for all; without the exact solver there is none.
    let bound =
        solved.iter().filter_map(|row| row.found.as_ref().ok()).map(|p| p.lower_bound).fold(0.0, f64::max);
    for row in &mut solved {
        row.found.iter_mut().for_each(|placement| placement.lower_bound = bound.min(placement.cost));
    }
    if json {
        print(&as_json(&assignment, &solved).to_string())?;
    } else {
        print(&as_text(&assignment, &solved))?;
    }
    let all_failed = solved.iter().all(|row| row.found.is_err());
    Ok(if all_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Instances by NF and server, without those where there is none.
fn instances(assignment: &Assignment, placement: &Placement) -> Vec<(String, BTreeMap<String, u32>)> {
    let nfs = assignment.problem.nfs.iter().zip(&placement.at);
    let named = |at: &Vec<u32>| {
        let servers = assignment.servers.iter().zip(at).filter(|(_, n)| **n > 0);
        servers.map(|(name, n)| (name.clone(), *n)).collect()
    };
    nfs.map(|(nf, at)| (nf.name.clone(), named(at))).collect()
}

/// Whether anybody has said what the least cost can be.
fn is_bounded(solved: &[Solved]) -> bool {
    solved.iter().any(|row| row.solver == Solver::Exact && row.found.is_ok())
}

fn as_json(assignment: &Assignment, solved: &[Solved]) -> Value {
    let problem = &assignment.problem;
    let rows: Vec<Value> = solved
        .iter()
        .map(|Solved { solver, found, seconds }| match found {
            Err(error) => json!({ "solver": solver.name(), "error": error, "seconds": seconds }),
            Ok(placement) => {
                let flow = |flow: &planning::provision::Flow| {
                    json!({
                        "chain": problem.chains[flow.chain].name,
                        "from": problem.nfs[flow.pair.0].name,
                        "to": problem.nfs[flow.pair.1].name,
                        "servers": [assignment.servers[flow.servers.0], assignment.servers[flow.servers.1]],
                        "rate": flow.rate,
                    })
                };
                json!({
                    "solver": solver.name(),
                    "cost": placement.cost,
                    "lower_bound": is_bounded(solved).then_some(placement.lower_bound),
                    "gap": is_bounded(solved).then(|| placement.gap()),
                    "out_of_time": placement.out_of_time,
                    "crossing": placement.crossing(),
                    "seconds": seconds,
                    "instances": instances(assignment, placement).into_iter().collect::<BTreeMap<_, _>>(),
                    "flows": placement.flows.iter().map(flow).collect::<Vec<_>>(),
                })
            }
        })
        .collect();
    json!({ "servers": assignment.servers, "solutions": rows })
}

fn as_text(assignment: &Assignment, solved: &[Solved]) -> String {
    let mut out = format!("{:<8} {:>14} {:>14} {:>8} {:>9}\n", "solver", "cost", "crossing", "gap", "time");
    for Solved { solver, found, seconds } in solved {
        let name = solver.name();
        match found {
            Err(error) => out.push_str(&format!("{name:<8} {error}\n")),
            Ok(placement) => {
                let (cost, crossing) = (placement.cost, placement.crossing());
                let gap = match is_bounded(solved) {
                    true => format!("{:.1} %", 100.0 * placement.gap()),
                    false => "–".to_owned(),
                };
                out.push_str(&format!("{name:<8} {cost:>14.0} {crossing:>14.0} {gap:>8} {seconds:>7.3} s\n"));
            }
        }
    }
    let best = solved.iter().filter_map(|row| Some((row.solver, row.found.as_ref().ok()?)));
    if let Some((solver, placement)) = best.min_by(|a, b| a.1.cost.total_cmp(&b.1.cost)) {
        out.push_str(&format!("\n{}\n", solver.name()));
        for (nf, servers) in instances(assignment, placement) {
            let servers: Vec<String> = servers
                .iter()
                .map(|(name, n)| if *n == 1 { name.clone() } else { format!("{name} ({n})") })
                .collect();
            out.push_str(&format!("  {nf:<22} {}\n", servers.join(", ")));
        }
    }
    out.trim_end().to_owned()
}
