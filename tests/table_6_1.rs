//! The chains of `examples/table-6.1`: what of them runs side by side and what not, with the reason, and that it makes no
//! difference to packets, state and files.

mod rig;

use rig::{Folder, braid};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/general/dev");

/// Two NFs, and why they stay in order: the rule and a word of its text; nothing if they run side by side.
type Expected = (&'static str, &'static str, Option<(&'static str, &'static str)>);

const SIDE_BY_SIDE: Option<(&str, &str)> = None;

fn drop_state(text: &'static str) -> Option<(&'static str, &'static str)> {
    Some(("drop_state", text))
}

/// A configuration by its name, in a folder of its own, with absolute paths to what it reads.
fn configured(folder: &Folder, name: &str) -> PathBuf {
    let text = fs::read_to_string(format!("{EXAMPLES}/table-6.1/{name}.toml")).expect("an example");
    assert!(text.contains("\"pcap:../../target/demo/"), "{name} writes elsewhere");
    let text = text.replace("../../target/demo", &folder.0.display().to_string());
    folder.file(&format!("{name}.toml"), text.replace("\"../", &format!("\"{EXAMPLES}/")))
}

fn planned(name: &str) -> Value {
    let folder = Folder::new(&format!("plan-{name}"));
    let file = configured(&folder, name);
    let ended = braid(["plan".as_ref(), file.as_os_str(), "--json".as_ref()]);
    assert_eq!(ended.code, Some(0), "{name}: {}", ended.err);
    let report: Value = serde_json::from_str(&ended.out).expect("JSON");
    report["chains"][0].clone()
}

fn assert_planned(name: &str, plan: &str, expected: &[Expected]) {
    let report = planned(name);
    assert_eq!(report["max"]["text"], plan, "{name}");
    for (earlier, later, why) in expected {
        let pairs = report["pairs"].as_array().expect("pairs");
        let pair = pairs.iter().find(|pair| pair["earlier"] == *earlier && pair["later"] == *later);
        let pair = pair.unwrap_or_else(|| panic!("{name}: no pair {earlier}, {later}"));
        assert_eq!(pair["parallel"], why.is_none(), "{name}: {earlier}, {later}: {}", pair["reasons"]);
        if let Some((rule, said)) = why {
            let is_it = |reason: &Value| {
                reason["rule"] == *rule && reason["text"].as_str().is_some_and(|text| text.contains(said))
            };
            let reasons = pair["reasons"].as_array().expect("reasons");
            assert!(reasons.iter().any(is_it), "{name}: {earlier}, {later}: no {rule} ({said}): {reasons:?}");
        }
    }
}

#[test]
fn what_leaves_the_others_alone_runs_side_by_side() {
    assert_planned(
        "ids-nat-fw-paper",
        "ids | nat | fw",
        &[("ids", "nat", SIDE_BY_SIDE), ("ids", "fw", SIDE_BY_SIDE), ("nat", "fw", SIDE_BY_SIDE)],
    );
    assert_planned(
        "nat-fw-ids-lb-paper",
        "(nat | fw > ids) > lb",
        &[
            ("nat", "fw", SIDE_BY_SIDE),
            ("nat", "ids", SIDE_BY_SIDE),
            (
                "fw",
                "ids",
                drop_state("fw may drop packets, or choose another way for them, that ids reports"),
            ),
            ("nat", "lb", Some(("fields", "both write ip_src"))),
            ("fw", "lb", drop_state("that lb learns from")),
            ("ids", "lb", Some(("fields", "lb writes"))),
        ],
    );
    assert_planned(
        "l2fwd-nat-fw-paper",
        "l2fwd | nat | fw",
        &[("l2fwd", "nat", SIDE_BY_SIDE), ("l2fwd", "fw", SIDE_BY_SIDE), ("nat", "fw", SIDE_BY_SIDE)],
    );
}

/// A monitor that writes nothing runs beside any firewall, whatever that learns.
#[test]
fn a_monitor_runs_beside_the_firewall_behind_it() {
    for kind in ["paper", "real"] {
        assert_planned(
            &format!("vpn-monitor-fw-lb-{kind}"),
            "branch > vpn > (monitor | fw) > lb",
            &[
                ("branch", "vpn", Some(("length", "both may change"))),
                ("vpn", "monitor", drop_state("that monitor reports")),
                ("monitor", "fw", SIDE_BY_SIDE),
                ("monitor", "lb", Some(("fields", "lb writes"))),
                ("fw", "lb", drop_state("that lb learns from")),
            ],
        );
    }
}

#[test]
fn what_one_would_run_stays_in_order_where_a_rule_says_so() {
    assert_planned(
        "ids-nat-fw-real",
        "ids > nat > fw",
        &[
            (
                "ids",
                "nat",
                drop_state("ids may drop packets, or choose another way for them, that nat learns from"),
            ),
            ("ids", "nat", Some(("fields", "nat writes ip_src"))),
            ("ids", "fw", drop_state("that fw learns from")),
            ("nat", "fw", Some(("hold", "nat may hold packets back"))),
            ("nat", "fw", Some(("fields", "nat writes ip_src"))),
        ],
    );
    assert_planned(
        "nat-fw-ids-lb-real",
        "nat > fw > ids > lb",
        &[
            ("nat", "fw", drop_state("that fw learns from")),
            ("fw", "ids", drop_state("that ids learns from")),
            ("ids", "lb", drop_state("that lb learns from")),
        ],
    );
    // Forwarding could run beside the firewall, were it not for the NAT between them.
    assert_planned(
        "l2fwd-nat-fw-real",
        "l2fwd > nat > fw",
        &[
            ("l2fwd", "nat", Some(("hold", "nat may hold packets back"))),
            ("l2fwd", "fw", SIDE_BY_SIDE),
            ("nat", "fw", drop_state("that fw learns from")),
        ],
    );
}

/// Everything that a replay leaves behind, by name.
fn replayed(name: &str, capture: &Path, mode: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = Folder::new(&format!("table-{name}-{mode}"));
    let config = configured(&folder, name);
    let (out, state) = (folder.path("out.pcap"), folder.path("state.json"));
    let ended = braid([
        "replay".as_ref(),
        config.as_os_str(),
        capture.as_os_str(),
        out.as_os_str(),
        "--parallel".as_ref(),
        mode.as_ref(),
        "--state".as_ref(),
        state.as_os_str(),
        "--json".as_ref(),
    ]);
    assert_eq!(ended.code, Some(0), "{name}, {mode}, {}: {}", capture.display(), ended.err);
    let account = ended.account();
    rig::assert_balanced(&account);
    let mut left: BTreeMap<String, Vec<u8>> = fs::read_dir(&folder.0)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_none_or(|extension| extension != "toml"))
        .map(|path| {
            (
                path.file_name().expect("a name").to_string_lossy().into_owned(),
                fs::read(path).expect("a file"),
            )
        })
        .collect();
    // What each NF was given, dropped and counted.
    let nfs: Vec<String> = account
        .chains
        .values()
        .flat_map(|chain| &chain.nfs)
        .map(|(nf, seen)| {
            format!("{nf}: {} {:?} {:?} {}", seen.packets, seen.dropped, seen.counters, seen.panics)
        })
        .collect();
    left.insert("account".to_owned(), nfs.join("\n").into_bytes());
    left
}

fn assert_the_same(names: &[&str]) {
    let mut captures: Vec<PathBuf> = ["mixed.pcap", "http.pcap", "broken.pcap", "ping.pcap"]
        .iter()
        .map(|name| rig::example(name))
        .collect();
    let more = ["ndpi_netflix.pcap", "ndpi_teams.pcap", "zeek_http_bro.org.pcap", "ndpi_malformed_icmp.pcap"];
    if Path::new(DATA).is_dir() {
        captures.extend(more.iter().map(|name| Path::new(DATA).join(name)).filter(|path| path.exists()));
    } else {
        println!("skipped: no captures at {DATA}");
    }
    for name in names {
        for capture in &captures {
            let (in_order, side_by_side) = (replayed(name, capture, "off"), replayed(name, capture, "max"));
            let files: Vec<&String> = in_order.keys().collect();
            assert_eq!(files, side_by_side.keys().collect::<Vec<_>>(), "{name}, {}", capture.display());
            for (file, bytes) in &in_order {
                assert!(side_by_side[file] == *bytes, "{name}, {}: {file} differs", capture.display());
            }
        }
    }
}

#[test]
fn side_by_side_makes_no_difference_to_chains_of_the_paper() {
    assert_the_same(&[
        "ids-nat-fw-paper",
        "vpn-monitor-fw-lb-paper",
        "nat-fw-ids-lb-paper",
        "l2fwd-nat-fw-paper",
    ]);
}

#[test]
fn side_by_side_makes_no_difference_to_chains_that_one_would_run() {
    assert_the_same(&[
        "ids-nat-fw-real",
        "vpn-monitor-fw-lb-real",
        "nat-fw-ids-lb-real",
        "l2fwd-nat-fw-real",
    ]);
}
