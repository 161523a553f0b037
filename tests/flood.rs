//! A short run of `scripts/flood`: established connections, memory and the account, while TCP openings, fragments and
//! random bytes come at full rate.

use std::path::Path;
use std::process::Command;

#[test]
fn floods_leave_connections_working_and_memory_flat() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/flood");
    let output = Command::new(script)
        .args(["--duration", "10"])
        .env("BRAID", env!("CARGO_BIN_EXE_braid"))
        .output()
        .expect("scripts/flood runs");
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{said}");
    assert!(output.status.success(), "{said}{wrong}");
    assert!(said.contains("skipped: ") || said.contains("PASS  account"), "{said}{wrong}");
}
