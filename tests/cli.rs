//! The commands that need no engine, as a user types them: exit status, output, messages.

use assert_cmd::Command;
use std::fs;
use std::path::PathBuf;

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("braid-cli-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("folder");
        Folder(path)
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).expect("write");
        path.display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Exit status, stdout and stderr.
fn braid(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_braid")).args(arguments).output().expect("braid runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

const GOOD: &str = r#"[ports.lan]
device = "net_null0"
[ports.wan]
device = "net_null1"
[nf.swap]
kind = "mac_swap"
[[chain]]
name = "egress"
from = "lan"
match = "ip and tcp"
path = ["swap"]
to = "wan"
"#;

#[test]
fn check_says_in_one_line_what_is_good() {
    let folder = Folder::new("good");
    let (status, out, err) = braid(&["check", &folder.file("a.toml", GOOD)]);
    assert_eq!((status, err.as_str()), (Some(0), ""));
    assert_eq!(out.lines().count(), 1);
    assert!(out.contains("a.toml: good: 1 worker, 2 ports, 1 NF, 1 chain"), "{out}");
}

#[test]
fn check_points_at_every_error_and_fails() {
    let folder = Folder::new("bad");
    let bad = GOOD
        .replace("mac_swap", "mac_swpa")
        .replace("ip and tcp", "ip and tpc")
        .replace("\"wan\"", "\"wna\"");
    let file = folder.file("b.toml", &bad);
    let (status, out, err) = braid(&["check", &file]);
    assert_eq!((status, out.as_str()), (Some(1), ""));
    assert!(
        err.contains(&format!(
            "{file}:6:8: error: unknown kind 'mac_swpa' of NF\n  help: did you mean 'mac_swap'?"
        )),
        "{err}"
    );
    assert!(err.contains(&format!("{file}:10:17: error: ")), "{err}");
    assert!(err.ends_with("has 2 errors\n"), "the chain's names are looked at once it can be read: {err}");
}

#[test]
fn check_of_a_file_that_is_not_there_fails() {
    let (status, _, err) = braid(&["check", "/nowhere/a.toml"]);
    assert_eq!(status, Some(1));
    assert!(err.contains("/nowhere/a.toml:1:1: error: cannot read the configuration"), "{err}");
}

#[test]
fn rules_checks_a_file_and_judges_a_trace() {
    let folder = Folder::new("rules");
    let rules = folder.file(
        "filters",
        "@10.0.0.0/8\t0.0.0.0/0\t0 : 65535\t80 : 80\t0x06/0xFF\n@0.0.0.0/0\t10.1.0.0/16\t0 : 65535\t0 : 65535\t0x11/0xFF\n",
    );
    let (status, out, err) = braid(&["rules", &rules]);
    assert_eq!((status, err.as_str()), (Some(0), ""));
    assert!(out.contains("good: 2 ClassBench filters"), "{out}");

    // 10.0.0.1 → 1.2.3.4, TCP 80; 1.2.3.4 → 10.1.0.1, UDP; the same, TCP.
    let trace = folder.file(
        "trace",
        "167772161\t16909060\t1234\t80\t6\n16909060\t167837697\t53\t53\t17\n16909060\t167837697\t53\t53\t6\n",
    );
    let (status, out, err) = braid(&["rules", &rules, "--trace", &trace]);
    assert_eq!((status, out.as_str(), err.as_str()), (Some(0), "0\n1\n-\n", ""));

    let broken = folder.file("broken", "@10.0.0.0/8 nonsense\n");
    let (status, _, err) = braid(&["rules", &broken]);
    assert_eq!(status, Some(1));
    assert!(err.contains("broken:1:"), "{err}");
}

#[test]
fn every_mistake_of_a_rule_file_is_told_with_its_line() {
    let folder = Folder::new("mistakes");
    let rules = folder.file("edge.rules", "alow ip\nallow tcp\ndeny tpc\nallow tcp form any\n");
    let config = GOOD.replace("kind = \"mac_swap\"", "kind = \"firewall\"\nrules = \"edge.rules\"");
    let file = folder.file("a.toml", &config);
    let places = [":1:1: ", ":3:6: ", ":4:11: "].map(|place| format!("{rules}{place}"));
    let (status, out, err) = braid(&["check", &file]);
    assert_eq!((status, out.as_str()), (Some(1), ""));
    for place in &places {
        assert!(err.contains(&format!("{file}:7:9: error: {place}")), "{place}: {err}");
    }
    assert!(err.ends_with("has 3 errors\n"), "{err}");

    let (status, out, err) = braid(&["rules", &rules]);
    assert_eq!((status, out.as_str()), (Some(1), ""));
    for place in &places {
        assert!(err.contains(&format!("{place}error: ")), "{place}: {err}");
    }
    assert!(err.ends_with("has 3 errors\n"), "{err}");
}

#[test]
fn every_bad_value_of_an_nf_is_told() {
    let folder = Folder::new("values");
    let keys = "kind = \"firewall\"\nrules = 3\ndefault = \"accept\"\nnon_ip = 1";
    let file = folder.file("a.toml", &GOOD.replace("kind = \"mac_swap\"", keys));
    let (_, _, err) = braid(&["check", &file]);
    for place in ["7:9", "8:11", "9:10"] {
        assert!(err.contains(&format!("{file}:{place}: error: ")), "{place}: {err}");
    }
    assert!(err.ends_with("has 3 errors\n"), "{err}");
}

#[test]
fn check_warns_of_what_does_nothing_and_of_what_is_not_there() {
    let folder = Folder::new("warnings");
    let idle = "kind = \"firewall\"\nrules = []\ndefault = \"allow\"";
    let config =
        GOOD.replace("kind = \"mac_swap\"", idle).replace("net_null0", "net_af_packet0,iface=nosuch0");
    let file = folder.file("a.toml", &config);
    let (status, out, err) = braid(&["check", &file]);
    assert_eq!(status, Some(0), "{err}");
    assert!(out.contains("good"), "{out}");
    assert!(err.contains(&format!("{file}:7:9: warning: there is no rule")), "{err}");
    assert!(err.contains(&format!("{file}:2:10: warning: there is no network interface nosuch0")), "{err}");
}

#[test]
fn a_replay_that_cannot_end_well_does_not_begin() {
    let folder = Folder::new("ends");
    let config = folder.file("a.toml", GOOD);
    let input = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/captures/ping.pcap");
    let (here, out) = (folder.0.display().to_string(), folder.0.join("out.pcap").display().to_string());
    for (input, out, state, said) in [
        (here.as_str(), out.as_str(), "s.json", "is a folder, not a capture file"),
        (input, &here, "s.json", "is a folder, not a file"),
        (input, "/nowhere/out.pcap", "s.json", "there is no folder /nowhere"),
        (input, &out, "/nowhere/s.json", "there is no folder /nowhere"),
        (input, &out, &out, "the state cannot go into one of the captures"),
    ] {
        let (status, printed, err) = braid(&["replay", &config, input, out, "--state", state]);
        assert_eq!((status, printed.as_str()), (Some(1), ""), "{said}");
        assert!(err.contains(said), "{said}: {err}");
    }
    assert!(!folder.0.join("out.pcap").exists(), "nothing was written");
}

#[test]
fn the_log_of_dpdk_follows_the_log_of_the_program() {
    let folder = Folder::new("log");
    let file = folder.file("a.toml", &format!("[engine]\nsocket = \"off\"\n{GOOD}"));
    let lines = |level: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_braid"));
        let output = command.env("BRAID_LOG", level).args(["run", &file, "--duration", "50ms"]).output();
        let said = String::from_utf8(output.expect("braid runs").stderr).expect("UTF-8");
        said.lines().filter(|line| line.contains(" dpdk: ")).count()
    };
    let (warn, info, debug) = (lines("warn"), lines("info"), lines("debug"));
    assert!(warn == 0 && info > 0 && debug > 4 * info, "{warn}, {info}, {debug} lines");
}

#[test]
fn parameters_of_ctl_come_from_files_too() {
    let folder = Folder::new("parameters");
    let ctl = |parameters: &[&str]| {
        let mut arguments = vec!["ctl", "--socket", "/nowhere/braid.sock", "config.apply"];
        arguments.extend(parameters);
        braid(&arguments).2
    };
    let next = format!("@{}", folder.file("next.toml", GOOD));
    let json = format!("@{}", folder.file("more.json", "{\"config\": \"\"}"));
    assert!(ctl(&[&next, "{\"dry_run\": true}"]).contains("no engine listens"), "they are understood");
    assert!(ctl(&[&next, &json]).contains("the parameter 'config' is given twice"));
    assert!(ctl(&["@/nowhere/next.toml"]).contains("cannot read /nowhere/next.toml"));
    assert!(ctl(&["next.toml"]).contains("or @FILE"), "what was probably meant");
}

#[test]
fn ctl_alone_lists_the_methods_without_an_engine() {
    let (status, out, _) = braid(&["ctl"]);
    assert_eq!(status, Some(0));
    for method in ["rpc.discover", "config.apply", "nf.state.export", "events.subscribe", "engine.stop"] {
        assert!(out.contains(method), "{method}: {out}");
    }
}

#[test]
fn ctl_without_an_engine_says_how_to_get_one() {
    let (status, _, err) = braid(&["ctl", "stats.get", "--socket", "/nowhere/braid.sock"]);
    assert_eq!(status, Some(1));
    assert!(
        err.contains("no engine listens at /nowhere/braid.sock: start one with 'braid run FILE.toml'"),
        "{err}"
    );
    let (status, _, err) = braid(&["ctl", "stats.get", "[1]", "--socket", "/nowhere/braid.sock"]);
    assert_eq!(status, Some(1));
    assert!(err.contains("the parameters are no JSON object"), "{err}");
}

#[test]
fn nfs_lists_the_kinds_and_describes_one() {
    let (status, out, _) = braid(&["nfs"]);
    assert_eq!(status, Some(0));
    for kind in ["mac_swap", "l2fwd", "firewall", "monitor"] {
        assert!(out.contains(kind), "{kind}: {out}");
    }
    let (status, out, _) = braid(&["nfs", "firewall", "--json"]);
    assert_eq!(status, Some(0));
    let described: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert!(described["config"]["properties"]["rules"].is_object(), "{described}");
    let (status, _, err) = braid(&["nfs", "firewal"]);
    assert_eq!(status, Some(1));
    assert!(err.contains("did you mean 'firewall'?"), "{err}");
    assert!(
        braid(&["nfs", "switch"]).2.contains("did you mean 'l2fwd' (a switch"),
        "by what it says of itself"
    );
}

#[test]
fn every_example_of_a_kind_is_a_configuration() {
    let folder = Folder::new("examples");
    for kind in ["mac_swap", "l2fwd", "monitor"] {
        let (_, out, _) = braid(&["nfs", kind, "--json"]);
        let described: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        let example = described["example"].as_str().expect("example");
        let text = GOOD.replace("kind = \"mac_swap\"\n", &format!("kind = \"{kind}\"\n{example}\n"));
        let (_, _, err) = braid(&["check", &folder.file("example.toml", &text)]);
        assert!(!err.contains("unknown key"), "{kind}: {err}");
    }
}

#[test]
fn wrong_usage_fails_with_the_usage() {
    let (status, _, err) = braid(&["run"]);
    assert_eq!(status, Some(2));
    assert!(err.contains("Usage: braid run"), "{err}");
    assert_eq!(braid(&["run", "x.toml", "--duration", "10"]).0, Some(2));
}
