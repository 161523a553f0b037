//! Several workers: who owns a packet, and what moves to whom.

use super::super::blocks::Blocks;
use super::super::tuple::Endpoint;
use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use wire::builder::{fragments, icmp_error};
use wire::tcp::flags::SYN;

proptest! {
    /// Every port of the range is in one block, blocks are about alike, and endpoints fall into them.
    #[test]
    fn blocks_share_out_the_range(first in 1u16.., span in any::<u16>(), address in any::<u32>(), port in any::<u16>()) {
        let last = first.saturating_add(span);
        let blocks = Blocks::new(first, last);
        let (own, of) = (blocks.of_port(port), blocks.of(Endpoint { address, port, protocol: 17 }));
        for block in [own, of] {
            let (from, to) = blocks.ports(block);
            prop_assert!(first <= from && from <= to && to <= last, "{blocks:?}: {from}-{to}");
            let size = u32::from(to - from) + 1;
            let range = u32::from(last - first) + 1;
            prop_assert!(size == range || (1024..2048).contains(&size), "{size}");
            prop_assert_eq!((blocks.of_port(from), blocks.of_port(to)), (block, block));
        }
        let (from, to) = blocks.ports(own);
        prop_assert_eq!(blocks.contains(port), (from..=to).contains(&port));
    }
}

#[test]
fn the_usual_range_is_63_blocks_and_all_workers_have_some() {
    let blocks = Blocks::new(1024, 65535);
    assert_eq!((blocks.ports(0), blocks.ports(62)), ((1024, 2047), (64512, 65535)));
    assert_eq!((blocks.of_port(2047), blocks.of_port(2048), blocks.of_port(80)), (0, 1, 0));
}

#[test]
fn all_workers_have_blocks_whatever_the_range() {
    for ports in ["1024-65535", "32768-65535", "49152-65535", "16384-65535", "1024-17407"] {
        let config = format!("pool = [\"203.0.113.1\"]\nports = \"{ports}\"");
        let nat = Bench::new(&config);
        for workers in [2, 3, 4] {
            // Buckets go to workers in turn.
            let mut shares = vec![0; workers];
            for n in 0..6000_u32 {
                let host = Ipv4Addr::from(0x0a00_0001 + n % 250);
                let frame = ipv4(host, WEB).udp((2000 + n / 4) as u16, 80).build();
                shares[owner(&nat, &frame) as usize % engine::BUCKETS % workers] += 1;
            }
            let least = 6000 / workers / 3;
            assert!(shares.iter().all(|&share| share > least), "{ports}, {workers} workers: {shares:?}");
        }
    }
}

#[test]
fn most_ports_are_given_out_before_one_is_refused() {
    let mut nat = Bench::new("pool = [\"203.0.113.1\"]\ncapacity = 65536");
    let mut opened = 0;
    // An answer each, so that none gives way.
    let mut opens = |n: u32| {
        let host = Ipv4Addr::from(0x0a00_0000 + n / 1000);
        let sent = nat.udp((host, (n % 1000) as u16), (WEB, 53))?;
        nat.udp((WEB, 53), source(sent))
    };
    while opens(opened).is_ok() {
        opened += 1;
    }
    println!("{opened} of 64512");
    assert!(opened > 64_512 * 85 / 100, "{opened}");
}

/// Whose packets these are.
fn owner(nat: &Bench, frame: &[u8]) -> u32 {
    let key = FlowKey::of_flow(&wire::parse(frame), frame).expect("a flow");
    nat.nat.translator.plan.owner(&key)
}

/// What comes out, and what answers that.
fn answered(nat: &mut Bench, frame: &Builder) -> (Vec<u8>, Vec<u8>) {
    let out = nat.send(frame).expect("translated");
    let FlowKey4 { src, dst, sport, dport, proto } = key(&out);
    let back = ipv4(dst.into(), src.into());
    let back = match proto {
        6 => back.tcp(dport, sport).flags(0x12),
        17 => back.udp(dport, sport).payload(b"answer"),
        _ => back.echo_reply(sport, 1).payload(b"answer"),
    };
    (out, back.build())
}

#[test]
fn both_directions_and_errors_of_a_session_have_one_owner() {
    let forward = "forward = { \"tcp 203.0.113.2:80\" = \"10.0.0.8:8080\" }";
    let own = "one_to_one = { \"203.0.113.9\" = \"10.0.0.9\" }";
    let mut nat = Bench::new(&format!("pool = [\"203.0.113.0/30\"]\n{forward}\n{own}"));
    let mut owners = BTreeSet::new();
    for port in 2000..2200 {
        for sent in [
            ipv4(HOST, WEB).udp(port, 53).payload(b"question"),
            ipv4(HOST, WEB).tcp(port, 80).flags(SYN),
            ipv4(HOST, WEB).echo_request(port, 1).payload(b"question"),
            ipv4(Ipv4Addr::new(10, 0, 0, 9), WEB).udp(port, 53).payload(b"question"),
            // Of these the other end is inside.
            ipv4(WEB, Ipv4Addr::new(203, 0, 113, 9)).udp(port, 53).payload(b"question"),
            ipv4(WEB, Ipv4Addr::new(203, 0, 113, 2)).tcp(port, 80).flags(SYN),
        ] {
            let own = owner(&nat, &sent.clone().build());
            let (out, back) = answered(&mut nat, &sent);
            assert_eq!(owner(&nat, &back), own, "the answer to {}", show(&out));
            let error = icmp_error(&out, WEB.into(), 3, 1, 0).expect("an error");
            assert_eq!(owner(&nat, &error), own, "an error about {}", show(&out));
            let arrived = nat.send_bytes(&back).expect("translated");
            let error = icmp_error(&arrived, HOST.into(), 3, 1, 0).expect("an error");
            assert_eq!(owner(&nat, &error), own, "an error about {}", show(&arrived));
            owners.insert(own);
        }
    }
    assert!(owners.len() > 63, "more than all blocks are in use: {owners:?}");
}

#[test]
fn sessions_move_with_the_blocks_of_their_ports_and_come_together_again() {
    const WORKERS: usize = 3;
    let config = "pool = [\"203.0.113.0/30\"]\nfiltering = \"endpoint_independent\"\nforward = { \"udp 203.0.113.1:80\" = \"10.0.0.7:80\" }";
    let mut whole = Bench::new(config);
    let mut answers = Vec::new();
    for port in 3000..3300 {
        for host in [HOST, OTHER] {
            answers.push(answered(&mut whole, &ipv4(host, WEB).udp(port, 53).payload(b"question")).1);
        }
        // From one inside host to another: one session for each end.
        let there = Ipv4Addr::new(203, 0, 113, 1);
        answers.push(answered(&mut whole, &ipv4(OTHER, there).udp(port, 80).payload(b"question")).1);
    }
    for fragment in fragments(&ipv4(HOST, WEB).udp(3000, 53).payload_len(3000).build(), 1500, 5) {
        whole.send_bytes(&fragment).expect("translated");
    }
    let before = records(&whole.nat);
    let mut workers: Vec<Bench> = (0..WORKERS).map(|_| Bench::new(config)).collect();
    for (index, worker) in workers.iter_mut().enumerate() {
        (worker.nat.worker.index, worker.nat.worker.count, worker.now) = (index, WORKERS, whole.now);
    }
    let plan = Arc::clone(&whole.nat.translator.plan);
    let spread = |key: &FlowKey| plan.owner(key) as usize % WORKERS;
    workers[0].nat.translator = whole.nat.translator;
    for (worker, part) in workers[0].nat.split(&spread) {
        workers[worker].nat.join(part);
    }
    let shares: Vec<usize> = workers.iter().map(Bench::sessions).collect();
    assert!(shares.iter().all(|share| *share > 300), "{shares:?}");
    let mut rest = BTreeMap::new();
    for answer in &answers {
        let headers = wire::parse(answer);
        let key = FlowKey::of_flow(&headers, answer).expect("a flow");
        let worker = &mut workers[spread(&key)];
        let fate = worker.nat.translator.judge(&headers, answer, worker.now);
        assert!(matches!(fate, Fate::Whole(_)), "{key}: {fate:?}");
        *rest.entry(worker.nat.translator.is_half(&fate)).or_insert(0) += 1;
    }
    assert_eq!(
        rest,
        BTreeMap::from([(false, 600), (true, 300)]),
        "answers among inside hosts have two halves"
    );
    // All of it is as it was, but for the answers.
    let (first, others) = workers.split_at_mut(1);
    for other in others {
        for (_, part) in other.nat.split(&|_| 0) {
            first[0].nat.join(part);
        }
        assert_eq!(other.sessions(), 0);
        assert_eq!(other.nat.translator.mappings.len(), 0);
    }
    let keys = |records: &[engine::Record]| -> Vec<Value> {
        records.iter().map(|record| record.key.clone()).collect()
    };
    assert_eq!(keys(&records(&first[0].nat)), keys(&before));
}

#[test]
fn what_no_single_worker_could_have_ends_when_there_are_several() {
    let mut old = Bench::new("pool = [\"203.0.113.1\"]\nports = \"2000-2999\"");
    for port in 0..100 {
        old.udp((HOST, port), (WEB, 53)).expect("translated");
    }
    // With this range there are blocks, and few of the ports are in that of their endpoint.
    let mut new = Bench::new("pool = [\"203.0.113.1\"]");
    for outline in old.nat.translator.sessions.all() {
        new.nat.translator.take_in(&outline).expect("one worker has all of it");
    }
    let plan = Arc::clone(&new.nat.translator.plan);
    let kept = old.nat.translator.sessions.all().iter().filter(|outline| plan.is_steerable(outline)).count();
    assert!(new.nat.split(&|_| 0).is_empty());
    assert_eq!(new.sessions(), kept);
    assert!(kept < 50, "{kept}");
    let mut several = Bench::new("pool = [\"203.0.113.1\"]");
    let site = Site { workers: 2, ..Site::default() };
    let plan = Plan::new(&plan.config, &site).expect("good");
    several.nat.translator.plan = Arc::new(plan);
    let taken = old.nat.translator.sessions.all();
    let taken = taken.iter().filter(|outline| several.nat.translator.take_in(outline).is_ok()).count();
    assert_eq!(taken, kept);
}

#[test]
fn a_session_between_inside_hosts_from_an_old_record_is_two() {
    let config = "pool = [\"203.0.113.1\"]\nfiltering = \"endpoint_independent\"";
    let mut nat = Bench::new(config);
    let there = source(nat.udp((OTHER, 5000), (WEB, 53)).expect("translated"));
    nat.udp((HOST, 4000), there).expect("translated");
    let mut old = records(&nat.nat);
    let at = |records: &[engine::Record], to: &str| {
        records.iter().position(|record| record.value["dst"] == to).expect("a record")
    };
    // As it was written when both ends were translated at once.
    let second = old.remove(at(&old, "10.0.0.8"));
    let first = at(&old, "203.0.113.1");
    for member in ["dst", "dport", "destination_mapping"] {
        old[first].value[member] = second.value[member].clone();
    }
    assert_eq!(old.len(), 2);
    let mut new = Bench::new(config);
    new.nat.import(&old).expect("old records");
    assert_eq!(records(&new.nat), records(&nat.nat));
}
