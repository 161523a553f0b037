//! The rules of the contract, one module each.

mod adjusts;
mod commands;
mod configuration;
mod effects;
mod packets;
mod reads;
mod registration;
mod same;
mod schema;
mod sharing;
mod state;

use crate::report::{Breach, Report, Rule};
use crate::trial::Trial;
use engine::Prepared;

/// Checks one rule.
pub(crate) fn check(trial: &Trial, rule: Rule) -> Report {
    let mut report = Report::default();
    report.breaches = match (rule, trial.prepare()) {
        (Rule::Registration, _) => registration::check(trial),
        (Rule::Configuration, _) => configuration::check(trial),
        (_, Err(error)) => vec![not_prepared(trial, rule, &error)],
        (_, Ok(prepared)) => {
            let panicked = |error: String| {
                vec![trial.breach(rule, error, "a panic in an NF takes its chain down: handle it")]
            };
            behaviour(trial, rule, prepared.as_ref(), &mut report.notes).unwrap_or_else(panicked)
        }
    };
    report
}

/// Checks a rule for which the NF must run. An error is a panic outside of what the rule looks at.
fn behaviour(
    trial: &Trial,
    rule: Rule,
    prepared: &dyn Prepared,
    notes: &mut Vec<String>,
) -> Result<Vec<Breach>, String> {
    match rule {
        Rule::Registration | Rule::Configuration => Ok(Vec::new()),
        Rule::Packets => packets::check(trial, prepared),
        Rule::Effects => effects::check(trial, prepared),
        Rule::Adjusts => adjusts::check(trial, prepared),
        Rule::Reads => reads::check(trial, prepared),
        Rule::CopyOnWrite => sharing::copy_on_write(trial, prepared),
        Rule::Segments => sharing::segments(trial, prepared),
        Rule::State => state::check(trial, prepared, notes),
        Rule::Commands => commands::check(trial, prepared),
        Rule::Determinism => same::determinism(trial, prepared),
    }
}

fn not_prepared(trial: &Trial, rule: Rule, error: &str) -> Breach {
    trial.breach(rule, format!("its configuration does not prepare: {error}"), configuration::EXAMPLE_HELP)
}
