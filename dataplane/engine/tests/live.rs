//! Engines on devices that run: panics, changes under traffic, what a stop leaves.

mod rig;

use engine::{Engine, EngineError, Plan};
use rig::{chain, nf, plan, vdev};
use std::time::{Duration, Instant};

fn null_plan(workers: usize, nfs: Vec<engine::NfPlan>) -> Plan {
    plan(workers, vec![vdev("in", "net_null0"), vdev("out", "net_null1,no-rx=1")], nfs)
}

/// Waits for something to become true of the counters, or fails the test.
fn wait_for(engine: &Engine, what: &str, holds: impl Fn(&engine::Snapshot) -> bool) {
    let start = Instant::now();
    while !holds(&engine.snapshot()) {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}: {:#?}", engine.snapshot());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn packets_flow_from_start_to_stop_and_the_books_balance() {
    let engine = Engine::start(&rig::eal(), null_plan(1, vec![])).expect("start");
    wait_for(&engine, "packets flow", |now| now.packets.sent > 10_000);
    let end = engine.stop().expect("stop");
    assert!(end.packets.balanced(), "{:?}", end.packets);
    assert_eq!(end.packets.held, 0);
    assert_eq!(end.packets.received, end.packets.sent);
    let chain = &end.chains["chain"];
    assert!(chain.cycles_per_packet.is_some() && chain.latency_ns.is_some(), "{chain:?}");
    assert_eq!(engine.stop().expect("a second stop").packets, end.packets);
}

#[test]
fn a_panic_drops_its_burst_alone_and_the_nf_comes_back() {
    let mut plan = null_plan(1, vec![nf("bomb", "bomb", "{ at = 100000 }")]);
    plan.chains.insert(0, chain("beside", "frame.len > 9000", vec![]));
    let engine = Engine::start(&rig::eal(), plan).expect("start");
    wait_for(&engine, "it panicked and came back", |now| {
        let bomb = &now.chains["chain"].nfs["bomb"];
        bomb.panics >= 2
    });
    let told = engine.events();
    for what in ["panicked", "restarted", "panicked"] {
        let event = told.recv_timeout(Duration::from_secs(10)).expect("an event");
        assert_eq!((event.source.as_str(), event.name), ("nf.bomb", what.into()));
    }
    let end = engine.stop().expect("stop");
    assert!(end.packets.balanced(), "{:?}", end.packets);
    let bomb = &end.chains["chain"].nfs["bomb"];
    assert!((1..=32 * bomb.panics).contains(&bomb.dropped["panic"]), "{bomb:?}");
    assert!(bomb.dropped["poisoned"] > 0, "{bomb:?}");
}

#[test]
fn a_bypassing_nf_lets_packets_by_while_it_is_down() {
    let mut bomb = nf("bomb", "bomb", "{ at = 1000 }");
    bomb.on_panic = engine::OnPanic::Bypass;
    let engine = Engine::start(&rig::eal(), null_plan(1, vec![bomb])).expect("start");
    wait_for(&engine, "packets pass", |now| now.packets.sent > 100_000);
    let end = engine.stop().expect("stop");
    assert!(end.packets.balanced(), "{:?}", end.packets);
    assert!(!end.packets.dropped.contains_key("bomb.poisoned"), "{:?}", end.packets);
}

#[test]
fn workers_ports_and_chains_come_and_go_under_traffic() {
    let engine = Engine::start(&rig::eal(), null_plan(1, vec![nf("w", "witness", "{}")])).expect("start");
    let mut generation = 1;
    for round in 0..60 {
        let mut next = null_plan(1 + round % 3, vec![nf("w", "witness", "{}")]);
        if round % 2 == 0 {
            next.ports.push(vdev("extra", &format!("net_null{},no-rx=1", 10 + round)));
            next.chains.insert(0, engine::ChainPlan { to: vec![2], ..chain("side", "ip", vec![]) });
        }
        let applied = engine.apply(next).expect("applied");
        generation += 1;
        assert_eq!(applied.generation, generation);
        rig::SEEN.lock().expect("no witness panics").clear();
    }
    let now = engine.snapshot();
    let end = engine.stop().expect("stop");
    assert!(end.packets.sent > now.packets.sent / 2, "still running");
    assert!(end.packets.balanced(), "{:?}", end.packets);
    assert_eq!(end.packets.held, 0);
    assert!(end.packets.dropped.is_empty(), "nothing was lost: {:?}", end.packets.dropped);
}

#[test]
fn a_plan_that_cannot_be_had_changes_nothing() {
    let engine = Engine::start(&rig::eal(), null_plan(1, vec![])).expect("start");
    wait_for(&engine, "packets flow", |now| now.packets.sent > 1000);
    let mut wrong = null_plan(1, vec![]);
    wrong.ports.push(vdev("broken", "net_nonsense0"));
    assert!(matches!(engine.apply(wrong), Err(EngineError::Port { port, .. }) if port == "broken"));
    let mut moved = null_plan(1, vec![]);
    moved.ports[1] = vdev("out", "net_null7");
    assert!(matches!(engine.apply(moved), Err(EngineError::Port { port, .. }) if port == "out"));
    let before = engine.snapshot().packets.sent;
    wait_for(&engine, "packets still flow", |now| now.packets.sent > before + 1000);
    assert!(engine.stop().expect("stop").packets.balanced());
}

#[test]
fn held_packets_go_along_when_the_configuration_changes() {
    let delayed = || vec![nf("delay", "delay", "{ millis = 20 }")];
    let engine = Engine::start(&rig::eal(), null_plan(1, delayed())).expect("start");
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(5));
        engine.apply(null_plan(1, delayed())).expect("applied");
    }
    engine.apply(null_plan(1, vec![])).expect("the NF goes");
    let end = engine.stop().expect("stop");
    assert!(end.packets.balanced(), "{:?}", end.packets);
    assert_eq!(end.packets.held, 0);
    assert!(end.packets.dropped["delay.removed"] > 0, "what it held went with it: {:?}", end.packets);
}

#[test]
fn a_worker_that_stalls_is_told_of_and_so_is_its_recovery() {
    let plan = null_plan(1, vec![nf("sleeper", "sleeper", "{ millis = 1600 }")]);
    let engine = Engine::start(&rig::eal(), plan).expect("start");
    wait_for(&engine, "it is seen to stall", |now| now.workers[0].stalled);
    wait_for(&engine, "it is seen to recover", |now| !now.workers[0].stalled && now.packets.sent > 1000);
    let events: Vec<_> = engine.events().try_iter().map(|event| (event.source, event.name)).collect();
    for name in ["stalled", "recovered"] {
        assert!(events.contains(&("worker.0".into(), name.into())), "{name}: {events:?}");
    }
    assert!(engine.stop().expect("stop").packets.balanced());
}

#[test]
fn a_held_packet_finds_its_chain_again_among_others() {
    let delayed = || vec![nf("delay", "delay", "{ millis = 10 }")];
    let second = |name: &str| engine::ChainPlan { to: vec![1], ..chain(name, "all", vec![0]) };
    let beside = || chain("beside", "frame.len > 9000", vec![]);
    let with = |chains: Vec<engine::ChainPlan>| Plan { chains, ..null_plan(1, delayed()) };
    let engine = Engine::start(&rig::eal(), with(vec![beside(), beside_named("other"), second("chain")]))
        .expect("start");
    for round in 0..12 {
        std::thread::sleep(Duration::from_millis(12));
        // The chain that holds packets is the third, then the only one, then one of another name.
        let next = match round % 3 {
            0 => with(vec![second("chain")]),
            1 => with(vec![second("renamed")]),
            _ => with(vec![beside(), beside_named("other"), second("chain")]),
        };
        engine.apply(next).expect("applied");
    }
    let end = engine.stop().expect("stop");
    assert!(end.packets.balanced(), "{:?}", end.packets);
    assert_eq!(end.packets.held, 0);
    assert!(!end.workers[0].stalled && end.packets.sent > 0, "{:?}", end.packets);
}

fn beside_named(name: &str) -> engine::ChainPlan {
    chain(name, "frame.len > 9000", vec![])
}

#[test]
fn a_panic_in_a_command_or_while_taking_over_stops_nothing_else() {
    let bomb = || vec![nf("bomb", "bomb", "{ at = 1000000000000 }"), nf("w", "doubler", "{}")];
    let engine = Engine::start(&rig::eal(), null_plan(1, bomb())).expect("start");
    let told = engine.command("bomb", "tick", &serde_json::Value::Null);
    assert!(matches!(&told, Err(EngineError::Poisoned(nf)) if nf == "bomb"), "{told:?}");
    wait_for(&engine, "it comes back", |now| {
        let bomb = &now.chains["chain"].nfs["bomb"];
        bomb.panics == 1 && now.packets.sent > 1000
    });
    for _ in 0..3 {
        engine.apply(null_plan(1, bomb())).expect("applied all the same");
    }
    let before = engine.snapshot().packets.sent;
    wait_for(&engine, "packets flow", |now| now.packets.sent > before + 1000);
    let end = engine.stop().expect("stop");
    assert!(end.packets.balanced(), "{:?}", end.packets);
    assert_eq!(end.packets.held, 0);
}
