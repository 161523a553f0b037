//! The fast path allocates nothing: however many packets go by, the heap is asked only by what runs beside them.

mod rig;

use control::Config;
use dpdk::{Eal, EalOptions};
use engine::Engine;
use rig::{Folder, assert_balanced};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::time::{Duration, Instant};
use wire::builder::Builder;

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The supervisor looks around ten times a second, and takes a few small allocations for that. It is a bound on
/// time, so packets cannot hide in it: at the slowest they are thousands of times as many.
const PER_SECOND: f64 = 200.0;

fn config(workers: usize, device: &str) -> String {
    format!(
        r#"[engine]
workers = {workers}
socket = "off"
[ports.in]
device = "{device}"
[ports.out]
device = "net_null1,no-rx=1"
[ports.other]
device = "net_null2,no-rx=1"
[nf.edge]
kind = "firewall"
rules = ["deny tcp to any port 23", "deny udp to any port 5003", "allow ip"]
[nf.watch]
kind = "monitor"
[nf.turn]
kind = "mac_swap"
[nf.switch]
kind = "l2fwd"
[[chain]]
name = "all"
from = "in"
path = ["edge", "watch", "turn", "switch"]
to = ["out", "other"]
"#
    )
}

/// Packets of 512 flows, TCP and UDP, IPv4 and IPv6, from 16 stations.
fn traffic(folder: &Folder) -> String {
    let path = folder.path("flows.pcap");
    let mut writer = capture::Writer::create(&path, capture::Format::Pcap).expect("a capture");
    for flow in 0..512u16 {
        let builder = Builder::ethernet([2, 0, 0, 0, 1, flow as u8 % 16], [2, 0, 0, 0, 0, 2]);
        let builder = match flow % 4 {
            0 | 1 => builder.ipv4([10, 0, 0, flow as u8], [192, 0, 2, 1]),
            _ => builder.ipv6([0xfd00, 0, 0, 0, 0, 0, 0, flow], [0xfd00, 0, 0, 0, 0, 0, 1, 1]),
        };
        let builder = match flow % 2 {
            0 => builder.tcp(1024 + flow, 80).flags(wire::tcp::flags::ACK),
            _ => builder.udp(1024 + flow, 5000 + flow % 8),
        };
        let frame = builder.payload_len(18).build();
        writer.write(u64::from(flow) * 1000, frame.len() as u32, [&frame[..]]).expect("written");
    }
    writer.finish().expect("closed");
    format!("net_pcap0,rx_pcap={},infinite_rx=1", path.display())
}

#[test]
fn packets_at_full_speed_ask_the_heap_for_nothing() {
    let folder = Folder::new("allocation");
    let eal = Eal::init(&EalOptions::default()).expect("DPDK starts without hugepages");
    let real = traffic(&folder);
    let runs = [
        ("net_null0", 1, 5_000_000),
        ("net_null0", 2, 5_000_000),
        (&real, 1, 2_000_000),
        (&real, 2, 2_000_000),
    ];
    for (device, workers, watched) in runs {
        let text = config(workers, device);
        let config = Config::parse(&text, "braid.toml", &folder.0, &nfs::registry()).expect("good");
        let plan = config.plan().expect("a plan").0;
        let engine = Engine::start(&eal, plan).expect("start");
        // Until flows are known, stations learnt and all reusable room is there.
        std::thread::sleep(Duration::from_millis(300));

        let (mut packets, mut asked, mut time) = (0, 0, Duration::ZERO);
        let begun = Instant::now();
        while packets < watched {
            assert!(begun.elapsed() < Duration::from_secs(60), "{packets} packets in a minute");
            let before = engine.snapshot().packets.received;
            let slice = Instant::now();
            let region = Region::new(HEAP);
            std::thread::sleep(Duration::from_millis(500));
            let change = region.change();
            time += slice.elapsed();
            asked += change.allocations + change.reallocations;
            packets += engine.snapshot().packets.received - before;
        }
        let end = engine.stop().expect("stop");
        assert_balanced(&end);
        let per_second = asked as f64 / time.as_secs_f64();
        let device = device.split(',').next().unwrap_or_default();
        println!(
            "{device}, workers: {workers}: {packets} packets in {:.1} s, {asked} allocations, {per_second:.0} a second",
            time.as_secs_f64()
        );
        assert!(
            per_second < PER_SECOND,
            "{device}, {workers} workers: {asked} allocations for {packets} packets"
        );
    }
}
