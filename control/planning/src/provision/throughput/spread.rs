//! The spread of flows with which servers carry the most: a linear program over instances.

use super::{Network, Path, Usage};
use microlp::{ComparisonOp, OptimizationDirection, Problem, Solution, Variable};

/// Rates are counted in millions: the solver wants numbers of like size.
const UNIT: f64 = 1e6;

/// The variables of a chain: what enters an instance, and what goes from one to the next, NF by NF.
struct Columns {
    entry: Vec<(usize, Variable)>,
    steps: Vec<Vec<(usize, usize, Variable)>>,
}

/// Rates of a chain: as [`Columns`].
struct Rates {
    entry: Vec<(usize, f64)>,
    steps: Vec<Vec<(usize, usize, f64)>>,
}

impl Network {
    /// Spreads `flows` flows of each chain such that the servers carry the most when all flows are alike, and of such
    /// spreads takes one with the least traffic between servers (eq. 6.7). `None` if the solver fails.
    pub fn best(&self, flows: usize) -> Option<Vec<Path>> {
        let (program, _, rate) = self.program(None);
        let most = program.solve().ok()?.into_solution().ok()?.var_value(rate);
        // A little less, or rounding leaves nothing to choose from.
        let (program, columns, _) = self.program(Some(most * (1.0 - 1e-6)));
        let solution = program.solve().ok()?.into_solution().ok()?;
        let mut paths = Vec::new();
        for (chain, columns) in columns.iter().enumerate() {
            let spread = whole(&columns.rates(&solution).paths(), flows);
            paths.extend(spread.into_iter().map(|instances| Path { chain, instances }));
        }
        Some(paths)
    }

    /// Without a rate: the program that finds the largest one at which every chain can run. With one: the program that
    /// carries it with the least traffic between servers.
    fn program(&self, rate: Option<f64>) -> (Problem, Vec<Columns>, Variable) {
        let direction =
            if rate.is_none() { OptimizationDirection::Maximize } else { OptimizationDirection::Minimize };
        let mut program = Problem::new(direction);
        let bounds = rate.map_or((0.0, f64::INFINITY), |rate| (rate, rate));
        let total = program.add_var(if rate.is_none() { 1.0 } else { 0.0 }, bounds);
        let mut used: Vec<Vec<(Variable, f64)>> = vec![Vec::new(); self.resources()];
        let mut count = |column: Variable, usage: Usage| {
            for (resource, share) in usage {
                match used[resource].last_mut() {
                    Some((last, sum)) if *last == column => *sum += share * UNIT,
                    _ => used[resource].push((column, share * UNIT)),
                }
            }
        };
        let mut chains = Vec::new();
        for nfs in &self.chains {
            let stages: Vec<Vec<usize>> = nfs.iter().map(|nf| self.of(*nf)).collect();
            let (Some(first), Some(last)) = (stages.first(), stages.last()) else { continue };
            let mut column = |cost: f64| program.add_var(cost, (0.0, f64::INFINITY));
            let mut entry = Vec::new();
            for &instance in first {
                let variable = column(0.0);
                count(variable, self.enter(instance));
                entry.push((instance, variable));
            }
            let mut steps = Vec::new();
            for pair in stages.windows(2) {
                let mut step = Vec::new();
                for (&from, &to) in pair[0].iter().flat_map(|a| pair[1].iter().map(move |b| (a, b))) {
                    let crosses = self.instances[from].1 != self.instances[to].1;
                    let variable = column(if rate.is_some() && crosses { 1.0 } else { 0.0 });
                    count(variable, self.step(from, to));
                    step.push((from, to, variable));
                }
                steps.push(step);
            }
            let exits: Vec<(usize, Variable)> =
                last.iter().map(|instance| (*instance, column(0.0))).collect();
            exits.iter().for_each(|(instance, variable)| count(*variable, self.leave(*instance)));
            let mut row: Vec<(Variable, f64)> = entry.iter().map(|(_, variable)| (*variable, 1.0)).collect();
            row.push((total, -1.0));
            program.add_constraint(&row, ComparisonOp::Eq, 0.0);
            for (stage, instances) in stages.iter().enumerate() {
                for &instance in instances {
                    let mut row = Vec::new();
                    match stage.checked_sub(1) {
                        None => row.extend(entry.iter().filter(|e| e.0 == instance).map(|e| (e.1, 1.0))),
                        Some(at) => {
                            row.extend(steps[at].iter().filter(|s| s.1 == instance).map(|s| (s.2, 1.0)))
                        }
                    }
                    match steps.get(stage) {
                        None => row.extend(exits.iter().filter(|e| e.0 == instance).map(|e| (e.1, -1.0))),
                        Some(step) => {
                            row.extend(step.iter().filter(|s| s.0 == instance).map(|s| (s.2, -1.0)))
                        }
                    }
                    program.add_constraint(&row, ComparisonOp::Eq, 0.0);
                }
            }
            chains.push(Columns { entry, steps });
        }
        for row in used.iter().filter(|row| !row.is_empty()) {
            program.add_constraint(&row[..], ComparisonOp::Le, 1.0);
        }
        (program, chains, total)
    }
}

impl Columns {
    fn rates(&self, solution: &Solution) -> Rates {
        let value = |variable: Variable| solution.var_value(variable).max(0.0);
        let step =
            |step: &Vec<(usize, usize, Variable)>| step.iter().map(|s| (s.0, s.1, value(s.2))).collect();
        Rates {
            entry: self.entry.iter().map(|entry| (entry.0, value(entry.1))).collect(),
            steps: self.steps.iter().map(step).collect(),
        }
    }
}

impl Rates {
    /// Takes whole paths off until nothing but rounding is left.
    fn paths(mut self) -> Vec<(Vec<usize>, f64)> {
        let least = 1e-6 * self.entry.iter().map(|entry| entry.1).sum::<f64>();
        let mut paths = Vec::new();
        while let Some(at) = largest(self.entry.iter().map(|entry| entry.1)) {
            let mut rate = self.entry[at].1;
            let mut instances = vec![self.entry[at].0];
            let mut taken = Vec::new();
            for step in &self.steps {
                let here = instances.last().copied();
                let rates = step.iter().map(|s| if Some(s.0) == here { s.2 } else { -1.0 });
                let Some(next) = largest(rates) else { return paths };
                rate = rate.min(step[next].2);
                instances.push(step[next].1);
                taken.push(next);
            }
            if rate <= least {
                return paths;
            }
            self.entry[at].1 -= rate;
            taken.iter().zip(&mut self.steps).for_each(|(next, step)| step[*next].2 -= rate);
            paths.push((instances, rate));
        }
        paths
    }
}

fn largest(values: impl Iterator<Item = f64>) -> Option<usize> {
    values.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).map(|(at, _)| at)
}

/// So many flows over these paths, as near to their rates as whole flows come (largest remainders).
fn whole(paths: &[(Vec<usize>, f64)], flows: usize) -> Vec<Vec<usize>> {
    let sum: f64 = paths.iter().map(|path| path.1).sum();
    let exact: Vec<f64> = paths.iter().map(|path| path.1 / sum * flows as f64).collect();
    let mut counts: Vec<usize> = exact.iter().map(|share| share.floor() as usize).collect();
    let mut order: Vec<usize> = (0..paths.len()).collect();
    order.sort_by(|a, b| exact[*b].fract().total_cmp(&exact[*a].fract()));
    let missing = flows.saturating_sub(counts.iter().sum());
    order.iter().cycle().take(if order.is_empty() { 0 } else { missing }).for_each(|at| counts[*at] += 1);
    paths.iter().zip(counts).flat_map(|(path, n)| std::iter::repeat_n(path.0.clone(), n)).collect()
}
