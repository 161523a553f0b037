//! Assets as PRADS 0.3.3 finds them, on the same captures with the same signatures.

use super::super::assets::{self, AssetsConfig, Format};
use super::super::{Config, Monitor};
use super::{data, frames, monitor, show};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What PRADS calls the ports of these captures; its list is part of the program.
const PORTS: &str = "ftp 21/tcp\nsmtp 25/tcp\nwww 80/tcp\nimap2 143/tcp\nhttps 443/tcp\n\
    mysql 3306/tcp\ndomain 53/udp\nsnmp 161/udp\nsyslog 514/udp\n";

/// A line of a log, in parts that can be compared.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Line {
    address: String,
    vlan: String,
    port: String,
    proto: String,
    how: String,
    what: String,
    distance: String,
    second: String,
}

impl Line {
    fn parse(line: &str) -> Option<Line> {
        let (front, rest) = line.split_once(",[")?;
        let (what, back) = rest.rsplit_once("],")?;
        let front: Vec<&str> = front.split(',').collect();
        let (distance, second) = back.split_once(',')?;
        let [address, vlan, port, proto, how] = front[..] else { return None };
        let [address, vlan, port, proto, how, what, distance, second] =
            [address, vlan, port, proto, how, what, distance, second].map(str::to_owned);
        Some(Line { address, vlan, port, proto, how, what, distance, second })
    }

    fn is_service(&self) -> bool {
        matches!(self.how.as_str(), "SERVER" | "CLIENT")
    }

    /// Of a fingerprint, what it stands for.
    fn meaning(&self) -> String {
        let fields: Vec<&str> = self.what.split(':').collect();
        fields.get(6..8).map_or_else(|| self.what.clone(), |os| os.join(":"))
    }

    /// The fingerprint with the flag DF.
    fn with_df(&self) -> String {
        let mut fields: Vec<&str> = self.what.split(':').collect();
        if let Some(field) = fields.get_mut(2) {
            *field = "1";
        }
        fields.join(":")
    }

    /// What must be the same in two lines about the same thing.
    fn subject(&self) -> Vec<&str> {
        let mut subject = vec![&*self.address, &*self.vlan, &*self.how];
        if self.is_service() {
            subject.extend([&*self.port, &*self.proto]);
        }
        subject
    }
}

fn read(text: &str) -> BTreeSet<Line> {
    text.lines().filter_map(Line::parse).collect()
}

fn signature_file(name: &str) -> Option<String> {
    Some(data().join("monitor/signatures").join(name).to_string_lossy().into_owned())
}

fn config(ports: &Path, file: &Path) -> Config {
    let assets = AssetsConfig {
        file: Some(file.to_string_lossy().into_owned()),
        format: Format::Prads,
        syn: signature_file("tcp-syn.fp"),
        synack: signature_file("tcp-synack.fp"),
        fin: signature_file("tcp-fin.fp"),
        rst: signature_file("tcp-rst.fp"),
        servers: signature_file("tcp-service.sig"),
        clients: signature_file("tcp-clients.sig"),
        udp: signature_file("udp-service.sig"),
        ports: Some(ports.to_string_lossy().into_owned()),
        links: signature_file("mtu.sig"),
        ..AssetsConfig::default()
    };
    Config { assets: Some(assets), ..Config::default() }
}

/// What a monitor finds in a capture.
fn found(config: &Config, capture: &Path, file: &Path) -> Option<BTreeSet<Line>> {
    let mut monitor: Monitor = monitor(config);
    show(&mut monitor, &frames(capture)?);
    let known = monitor.exits.assets.as_ref().expect("configured");
    let mut all = Vec::new();
    let mut from = Some(0);
    while let Some(at) = from {
        from = known.page(at, known.capacity(), |host, asset| {
            all.push((host, asset.clone()));
            true
        });
    }
    assets::write(file, Format::Prads, &assets::unite(all)).expect("written");
    Some(read(&std::fs::read_to_string(file).expect("written")))
}

/// Where the capture of a log is.
fn capture(name: &str) -> Option<PathBuf> {
    let places = ["general/dev", "ids/dev/attack_traces"];
    places.iter().map(|place| data().join(place).join(format!("{name}.pcap"))).find(|path| path.exists())
}

/// Where no signature fits a segment without DF, PRADS looks for one with it, and then writes that; we write what was seen.
const DF: &str = "the flag DF as PRADS looked for it";
/// PRADS's log has a line for the name of a port, and another when the service has said something; ours has the latter.
const GUESS: &str = "PRADS's guess before it knew";

/// In what two lines about the same thing differ.
fn difference(theirs: &Line, ours: &Line) -> &'static str {
    if theirs.is_service() && theirs.what != ours.what {
        return match (theirs.what.starts_with("unknown"), ours.what.starts_with("unknown")) {
            (true, false) => "we know the service, PRADS its port only",
            (false, true) => "PRADS knows the service, we its port only",
            _ => "another banner of the same port",
        };
    }
    if theirs.meaning() != ours.meaning() {
        let large = theirs.what.contains(":*(") && theirs.meaning().starts_with("unknown");
        return if large { "a large segment for which PRADS finds no signature" } else { "another system" };
    }
    if theirs.what == ours.with_df() {
        return DF;
    }
    if theirs.what != ours.what {
        return "another packet's fingerprint of the same system";
    }
    "another packet's port, distance or time"
}

#[test]
fn assets_are_as_prads_finds_them_but_for_what_is_explained() {
    let folder = data().join("monitor/dev");
    let Ok(logs) = std::fs::read_dir(&folder) else {
        println!("skipped: {} is not here", folder.display());
        return;
    };
    let scratch = std::env::temp_dir().join(format!("braid-prads-{}", std::process::id()));
    std::fs::create_dir_all(&scratch).expect("a folder");
    let (ports, file) = (scratch.join("ports"), scratch.join("assets.log"));
    std::fs::write(&ports, PORTS).expect("written");
    let config = config(&ports, &file);
    let mut paths: Vec<PathBuf> = logs.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let mut totals: BTreeMap<String, usize> = BTreeMap::new();
    let mut captures = 0;
    for path in &paths {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(name) = name.strip_suffix(".prads-asset.log") else { continue };
        let Some(ours) = capture(name).and_then(|capture| found(&config, &capture, &file)) else { continue };
        let theirs = read(&std::fs::read_to_string(path).expect("a log"));
        captures += 1;
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let mut count = |class: &str| *counts.entry(class.to_owned()).or_default() += 1;
        let mut left: Vec<&Line> = ours.difference(&theirs).collect();
        theirs.intersection(&ours).for_each(|_| count("equal"));
        for line in theirs.difference(&ours) {
            let same = |ours: &&Line| ours.subject() == line.subject();
            if line.what.starts_with("unknown")
                && line.is_service()
                && theirs.intersection(&ours).any(|ours| same(&ours))
            {
                count(GUESS);
                continue;
            }
            let best = left.iter().position(|ours| same(ours) && ours.meaning() == line.meaning());
            match best.or_else(|| left.iter().position(same)) {
                Some(at) => {
                    let ours = left.remove(at);
                    count(difference(line, ours));
                    if ![DF, "another packet's port, distance or time"].contains(&difference(line, ours)) {
                        println!("{name}: PRADS {line:?}\n{name}: we    {ours:?}");
                    }
                }
                None => {
                    count(&format!("only PRADS: {}", line.how));
                    println!("{name}: only PRADS {line:?}");
                }
            }
        }
        for line in left {
            count(&format!("only we: {}", line.how));
            println!("{name}: only we {line:?}");
        }
        println!("{name}: {counts:?}");
        for (class, n) in counts {
            *totals.entry(class).or_default() += n;
        }
    }
    std::fs::remove_dir_all(&scratch).expect("removed");
    println!("{captures} captures: {totals:#?}");
    let of = |class: &str| totals.get(class).copied().unwrap_or(0);
    let all: usize = totals.iter().filter(|(class, _)| !class.starts_with("only we")).map(|(_, n)| n).sum();
    let explained = of("equal") + of(DF) + of(GUESS);
    assert!(captures == 0 || of("equal") * 100 >= all * 92, "{} of {all} lines are equal", of("equal"));
    assert!(captures == 0 || explained * 100 >= all * 96, "{explained} of {all} lines are explained");
    assert_eq!(of("another system"), 0);
}
