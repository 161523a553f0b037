//! A change of the number of workers: what one of them knew or was told, those know that are there afterwards.

use capture::{Format, Writer};
use dpdk::{Eal, EalOptions};
use engine::{
    Buffers, ChainPlan, Cursor, Device, Engine, Idle, Input, NfPlan, OnPanic, Packing, Plan, PortPlan,
    Record, Role, Scope, Selector, Site, Stand, StandPools, Time, WorkerSite,
};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tables::expression::Expression;
use wire::builder::Builder;

/// Now, in nanoseconds since the epoch: what is older has its time behind it.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(now.as_nanos()).expect("before 2554")
}

fn eal() -> Eal {
    Eal::init(&EalOptions { memory_mb: 64, ..EalOptions::default() }).expect("DPDK starts without hugepages")
}

/// One NF between a port that receives nothing and one that sends.
fn plan(kind: &str, workers: usize, config: &str) -> Plan {
    let registry = nfs::registry();
    let config = toml::de::ValueDeserializer::parse(config).expect("TOML");
    let configured = registry.get(kind).expect(kind).configure(config).expect("a configuration");
    let site = Site {
        name: "x".to_owned(),
        workers,
        ports: vec!["in".to_owned(), "out".to_owned()],
        gates: vec![1],
        ..Site::default()
    };
    let port = |name: &str, device: &str| PortPlan::new(name, Device::Dpdk(device.to_owned()));
    Plan {
        cores: vec![0; workers],
        helpers: Vec::new(),
        idle: Idle::Adaptive,
        buffers: Buffers::default(),
        ports: vec![port("in", "net_null0,no-rx=1"), port("out", "net_null1,no-rx=1")],
        nfs: vec![NfPlan {
            name: "x".to_owned(),
            prepared: configured.prepare(&site).expect("a good one"),
            on_panic: OnPanic::Drop,
            snapshot: None,
        }],
        chains: vec![ChainPlan {
            name: "chain".to_owned(),
            from: 0,
            matcher: Expression::parse("all").expect("an expression"),
            path: vec![0],
            to: vec![1],
            parallel: None,
        }],
        seed: 7,
    }
}

fn record(kind: &str, role: Role, scope: Scope, key: Value, value: Value) -> Record {
    Record { kind: kind.to_owned(), version: 1, role, scope, key, value }
}

fn ask(engine: &Engine, command: &str, arguments: &Value) -> Vec<Value> {
    engine.command("x", command, arguments).expect("an answer")
}

fn exported(engine: &Engine, kind: &str) -> Vec<Record> {
    let selector = Selector { kind: Some(kind.to_owned()), ..Selector::default() };
    engine.export("x", &selector).expect("an export")
}

/// Keys of the records of one worker.
fn keys(engine: &Engine, worker: usize) -> Vec<String> {
    let (mut keys, mut next) = (Vec::new(), Some(Cursor::default()));
    while let Some(at) = next {
        let (records, cursor) = engine.export_page("x", worker, at, &Selector::default()).expect("a page");
        keys.extend(records.iter().map(|record| record.key.to_string()));
        next = cursor;
    }
    keys
}

fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

const BACKENDS: [&str; 3] = ["a", "b", "c"];

/// A service with back-ends of these names.
fn service(backends: &[&str]) -> String {
    let backend = |name: &&str| format!("{{ name = {name:?}, address = \"10.0.0.{}\" }}", name.as_bytes()[0]);
    let backends: Vec<String> = backends.iter().map(backend).collect();
    format!(
        "{{ services = [{{ address = \"192.0.2.1\", port = 80, mode = \"nat\", backends = [{}] }}] }}",
        backends.join(", ")
    )
}

#[test]
fn a_new_worker_knows_what_commands_have_set() {
    let eal = eal();
    let rates = "{ rate = \"8mbit\", class = [{ name = \"a\", match = \"udp\" }, { name = \"b\", match = \"all\" }] }";
    let cases = [
        ("lb", service(&BACKENDS), "set", json!({ "backend": "b", "health": "down", "weight": 3 })),
        ("shaper", rates.to_owned(), "set", json!({ "class": "a", "ceil": "4mbit" })),
        ("netem", "{ loss = 1.0 }".to_owned(), "set", json!({ "loss": 50.0 })),
        ("l2fwd", "{ }".to_owned(), "add", json!({ "station": "02:00:00:00:00:09", "port": "out" })),
    ];
    for (kind, config, command, arguments) in cases {
        let engine = Engine::start(&eal, plan(kind, 1, &config)).expect("start");
        let before = ask(&engine, "show", &json!({}));
        ask(&engine, command, &arguments);
        engine.apply(plan(kind, 3, &config)).expect("applied");
        let shown = ask(&engine, "show", &json!({}));
        assert_eq!(shown.len(), 3);
        assert!(shown.iter().all(|one| *one == shown[0]), "{kind}: {shown:#?}");
        assert_ne!(shown[0], before[0], "{kind}");
        engine.stop().expect("stop");
    }
}

#[test]
fn a_worker_goes_while_back_ends_come() {
    let engine = Engine::start(&eal(), plan("lb", 2, &service(&BACKENDS))).expect("start");
    let connection = |sport: u16| {
        record(
            "connection",
            Role::Supporting,
            Scope::Flow,
            json!({"src": "198.51.100.1", "sport": sport, "dst": "192.0.2.1", "dport": 80, "proto": 6}),
            json!({"backend": "192.0.2.1:80/b", "last": now()}),
        )
    };
    engine.import("x", (1..41).map(connection).collect()).expect("room");
    ask(&engine, "set", &json!({ "backend": "c", "health": "drain" }));
    engine.apply(plan("lb", 1, &service(&["z", "a", "b", "c"]))).expect("applied");
    let backends: Vec<Value> =
        exported(&engine, "connection").into_iter().map(|record| record.value["backend"].clone()).collect();
    assert_eq!(backends, vec![json!("tcp 192.0.2.1:80/b"); 40]);
    let said = exported(&engine, "backend");
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(said[0].key["backend"], "tcp 192.0.2.1:80/c");
    ask(&engine, "set", &json!({ "backend": "c", "health": "up" }));
    engine.stop().expect("stop");
}

#[test]
fn sessions_move_when_the_rule_of_who_owns_them_changes() {
    let config = |last: u16| {
        format!(
            "{{ inside = [\"10.0.0.0/8\"], pool = [\"203.0.113.1\"], ports = \"1024-{last}\", capacity = 1024 }}"
        )
    };
    let eal = eal();
    let pools = StandPools::new(&eal, 64).expect("packet memory");
    let nat = plan("nat", 1, &config(65535)).nfs.remove(0).prepared;
    let mut alone = Stand::new(&pools, nat.as_ref(), WorkerSite { index: 0, count: 1, seed: 1 });
    for port in 1..201 {
        let frame = Builder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
            .ipv4([10, 0, 0, 1], [198, 51, 100, 1])
            .udp(port, 53)
            .payload(&[7; 20])
            .build();
        let input = Input { bytes: &frame, ingress: 0 };
        alone.run(&[input], Packing::Contiguous, Time::from_nanos(now())).expect("room");
    }
    let engine = Engine::start(&eal, plan("nat", 2, &config(65535))).expect("start");
    engine.import("x", alone.export(&Selector::default()).expect("an export")).expect("room");
    let known = keys(&engine, 0).len() + keys(&engine, 1).len();
    assert_eq!(known, 200);
    engine.apply(plan("nat", 2, &config(40000))).expect("applied");
    let kept = [keys(&engine, 0), keys(&engine, 1)];
    assert!(!kept[0].is_empty() && !kept[1].is_empty(), "{kept:?}");
    let records = exported(&engine, "session");
    engine.stop().expect("stop");
    drop(engine);
    let fresh = Engine::start(&eal, plan("nat", 2, &config(40000))).expect("start");
    fresh.import("x", records).expect("all of them are steerable");
    for (worker, mut kept) in kept.into_iter().enumerate() {
        let mut owned = keys(&fresh, worker);
        owned.sort();
        kept.sort();
        assert_eq!(kept, owned, "worker {worker}");
    }
    fresh.stop().expect("stop");
}

#[test]
fn what_a_worker_counted_that_goes_is_not_lost() {
    let mut device = String::from("net_pcap0");
    for queue in 0..2 {
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{queue}.pcap", std::process::id()));
        let mut writer = Writer::create(&path, Format::PcapNano).expect("create");
        for port in 1..101 {
            let frame = Builder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
                .ipv4([198, 51, 100, 1], [192, 0, 2, 1])
                .udp(1000, port)
                .payload(&[7; 20])
                .build();
            writer.write(now(), frame.len() as u32, [&frame[..]]).expect("write");
        }
        writer.finish().expect("finish");
        device += &format!(",rx_pcap={}", path.display());
    }
    let plan = |workers: usize| {
        let mut plan = plan("firewall", workers, "{ rules = [\"allow udp\"] }");
        plan.ports[0].device = Device::Dpdk(device.clone());
        plan.ports[0].rx_queues = Some(2);
        plan
    };
    let engine = Engine::start(&eal(), plan(2)).expect("start");
    wait_for("200 packets come", || engine.snapshot().packets.received == 200);
    let hits = || exported(&engine, "rule_hits")[0].value["packets"].clone();
    wait_for("all are counted", || hits() == 200);
    let each = [0, 1].map(|worker| keys(&engine, worker).len());
    assert_eq!(each, [1, 1], "both have counted");
    engine.apply(plan(1)).expect("applied");
    assert_eq!(hits(), 200);
    engine.apply(plan(3)).expect("applied");
    assert_eq!(hits(), 200, "and nothing is counted twice");
    engine.stop().expect("stop");
}

const ROUTER: &str = "{ interfaces = { in = { mac = \"02:00:00:00:01:01\", addresses = [\"10.0.0.254/24\"] }, \
    out = { mac = \"02:00:00:00:00:01\", addresses = [\"192.0.2.254/24\"] } }REST }";

fn router(workers: usize, rest: &str) -> Plan {
    plan("router", workers, &ROUTER.replace("REST", rest))
}

/// The route to an address, as all workers come to have it.
fn wait_for_route(engine: &Engine, address: &str, expected: &Value) {
    wait_for(&format!("{address} by {expected}"), || {
        let answers = ask(engine, "route_to", &json!({ "address": address }));
        answers.iter().all(|answer| answer["route"] == *expected)
    });
}

#[test]
fn all_workers_of_a_router_have_the_routes_that_were_set() {
    let engine = Engine::start(&eal(), router(1, "")).expect("start");
    let route = json!("via 192.0.2.1 dev out");
    ask(&engine, "route_add", &json!({ "routes": ["198.51.100.0/24 via 192.0.2.1"] }));
    wait_for_route(&engine, "198.51.100.1", &route);
    // With the same routes in the configuration, and with others.
    for (workers, rest) in
        [(2, ""), (3, ", icmp_rate = 7"), (2, ", routes = [\"203.0.113.0/24 via 192.0.2.2\"]")]
    {
        engine.apply(router(workers, rest)).expect("applied");
        wait_for_route(&engine, "198.51.100.1", &route);
        ask(&engine, "route_add", &json!({ "routes": ["198.51.101.0/24 via 192.0.2.1"] }));
        wait_for_route(&engine, "198.51.101.1", &route);
        ask(&engine, "route_delete", &json!({ "prefixes": ["198.51.101.0/24"] }));
        wait_for_route(&engine, "198.51.101.1", &Value::Null);
        assert_eq!(exported(&engine, "route").len(), 2, "the deletion is known, too");
    }
    engine.stop().expect("stop");
}

#[test]
fn no_neighbour_is_lost_whatever_the_number_of_workers() {
    let engine = Engine::start(&eal(), router(2, "")).expect("start");
    let neighbour = |n: u32| {
        record(
            "neighbour",
            Role::Supporting,
            Scope::Shared,
            json!({"interface": "out", "address": format!("192.0.2.{n}")}),
            json!({"mac": format!("02:00:00:00:09:{n:02x}"), "heard": now(), "asked": 0, "due": u64::MAX / 2}),
        )
    };
    engine.import("x", (1..101).map(neighbour).collect()).expect("room");
    for workers in [2, 1, 3, 2] {
        engine.apply(router(workers, "")).expect("applied");
        assert_eq!(exported(&engine, "neighbour").len(), 100, "{workers} workers");
        let known = ask(&engine, "neighbours", &json!({}));
        assert!(known.iter().all(|one| one["known"] == 100), "{workers} workers: {known:?}");
        assert_eq!(exported(&engine, "icmp_budget").len(), workers, "each has its own");
    }
    engine.stop().expect("stop");
}

#[test]
fn a_command_in_steps_goes_on_while_workers_come_and_go() {
    let monitor = |workers| plan("monitor", workers, "{ capacity = 50000 }");
    let engine = Engine::start(&eal(), monitor(1)).expect("start");
    std::thread::scope(|scope| {
        let changes = scope.spawn(|| {
            for workers in [3, 1, 2, 1, 3, 2, 1, 2] {
                engine.apply(monitor(workers)).expect("applied");
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let mut answers = 0;
        while !changes.is_finished() || answers == 0 {
            let answer = engine.command("x", "reset", &json!({})).expect("an answer");
            assert!((1..=3).contains(&answer.len()), "{answer:?}");
            answers += 1;
        }
    });
    assert_eq!(ask(&engine, "reset", &json!({})).len(), 2);
    engine.stop().expect("stop");
}
