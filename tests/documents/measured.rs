//! What READMEs state of speed and memory is measured, and what would be measured is good.

use super::{BRAID, ending, root};
use std::fmt::Write;
use std::fs;
use std::process::Command;

#[test]
fn every_nf_states_its_speed_and_its_memory() {
    let measured = fs::read_to_string(root().join("scripts/bench.d/nfs.py")).expect("readable");
    let mut lacking = String::new();
    for entry in nfs::registry().iter() {
        let kind = entry.name;
        let mut lacks =
            |what: &str| writeln!(lacking, "{kind}: its README lacks {what}").expect("strings take all");
        if !measured.contains(&format!("    \"{kind}\": Subject(")) {
            lacks("a measurement in scripts/bench.d/nfs.py, so that scripts/bench nfs --write can fill it");
        }
        // Kinds of one subject are in one folder.
        let folder = kind.strip_prefix("smart_").map_or(kind.to_owned(), |part| format!("smart/{part}"));
        let path = root().join(format!("nfs/src/{folder}/README.md"));
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let part = text.split_once("<!-- figures -->").and_then(|(_, rest)| rest.split_once("<!-- end of"));
        let Some((figures, _)) = part else {
            lacks("the marks between which scripts/bench nfs --write puts the figures");
            continue;
        };
        for unit in ["cycles per packet at 64 B", "at IMIX", "million packets per CPU second"] {
            // The number is the word before the unit.
            let number = figures.split(unit).next().and_then(|before| before.split_whitespace().last());
            let is_number = |word: &str| word.parse::<f64>().is_ok_and(|number| number > 0.0);
            if !figures.contains(unit) || !number.is_some_and(is_number) {
                lacks(unit);
            }
        }
        if !figures.contains(" bytes per ") && !figures.contains("no state that grows") {
            lacks("bytes per entry of its state");
        }
    }
    assert!(lacking.is_empty(), "{lacking}");
}

#[test]
fn what_is_measured_is_good() {
    fs::create_dir_all(root().join("target/bench")).expect("folder");
    let output = Command::new("python3")
        .args(["scripts/bench.d/nfs.py", "--check"])
        .current_dir(root())
        .env("BRAID", BRAID)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("python3 runs");
    assert!(output.status.success(), "{}", ending(&output));
}
