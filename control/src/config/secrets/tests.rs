use super::*;
use engine::{Burst, ConfigError, Cx, Effects, Kind, Nf, Site, WorkerSite};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

struct Keeper;

#[derive(Clone, Serialize, Deserialize, schemars::JsonSchema)]
struct Nothing {}

impl Nf for Keeper {
    fn process(&mut self, _burst: &mut Burst, _cx: &mut Cx<'_>) {}
}

impl Kind for Keeper {
    const NAME: &'static str = "keeper";
    const SUMMARY: &'static str = "has secrets";
    const SECRETS: &'static [&'static str] = &["private_key", "word"];

    type Config = Nothing;
    type Plan = ();

    fn prepare(_config: &Nothing, _site: &Site) -> Result<(), ConfigError> {
        Ok(())
    }

    fn effects(_plan: &()) -> Effects {
        Effects::NONE
    }

    fn instance(_plan: &Arc<()>, _worker: &WorkerSite) -> Self {
        Keeper
    }
}

#[test]
fn values_of_secret_keys_become_asterisks_and_nothing_else_moves() {
    let registry = Registry::new().with::<Keeper>();
    for (text, shown) in [
        ("private_key = \"abc\" # why", "private_key = \"***\" # why"),
        ("a = { word='xy', b = 1 }", "a = { word='**', b = 1 }"),
        ("\"word\" = \"xy\"", "\"word\" = \"**\""),
        ("word = \"\"\"x\ny\"\"\"\nb = 2", "word = \"\"\"***\"\"\"\nb = 2"),
        ("word = 1234\nb = 2", "word = ****\nb = 2"),
        ("word = \"never closed\nb = \"c\"", "word = \"************\nb = \"c\""),
        ("word = \"ä€\"", "word = \"*****\""),
        ("word =", "word ="),
        ("words = \"a\"\nmy_word = \"b\"\nword-file = \"c\"\nx = \"a word\"", ""),
        ("", ""),
    ] {
        let expected = if shown.is_empty() { text } else { shown };
        assert_eq!(masked(text, &registry), expected);
    }
}

#[test]
fn what_is_wrong_with_a_value_is_told_without_its_text() {
    for (said, told) in [
        ("invalid type: string \"00ff\", expected u32", "invalid type: string, expected u32"),
        ("invalid value: string \"a\", expected b\", expected c", "invalid value: string, expected c"),
        ("invalid type: integer `5`, expected a string", "invalid type: integer `5`, expected a string"),
        ("unknown field `x`, expected `string \"`", "unknown field `x`, expected `string \"`"),
    ] {
        assert_eq!(without_text(said), told);
    }
}
