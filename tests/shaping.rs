//! Rates and delays as they are measured outside: of captures in packet time, to the millisecond, and of kernels in
//! network namespaces in real time.

#[path = "devices/network.rs"]
#[allow(dead_code, reason = "made for the tests of devices")]
mod network;
mod rig;

use capture::{Format, Reader, Writer};
use network::Network;
use rig::{Folder, Run, assert_balanced, braid, call};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use wire::builder::Builder;

/// Time of the first packet, in nanoseconds since the epoch.
const START: u64 = 1_700_000_000_000_000_000;
/// Bytes of each frame.
const FRAME: usize = 500;
/// Nanoseconds between two frames: 8 Mbit/s.
const GAP: u64 = 500_000;
/// Ten seconds of them.
const FRAMES: usize = 20_000;
/// Where a frame's number is: behind Ethernet, IPv4 and UDP.
const NUMBER: usize = 42;

/// Time in nanoseconds since the first packet, and the frame's number.
type Seen = (u64, usize);

/// Ten seconds of numbered frames, each of a flow of its own: however flows are spread, every worker gets its share.
fn ten_seconds(path: &Path) {
    let mut writer = Writer::create(path, Format::PcapNano).expect("a capture");
    for number in 0..FRAMES {
        let mut payload = vec![0; FRAME - NUMBER];
        payload[..8].copy_from_slice(&(number as u64).to_be_bytes());
        let frame = Builder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
            .ipv4([10, 0, 0, 1], [10, 0, 0, 2])
            .udp(1000 + number as u16, 9)
            .payload(&payload)
            .build();
        writer.write(START + number as u64 * GAP, FRAME as u32, [&frame[..]]).expect("a frame");
    }
    writer.finish().expect("a whole capture");
}

/// What came out, by time.
fn seen(path: &Path) -> Vec<Seen> {
    let mut reader = Reader::open(path).expect("a capture");
    let mut seen = Vec::new();
    while let Some(frame) = reader.next().expect("a frame") {
        assert_eq!(frame.bytes.len(), FRAME);
        let number = frame.bytes[NUMBER..NUMBER + 8].try_into().expect("eight bytes");
        seen.push((frame.timestamp_ns - START, u64::from_be_bytes(number) as usize));
    }
    seen.sort_unstable();
    seen
}

/// Sends the ten seconds through NFs; what came out before the end, when everything held is given back.
fn through(folder: &Folder, engine: &str, nfs: &str, path: &str) -> Vec<Seen> {
    let input = folder.path("in.pcap");
    if !input.exists() {
        ten_seconds(&input);
    }
    let config = format!(
        "[engine]\n{engine}\n[ports.in]\ndevice = \"pcap:in.pcap\"\n[ports.out]\ndevice = \"pcap:out.pcap\"\n{nfs}\n\
         [[chain]]\nname = \"all\"\nfrom = \"in\"\npath = [{path}]\nto = \"out\"\n"
    );
    let file = folder.file("braid.toml", config);
    let ended = braid(["run".as_ref(), file.as_os_str(), "--json".as_ref()]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_balanced(&ended.account());
    let mut seen = seen(&folder.path("out.pcap"));
    let end = (FRAMES as u64 - 1) * GAP;
    seen.retain(|(time, _)| *time < end);
    seen
}

/// Bits per second over the ten seconds.
fn rate(seen: &[Seen]) -> f64 {
    (seen.len() * FRAME * 8) as f64 / 10.0
}

/// Bytes of the largest burst beyond what a rate gives.
fn burst(seen: &[Seen], rate: i128) -> i128 {
    let (mut gone, mut lowest, mut worst) = (0, i128::MAX, 0);
    for (time, _) in seen {
        let given = i128::from(*time) * rate;
        lowest = lowest.min(gone - given);
        gone += FRAME as i128 * 8_000_000_000;
        worst = worst.max(gone - given - lowest);
    }
    worst / 8_000_000_000
}

#[test]
fn over_ten_seconds_the_rate_is_within_one_percent_on_one_worker_and_on_two() {
    let folder = Folder::new("shaping-rate");
    let shaper = "[nf.uplink]\nkind = \"shaper\"\nrate = \"4mbit\"\nburst = 12000\ndefault = \"all_of_it\"\n\
                  class = [{ name = \"all_of_it\", queue = QUEUE }]\n";
    for (workers, queue) in [(1, 100), (1, 0), (2, 100), (2, 0)] {
        let nfs = shaper.replace("QUEUE", &queue.to_string());
        let seen = through(&folder, &format!("workers = {workers}"), &nfs, "\"uplink\"");
        let rate = rate(&seen);
        assert!((rate / 4e6 - 1.0).abs() < 0.01, "{workers} workers, a queue of {queue}: {rate} bit/s");
        let burst = burst(&seen, 4_000_000);
        assert!(burst <= 12_000, "{workers} workers, a queue of {queue}: a burst of {burst} bytes");
    }
}

#[test]
fn delays_are_exact_to_the_millisecond_and_the_same_for_a_seed() {
    let folder = Folder::new("shaping-delay");
    let nfs = "[nf.far]\nkind = \"netem\"\ndelay = \"40ms\"\nloss = 10\n";
    let run = |seed| through(&folder, &format!("seed = {seed}"), nfs, "\"far\"");
    let first = run(1);
    let lost = 1.0 - first.len() as f64 / (FRAMES - 80) as f64;
    assert!((lost - 0.1).abs() < 0.01, "{lost}");
    for (time, number) in &first {
        let delay = time - *number as u64 * GAP;
        assert!((40_000_000..=41_000_000).contains(&delay), "frame {number} took {delay} ns");
    }
    assert!(first == run(1), "the same packets at the same times");
    assert!(first != run(2), "other losses");
}

#[test]
fn a_slow_link_serializes_and_jitter_reorders() {
    let folder = Folder::new("shaping-link");
    let link =
        through(&folder, "", "[nf.link]\nkind = \"netem\"\nrate = \"4mbit\"\nlimit = 50\n", "\"link\"");
    assert!((rate(&link) / 4e6 - 1.0).abs() < 0.01, "{} bit/s", rate(&link));
    assert!(link.is_sorted_by_key(|(_, number)| *number), "in order");
    let jitter = "[nf.far]\nkind = \"netem\"\ndelay = \"20ms\"\njitter = \"10ms\"\n";
    let seen = through(&folder, "", jitter, "\"far\"");
    assert!(!seen.is_sorted_by_key(|(_, number)| *number), "out of order");
    let delays = seen.iter().map(|(time, number)| time - *number as u64 * GAP);
    let mean = delays.sum::<u64>() as f64 / seen.len() as f64;
    // Half a millisecond on average until the next timers.
    assert!((mean - 20.3e6).abs() < 0.6e6, "{mean}");
}

/// Both directions between two hosts, each with NFs of its own.
fn between(nfs: &str, there: &str, back: &str) -> String {
    format!(
        "[engine]\nidle = \"adaptive\"\nsocket = \"braid.sock\"\n\
         [ports.a]\ndevice = \"net_af_packet0,iface=to-a\"\n[ports.b]\ndevice = \"net_af_packet1,iface=to-b\"\n{nfs}\n\
         [[chain]]\nname = \"there\"\nfrom = \"a\"\npath = [\"{there}\"]\nto = \"b\"\n\
         [[chain]]\nname = \"back\"\nfrom = \"b\"\npath = [\"{back}\"]\nto = \"a\"\n"
    )
}

/// A process that ends with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Bits per second of TCP's payload that arrive at `b`, as iperf3 measures it; `None` without iperf3.
fn iperf3(network: &Network, seconds: u32) -> Option<f64> {
    let space = network.host('b');
    let server = Command::new("ip")
        .args(["netns", "exec", &space, "iperf3", "-s"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("ip");
    let _server = Server(server);
    let (space, seconds) = (network.host('a'), seconds.to_string());
    let begun = Instant::now();
    loop {
        let client = Command::new("ip")
            .args(["netns", "exec", &space, "iperf3", "-J", "-c", "10.9.0.2", "-t", &seconds])
            .output()
            .expect("ip");
        let said: Value = serde_json::from_slice(&client.stdout).unwrap_or(Value::Null);
        if let Some(rate) = said["end"]["sum_received"]["bits_per_second"].as_f64() {
            return Some(rate);
        }
        // The server may not listen yet.
        assert!(begun.elapsed() < Duration::from_secs(20), "iperf3 does not come through: {said}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn tcp_between_two_kernels_has_the_rate_of_the_shaper_and_another_one_on_command() {
    if Command::new("iperf3").arg("--version").output().is_err() {
        println!("skipped: iperf3 is not installed");
        return;
    }
    let Some(network) = Network::new("shaper") else { return };
    let folder = Folder::new("shaping-tcp");
    let nfs = "[nf.uplink]\nkind = \"shaper\"\nrate = \"20mbit\"\ndefault = \"all_of_it\"\n\
               class = [{ name = \"all_of_it\", queue = 200 }]\n[nf.watch]\nkind = \"monitor\"\n";
    let run = Run::start(&folder, &between(nfs, "uplink", "watch"));
    for (rate, command) in [(20e6, None), (8e6, Some(json!({ "rate": "8mbit" })))] {
        if let Some(arguments) = command {
            call(
                &mut run.client(),
                "nf.command",
                json!({ "nf": "uplink", "command": "set", "arguments": arguments }),
            );
        }
        let measured = iperf3(&network, 3).expect("iperf3 is there");
        // Frames of 1514 bytes carry 1448. A machine that is busy may reach less, and never more.
        let share = measured / (rate * 1448.0 / 1514.0);
        println!("{measured} bit/s of payload at {rate} bit/s");
        assert!((0.5..=1.05).contains(&share), "{measured} bit/s of payload at {rate} bit/s");
    }
    let account = run.stop().account();
    assert_balanced(&account);
}

#[test]
fn a_ping_through_two_delays_takes_them_both() {
    let Some(network) = Network::new("netem") else { return };
    let folder = Folder::new("shaping-ping");
    let nfs =
        "[nf.far]\nkind = \"netem\"\ndelay = \"30ms\"\n[nf.farther]\nkind = \"netem\"\ndelay = \"50ms\"\n";
    let run = Run::start(&folder, &between(nfs, "far", "farther"));
    // The first ones wait for an answer to ARP, which takes as long.
    let said = network.tell('a', "ping", &["-q", "-c5", "-i0.2", "-W5", "10.9.0.2"]);
    let times = said.split("rtt min/avg/max/mdev = ").nth(1).unwrap_or_else(|| panic!("{said}"));
    let least: f64 =
        times.split('/').next().and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("{said}"));
    println!("{times}");
    assert!((80.0..200.0).contains(&least), "the quickest took {least} ms");
    assert_balanced(&run.stop().account());
}
