//! Flows counted as Wireshark counts conversations, on real captures.

use super::{account, data, flows, frames};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use wire::protocol::ip;

/// Captures in folders `dev`, at most two folders deep.
fn captures() -> Vec<PathBuf> {
    let list = |folder: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(folder)
            .map_or_else(|_| vec![], |all| all.flatten().map(|entry| entry.path()).collect())
    };
    let mut found: Vec<PathBuf> = list(&data())
        .iter()
        .flat_map(|set| list(&set.join("dev")))
        .flat_map(|path| if path.is_dir() { list(&path) } else { vec![path] })
        .filter(|path| {
            let name = path.to_string_lossy();
            [".pcap", ".pcapng", ".pcap.gz", ".pcapng.gz"].iter().any(|end| name.ends_with(end))
        })
        .collect();
    found.sort();
    found
}

/// TCP and UDP conversations as tshark counts them; `None` when it cannot read the file.
fn tshark(path: &Path) -> Option<(usize, usize)> {
    let output =
        Command::new("tshark").arg("-r").arg(path).args(["-q", "-z", "conv,tcp", "-z", "conv,udp"]).output();
    let text = String::from_utf8(output.ok()?.stdout).ok()?;
    let (mut counts, mut section) = ([0; 2], None);
    for line in text.lines() {
        match line.split_once(" Conversations") {
            Some(("TCP", _)) => section = Some(0),
            Some(("UDP", _)) => section = Some(1),
            _ if line.contains("<->") => {
                if let Some(section) = section {
                    counts[section] += 1;
                }
            }
            _ => {}
        }
    }
    section.map(|_| (counts[0], counts[1]))
}

/// TCP and UDP flows, and what else there was that may explain a difference.
fn ours(path: &Path) -> Option<((usize, usize), String)> {
    let frames = frames(path)?;
    let (accounts, ended) =
        account(65_536, frames.iter().map(|(time, bytes, len)| (*time, &bytes[..], *len)));
    let mut by_protocol: BTreeMap<u8, usize> = BTreeMap::new();
    for ended in flows(&accounts, &ended) {
        *by_protocol.entry(ended.key.protocol()).or_default() += 1;
    }
    let of = |protocol| by_protocol.get(&protocol).copied().unwrap_or(0);
    let apart = accounts.apart;
    let rest: Vec<String> = by_protocol
        .iter()
        .filter(|(p, _)| ![6, 17].contains(*p))
        .map(|(p, n)| format!("protocol {p}: {n}"))
        .collect();
    let said = format!(
        "headless {}, malformed {}, not IP {}, {}",
        apart.headless,
        apart.malformed,
        apart.not_ip,
        rest.join(", ")
    );
    Some(((of(ip::TCP), of(ip::UDP)), said))
}

#[test]
fn tcp_and_udp_flows_are_as_many_as_wiresharks_conversations() {
    let captures = captures();
    if captures.is_empty() {
        println!("skipped: {} has no captures", data().display());
        return;
    }
    if Command::new("tshark").arg("--version").output().is_err() {
        println!("skipped: tshark is not installed");
        return;
    }
    let (mut compared, mut matched) = (0, 0);
    for path in &captures {
        let (Some((ours, said)), Some(theirs)) = (ours(path), tshark(path)) else { continue };
        compared += 1;
        if ours == theirs {
            matched += 1;
        } else {
            let name = path.strip_prefix(data()).unwrap_or(path).display();
            println!("{name}: TCP and UDP {ours:?}, tshark {theirs:?}; {said}");
        }
    }
    println!("{matched} of {compared} captures match");
    assert!(matched >= 10 && matched * 10 >= compared * 8, "{matched} of {compared} captures match");
}
