//! Suricata's own tests: the rules and the capture of each, through the whole NF; the alerts of each rule are as many
//! as Suricata's.
#![cfg(feature = "ids")]

use capture::Reader;
use dpdk::{Eal, EalOptions};
use engine::{Input, Packing, Site, Stand, StandPools, Time, WorkerSite};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/ids");

/// Cases whose alerts are not Suricata's, and why. One that comes out right has to leave the list.
const DIFFERENT: &[(&str, &str)] = &[(
    "vxlan-decoder-02",
    "the rule is about packets inside of VXLAN: ids looks at packets as they are, and `vxlan` before it in a chain \
     takes the tunnel away",
)];

/// What an expectation may ask of an alert that our EVE says, too. What else it asks for (the packet's number in the
/// capture, the payload's bytes, the tunnel) is left out, and expectations that differ in that only are added up.
const ASKED: [&str; 11] = [
    "alert.signature_id",
    "alert.action",
    "alert.severity",
    "alert.signature",
    "src_ip",
    "dest_ip",
    "src_port",
    "dest_port",
    "proto",
    "icmp_type",
    "icmp_code",
];

/// How a case came out.
#[derive(Debug, PartialEq)]
enum Outcome {
    Same,
    Different(String),
    /// Rules that are not in the subset.
    Outside(String),
}

/// Folders of cases.
fn cases() -> Vec<PathBuf> {
    let folders = |path: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(path).into_iter().flatten();
        let mut folders: Vec<_> =
            entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).collect();
        folders.sort();
        folders
    };
    let shares = folders(Path::new(DATA));
    shares
        .iter()
        .flat_map(|share| folders(share))
        .filter(|case| case.join("expected_alerts.json").exists())
        .collect()
}

/// The configuration that a case's arguments to Suricata, and its suricata.yaml, ask for.
fn config(case: &Path, expected: &Value, eve: &Path) -> String {
    let rules = case.join("test.rules");
    let mut config =
        format!("rules = {:?}, eve = {:?}, ", rules.display().to_string(), eve.display().to_string());
    let arguments: Vec<&str> =
        expected["args"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let arguments = arguments.join(" ");
    let mut streams = String::new();
    if arguments.contains("-k none") {
        config += "checksums = \"ignore\", ";
    }
    if arguments.contains("--simulate-ips") {
        config += "mode = \"drop\", ";
    }
    if arguments.contains("stream.midstream=true") {
        streams += "midstream = true, ";
    }
    if arguments.contains("stream.inline=true") {
        streams += "inspect = \"arrival\", ";
    }
    let mut vars = String::new();
    let yaml = std::fs::read_to_string(case.join("suricata.yaml")).unwrap_or_default();
    for (name, value) in yaml.lines().filter_map(|line| line.trim().split_once(':')) {
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        let value = value.trim().trim_matches('"');
        if is_name && (name.ends_with("_NET") || name.ends_with("_SERVERS") || name.ends_with("_PORTS")) {
            write!(vars, "{name} = {value:?}, ").expect("memory");
        }
    }
    // An option given on the command line comes after what the file says.
    for setting in arguments.split("--set ").skip(1) {
        let Some((key, value)) = setting.trim().split_once('=') else { continue };
        if let Some(name) =
            key.rsplit_once('.').filter(|(path, _)| path.starts_with("vars.")).map(|(_, name)| name)
        {
            write!(vars, "{name} = {:?}, ", value.trim()).expect("memory");
        }
    }
    format!(
        "{{ {config}vars = {{ {} }}, streams = {{ {} }} }}",
        vars.trim_end_matches(", "),
        streams.trim_end_matches(", ")
    )
}

/// The alerts of a case, as the NF wrote them.
fn alerts(pools: &StandPools, case: &Path, expected: &Value, eve: &Path) -> Result<Vec<Value>, String> {
    let text = config(case, expected, eve);
    let registry = nfs::registry();
    let config = toml::de::ValueDeserializer::parse(&text).expect("TOML");
    let configured =
        registry.get("ids").expect("ids").configure(config).map_err(|error| error.to_string())?;
    let site = Site { workers: 1, ..Site::default() };
    let prepared = configured.prepare(&site).map_err(|error| format!("{error:?}"))?;
    if let Some(remark) = prepared.remarks().first() {
        return Err(format!("{remark:?}"));
    }
    let mut stand = Stand::new(pools, prepared.as_ref(), WorkerSite { index: 0, count: 1, seed: 1 });
    let mut now = Time::from_nanos(0);
    for file in captures(case) {
        let mut reader = Reader::open(&file).expect("a capture");
        while let Some(frame) = reader.next().expect("a whole capture") {
            now = now.max(Time::from_nanos(frame.timestamp_ns));
            let input = Input { bytes: frame.bytes, ingress: 0 };
            stand.run(&[input], Packing::Contiguous, now).expect("room");
            stand.tick(now);
        }
    }
    stand.drain(now);
    drop(stand);
    prepared.finish(&[]).map_err(|error| format!("{error:?}"))?;
    let lines = std::fs::read_to_string(eve).unwrap_or_default();
    Ok(lines.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect())
}

fn captures(case: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(case).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let is_capture = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension == "pcap" || extension == "pcapng")
    };
    let mut captures: Vec<_> = entries.filter(is_capture).collect();
    captures.sort();
    captures
}

/// What is behind a path of names with dots between them.
fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(value, |value, name| &value[name])
}

fn outcome(pools: &StandPools, case: &Path, eve: &Path) -> Outcome {
    let text = std::fs::read_to_string(case.join("expected_alerts.json")).expect("expectations");
    let expected: Value = serde_json::from_str(&text).expect("JSON");
    let alerts = match alerts(pools, case, &expected, eve) {
        Ok(alerts) => alerts,
        Err(refused) => return Outcome::Outside(refused),
    };
    let mut wanted: BTreeMap<String, (Vec<(&str, &Value)>, u64)> = BTreeMap::new();
    for expectation in expected["expect"].as_array().expect("a list") {
        let asked = expectation["match"].as_object().into_iter().flatten();
        let asked =
            asked.map(|(path, value)| (path.as_str(), value)).filter(|(path, _)| ASKED.contains(path));
        let asked: Vec<_> = asked.collect();
        let (_, count) = wanted.entry(format!("{asked:?}")).or_insert((asked, 0));
        *count += expectation["count"].as_u64().expect("a count");
    }
    let mut differences = String::new();
    for (asked, count) in wanted.values() {
        let meets = |alert: &&Value| asked.iter().all(|(path, value)| at(alert, path) == *value);
        let found = alerts.iter().filter(meets).count() as u64;
        if found != *count {
            write!(differences, "{asked:?}: {found} alerts instead of {count}; ").expect("memory");
        }
    }
    if differences.is_empty() { Outcome::Same } else { Outcome::Different(differences) }
}

#[test]
fn suricatas_own_tests_have_the_same_alerts() {
    let cases = cases();
    if cases.is_empty() {
        println!("skipped: no cases at {DATA}");
        return;
    }
    let eal = Eal::init(&EalOptions { memory_mb: 64, ..EalOptions::default() }).expect("DPDK");
    let pools = StandPools::new(&eal, 256).expect("packet memory");
    let folder = std::env::temp_dir().join(format!("braid-ids-verify-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let (mut same, mut inside, mut wrong) = (0, 0, Vec::new());
    for case in &cases {
        let name = case.file_name().expect("a name").to_string_lossy();
        let outcome = outcome(&pools, case, &folder.join(format!("{name}.json")));
        println!("{name}: {outcome:?}");
        let known = DIFFERENT.iter().any(|(known, _)| *known == name);
        match outcome {
            Outcome::Same if known => wrong.push(format!("{name} is the same now: take it off the list")),
            Outcome::Same => (same, inside) = (same + 1, inside + 1),
            Outcome::Different(what) => {
                inside += 1;
                if !known {
                    wrong.push(format!("{name}: {what}"));
                }
            }
            Outcome::Outside(why) => println!("{name} has rules outside of the subset: {why}"),
        }
    }
    let _ = std::fs::remove_dir_all(&folder);
    println!("{same} of {inside} cases within the subset have Suricata's alerts; {} in all", cases.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(same * 100 >= inside * 95, "{same} of {inside}");
}
