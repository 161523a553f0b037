//! A real engine in which what NFs take changes, and the chain with it, while packets go round and round.
//!
//! The one port is a ring: what is sent into it comes out of it. So every packet comes back, one after the other, and one
//! that is lost, doubled or overtaken is seen at once.

use control::{Config, Controller, EngineHandle, Watch};
use engine::{Burst, ConfigError, Cx, Effects, Engine, Kind, Nf, Registry, Site, StateKind, WorkerSite};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use wire::{Field, Fields};

/// Packets that go round.
const PACKETS: u64 = 512;
/// Where a frame has its number.
const NUMBER: usize = 20;

/// What the burners take now, in TSC cycles per packet.
static CYCLES: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];
/// Whether the packets have been made.
static MADE: AtomicBool = AtomicBool::new(false);
/// The number that has to come next, how many came, and how many were others.
static NEXT: AtomicU64 = AtomicU64::new(0);
static CAME: AtomicU64 = AtomicU64::new(0);
static WRONG: AtomicU64 = AtomicU64::new(0);

/// Reads addresses for as long as it is told.
struct Burner {
    which: usize,
}

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct BurnerConfig {
    which: usize,
}

impl Nf for Burner {
    fn process(&mut self, burst: &mut Burst, _: &mut Cx<'_>) {
        let until = dpdk::tsc() + CYCLES[self.which].load(Relaxed) * burst.len() as u64;
        while dpdk::tsc() < until {
            std::hint::spin_loop();
        }
    }
}

impl Kind for Burner {
    const NAME: &'static str = "burner";
    const SUMMARY: &'static str = "takes its time";
    type Config = BurnerConfig;
    type Plan = usize;

    fn prepare(config: &BurnerConfig, _: &Site) -> Result<usize, ConfigError> {
        Ok(config.which.min(CYCLES.len() - 1))
    }
    fn effects(_: &usize) -> Effects {
        Effects { reads: Fields::of(&[Field::EthSrc]), ..Effects::NONE }
    }
    fn instance(plan: &Arc<usize>, _: &WorkerSite) -> Self {
        Burner { which: **plan }
    }
}

/// Makes the packets, once, and looks at what comes. It says that it writes what burners read, so it comes after them.
struct Counter;

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CounterConfig {}

impl Nf for Counter {
    fn process(&mut self, burst: &mut Burst, _: &mut Cx<'_>) {
        for i in 0..burst.len() {
            let bytes = burst.bytes(i).get(NUMBER..NUMBER + 8).and_then(|bytes| bytes.first_chunk());
            let number = bytes.map_or(u64::MAX, |bytes| u64::from_be_bytes(*bytes));
            if number != NEXT.load(Relaxed) {
                WRONG.fetch_add(1, Relaxed);
            }
            NEXT.store((number + 1) % PACKETS, Relaxed);
            CAME.fetch_add(1, Relaxed);
        }
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        if MADE.swap(true, Relaxed) {
            return;
        }
        for number in 0..PACKETS {
            let Some(mut packet) = cx.new_packet() else { return };
            let mut frame = [0; 60];
            frame[NUMBER..NUMBER + 8].copy_from_slice(&number.to_be_bytes());
            assert!(packet.fill(&frame), "a frame fits into a buffer");
            cx.emit(0, packet);
        }
    }
}

impl Kind for Counter {
    const NAME: &'static str = "counter";
    const SUMMARY: &'static str = "makes packets and looks at what becomes of them";
    type Config = CounterConfig;
    type Plan = ();

    fn prepare(_: &CounterConfig, _: &Site) -> Result<(), ConfigError> {
        Ok(())
    }
    fn effects(_: &()) -> Effects {
        Effects {
            reads: Fields::of(&[Field::Payload]),
            writes: Fields::of(&[Field::EthSrc]),
            may_create: true,
            state: StateKind::Learns,
            ..Effects::NONE
        }
    }
    fn instance(_: &Arc<()>, _: &WorkerSite) -> Self {
        Counter
    }
}

const CONFIG: &str = r#"
[engine]
helpers = 1
replan = "100ms"
socket = "off"
[ports.loop]
device = "net_ring0"
[nf.first]
kind = "burner"
which = 0
[nf.second]
kind = "burner"
which = 1
[nf.count]
kind = "counter"
[[chain]]
name = "round"
from = "loop"
path = ["first", "second", "count"]
to = "loop"
parallel = "auto"
branch_timeout = "30s"
"#;

/// Sets what the burners take, and waits until the chain runs with so many mirror/merge operations.
fn wait_for(controller: &Controller, cycles: [u64; 2], operations: usize) {
    CYCLES.iter().zip(cycles).for_each(|(place, cycles)| place.store(cycles, Relaxed));
    let begun = Instant::now();
    while controller.chains()[0].operations != operations {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "not {operations} operations: {:#?}",
            controller.chains()
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    let came = CAME.load(Relaxed);
    while CAME.load(Relaxed) < came + 4 * PACKETS {
        assert!(begun.elapsed() < Duration::from_secs(60), "packets go round: {:#?}", controller.chains());
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_chain_goes_side_by_side_and_back_as_its_nfs_get_slow_and_fast_and_no_packet_is_lost_or_overtaken() {
    let eal = dpdk::Eal::init(&dpdk::EalOptions::default()).expect("DPDK starts without hugepages");
    let registry = Registry::new().with::<Burner>().with::<Counter>();
    let config =
        Config::parse(CONFIG, "test.toml", Path::new("/nowhere"), &registry).expect("a configuration");
    let (plan, _) = config.plan().expect("a plan");
    let engine = Arc::new(Engine::start(&eal, plan.clone()).expect("start"));
    let handle: Arc<dyn EngineHandle> = Arc::<Engine>::clone(&engine);
    let controller = Controller::new(handle, registry, config, plan);
    let events = controller.hub.subscribe(vec!["control".to_owned()]);
    let watch = Watch::start(&controller).expect("threads");

    for _ in 0..3 {
        wait_for(&controller, [20_000, 15_000], 1);
        wait_for(&controller, [0, 0], 0);
    }
    drop(watch);
    let end = engine.stop().expect("stop");

    assert_eq!(WRONG.load(Relaxed), 0, "lost or overtaken, of {}", CAME.load(Relaxed));
    assert!(end.packets.dropped.is_empty() && end.packets.balanced(), "{:?}", end.packets);
    assert_eq!(end.packets.created, PACKETS);
    assert_eq!(end.packets.received, end.chains["round"].packets);

    // Each change was told with its reason, and what it cost was measured.
    let told: Vec<String> = events
        .queue
        .try_iter()
        .filter(|event| event.notice.name == "replanned")
        .filter_map(|event| event.notice.detail)
        .collect();
    assert!(told.len() >= 6, "{told:#?}");
    assert!(told[0].contains("from in order to '("), "{told:#?}");
    assert!(told.iter().any(|why| why.contains("first takes") && why.contains("to in order")), "{told:#?}");
    let fork = end.chains["round"].fork.expect("forks were measured");
    assert!(fork.forks > 0 && fork.packets == fork.copies && fork.merge > 0 && fork.mirror > 0, "{fork:?}");
    assert!(fork.handoff > 0, "{fork:?}");
}
