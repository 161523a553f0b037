//! Captures through whole engines: what comes out, in which order, by which worker.

mod rig;

use engine::{Device, Engine};
use rig::{chain, example, frames, nf, plan, port, scratch, wait_exhausted};
use std::collections::HashMap;
use std::path::PathBuf;

fn replay_plan(workers: usize, input: PathBuf, output: PathBuf, nfs: Vec<engine::NfPlan>) -> engine::Plan {
    let ports = vec![port("in", Device::CaptureSource(input)), port("out", Device::CaptureSink(output))];
    plan(workers, ports, nfs)
}

#[test]
fn a_chain_without_nfs_puts_out_what_came_in() {
    let (input, output) = (example("mixed.pcap"), scratch("copy.pcap"));
    let engine =
        Engine::start(&rig::eal(), replay_plan(1, input.clone(), output.clone(), vec![])).expect("start");
    wait_exhausted(&engine);
    let snapshot = engine.stop().expect("stop");
    assert!(snapshot.packets.balanced(), "{:?}", snapshot.packets);
    assert_eq!(snapshot.packets.held, 0);
    rig::assert_same_frames(&input, &output);
    assert!(
        std::fs::read(&input).expect("input") == std::fs::read(&output).expect("output"),
        "byte for byte"
    );
}

#[test]
fn several_workers_put_out_the_same_bytes_as_one_and_keep_flows_together() {
    let (input, output) = (example("mixed.pcap"), scratch("three.pcap"));
    let nfs = vec![nf("witness", "witness", "{}")];
    let engine =
        Engine::start(&rig::eal(), replay_plan(3, input.clone(), output.clone(), nfs)).expect("start");
    wait_exhausted(&engine);
    let snapshot = engine.stop().expect("stop");
    assert!(snapshot.packets.balanced(), "{:?}", snapshot.packets);
    assert!(snapshot.packets.dropped.is_empty(), "{:?}", snapshot.packets);
    rig::assert_same_frames(&input, &output);

    let seen = rig::SEEN.lock().expect("no witness panics");
    let mut workers = HashMap::new();
    for (worker, key) in seen.iter() {
        // Later fragments have no ports: they are checked below, by what belongs to no other worker.
        let (key, _) = key.canonical();
        let first = *workers.entry(key).or_insert(*worker);
        let portless = key.source_port() == 0 && key.destination_port() == 0;
        assert!(first == *worker || portless, "{key} met workers {first} and {worker}");
    }
    let used: std::collections::HashSet<_> = seen.iter().map(|(worker, _)| worker).collect();
    assert_eq!(used.len(), 3, "every worker had something to do");
}

#[test]
fn held_packets_leave_in_their_time_and_all_of_them_at_the_end() {
    let (input, output) = (example("ping.pcap"), scratch("delayed.pcap"));
    let nfs = vec![nf("delay", "delay", "{ millis = 250 }")];
    let engine =
        Engine::start(&rig::eal(), replay_plan(1, input.clone(), output.clone(), nfs)).expect("start");
    wait_exhausted(&engine);
    let snapshot = engine.stop().expect("stop");
    assert!(snapshot.packets.balanced(), "{:?}", snapshot.packets);
    assert_eq!(snapshot.packets.held, 0);
    let (before, after) = (frames(&input), frames(&output));
    assert_eq!(before.len(), after.len());
    let contents =
        |frames: &[(u64, Vec<u8>)]| frames.iter().map(|(_, bytes)| bytes.clone()).collect::<Vec<_>>();
    assert!(contents(&before) == contents(&after), "in the same order");
    let delays = before.iter().zip(&after).map(|((sent, _), (left, _))| left.saturating_sub(*sent));
    let late_enough = delays.filter(|&delay| delay >= 250_000_000).count();
    // Those still held when the capture ends are given back at once.
    assert!(late_enough > before.len() / 2, "{late_enough} of {}", before.len());
}

#[test]
fn floods_lose_no_packet_be_they_of_bursts_or_of_all_that_was_held() {
    let input = scratch("storm.pcap");
    let mut writer = capture::Writer::create(&input, capture::Format::PcapNano).expect("create");
    for number in 0u64..3200 {
        let mut frame = [0xff; 60];
        frame[20..28].copy_from_slice(&number.to_be_bytes());
        writer.write(1_000_000_000, frame.len() as u32, [&frame[..]]).expect("write");
    }
    writer.finish().expect("finish");
    let eal = rig::eal();
    for held in [false, true] {
        let outputs: Vec<PathBuf> = (0..8).map(|n| scratch(&format!("storm-{held}-{n}.pcap"))).collect();
        let mut ports = vec![port("in", Device::CaptureSource(input.clone()))];
        for (n, output) in outputs.iter().enumerate() {
            ports.push(port(&format!("out{n}"), Device::CaptureSink(output.clone())));
        }
        let mut nfs = vec![nf("flood", "flooder", "{ gates = 8 }")];
        if held {
            nfs.insert(0, nf("delay", "delay", "{ millis = 250 }"));
        }
        let mut plan = plan(1, ports, nfs);
        plan.chains[0].to = (1..=8).collect();
        let engine = Engine::start(&eal, plan).expect("start");
        wait_exhausted(&engine);
        let snapshot = engine.stop().expect("stop");
        assert!(snapshot.packets.balanced(), "{:?}", snapshot.packets);
        assert!(snapshot.packets.dropped.is_empty(), "held: {held}, {:?}", snapshot.packets);
        let contents = |path| frames(path).into_iter().map(|(_, bytes)| bytes).collect::<Vec<_>>();
        let expected = contents(&input);
        for output in &outputs {
            assert!(contents(output) == expected, "held: {held}, {}", output.display());
        }
    }
}

#[test]
fn packets_keep_their_times_where_a_capture_runs_backwards() {
    let (input, output) = (scratch("backwards.pcap"), scratch("still-backwards.pcap"));
    let mut writer = capture::Writer::create(&input, capture::Format::PcapNano).expect("create");
    for time in [5_000_000_000, 7_000_000_001, 6_000_000_000, 1, 8_000_000_000] {
        writer.write(time, 60, [&[7u8; 60][..]]).expect("write");
    }
    writer.finish().expect("finish");
    let engine =
        Engine::start(&rig::eal(), replay_plan(1, input.clone(), output.clone(), vec![])).expect("start");
    wait_exhausted(&engine);
    assert!(engine.stop().expect("stop").packets.balanced());
    rig::assert_same_frames(&input, &output);
}

#[test]
fn created_packets_come_out_in_one_order_however_many_workers_there_are() {
    let eal = rig::eal();
    let played = [1, 3].map(|workers| {
        let output = scratch(&format!("doubled-by-{workers}.pcap"));
        let nfs = vec![nf("witness", "witness", "{}"), nf("doubler", "doubler", "{}")];
        let plan = replay_plan(workers, example("tls.pcap"), output.clone(), nfs);
        let engine = Engine::start(&eal, plan).expect("start");
        wait_exhausted(&engine);
        assert!(engine.stop().expect("stop").packets.balanced());
        output
    });
    rig::assert_same_frames(&played[0], &played[1]);
}

#[test]
fn created_packets_follow_their_originals_and_are_accounted() {
    let (input, output) = (example("http.pcap"), scratch("doubled.pcap"));
    let nfs = vec![nf("doubler", "doubler", "{}")];
    let engine =
        Engine::start(&rig::eal(), replay_plan(1, input.clone(), output.clone(), nfs)).expect("start");
    wait_exhausted(&engine);
    let snapshot = engine.stop().expect("stop");
    let read = frames(&input).len() as u64;
    assert!(snapshot.packets.balanced(), "{:?}", snapshot.packets);
    assert_eq!(
        (snapshot.packets.received, snapshot.packets.created, snapshot.packets.sent),
        (read, read, 2 * read)
    );
}

#[test]
fn packets_that_an_nf_wants_to_see_again_meet_their_owner_in_order() {
    let input = scratch("hops.pcap");
    let mut writer = capture::Writer::create(&input, capture::Format::PcapNano).expect("create");
    for number in 0u16..3000 {
        let frame = wire::builder::Builder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
            .ipv4([10, 0, 0, 1], [10, 0, 0, 2])
            .udp(number, number % 40)
            .pad_to(60)
            .build();
        let nanos = 1_000_000_000 + u64::from(number) * 1000;
        writer.write(nanos, frame.len() as u32, [&frame[..]]).expect("write");
    }
    writer.finish().expect("finish");
    let eal = rig::eal();
    for workers in [1, 3] {
        let output = scratch(&format!("hops-of-{workers}.pcap"));
        let nfs = vec![nf("hopper", "hopper", "{}")];
        let engine =
            Engine::start(&eal, replay_plan(workers, input.clone(), output.clone(), nfs)).expect("start");
        wait_exhausted(&engine);
        let snapshot = engine.stop().expect("stop");
        assert!(snapshot.packets.balanced(), "{:?}", snapshot.packets);
        assert_eq!((snapshot.packets.sent, snapshot.packets.held), (3000, 0));
        let out = frames(&output);
        assert!(out.iter().all(|(_, bytes)| bytes[36] & 0x80 != 0));
        assert_eq!(snapshot.chains["chain"].nfs["hopper"].packets, 6000);

        let hops = std::mem::take(&mut *rig::HOPS.lock().expect("no hopper panics"));
        let mut owners = HashMap::new();
        let mut last = HashMap::new();
        for (worker, key) in hops {
            let port = key.destination_port();
            assert_eq!(*owners.entry(port).or_insert(worker), worker, "{key}");
            let before = last.insert(port, key.source_port());
            assert!(before.is_none_or(|before| before < key.source_port()), "{key} behind {before:?}");
        }
        let moved = (0..40).filter(|port| owners[port] != owners[&(port + rig::HOP)]).count();
        assert_eq!(moved > 0, workers > 1, "{moved} of 40 flows changed their worker");
    }
}

#[test]
fn what_no_chain_takes_is_counted_at_the_port() {
    let (input, output) = (example("mixed.pcap"), scratch("arp.pcap"));
    let mut plan = replay_plan(1, input, output.clone(), vec![]);
    plan.chains = vec![chain("arp", "arp", vec![])];
    let engine = Engine::start(&rig::eal(), plan).expect("start");
    wait_exhausted(&engine);
    let snapshot = engine.stop().expect("stop");
    assert!(snapshot.packets.balanced(), "{:?}", snapshot.packets);
    assert_eq!(frames(&output).len() as u64, snapshot.packets.sent);
    assert_eq!(snapshot.packets.dropped["in.no_chain"], snapshot.packets.received - snapshot.packets.sent);
    assert!(frames(&output).iter().all(|(_, bytes)| wire::parse(bytes).ether_type() == 0x0806));
}

#[test]
fn a_capture_that_breaks_off_gives_what_it_has_and_an_error() {
    let whole = std::fs::read(example("dns.pcap")).expect("capture");
    let (input, output) = (scratch("broken.pcap"), scratch("rest.pcap"));
    std::fs::write(&input, &whole[..whole.len() - 7]).expect("write");
    let engine = Engine::start(&rig::eal(), replay_plan(1, input, output.clone(), vec![])).expect("start");
    wait_exhausted(&engine);
    let error = engine.stop().expect_err("the end is missing").to_string();
    assert!(error.contains("broken.pcap"), "{error}");
    assert_eq!(frames(&output).len(), frames(&example("dns.pcap")).len() - 1);
}
