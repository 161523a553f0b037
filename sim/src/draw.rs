//! Plots of runs as SVG.

mod chart;
#[cfg(test)]
mod tests;

pub use chart::{Axis, Chart, Series};

use crate::quantity::MICROSECOND;
use crate::report::{Outcome, Report};

/// Points of a line that shows a distribution.
const POINTS: usize = 200;

/// All plots of some runs, by file name.
pub fn plots(reports: &[Report]) -> Vec<(&'static str, String)> {
    vec![("completion.svg", completion(reports).svg()), ("slowdown.svg", slowdown(reports).svg())]
}

fn series(reports: &[Report], value: impl Fn(&Outcome) -> Option<f64>) -> Vec<Series> {
    let mut all = Vec::new();
    for report in reports {
        for class in &report.classes {
            let priority = class.class == "priority";
            let of_class = report.outcomes.iter().filter(|outcome| outcome.priority == priority);
            let mut values: Vec<f64> = of_class.filter_map(&value).collect();
            values.sort_unstable_by(f64::total_cmp);
            let name = match reports {
                [_] => class.class.to_owned(),
                _ => format!("{}, load {}, seed {}", class.class, report.load, report.seed),
            };
            all.push(Series { name, points: distribution(&values) });
        }
    }
    all
}

/// The cumulative distribution of sorted values.
fn distribution(sorted: &[f64]) -> Vec<(f64, f64)> {
    let steps = sorted.len().clamp(1, POINTS);
    let point = |step: usize| {
        let rank = (step * sorted.len()).div_ceil(steps);
        Some((*sorted.get(rank.checked_sub(1)?)?, rank as f64 / sorted.len() as f64))
    };
    (1..=steps).filter_map(point).collect()
}

fn completion(reports: &[Report]) -> Chart {
    Chart {
        title: "Completion times".to_owned(),
        x: Axis { label: "time, µs".to_owned(), log: true },
        y: Axis { label: "share of flows".to_owned(), log: false },
        series: series(reports, |outcome| outcome.took.map(|took| took as f64 / MICROSECOND as f64)),
    }
}

fn slowdown(reports: &[Report]) -> Chart {
    Chart {
        title: "Completion times against those of flows alone".to_owned(),
        x: Axis { label: "slowdown".to_owned(), log: true },
        y: Axis { label: "share of flows".to_owned(), log: false },
        series: series(reports, |outcome| outcome.slowdown),
    }
}
