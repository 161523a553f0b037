//! `braid sim` as a user types it.

use assert_cmd::Command;
use std::path::PathBuf;

fn braid(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_braid")).args(arguments).output().expect("braid runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/simulation/leaf-spine.toml");

#[test]
fn a_run_is_the_same_twice_and_other_with_another_seed() {
    let (code, first, err) = braid(&["sim", EXAMPLE, "--json"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert_eq!(braid(&["sim", EXAMPLE, "--json"]).1, first);
    assert_ne!(braid(&["sim", EXAMPLE, "--json", "--seed", "2"]).1, first);
    let report: serde_json::Value = serde_json::from_str(&first).expect("JSON");
    assert_eq!(report["nodes"], 40);
    assert_eq!(report["runs"][0]["nfs"][0]["kind"], "monitor");
}

#[test]
fn plots_are_drawn_where_asked() {
    let folder = std::env::temp_dir().join(format!("braid-sim-{}", std::process::id()));
    let (code, out, err) = braid(&["sim", EXAMPLE, "--svg", &folder.display().to_string()]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.starts_with("32 hosts, 8 switches, 48 links\n"), "{out}");
    for name in ["completion.svg", "slowdown.svg"] {
        let plot = std::fs::read_to_string(folder.join(name)).expect("a plot");
        assert!(plot.starts_with("<svg ") && plot.contains("priority"), "{name}");
    }
    std::fs::remove_dir_all(&folder).expect("the folder goes");
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    let path: PathBuf = std::env::temp_dir().join(format!("braid-sim-{}.toml", std::process::id()));
    let good = std::fs::read_to_string(EXAMPLE).expect("the example");
    std::fs::write(&path, good.replace("leaf-0\", \"spine-1", "leaf-0\", \"spine-9")).expect("write");
    let (code, out, err) = braid(&["sim", &path.display().to_string()]);
    std::fs::remove_file(&path).expect("the file goes");
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.starts_with("braid: ") && err.contains("'leaf-0' or 'spine-9' is no node"), "{err}");
}
