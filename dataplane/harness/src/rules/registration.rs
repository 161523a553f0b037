//! Names are there, unique and in snake case.

use crate::report::{Breach, Rule};
use crate::trial::Trial;
use engine::Reason;
use std::collections::BTreeSet;

pub(super) fn check(trial: &Trial) -> Vec<Breach> {
    let entry = &trial.entry;
    let mut found = Vec::new();
    let mut wrong = |what: String| {
        found.push(trial.breach(Rule::Registration, what, "correct the constants of its `Kind`"));
    };
    if !is_snake_case(entry.name) {
        wrong(format!("its name '{}' is not in snake case", entry.name));
    }
    if entry.summary.trim().is_empty() || entry.summary.contains('\n') {
        wrong("its summary is not one line".to_owned());
    }
    let commands: Vec<&str> = entry.commands.iter().map(|command| command.name).collect();
    for (what, names) in [("drop reason", entry.drops), ("counter", entry.counters), ("command", &commands)] {
        let mut seen = BTreeSet::new();
        for name in names {
            if !is_snake_case(name) {
                wrong(format!("the {what} '{name}' is not in snake case"));
            }
            if !seen.insert(name) {
                wrong(format!("the {what} '{name}' is there twice"));
            }
        }
    }
    for name in entry.drops.iter().filter(|name| Reason::ENGINE_NAMES.contains(name)) {
        wrong(format!("the drop reason '{name}' is the engine's own"));
    }
    if entry.drops.len() > usize::from(Reason::ENGINE) {
        wrong(format!("{} drop reasons are more than {}", entry.drops.len(), Reason::ENGINE));
    }
    for command in entry.commands.iter().filter(|command| command.summary.trim().is_empty()) {
        wrong(format!("the command '{}' has no summary", command.name));
    }
    found
}

fn is_snake_case(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}
