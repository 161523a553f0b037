//! Commands answer, or say why not.

use crate::bench::caught;
use crate::report::{Breach, Rule};
use crate::trial::{Bench, Manner, Trial};
use engine::{CommandError, Prepared};
use serde_json::{Value, json};

const UNKNOWN: &str = "no_such_command";

pub(super) fn check(trial: &Trial, prepared: &dyn Prepared) -> Result<Vec<Breach>, String> {
    let volleys = trial.volleys();
    let mut found = Vec::new();
    let mut bench = Bench::new(trial, prepared)?;
    bench.run(&volleys[..volleys.len() / 2], Manner::default())?;
    match caught(|| bench.stand().command(UNKNOWN, &Value::Null)) {
        Ok(Err(CommandError::Unknown(_))) => {}
        Ok(answer) => {
            let what = format!("to an unknown command it answers {answer:?}");
            let help = "end the match in `command` with CommandError::Unknown";
            found.push(trial.breach(Rule::Commands, what, help));
        }
        Err(panic) => {
            let what = format!("an unknown command makes it panic: {panic}");
            found.push(trial.breach(Rule::Commands, what, "return CommandError::Unknown"));
        }
    }
    for command in trial.entry.commands {
        for arguments in odd() {
            let what = match caught(|| bench.stand().command(command.name, &arguments)) {
                Ok(Err(CommandError::Unknown(_))) => {
                    format!("it declares the command '{}' and does not know it", command.name)
                }
                Err(panic) => format!("the command '{}' with {arguments} panics: {panic}", command.name),
                Ok(_) => continue,
            };
            let help = "answer every command of COMMANDS; what does not fit is CommandError::Arguments";
            found.push(trial.breach(Rule::Commands, what, help));
            break;
        }
    }
    // Whatever the commands did, packets go on.
    bench.run(&volleys[volleys.len() / 2..], Manner::default())?;
    Ok(found)
}

/// Arguments that a careless or a hostile client may send.
fn odd() -> Vec<Value> {
    vec![
        Value::Null,
        json!({}),
        json!([]),
        json!("x"),
        json!(-1),
        json!(1e308),
        json!(true),
        json!({"": null}),
        json!({"limit": -1, "count": u64::MAX, "address": "not an address", "port": 65_536}),
        json!({"limit": u64::MAX, "address": "::1", "mac": "00:00:00:00:00:0", "vlan": 5000}),
        json!([[[[[[[[{}]]]]]]]]),
        Value::String("ä".repeat(100_000)),
    ]
}
