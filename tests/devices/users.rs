//! What a user without any privilege can run, and what is said where one is needed.

use crate::rig::{Ended, Folder, example};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

/// The user and the group "nobody".
const NOBODY: u32 = 65_534;

/// A folder of nobody's, with the program in it: the place where it was built may be closed to others.
fn place(test: &str) -> Option<Folder> {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can become another user");
        return None;
    }
    if Command::new("setpriv").arg("--version").output().is_err() {
        println!("skipped: setpriv is not installed");
        return None;
    }
    let folder = Folder::new(test);
    fs::copy(env!("CARGO_BIN_EXE_braid"), folder.path("braid")).expect("a copy of the program");
    fs::set_permissions(folder.path("braid"), Permissions::from_mode(0o755)).expect("permissions");
    chown(&folder.0, Some(NOBODY), Some(NOBODY)).expect("a folder of nobody's");
    Some(folder)
}

/// Runs a configuration as nobody, who has neither HOME nor XDG_RUNTIME_DIR.
fn as_nobody(folder: &Folder, config: &str, arguments: &[&str]) -> Ended {
    let file = folder.file("braid.toml", config);
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"])
        .arg(folder.path("braid"))
        .arg("run")
        .arg(file)
        .arg("--json")
        .args(arguments)
        .current_dir(Path::new("/"))
        .env_remove("HOME")
        .env_remove("XDG_RUNTIME_DIR")
        .output()
        .expect("setpriv runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

#[test]
fn nobody_can_run_captures() {
    let Some(folder) = place("devices-nobody") else { return };
    fs::copy(example("mixed.pcap"), folder.path("in.pcap")).expect("a capture");
    let config = "[ports.lan]\ndevice = \"pcap:in.pcap\"\n[ports.wan]\ndevice = \"pcap:out.pcap\"\n\
                  [nf.watch]\nkind = \"monitor\"\nflows = \"flows.jsonl\"\n[nf.turn]\nkind = \"mac_swap\"\n\
                  [[chain]]\nname = \"c\"\nfrom = \"lan\"\npath = [\"watch\", \"turn\"]\nto = \"wan\"\n";
    let ended = as_nobody(&folder, config, &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let account = ended.account();
    assert!(account.packets.sent > 0 && account.packets.balanced(), "{:?}", account.packets);
    assert!(folder.read("flows.jsonl").lines().count() > 10);
}

#[test]
fn nobody_can_run_net_null_and_is_told_what_af_packet_needs() {
    let Some(folder) = place("devices-nobody-null") else { return };
    let config = |device: &str| {
        format!(
            "[ports.in]\ndevice = \"{device}\"\n[ports.out]\ndevice = \"net_null1,no-rx=1\"\n\
             [[chain]]\nname = \"all\"\nfrom = \"in\"\nto = \"out\"\n"
        )
    };
    let ended = as_nobody(&folder, &config("net_null0"), &["--duration", "200ms"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(ended.account().packets.sent > 10_000, "{:?}", ended.account().packets);

    let refused = as_nobody(&folder, &config("net_af_packet0,iface=lo"), &["--duration", "200ms"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("needs the capabilities NET_RAW and NET_ADMIN"), "{}", refused.err);
}
