//! NFs outside that fail in every way, and what a configuration may not say.

mod across;

use super::*;
use dpdk::{Eal, EalOptions};
use engine::{Emitted, Input, Packing, Prepared, Stand, StandPools, Time};
use std::collections::VecDeque;
use std::time::Duration;
use wire::checksum::{update_ttl, update_u16};

/// Ports: packets come from 0, and go out by 1 and 3, to come back by 2 and 4.
const PORTS: [&str; 5] = ["lan", "out_a", "in_a", "out_b", "in_b"];

fn site() -> Site {
    Site { ports: PORTS.map(str::to_owned).to_vec(), workers: 1, ..Site::default() }
}

fn plan(config: &str) -> Result<Plan, ConfigError> {
    Plan::new(&toml::from_str(config).expect("a configuration"), &site())
}

const START: Time = Time::from_nanos(1_700_000_000_000_000_000);

fn pools() -> StandPools {
    let file_prefix = format!("external-{}", std::process::id());
    let options = EalOptions { hugepages: false, pci: false, memory_mb: 128, file_prefix, extra: Vec::new() };
    StandPools::new(&Eal::init(&options).expect("EAL"), 8192).expect("packet memory")
}

/// What instances are made of.
fn prepared(config: &str) -> Arc<dyn Prepared> {
    let table = toml::de::DeTable::parse(config).expect("TOML");
    let span = table.span();
    let table = toml::Spanned::new(span, toml::de::DeValue::Table(table.into_inner()));
    let registry = engine::Registry::new().with::<External>();
    let entry = registry.get("external").expect("registered");
    let configured = entry.configure(toml::de::ValueDeserializer::from(table)).expect("a configuration");
    configured.prepare(&site()).expect("a good configuration")
}

/// An NF on its stand, with the NFs that it stands for.
struct Scene {
    pools: StandPools,
    stand: Stand,
    now: Time,
    /// What left by the default gate.
    delivered: Vec<Vec<u8>>,
    /// Answers on their way, by the time at which they arrive.
    answers: VecDeque<(Time, u16, Vec<u8>)>,
}

impl Scene {
    fn new(config: &str) -> Scene {
        let pools = pools();
        let stand = Stand::new(&pools, prepared(config).as_ref(), WorkerSite { index: 0, count: 1, seed: 7 });
        Scene { pools, stand, now: START, delivered: Vec::new(), answers: VecDeque::new() }
    }

    /// A burst of packets from one port; what the NF sends to those outside.
    fn give(&mut self, port: u16, frames: &[Vec<u8>]) -> Vec<(u16, Vec<u8>)> {
        let mut sent = Vec::new();
        for frames in frames.chunks(engine::BURST) {
            let inputs: Vec<_> = frames.iter().map(|bytes| Input { bytes, ingress: port }).collect();
            let round = self.stand.run(&inputs, Packing::Contiguous, self.now).expect("packet memory");
            sent.extend(self.sort(round.emitted));
        }
        sent
    }

    fn sort(&mut self, emitted: Vec<Emitted>) -> Vec<(u16, Vec<u8>)> {
        let mut sent = Vec::new();
        for Emitted { port, bytes, .. } in emitted {
            match port {
                Some(port) => sent.push((port, bytes)),
                None => self.delivered.push(bytes),
            }
        }
        sent
    }

    /// Time passes; answers that are due arrive, and timers run.
    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        while let Some(at) = self.answers.iter().position(|(due, ..)| *due <= self.now) {
            let (_, port, bytes) = self.answers.remove(at).expect("it is there");
            self.give(port, &[bytes]);
        }
        let round = self.stand.tick(self.now);
        self.sort(round.emitted);
    }

    fn counter(&self, name: &str) -> u64 {
        let index = External::COUNTERS.iter().position(|known| *known == name).expect(name);
        self.stand.stats().own[index].get()
    }

    fn drops(&self, name: &str) -> u64 {
        let index = External::DROPS.iter().position(|known| *known == name).expect(name);
        self.stand.stats().drops[index].get()
    }

    fn assert_empty(&mut self) {
        let flight = self.stand.command("flight", &Value::Null).expect("an answer");
        assert_eq!(flight, serde_json::json!({ "in_flight": 0, "held": 0 }));
        assert_eq!(self.stand.stats().held(), 0);
        assert_eq!(self.pools.in_use(), 0, "buffers have leaked");
    }
}

/// Number `seq` of a flow, before (`hops` 64, `class` 0) or after the NFs outside.
fn packet(flow: u32, seq: u32, hops: u8, class: u8) -> Vec<u8> {
    let [.., high, low] = seq.to_be_bytes();
    let text = format!(
        "eth 02:00:00:00:00:0a > 02:00:00:00:00:0b / ipv4 10.0.{flow}.1 > 192.0.2.1 id {} ttl {hops} dscp {class} \
         / udp {} > 53 / hex {seq:08x}{high:02x}{low:02x}",
        seq % 60_000,
        1000 + flow
    );
    harness::packet(&text).expect("a packet")
}

/// A router outside: one hop less.
fn routed(mut frame: Vec<u8>) -> Vec<u8> {
    frame[22] -= 1;
    let sum = update_ttl(u16::from_be_bytes([frame[24], frame[25]]));
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame
}

/// A marker outside: DSCP 10.
fn classed(mut frame: Vec<u8>) -> Vec<u8> {
    let word = |frame: &[u8], at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
    let before = word(&frame, 14);
    frame[15] = 10 << 2;
    let sum = update_u16(word(&frame, 24), before, word(&frame, 14));
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame
}

/// Flows that nothing happens to.
const GOOD: u32 = 8;
/// One flow for each way to fail, and one whose packets come back in another order.
const DROPPED: u32 = 8;
const TWICE: u32 = 9;
const CHANGED: u32 = 10;
const TOO_LATE: u32 = 11;
const CUT: u32 = 12;
const TURNED: u32 = 13;
const NOISE: u32 = 14;
const FLOWS: u32 = 15;
/// Packets of the whole scene.
const PACKETS: u32 = 100_000;

/// What the NF behind `port` does with a packet of the flow: its answers, and how much later they come.
fn answers(flow: u32, seq: u32, good: Vec<u8>) -> Vec<(u64, Vec<u8>)> {
    let noise = |len: usize| (0..len).map(|i| (i as u32).wrapping_mul(seq) as u8).collect::<Vec<u8>>();
    match flow {
        DROPPED => vec![],
        TWICE => vec![(0, good.clone()), (1, good.clone()), (30, good)],
        CHANGED => {
            let mut changed = good;
            changed[31] ^= 0x55;
            vec![(0, changed)]
        }
        TOO_LATE => vec![(25, good)],
        CUT => vec![(0, good[..good.len() - 3].to_vec())],
        // Every second one is overtaken.
        TURNED if seq.is_multiple_of(2) => vec![(3, good)],
        NOISE => vec![(0, noise(seq as usize % 90)), (0, good)],
        _ => vec![(0, good)],
    }
}

/// Plays all flows through NFs outside, one of which is dead for a while, and checks what must hold.
fn play(config: &str, several: bool) -> Scene {
    let mut scene = Scene::new(config);
    let rounds = PACKETS / FLOWS;
    let dead = rounds / 2..rounds / 2 + 40;
    for seq in 0..rounds {
        let frames: Vec<_> = (0..FLOWS).map(|flow| packet(flow, seq, 64, 0)).collect();
        for (port, bytes) in scene.give(0, &frames) {
            let flow = u32::from(bytes[28]);
            let good = if port == 1 { routed(bytes) } else { classed(bytes) };
            if dead.contains(&seq) && port == 1 {
                continue;
            }
            // Of two NFs side by side the second fails.
            let fails = !several || port == 3;
            let answers = if fails { answers(flow, seq, good) } else { vec![(0, good)] };
            for (later, bytes) in answers {
                let due = scene.now + Duration::from_millis(later);
                scene.answers.push_back((due, port + 1, bytes));
            }
        }
        scene.pass(Duration::from_millis(1));
    }
    for _ in 0..100 {
        scene.pass(Duration::from_millis(1));
    }
    let class = if several { 10 } else { 0 };
    let mut next = [0u32; FLOWS as usize];
    let mut got = [0u32; FLOWS as usize];
    for bytes in &scene.delivered {
        let (flow, seq) =
            (u32::from(bytes[28]), u32::from_be_bytes([bytes[42], bytes[43], bytes[44], bytes[45]]));
        assert!(seq >= next[flow as usize], "flow {flow}: {seq} comes after {}", next[flow as usize]);
        assert_eq!(*bytes, packet(flow, seq, 63, class), "flow {flow}");
        next[flow as usize] = seq + 1;
        got[flow as usize] += 1;
    }
    let alive = rounds - (dead.end - dead.start);
    for flow in (0..GOOD).chain([TWICE, TURNED, NOISE]) {
        assert_eq!(got[flow as usize], alive, "flow {flow} has nothing to do with the others' faults");
    }
    for flow in [DROPPED, CHANGED, TOO_LATE, CUT] {
        assert_eq!(got[flow as usize], 0, "flow {flow}");
    }
    assert!(scene.counter("timed_out") >= u64::from(4 * alive), "{}", scene.counter("timed_out"));
    assert!(scene.drops("duplicate") >= u64::from(2 * alive), "{}", scene.drops("duplicate"));
    assert!(scene.drops("late") >= u64::from(alive), "{}", scene.drops("late"));
    assert!(scene.drops("unidentified") + scene.drops("garbage") >= u64::from(3 * alive));
    assert!(scene.counter("waited") >= u64::from(alive / 2 - 1));
    scene.assert_empty();
    scene
}

#[test]
fn an_nf_that_fails_in_every_way_costs_its_own_packets_alone() {
    play("out = 'out_a'\nin = 'in_a'\nwrites = ['ip.ttl']\ncreates = false\ntimeout = '20ms'", false);
}

#[test]
fn of_two_nfs_side_by_side_one_may_fail() {
    let scene = play(
        "creates = false\ntimeout = '20ms'\n\
         branches = [{ out = 'out_a', in = 'in_a', writes = ['ip.ttl'] }, \
         { out = 'out_b', in = 'in_b', writes = ['ip.dscp'] }]",
        true,
    );
    assert!(scene.drops("lost") > 0);
}

/// Behind the bytes by which a packet is known, too, a branch may write only what is its own.
#[test]
fn a_change_that_nobody_may_make_is_garbage() {
    let mut scene = Scene::new(
        "timeout = '20ms'\nbranches = [{ out = 'out_a', in = 'in_a', writes = ['ip.ttl'] }, \
         { out = 'out_b', in = 'in_b', writes = ['ip.dscp'] }]",
    );
    let text =
        "eth 02:00:00:00:00:0a > 02:00:00:00:00:0b / ipv4 10.0.0.1 > 192.0.2.1 / udp 1 > 53 / count 300";
    let sent = scene.give(0, &[harness::packet(text).expect("a packet")]);
    assert_eq!(sent.len(), 2);
    let mut changed = routed(sent[0].1.clone());
    changed[250] ^= 1;
    scene.give(2, &[changed]);
    scene.give(4, &[classed(sent[1].1.clone())]);
    assert_eq!((scene.drops("garbage"), scene.delivered.len()), (1, 0));
    scene.pass(Duration::from_millis(20));
    assert_eq!((scene.counter("timed_out"), scene.drops("lost")), (1, 1));
    scene.assert_empty();
}

/// What the traffic has in its tags is no id where an id would be elsewhere.
#[test]
fn a_tag_of_the_traffic_is_no_id() {
    let mut scene = Scene::new("out = 'out_a'\nin = 'in_a'");
    let ipv6 = "eth 02:00:00:00:00:0a > 02:00:00:00:00:0b / ipv6 2001:db8::1 > 2001:db8::2 / udp 1 > 53";
    let ipv6 = vec![harness::packet(ipv6).expect("a packet"); 120];
    // Ids 1 to 120 in tags; those from 61 on are still out.
    let answers: Vec<_> = scene.give(0, &ipv6).into_iter().map(|(_, bytes)| bytes).collect();
    scene.give(2, &answers[..60]);
    let in_vlan = |vlan: u32| {
        let text = format!(
            "eth 02:00:00:00:00:0a > 02:00:00:00:00:0b / vlan {vlan} / ipv4 10.0.0.1 > 192.0.2.1 / udp 1 > 53"
        );
        harness::packet(&text).expect("a packet")
    };
    let ipv4: Vec<_> = [20, 100, 3000].map(in_vlan).to_vec();
    let answers_too: Vec<_> = scene.give(0, &ipv4).into_iter().map(|(_, bytes)| bytes).collect();
    scene.give(2, &answers_too);
    scene.give(2, &answers[60..]);
    assert_eq!((scene.counter("tagged"), scene.counter("marked")), (120, 3));
    assert_eq!((scene.counter("answered"), scene.drops("duplicate")), (123, 0));
    assert_eq!(scene.delivered[60..63], ipv4);
    scene.pass(Duration::from_millis(20));
    scene.assert_empty();
}

/// Ids come again after the time-out and no sooner, which bounds the rate.
#[test]
fn ids_bound_the_rate() {
    let mut scene =
        Scene::new("out = 'out_a'\nin = 'in_a'\nwrites = []\ncarrier = 'vlan'\ntimeout = '100ms'");
    let frames: Vec<_> = (0..4094).map(|seq| packet(1, seq, 64, 0)).collect();
    // All answered at once: ids are what is short.
    for (port, bytes) in scene.give(0, &frames) {
        scene.give(port + 1, &[bytes]);
    }
    assert_eq!(scene.delivered, frames);
    scene.give(0, &[packet(1, 4094, 64, 0)]);
    assert_eq!(scene.drops("no_id"), 1);
    scene.pass(Duration::from_millis(100));
    let sent = scene.give(0, &[packet(1, 4095, 64, 0)]);
    assert_eq!(sent.len(), 1);
    scene.pass(Duration::from_millis(100));
    scene.assert_empty();
}

/// A new configuration that asks the same of packets goes on with those in flight.
#[test]
fn packets_in_flight_survive_another_configuration() {
    let mut scene = Scene::new("out = 'out_a'\nin = 'in_a'\nwrites = ['ip.ttl']");
    let sent = scene.give(0, &[packet(1, 7, 64, 0)]);
    let prepared = |config: &str| {
        let plan = plan(config).expect("a plan");
        External::instance(&Arc::new(plan), &WorkerSite { index: 0, count: 1, seed: 7 })
    };
    let mut same = prepared("out = 'out_b'\nin = 'in_b'\nwrites = ['ip.ttl']\ntimeout = '30ms'");
    let other = prepared("out = 'out_a'\nin = 'in_a'\nwrites = ['ip.dscp']");
    assert!(!same.plan.goes_on_from(&other.plan));
    assert!(matches!(&same.part, Part::Whole(whole) if whole.in_flight() == 0));
    assert_eq!(sent.len(), 1);
    let old = prepared("out = 'out_a'\nin = 'in_a'\nwrites = ['ip.ttl']");
    assert!(same.plan.goes_on_from(&old.plan));
    same.part = old.part;
}

#[test]
fn a_configuration_says_what_is_wrong_with_it() {
    let branch =
        |writes: &str, more: &str| format!("{{ out = 'out_a', in = 'in_a', writes = [{writes}]{more} }}");
    for (config, key, message) in [
        ("in = 'in_a'".to_owned(), "out", "'out' is missing"),
        ("out = 'out_a'".to_owned(), "in", "'in' is missing"),
        ("out = 'nowhere'\nin = 'in_a'".to_owned(), "out", "there is no port 'nowhere'"),
        (
            "out = 'out_a'\nin = 'in_a'\nwrites = ['ip.sorce']".to_owned(),
            "writes[0]",
            "'ip.sorce' is no field",
        ),
        ("out = 'out_a'\nin = 'in_a'\nin_flight = 9000".to_owned(), "in_flight", "9000 packets in flight"),
        ("out = 'out_a'\nin = 'in_a'\ntimeout = '0ms'".to_owned(), "timeout", "no answer comes at once"),
        (
            "out = 'out_a'\nin = 'in_a'\nwrites = []\non_timeout = 'pass'".to_owned(),
            "on_timeout",
            "'pass' would let through",
        ),
        (format!("branches = [{}]", branch("", "")), "branches", "1 branches are not 2 to 4"),
        (
            format!("branches = [{}, {}]", branch("'ip.src'", ""), branch("'ip_src'", "")),
            "branches",
            "branches 0 and 1 both write ip_src",
        ),
        (
            format!(
                "branches = [{}, {}]",
                branch("", ", changes_length = true"),
                branch("", ", changes_length = true")
            ),
            "branches",
            "both change the length",
        ),
        (format!("fifo = true\nbranches = [{0}, {0}]", branch("", "")), "fifo", "stands beside 'branches'"),
        ("role = 'mirror'\nout = 'out_a'\nin = 'in_a'".to_owned(), "in", "has no meaning in this role"),
        ("role = 'merge'\nin = 'in_a'".to_owned(), "writes", "has to know what the other branch writes"),
        (
            "role = 'merge'\nin = 'in_a'\nwrites = []\ncarrier = 'id'".to_owned(),
            "carrier",
            "does not go with this role",
        ),
    ] {
        let Err(error) = plan(&config) else { panic!("{config} is taken") };
        assert_eq!(error.key.as_deref(), Some(key), "{config}");
        assert!(error.message.contains(message), "{config}: {}", error.message);
        assert!(error.help.is_some() || key == "out", "{config}");
    }
}

/// What is known of the NF is what the planner hears of it.
#[test]
fn effects_are_what_is_said_of_the_nf() {
    use engine::StateKind;
    use wire::{Field, Fields};
    let effects = |config: &str| plan(config).expect("a plan").effects();
    let all = effects("out = 'out_a'\nin = 'in_a'");
    assert_eq!((all.reads, all.writes), (Fields::ALL, Fields::ALL));
    let nat = effects(
        "out = 'out_a'\nin = 'in_a'\nreads = ['ip.src', 'tcp.sport']\nwrites = ['ip.src', 'tcp.sport']\n\
         state = 'reports'",
    );
    let named = Fields::of(&[Field::IpSrc, Field::Sport]);
    assert_eq!((nat.reads, nat.writes), (named, named.union(merge::CHECKSUMS)));
    assert_eq!((nat.adjusts, nat.state), (merge::CHECKSUMS, StateKind::Report));
    let watcher = effects("out = 'out_a'\nin = 'in_a'\nwrites = []\ndrops = false\ncreates = false");
    assert_eq!(watcher.writes, Fields::EMPTY);
}
