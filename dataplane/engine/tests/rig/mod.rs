//! A rig for tests of the whole engine: small NFs, and plans around them.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod branches;

use engine::{
    Affinity, Buffers, Burst, ChainPlan, CommandError, ConfigError, Cx, Device, Effects, Gates, Idle, Kind,
    Nf, NfPlan, OnPanic, Ownership, Part, Plan, PortPlan, Reason, Registry, Site, StateKind, Time,
    WorkerSite,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tables::expression::Expression;
use wire::FlowKey;

pub fn eal() -> dpdk::Eal {
    dpdk::Eal::init(&dpdk::EalOptions::default()).expect("DPDK starts without hugepages")
}

/// A capture of the examples.
pub fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/captures").join(name)
}

/// A file of this test's own.
pub fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", std::process::id()))
}

pub fn registry() -> Registry {
    Registry::new()
        .with::<Flooder>()
        .with::<Witness>()
        .with::<Bomb>()
        .with::<Delay>()
        .with::<Doubler>()
        .with::<Hopper>()
        .with::<Sleeper>()
        .with::<branches::Marker>()
        .with::<branches::Sieve>()
}

/// An NF of the registry, prepared.
pub fn nf(name: &str, kind: &str, config: &str) -> NfPlan {
    let registry = registry();
    let entry = registry.get(kind).expect("a kind of the rig");
    let config = toml::de::ValueDeserializer::parse(config).expect("TOML");
    let configured = entry.configure(config).expect("a configuration of the kind");
    let site = Site { name: name.to_owned(), ..Site::default() };
    NfPlan {
        name: name.to_owned(),
        prepared: configured.prepare(&site).expect("prepared"),
        on_panic: OnPanic::Drop,
        snapshot: None,
    }
}

pub fn port(name: &str, device: Device) -> PortPlan {
    PortPlan::new(name, device)
}

pub fn vdev(name: &str, device: &str) -> PortPlan {
    port(name, Device::Dpdk(device.to_owned()))
}

/// One chain over all NFs from the first port to the second, with workers that share the cores there are.
pub fn plan(workers: usize, ports: Vec<PortPlan>, nfs: Vec<NfPlan>) -> Plan {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let path = (0..nfs.len()).collect();
    Plan {
        cores: (0..workers).map(|worker| worker % cores).collect(),
        helpers: Vec::new(),
        idle: Idle::Adaptive,
        buffers: Buffers::default(),
        ports,
        nfs,
        chains: vec![chain("chain", "all", path)],
        seed: 7,
    }
}

pub fn chain(name: &str, matcher: &str, path: Vec<usize>) -> ChainPlan {
    let matcher = Expression::parse(matcher).expect("an expression");
    ChainPlan { name: name.to_owned(), from: 0, matcher, path, to: vec![1], parallel: None }
}

/// A configuration without keys.
#[derive(Serialize, Deserialize, JsonSchema, Clone)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Notes which worker sees which flow. Which notebook: by name, as configurations are only text.
pub struct Witness {
    worker: usize,
}

/// What all witnesses of the process have seen: worker, and the flow as it came.
pub static SEEN: Mutex<Vec<(usize, FlowKey)>> = Mutex::new(Vec::new());

impl Nf for Witness {
    fn process(&mut self, burst: &mut Burst, _cx: &mut Cx<'_>) {
        let mut seen = SEEN.lock().expect("no witness panics");
        for i in 0..burst.len() {
            let headers = burst.headers(i);
            if let Some(key) = FlowKey::of_flow(&headers, burst.bytes(i)) {
                seen.push((self.worker, key));
            }
        }
    }

    fn split(&mut self, _owner: &dyn Fn(&FlowKey) -> usize) -> Vec<(usize, Part)> {
        Vec::new()
    }
}

impl Kind for Witness {
    const NAME: &'static str = "witness";
    const SUMMARY: &'static str = "notes which worker sees which flow";
    type Config = Nothing;
    type Plan = ();

    fn prepare(_config: &Nothing, _site: &Site) -> Result<(), ConfigError> {
        Ok(())
    }
    fn effects(_plan: &()) -> Effects {
        Effects { affinity: Affinity::Flow, state: StateKind::Report, ..Effects::NONE }
    }
    fn instance(_plan: &Arc<()>, worker: &WorkerSite) -> Self {
        Witness { worker: worker.index }
    }
}

/// Panics at its `at`-th packet, once per instance.
pub struct Bomb {
    left: u64,
}

#[derive(Serialize, Deserialize, JsonSchema, Clone)]
#[serde(deny_unknown_fields)]
pub struct Fuse {
    at: u64,
}

impl Nf for Bomb {
    fn process(&mut self, burst: &mut Burst, _cx: &mut Cx<'_>) {
        self.left = self.left.saturating_sub(burst.len() as u64);
        assert!(self.left > 0, "the bomb of the test went off, as it should");
    }

    fn command(
        &mut self,
        name: &str,
        _arguments: &serde_json::Value,
    ) -> Result<serde_json::Value, CommandError> {
        panic!("the bomb of the test was told to {name}, and goes off");
    }

    fn adopt(&mut self, _old: Box<dyn Nf>, _cx: &mut Cx<'_>) {
        panic!("the bomb of the test is to take over, and goes off");
    }
}

impl Kind for Bomb {
    const NAME: &'static str = "bomb";
    const SUMMARY: &'static str = "panics";
    type Config = Fuse;
    type Plan = u64;

    fn prepare(config: &Fuse, _site: &Site) -> Result<u64, ConfigError> {
        Ok(config.at)
    }
    fn effects(_plan: &u64) -> Effects {
        Effects { may_drop: true, ..Effects::NONE }
    }
    fn instance(plan: &Arc<u64>, _worker: &WorkerSite) -> Self {
        Bomb { left: **plan }
    }
}

/// Holds every packet for `millis`.
pub struct Delay {
    by: Duration,
    held: VecDeque<(Time, engine::Packet)>,
}

#[derive(Serialize, Deserialize, JsonSchema, Clone)]
#[serde(deny_unknown_fields)]
pub struct DelayConfig {
    millis: u64,
}

const FULL: Reason = Reason::new(0);

impl Nf for Delay {
    fn process(&mut self, burst: &mut Burst, cx: &mut Cx<'_>) {
        for i in 0..burst.len() {
            if self.held.len() == 4096 {
                burst.drop(i, FULL);
            } else if let Some(packet) = burst.take(i) {
                self.held.push_back((cx.now() + self.by, packet));
            }
        }
    }
    fn tick(&mut self, cx: &mut Cx<'_>) {
        while self.held.front().is_some_and(|(due, _)| *due <= cx.now())
            && cx.emit_room() > 0
            && let Some((_, packet)) = self.held.pop_front()
        {
            cx.emit(0, packet);
        }
    }
    fn drain(&mut self, cx: &mut Cx<'_>) {
        while cx.emit_room() > 0
            && let Some((_, packet)) = self.held.pop_front()
        {
            cx.emit(0, packet);
        }
    }
    fn adopt(&mut self, old: Box<dyn Nf>, _cx: &mut Cx<'_>) {
        if let Ok(old) = (old as Box<dyn std::any::Any>).downcast::<Delay>() {
            self.held = old.held;
        }
    }
}

impl Kind for Delay {
    const NAME: &'static str = "delay";
    const SUMMARY: &'static str = "holds packets";
    const DROPS: &'static [&'static str] = &["full"];
    type Config = DelayConfig;
    type Plan = u64;

    fn prepare(config: &DelayConfig, _site: &Site) -> Result<u64, ConfigError> {
        Ok(config.millis)
    }
    fn effects(_plan: &u64) -> Effects {
        Effects { holds: true, may_drop: true, ..Effects::NONE }
    }
    fn instance(plan: &Arc<u64>, _worker: &WorkerSite) -> Self {
        Delay { by: Duration::from_millis(**plan), held: VecDeque::with_capacity(4096) }
    }
}

/// Sends a copy of every packet behind the packet itself.
pub struct Doubler;

impl Nf for Doubler {
    fn process(&mut self, burst: &mut Burst, cx: &mut Cx<'_>) {
        for i in 0..burst.len() {
            if let Some(copy) = burst.copy(i) {
                cx.emit(0, copy);
            }
        }
    }
}

impl Kind for Doubler {
    const NAME: &'static str = "doubler";
    const SUMMARY: &'static str = "doubles packets";
    type Config = Nothing;
    type Plan = ();

    fn prepare(_config: &Nothing, _site: &Site) -> Result<(), ConfigError> {
        Ok(())
    }
    fn effects(_plan: &()) -> Effects {
        Effects { may_create: true, ..Effects::NONE }
    }
    fn instance(_plan: &Arc<()>, _worker: &WorkerSite) -> Self {
        Doubler
    }
}

/// Adds [`HOP`] to the destination port of packets that were not with it before, and wants to see them again. A packet
/// belongs to the worker of its destination port.
pub struct Hopper {
    worker: usize,
}

/// More than any destination port that comes in.
pub const HOP: u16 = 1 << 15;

/// What all hoppers have seen, in order: worker, and the flow as it came.
pub static HOPS: Mutex<Vec<(usize, FlowKey)>> = Mutex::new(Vec::new());

pub struct ByPort;

impl Ownership for ByPort {
    fn says(&self) -> String {
        "ByPort".to_owned()
    }

    fn owner(&self, flow: &FlowKey) -> u32 {
        u32::from(flow.destination_port() % HOP * 7 + flow.destination_port() / HOP)
    }
}

impl Nf for Hopper {
    fn process(&mut self, burst: &mut Burst, cx: &mut Cx<'_>) {
        for i in 0..burst.len() {
            let headers = burst.headers(i);
            let Some(key) = FlowKey::of_flow(&headers, burst.bytes(i)) else { continue };
            HOPS.lock().expect("no hopper panics").push((self.worker, key));
            if key.destination_port() >= HOP {
                continue;
            }
            let at = headers.l4_offset().expect("UDP") + 2;
            if let Some(bytes) = burst.bytes_mut(i) {
                bytes[at] |= 0x80;
            }
            if let Some(packet) = burst.take(i) {
                cx.again(packet);
            }
        }
    }
}

impl Kind for Hopper {
    const NAME: &'static str = "hopper";
    const SUMMARY: &'static str = "sees every packet twice";
    type Config = Nothing;
    type Plan = ();

    fn prepare(_config: &Nothing, _site: &Site) -> Result<(), ConfigError> {
        Ok(())
    }
    fn effects(_plan: &()) -> Effects {
        Effects { affinity: Affinity::Owned, holds: true, ..Effects::NONE }
    }
    fn ownership(_plan: &Arc<()>) -> Option<Arc<dyn Ownership>> {
        Some(Arc::new(ByPort))
    }
    fn instance(_plan: &Arc<()>, worker: &WorkerSite) -> Self {
        Hopper { worker: worker.index }
    }
}

/// Sends every packet out of all of `gates` gates.
pub struct Flooder {
    gates: u8,
}

#[derive(Serialize, Deserialize, JsonSchema, Clone)]
#[serde(deny_unknown_fields)]
pub struct FlooderConfig {
    gates: u8,
}

impl Nf for Flooder {
    fn process(&mut self, burst: &mut Burst, cx: &mut Cx<'_>) {
        for i in 0..burst.len() {
            for gate in 1..self.gates {
                if let Some(copy) = burst.copy(i) {
                    cx.emit(gate, copy);
                }
            }
        }
    }
}

impl Kind for Flooder {
    const NAME: &'static str = "flooder";
    const SUMMARY: &'static str = "floods packets";
    const GATES: Gates = Gates::Ports;
    type Config = FlooderConfig;
    type Plan = u8;

    fn prepare(config: &FlooderConfig, _site: &Site) -> Result<u8, ConfigError> {
        Ok(config.gates)
    }
    fn effects(_plan: &u8) -> Effects {
        Effects { may_create: true, ..Effects::NONE }
    }
    fn instance(plan: &Arc<u8>, _worker: &WorkerSite) -> Self {
        Flooder { gates: **plan }
    }
}

/// Sleeps once, for `millis`.
pub struct Sleeper {
    left: Option<Duration>,
}

impl Nf for Sleeper {
    fn process(&mut self, _burst: &mut Burst, _cx: &mut Cx<'_>) {
        if let Some(time) = self.left.take() {
            std::thread::sleep(time);
        }
    }
}

impl Kind for Sleeper {
    const NAME: &'static str = "sleeper";
    const SUMMARY: &'static str = "sleeps";
    type Config = DelayConfig;
    type Plan = u64;

    fn prepare(config: &DelayConfig, _site: &Site) -> Result<u64, ConfigError> {
        Ok(config.millis)
    }
    fn effects(_plan: &u64) -> Effects {
        Effects::NONE
    }
    fn instance(plan: &Arc<u64>, _worker: &WorkerSite) -> Self {
        Sleeper { left: Some(Duration::from_millis(**plan)) }
    }
}

/// Waits until the captures are played, or fails the test.
pub fn wait_exhausted(engine: &engine::Engine) {
    let start = std::time::Instant::now();
    while !engine.exhausted() {
        assert!(start.elapsed() < Duration::from_secs(60), "the capture is not played after a minute");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// All frames of a capture with their times.
pub fn frames(path: &Path) -> Vec<(u64, Vec<u8>)> {
    let mut reader = capture::Reader::open(path).expect("a capture");
    let mut frames = Vec::new();
    while let Some(frame) = reader.next().expect("a readable capture") {
        frames.push((frame.timestamp_ns, frame.bytes.to_vec()));
    }
    frames
}

/// Fails with the first frame that differs.
pub fn assert_same_frames(expected: &Path, found: &Path) {
    let (expected, found) = (frames(expected), frames(found));
    for (number, (expected, found)) in expected.iter().zip(&found).enumerate() {
        assert_eq!(expected, found, "frame {} of {}", number + 1, found.1.len());
    }
    assert_eq!(expected.len(), found.len(), "number of frames");
}
