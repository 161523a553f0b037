//! Any text is a configuration or a list of errors that can be printed; what is one becomes a plan or errors, and
//! differs from itself in nothing.
#![no_main]

use control::Config;
use control::config::diff;
use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|text: &str| {
    let registry = nfs::registry();
    // A folder without files: nothing that the text names is opened.
    match Config::parse(text, "fuzz.toml", Path::new("/nonexistent"), &registry) {
        Err(errors) => assert!(errors.errors() > 0 && !errors.to_string().is_empty()),
        Ok(config) => {
            assert!(diff(&config, &config).is_empty());
            if let Err(errors) = config.plan() {
                assert!(errors.errors() > 0 && !errors.to_string().is_empty());
            }
        }
    }
});
