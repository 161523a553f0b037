//! Any packets, timers and commands to any NF: it does not panic, loses and invents no packet, keeps to what it
//! declares, and what it says of its state a fresh instance believes.
#![no_main]

use std::cell::LazyCell;
use std::collections::HashSet;
use std::sync::Arc;

use engine::{
    Fate, Input, Packing, Prepared, Record, Selector, Site, Stand, StandPools, StateError, Time, WorkerSite,
};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use toml::de::{DeTable, DeValue, ValueDeserializer};
use wire::builder::{Builder, fragments, icmp_error};

/// Kinds and configurations; small tables, so that they are full soon. Kinds that are not here run as in their examples.
const NFS: [(&str, &str); 19] = [
    ("mac_swap", ""),
    ("l2fwd", "capacity = 8\nageing = \"1s\""),
    ("firewall", "rules = [\"deny tcp from any to any port 23\", \"allow ip\"]"),
    ("monitor", "capacity = 8\nidle_timeout = \"1s\""),
    (
        "monitor",
        "capacity = 8\nidle_timeout = \"5s\"\nactive_timeout = \"1s\"\nsketches = true\nassets = { capacity = 4 }",
    ),
    ("vlan", "encap = { id = 5 }"),
    ("vlan", "decap = { id = 5 }"),
    (
        "ipip",
        "encap = { local = \"10.0.0.1\", remote = \"10.0.0.2\", mtu = 1280, icmp_from = [\"10.0.0.1\", \"2001:db8::1\"] }",
    ),
    ("ipip", "decap = { dscp = \"outer\" }"),
    ("mpls", "encap = { labels = [100, 200] }"),
    ("mpls", "decap = {}"),
    (
        "vxlan",
        "encap = { vni = 42, local = \"10.0.0.1\", remote = \"10.0.0.2\", macs = { source = \"02:00:00:00:00:01\", destination = \"02:00:00:00:00:02\" } }",
    ),
    ("vxlan", "decap = { vni = 42, local = \"10.0.0.2\", remote = \"10.0.0.1\" }"),
    (
        "lb",
        "[[services]]\naddress = \"10.0.0.2\"\nport = 1\nmode = \"nat\"\nbackends = [{ name = \"a\", address = \"10.0.0.3\", port = 2 }]",
    ),
    ("netem", "delay = \"20ms\"\nloss = 1.0\nlimit = 8"),
    (
        "shaper",
        "rate = \"1mbit\"\ndefault = \"rest\"\nclass = [{ name = \"rest\", rate = \"1mbit\", queue = 8 }]",
    ),
    ("conntrack", "invalid = \"drop\"\ntracking.capacity = 8"),
    (
        "router",
        "routes = [\"default via 10.0.0.2\"]\n[interfaces.lan]\nmac = \"02:00:00:00:00:02\"\naddresses = [\"10.0.0.254/24\", \"2001:db8::254/64\"]\n[interfaces.wan]\nmac = \"02:00:00:00:00:01\"\naddresses = [\"10.0.1.254/24\", \"2001:db8:1::254/64\"]",
    ),
    ("nat", "inside = [\"10.0.0.0/31\"]\npool = [\"10.0.0.2\"]\ncapacity = 8"),
];

struct World {
    pools: StandPools,
    prepared: Vec<Arc<dyn Prepared>>,
}

thread_local! {
    static WORLD: LazyCell<World> = const { LazyCell::new(world) };
}

fn world() -> World {
    let eal = dpdk::Eal::init(&dpdk::EalOptions::default()).expect("DPDK starts without hugepages");
    let pools = StandPools::new(&eal, 256).expect("memory");
    // It ends with the process.
    std::mem::forget(eal);
    let registry = nfs::registry();
    let others = registry.iter().map(|entry| (entry.name, entry.example));
    let others = others.filter(|(kind, _)| NFS.iter().all(|(known, _)| known != kind));
    let prepared = NFS.into_iter().chain(others).map(|(kind, config)| {
        let table = DeTable::parse(config).expect("TOML");
        let span = table.span();
        let table = toml::Spanned::new(span, DeValue::Table(table.into_inner()));
        let entry = registry.get(kind).expect("a kind");
        let ports = ["lan", "wan", "dmz"].map(str::to_owned).to_vec();
        let site = Site {
            name: "fuzz".to_owned(),
            ports,
            gates: vec![1, 2],
            workers: 1,
            seed: 1,
            ..Site::default()
        };
        let configured = entry.configure(ValueDeserializer::from(table)).expect("a configuration");
        configured.prepare(&site).expect("one that can be had")
    });
    World { pools, prepared: prepared.collect() }
}

/// One step: what it is, when, which ends, a number of many uses, bytes.
type Step = (u8, u16, u8, u32, Vec<u8>);

/// A packet of the kind that a step asks for, in part as its bytes say; `last` is one that the NF sent.
fn frame(step: &Step, last: &[u8]) -> Vec<u8> {
    let (what, _, ends, number, bytes) = step;
    let bytes = &bytes[..bytes.len().min(2000)];
    let (low, high) = (*ends & 3, *ends >> 2 & 3);
    let ethernet = || Builder::ethernet([2, 0, 0, 0, 0, low], [2, 0, 0, 0, 0, high]);
    let v4 = || ethernet().ipv4([10, 0, 0, low], [10, 0, 0, high]);
    let v6 = || ethernet().ipv6(0x2001_0db8 << 96 | u128::from(low), 0x2001_0db8 << 96 | u128::from(high));
    let ip = || if ends & 0x80 == 0 { v4() } else { v6() };
    let ports = ((number & 3) as u16, (number >> 2 & 3) as u16);
    let segment = |ip: Builder| {
        let tcp =
            ip.tcp(ports.0, ports.1).flags((number >> 8) as u8).seq(number >> 16 & 0xff).ack(number >> 24);
        tcp.payload(bytes)
    };
    let udp = |ip: Builder| ip.udp(ports.0, ports.1).payload(bytes);
    let v4_of = |byte: u8| std::net::Ipv4Addr::new(10, 0, 0, byte);
    match what % 16 {
        0 => bytes.to_vec(),
        1 => udp(ip()).build(),
        2 | 3 => segment(ip()).build(),
        4 => ip().echo_request(ports.0, ports.1).payload(bytes).build(),
        5 => ip().echo_reply(ports.0, ports.1).payload(bytes).build(),
        6 => ip().icmp((number >> 8) as u8, (number >> 16) as u8, *number).payload(bytes).build(),
        7 => {
            let about = if last.is_empty() { udp(ip()).build() } else { last.to_vec() };
            let from = std::net::IpAddr::from(v4_of(high));
            let kind = if number & 4 == 0 { 3 } else { 11 };
            icmp_error(&about, from, kind, (number & 3) as u8 + 1, *number).unwrap_or(about)
        }
        8 => {
            let whole = udp(ip()).payload_len(usize::from(*number as u8) * 8 + 16).build();
            let mut pieces = fragments(&whole, 100, number >> 8 & 1);
            let at = (*number >> 9) as usize % pieces.len().max(1);
            if pieces.is_empty() { whole } else { pieces.swap_remove(at) }
        }
        9 => {
            let own = (wire::Mac([2, 0, 0, 0, 0, low]), v4_of(low));
            let to = if number & 4 == 0 { 254 } else { high };
            ethernet().arp((number & 3) as u16, own, (wire::Mac([2, 0, 0, 0, 0, high]), v4_of(to))).build()
        }
        10 => ethernet()
            .vlan((number & 7) as u16)
            .ipv4([10, 0, 0, low], [10, 0, 0, high])
            .udp(1, 2)
            .payload(bytes)
            .build(),
        // Tunnels: a whole frame, or a packet, of the bytes inside.
        11 => {
            v4().udp(*number as u16, 4789).payload(&[&[8, 0, 0, 0, 0, 0, 42, 0], &bytes[..]].concat()).build()
        }
        12 => ip().protocol(if number & 1 == 0 { 4 } else { 41 }).payload(bytes).build(),
        13 => {
            let mut frame = ethernet().payload(bytes).build();
            frame[12..14].copy_from_slice(&0x8847u16.to_be_bytes());
            frame
        }
        // What it sent itself, and that with other bytes.
        14 => last.to_vec(),
        _ => {
            let mut frame = udp(ip()).build();
            for pair in bytes.chunks_exact(2) {
                let at = usize::from(pair[0]) % frame.len();
                frame[at] = pair[1];
            }
            frame
        }
    }
}

fuzz_target!(|input: (u8, Vec<Step>)| {
    WORLD.with(|world| run(world, usize::from(input.0) % world.prepared.len(), &input.1));
    WORLD.with(|world| assert_eq!(world.pools.in_use(), 0, "a packet is lost"));
});

fn run(world: &World, which: usize, steps: &[Step]) {
    let prepared = world.prepared[which].as_ref();
    let worker = WorkerSite { index: 0, count: 1, seed: 1 };
    let mut stand = Stand::new(&world.pools, prepared, worker);
    let (mut now, mut last) = (Time::from_nanos(1_700_000_000_000_000_000), Vec::new());
    for step in steps.iter().take(64) {
        now = now + std::time::Duration::from_millis(step.1.into());
        let bytes = frame(step, &last);
        let input = Input { bytes: &bytes[..bytes.len().min(9000)], ingress: u16::from(step.2 >> 4 & 1) };
        let packing = if step.2 & 0x40 == 0 { Packing::Contiguous } else { Packing::Segmented };
        // A frame without an Ethernet header never gets to an NF.
        if input.bytes.len() >= 14 {
            let Ok(round) = stand.run(&[input], packing, now) else { return };
            for fate in &round.fates {
                assert!(!matches!(fate, Fate::Contradiction | Fate::Drop(Fate::UNDECLARED)), "{fate:?}");
                if let Fate::Forward(bytes) | Fate::Gate(_, bytes) = fate {
                    last.clone_from(bytes);
                }
            }
            if let Some(emitted) = round.emitted.last() {
                last.clone_from(&emitted.bytes);
            }
        }
        if step.0 & 0x80 != 0 {
            stand.tick(now);
        }
    }
    check_state(world, prepared, worker, &mut stand);
    if prepared.kind() == "nat" {
        check_mappings(&mut stand);
    }
    stand.drain(now);
}

/// A fresh instance takes in all state, and then says the same.
fn check_state(world: &World, prepared: &dyn Prepared, worker: WorkerSite, stand: &mut Stand) {
    let export = |stand: &mut Stand| match stand.export(&Selector::default()) {
        Ok(records) => records,
        Err(StateError::Unsupported) => Vec::new(),
        Err(error) => panic!("{error}"),
    };
    let records = export(stand);
    if records.is_empty() {
        return;
    }
    let mut fresh = Stand::new(&world.pools, prepared, worker);
    let state = fresh.state().expect("it has state");
    state.import(&records).unwrap_or_else(|error| panic!("{error}: {records:#?}"));
    let sorted = |mut records: Vec<Record>| {
        records.sort_by_key(|record| (record.kind.clone(), record.key.to_string()));
        records
    };
    assert_eq!(sorted(export(&mut fresh)), sorted(records));
}

/// No two endpoints inside share one outside.
fn check_mappings(stand: &mut Stand) {
    let shown = stand.command("mappings", &json!({})).expect("an answer");
    let mappings = shown["mappings"].as_array().map_or(&[][..], Vec::as_slice);
    let outside = |mapping: &Value| (mapping["proto"].to_string(), mapping["outside"].to_string());
    let outsides: HashSet<(String, String)> = mappings.iter().map(outside).collect();
    assert_eq!(outsides.len(), mappings.len(), "{shown}");
}
