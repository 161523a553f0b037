//! The example works, unknown keys are refused, the schema fits.

use super::schema;
use crate::bench::caught;
use crate::report::{Breach, Rule};
use crate::trial::{Trial, table};
use serde_json::Value;

pub(super) const EXAMPLE_HELP: &str = "the docs show EXAMPLE as it stands: make it one that works";

pub(super) fn check(trial: &Trial) -> Vec<Breach> {
    match caught(|| refused_and_accepted(trial)) {
        Ok(found) => found,
        Err(panic) => {
            let what = format!("reading its configuration panicked: {panic}");
            vec![trial.breach(Rule::Configuration, what, "return a ConfigError instead")]
        }
    }
}

fn refused_and_accepted(trial: &Trial) -> Vec<Breach> {
    let mut found = Vec::new();
    if let Err(error) = trial.prepare() {
        let what = format!("its configuration is refused: {error}");
        found.push(trial.breach(Rule::Configuration, what, EXAMPLE_HELP));
    }
    let unknown = format!("no_such_key = 1\n{}", trial.config);
    if table(&unknown).is_ok_and(|config| trial.entry.configure(config).is_ok()) {
        let what = "the unknown key 'no_such_key' is accepted";
        let help = "put #[serde(deny_unknown_fields)] on its Config: a mistyped key must not be ignored";
        found.push(trial.breach(Rule::Configuration, what, help));
    }
    let schema = (trial.entry.schema)().to_value();
    let help = "the schema is what editors and the control socket check against: let schemars derive it";
    for error in schema::errors_in(&schema) {
        found.push(trial.breach(Rule::Configuration, format!("its schema is wrong: {error}"), help));
    }
    match toml::from_str::<Value>(&trial.config) {
        Ok(config) => {
            for error in schema::refusals(&schema, &config) {
                let what = format!("its schema refuses its example: {error}");
                found.push(trial.breach(Rule::Configuration, what, help));
            }
        }
        Err(error) => {
            let what = format!("its configuration is not TOML: {error}");
            found.push(trial.breach(Rule::Configuration, what, EXAMPLE_HELP));
        }
    }
    found
}
