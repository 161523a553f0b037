//! Real captures through the whole program: none makes it panic, every packet is accounted for, and the monitor
//! counts flows as Wireshark does.

mod rig;

use capture::CaptureError;
use rig::{Folder, assert_balanced, braid};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data");

/// Replays at once.
const AT_ONCE: usize = 2;

/// Captures for the comparison with Wireshark: connections, datagrams, IPv6, scans, tunnels, VPN, chat, many flows.
const COMPARED: [&str; 14] = [
    "general/dev/ndpi_netflix.pcap",
    "general/dev/ndpi_teams.pcap",
    "general/dev/ndpi_instagram.pcap",
    "general/dev/ndpi_starcraft_battle.pcap",
    "general/dev/ndpi_quic-28.pcap",
    "general/dev/ndpi_tor.pcap",
    "general/dev/ndpi_rtsp.pcap",
    "general/dev/ndpi_whatsapp.pcap",
    "general/dev/ndpi_synscan.pcap",
    "general/dev/zeek_http_bro.org.pcap",
    "general/dev/zeek_ssh_sshguess.pcap",
    "general/dev/zeek_tcp_timestamp.pcap",
    "ids/dev/attack_traces/dns_exfiltration.pcap",
    "mptcp/dev/client_2.pcap",
];

fn config(folder: &Folder, flows: &str) -> PathBuf {
    let text = format!(
        r#"[ports.lan]
device = "net_null0"
[ports.wan]
device = "net_null1"
[nf.edge]
kind = "firewall"
rules = ["deny tcp to any port 23", "deny udp to any port 1900", "allow ip"]
malformed = "pass"
[nf.watch]
kind = "monitor"
flows = "{flows}"
[nf.turn]
kind = "mac_swap"
[[chain]]
name = "all"
from = "lan"
path = ["edge", "watch", "turn"]
to = "wan"
"#
    );
    folder.file(&format!("{flows}.toml"), text)
}

/// All captures in folders `dev`.
fn captures() -> Vec<PathBuf> {
    let sets = std::fs::read_dir(DATA).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = sets.map(|set| set.path().join("dev")).collect();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            let name = name.strip_suffix(".gz").unwrap_or(&name);
            if path.is_dir() {
                folders.push(path);
            } else if [".pcap", ".pcapng", ".cap"].iter().any(|end| name.ends_with(end)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// How a replay was found to be right.
#[derive(Default, Debug)]
struct Tally {
    whole: u64,
    cut: u64,
    refused: u64,
    packets: u64,
}

/// Replays a capture; an error says what is wrong with what the program did.
fn replay(
    folder: &Folder,
    config: &Path,
    lane: usize,
    input: &Path,
    tally: &Mutex<Tally>,
) -> Result<(), String> {
    let output = folder.path(&format!("out{lane}.pcap"));
    let _ = std::fs::remove_file(&output);
    let ended = braid([
        "replay".as_ref(),
        config.as_os_str(),
        input.as_os_str(),
        output.as_os_str(),
        "--json".as_ref(),
    ]);
    if ended.err.contains("panicked") {
        return Err(format!("panic: {}", ended.err));
    }
    let (readable, error) = rig::readable(input);
    let written = rig::readable(&output).0;
    let mut tally = tally.lock().expect("no lane panics");
    match error {
        None => {
            if ended.code != Some(0) {
                return Err(format!("exit status {:?}: {}", ended.code, ended.err));
            }
            let account = ended.account();
            assert_balanced(&account);
            let packets = &account.packets;
            let dropped: u64 = packets.dropped.values().sum();
            if packets.received != readable || packets.sent != written || readable != written + dropped {
                return Err(format!("{readable} in, {written} out: {packets:?}"));
            }
            tally.whole += 1;
            tally.packets += readable;
        }
        Some(CaptureError::UnsupportedLink { .. }) => {
            if ended.code != Some(1) || !ended.err.contains("is not supported; supported: ") {
                return Err(format!("exit status {:?}: {}", ended.code, ended.err));
            }
            tally.refused += 1;
        }
        Some(error) => {
            if ended.code != Some(1) || written > readable || (readable > 0) != (written > 0) {
                return Err(format!("{error}: {written} of {readable} out, {:?}: {}", ended.code, ended.err));
            }
            tally.cut += 1;
        }
    }
    Ok(())
}

#[test]
fn every_capture_replays_without_panic_and_loses_no_packet() {
    let captures = captures();
    if captures.is_empty() {
        println!("skipped: no captures at {DATA}");
        return;
    }
    let folder = Folder::new("traces");
    let (next, tally, wrong) = (AtomicUsize::new(0), Mutex::default(), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for lane in 0..AT_ONCE {
            let (folder, captures, next, tally, wrong) = (&folder, &captures, &next, &tally, &wrong);
            scope.spawn(move || {
                let config = config(folder, &format!("flows{lane}.jsonl"));
                while let Some(input) = captures.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(what) = replay(folder, &config, lane, input, tally) {
                        let name = input.strip_prefix(DATA).unwrap_or(input).display();
                        wrong.lock().expect("no lane panics").push(format!("{name}: {what}"));
                    }
                }
            });
        }
    });
    let (tally, wrong) = (tally.into_inner().expect("ended"), wrong.into_inner().expect("ended"));
    println!("{} captures: {tally:?}", captures.len());
    assert!(wrong.is_empty(), "{} captures:\n{}", wrong.len(), wrong.join("\n"));
    assert!(tally.whole * 10 >= captures.len() as u64 * 9, "{tally:?}");
    assert!(tally.refused <= 3, "{tally:?}");
}

/// TCP and UDP conversations as tshark counts them.
fn tshark(path: &Path) -> (usize, usize) {
    let output = Command::new("tshark")
        .arg("-r")
        .arg(path)
        .args(["-q", "-z", "conv,tcp", "-z", "conv,udp"])
        .output()
        .expect("tshark runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (mut tcp, mut udp, mut is_tcp) = (0, 0, false);
    for line in text.lines() {
        if let Some((protocol, _)) = line.split_once(" Conversations") {
            is_tcp = protocol == "TCP";
        } else if line.contains("<->") {
            *(if is_tcp { &mut tcp } else { &mut udp }) += 1;
        }
    }
    (tcp, udp)
}

#[test]
fn the_report_has_as_many_flows_as_wireshark_has_conversations() {
    if !Path::new(DATA).is_dir() {
        println!("skipped: no captures at {DATA}");
        return;
    }
    if Command::new("tshark").arg("--version").output().is_err() {
        println!("skipped: tshark is not installed (Debian package tshark)");
        return;
    }
    let folder = Folder::new("conversations");
    let config = config(&folder, "flows.jsonl");
    // The firewall would keep flows from the monitor.
    let text = std::fs::read_to_string(&config).expect("a file").replace("\"edge\", ", "");
    let config = folder.file("monitor.toml", text);
    for name in COMPARED {
        let input = Path::new(DATA).join(name);
        let output = folder.path("out.pcap");
        let ended = braid([
            "replay".as_ref(),
            config.as_os_str(),
            input.as_os_str(),
            output.as_os_str(),
            "--json".as_ref(),
        ]);
        assert_eq!(ended.code, Some(0), "{name}: {}", ended.err);
        let report = folder.read("flows.jsonl");
        let protocols: Vec<u64> = report
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("a flow a line"))
            .map(|flow| flow["proto"].as_u64().expect("a protocol"))
            .collect();
        let of = |protocol| protocols.iter().filter(|found| **found == protocol).count();
        let flows = (of(6), of(17));
        println!("{name}: TCP and UDP {flows:?}");
        assert_eq!(flows, tshark(&input), "{name}: TCP and UDP flows, and tshark's");
        assert!(flows.0 + flows.1 > 0, "{name} has flows");
    }
}
