//! Rule files of ids: any bytes give rules and refusals; a rule prints as one that reads back the same, and what it
//! needs can be told.
#![no_main]

use ids_rules::{classes::Classes, load, parse, vars::Vars};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let (vars, classes) = (Vars::default(), Classes::default());
    let set = load::from_texts([("fuzz.rules", text)], &vars, &classes);
    for loaded in &set.rules {
        let rule = &loaded.rule;
        let _ = (rule.inspect(), rule.needs(), rule.selector());
        let again = parse::rule(rule.to_string().as_bytes(), &vars, &classes);
        assert_eq!(again.as_ref(), Ok(rule), "{rule}");
    }
    let _ = set.report.to_string();
});
