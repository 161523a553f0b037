//! Any ESP packets to a tunnel's end: as they come, sealed under its key with any text inside, and in between. No
//! packet is lost, none comes twice, and the window leaves and comes back as it is.
#![no_main]

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use engine::{Fate, Input, Packing, Prepared, Selector, Site, Stand, StandPools, Time, WorkerSite};
use libfuzzer_sys::fuzz_target;
use std::cell::LazyCell;
use std::sync::Arc;
use toml::de::{DeTable, DeValue, ValueDeserializer};
use wire::builder::Builder;

const CONFIG: &str = "
other = \"pass\"
[[tunnels]]
name = \"t\"
local = \"10.0.0.1\"
remote = \"10.0.0.2\"
replay_window = 64
selectors = [{ local = \"0.0.0.0/0\", remote = \"0.0.0.0/0\" }, { local = \"::/0\", remote = \"::/0\" }]
outbound = [{ spi = 300, keymat = \"000102030405060708090a0b0c0d0e0f10111213\" }]
inbound = [
  { spi = 256, keymat = \"000102030405060708090a0b0c0d0e0f10111213\" },
  { spi = 257, keymat = \"000102030405060708090a0b0c0d0e0f10111213\", esn = true },
]
[[tunnels]]
name = \"nat\"
local = \"10.0.0.1\"
remote = \"10.0.0.3\"
udp = {}
selectors = [{ local = \"10.1.0.0/16\", remote = \"10.2.0.0/16\" }]
inbound = [{ spi = 258, keymat = \"000102030405060708090a0b0c0d0e0f10111213\" }]
";

struct World {
    pools: StandPools,
    prepared: Arc<dyn Prepared>,
    key: LessSafeKey,
}

thread_local! {
    static WORLD: LazyCell<World> = const { LazyCell::new(world) };
}

fn world() -> World {
    let eal = dpdk::Eal::init(&dpdk::EalOptions::default()).expect("DPDK starts without hugepages");
    let pools = StandPools::new(&eal, 64).expect("memory");
    std::mem::forget(eal);
    let table = DeTable::parse(CONFIG).expect("TOML");
    let span = table.span();
    let table = toml::Spanned::new(span, DeValue::Table(table.into_inner()));
    let registry = nfs::registry();
    let entry = registry.get("vpn").expect("a kind");
    let configured = entry.configure(ValueDeserializer::from(table)).expect("a configuration");
    let prepared = configured.prepare(&Site::default()).expect("one that can be had");
    let digits: Vec<u8> = (0..16).collect();
    World { pools, prepared, key: LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &digits).expect("a key")) }
}

/// How a packet is made: what of it, SPI, sequence number, bytes.
type Step = (u8, u8, u64, Vec<u8>);

impl World {
    /// A text sealed as the other end would.
    fn sealed(&self, spi: u32, sequence: u64, text: &[u8]) -> Vec<u8> {
        let mut aad = spi.to_be_bytes().to_vec();
        if spi == 257 {
            aad.extend(sequence.to_be_bytes());
        } else {
            aad.extend((sequence as u32).to_be_bytes());
        }
        let iv = sequence.to_be_bytes();
        let mut nonce = [16, 17, 18, 19, 0, 0, 0, 0, 0, 0, 0, 0];
        nonce[4..].copy_from_slice(&iv);
        let mut sealed = text.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(nonce, Aad::from(aad), &mut sealed).expect("sealed");
        [&spi.to_be_bytes()[..], &(sequence as u32).to_be_bytes(), &iv, &sealed].concat()
    }

    fn frame(&self, step: &Step, last: &[u8]) -> Vec<u8> {
        let (what, spi, sequence, bytes) = step;
        let spi = 256 + u32::from(spi % 4);
        let bytes = &bytes[..bytes.len().min(2000)];
        let esp = match what % 4 {
            0 => bytes.to_vec(),
            1 => self.sealed(spi, *sequence, bytes),
            // With a trailer that is right, and a packet's beginning.
            2 => {
                let mut text = vec![0x45, 0, 0, (bytes.len() + 20) as u8, 0, 0, 0, 0, 64, 17, 0, 0];
                text.extend([10, 2, 0, 1, 10, 1, 0, 1]);
                text.extend(bytes);
                let padding = (4 - (text.len() + 2) % 4) % 4;
                text.extend((1..=padding as u8).chain([padding as u8, 4]));
                self.sealed(spi, sequence % 200, &text)
            }
            _ => return last.to_vec(),
        };
        let frame = Builder::ethernet([2; 6], [4; 6]);
        if spi == 258 {
            frame.ipv4([10, 0, 0, 9], [10, 0, 0, 1]).udp(4500, 4500).payload(&esp).build()
        } else {
            frame.ipv4([10, 0, 0, 2], [10, 0, 0, 1]).protocol(50).payload(&esp).build()
        }
    }
}

fuzz_target!(|steps: Vec<Step>| {
    WORLD.with(|world| run(world, &steps));
    WORLD.with(|world| assert_eq!(world.pools.in_use(), 0, "a packet is lost"));
});

fn run(world: &World, steps: &[Step]) {
    let worker = WorkerSite { index: 0, count: 1, seed: 1 };
    let stand = || Stand::new(&world.pools, world.prepared.as_ref(), worker);
    let mut end = stand();
    let (mut now, mut last) = (Time::from_nanos(1_700_000_000_000_000_000), Vec::new());
    for step in steps.iter().take(64) {
        now = now + std::time::Duration::from_millis(1);
        let frame = world.frame(step, &last);
        if frame.len() < 14 {
            continue;
        }
        let packing = if step.0 & 0x80 == 0 { Packing::Contiguous } else { Packing::Segmented };
        let mut offer = || end.run(&[Input { bytes: &frame, ingress: 0 }], packing, now);
        let Ok(first) = offer() else { return };
        let Ok(again) = offer() else { return };
        let opened = |fate: &Fate| matches!(fate, Fate::Forward(bytes) if *bytes != frame && bytes.len() < frame.len());
        assert!(!matches!(first.fates[0], Fate::Contradiction | Fate::Drop(Fate::UNDECLARED)));
        assert!(!(opened(&first.fates[0]) && opened(&again.fates[0])), "it came twice");
        if let Fate::Forward(bytes) = &first.fates[0] {
            last.clone_from(bytes);
        }
    }
    let records = end.export(&Selector::default()).expect("state");
    let mut other = stand();
    other.state().expect("state").import(&records).expect("taken");
    assert_eq!(other.export(&Selector::default()).expect("state"), records);
}
