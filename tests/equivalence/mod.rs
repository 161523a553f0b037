//! What is compared: captures, examples, a library of NFs.

pub mod captures;
pub mod library;
pub mod random;

use std::path::PathBuf;

/// The configurations of the examples.
pub fn examples() -> Vec<PathBuf> {
    let folders = ["/examples", "/examples/table-6.1"];
    let entries = folders.map(|folder| {
        let path = format!("{}{folder}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_dir(path).expect("the examples")
    });
    let mut files: Vec<PathBuf> = entries
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    files
}
