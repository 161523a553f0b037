//! `braid run` and `braid replay` as a user types them: how they end, what they print, what they write.

mod rig;

use capture::CaptureError;
use rig::{Ended, Folder, Run, assert_balanced, braid, example};
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

const LIVE: &str = r#"[engine]
idle = "adaptive"
socket = "braid.sock"
[ports.in]
device = "net_null0"
[ports.out]
device = "net_null1,no-rx=1"
[nf.turn]
kind = "mac_swap"
[[chain]]
name = "all"
from = "in"
path = ["turn"]
to = "out"
"#;

const REPLAY: &str = r#"[ports.lan]
device = "net_null0"
[ports.wan]
device = "net_null1"
[nf.edge]
kind = "firewall"
rules = ["deny tcp to any port 5201", "deny icmp", "allow udp to any port 53", "allow ip"]
[nf.watch]
kind = "monitor"
[nf.turn]
kind = "mac_swap"
[[chain]]
name = "egress"
from = "lan"
path = ["edge", "watch", "turn"]
to = "wan"
[[chain]]
name = "ingress"
from = "wan"
path = ["turn"]
to = "lan"
"#;

/// Replays one file into another in the folder.
fn replay(folder: &Folder, config: &Path, input: &Path, output: &str, more: &[&str]) -> Ended {
    let output = folder.path(output);
    let files = [Path::new("replay"), config, input, &output].map(|path| path.as_os_str().to_owned());
    braid(files.into_iter().chain(more.iter().map(OsString::from)).chain([OsString::from("--json")]))
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

fn assert_has(value: &Value, wanted: &[&str]) {
    let found = keys(value);
    let missing: Vec<_> = wanted.iter().filter(|key| !found.contains(*key)).collect();
    assert!(missing.is_empty(), "without {missing:?}: {found:?}");
}

#[test]
fn a_run_ends_after_its_duration_with_one_json_object() {
    let folder = Folder::new("duration");
    let begun = Instant::now();
    let ended = Run::spawn(&folder, LIVE, &["--duration", "500ms"]).wait();
    assert!(begun.elapsed() >= Duration::from_millis(500));
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    assert_eq!(ended.out.lines().count(), 1);
    let account = ended.account();
    assert_balanced(&account);
    assert!((0.5..10.0).contains(&account.seconds), "{}", account.seconds);
    assert!(!folder.path("braid.sock").exists(), "the socket goes with the run");
}

#[test]
fn the_json_object_has_every_key_that_scripts_read() {
    let folder = Folder::new("json");
    let config = folder.file("replay.toml", REPLAY);
    let ended = replay(&folder, &config, &example("mixed.pcap"), "out.pcap", &["--chain", "egress"]);
    let json: Value = serde_json::from_str(&ended.out).expect("JSON");
    assert_has(&json, &["seconds", "packets", "ports", "chains"]);
    assert!(json["seconds"].is_f64());
    let packets = &json["packets"];
    assert_eq!(
        keys(packets),
        ["received", "created", "sent", "dropped", "absorbed", "held"].into(),
        "the terms of the account and no other"
    );
    let dropped = packets["dropped"].as_object().expect("by name");
    assert!(dropped["edge.denied"].as_u64() > Some(0), "{dropped:?}");
    assert!(
        dropped.iter().all(|(name, count)| name.starts_with("edge.") && count.is_u64()),
        "<nf or port>.<reason>: {dropped:?}"
    );
    let total = |names: &[&str]| names.iter().map(|name| packets[name].as_u64().expect("a number")).sum();
    let dropped: u64 = dropped.values().filter_map(Value::as_u64).sum();
    let (came, went): (u64, u64) = (total(&["received", "created"]), total(&["sent", "absorbed", "held"]));
    assert_eq!(came, went + dropped);

    assert_eq!(keys(&json["ports"]), ["lan", "wan"].into());
    assert_has(&json["ports"]["lan"], &["received", "received_bytes", "sent", "sent_bytes", "dropped"]);
    assert_eq!(keys(&json["chains"]), ["egress"].into());
    let chain = &json["chains"]["egress"];
    assert_has(chain, &["packets", "bytes", "cycles_per_packet", "latency_ns", "nfs"]);
    assert_eq!(keys(&chain["latency_ns"]), ["p50", "p99", "p999", "max"].into());
    assert!(chain["cycles_per_packet"].as_f64() > Some(0.0));
    assert_eq!(keys(&chain["nfs"]), ["edge", "watch", "turn"].into());
    for nf in ["edge", "watch", "turn"] {
        assert_has(&chain["nfs"][nf], &["packets", "dropped", "cycles_per_packet"]);
        assert!(chain["nfs"][nf]["packets"].as_u64() > Some(0), "{nf}");
    }
}

#[test]
fn a_signal_ends_a_run_gracefully() {
    for signal in [Signal::INT, Signal::TERM] {
        let folder = Folder::new("signal");
        let run = Run::start(&folder, LIVE);
        // The socket is there before the first packet.
        let mut client = run.client();
        while rig::stats(&mut client).packets.sent == 0 {
            std::thread::sleep(Duration::from_millis(10));
        }
        run.signal(signal);
        let ended = run.wait();
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{signal:?}");
        let account = ended.account();
        assert_balanced(&account);
        assert!(account.packets.sent > 0);
    }
}

#[test]
fn a_run_ends_with_its_captures() {
    let folder = Folder::new("exhausted");
    let live = r#"device = "net_null0""#;
    let input = example("http.pcap");
    let config = LIVE
        .replace(live, &format!("device = \"pcap:{}\"", input.display()))
        .replace("net_null1,no-rx=1", "pcap:out.pcap");
    let ended = Run::spawn(&folder, &config, &[]).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let account = ended.account();
    assert_balanced(&account);
    assert_eq!(account.packets.received, rig::readable(&input).0);
    assert_eq!(account.packets.sent, rig::readable(&folder.path("out.pcap")).0);
}

#[test]
fn a_run_without_json_prints_tables() {
    let folder = Folder::new("tables");
    let config = folder.file("live.toml", LIVE);
    let ended = braid(["run".as_ref(), config.as_os_str(), "--duration".as_ref(), "100ms".as_ref()]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    for part in ["chain / NF", "· turn (mac_swap)", "cycles/pkt", " received + 0 created = "] {
        assert!(ended.out.contains(part), "{part}: {}", ended.out);
    }
}

#[test]
fn a_replay_gives_the_same_bytes_and_state_each_time_and_with_any_number_of_workers() {
    let folder = Folder::new("same");
    let input = example("mixed.pcap");
    let mut first: Option<(Vec<u8>, String)> = None;
    for (round, workers) in [1, 1, 2, 2, 3].into_iter().enumerate() {
        let config = folder.file("w.toml", format!("[engine]\nworkers = {workers}\n{REPLAY}"));
        let (output, state) = (format!("out{round}.pcap"), folder.path(&format!("state{round}.json")));
        let more = ["--chain", "egress", "--state", state.to_str().expect("UTF-8")];
        let ended = replay(&folder, &config, &input, &output, &more);
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        assert_balanced(&ended.account());
        let found =
            (fs::read(folder.path(&output)).expect("output"), folder.read(&format!("state{round}.json")));
        assert_eq!(rig::readable(&folder.path(&output)).0, ended.account().packets.sent);
        match &first {
            None => first = Some(found),
            Some(first) => {
                assert!(first.0 == found.0, "another output with {workers} workers, round {round}");
                assert!(first.1 == found.1, "another state with {workers} workers, round {round}");
            }
        }
    }
    let state: Value = serde_json::from_str(&first.expect("rounds").1).expect("JSON");
    assert_eq!(keys(&state), ["edge", "turn", "watch"].into());
    assert_eq!(state["turn"], Value::Array(Vec::new()), "mac_swap keeps none");
    let flows = state["watch"].as_array().expect("records");
    assert!(flows.len() > 50, "{} flows", flows.len());
    let order: Vec<String> = flows.iter().map(|flow| flow["key"].to_string()).collect();
    assert!(order.is_sorted(), "flows are in the order of their keys");
}

#[test]
fn a_replay_plays_the_chain_that_is_asked_for() {
    let folder = Folder::new("chain");
    let config = folder.file("replay.toml", REPLAY);
    let input = example("ping.pcap");
    let ended = replay(&folder, &config, &input, "first.pcap", &[]);
    assert_eq!(ended.code, Some(0));
    assert!(
        ended.err.contains("playing chain 'egress', the first of 2; choose with --chain"),
        "{}",
        ended.err
    );
    assert!(ended.account().packets.dropped["edge.denied"] > 0);

    let ended = replay(&folder, &config, &input, "second.pcap", &["--chain", "ingress"]);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    let account = ended.account();
    assert!(account.packets.dropped.is_empty(), "{:?}", account.packets);
    assert_eq!(account.packets.sent, rig::readable(&input).0);

    let ended = replay(&folder, &config, &input, "third.pcap", &["--chain", "ingres"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""));
    assert!(ended.err.contains("ingres") && ended.err.contains("did you mean 'ingress'"), "{}", ended.err);
    assert!(!folder.path("third.pcap").exists(), "nothing is written for a chain that is not there");
}

#[test]
fn a_replay_without_a_usable_input_fails_and_says_why() {
    let folder = Folder::new("input");
    let config = folder.file("replay.toml", REPLAY);
    let fails = |input: &Path, output: &str, why: &str| {
        let ended = replay(&folder, &config, input, output, &["--chain", "ingress"]);
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{}", ended.err);
        assert!(ended.err.contains(why), "{why}: {}", ended.err);
        assert!(!ended.err.contains("panicked"), "{}", ended.err);
    };
    fails(&folder.path("nowhere.pcap"), "out.pcap", "there is no capture file");
    fails(&folder.file("text.pcap", "this is no capture"), "out.pcap", "not a capture file");
    fails(&folder.file("empty.pcap", ""), "out.pcap", "not a capture file");
    // A pcap header of IEEE 802.11 frames.
    let mut wireless = 0xa1b2_c3d4_u32.to_le_bytes().to_vec();
    wireless.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 105, 0, 0, 0]);
    fails(
        &folder.file("wireless.pcap", wireless),
        "out.pcap",
        "link type 105 (IEEE 802.11) is not supported",
    );

    let own = folder.path("own.pcap");
    fs::copy(example("ping.pcap"), &own).expect("a copy");
    let before = fs::read(&own).expect("bytes");
    fails(&own, "own.pcap", "the capture to write is the one to play");
    assert!(fs::read(&own).expect("bytes") == before, "it is untouched");
}

#[test]
fn the_readable_part_of_a_cut_capture_is_delivered_and_the_cut_reported() {
    let folder = Folder::new("cut");
    let config = folder.file("replay.toml", REPLAY);
    for (name, format) in [("http.pcap", "pcap"), ("vlan.pcapng", "pcapng")] {
        let whole = fs::read(example(name)).expect("a capture");
        let cut = folder.file(&format!("cut.{format}"), &whole[..whole.len() * 2 / 3 + 1]);
        let (frames, error) = rig::readable(&cut);
        assert!(
            frames > 0 && matches!(error, Some(CaptureError::CutShort { .. })),
            "{name}: {frames} {error:?}"
        );
        let output = format!("out.{format}");
        let ended = replay(&folder, &config, &cut, &output, &["--chain", "ingress"]);
        assert_eq!(ended.code, Some(1), "{name}");
        assert!(ended.err.contains("is cut short"), "{name}: {}", ended.err);
        assert_eq!(rig::readable(&folder.path(&output)).0, frames, "{name}");
    }
}
