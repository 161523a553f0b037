//! Plots of runs as SVG.

mod chart;
#[cfg(test)]
mod tests;

pub use chart::{Axis, Chart, Series};

use crate::quantity::MICROSECOND;
use crate::report::{Class, Outcome, Report};

/// Points of a line that shows a distribution.
const POINTS: usize = 200;

/// All plots of some runs, by file name.
pub fn plots(reports: &[Report]) -> Vec<(&'static str, String)> {
    let mut all =
        vec![("completion.svg", completion(reports).svg()), ("slowdown.svg", slowdown(reports).svg())];
    if reports.iter().any(|report| report.load != reports[0].load) {
        let share = |class: &Class| 100.0 * class.violations as f64 / class.deadlines.max(1) as f64;
        let missed = over_load(reports, "priority", share, "Missed deadlines", "percent of priority flows");
        let p99 = |class: &Class| class.completion_ns.p99 as f64 / 1e6;
        let others = over_load(reports, "other", p99, "The other flows", "p99 of completion times, ms");
        let cloned = |class: &Class| 100.0 * class.cloned as f64 / class.packets.max(1) as f64;
        let copies =
            over_load(reports, "priority", cloned, "Cloned packets", "percent of priority flows' packets");
        all.extend([
            ("missed.svg", missed.svg()),
            ("others.svg", others.svg()),
            ("cloned.svg", copies.svg()),
        ]);
    }
    all
}

/// A line for each of SMART's ways and one without it: a value of a class, as the mean over all seeds of each load.
fn over_load(
    reports: &[Report],
    class: &str,
    value: impl Fn(&Class) -> f64,
    title: &str,
    label: &str,
) -> Chart {
    let mut ways: Vec<&str> = Vec::new();
    let mut loads: Vec<f64> = Vec::new();
    for report in reports {
        if !ways.contains(&report.way) {
            ways.push(report.way);
        }
        if !loads.contains(&report.load) {
            loads.push(report.load);
        }
    }
    loads.sort_unstable_by(f64::total_cmp);
    let mean = |way: &str, load: f64| {
        let here = reports.iter().filter(|report| report.way == way && report.load == load);
        let values: Vec<f64> =
            here.flat_map(|report| &report.classes).filter(|c| c.class == class).map(&value).collect();
        (!values.is_empty()).then(|| (load, values.iter().sum::<f64>() / values.len() as f64))
    };
    let line = |way: &&str| Series {
        name: (*way).to_owned(),
        points: loads.iter().filter_map(|load| mean(way, *load)).collect(),
    };
    Chart {
        title: title.to_owned(),
        x: Axis { label: "load".to_owned(), log: false },
        y: Axis { label: label.to_owned(), log: false },
        series: ways.iter().map(line).collect(),
    }
}

fn series(reports: &[Report], value: impl Fn(&Outcome) -> Option<f64>) -> Vec<Series> {
    let mut all = Vec::new();
    // Of many runs those with the first load and seed; the others are in the plots over load.
    let first = reports.first().map(|report| (report.load, report.seed));
    for report in reports.iter().filter(|report| Some((report.load, report.seed)) == first) {
        for class in &report.classes {
            let priority = class.class == "priority";
            let of_class = report.outcomes.iter().filter(|outcome| outcome.priority == priority);
            let mut values: Vec<f64> = of_class.filter_map(&value).collect();
            values.sort_unstable_by(f64::total_cmp);
            let name = match reports {
                [_] => class.class.to_owned(),
                _ => format!("{}, {}, load {}, seed {}", class.class, report.way, report.load, report.seed),
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
