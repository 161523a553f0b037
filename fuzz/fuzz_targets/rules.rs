//! Rule files in both formats, and ClassBench header traces: any text is parsed or refused, never a panic, and an
//! error points into the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nfs::firewall::rules::{self, RulesError};

fn points_into(error: &RulesError, text: &str) {
    let line = text.lines().nth(error.line as usize - 1).unwrap_or_default();
    assert!(error.column as usize <= line.chars().count() + 1, "{error} in {text:?}");
}

fuzz_target!(|text: &str| {
    let header = rules::parse_trace(text);
    match rules::parse(text) {
        Ok(rules) => {
            for header in header.iter().flatten().take(4) {
                let first = rules.first_match_of_header(header);
                assert!(first.is_none_or(|rule| rule < rules.rules.len()));
            }
        }
        Err(errors) => errors.errors.iter().for_each(|error| points_into(error, text)),
    }
    if let Err(error) = header {
        points_into(&error, text);
    }
});
