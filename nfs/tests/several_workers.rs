//! State of an NF that runs on several workers.

use capture::{Format, Writer};
use dpdk::{Eal, EalOptions};
use engine::{
    Buffers, ChainPlan, Device, Engine, EngineError, Idle, NfPlan, OnPanic, Plan, PortPlan, Record, Role,
    Scope, Selector, Site, StateError,
};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tables::expression::Expression;
use wire::builder::{Builder, fragments, icmp_error};

/// Room for so many flows on each worker.
const CAPACITY: usize = 8;

fn port(name: &str, device: Device) -> PortPlan {
    PortPlan::new(name, device)
}

/// The packets that they make are of no flow.
fn null_ports() -> [PortPlan; 2] {
    [("in", "net_null0"), ("out", "net_null1,no-rx=1")]
        .map(|(name, device)| port(name, Device::Dpdk(device.to_owned())))
}

fn eal() -> Eal {
    Eal::init(&EalOptions::default()).expect("DPDK starts without hugepages")
}

/// A monitor between two ports.
fn engine(eal: &Eal, workers: usize, seed: u64, config: &str, ports: [PortPlan; 2]) -> Engine {
    let registry = nfs::registry();
    let config = toml::de::ValueDeserializer::parse(config).expect("TOML");
    let configured = registry.get("monitor").expect("registered").configure(config).expect("a configuration");
    let site = Site { name: "watch".to_owned(), workers, ..Site::default() };
    let monitor = NfPlan {
        name: "watch".to_owned(),
        prepared: configured.prepare(&site).expect("prepared"),
        on_panic: OnPanic::Drop,
        snapshot: None,
    };
    let plan = Plan {
        cores: vec![0; workers],
        helpers: Vec::new(),
        idle: Idle::Adaptive,
        buffers: Buffers::default(),
        ports: ports.into(),
        nfs: vec![monitor],
        chains: vec![ChainPlan {
            name: "chain".to_owned(),
            from: 0,
            matcher: Expression::parse("all").expect("an expression"),
            path: vec![0],
            to: vec![1],
            parallel: None,
        }],
        seed,
    };
    Engine::start(eal, plan).expect("start")
}

fn flow(sport: u16) -> Record {
    Record {
        kind: "flow".to_owned(),
        version: 1,
        role: Role::Reporting,
        scope: Scope::Flow,
        key: json!({"src": "10.0.0.1", "sport": sport, "dst": "10.0.1.1", "dport": 53, "proto": 17}),
        value: json!({
            "packets": 1, "bytes": 28, "packets_back": 0, "bytes_back": 0, "tcp_flags": 0, "tcp_flags_back": 0,
            "first": 1, "last": u64::from(sport), "seq": null, "seq_back": null,
        }),
    }
}

#[test]
fn an_import_without_room_on_one_worker_is_refused_and_changes_nothing() {
    let engine = engine(&eal(), 2, 7, &format!("{{ capacity = {CAPACITY} }}"), null_ports());
    let state = || engine.export("watch", &Selector::default()).expect("an export");
    let is_full = |error: &EngineError| {
        matches!(error, EngineError::State { source: StateError::Full { capacity: CAPACITY, .. }, .. })
    };
    let mut taken = 0;
    let mut refused = false;
    for sport in 1..200 {
        match engine.import("watch", vec![flow(sport)]) {
            Ok(count) => taken += count,
            Err(error) => {
                assert!(is_full(&error), "{error}");
                if !refused {
                    // One worker is full; the other has room for some of these, and gets none.
                    let before = state();
                    let more: Vec<Record> = (sport..sport + 4).map(flow).collect();
                    let error = engine.import("watch", more).expect_err("one of them has no room");
                    assert!(is_full(&error), "{error}");
                    assert_eq!(state(), before);
                }
                refused = true;
            }
        }
    }
    assert_eq!((taken, state().len()), (2 * CAPACITY, 2 * CAPACITY), "both are full, and nothing gave way");
    engine.stop().expect("stop");
}

/// A file of this test's own.
fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", std::process::id()))
}

/// What two hosts exchange without ports, of many flows: errors of a router about flows of one host, and fragments
/// whose first one is missing. One second apart but for a silence of a minute in the middle.
fn exchange(path: &Path) {
    let mut writer = Writer::create(path, Format::PcapNano).expect("create");
    let ethernet = || Builder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    for number in 0..100u16 {
        let about =
            ethernet().ipv4([10, 0, 0, 1], [10, 9, 9, 9]).udp(1000 + number, 53).payload_len(40).build();
        let whole = ethernet().ipv4([10, 0, 0, 1], [10, 0, 0, 2]).protocol(47).payload_len(3000).build();
        let frame = if number % 10 == 5 {
            fragments(&whole, 1500, u32::from(number)).swap_remove(1)
        } else {
            icmp_error(&about, [10, 0, 0, 254].into(), 3, 1, 0).expect("an error about it")
        };
        let seconds = 1_700_000_000 + u64::from(number) + if number < 50 { 0 } else { 60 };
        writer.write(seconds * 1_000_000_000, frame.len() as u32, [&frame[..]]).expect("write");
    }
    writer.finish().expect("finish");
}

#[test]
fn what_several_workers_counted_of_one_flow_is_one_in_the_state_and_in_the_report() {
    let (input, report) = (scratch("exchange.pcap"), scratch("flows.jsonl"));
    exchange(&input);
    let eal = eal();
    for (timeout, lines) in [("", 2), (", idle_timeout = \"30s\"", 4)] {
        let config = format!("{{ capacity = 64, flows = {:?}{timeout} }}", report.display().to_string());
        let run = |workers: usize, seed: u64| {
            let ports = [
                port("in", Device::CaptureSource(input.clone())),
                port("out", Device::CaptureSink(scratch("out.pcap"))),
            ];
            let engine = engine(&eal, workers, seed, &config, ports);
            while !engine.exhausted() {
                std::thread::sleep(Duration::from_millis(2));
            }
            engine.stop().expect("stop");
            let state = engine.export("watch", &Selector::default()).expect("an export");
            (state, std::fs::read_to_string(&report).expect("a report"))
        };
        let (state, flows) = run(1, 1);
        assert_eq!((state.len(), flows.lines().count()), (2, lines), "{flows}");
        for (workers, seed) in [(2, 1), (2, 2), (3, 3)] {
            let (also, as_well) = run(workers, seed);
            // With a timeout a worker may have ended its part of a flow that goes on elsewhere: the report tells.
            assert!(also == state || !timeout.is_empty(), "{workers} workers, seed {seed}: {also:?}");
            assert_eq!(as_well, flows, "{workers} workers, seed {seed}");
        }
    }
}

/// Flows from 200 hosts to one, so that each worker sees some of them.
fn crowd(path: &Path) {
    let mut writer = Writer::create(path, Format::PcapNano).expect("create");
    for n in 0..400u32 {
        let source = [10, 0, 0, n as u8 % 200];
        let frame = Builder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
            .ipv4(source, [10, 1, 0, 1])
            .udp(2000 + n as u16, 53)
            .payload_len(n as usize % 200 + 8)
            .build();
        writer
            .write(1_700_000_000_000_000_000 + u64::from(n), frame.len() as u32, [&frame[..]])
            .expect("write");
    }
    writer.finish().expect("finish");
}

#[test]
fn sketches_of_several_workers_answer_as_one() {
    let input = scratch("crowd.pcap");
    crowd(&input);
    let eal = eal();
    let run = |workers: usize, config: &str| {
        let ports = [
            port("in", Device::CaptureSource(input.clone())),
            port("out", Device::CaptureSink(scratch("out.pcap"))),
        ];
        let engine = engine(&eal, workers, 5, config, ports);
        while !engine.exhausted() {
            std::thread::sleep(Duration::from_millis(2));
        }
        let ask = |name| engine.command("watch", name, &json!({})).map_err(|error| error.to_string());
        let during = ["distinct", "movers"].map(ask);
        engine.stop().expect("stop");
        assert_eq!(["distinct", "movers"].map(ask), during);
        let flows = engine.command("watch", "flows", &json!({})).expect("flows");
        assert_eq!(flows.len(), workers, "each has flows of its own");
        assert!(flows.iter().all(|of| of["known"].as_u64() > Some(0)), "{flows:?}");
        during
    };
    let one = run(1, "{ sketches = true }");
    let [Ok(distinct), Ok(movers)] = &one else { panic!("{one:?}") };
    assert_eq!((distinct.len(), movers.len()), (1, 1));
    assert!((380..=420).contains(&(distinct[0]["flows"]["estimate"].as_f64().unwrap_or(0.0) as u64)));
    assert_eq!(movers[0]["hosts"]["largest"][0]["address"], "10.1.0.1");
    for workers in [2, 3] {
        let all = run(workers, "{ sketches = true }");
        let [Ok(numbers), Ok(largest)] = &all else { panic!("{all:?}") };
        assert_eq!(numbers, distinct, "{workers} workers");
        // Who is in the list behind the first depends on the order.
        assert_eq!(largest[0]["hosts"]["largest"][0], movers[0]["hosts"]["largest"][0]);
        assert_eq!(largest[0]["services"], movers[0]["services"]);
        assert_eq!(largest[0]["hosts"]["total"], movers[0]["hosts"]["total"]);
    }
    let without = run(2, "{}");
    assert!(without.iter().all(|answer| answer.is_err()), "{without:?}");
}

#[test]
fn a_reset_in_steps_forgets_all_flows_of_all_workers() {
    let engine = engine(&eal(), 2, 7, "{ capacity = 10000 }", null_ports());
    assert_eq!(engine.import("watch", (1..5000).map(flow).collect()).expect("room"), 4999);
    let answers = engine.command("watch", "reset", &json!({})).expect("an answer");
    let forgotten: u64 = answers.iter().filter_map(|answer| answer["forgotten"].as_u64()).sum();
    assert_eq!(
        (forgotten, engine.export("watch", &Selector::default()).expect("an export").len()),
        (4999, 0)
    );
    engine.stop().expect("stop");
}
