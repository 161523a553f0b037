//! The NF does what it declares, and what its packet cases say.

use harness::Trial;
use std::path::Path;

#[test]
fn the_guard_keeps_the_contract() {
    let registry = own_nf::registry();
    let mut trial = Trial::example(registry.get("ttl_guard").expect("registered"));
    for least in [1, 2, 64, 255] {
        trial.config = format!("least = {least}");
        trial.check().assert_clean();
    }
}

#[test]
fn the_guard_does_what_its_cases_say() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    harness::run_case_folder(&own_nf::registry(), &cases).unwrap_or_else(|error| panic!("{error}"));
}
