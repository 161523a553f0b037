//! `braid plan --pagination FILE.json`: the benchmark's instances, by our solvers.

use super::{Failure, Outcome, print};
use planning::graph::{Costs, Dag, Segment, join};
use planning::pagination::benchmark::{self, Problem};
use planning::pagination::{Effort, Instance, Solver};
use serde::Serialize;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// One instance.
#[derive(Serialize)]
struct Solved {
    instance: usize,
    capacity: u64,
    tiles: usize,
    best_known: Option<usize>,
    optimum: Option<usize>,
    /// The best of all solvers.
    lower_bound: usize,
    solvers: Vec<Row>,
}

/// One solver on one instance.
#[derive(Serialize)]
struct Row {
    solver: &'static str,
    pages: usize,
    /// Proved: no solution has fewer pages.
    optimal: bool,
    lower_bound: usize,
    /// Share of the pages that may be too many.
    gap: f64,
    seconds: f64,
    out_of_time: bool,
    /// Of the plan in which each symbol, as an NF, runs once; of the same by topological levels.
    operations: usize,
    level_operations: usize,
    pagination: Vec<Vec<usize>>,
}

/// Solves all instances of a file.
pub(super) fn run(file: &Path, solver: &str, effort: Effort, json: bool) -> Outcome {
    let solvers = match solver {
        "all" => Solver::ALL.to_vec(),
        name => vec![Solver::named(name).ok_or_else(|| {
            let known: Vec<&str> = Solver::ALL.into_iter().map(Solver::name).collect();
            Failure::message(format!("there is no solver '{name}': write {}, or all", known.join(", ")))
        })?],
    };
    let shown = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::message(format!("cannot read {shown}: {error}")))?;
    let problems = benchmark::read(&text).map_err(|error| Failure::message(format!("{shown}: {error}")))?;
    let mut solved = Vec::new();
    for (number, problem) in problems.iter().enumerate() {
        let instance = solve(number, problem, &solvers, effort)?;
        if !json {
            print(&lines(&instance))?;
        }
        solved.push(instance);
    }
    if json {
        let file = shown.to_string();
        print(&serde_json::to_string(&serde_json::json!({ "file": file, "instances": solved }))?)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn solve(number: usize, problem: &Problem, solvers: &[Solver], effort: Effort) -> Result<Solved, Failure> {
    let instance = &problem.instance;
    let dag = dependencies(instance)?;
    let level_operations = Segment::levels(&dag).operations();
    let mut rows = Vec::new();
    for solver in solvers {
        let outcome = solver.solve(instance, effort);
        outcome.solution.check(instance).map_err(|fault| {
            Failure::message(format!("instance {number}: {} is wrong: {fault}", solver.name()))
        })?;
        // As it is: splitting bins is for chains whose delays are known.
        let unsplit = Effort { time: Duration::ZERO, ..effort };
        let bins = outcome.solution.pages.clone();
        let (segment, ..) =
            join(&dag, instance, bins, dag.critical().length.max(instance.capacity()), unsplit);
        segment.check(&dag)?;
        debug_assert!(segment.latency(dag.delays(), Costs::NONE) <= dag.sequential());
        rows.push(Row {
            solver: solver.name(),
            pages: outcome.solution.len(),
            optimal: outcome.is_optimal(),
            lower_bound: outcome.lower_bound,
            gap: outcome.gap(),
            seconds: outcome.elapsed.as_secs_f64(),
            out_of_time: outcome.out_of_time,
            operations: segment.operations(),
            level_operations,
            pagination: outcome.solution.pages,
        });
    }
    let lower_bound = rows.iter().map(|row| row.lower_bound).max().unwrap_or(0);
    for row in &mut rows {
        row.lower_bound = lower_bound;
        row.optimal = row.pages == lower_bound;
        row.gap = (row.pages - lower_bound) as f64 / row.pages.max(1) as f64;
    }
    Ok(Solved {
        instance: number,
        capacity: instance.capacity(),
        tiles: instance.tiles().len(),
        best_known: problem.best_known,
        optimum: problem.optimum,
        lower_bound,
        solvers: rows,
    })
}

/// The tiles as chains of NFs, each in the order of its symbols.
fn dependencies(instance: &Instance) -> Result<Dag, Failure> {
    let mut edges = Vec::new();
    for tile in instance.tiles() {
        let symbols: Vec<usize> = tile.iter().collect();
        edges.extend(symbols.windows(2).map(|pair| (pair[0], pair[1])));
    }
    Ok(Dag::new(instance.weights().to_vec(), &edges)?)
}

fn lines(solved: &Solved) -> String {
    let known = solved.best_known.map_or(String::new(), |pages| format!(", best known {pages}"));
    let optimum = solved.optimum.map_or(String::new(), |pages| format!(", optimum {pages}"));
    let mut out = format!(
        "instance {}: {} tiles, capacity {}{known}{optimum}, at least {} pages",
        solved.instance, solved.tiles, solved.capacity, solved.lower_bound
    );
    for row in &solved.solvers {
        let proof = if row.optimal { "optimal".to_owned() } else { format!("gap {:.1} %", row.gap * 100.0) };
        let late = if row.out_of_time { ", out of time" } else { "" };
        out.push_str(&format!(
            "\n  {:<24} {:>4} pages  {proof:<12} {:>9.3} s{late}",
            row.solver, row.pages, row.seconds
        ));
    }
    out
}
