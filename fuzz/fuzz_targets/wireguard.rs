//! Any messages to a WireGuard end that has a session: as they come, and real ones with other bytes. No packet is lost,
//! no message is taken twice, and the session goes on.
#![no_main]

use engine::{Fate, Input, Packing, Prepared, Site, Stand, StandPools, Time, WorkerSite};
use libfuzzer_sys::fuzz_target;
use std::cell::LazyCell;
use std::sync::Arc;
use std::time::Duration;
use toml::de::{DeTable, DeValue, ValueDeserializer};
use wire::builder::Builder;

const KEYS: [&str; 4] = [
    "AKeZaHwBxjiKLFnkY2unvEdOTtg4AL+M9dQXfopFVFk=",
    "Igge9KzRytKNwrgkzDE/8hrLu6Ly0OqVdvOPWhA5KR4=",
    "cFIxTUyBs1Qil414hBwEgvasEax8CKJ5IS5ZougplWs=",
    "YDCttCs9e1J52/g9vEnwJJa+2x6RqaayAYMpSVQfGEY=",
];

struct World {
    pools: StandPools,
    ends: [Arc<dyn Prepared>; 2],
}

thread_local! {
    static WORLD: LazyCell<World> = const { LazyCell::new(world) };
}

fn world() -> World {
    let eal = dpdk::Eal::init(&dpdk::EalOptions::default()).expect("DPDK starts without hugepages");
    let pools = StandPools::new(&eal, 256).expect("memory");
    std::mem::forget(eal);
    let registry = nfs::registry();
    let end = |own: &str, other: &str, near: u8, far: u8| {
        let config = format!(
            "private_key = \"{own}\"\nlocal = \"10.0.0.{near}\"\n\
             macs = {{ source = \"02:00:00:00:00:01\", destination = \"02:00:00:00:00:02\" }}\n\
             peers = [{{ public_key = \"{other}\", allowed = [\"10.{far}.0.0/16\"], endpoint = \"10.0.0.{far}:51820\" }}]\n"
        );
        let table = DeTable::parse(&config).expect("TOML");
        let span = table.span();
        let table = toml::Spanned::new(span, DeValue::Table(table.into_inner()));
        let entry = registry.get("wireguard").expect("a kind");
        let configured = entry.configure(ValueDeserializer::from(table)).expect("a configuration");
        configured.prepare(&Site::default()).expect("one that can be had")
    };
    World { pools, ends: [end(KEYS[0], KEYS[3], 1, 2), end(KEYS[2], KEYS[1], 2, 1)] }
}

const NOW: Time = Time::from_nanos(1_700_000_000_000_000_000);

/// One packet; whether it came through, and what is sent besides.
fn offer(stand: &mut Stand, frame: &[u8], packing: Packing) -> Option<(Fate, Vec<Vec<u8>>)> {
    let mut round = stand.run(&[Input { bytes: frame, ingress: 0 }], packing, NOW).ok()?;
    let sent = round.emitted.into_iter().map(|emitted| emitted.bytes).collect();
    Some((round.fates.remove(0), sent))
}

fn packet(from: u8, to: u8, bytes: &[u8]) -> Vec<u8> {
    Builder::ethernet([2; 6], [4; 6]).ipv4([10, from, 0, 1], [10, to, 0, 1]).udp(1, 2).payload(bytes).build()
}

/// How a packet is made, whose end it is for, and bytes.
type Step = (u8, bool, Vec<u8>);

fuzz_target!(|steps: Vec<Step>| {
    WORLD.with(|world| run(world, &steps));
    WORLD.with(|world| assert_eq!(world.pools.in_use(), 0, "a packet is lost"));
});

fn run(world: &World, steps: &[Step]) -> Option<()> {
    let worker = WorkerSite { index: 0, count: 1, seed: 1 };
    let mut ends = [0, 1].map(|end| Stand::new(&world.pools, world.ends[end].as_ref(), worker));
    let (_, mut sent) = offer(&mut ends[0], &packet(1, 2, b"first"), Packing::Contiguous)?;
    let (mut to, mut known) = (1, sent.clone());
    while !sent.is_empty() {
        let mut answers = Vec::new();
        for frame in sent {
            answers.extend(offer(&mut ends[to], &frame, Packing::Contiguous)?.1);
        }
        known.extend(answers.iter().cloned());
        (sent, to) = (answers, 1 - to);
    }
    for (what, second, bytes) in steps.iter().take(64) {
        let packing = if what & 0x80 == 0 { Packing::Contiguous } else { Packing::Segmented };
        let bytes = &bytes[..bytes.len().min(2000)];
        let to = usize::from(*second);
        let (near, far) = if *second { (2, 1) } else { (1, 2) };
        let frame = match what % 4 {
            0 => {
                let frame = Builder::ethernet([2; 6], [4; 6]).ipv4([10, 0, 0, far], [10, 0, 0, near]);
                frame.udp(51820, 51820).payload(bytes).build()
            }
            1 => packet(near, far, bytes),
            2 if bytes.len() > 13 => bytes.to_vec(),
            // A real one with other bytes in its message; its checksum is left out.
            _ => {
                let mut frame = known[usize::from(what >> 2) % known.len()].clone();
                let len = frame.len();
                for pair in bytes.chunks_exact(2).filter(|_| len > 42) {
                    frame[42 + usize::from(pair[0]) % (len - 42)] ^= pair[1];
                }
                frame[40..42].fill(0);
                frame
            }
        };
        let (fate, sent) = offer(&mut ends[to], &frame, packing)?;
        assert!(!matches!(fate, Fate::Contradiction | Fate::Drop(Fate::UNDECLARED)), "{fate:?}");
        if let Fate::Forward(bytes) = fate {
            if known.len() < 64 && what % 4 == 1 {
                let (fate, _) = offer(&mut ends[1 - to], &bytes, packing)?;
                assert!(matches!(fate, Fate::Forward(_)), "the session goes on: {fate:?}");
                let (fate, _) = offer(&mut ends[1 - to], &bytes, packing)?;
                assert_eq!(fate, Fate::Drop("replayed"));
                known.push(bytes);
            }
        }
        known.extend(sent.into_iter().take(64usize.saturating_sub(known.len())));
        ends[to].tick(NOW + Duration::from_secs(1));
    }
    Some(())
}
