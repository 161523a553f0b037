//! `braid plan`, as a user types it: what it says of chains, and how it solves the benchmark's instances.

mod rig;

use rig::{Folder, braid};
use serde_json::Value;
use std::fs;

/// A file in a folder, by its name as a user types it.
fn written(folder: &Folder, name: &str, text: &str) -> String {
    folder.file(name, text).display().to_string()
}

/// Exit status, stdout and stderr.
fn plan(arguments: &[&str]) -> (Option<i32>, String, String) {
    let ended = braid([&["plan"], arguments].concat());
    (ended.code, ended.out, ended.err)
}

const CHAIN: &str = r#"[ports.lan]
device = "net_null0"
[ports.wan]
device = "net_null1"
[nf.edge]
kind = "firewall"
rules = "edge.rules"
[nf.watch]
kind = "monitor"
[nf.turn]
kind = "mac_swap"
[[chain]]
name = "egress"
from = "lan"
path = ["watch", "edge", "turn"]
to = "wan"
[[chain]]
name = "ingress"
from = "wan"
path = ["edge", "watch"]
to = "lan"
"#;

fn chain(folder: &Folder) -> String {
    written(folder, "edge.rules", "allow tcp from any to any port 443\n");
    written(folder, "chain.toml", CHAIN)
}

#[test]
fn each_pair_is_judged_with_the_reason() {
    let folder = Folder::new("plan-pairs");
    let (status, out, err) = plan(&[&chain(&folder)]);
    assert_eq!((status, err.as_str()), (Some(0), ""), "{out}");
    for said in [
        "watch, edge: side by side",
        "watch, turn: side by side, or in either order",
        "edge, watch: in order\n      edge may drop packets, or choose another way for them, that watch reports",
        "dependencies   edge > watch",
        "auto           in order: the delay of watch, edge, turn is not known",
    ] {
        assert!(out.contains(said), "{said}\n{out}");
    }
}

#[test]
fn known_delays_make_a_plan_that_pays_or_say_why_not() {
    let folder = Folder::new("plan-delays");
    let file = chain(&folder);
    let heavy = written(&folder, "heavy.json", r#"{"watch": 4000, "edge": 3900, "turn": 20}"#);
    let picture = written(&folder, "plan.svg", "");
    let (status, out, err) = plan(&[&file, "--delays", &heavy, "--json", "--svg", &picture]);
    assert_eq!((status, err.as_str()), (Some(0), ""));
    let report: Value = serde_json::from_str(&out).expect("JSON");
    let egress = &report["chains"][0];
    assert_eq!(egress["sequential"]["latency"], 7920);
    assert_eq!(egress["spg"]["latency"], 4000);
    assert_eq!((&egress["spg"]["operations"], &egress["levels"]["operations"]), (&1.into(), &2.into()));
    assert_eq!(egress["critical"]["path"], serde_json::json!(["watch"]));
    assert_eq!(egress["auto"]["latency"], 4200);
    assert_eq!(egress["pairs"].as_array().map(Vec::len), Some(3));
    assert_eq!(egress["constructions"].as_array().map(Vec::len), Some(6));
    let ingress = &report["chains"][1];
    assert_eq!(ingress["auto"]["reason"], "each NF that takes time must wait for the one before it");
    let svg = fs::read_to_string(&picture).expect("picture");
    assert!(svg.starts_with("<svg") && svg.contains(">watch</text>"), "{svg}");

    let light = written(&folder, "light.json", r#"{"watch": 90, "edge": 80, "turn": 20}"#);
    let (_, out, _) = plan(&[&file, "--chain", "egress", "--delays", &light]);
    assert!(out.contains("auto           in order: side by side saves 100 and costs"), "{out}");
    let (_, out, _) = plan(&[&file, "--chain", "ingress", "--delays", &light, "--dot"]);
    assert!(out.starts_with("digraph \"ingress\" {") && out.contains("n0 -> n1"), "{out}");
}

const INSTANCES: &str = r#"[
    {"capacity": 4, "tiles": [[10, 11], [20, 21], [10, 12, 13], [20, 22, 23]], "pageCount": 2, "cplexOpt": 2},
    {"capacity": 3, "tiles": [[1, 2, 3], [3, 4], [4, 5, 1]]}
]"#;

#[test]
fn all_solvers_solve_the_instances_of_a_file() {
    let folder = Folder::new("plan-pagination");
    let file = written(&folder, "two.json", INSTANCES);
    let (status, out, err) = plan(&["--pagination", &file, "--json", "--seconds", "2"]);
    assert_eq!((status, err.as_str()), (Some(0), ""));
    let report: Value = serde_json::from_str(&out).expect("JSON");
    let solvers = report["instances"][0]["solvers"].as_array().expect("solvers");
    assert_eq!(solvers.len(), 6);
    assert_eq!((&solvers[0]["solver"], &solvers[0]["pages"]), (&"first-fit".into(), &3.into()));
    let exact = &solvers[5];
    assert_eq!((&exact["pages"], &exact["optimal"], &exact["gap"]), (&2.into(), &true.into(), &0.0.into()));
    assert!(exact["seconds"].is_f64() && exact["operations"].as_u64() <= exact["level_operations"].as_u64());
    assert_eq!(report["instances"][1]["solvers"][5]["pages"], 3);

    let (_, out, _) = plan(&["--pagination", &file, "--solver", "exact"]);
    assert!(
        out.contains("instance 0: 4 tiles, capacity 4, best known 2, optimum 2, at least 2 pages"),
        "{out}"
    );
}

/// A file among the examples.
fn example(name: &str) -> String {
    format!("{}/examples/cluster/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn nfs_are_placed_on_servers() {
    let (servers, chains) = (example("servers.toml"), example("chains.toml"));
    let (status, out, err) = plan(&["--servers", &servers, &chains, "--json"]);
    assert_eq!((status, err.as_str()), (Some(0), ""));
    let report: Value = serde_json::from_str(&out).expect("JSON");
    let solutions = report["solutions"].as_array().expect("solutions");
    assert_eq!(solutions.len(), 3);
    let exact = &solutions[0];
    assert_eq!(exact["instances"]["watch"], serde_json::json!({ "s2": 1 }));
    // There and back between s1 and s2, 20 µs each way, 400 000 packets per second in each chain.
    assert_eq!((exact["cost"].as_f64(), exact["gap"].as_f64()), (Some(32e6), Some(0.0)));
    assert_eq!(exact["crossing"].as_f64(), Some(1.6e6));
    let folder = Folder::new("plan-servers");
    let small = written(&folder, "small.toml", "[server.s1]\ncpu = 1\nports = [\"lan\", \"wan\"]\n");
    let (status, out, _) = plan(&["--servers", &small, &chain(&folder), "--solver", "exact"]);
    assert_eq!(status, Some(1), "{out}");
    assert!(
        out.contains("exact    the servers have not enough CPU and memory for all NFs together"),
        "{out}"
    );
    let (_, out, _) = plan(&["--servers", &servers, &chains, "--solver", "greedy"]);
    assert!(out.contains("greedy") && out.contains("watch                  s2"), "{out}");
}

#[test]
fn what_is_not_there_is_said() {
    let folder = Folder::new("plan-refused");
    let file = chain(&folder);
    let instances = written(&folder, "bad.json", "[{\"capacity\": 1, \"tiles\": [[1, 2]]}]");
    let small = written(&folder, "small.toml", "[server.s1]\ncpu = 1\nports = [\"lan\", \"wan\"]\n");
    for (arguments, said) in [
        (vec!["--servers", small.as_str(), file.as_str(), "--solver", "luck"], "there is no solver 'luck'"),
        (vec!["--servers", "none.toml", file.as_str()], "cannot read none.toml"),
        (vec![file.as_str(), "--chain", "nowhere"], "there is no chain 'nowhere'"),
        (vec![file.as_str(), "--delays", "none.json"], "cannot read none.json"),
        (vec!["--pagination", instances.as_str()], "instance 0: tile 0 weighs 2, a page holds 1"),
        (vec!["--pagination", instances.as_str(), "--solver", "luck"], "there is no solver 'luck'"),
        (vec![], "required"),
    ] {
        let (status, out, err) = plan(&arguments);
        assert!(status != Some(0) && out.is_empty() && err.contains(said), "{arguments:?}\n{err}");
    }
}
