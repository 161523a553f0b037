//! The integer program (eqs 6.7–6.12).
//!
//! The thesis has a binary variable for each instance and server, and multiplies two of them in the cost. Instances of
//! one NF on one server are alike, and nothing between them and others depends on which is which. So the program counts
//! them: n_ik instances of NF i on server k, and flows f between NFs by servers. That is linear, has no two solutions
//! that differ by names alone, and has the same optimum: what comes to n_ik instances can be spread over them evenly,
//! which keeps each inflow below pr_i if their sum is below n_ik·pr_i.

use super::{Flow, Placement, Problem, Unplaced, greedy};
use microlp::{ComparisonOp, OptimizationDirection, Problem as Program, Solution, Variable};
use std::time::Duration;

/// The variables of a program.
struct Columns {
    /// Instances: `count[nf][server]`; `None` where it may not be.
    count: Vec<Vec<Option<Variable>>>,
    flows: Vec<(Flow, Variable)>,
}

pub(super) fn solve(problem: &Problem, time: Duration) -> Result<Placement, Unplaced> {
    // What the heuristic finds is an answer when time runs out, and an upper bound never to be exceeded.
    let fallback = greedy::solve(problem).ok();
    let unit = problem.chains.iter().map(|chain| chain.rate).fold(f64::MIN_POSITIVE, f64::max);
    let far = problem.delay.iter().flatten().copied().fold(0.0, f64::max);
    let far = if far > 0.0 { far } else { 1.0 };
    let (mut program, columns) = program(problem, unit, far);
    program.set_time_limit(time.max(Duration::from_millis(1)));
    let outcome = match program.solve() {
        Ok(outcome) => outcome,
        // What has been found is one all the same: sums that just fit may be a last bit too much for the solver.
        Err(microlp::Error::Infeasible) => return fallback.ok_or(Unplaced::Impossible),
        Err(error) => return fallback.ok_or_else(|| Unplaced::Solver(error.to_string())),
    };
    let proved = outcome.is_optimal();
    let bound = outcome.stats().best_bound.unwrap_or(0.0).max(0.0) * unit * far;
    let found = outcome.into_solution().ok().map(|solution| read(problem, &columns, &solution, unit));
    let found = found.filter(|placement| placement.check(problem).is_ok());
    // A little above, for rounding: the bound of a cost of nothing is nothing.
    let best = match (found, fallback) {
        (Some(found), Some(other)) if other.cost < found.cost * (1.0 - 1e-9) => other,
        (Some(found), _) => found,
        (None, Some(other)) => other,
        (None, None) => return Err(Unplaced::OutOfTime),
    };
    let lower_bound = if proved { best.cost } else { bound.min(best.cost) };
    Ok(Placement { lower_bound, out_of_time: !proved, ..best })
}

/// Rates are in units of `unit`, delays of `far`: the solver wants numbers of like size.
fn program(problem: &Problem, unit: f64, far: f64) -> (Program, Columns) {
    let mut program = Program::new(OptimizationDirection::Minimize);
    let servers = problem.servers.len();
    let mut count = Vec::new();
    for i in 0..problem.nfs.len() {
        let n = i32::try_from(problem.instances(i)).unwrap_or(i32::MAX);
        let column = |k| problem.allows(i, k).then(|| program.add_integer_var(0.0, (0, n)));
        let columns: Vec<Option<Variable>> = (0..servers).map(column).collect();
        let all: Vec<(Variable, f64)> = columns.iter().flatten().map(|column| (*column, 1.0)).collect();
        program.add_constraint(&all, ComparisonOp::Eq, f64::from(n));
        count.push(columns);
    }
    for (k, server) in problem.servers.iter().enumerate() {
        for (of, most) in
            [((|nf| nf.cpu) as fn(&super::Nf) -> f64, server.cpu), (|nf| nf.memory, server.memory)]
        {
            let scale = most.max(1.0);
            let taken =
                (0..problem.nfs.len()).filter_map(|i| Some((count[i][k]?, of(&problem.nfs[i]) / scale)));
            let row: Vec<(Variable, f64)> = taken.filter(|(_, amount)| *amount > 0.0).collect();
            if !row.is_empty() {
                program.add_constraint(&row, ComparisonOp::Le, most / scale);
            }
        }
    }
    let mut flows = Vec::new();
    // What the instances of an NF on a server process, of all chains.
    let mut inflow: Vec<Vec<Vec<(Variable, f64)>>> = vec![vec![Vec::new(); servers]; problem.nfs.len()];
    for (c, chain) in problem.chains.iter().enumerate() {
        let most = chain.rate / unit;
        let mut processed = vec![vec![None; servers]; problem.nfs.len()];
        for &i in &chain.nfs {
            for k in (0..servers).filter(|&k| problem.allows(i, k)) {
                let column = program.add_var(0.0, (0.0, most));
                processed[i][k] = Some(column);
                inflow[i][k].push((column, 1.0));
            }
            let all: Vec<(Variable, f64)> =
                processed[i].iter().flatten().map(|column| (*column, 1.0)).collect();
            program.add_constraint(&all, ComparisonOp::Eq, most);
        }
        for &pair in &chain.pairs {
            let mut sent: Vec<Vec<(Variable, f64)>> = vec![Vec::new(); servers];
            let mut got = sent.clone();
            for (a, from) in processed[pair.0].iter().enumerate() {
                for (b, to) in processed[pair.1].iter().enumerate() {
                    if from.is_some() && to.is_some() {
                        let column = program.add_var(problem.delay[a][b] / far, (0.0, most));
                        sent[a].push((column, 1.0));
                        got[b].push((column, 1.0));
                        flows.push((Flow { chain: c, pair, servers: (a, b), rate: 0.0 }, column));
                    }
                }
            }
            // Flow is conserved: what leaves, and what comes, is what is processed.
            for (nf, mut rows) in [(pair.0, sent), (pair.1, got)] {
                for (k, row) in rows.iter_mut().enumerate() {
                    if let Some(column) = processed[nf][k] {
                        row.push((column, -1.0));
                        program.add_constraint(&row[..], ComparisonOp::Eq, 0.0);
                    }
                }
            }
        }
    }
    for (i, servers) in inflow.into_iter().enumerate() {
        let rate = problem.nfs[i].rate.min(problem.load(i)) / unit;
        for (k, mut row) in servers.into_iter().enumerate() {
            if let (Some(count), false) = (count[i][k], row.is_empty()) {
                row.push((count, -rate));
                program.add_constraint(&row[..], ComparisonOp::Le, 0.0);
            }
        }
    }
    (program, Columns { count, flows })
}

fn read(problem: &Problem, columns: &Columns, solution: &Solution, unit: f64) -> Placement {
    let whole = |column: &Option<Variable>| column.map_or(0.0, |column| solution.var_value(column).round());
    let at = columns
        .count
        .iter()
        .map(|servers| servers.iter().map(|count| whole(count) as u32).collect())
        .collect();
    let rated = columns
        .flows
        .iter()
        .map(|(flow, column)| Flow { rate: solution.var_value(*column).max(0.0) * unit, ..*flow });
    let flows = rated.filter(|flow| flow.rate > 1e-9 * problem.chains[flow.chain].rate).collect();
    Placement::new(problem, at, flows)
}
