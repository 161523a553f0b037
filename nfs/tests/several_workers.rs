//! State of an NF that runs on several workers.

use engine::{
    Buffers, ChainPlan, Device, Engine, EngineError, Idle, NfPlan, OnPanic, Plan, PortPlan, Record, Role,
    Scope, Selector, Site, StateError,
};
use serde_json::json;
use tables::expression::Expression;

/// Room for so many flows on each worker.
const CAPACITY: usize = 8;

fn port(name: &str, device: &str) -> PortPlan {
    PortPlan {
        name: name.to_owned(),
        device: Device::Dpdk(device.to_owned()),
        rx_queues: None,
        rx_descriptors: None,
        tx_descriptors: None,
        mtu: None,
        promiscuous: None,
        checksum_offload: false,
    }
}

/// A monitor on two workers; the packets that its port makes are of no flow.
fn engine() -> Engine {
    let registry = nfs::registry();
    let config = format!("{{ capacity = {CAPACITY} }}");
    let config = toml::de::ValueDeserializer::parse(&config).expect("TOML");
    let configured = registry.get("monitor").expect("registered").configure(config).expect("a configuration");
    let site = Site { name: "watch".to_owned(), workers: 2, ..Site::default() };
    let monitor = NfPlan {
        name: "watch".to_owned(),
        prepared: configured.prepare(&site).expect("prepared"),
        on_panic: OnPanic::Drop,
        snapshot: None,
    };
    let plan = Plan {
        cores: vec![0, 0],
        idle: Idle::Adaptive,
        buffers: Buffers::default(),
        ports: vec![port("in", "net_null0"), port("out", "net_null1,no-rx=1")],
        nfs: vec![monitor],
        chains: vec![ChainPlan {
            name: "chain".to_owned(),
            from: 0,
            matcher: Expression::parse("all").expect("an expression"),
            path: vec![0],
            to: vec![1],
        }],
        seed: 7,
    };
    let eal = dpdk::Eal::init(&dpdk::EalOptions::default()).expect("DPDK starts without hugepages");
    Engine::start(&eal, plan).expect("start")
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
    let engine = engine();
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
