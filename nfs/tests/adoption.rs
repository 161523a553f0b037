//! A change of configuration while packets wait: they go along, as far as the new configuration has a place for them.

use dpdk::{Eal, EalOptions};
use engine::{Input, Packing, Prepared, Round, Site, Stand, StandPools, Time, WorkerSite};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use wire::builder::Builder;

const START: Time = Time::from_nanos(1_700_000_000_000_000_000);
const WORKER: WorkerSite = WorkerSite { index: 0, count: 1, seed: 1 };

fn prepared(kind: &str, config: &str) -> Arc<dyn Prepared> {
    let registry = nfs::registry();
    let config = toml::de::ValueDeserializer::parse(config).expect("TOML");
    let configured = registry.get(kind).expect(kind).configure(config).expect("a configuration");
    configured.prepare(&Site { workers: 1, ..Site::default() }).expect("a good one")
}

/// A frame of 1000 bytes to a port, over UDP or TCP.
fn frame(udp: bool, port: u16) -> Vec<u8> {
    let builder =
        Builder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]).ipv4([10, 0, 0, 1], [10, 0, 0, 2]);
    let builder = if udp { builder.udp(1, port) } else { builder.tcp(1, port) };
    builder.payload(&vec![0; if udp { 958 } else { 946 }]).build()
}

fn give(stand: &mut Stand, frames: &[Vec<u8>]) {
    let inputs: Vec<Input<'_>> = frames.iter().map(|frame| Input { bytes: frame, ingress: 0 }).collect();
    stand.run(&inputs, Packing::Contiguous, START).expect("room");
}

/// Destination ports of what left, in order.
fn ports(round: &Round) -> Vec<u16> {
    let port = |frame: &Vec<u8>| wire::parse(frame).ports(frame).map_or(0, |(_, port)| port);
    round.emitted.iter().map(|emitted| port(&emitted.bytes)).collect()
}

/// Packets dropped under the reason of that name.
fn dropped(stand: &Stand, names: &[&str], name: &str) -> u64 {
    let place = names.iter().position(|known| *known == name).expect(name);
    stand.stats().drops[place].get()
}

#[test]
fn packets_that_wait_go_along_with_a_change_of_configuration() {
    let eal = Eal::init(&EalOptions { memory_mb: 64, ..EalOptions::default() }).expect("DPDK");
    let pools = StandPools::new(&eal, 256).expect("packet memory");

    // 1 000 bytes per millisecond; three frames fit into the bucket.
    let classes = |udp: &str, tcp: &str| {
        format!(
            "{{ rate = \"8mbit\", burst = 3600, class = [{{ name = \"{udp}\", match = \"udp\" }}, \
             {{ name = \"{tcp}\", match = \"tcp\", queue = 2, priority = 1 }}] }}"
        )
    };
    let before = prepared("shaper", &classes("voice", "bulk"));
    let mut old = Stand::new(&pools, before.as_ref(), WORKER);
    let frames: Vec<_> = (0..8).map(|n| frame(true, n)).chain((100..103).map(|n| frame(false, n))).collect();
    give(&mut old, &frames);
    assert_eq!(old.stats().held(), 5 + 2, "three went, five and two wait, one found no room");
    old.command("set", &json!({ "class": "bulk", "ceil": "4mbit" })).expect("a ceiling");

    // The same configuration: everything stays, the command too.
    let mut same = Stand::new(&pools, before.as_ref(), WORKER);
    same.adopt(old, START);
    let shown = same.command("show", &json!({})).expect("shown");
    assert_eq!(shown["classes"][1]["ceil"], "4mbit");
    assert_eq!(shown["classes"][0]["waiting"], 5);
    assert_eq!(ports(&same.tick(START + Duration::from_millis(1))), [3], "and the bucket was as it was");

    // Another one, without a class for TCP of the old name.
    let after = prepared("shaper", &classes("voice", "rest"));
    let mut new = Stand::new(&pools, after.as_ref(), WORKER);
    new.adopt(same, START + Duration::from_millis(1));
    assert_eq!(dropped(&new, after.drops(), "class_removed"), 2);
    assert_eq!(ports(&new.tick(START + Duration::from_millis(3))), [4, 5]);
    assert_eq!(ports(&new.drain(START + Duration::from_millis(3))), [6, 7]);
    assert_eq!(new.stats().held(), 0);

    // A line that becomes shorter drops what arrives last.
    let line = |limit| prepared("netem", &format!("{{ delay = \"10ms\", limit = {limit} }}"));
    let mut old = Stand::new(&pools, line(100).as_ref(), WORKER);
    give(&mut old, &frames);
    let shorter = line(4);
    let mut new = Stand::new(&pools, shorter.as_ref(), WORKER);
    new.adopt(old, START);
    assert_eq!(dropped(&new, shorter.drops(), "over_limit"), 7);
    assert_eq!(ports(&new.tick(START + Duration::from_millis(9))), [0u16; 0]);
    assert_eq!(ports(&new.tick(START + Duration::from_millis(10))), [0, 1, 2, 3]);
    assert_eq!(new.stats().held(), 0);
    drop(new);
    assert_eq!(pools.in_use(), 0, "no buffer is lost");
}

#[test]
fn fragments_that_wait_for_their_first_are_bounded_and_go_along() {
    let eal = Eal::init(&EalOptions { memory_mb: 64, ..EalOptions::default() }).expect("DPDK");
    let pools = StandPools::new(&eal, 512).expect("packet memory");
    let nat = |pool: &str| {
        let pool = format!("[\"203.0.113.1\"{pool}]");
        prepared("nat", &format!("{{ inside = [\"10.0.0.0/8\"], pool = {pool}, capacity = 64 }}"))
    };
    let before = nat("");
    let reason = "fragment_without_first";
    let mut old = Stand::new(&pools, before.as_ref(), WORKER);
    let pieces = |id: u32| {
        let datagram = Builder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
            .ipv4([10, 0, 0, 1], [192, 0, 2, 1])
            .udp(4000, 53)
            .payload_len(2800);
        wire::builder::fragments(&datagram.build(), 1500, id)
    };
    for id in 0..300 {
        give(&mut old, &pieces(id)[1..]);
    }
    assert_eq!(dropped(&old, before.drops(), reason), 44, "the oldest give way to the newest 256");

    let after = nat(", \"203.0.113.2\"");
    let mut new = Stand::new(&pools, after.as_ref(), WORKER);
    assert!(new.adopt(old, START).emitted.is_empty());
    let first = &pieces(299)[0];
    let input = Input { bytes: first, ingress: 0 };
    let round = new.run(&[input], Packing::Contiguous, START).expect("room");
    assert_eq!(round.emitted.len(), 1, "the one that it belongs to follows it");
    assert!(!round.emitted[0].created);
    assert_eq!(round.emitted[0].bytes[26..29], [203, 0, 113], "translated");
    new.tick(START + Duration::from_secs(3));
    assert_eq!(dropped(&new, after.drops(), reason), 255, "the others have waited for too long");
    drop(new);
    assert_eq!(pools.in_use(), 0);
}
