//! Parallel segments in whole engines: the same packets come out, and nothing is lost when a branch falls or is silent.

mod rig;

use engine::Segment::{self, Nf, Parallel, Series};
use engine::{Device, Engine, OnPanic, Plan, Snapshot};
use rig::{example, nf, plan, port, scratch, vdev, wait_exhausted};
use std::time::{Duration, Instant};

/// The plan with one more thread per helper, and the chain as this segment.
fn with(mut plan: Plan, helpers: usize, segment: Segment, patience: Duration) -> Plan {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    plan.helpers = (1..=helpers).map(|helper| helper % cores).collect();
    plan.chains[0].parallel = Some(engine::Parallel { segment, patience, on_timeout: OnPanic::Drop });
    plan
}

/// A chain of two that write, one that counts and two that drop.
fn five() -> Vec<engine::NfPlan> {
    vec![
        nf("from", "marker", "{ source = true }"),
        nf("to", "marker", "{ source = false }"),
        nf("odd", "sieve", "{ of = 3 }"),
        nf("even", "sieve", "{ of = 2 }"),
        nf("again", "marker", "{ source = true }"),
    ]
}

fn replay(
    eal: &dpdk::Eal,
    name: &str,
    helpers: usize,
    segment: Option<Segment>,
) -> (std::path::PathBuf, Snapshot) {
    let output = scratch(name);
    let input = example("mixed.pcap");
    let ports =
        vec![port("in", Device::CaptureSource(input)), port("out", Device::CaptureSink(output.clone()))];
    let mut plan = plan(1, ports, five());
    if let Some(segment) = segment {
        plan = with(plan, helpers, segment, Duration::from_secs(1));
    }
    let engine = Engine::start(eal, plan).expect("start");
    wait_exhausted(&engine);
    let end = engine.stop().expect("stop");
    assert!(end.packets.balanced() && end.packets.held == 0, "{:?}", end.packets);
    (output, end)
}

#[test]
fn a_chain_side_by_side_puts_out_what_it_puts_out_in_order() {
    let eal = rig::eal();
    let (expected, in_order) = replay(&eal, "in-order.pcap", 0, None);
    let all = Series(vec![Parallel(vec![Nf(0), Nf(1), Nf(2), Nf(3)]), Nf(4)]);
    let nested = Series(vec![Parallel(vec![Series(vec![Nf(0), Nf(3)]), Nf(1), Nf(2)]), Nf(4)]);
    for (helpers, segment) in [(0, &all), (1, &all), (3, &all), (2, &nested), (9, &nested)] {
        let (found, end) = replay(&eal, "side-by-side.pcap", helpers, Some(segment.clone()));
        rig::assert_same_frames(&expected, &found);
        for (name, nf) in &in_order.chains["chain"].nfs {
            let other = &end.chains["chain"].nfs[name];
            assert_eq!(
                (nf.packets, &nf.dropped),
                (other.packets, &other.dropped),
                "{name}, {helpers} helpers"
            );
        }
        assert_eq!(in_order.packets.dropped, end.packets.dropped);
    }
}

fn wait_for(engine: &Engine, what: &str, holds: impl Fn(&Snapshot) -> bool) {
    let start = Instant::now();
    while !holds(&engine.snapshot()) {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}: {:#?}", engine.snapshot());
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn null_plan(nfs: Vec<engine::NfPlan>) -> Plan {
    plan(1, vec![vdev("in", "net_null0"), vdev("out", "net_null1,no-rx=1")], nfs)
}

#[test]
fn a_branch_that_panics_loses_its_burst_alone_and_its_nf_comes_back() {
    let eal = rig::eal();
    for order in [[0, 1], [1, 0]] {
        let nfs = vec![nf("mark", "marker", "{ source = true }"), nf("bomb", "bomb", "{ at = 100000 }")];
        let segment = Parallel(order.map(Nf).to_vec());
        let plan = with(null_plan(nfs), 1, segment, Duration::from_secs(5));
        let engine = Engine::start(&eal, plan).expect("start");
        wait_for(&engine, "it panicked and came back", |now| now.chains["chain"].nfs["bomb"].panics >= 2);
        let end = engine.stop().expect("stop");
        assert!(end.packets.balanced() && end.packets.held == 0, "{:?}", end.packets);
        let bomb = &end.chains["chain"].nfs["bomb"];
        assert!((1..=32 * bomb.panics).contains(&bomb.dropped["panic"]), "{bomb:?}");
    }
}

#[test]
fn a_branch_that_is_silent_costs_its_burst_and_comes_back_late() {
    let eal = rig::eal();
    for bypass in [false, true] {
        let nfs = vec![nf("watch", "witness", "{}"), nf("slow", "sleeper", "{ millis = 400 }")];
        let segment = Parallel(vec![Nf(0), Nf(1)]);
        let mut plan = with(null_plan(nfs), 1, segment, Duration::from_millis(20));
        if bypass {
            let parallel = plan.chains[0].parallel.as_mut().expect("it is parallel");
            parallel.on_timeout = OnPanic::Bypass;
        }
        let engine = Engine::start(&eal, plan).expect("start");
        wait_for(&engine, "it goes on", |now| now.packets.sent > 200_000);
        std::thread::sleep(Duration::from_millis(600));
        let events: Vec<_> = engine.events().try_iter().map(|event| (event.source, event.name)).collect();
        assert!(events.contains(&("nf.slow".into(), "timed_out".into())), "{events:?}");
        let end = engine.stop().expect("stop");
        assert!(end.packets.balanced() && end.packets.held == 0, "{:?}", end.packets);
        let dropped = end.chains["chain"].nfs["slow"].dropped.get("branch_timeout").copied();
        assert_eq!(dropped.is_some(), !bypass, "{:?}", end.packets);
        rig::SEEN.lock().expect("no witness panics").clear();
    }
}

#[test]
fn a_branch_that_is_late_keeps_its_nf_where_no_packet_follows() {
    let input = example("mixed.pcap");
    let ports =
        vec![vdev("in", &format!("net_pcap0,rx_pcap={}", input.display())), vdev("out", "net_null1,no-rx=1")];
    let nfs = vec![nf("mark", "marker", "{ source = true }"), nf("slow", "sleeper", "{ millis = 50 }")];
    let plan = with(plan(1, ports, nfs), 1, Parallel(vec![Nf(0), Nf(1)]), Duration::from_millis(5));
    let engine = Engine::start(&rig::eal(), plan).expect("start");
    let late = |now: &Snapshot| now.chains["chain"].nfs["slow"].dropped.contains_key("branch_timeout");
    wait_for(&engine, "it is late", late);
    // It is back long before another one would take its place.
    std::thread::sleep(Duration::from_millis(500));
    let events: Vec<_> = engine.events().try_iter().map(|event| event.name).collect();
    assert!(events.contains(&"timed_out".into()) && !events.contains(&"restarted".into()), "{events:?}");
    let end = engine.stop().expect("stop");
    assert!(end.packets.balanced() && end.packets.held == 0, "{:?}", end.packets);
}

#[test]
fn segments_come_and_go_under_traffic() {
    let nfs = || vec![nf("from", "marker", "{ source = true }"), nf("to", "marker", "{ source = false }")];
    let engine = Engine::start(&rig::eal(), null_plan(nfs())).expect("start");
    for round in 0..20 {
        let segment = Parallel(vec![Nf(round % 2), Nf(1 - round % 2)]);
        let next = match round % 3 {
            0 => null_plan(nfs()),
            helpers => with(null_plan(nfs()), helpers, segment, Duration::from_secs(5)),
        };
        engine.apply(next).expect("applied");
    }
    let end = engine.stop().expect("stop");
    assert!(end.packets.balanced() && end.packets.dropped.is_empty(), "{:?}", end.packets);
}

#[test]
fn ten_million_packets_under_faults_leave_nothing_behind() {
    let nfs = vec![
        nf("bomb", "bomb", "{ at = 5000 }"),
        nf("slow", "sleeper", "{ millis = 60 }"),
        nf("mark", "marker", "{ source = true }"),
    ];
    let segment = Parallel(vec![Nf(2), Nf(0), Nf(1)]);
    let plan = with(null_plan(nfs), 2, segment, Duration::from_millis(20));
    let engine = Engine::start(&rig::eal(), plan).expect("start");
    let start = Instant::now();
    let enough = |now: Snapshot| {
        let nfs = &now.chains["chain"].nfs;
        let silent = nfs["slow"].dropped.get("branch_timeout").is_some_and(|packets| *packets > 0);
        now.packets.received >= 10_000_000 && nfs["bomb"].panics > 0 && silent
    };
    while !enough(engine.snapshot()) {
        assert!(start.elapsed() < Duration::from_secs(240), "{:#?}", engine.snapshot());
        std::thread::sleep(Duration::from_millis(50));
    }
    let end = engine.stop().expect("stop");
    assert!(end.packets.balanced() && end.packets.held == 0, "{:?}", end.packets);
}
